"""Leave the last function to whoever reads the answer, where it needs no hardware."""

from __future__ import annotations

from dataclasses import replace

from keras_hls.graph import Graph, Place


def leave_to_host(graph: Graph) -> Graph:
    """Return the graph without a softmax at its outputs, with a note a layer; one inside the network is computed."""
    renamed: dict[str, str] = {}
    notes: list[str] = []
    for node in graph.nodes:
        if node.op.host is None:
            continue
        if graph.readers[node.name]:
            notes.append(
                f"The {node.op.host} of layer {node.layer!r} stands inside the network, so the hardware computes it, off by"
                f" at most {node.op.error(*graph.input_types(node)):.2g}."
            )
            continue
        renamed[node.name] = node.inputs[0]
        notes.append(
            f"The {node.op.host} of layer {node.layer!r} is left to the host: the hardware answers its input, whose argmax is"
            " the same. Pass softmax='hardware' to compute it."
        )
    left = graph.moved({name: Place(source, before=graph[name].op.host or "") for name, source in renamed.items()})
    before = graph.host or ("",) * len(graph.outputs)
    host = tuple(graph[name].op.host or "" if name in renamed else old for name, old in zip(graph.outputs, before))
    return replace(left.without(renamed), notes=tuple(dict.fromkeys((*graph.notes, *notes))), host=host)
