"""The measuring of one network."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.measure import Worker, WorkerError, interleaved, long_enough, median
from benchmarks.models import CASES
from benchmarks.table import MEASURES, Row

_OURS = "benchmarks.ours:Ours"
_PEER = "benchmarks.hls4ml_peer:Hls4ml"
_KERAS = "benchmarks.keras_side:KerasSide"


@dataclass(frozen=True)
class Settings:
    """How much is measured.

    Parameters
    ----------
    repetitions : int
        Of everything that is timed.
    samples : int
        That answers are compared over.
    seconds : float
        That one run of a simulation or of the emulator is to last, about.
    batch_sizes : tuple of int
        That ``model.predict`` is tried with; 0 stands for all samples at once.
    epochs, training_samples : int, optional
        Instead of the case's own.
    """

    repetitions: int = 5
    samples: int = 100_000
    seconds: float = 1.5
    batch_sizes: tuple[int, ...] = (256, 1024, 4096, 16384, 65536, 0)
    epochs: int | None = None
    training_samples: int | None = None


#: A test of the benchmark itself; its figures mean nothing.
QUICK = Settings(1, 2_000, 0.02, (0,), epochs=2, training_samples=500)


class CaseRun:
    """The measuring of one network.

    Parameters
    ----------
    name : str
        Of `CASES`.
    settings : Settings
    folder : Path
        To work in.
    with_peer : bool

    Attributes
    ----------
    rows : list of Row
    about : dict
        The network: number of weights, share of zeros, Keras's backend.
    notes : list of str
        What went wrong, one sentence each.
    """

    def __init__(self, name: str, settings: Settings, folder: Path, with_peer: bool):
        self.name, self.case, self.settings, self.folder = name, CASES[name], settings, folder
        self.with_peer = with_peer
        self.rows: list[Row] = []
        self.about: dict[str, Any] = {}
        self.notes: list[str] = []

    def run(self) -> None:
        """Measure all; `rows` holds what has been measured when something raises.

        Raises
        ------
        WorkerError
            If keras_hls or Keras fails. A peer that fails is left out from there on.
        """
        with Worker(_KERAS, self.folder) as keras:
            self._train(keras)
            for phase in (self._convert, self._build, self._simulate):
                try:
                    phase()
                except WorkerError as error:
                    if error.tool != _PEER:
                        raise
                    self.notes.append(f"hls4ml failed and is left out from here on: {error}")
                    self.with_peer = False
                    phase()
            self._emulate(keras)
        self.rows.sort(key=lambda row: list(MEASURES).index(row.key))

    def _path(self, name: str) -> str:
        return str(self.folder / name)

    @property
    def _tools(self) -> list[tuple[str, str]]:
        """Each tool and its project's folder; ours first."""
        tools = [(_OURS, self._path("ours"))]
        return [*tools, (_PEER, self._path("peer"))] if self.with_peer else tools

    def _add(self, key: str, values: Sequence[float | None], **details: Any) -> None:
        """Add a row from our figure and the peer's, if there is one; None is a figure that can't be had."""
        ours, peer = [*values, None][:2]
        if ours is not None:
            self.rows.append(Row(key, ours, peer, self.case.targets.get(key), details))

    def _add_times(self, key: str, times: Sequence[Sequence[float]]) -> None:
        self._add(key, [median(t) for t in times], seconds=times)

    def _add_rates(self, key: str, counts: Sequence[int], times: Sequence[Sequence[float]], **details: Any) -> None:
        rates = [count / median(t) for count, t in zip(counts, times)]
        self._add(key, rates, samples=counts, seconds=times, **details)

    def _train(self, keras: Worker) -> None:
        self.about = keras.call(
            "train",
            case=self.name,
            epochs=self.settings.epochs or self.case.epochs,
            training_samples=self.settings.training_samples or self.case.training_samples,
            output=self._path("model.keras"),
        )
        epoch_ms = self.about.pop("epoch_ms")
        # The first epoch pays for imports.
        self._add("epoch", [median(epoch_ms[1:])], epoch_ms=epoch_ms)
        keras.call("samples", case=self.name, count=self.settings.samples, output=self._path("samples.npy"))
        keras.call("answer", samples=self._path("samples.npy"), output=self._path("keras.npy"))

    def _convert(self) -> None:
        options = dict(self.case.options)
        with ExitStack() as stack:
            tools = [(stack.enter_context(Worker(tool, self.folder)), folder) for tool, folder in self._tools]
            first, memory = [], []
            for worker, folder in tools:
                worker.call("open", model=self._path("model.keras"))
                # Imports, and whatever a tool keeps in memory, come with the first conversion.
                seconds, peak = worker.call_watched("convert", directory=folder, options=options)
                first.append([seconds])
                memory.append(peak)
            times = interleaved(
                self.settings.repetitions,
                [partial(w.call, "convert", directory=folder, options=options) for w, folder in tools],
            )
        self._add_times("convert", times)
        self._add_times("convert_first", first)
        self._add("convert_memory", memory)

    def _build(self) -> None:
        def build(tool: str, folder: str) -> float:
            with Worker(tool, self.folder) as worker:
                return float(worker.call("build", directory=folder))

        memory = []
        for tool, folder in self._tools:
            with Worker(tool, self.folder) as worker:
                memory.append(worker.call_watched("build", directory=folder)[1])
        times = interleaved(self.settings.repetitions, [partial(build, *tool) for tool in self._tools])
        self._add_times("build", times)
        self._add("build_memory", memory)

    def _simulate(self) -> None:
        samples = self._path("samples.npy")
        with ExitStack() as stack:
            workers, memory, counts, equal = [], [], [], []
            for tool, folder in self._tools:
                worker = stack.enter_context(Worker(tool, self.folder))
                workers.append(worker)
                worker.call("attach", directory=folder)
                answers = f"{folder}.npy"
                memory.append(worker.call_watched("answer", samples=samples, output=answers)[1])
                equal.append(_equal_percent(np.load(answers), np.load(self._path("keras.npy"))))
                counts.append(self._count(worker, "simulate"))
            *times, integers = interleaved(
                self.settings.repetitions,
                [
                    *(partial(w.call, "simulate", samples=samples, count=n) for w, n in zip(workers, counts)),
                    partial(workers[0].call, "simulate_integers", samples=samples, count=counts[0]),
                ],
            )
        self._add("equal_keras", equal, samples=self.settings.samples)
        self._add_rates("simulation", counts, times)
        self._add_rates("simulation_integers", counts[:1], [integers])
        self._add("simulation_memory", memory, samples=self.settings.samples)

    def _emulate(self, keras: Worker) -> None:
        samples, answers = self._path("samples.npy"), self._path("emulator.npy")
        count = self.settings.samples
        sizes = [size or count for size in self.settings.batch_sizes]
        with Worker(_OURS, self.folder) as ours:
            ours.call("attach", directory=self._path("ours"))
            ours.call("emulator_answer", samples=samples, output=answers)
            for size in sizes:
                # The first time compiles.
                keras.call("predict", samples=samples, batch_size=size)
            times = interleaved(
                self.settings.repetitions,
                [
                    partial(ours.call, "emulate", samples=samples, count=count),
                    *(partial(keras.call, "predict", samples=samples, batch_size=size) for size in sizes),
                ],
            )
        best = min(range(len(sizes)), key=lambda i: median(times[1 + i]))
        self._add_rates(
            "emulator",
            [count, count],
            [times[0], times[1 + best]],
            batch_size=sizes[best],
            predict_seconds=dict(zip(map(str, sizes), times[1:])),
        )
        emulated = np.load(answers)
        simulated, wanted = np.load(f"{self._path('ours')}.npy"), np.load(self._path("keras.npy"))
        self._add("emulator_csim_bits", [_differing_bits(emulated, simulated)], samples=len(emulated))
        self._add("emulator_keras_bits", [_differing_bits(emulated, wanted)], samples=len(emulated))

    def _count(self, worker: Worker, call: str) -> int:
        """How many samples a run takes so that it lasts long enough."""

        def run(count: int) -> float:
            return float(worker.call(call, samples=self._path("samples.npy"), count=count))

        run(self.settings.samples // 100)
        return long_enough(run, self.settings.seconds, self.settings.samples // 20)


def _equal_percent(answers: npt.NDArray[Any], wanted: npt.NDArray[Any]) -> float:
    """The share of values that are the same number, in percent."""
    return 100 * float(np.mean(answers.reshape(wanted.shape).astype(np.float64) == wanted.astype(np.float64)))


def _differing_bits(first: npt.NDArray[Any], second: npt.NDArray[Any]) -> int:
    """How many bits of the values, as double-precision numbers, differ."""
    # Adding zero makes one zero of the two.
    bits = [(np.asarray(a, np.float64).reshape(-1) + 0.0).view(np.uint64) for a in (first, second)]
    return int(np.unpackbits((bits[0] ^ bits[1]).view(np.uint8)).sum())
