"""HGQ networks with a bit width for every weight, untrained. The widths start spread out, as a long training leaves them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

#: What a bit costs in the loss.
_BETA = 3e-7


def _values(shared_axes: tuple[int, ...] = (0,)) -> dict[str, Any]:
    """What a layer is told of its values: which axes share their widths, by default only the batch."""
    from HGQ import get_default_paq_conf

    return {"paq_conf": {**get_default_paq_conf(), "skip_dims": shared_axes}, "beta": _BETA}


def _spread(model: Any) -> Any:
    """Give every weight and value of a model some width of its own; return the model."""
    rng = np.random.default_rng(7)
    for layer in model.layers:
        for quantizer, low, high in (("kq", 1, 7), ("paq", 1, 6)):
            if hasattr(layer, quantizer):
                widths = getattr(layer, quantizer).fbw
                widths.assign(rng.uniform(low, high, widths.shape))
    return model


def dense(inputs: int, hidden: Sequence[int], outputs: int) -> Any:
    """Return an untrained network of dense layers."""
    from HGQ.layers import HDense, HQuantize
    from tensorflow import keras

    # HGQ knows the function by identity, and a name could find that of another Keras.
    relu = keras.activations.relu
    layers = [HDense(units, activation=relu, name=f"dense_{i}", **_values()) for i, units in enumerate(hidden)]
    cast = HQuantize(name="cast", **_values())
    return _spread(
        keras.Sequential([keras.Input((inputs,)), cast, *layers, HDense(outputs, name="logits", **_values())])
    )


def convolutional() -> Any:
    """Return an untrained network for pictures of 32 x 32 x 3: two convolutions, each with its pooling, and two dense layers."""
    from HGQ.layers import HConv2D, HDense, HQuantize, PFlatten, PMaxPool2D
    from tensorflow import keras

    relu = keras.activations.relu
    # A width for every channel: a convolution in hardware sees all places alike.
    channels = (0, 1, 2)
    return _spread(
        keras.Sequential(
            [
                keras.Input((32, 32, 3)),
                HQuantize(name="cast", **_values(channels)),
                HConv2D(8, 3, strides=2, activation=relu, name="conv_0", **_values(channels)),
                PMaxPool2D(2, name="pool_0"),
                HConv2D(8, 3, activation=relu, name="conv_1", **_values(channels)),
                PMaxPool2D(2, name="pool_1"),
                PFlatten(name="flat"),
                HDense(16, activation=relu, name="dense", **_values()),
                HDense(10, name="logits", **_values()),
            ]
        )
    )
