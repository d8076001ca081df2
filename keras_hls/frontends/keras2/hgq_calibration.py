"""Live models of HGQ (the first): how large their values are, by running a copy. A model in training is never touched.

HGQ is imported by no line here but those that need a model of it, which then is there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from keras_hls.errors import InvalidData
from keras_hls.frontends.keras2.hgq_live import heavy_layers, ranges
from keras_hls.frontends.keras2.hgq_numbers import Range

Samples = npt.NDArray[Any] | Sequence[npt.NDArray[Any]]

# Samples at once: HGQ's own choice would hold a convolution's tensors of 16384.
_BATCH = 1024
# What a normalisation is made with, and HGQ doesn't put into its config.
_NORMALIZATION = ("momentum", "epsilon", "center", "scale")


def traced_ranges(model: Any, samples: Samples, *, batch_size: int = _BATCH) -> dict[str, Range]:
    """Return what ``HGQ.trace_minmax`` finds in a copy of the model.

    Parameters
    ----------
    model : keras.Model
        Built, Sequential or functional, with models inside or not. Its variables stay as they are, and so does what it draws at
        random.
    samples : array, or sequence of arrays
        One array an input.
    batch_size : int
        Samples at once.

    Returns
    -------
    dict of str to Range
        By the names of HGQ's layers.

    Raises
    ------
    InvalidData
        If there are no samples, or they hold NaN or infinite values.
    """
    arrays = [np.asarray(a, np.float32) for a in (samples if isinstance(samples, list | tuple) else [samples])]
    if not all(a.ndim and len(a) for a in arrays):
        raise InvalidData("calibration= must hold at least one sample")
    if not all(np.isfinite(a).all() for a in arrays):
        raise InvalidData("calibration= must be finite numbers, but holds NaN or infinite values")
    copied = copy(model)
    _trace(copied, arrays, batch_size)
    return ranges(copied)


def copy(model: Any) -> Any:
    """Return a model of the same layers and values, which shares no variable with it.

    Keras's own copy loses what HGQ doesn't put into configs, and takes weights by an order that ``trainable`` changes.
    """
    from tensorflow import keras

    copied = keras.models.clone_model(model, clone_function=_copied_layer)
    for old, new in zip(_leaves(model), _leaves(copied), strict=True):
        own = {_short(v.name): v for v in old.variables}
        if len(own) == len(old.variables) == len(new.variables):
            for variable in new.variables:
                variable.assign(own[_short(variable.name)])
        else:
            new.set_weights(old.get_weights())
    return copied


def _copied_layer(layer: Any) -> Any:
    from tensorflow import keras

    if isinstance(layer, keras.Model):
        return keras.models.clone_model(layer, clone_function=_copied_layer)
    # Values are overwritten: zeros draw no random numbers, which the model in training may draw next.
    config = {
        key: "zeros" if key.endswith("_initializer") and value is not None else value
        for key, value in layer.get_config().items()
    }
    if hasattr(layer, "paq_config"):
        config["do_adapt_kernel_bits"] = False
        if isinstance(getattr(layer, "axis", None), list):
            config |= {key: getattr(layer, key) for key in _NORMALIZATION}
            config |= {key: float(config[key]) for key in ("momentum", "epsilon")}
            if type(layer).__name__ == "HBatchNormalization":
                config["axis"] = list(layer.axis)
        # As it is: its name alone may not find it again.
        if "activation" in config:
            config["activation"] = layer.activation
    return type(layer).from_config(config)


def _trace(model: Any, arrays: list[npt.NDArray[np.float32]], batch_size: int) -> None:
    import HGQ  # type: ignore[import-not-found]
    import tensorflow as tf

    inner = [layer for layer in heavy_layers(model) if layer not in model.layers]
    # The library sees layers of the outer model alone.
    for layer in inner:
        layer.reset_minmax()
        layer.record_minmax = True
    data = arrays if len(arrays) > 1 else arrays[0]
    HGQ.trace_minmax(model, data, bsz=batch_size, verbose=False, no_bops_computation=True)
    for layer in heavy_layers(model):
        # As the library does it for those that it finds: tables of a softmax are off, and may reach 1 where it doesn't.
        if getattr(getattr(layer, "activation", None), "__name__", "") == "softmax":
            layer.paq._min.assign(tf.zeros_like(layer.paq._min))
            layer.paq._max.assign(tf.ones_like(layer.paq._max))


def _leaves(model: Any) -> list[Any]:
    return [layer for layer in model._flatten_layers(include_self=False) if not list(layer._flatten_layers())[1:]]


def _short(name: str) -> str:
    return name.rsplit("/", 1)[-1]
