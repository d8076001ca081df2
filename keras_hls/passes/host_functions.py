"""Leave the last function to whoever reads the answer, where it needs no hardware."""

from __future__ import annotations

from dataclasses import replace

from keras_hls.errors import UnsupportedModel
from keras_hls.graph import Graph


def leave_to_host(graph: Graph) -> Graph:
    """Return the graph without a softmax at its outputs, with a note a layer.

    Raises
    ------
    UnsupportedModel
        If such a function stands inside the network, where it has to be computed.
    """
    renamed: dict[str, str] = {}
    notes: list[str] = []
    problems: list[str] = []
    for node in graph.nodes:
        if node.op.host is None:
            continue
        if graph.readers[node.name]:
            problems.append(
                f"{node.layer!r}: a {node.op.host} inside the network must be computed; pass {node.op.host}='hardware'"
            )
            continue
        renamed[node.name] = node.inputs[0]
        notes.append(
            f"The {node.op.host} of layer {node.layer!r} is left to the host: the hardware answers its input, whose argmax is"
            f" the same. Pass {node.op.host}='hardware' to compute it."
        )
    if problems:
        raise UnsupportedModel(problems)
    before = graph.host or ("",) * len(graph.outputs)
    host = tuple(graph[name].op.host or "" if name in renamed else old for name, old in zip(graph.outputs, before))
    return replace(graph.without(renamed), notes=graph.notes + tuple(notes), host=host)
