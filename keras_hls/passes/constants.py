"""Take what is known before any sample for what it is: a number."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

import numpy as np

from keras_hls.errors import TooWide
from keras_hls.fixed import Constant, TensorType
from keras_hls.graph import Graph, Input, Node, infer
from keras_hls.passes.dead_nodes import drop_dead_nodes
from keras_hls.wires import Known


def fold_constants(graph: Graph, *, stays: Callable[[Node], bool] = lambda node: False) -> Graph:
    """Return the graph with known numbers in the place of what always answers them, and without what led there.

    An op that adds them to something, or multiplies it by them, becomes one that has them as its constants.

    ::

        x * 0 -> relu -> sum with y    =>    y + 0

    Parameters
    ----------
    graph : Graph
    stays : function
        Says which nodes stay as they are.
    """
    nodes = [node if stays(node) or isinstance(node.op, Input) else _folded(graph, node) for node in graph]
    if all(old is new for old, new in zip(graph.nodes, nodes)):
        return graph
    return drop_dead_nodes(replace(graph, nodes=tuple(nodes)))


def _folded(graph: Graph, node: Node) -> Node:
    kind, types = graph.types[node.name], graph.input_types(node)
    value = _value(kind)
    if value is not None:
        return replace(node, op=Known(value), inputs=(), keeps=None, width=0) if node.inputs else node
    values = [_value(x) for x in types]
    if all(known is None for known in values):
        return node
    op = node.op.knowing(values, *types)
    if op is None:
        return node
    varying = [i for i, known in enumerate(values) if known is None]
    with suppress(TooWide):
        found = infer(node, [types[i] for i in varying], op)
        if found.frac == kind.frac and np.array_equal(found.low, kind.low) and np.array_equal(found.high, kind.high):
            return replace(node, op=op, inputs=tuple(node.inputs[i] for i in varying))
    return node


def _value(kind: TensorType) -> Constant | None:
    """What a tensor always is, if it can't be anything else."""
    return Constant(kind.low, kind.frac) if (kind.low == kind.high).all() else None
