"""Keras 3: a layer as a reader sees it. Nothing here asks for a backend: values are fetched with ``keras.ops``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from keras_hls.errors import InvalidData, TooWide
from keras_hls.fixed import Constant, Formats
from keras_hls.frontends.view import LayerView, ReadError

Floats = npt.NDArray[np.floating[Any]]


def class_path(cls: type) -> str:
    """Return the public path of a layer class: "keras.layers.Dense", "hgq.layers.QDense"."""
    module = cls.__module__
    for private, public in (
        ("keras.src.layers", "keras.layers"),
        ("keras.layers", "keras.layers"),
        ("keras.src.models", "keras.models"),
        ("keras.src.ops", "keras.ops"),
        ("hgq.layers", "hgq.layers"),
        ("hgq.quantizer", "hgq.quantizer"),
    ):
        if module == private or module.startswith(private + "."):
            return f"{public}.{cls.__name__}"
    return f"{module}.{cls.__name__}"


class KerasView(LayerView):
    """A layer of Keras itself: it has no quantizers, so only layers without weights can be read exactly."""

    def __init__(self, layer: Any, input_shapes: Sequence[tuple[int | None, ...]]):
        self.layer = layer
        self.name = layer.name
        self.path = class_path(type(layer))
        self.config = _config(layer)
        self.input_shapes = [tuple(shape) for shape in input_shapes]

    def weight(self, name: str) -> Constant | None:
        raise ReadError(f"its {name} isn't quantized; use a layer of HGQ2, such as hgq.layers.QDense")

    def input_formats(self, count: int) -> tuple[Formats | None, ...]:
        return (None,) * count

    def output_formats(self) -> Formats | None:
        return None

    @property
    def understood(self) -> frozenset[str]:
        return frozenset({"batch_shape", "input_shape"})


def _config(layer: Any) -> dict[str, Any]:
    """The layer's config, with the whole name of an activation that isn't Keras's own.

    Keras writes a user's function down by its last name alone, so that one called "relu" would pass for Keras's.
    """
    import keras

    try:
        config = dict(layer.get_config())
    except Exception as error:
        # Some of it may be a user's object that knows nothing of configs.
        raise ReadError(f"its config can't be read: {error}") from error
    function = getattr(layer, "activation", None)
    name = getattr(function, "__name__", "")
    if function is None or "activation" not in config or getattr(keras.activations, name, None) is function:
        return config
    whole = f"{function.__module__}.{function.__qualname__}" if name else class_path(type(function))
    return {**config, "activation": whole}


def constant(values: Any, what: str) -> Constant:
    """Return a weight's exact value.

    Raises
    ------
    ReadError
        If it holds NaN or infinite values, or spans more than 63 bits.
    """
    try:
        return Constant.exactly(values)
    except InvalidData as error:
        raise ReadError(f"its {what} {error}; training diverged, or the weights weren't loaded") from None
    except TooWide as error:
        raise ReadError(f"its {what} {error}; quantize it to fewer bits") from None


def to_numpy(value: Any) -> Floats:
    """Return a tensor or variable of whatever backend as a numpy array."""
    import keras

    return np.asarray(keras.ops.convert_to_numpy(value))
