"""Compute no more bits than what reads them keeps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from keras_hls.fixed import MAX_BITS, Fixed, Formats, Quantization, TensorType
from keras_hls.graph import Graph, Node, Place, infer


def narrow(graph: Graph) -> Graph:
    """Return the graph with values kept modulo a power of two where all that reads them looks at their low bits alone.

    A cast that wraps around drops the bits above its own. So do sums and products before it, as they are made modulo any
    power of two. What decides by a value's size, such as relu or a cast that saturates, needs all bits of what it takes.

    ::

        dense, 20 bits -> cast to 8 bits, 3 of them fractional, that wraps    =>    dense, low 8 bits -> cast
    """
    whole: set[str] = set()
    while kept := _kept(graph, whole):
        nodes, worse = _narrowed(graph, kept)
        if not worse:
            break
        whole |= worse
    if not kept or all(old is new for old, new in zip(graph.nodes, nodes)):
        return graph
    # Beside a value that is near enough, what wraps around may be far away.
    near = {place.node for place in graph.places.values() if place is not None and place.off}
    places = {name: None if name in near else Place(name, casts=(to,)) for name, to in _cut(nodes, graph, kept).items()}
    return replace(graph.moved(places), nodes=tuple(nodes))


def _cut(nodes: Sequence[Node], before: Graph, kept: Mapping[str, Fixed]) -> dict[str, Fixed]:
    """For each node whose value isn't what it was, as it or something before it is kept in fewer bits, the type that holds it."""
    cut: dict[str, Fixed] = {}
    for node in nodes:
        if node.name in kept and (node.keeps != before[node.name].keeps or any(name in cut for name in node.inputs)):
            cut[node.name] = kept[node.name]
        elif node.op.wiring and node.inputs[0] in cut:
            cut[node.name] = cut[node.inputs[0]]
    return cut


def _kept(graph: Graph, whole: set[str]) -> dict[str, Fixed]:
    """The types of those values that are kept in fewer bits than they have; none for those that are to stay whole."""
    #: How many low bits of each node's integers its readers need.
    needed = {node.name: MAX_BITS if node.name in graph.outputs or node.name in whole else 1 for node in graph}
    kept: dict[str, Fixed] = {}
    for node in reversed(graph.nodes):
        if not node.inputs:
            continue
        types, kind, bits = graph.input_types(node), graph.types[node.name], needed[node.name]
        fewer = bits < kind.hull.width
        if fewer and node.op.wraps:
            kept[node.name] = Fixed(_signed(graph, node), bits, bits - kind.frac)
        # An op that makes all bits needs all of them; one that can't make fewer may yet need fewer.
        known = node.name in kept or not node.op.wraps
        found = node.op.low_bits(bits if fewer else MAX_BITS, *types) if known else (MAX_BITS,) * len(types)
        for name, low in zip(node.inputs, found):
            needed[name] = max(needed[name], low)
    return kept


def _narrowed(graph: Graph, kept: Mapping[str, Fixed]) -> tuple[list[Node], set[str]]:
    """The graph's nodes with some values kept in fewer bits, and those of them of which readers can't tell as much as before.

    Where a value wraps around, less may be known of it than where its reader does.
    """
    types: dict[str, TensorType] = {}
    nodes: list[Node] = []
    #: By node, those that are kept in fewer bits and have its value, or parts of it.
    behind: dict[str, set[str]] = {}
    worse: set[str] = set()
    for node in graph:
        inputs, old = [types[name] for name in node.inputs], graph.types[node.name]
        behind[node.name] = set().union(*(behind[name] for name in node.inputs)) if node.op.moves else set()
        if node.name in kept:
            all_bits = infer(replace(node, keeps=None), inputs)
            # Of inputs with fewer bits, there may be none to drop any more.
            if Quantization(Formats.of(kept[node.name]), all_bits).overflows.any():
                node = replace(node, keeps=kept[node.name], width=max(node.width, int(old.widths.max())))
            behind[node.name] = {node.name}
        nodes.append(node)
        types[node.name] = new = infer(node, inputs)
        if node.name not in kept and not node.op.wiring and ((new.low < old.low) | (new.high > old.high)).any():
            worse |= set().union(*(behind[name] for name in node.inputs))
    return nodes, worse


def _signed(graph: Graph, node: Node) -> bool:
    """Whether the bits that are kept are taken for a signed number: as what casts them takes them, which then needs not."""
    casts = [reader.op.cast for reader in graph.readers[node.name]]
    signs = [bool((cast.signed & cast.live).any()) for cast in casts if cast is not None]
    return any(signs) if signs else bool((graph.types[node.name].low < 0).any())
