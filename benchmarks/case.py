"""The measuring of one network."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from subprocess import CalledProcessError
from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.measure import Worker, WorkerError, interleaved, long_enough, median, start_seconds
from benchmarks.models import CASES
from benchmarks.samples import room
from benchmarks.saved import file_name
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
        That answers are compared over, at most.
    seconds : float
        That one run of a simulation or of the emulator is to last, about.
    budget : float
        Seconds after which a measure isn't repeated again.
    limit : float
        Seconds that any one thing may take; what takes longer is ended, and left out.
    batch_sizes : tuple of int
        That ``model.predict`` is tried with; 0 stands for all samples at once.
    epochs, training_samples : int, optional
        Instead of the case's own.
    """

    repetitions: int = 5
    samples: int = 100_000
    seconds: float = 1.5
    budget: float = 180
    limit: float = 600
    batch_sizes: tuple[int, ...] = (256, 1024, 4096, 16384, 65536, 0)
    epochs: int | None = None
    training_samples: int | None = None


#: A test of the benchmark itself; its figures mean nothing.
QUICK = Settings(1, 2_000, 0.02, batch_sizes=(0,), epochs=2, training_samples=500)


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
        The network: number of weights, share of zeros, accuracy in training, Keras's backend.
    notes : list of str
        What went wrong, one sentence each.
    """

    def __init__(self, name: str, settings: Settings, folder: Path, with_peer: bool):
        self.name, self.case, self.settings, self.folder = name, CASES[name], settings, folder
        self.with_peer = with_peer
        self.answers = min(self.case.answers, settings.samples)
        self.rows: list[Row] = []
        self.about: dict[str, Any] = {}
        self.notes: list[str] = []

    def run(self) -> None:
        """Measure all; `rows` holds what has been measured when something raises.

        Raises
        ------
        WorkerError
            If keras_hls or Keras fails, or takes too long. A peer that does is left out from there on.
        """
        phases = [self._convert, self._build, self._simulate] if self.case.speed else [self._convert, self._simulate]
        with self._worker(_KERAS) as keras:
            self._train(keras)
            for phase in phases:
                try:
                    phase()
                except WorkerError as error:
                    if error.tool != _PEER:
                        raise
                    self.notes.append(f"hls4ml failed and is left out from here on: {error}")
                    self.with_peer = False
                    phase()
            if self.case.speed:
                self._emulate(keras)
            if self.case.smaller:
                self._grow(keras)
            if self.case.speed and self.case.library.keras == 2:
                self._read_files(keras)
        self.rows.sort(key=lambda row: list(MEASURES).index(row.key))

    def _worker(self, tool: str) -> Worker:
        return Worker(tool, self.folder, self.settings.limit)

    def _path(self, name: str) -> str:
        return str(self.folder / name)

    def _model(self, stem: str = "model") -> str:
        """The file of the network."""
        return self._path(file_name(self.case, stem))

    @property
    def _tools(self) -> list[tuple[str, str]]:
        """Each tool and its project's folder; ours first."""
        tools = [(_OURS, self._path("ours"))]
        return [*tools, (_PEER, self._path("peer"))] if self.with_peer else tools

    def _add(self, key: str, values: Sequence[float | None], **details: Any) -> None:
        """Add a row from our figure and the peer's, if there is one; None is a figure that can't be had."""
        ours, peer = [*values, None][:2]
        limit = self.case.limits.get(key)
        target = self.case.targets.get(key) if limit is None else limit
        if ours is not None:
            self.rows.append(Row(key, ours, peer, target, details, None if limit is None else "at most"))

    def _add_times(self, key: str, times: Sequence[Sequence[float]]) -> None:
        self._add(key, [median(t) for t in times], seconds=times)

    def _add_rates(self, key: str, counts: Sequence[int], times: Sequence[Sequence[float]], **details: Any) -> None:
        rates = [count / median(t) for count, t in zip(counts, times)]
        self._add(key, rates, samples=counts, seconds=times, **details)

    def _repeated(self, measures: Sequence[Callable[[], float]]) -> list[list[float]]:
        return interleaved(self.settings.repetitions, measures, self.settings.budget)

    def _train(self, keras: Worker) -> None:
        self.about = keras.call(
            "train",
            case=self.name,
            epochs=self.settings.epochs or self.case.epochs,
            training_samples=self.settings.training_samples or self.case.training_samples,
            output=self._model(),
            calibration=self._path("calibration.npy"),
        )
        if epoch_ms := self.about.pop("epoch_ms"):
            # The first epoch pays for imports.
            self._add("epoch", [median(epoch_ms[1:])], epoch_ms=epoch_ms)
        keras.call("samples", case=self.name, count=self.answers, output=self._path("samples.npy"))
        keras.call("answer", samples=self._path("samples.npy"), output=self._path("keras.npy"))

    @property
    def _opening(self) -> Mapping[str, Any]:
        return {"case": self.name, "samples": self._path("samples.npy")}

    @property
    def _conversion(self) -> Mapping[str, Any]:
        """What both tools are told."""
        calibration = self._path("calibration.npy") if self.case.calibration else None
        return {"options": dict(self.case.options), "calibration": calibration}

    def _convert(self) -> None:
        with ExitStack() as stack:
            tools = [(stack.enter_context(self._worker(tool)), folder) for tool, folder in self._tools]
            first, memory = [], []
            for worker, folder in tools:
                worker.call("open", model=self._model(), **self._opening)
                # Imports, and whatever a tool keeps in memory, come with the first conversion.
                seconds, peak = worker.call_watched("convert", directory=folder, **self._conversion)
                first.append([seconds])
                memory.append(peak)
            if not self.case.speed:
                return
            times = self._repeated(
                [partial(worker.call, "convert", directory=folder, **self._conversion) for worker, folder in tools]
            )
        self._add_times("convert", times)
        self._add_times("convert_first", first)
        self._add("convert_memory", memory)

    def _build(self) -> None:
        def build(tool: str, folder: str) -> float:
            with self._worker(tool) as worker:
                return float(worker.call("build", directory=folder))

        memory = []
        for tool, folder in self._tools:
            with self._worker(tool) as worker:
                memory.append(worker.call_watched("build", directory=folder)[1])
        times = self._repeated([partial(build, *tool) for tool in self._tools])
        self._add_times("build", times)
        self._add("build_memory", memory)

    def _simulate(self) -> None:
        samples, times = self._path("samples.npy"), []
        few = min(self.case.peer_answers, self.answers)
        with ExitStack() as stack:
            workers, memory, counts, answers = [], [], [], []
            for tool, folder in self._tools:
                worker = stack.enter_context(self._worker(tool))
                workers.append(worker)
                worker.call("attach", directory=folder)
                output = f"{folder}.npy"
                memory.append(worker.call_watched("answer", samples=samples, output=output, count=few)[1])
                if tool == _OURS:
                    worker.call("answer", samples=samples, output=output, count=self.answers)
                answers.append(np.load(output))
                if self.case.speed:
                    counts.append(self._count(worker, "simulate"))
            workers[0].call("emulator_answer", samples=samples, output=self._path("emulator.npy"))
            if self.case.speed:
                ours = partial(workers[0].call, samples=samples, count=counts[0])
                times = self._repeated(
                    [
                        *(partial(w.call, "simulate", samples=samples, count=n) for w, n in zip(workers, counts)),
                        partial(ours, "simulate", threads=None),
                        partial(ours, "simulate_integers"),
                    ]
                )
        self._compare(answers)
        if self.case.speed:
            *each, cores, integers = times
            self._add_rates("simulation", counts, each)
            self._add_rates("simulation_cores", counts, [cores, *each[1:]])
            self._add_rates("simulation_integers", counts[:1], [integers])
            self._add("simulation_memory", memory, samples=few)

    def _compare(self, answers: Sequence[npt.NDArray[Any]]) -> None:
        """Add what the C-simulations' answers are worth; the peer's may be fewer."""
        wanted, emulated = np.load(self._path("keras.npy")), np.load(self._path("emulator.npy"))
        pairs = [(answer.reshape(-1, *wanted.shape[1:]), wanted[: len(answer)]) for answer in answers]
        counts = [len(answer) for answer in answers]
        self._add("equal_keras", [_equal_percent(*pair) for pair in pairs], samples=counts)
        self._add("argmax_keras", [_same_argmax_percent(*pair) for pair in pairs], samples=counts)
        self._add("largest_difference", [_largest_difference(*pair) for pair in pairs], samples=counts)
        self._add("emulator_csim_bits", [_differing_bits(emulated, answers[0])], samples=len(emulated))
        self._add("emulator_keras_bits", [_differing_bits(emulated, wanted)], samples=len(emulated))

    def _emulate(self, keras: Worker) -> None:
        samples, count = self._path("samples.npy"), self.answers
        sizes = sorted({min(size or count, count) for size in self.settings.batch_sizes})
        with self._worker(_OURS) as ours:
            ours.call("attach", directory=self._path("ours"))
            for size in sizes:
                # The first time compiles.
                keras.call("predict", samples=samples, batch_size=size)
            times = self._repeated(
                [
                    partial(ours.call, "emulate", samples=samples, count=count),
                    *(partial(keras.call, "predict", samples=samples, batch_size=size) for size in sizes),
                ]
            )
        best = min(range(len(sizes)), key=lambda i: median(times[1 + i]))
        self._add_rates(
            "emulator",
            [count, count],
            [times[0], times[1 + best]],
            batch_size=sizes[best],
            predict_seconds=dict(zip(map(str, sizes), times[1:])),
        )

    def _grow(self, keras: Worker) -> None:
        """Convert smaller networks and the whole one, each in a process of its own that has converted it before."""
        weights, paths = [], []
        for number in range(len(self.case.smaller)):
            paths.append(self._model(f"smaller_{number}"))
            weights.append(keras.call("save_smaller", case=self.name, number=number, output=paths[-1]))
        weights.append(self.about["weights"])
        paths.append(self._model())
        with ExitStack() as stack:
            measures = []
            for number, path in enumerate(paths):
                worker = stack.enter_context(self._worker(_OURS))
                worker.call("open", model=path, **self._opening)
                convert = partial(worker.call, "convert", directory=self._path(f"grown_{number}"), **self._conversion)
                convert()
                measures.append(convert)
            times = self._repeated(measures)
        each = [median(seconds) / count for seconds, count in zip(times, weights)]
        self._add("convert_growth", [each[-1] / each[0]], weights=weights, seconds=times)

    def _read_files(self, keras: Worker) -> None:
        """Read the network's .json and .h5 in fresh interpreters, which fail if that has imported TensorFlow or Keras."""
        path = self._path("reading.json")
        keras.call("save_for_reading", samples=self._path("samples.npy"), case=self.name, output=path)
        # A network without quantizers needs types, and samples to choose them take longer than reading.
        types = {"precision": "fixed<16,6>"} if self.case.calibration else {}
        read = (
            f"import keras_hls, sys; keras_hls.snapshot({path!r}, weights={path[:-5] + '.h5'!r}, **{types!r}); "
            "assert not {'tensorflow', 'keras', 'tf_keras'} & set(sys.modules)"
        )
        statements = [partial(start_seconds, statement, str(self.folder)) for statement in ("pass", read)]
        try:
            times = self._repeated(statements)
        except CalledProcessError as error:
            raise WorkerError(_OURS, f"the .json and .h5 aren't read without TensorFlow: {error.stderr}") from error
        self._add("read_files", [median(times[1]) - median(times[0])], seconds=times[1], bare=times[0])

    def _count(self, worker: Worker, call: str) -> int:
        """How many samples a run takes so that it lasts long enough."""
        samples = self._path("samples.npy")

        def run(count: int) -> float:
            return float(worker.call(call, samples=samples, count=count))

        few = max(self.settings.samples // 1000, 1)
        run(few)
        return long_enough(run, self.settings.seconds, few, room(samples))


def _equal_percent(answers: npt.NDArray[Any], wanted: npt.NDArray[Any]) -> float:
    """The share of values that are the same number, in percent."""
    return 100 * float(np.mean(answers.astype(np.float64) == wanted.astype(np.float64)))


def _same_argmax_percent(answers: npt.NDArray[Any], wanted: npt.NDArray[Any]) -> float:
    """The share of samples whose largest output is the same one, in percent."""
    return 100 * float(np.mean(answers.argmax(-1) == wanted.argmax(-1)))


def _largest_difference(answers: npt.NDArray[Any], wanted: npt.NDArray[Any]) -> float:
    return float(np.abs(answers.astype(np.float64) - wanted.astype(np.float64)).max(initial=0))


def _differing_bits(first: npt.NDArray[Any], second: npt.NDArray[Any]) -> int:
    """How many bits of the values, as double-precision numbers, differ."""
    # Adding zero makes one zero of the two.
    bits = [(np.asarray(a, np.float64).reshape(-1) + 0.0).view(np.uint64) for a in (first, second)]
    return int(np.unpackbits((bits[0] ^ bits[1]).view(np.uint8)).sum())
