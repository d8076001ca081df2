"""Known factors and offsets by channel: batch normalisation, and the layers that prepare inputs."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from keras_hls.fixed import Constant, Real
from keras_hls.layers_ext.reading import Builder, LayerView, ReadError, Ref, reads
from keras_hls.layers_ext.scale import Scale


def _along(layer: LayerView, values: Constant, axes: tuple[int, ...]) -> Constant:
    """Return numbers along some axes of the layer's input (batch included) so that they broadcast to a sample of it."""
    shape = layer.shapes[0]
    places = [axis - 1 if axis > 0 else axis + len(shape) for axis in axes]
    full = [n if place in places else 1 for place, n in enumerate(shape)]
    return values.map(lambda a: a.reshape(full))


@reads(
    "keras.layers.BatchNormalization",
    consumes="axis epsilon center scale momentum synchronized renorm renorm_clipping renorm_momentum",
)
def read_batch_norm(layer: LayerView, build: Builder, x: Ref) -> Ref:
    """Folded into a layer without quantizers before it; an exact factor and offset a channel otherwise."""
    mean, variance = _values(layer, "moving_mean"), _values(layer, "moving_variance")
    if mean is None or variance is None:
        raise ReadError("it has no statistics; build the model first")
    gamma, beta = _values(layer, "gamma"), _values(layer, "beta")
    divisor = variance + layer.config["epsilon"]
    if not (divisor > 0).all():
        raise ReadError(
            f"its variance plus epsilon must be positive, but is {divisor.min():g}; train it, or raise epsilon"
        )
    scale = (1.0 if gamma is None else gamma) / np.sqrt(divisor)
    offset = (0.0 if beta is None else beta) - mean * scale
    axis = (int(layer.config["axis"]),)
    op = Scale(_along(layer, Real(scale), axis), _along(layer, Real(offset), axis))
    return build.add(op, x, name=layer.name, layer=layer.name)


def _values(layer: LayerView, name: str) -> npt.NDArray[np.float64] | None:
    weight = layer.weight(name)
    return weight.values if isinstance(weight, Real) else None


@reads(
    "hgq.layers.QBatchNormalization",
    consumes="axis epsilon center scale momentum synchronized renorm renorm_clipping renorm_momentum",
)
def read_quantized_batch_norm(layer: LayerView, build: Builder, x: Ref) -> Ref:
    """The quantized factor and offset of each channel that the layer itself multiplies by and adds."""
    scale, offset = layer.weight("scaler"), layer.weight("offset")
    if scale is None or offset is None:
        raise ReadError("it has no factors; build the model first")
    axis = (int(layer.config["axis"]),)
    op = Scale(_along(layer, scale, axis), _along(layer, offset, axis))
    return build.add(op, x, name=layer.name, layer=layer.name)


@reads("keras.layers.Rescaling", consumes="scale offset", integers=True)
def read_rescaling(layer: LayerView, build: Builder, x: Ref) -> Ref:
    """Factor and offset are taken as float32, as Keras takes them; the product is exact."""
    op = Scale(*(_number(layer.config[key]) for key in ("scale", "offset")))
    return build.add(op, x, name=layer.name, layer=layer.name)


def _number(value: Any) -> Constant:
    return Constant.exactly(np.asarray(value, np.float32))


@reads("keras.layers.Normalization", consumes="axis mean variance invert")
def read_normalization(layer: LayerView, build: Builder, x: Ref) -> Ref:
    """Mean and variance as given or adapted; their types are chosen with those of the weights."""
    mean, variance = _values(layer, "mean"), _values(layer, "variance")
    if mean is None or variance is None:
        raise ReadError("it has no mean and variance; call its adapt() with data, or give them")
    # As Keras does it, with the least divisor that it allows.
    divisor = np.maximum(np.sqrt(variance), 1e-7)
    scale, offset = 1.0 / divisor, -mean / divisor
    if layer.config["invert"]:
        scale, offset = divisor, mean
    # The layer keeps them in shapes that broadcast to a batch.
    op = Scale(*(Real(a.reshape(a.shape[1:] if a.ndim > len(layer.shapes[0]) else a.shape)) for a in (scale, offset)))
    return build.add(op, x, name=layer.name, layer=layer.name)
