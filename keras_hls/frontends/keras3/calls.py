"""Calls of layers and operations in order: what a functional model's graph and a traced call method both come down to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from keras_hls.frontends.view import ReadError


@dataclass(frozen=True)
class Calls:
    """What a model, or a layer made of layers, computes.

    Attributes
    ----------
    inputs, outputs : tuple of keras.KerasTensor
        In Keras's order; an output may be an input, and may stand twice.
    nodes : tuple
        Keras's own records of calls (operation, arguments, outputs), each after those whose results it takes, and only those
        that the outputs need.
    kept : tuple
        Layers and operations that were there before, whatever else is made in a call method: their names come first.
    """

    inputs: tuple[Any, ...]
    nodes: tuple[Any, ...]
    outputs: tuple[Any, ...]
    kept: tuple[Any, ...] = ()


def graph_calls(operation: Any) -> Calls | None:
    """Return the calls of a Sequential or functional model, or of a ``keras.Function``.

    None for anything else: a layer without a graph, a model that isn't built, and one whose call method is its own, so that
    its graph isn't what it computes.
    """
    import keras

    if not isinstance(operation, (keras.Function, keras.Sequential)):
        return None
    if not type(operation).call.__module__.startswith("keras."):
        return None
    try:
        inputs, outputs = tuple(operation.inputs), tuple(operation.outputs)
    except (AttributeError, ValueError):
        return None
    return Calls(inputs, ordered(inputs, outputs, maker), outputs)


def maker(tensor: Any) -> Any:
    """Return the call that made a tensor, from Keras's own record."""
    history = tensor._keras_history
    return history.operation._inbound_nodes[history.node_index]


def ordered(inputs: Sequence[Any], outputs: Iterable[Any], made_by: Callable[[Any], Any]) -> tuple[Any, ...]:
    """Return the calls that `outputs` need, each after those that it needs; without recursion, as networks can be deep.

    Raises
    ------
    ReadError
        If a tensor comes from elsewhere.
    """
    known = {id(tensor) for tensor in inputs}
    order: list[Any] = []
    seen: set[int] = set()

    def makers(tensors: Iterable[Any]) -> list[Any]:
        return [made_by(tensor) for tensor in tensors if id(tensor) not in known]

    stack = [(node, False) for node in reversed(makers(outputs))]
    while stack:
        node, expanded = stack.pop()
        if expanded:
            order.append(node)
            continue
        if id(node) in seen:
            continue
        if node.is_input:
            raise ReadError(f"it takes tensor {node.outputs[0].name!r}, which isn't computed from its inputs")
        seen.add(id(node))
        stack.append((node, True))
        stack += [(before, False) for before in reversed(makers(node.arguments.keras_tensors))]
    return tuple(order)
