"""C-simulation: runs a written project's C++ over samples, beside this process and not in it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from keras_hls.errors import CSimulationError
from keras_hls.fixed import IntArray
from keras_hls.graph import Graph
from keras_hls.sim import worker
from keras_hls.sim.compiler import build
from keras_hls.sim.emulator import Feed

# Bytes of samples that one process is given at a time; bounds the disk space in use.
_SLICE_BYTES = 256 << 20


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
        """
        library = self.build()
        count = len(inputs[0])
        step = max(_SLICE_BYTES // sum(port.row for port in self._ports()), 1)
        parts = [
            self._slice(library, [a[i : i + step] for a in inputs], threads or os.cpu_count() or 1, floats)
            for i in range(0, count, step)
        ]
        if not parts:
            kind = np.float64 if floats else np.int64
            return [np.empty((0, *self.graph.types[name].shape), kind) for name in self.graph.outputs]
        return [np.concatenate(arrays) if len(parts) > 1 else arrays[0] for arrays in zip(*parts)]

    def _slice(
        self, library: Path, inputs: Sequence[IntArray | Feed], threads: int, floats: bool
    ) -> list[npt.NDArray[Any]]:
        what = f"C-simulation of {self.name!r} in {str(self.folder)!r}"
        try:
            with tempfile.TemporaryDirectory(prefix="keras_hls-") as folder:
                answers = self._call(what, library, inputs, threads, Path(folder) / "samples")
                if not floats:
                    return [raw.astype(np.int64) for raw in answers]
                return [self.graph.types[name].to_float(raw) for name, raw in zip(self.graph.outputs, answers)]
        except OSError as error:
            raise CSimulationError(f"{what} can't be run: {error}") from None

    def _call(
        self, what: str, library: Path, inputs: Sequence[IntArray | Feed], threads: int, path: Path
    ) -> list[npt.NDArray[Any]]:
        count, ports = len(inputs[0]), self._ports()
        # Regions start where any word may start, and behind the last is a word for the worker.
        starts = list(accumulate((-(-count * port.row // 8) * 8 for port in ports), initial=0))
        memory = _reserve(path, starts[-1] + 8)
        values = [np.ndarray((count, *port.shape), port.dtype, memory, start) for port, start in zip(ports, starts)]
        for place, array in zip(values, inputs):
            if isinstance(array, Feed):
                array.into(place)
            else:
                place[...] = array
        places = [f"{start}:{port.row}" for port, start in zip(ports, starts)]
        texts = [",".join(places[: len(inputs)]), ",".join(places[len(inputs) :])]
        command = [sys.executable, "-I", "-S", worker.__file__, str(library), str(path), str(count), str(threads)]
        done = subprocess.run(
            [*command, *texts],
            capture_output=True,
            text=True,
            errors="replace",
            stdin=subprocess.DEVNULL,
            check=False,
        )
        if done.returncode:
            raise CSimulationError(f"{what} {_why(done)}")
        if memory[-8:].view(np.int64)[0] != count:
            raise CSimulationError(f"{what} failed: it ended before its last sample")
        return values[len(inputs) :]

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


def _reserve(path: Path, size: int) -> np.memmap[Any, np.dtype[np.uint8]]:
    """Return a file as memory; its space is taken at once, as a full disk under a mapped file kills."""
    with path.open("wb") as file:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size)
        else:
            file.truncate(size)
    return np.memmap(path, np.uint8, "r+", shape=(size,))


def _why(done: subprocess.CompletedProcess[str]) -> str:
    if done.returncode < 0:
        try:
            return f"crashed with {signal.Signals(-done.returncode).name}"
        except ValueError:
            return f"crashed with signal {-done.returncode}"
    return f"failed: {(done.stderr.strip().splitlines() or ['no message'])[-1]}"
