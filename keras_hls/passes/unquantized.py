"""What a model doesn't say the types of: weights and inputs without quantizers."""

from __future__ import annotations

from keras_hls.errors import UnsupportedModel, without_quantizers
from keras_hls.graph import Graph, Input
from keras_hls.op import reals
from keras_hls.passes.moved_inputs import MovedInputs


def unquantized(graph: Graph) -> dict[str, tuple[str, ...]]:
    """Return the layers whose types the model doesn't say, each with the weights that have none; () for an input."""
    moved = MovedInputs(graph)
    found: dict[str, tuple[str, ...]] = {}
    for node in graph.inputs:
        if moved.plain[node.name] and isinstance(node.op, Input) and node.op.port is None:
            found[node.layer] = ()
    for node in graph:
        if names := tuple(name for name, _ in reals(node.op)):
            found[node.layer] = (*found.get(node.layer, ()), *names)
    return found


def refuse_unquantized(graph: Graph) -> Graph:
    """Return the graph if every type is known.

    Raises
    ------
    UnsupportedModel
        Names every layer whose weights have no quantizer, and every input that none reads.
    """
    open_ones = unquantized(graph)
    if not open_ones:
        return graph
    moved = MovedInputs(graph)
    inputs = {node.layer: moved.problem(node) for node in graph.inputs}
    raise UnsupportedModel(
        (
            f"{layer!r}: {without_quantizers(weights)}" if weights else inputs[layer]
            for layer, weights in open_ones.items()
        ),
        inputs=() if any(open_ones.values()) else open_ones,
    )
