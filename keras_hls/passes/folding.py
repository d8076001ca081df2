"""Draw factors and offsets, such as those of a batch normalisation, into the weights before them."""

from __future__ import annotations

from keras_hls.graph import Graph
from keras_hls.op import Op


def fold_scales(graph: Graph) -> Graph:
    """Return the graph with multiplications by known numbers folded into the op before, where nothing is lost by it.

    Of weights that have no type yet nothing is lost: what is rounded later is their product. Quantized ones are folded only
    if the result is as narrow. Everything else stays an exact op of its own.

    ::

        dense -> batch norm -> y    =>    dense of scaled weights -> y
    """
    renamed: dict[str, str] = {}
    ops: dict[str, Op] = {}
    for node in graph:
        if node.op.scaling is None or len(node.inputs) != 1:
            continue
        before = node.inputs[0]
        source = renamed.get(before, before)
        if before in graph.outputs or graph.readers[before] != (node,) or graph[before].keeps is not None:
            continue
        folded = ops.get(source, graph[source].op).scaled(*node.op.scaling)
        if folded is not None:
            ops[source] = folded
            renamed[node.name] = source
    return graph.fused(ops, renamed) if renamed else graph
