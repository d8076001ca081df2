"""What a call must not have, since no reader would see it: arguments, masks, other precisions."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any

from keras_hls.frontends.view import ReadError


def check_precision(parts: Iterable[Any]) -> None:
    """Refuse layers that compute in another precision, where even small integers are rounded.

    Raises
    ------
    ReadError
    """
    found = {part.compute_dtype for part in parts} - {"float32"}
    if found:
        raise ReadError(
            f"it computes in {', '.join(sorted(found))}, and only float32 can be exported; give it dtype='float32', or"
            " call keras.config.set_dtype_policy('float32') before the model is built"
        )
    modes = {getattr(part, "quantization_mode", None) for part in parts} - {None}
    if modes:
        raise ReadError(f"it was quantized by Keras ({', '.join(sorted(modes))}), which no reader takes account of")


def check_inference(node: Any) -> None:
    """Refuse a call of a model, or of a layer made of layers, that isn't plain inference.

    Raises
    ------
    ReadError
        If it is called with ``training=True``, or with a mask that layers inside would take account of.
    """
    import keras

    extra = {key: node.arguments.kwargs[key] for key in ("training", "mask") if key in node.arguments.kwargs}
    found = {k: v for k, v in extra.items() if any(a is not None and a is not False for a in keras.tree.flatten(v))}
    if found:
        raise _called_with(found)
    _check_masks(node)


def check_call(node: Any, read: Callable[..., Any]) -> None:
    """Refuse a layer's call with arguments that its reader wouldn't see.

    Raises
    ------
    ReadError
    """
    # Dropout, say, works at inference too if it is called with training=True.
    extra = {k: v for k, v in node.arguments.kwargs.items() if v is not None and not hasattr(v, "_keras_history")}
    if extra.get("training") is False:
        del extra["training"]
    rest = [a for a in node.arguments.args[1:] if a is not None and not hasattr(a, "_keras_history")]
    if extra or rest:
        raise _called_with(extra or rest)
    count = len(node.arguments.keras_tensors)
    try:
        inspect.signature(read).bind(None, None, *[None] * count)
    except TypeError:
        raise ReadError(f"it is called with {count} tensors, which no reader takes account of") from None
    if len(node.outputs) != 1:
        raise ReadError(f"it returns {len(node.outputs)} tensors, and only one can be read")
    arguments = getattr(node.operation, "call_signature_parameters", ())
    if any(name == "mask" or name.endswith("_mask") for name in arguments):
        _check_masks(node)


def _check_masks(node: Any) -> None:
    if any(getattr(tensor, "_keras_mask", None) is not None for tensor in node.arguments.keras_tensors):
        raise ReadError("a mask comes with its input, which no reader takes account of; call it without one")


def _called_with(arguments: Any) -> ReadError:
    return ReadError(f"it is called with {arguments}, which no reader takes account of; call it with tensors only")
