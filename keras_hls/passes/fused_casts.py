"""Let an op do the cast that follows it, where one op can do both."""

from __future__ import annotations

from keras_hls.graph import Graph, Place
from keras_hls.op import Op


def fuse_casts(graph: Graph) -> Graph:
    """Return the graph with casts drawn into the op before them, where that has no other reader.

    ::

        table -> quantizer -> y    =>    table of quantized entries -> y
    """
    renamed: dict[str, str] = {}
    seen: dict[str, Place | None] = {}
    ops: dict[str, Op] = {}
    for node in graph:
        if node.op.cast is None:
            continue
        source = graph[node.inputs[0]]
        while source.name in renamed:
            source = graph[renamed[source.name]]
        before = node.inputs[0]
        if before in graph.outputs or graph.readers[before] != (node,) or source.keeps is not None:
            continue
        fused = ops.get(source.name, source.op).fused(node.op.cast, *graph.input_types(source))
        if fused is not None:
            ops[source.name] = fused
            renamed[node.name] = source.name
            to = node.op.cast.uniform
            seen[node.name] = None if to is None else Place(source.name, casts=(to,))
    return graph.fused(ops, renamed, seen) if renamed else graph
