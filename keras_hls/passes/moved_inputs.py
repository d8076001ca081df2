"""Where the elements of inputs go: through operations that only move them, to the casts that read them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
import numpy.typing as npt

from keras_hls.errors import CHOOSE_TYPES, HLSError
from keras_hls.fixed import BoolArray, Formats, IntArray, TensorType
from keras_hls.graph import Graph, Input, Node


@dataclass(frozen=True)
class Reading:
    """A cast that reads elements of inputs.

    Parameters
    ----------
    node : Node
    elements : int array of the shape that it reads
        Number of an element in `MovedInputs.starts`'s order, from 1; 0 for what is no input's.
    """

    node: Node
    elements: IntArray

    def formats(self, first: int, count: int) -> list[tuple[Formats, BoolArray]]:
        """Return what is asked of an input's elements: each time formats, one an element, and which elements are asked for.

        Parameters
        ----------
        first : int
            Number of the input's first element.
        count : int
            Of its elements. One that is read twice is asked for twice.
        """
        cast = self.node.op.cast
        assert cast is not None
        places = np.flatnonzero((self.elements >= first).reshape(-1) & (self.elements < first + count).reshape(-1))
        elements = self.elements.reshape(-1)[places] - first
        asked = []
        while places.size:
            now, index = np.unique(elements, return_index=True)
            read = np.zeros(count, bool)
            read[now] = True
            asked.append((cast.map(partial(self._spread, now, places[index], count)), read))
            places, elements = np.delete(places, index), np.delete(elements, index)
        return asked

    def _spread(self, now: IntArray, places: IntArray, count: int, values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """What a cast has at some places, as that of the elements that stand there; 0 for all others."""
        whole = np.zeros(count, values.dtype)
        whole[now] = np.broadcast_to(values, self.elements.shape).reshape(-1)[places]
        return whole


class MovedInputs:
    """The walk from the inputs through operations that only move elements.

    Attributes
    ----------
    starts : dict of str to int
        By input, the number of its first element; all inputs' elements are numbered on.
    readings : list of Reading
        All casts that read elements of inputs.
    plain : dict of str to list of str
        By input, the layers that read its elements otherwise, or "" for an output.
    """

    def __init__(self, graph: Graph):
        self.graph = graph
        self.starts: dict[str, int] = {}
        self.readings: list[Reading] = []
        self.plain: dict[str, list[str]] = {}
        self._plain_nodes: set[str] = set()
        total = 1
        #: For each node that has elements of inputs, their numbers and the inputs that they are from.
        self._elements: dict[str, IntArray] = {}
        self._sources: dict[str, frozenset[str]] = {}
        for node in graph.inputs:
            assert isinstance(node.op, Input)
            size = int(np.prod(node.op.shape, dtype=int))
            self.starts[node.name], self.plain[node.name] = total, []
            self._elements[node.name] = np.arange(total, total + size).reshape(node.op.shape)
            self._sources[node.name] = frozenset({node.name})
            total += size
        self._total = total
        for node in graph:
            if not isinstance(node.op, Input) and any(name in self._elements for name in node.inputs):
                self._visit(node)
        for name in graph.outputs:
            self._is_plain(self._sources.get(name, ()), "")

    def _is_plain(self, sources: frozenset[str] | tuple[()], layer: str) -> None:
        for source in sources:
            if layer not in self.plain[source]:
                self.plain[source].append(layer)

    def _visit(self, node: Node) -> None:
        sources = frozenset().union(*(self._sources.get(name, frozenset()) for name in node.inputs))
        if node.op.cast is not None:
            self.readings.append(Reading(node, self._elements[node.inputs[0]]))
            return
        parts = [self._part(name) for name in node.inputs] if node.op.moves else [None]
        known = [part for part in parts if part is not None]
        if len(known) < len(parts):
            self._is_plain(sources, node.layer)
            self._plain_nodes.add(node.name)
            return
        types = [TensorType(np.zeros(part.shape), np.full(part.shape, self._total), 0) for part in known]
        (self._elements[node.name],) = node.op.bind(*types)(*(part[None] for part in known))
        self._sources[node.name] = sources

    def holding(self, inputs: Iterable[str]) -> list[str]:
        """Return the nodes that have elements of some inputs, as these are: the inputs themselves among them."""
        return [name for name, sources in self._sources.items() if sources.intersection(inputs)]

    def plain_readers(self, name: str) -> set[str]:
        """Return the direct readers of an input through which something other than a cast sees it; "" for an output."""
        leads: dict[str, bool] = {}
        for node in reversed(self.graph.nodes):
            further = node.name in self.graph.outputs or any(leads[r.name] for r in self.graph.readers[node.name])
            leads[node.name] = node.name in self._plain_nodes or (node.op.moves and further)
        found = {reader.name for reader in self.graph.readers[name] if leads[reader.name]}
        return found | ({""} if name in self.graph.outputs else set())

    def problem(self, node: Node) -> str:
        """Return the sentence that refuses an input that is read without a quantizer."""
        readers = ", ".join(sorted(repr(layer) if layer else "an output" for layer in self.plain[node.name]))
        return (
            f"{node.layer!r} (input): {readers} reads it without a quantizer, so its precision is unknown; {CHOOSE_TYPES}, or put a"
            " Quantizer layer behind the input"
        )

    def _part(self, name: str) -> IntArray | None:
        """The numbers of a tensor's elements: zeros where it is computed; None if its shape can't be known yet."""
        if name in self._elements:
            return self._elements[name]
        shape = self._shapes.get(name)
        return None if shape is None else np.zeros(shape, np.int64)

    @cached_property
    def _shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of tensors, as far as they follow without the types of inputs."""
        types: dict[str, TensorType] = {}
        for node in self.graph:
            try:
                if isinstance(node.op, Input):
                    types[node.name] = TensorType(np.zeros(node.op.shape), np.zeros(node.op.shape), 0)
                else:
                    inputs = [types[name] for name in node.inputs]
                    types[node.name] = node.op.settle(*inputs, frac=None).infer(*inputs)
            except (HLSError, ValueError, KeyError):
                # It may hold weights without types, or be something that can't be computed of zeros.
                continue
        return {name: kind.shape for name, kind in types.items()}
