"""Live models of HGQ (the first): what their layers know and Keras doesn't save."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from keras_hls.fixed import FloatArray
from keras_hls.frontends.keras2.hgq_numbers import Range

_KERAS = frozenset({"keras", "tf_keras", "tensorflow"})


def heavy_layers(model: Any) -> Iterator[Any]:
    """Yield the layers of HGQ that quantize, also those of models inside."""
    return (layer for layer in model._flatten_layers(include_self=False) if hasattr(layer, "paq_config"))


def ranges(model: Any) -> dict[str, Range]:
    """Return the ranges that a model's quantizers have seen, by training or by ``trace_minmax``, by the names of their layers."""
    return {layer.name: range_of(layer) for layer in heavy_layers(model) if hasattr(layer, "paq")}


def range_of(layer: Any) -> Range:
    """Return the range that a layer's activation quantizer has seen; infinities the wrong way round if it has seen nothing."""
    return Range(layer.paq._min.numpy(), layer.paq._max.numpy())


def unsaid(layer: Any) -> dict[str, Any]:
    """Return what a layer's config leaves out or gets wrong.

    HGQ leaves out the ``epsilon`` of its batch normalisations; and a user's function has its last name there, so that one called
    "relu" would pass for Keras's.
    """
    found: dict[str, Any] = {}
    if hasattr(layer, "epsilon"):
        found["epsilon"] = float(layer.epsilon)
    function = getattr(layer, "activation", None)
    module = getattr(function, "__module__", None) or type(function).__module__
    if function is not None and module.partition(".")[0] not in _KERAS:
        found["activation"] = f"{module}.{getattr(function, '__qualname__', type(function).__qualname__)}"
    return found


def function_of(layer: Any) -> Callable[[FloatArray], FloatArray]:
    """Return an HActivation's function as the layer itself computes it: by XLA, which rounds otherwise, or without.

    HGQ leaves XLA out where values are cut and the function isn't straight.
    """
    import tensorflow as tf

    straight = getattr(layer.activation, "__name__", "") in ("relu", "linear", "relu6", "leaky_relu")
    by_xla = straight or layer.paq_config.get("rnd_strategy") not in ("floor", 3)
    function = tf.function(layer.activation, jit_compile=True) if by_xla else layer.activation

    def run(values: FloatArray) -> FloatArray:
        return np.asarray(function(tf.constant(np.asarray(values, np.float32))))

    return run
