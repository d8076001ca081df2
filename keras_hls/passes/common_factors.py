"""Multiply once by what all weights of an output have in common, behind their sum."""

from __future__ import annotations

from dataclasses import replace

from keras_hls.fixed import TensorType
from keras_hls.graph import Graph, Names, Node
from keras_hls.op import Op, Plan

#: By how much multipliers must shrink for a multiplication more behind each sum, which comes with a stage of delay.
_WORTH = 2


def take_out_factors(graph: Graph) -> Graph:
    """Return the graph with layers split into one of short weights and one that multiplies each output by a number.

    A quantizer whose scale is no power of two, such as one a channel, makes weights that are whole numbers of few bits times
    that scale, all of which would be multipliers by constants of 24 bits and more.

    ::

        dense of 24-bit weights -> y    =>    dense of 4-bit weights -> times a 24-bit number, plus bias -> y
    """
    nodes: list[Node] = []
    names = Names(node.name for node in graph)
    for node in graph:
        split = _split(graph, node)
        if split is None:
            nodes.append(node)
            continue
        sums = names.free(f"{node.name}_sums")
        first, then = split
        # Who reads the node, or looks for a layer's answer there, finds the same value.
        nodes += [replace(node, name=sums, op=first), replace(node, op=then, inputs=(sums,))]
    return graph if len(nodes) == len(graph) else replace(graph, nodes=tuple(nodes))


def _split(graph: Graph, node: Node) -> tuple[Op, Op] | None:
    """The two ops that do the same with less, where there are."""
    if node.keeps is not None:
        return None
    split = node.op.factored()
    if split is None:
        return None
    given = graph.input_types(node)
    first, then = split
    before = _adders(node.op, *given)
    after = _adders(first, *given) + _adders(then, first.infer(*given))
    return split if before >= _WORTH * after else None


def _adders(op: Op, *inputs: TensorType) -> int:
    """How many bits of adders an op's multipliers by constants take: one adder for each digit but the first."""
    units = op.work(*inputs, plan=Plan()).units
    return sum(u.count * (u.digits - 1) * u.widths[0] for u in units if u.kind == "constant_multiply")
