"""C-simulation: runs a written project's C++ over samples, beside this process and not in it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_hls.errors import CSimulationError
from keras_hls.fixed import IntArray
from keras_hls.graph import Graph
from keras_hls.sim import worker
from keras_hls.sim.compiler import build

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

    def run(self, inputs: Sequence[IntArray], threads: int | None = None) -> list[IntArray]:
        """Return raw integers of the outputs for raw integers of the inputs, each of shape (n, ...).

        Parameters
        ----------
        threads : int, optional
            By default one a processor core.

        Raises
        ------
        CompilerNotFound
            If there is no compiler.
        CSimulationError
            If the C++ doesn't compile, or crashes.
        """
        library = self.build()
        outputs = [self.graph.types[name] for name in self.graph.outputs]
        count = len(inputs[0])
        row = 8 * (sum(a[0].size for a in inputs if count) + sum(t.size for t in outputs))
        step = max(_SLICE_BYTES // max(row, 1), 1)
        parts = [
            self._slice(library, [a[i : i + step] for a in inputs], threads or os.cpu_count() or 1)
            for i in range(0, count, step)
        ]
        if not parts:
            return [np.empty((0, *t.shape), np.int64) for t in outputs]
        return [np.concatenate(arrays) if len(parts) > 1 else arrays[0] for arrays in zip(*parts)]

    def _slice(self, library: Path, inputs: Sequence[IntArray], threads: int) -> list[IntArray]:
        what = f"C-simulation of {self.name!r} in {str(self.folder)!r}"
        try:
            with tempfile.TemporaryDirectory(prefix="keras_hls-") as folder:
                return self._call(what, library, inputs, threads, Path(folder) / "samples")
        except OSError as error:
            raise CSimulationError(f"{what} can't be run: {error}") from None

    def _call(self, what: str, library: Path, inputs: Sequence[IntArray], threads: int, path: Path) -> list[IntArray]:
        outputs = [self.graph.types[name] for name in self.graph.outputs]
        count = len(inputs[0])
        sizes = [a[0].size for a in inputs], [t.size for t in outputs]
        memory = _reserve(path, count * (sum(sizes[0]) + sum(sizes[1])) + 1)
        place = 0
        for array in inputs:
            memory[place : place + array.size] = array.reshape(-1)
            place += array.size
        texts = [",".join(map(str, group)) for group in sizes]
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
        if memory[-1] != count:
            raise CSimulationError(f"{what} failed: it ended before its last sample")
        results = []
        for kind in outputs:
            results.append(np.array(memory[place : place + count * kind.size]).reshape(count, *kind.shape))
            place += count * kind.size
        return results


def _reserve(path: Path, words: int) -> np.memmap[Any, np.dtype[np.int64]]:
    """Return a file as integers in memory; its space is taken at once, as a full disk under a mapped file kills."""
    with path.open("wb") as file:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, 8 * words)
        else:
            file.truncate(8 * words)
    return np.memmap(path, np.int64, "r+", shape=(words,))


def _why(done: subprocess.CompletedProcess[str]) -> str:
    if done.returncode < 0:
        try:
            return f"crashed with {signal.Signals(-done.returncode).name}"
        except ValueError:
            return f"crashed with signal {-done.returncode}"
    return f"failed: {(done.stderr.strip().splitlines() or ['no message'])[-1]}"
