"""Remove what no output needs."""

from __future__ import annotations

from dataclasses import replace

from keras_hls.graph import Graph, Input


def drop_dead_nodes(graph: Graph) -> Graph:
    """Return the graph without the nodes that no output depends on; inputs stay, they are the model's signature.

    ::

        x -> a -> out            x -> a -> out
          -> b (unread)    =>
    """
    needed = set(graph.outputs)
    for node in reversed(graph.nodes):
        if node.name in needed:
            needed.update(node.inputs)
    dead = {n.name for n in graph if n.name not in needed and not isinstance(n.op, Input)}
    return replace(graph.moved(dict.fromkeys(dead)), nodes=tuple(n for n in graph if n.name not in dead))
