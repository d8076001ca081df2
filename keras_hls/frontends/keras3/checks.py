"""What a call must not have, since no reader would see it: arguments, masks, other precisions."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Iterable
from typing import Any

from keras_hls.frontends.view import ReadError


def check_precision(parts: Collection[Any]) -> None:
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
    modes = {str(mode) for part in parts if (mode := getattr(part, "quantization_mode", None)) is not None}
    if modes:
        raise ReadError(f"it was quantized by Keras ({', '.join(sorted(modes))}), which no reader takes account of")


def check_library(layer: Any) -> None:
    """Refuse a layer of QKeras that was built on Keras 3, where some of what it does fails and nobody tests the rest.

    Raises
    ------
    ReadError
    """
    if type(layer).__module__.partition(".")[0] == "qkeras":
        raise ReadError(
            "QKeras is made for Keras 2, and was imported on Keras 3; set TF_USE_LEGACY_KERAS=1 before Python starts, and build the"
            " model with tf_keras"
        )


def check_inference(node: Any) -> None:
    """Refuse a call of a model, or of a layer made of layers, that isn't plain inference.

    Raises
    ------
    ReadError
        If it is called with ``training=True``, or with a mask that layers inside would take account of.
    """
    _check_masks(node, ["mask"])
    if node.arguments.kwargs.get("training"):
        raise _called_with({"training": node.arguments.kwargs["training"]})


def check_call(node: Any) -> None:
    """Refuse a layer's call with arguments that its reader wouldn't see.

    Raises
    ------
    ReadError
    """
    if "call" in vars(node.operation):
        raise ReadError("its call was replaced by another function, which no reader sees; make it a class of its own")
    parameters = getattr(node.operation, "call_signature_parameters", ())
    masks = [name for name in parameters if name == "mask" or name.endswith("_mask")]
    # Layers that join tensors look at their masks without an argument that says so.
    if masks or len(node.arguments.keras_tensors) > 1:
        _check_masks(node, masks)
    # Dropout, say, works at inference too if it is called with training=True.
    extra = {k: v for k, v in node.arguments.kwargs.items() if v is not None and not hasattr(v, "_keras_history")}
    # Layers for images have training=True by default, which a model at inference overrides.
    default = inspect.signature(type(node.operation).call).parameters.get("training")
    if extra.get("training") is False or (default is not None and extra.get("training") is default.default):
        extra.pop("training", None)
    rest = [a for a in node.arguments.args[1:] if a is not None and not hasattr(a, "_keras_history")]
    if extra or rest:
        raise _called_with(extra or rest)
    if len(node.outputs) != 1:
        raise ReadError(f"it returns {len(node.outputs)} tensors, and only one can be read")


def _check_masks(node: Any, names: Iterable[str]) -> None:
    """Refuse a call with a mask among its arguments, or one that a layer before has hung on to its tensors."""
    import keras

    masks = [node.arguments.kwargs.get(name) for name in names]
    masks += [getattr(tensor, "_keras_mask", None) for tensor in node.arguments.keras_tensors]
    if any(mask is not None for mask in keras.tree.flatten(masks)):
        raise ReadError("it is called with a mask, which no reader takes account of; call it without one")


def _called_with(arguments: Any) -> ReadError:
    return ReadError(f"it is called with {arguments}, which no reader takes account of; call it with tensors only")
