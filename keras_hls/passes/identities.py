"""Remove operations that change nothing."""

from __future__ import annotations

from keras_hls.graph import Graph, Input


def drop_identities(graph: Graph) -> Graph:
    """Return the graph without the operations that are, for what they take, the identity.

    A quantizer behind another that is as narrow, a relu of what is never negative, a reshape to the same shape. An input
    that would become an output keeps its last operation, so that every output is computed by something.
    """
    renamed: dict[str, str] = {}
    for node in graph.nodes:
        if isinstance(node.op, Input) or node.keeps is not None or not node.inputs:
            continue
        if not node.op.identity(*graph.input_types(node)):
            continue
        source = node.inputs[0]
        while source in renamed:
            source = renamed[source]
        if node.name in graph.outputs and isinstance(graph[source].op, Input):
            continue
        renamed[node.name] = source
    return graph.without(renamed) if renamed else graph
