"""The integer emulator: what will the hardware answer?"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from keras_hls.errors import InvalidData
from keras_hls.fixed import FloatCast, IntArray
from keras_hls.graph import Graph, Input, Node, bind

#: Int64 values that one step may hold: two such arrays stay in a core's cache.
_CHUNK_VALUES = 1 << 16

Samples = npt.ArrayLike | Sequence[npt.ArrayLike] | dict[str, npt.ArrayLike]


class Emulator:
    """Runs a graph on integers, vectorised over the batch.

    Parameters
    ----------
    graph : Graph
        As `keras_hls.passes.prepare` returns it.
    """

    def __init__(self, graph: Graph):
        self.graph = graph
        types = graph.types
        self._steps: list[tuple[str, Callable[..., IntArray], tuple[str, ...], tuple[str, ...]]] = []
        last = {name: node.name for node in graph for name in node.inputs}
        for node in graph:
            if isinstance(node.op, Input):
                continue
            done = tuple(
                name for name in dict.fromkeys(node.inputs) if last[name] == node.name and name not in graph.outputs
            )
            self._steps.append((node.name, bind(node, graph.input_types(node)), node.inputs, done))
        widest = max((t.size for t in types.values()), default=1)
        self._chunk = max(_CHUNK_VALUES // max(widest, 1), 16)

    def run(self, inputs: Sequence[IntArray], keep: Sequence[str] | None = None) -> list[IntArray]:
        """Return raw integers of the outputs (or of the nodes `keep`) for raw integers of the inputs, each (n, ...)."""
        names = list(self.graph.outputs if keep is None else keep)
        count = len(inputs[0])
        outputs = [np.empty((count, *self.graph.types[name].shape), np.int64) for name in names]

        def part(start: int) -> None:
            stop = min(start + self._chunk, count)
            values = {node.name: raw[start:stop] for node, raw in zip(self.graph.inputs, inputs)}
            for name, function, sources, done in self._steps:
                values[name] = function(*(values[source] for source in sources))
                if not sources:
                    # What is known is known once for all samples.
                    values[name] = np.broadcast_to(values[name], (stop - start, *values[name].shape[1:]))
                if keep is None:
                    for source in done:
                        del values[source]
            for output, name in zip(outputs, names):
                output[start:stop] = values[name]

        starts = range(0, count, self._chunk)
        # numpy releases the lock in its loops, so chunks run side by side.
        workers = min(os.cpu_count() or 1, len(starts))
        if workers > 1:
            with ThreadPoolExecutor(workers) as pool:
                list(pool.map(part, starts))
        else:
            for start in starts:
                part(start)
        return outputs


@dataclass(frozen=True)
class Feed:
    """Checked samples of one input, which become the integers that enter the hardware when and where they are needed."""

    samples: npt.NDArray[Any]
    op: Input
    cast: FloatCast

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, part: slice) -> Feed:
        return Feed(self.samples[part], self.op, self.cast)

    def into(self, out: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Fill an integer array of the samples' shape, and return it."""
        op = self.op
        assert op.formats is not None
        assert op.port is not None
        # The port holds every format, so its grid is no coarser.
        finer = op.port.frac - op.formats.frac
        chunk = max(_CHUNK_VALUES // max(prod(op.shape), 1), 16)
        for start in range(0, len(out), chunk):
            piece = self.samples[start : start + chunk]
            # A model that takes float32 rounds more precise samples before it does anything else.
            own = self.cast(_rounded(piece) if op.samples == "float32" else piece)
            out[start : start + chunk] = own << finer if finer else own
        return out


def to_raw(graph: Graph, x: Samples) -> list[IntArray]:
    """Return samples as the raw integers that enter the hardware, one int64 array an input; see `feeds`."""
    return [feed.into(np.empty(feed.samples.shape, np.int64)) for feed in feeds(graph, x)]


def feeds(graph: Graph, x: Samples) -> list[Feed]:
    """Return samples, checked and ready to enter the hardware, one feed an input.

    Parameters
    ----------
    x : array, sequence of arrays or dict of arrays by input name
        Each of shape (n, *shape of the input); any numeric dtype.

    Raises
    ------
    InvalidData
        For a wrong number of inputs or a wrong shape; when they are used, for values that are NaN or infinite.
    """
    found = []
    for node, array in zip(graph.inputs, sample_arrays(graph, x)):
        op = node.op
        assert isinstance(op, Input)
        assert op.formats is not None
        found.append(Feed(array, op, FloatCast(op.formats)))
    return found


def sample_arrays(graph: Graph, x: Samples) -> list[npt.NDArray[Any]]:
    """Return samples as one array an input, in the model's order, checked but for NaN and infinite values; see `feeds`."""
    nodes = graph.inputs
    if isinstance(x, dict):
        names = [node.layer for node in nodes]
        if set(x) != set(names):
            raise InvalidData(f"Samples must be given for inputs {', '.join(names)}, not {', '.join(map(str, x))}")
        values: list[Any] = [x[name] for name in names]
    elif len(nodes) == 1 and not (isinstance(x, (list, tuple)) and len(x) == 1 and np.ndim(x[0]) == _rank(nodes[0].op)):
        values = [x]
    else:
        try:
            values = list(x)  # type: ignore[arg-type]
        except TypeError:
            raise InvalidData(f"Samples must be {len(nodes)} arrays, one an input, not {x!r}") from None
    if len(values) != len(nodes):
        raise InvalidData(f"Samples must be {len(nodes)} arrays, one an input, not {len(values)}")
    arrays = [_array(value, node) for value, node in zip(values, nodes)]
    for node, array in zip(nodes, arrays):
        op = node.op
        assert isinstance(op, Input)
        if array.dtype.kind not in "fiub":
            raise InvalidData(f"Samples of input {node.layer!r} must be numbers, not {array.dtype}")
        if array.ndim != _rank(op) or array.shape[1:] != op.shape:
            raise InvalidData(
                f"Samples of input {node.layer!r} must have shape (n, {', '.join(map(str, op.shape))}), not {array.shape}"
            )
        if op.limits is not None and array.size and not op.limits[0] <= array.min() <= array.max() <= op.limits[1]:
            raise InvalidData(
                f"Samples of input {node.layer!r} must be whole numbers from {op.limits[0]} to {op.limits[1]}, and one is"
                f" {array.min() if array.min() < op.limits[0] else array.max()}"
            )
        if len(array) != len(arrays[0]):
            raise InvalidData(f"All inputs must have as many samples, not {len(arrays[0])} and {len(array)}")
    return arrays


def _array(value: npt.ArrayLike, node: Node) -> npt.NDArray[Any]:
    try:
        return np.asarray(value)
    except ValueError as error:
        raise InvalidData(f"Samples of input {node.layer!r} must be an array: {error}") from None


def _rounded(array: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    with np.errstate(over="ignore"):
        return array.astype(np.float32, copy=False)


def _rank(op: object) -> int:
    return len(op.shape) + 1 if isinstance(op, Input) else 0


def to_floats(graph: Graph, raws: Sequence[IntArray]) -> npt.NDArray[np.float64] | list[npt.NDArray[np.float64]]:
    """Return the values of the outputs' raw integers: one array, or a list if the model has several outputs."""
    values = [graph.types[name].to_float(raw) for name, raw in zip(graph.outputs, raws)]
    return values[0] if len(values) == 1 else values


def predict(graph: Graph, x: Samples) -> npt.NDArray[np.float64] | list[npt.NDArray[np.float64]]:
    """Return what the hardware answers to floating-point samples."""
    return to_floats(graph, Emulator(graph).run(to_raw(graph, x)))
