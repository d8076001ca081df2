"""C-simulation: runs a written project's C++ over samples, beside this process and not in it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import accumulate
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from keras_hls.errors import CSimulationError, InvalidOption
from keras_hls.fixed import IntArray
from keras_hls.graph import Graph
from keras_hls.sim import worker
from keras_hls.sim.compiler import build
from keras_hls.sim.emulator import Feed
from keras_hls.sim.quick_cast import QuickCast

# Bytes of samples that the C++ is given at a time: they stay in the processor's cache between the two processes.
_SLICE_BYTES = 4 << 20
#: Samples that each thread gets of a slice, at least.
_LEAST_SAMPLES = 4
#: Threads that run C++ for one that casts samples; even small networks take several times as long.
_RUN_FOR_CAST = 8


class CSimulation:
    """The C++ of one project, built when it is first needed.

    Parameters
    ----------
    folder : Path
        The project.
    name : str
        Its top function.
    graph : Graph
        Whose shapes the ports have.
    """

    def __init__(self, folder: Path, name: str, graph: Graph):
        self.folder, self.name, self.graph = folder, name, graph

    def build(self) -> Path:
        """Return the shared library; compiles only what isn't in the cache.

        Raises
        ------
        CompilerNotFound, CSimulationError
        """
        return build(self.folder, self.name)

    def run(
        self, inputs: Sequence[IntArray | Feed], threads: int | None = None, *, floats: bool = False
    ) -> list[npt.NDArray[Any]]:
        """Return what the outputs are for inputs of shape (n, ...).

        Parameters
        ----------
        inputs : sequence
            Raw integers, or feeds of samples, one an input.
        threads : int, optional
            By default one a processor core.
        floats : bool
            Whether to return values, as float64, instead of raw integers, as int64.

        Raises
        ------
        CompilerNotFound
            If there is no compiler.
        CSimulationError
            If the C++ doesn't compile, or crashes.
        InvalidOption
            If there can't be so many threads.
        """
        library = self.build()
        count = len(inputs[0])
        if threads is not None and (not isinstance(threads, int) or threads < 1):
            raise InvalidOption(f"threads must be a positive integer, not {threads!r}")
        threads = min(threads or os.cpu_count() or 1, max(count, 1))
        types = [self.graph.types[name] for name in self.graph.outputs]
        # In units of one, or as values.
        units = [np.ldexp(1.0, -kind.frac) if floats else 1 for kind in types]
        answers = [np.empty((count, *kind.shape), np.float64 if floats else np.int64) for kind in types]
        if not count:
            return answers
        ports = self._ports()
        step = max(_SLICE_BYTES // sum(port.row for port in ports), _LEAST_SAMPLES * threads)
        casting = -(-threads // _RUN_FOR_CAST)
        fills = [_filler(array, port, casting) for array, port in zip(inputs, ports)]

        def finish(running: _Process, slot: int, start: int, size: int) -> None:
            running.wait(size)
            for answer, unit, raw in zip(answers, units, running.slots[slot][len(inputs) :]):
                np.multiply(raw[:size], unit, out=answer[start : start + size], dtype=answer.dtype)

        what = f"C-simulation of {self.name!r} in {str(self.folder)!r}"
        # While the C++ works on one slice, the next is made ready; not where one thread is to do all.
        slots = 1 if threads == 1 else 2
        with _process(what, library, ports, len(inputs), min(step, count), slots, threads) as running:
            sent: deque[tuple[int, int, int]] = deque()
            for number, start in enumerate(range(0, count, step)):
                if len(sent) == slots:
                    finish(running, *sent.popleft())
                slot, size = number % slots, min(step, count - start)
                for fill, place in zip(fills, running.slots[slot]):
                    fill(start, place[:size])
                running.start(slot, size)
                sent.append((slot, start, size))
            for part in sent:
                finish(running, *part)
        return answers

    def _ports(self) -> list[_Port]:
        """The ports of the top function, inputs first."""
        names = [node.name for node in self.graph.inputs] + list(self.graph.outputs)
        return [_Port(self.graph.types[name].shape, self.graph.types[name].hull.native) for name in names]


@dataclass(frozen=True)
class _Port:
    """How a port's samples lie in memory: each in so many bytes, as the narrowest integers that hold them."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def row(self) -> int:
        return prod(self.shape) * self.dtype.itemsize


def _filler(array: IntArray | Feed, port: _Port, threads: int) -> Callable[[int, npt.NDArray[Any]], None]:
    """Return what fills an array with raw integers from sample number `start` on."""
    if isinstance(array, Feed):
        return QuickCast(array, port.dtype, threads).into
    given = array

    def copy(start: int, out: npt.NDArray[Any]) -> None:
        out[...] = given[start : start + len(out)]

    return copy


class _Process:
    """The process that runs the C++, and the memory that it shares with this one.

    Parameters
    ----------
    what : str
        What it does, for errors.
    process : Popen
    errors : binary file
        What it says besides its answers.
    slots : list of lists of arrays
        Samples of all ports, as often as the C++ can be given some before it has answered.
    """

    def __init__(
        self, what: str, process: subprocess.Popen[bytes], errors: IO[bytes], slots: list[list[npt.NDArray[Any]]]
    ):
        self._what, self._process, self._errors, self.slots = what, process, errors, slots

    def start(self, slot: int, count: int) -> None:
        """Have the C++ answer to the first samples of a slot."""
        assert self._process.stdin is not None
        # A process that has ended shows where its answer is awaited.
        with suppress(BrokenPipeError):
            self._process.stdin.write(b"%d %d\n" % (slot, count))

    def wait(self, count: int) -> None:
        """Wait until it has answered to so many samples, those that were started first."""
        assert self._process.stdout is not None
        if self._process.stdout.readline().strip() != b"%d" % count:
            raise CSimulationError(f"{self._what} {self._why(self._process.wait())}")

    def end(self) -> None:
        """Wait until it has ended, as it does when there are no more samples."""
        self._process.communicate()
        if code := self._process.returncode:
            raise CSimulationError(f"{self._what} {self._why(code)}")

    def _why(self, code: int) -> str:
        if code == 0:
            return "failed: it ended before its last sample"
        if code < 0:
            try:
                return f"crashed with {signal.Signals(-code).name}"
            except ValueError:
                return f"crashed with signal {-code}"
        self._errors.seek(0)
        said = self._errors.read().decode(errors="replace").strip().splitlines()
        return f"failed: {(said or ['no message'])[-1]}"


@contextmanager
def _process(
    what: str, library: Path, ports: Sequence[_Port], inputs: int, count: int, slots: int, threads: int
) -> Iterator[_Process]:
    """Give the process that C-simulation runs in, with room for `count` samples in each slot; it is ended afterwards."""
    # Regions start where any word may start.
    starts = list(accumulate((-(-count * port.row // 64) * 64 for port in ports), initial=0))
    slot_bytes = starts.pop()
    places = [f"{start}:{port.row}" for start, port in zip(starts, ports)]
    try:
        with tempfile.TemporaryDirectory(prefix="keras_hls-") as folder:
            path = Path(folder) / "samples"
            memory = _reserve(path, slots * slot_bytes)
            arrays = [
                [np.ndarray((count, *p.shape), p.dtype, memory, slot * slot_bytes + s) for s, p in zip(starts, ports)]
                for slot in range(slots)
            ]
            about = map(str, (library, path, slot_bytes, threads))
            texts = [",".join(places[:inputs]), ",".join(places[inputs:])]
            command = [sys.executable, "-I", "-S", worker.__file__, *about, *texts]
            with (
                (Path(folder) / "errors").open("w+b") as errors,
                subprocess.Popen(
                    command, bufsize=0, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors
                ) as process,
            ):
                running = _Process(what, process, errors, arrays)
                try:
                    yield running
                    running.end()
                finally:
                    process.kill()
    except OSError as error:
        raise CSimulationError(f"{what} can't be run: {error}") from None


def _reserve(path: Path, size: int) -> np.memmap[Any, np.dtype[np.uint8]]:
    """Return a file as memory; its space is taken at once, as a full disk under a mapped file kills."""
    with path.open("wb") as file:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size)
        else:
            file.truncate(size)
    return np.memmap(path, np.uint8, "r+", shape=(size,))
