"""Layers of QKeras that quantize more than weights: batch normalisation, alone or folded into a convolution, and averages.

QKeras computes factors from statistics in float32, before it quantizes them; so do the readers, operation by operation.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import numpy as np
import numpy.typing as npt

from keras_hls.fixed import Constant, FloatArray, Formats, Real
from keras_hls.layers_ext.activation import activate
from keras_hls.layers_ext.convolution_layers import read_convolution, read_depthwise
from keras_hls.layers_ext.layout import channels_first, channels_last_shape, in_channels_last
from keras_hls.layers_ext.pool import Pool, reduce
from keras_hls.layers_ext.pooling import read_global_pooling, read_pooling
from keras_hls.layers_ext.quotient import divide
from keras_hls.layers_ext.reading import Builder, LayerView, ReadError, Ref, reads
from keras_hls.layers_ext.scale import Scale
from keras_hls.layers_ext.windows import Window, padding
from keras_hls.quantizers import Quantizer, QuantizerError

Float32 = npt.NDArray[np.float32]

_NORMALIZATION = "axis epsilon center scale momentum synchronized renorm renorm_clipping renorm_momentum"
_CONVOLUTION = "kernel_size strides padding dilation_rate data_format use_bias activation ema_freeze_delay folding_mode"
# Numbers of a tensor from which TensorFlow takes their reciprocal roots from the processor, and how many units in the last
# place those are off at most.
_LANES, _OFF = 8, 4


def _float32(weight: Constant) -> Float32:
    values = weight.values if isinstance(weight, Real) else np.ldexp(weight.raw.astype(np.float64), -weight.frac)
    return values.astype(np.float32)


def _statistics(layer: LayerView) -> tuple[Constant, Constant]:
    mean, variance = layer.weight("moving_mean"), layer.weight("moving_variance")
    if mean is None or variance is None:
        raise ReadError("it has no statistics; build the model first")
    return mean, variance


def _reciprocal_root(layer: LayerView, variance: Constant) -> Float32:
    """1 / sqrt(variance + epsilon), each operation rounded to float32."""
    shifted = _float32(variance) + np.float32(layer.config["epsilon"])
    if not (shifted > 0).all():
        raise ReadError(
            f"its variance plus epsilon must be positive, but is {shifted.min():g}; train it, or raise epsilon"
        )
    return np.float32(1) / np.sqrt(shifted)


def _nudged(roots: Float32, steps: int) -> Float32:
    """The same with those that TensorFlow leaves to the processor so many units in the last place higher.

    A power of two is exact there as well.
    """
    flat = roots.reshape(-1).copy()
    exact = np.frexp(flat)[0] == 0.5
    exact[flat.size // _LANES * _LANES :] = True
    moved: Float32 = np.where(exact, flat, (flat.view(np.int32) + np.int32(steps)).view(np.float32))
    return moved.reshape(roots.shape)


@reads("qkeras.QBatchNormalization", consumes=_NORMALIZATION)
def read_quantized_normalization(layer: LayerView, build: Builder, x: Ref) -> Ref:
    """The float32 factor and offset of each channel that QKeras computes from the quantized gamma, beta, mean and variance."""
    mean, variance = _statistics(layer)
    gamma, beta = layer.weight("gamma"), layer.weight("beta")
    roots = _reciprocal_root(layer, variance)
    scale = roots if gamma is None else roots * _float32(gamma)
    shift = _float32(mean) * scale
    offset = -shift if beta is None else _float32(beta) - shift
    given = [weight for weight in (mean, variance, gamma, beta) if weight is not None]
    if any(isinstance(weight, Real) for weight in given):
        kind: Callable[[FloatArray], Constant] = Real
    else:
        kind = Constant.exactly
        if (_nudged(roots, 1) != roots).any():
            build.notes.append(
                f"Layer {layer.name!r}: TensorFlow takes reciprocal square roots of {_LANES} channels and more from the"
                " processor, which aren't rounded correctly; the hardware's are, so factors can differ in float32's last bit"
            )
    op = Scale(*(kind(_along(layer, values.astype(np.float64))) for values in (scale, offset)))
    return build.add(op, x, name=layer.name, layer=layer.name)


def _along(layer: LayerView, values: FloatArray) -> FloatArray:
    """Numbers along the layer's axis or axes, in a shape that broadcasts to a sample."""
    axis, shape = layer.config["axis"], layer.shapes[0]
    places = {int(a) % (len(shape) + 1) - 1 for a in (axis if isinstance(axis, (list, tuple)) else (axis,))}
    return values.reshape([n if place in places else 1 for place, n in enumerate(shape)])


class _Folded(LayerView):
    """A convolution with batch normalisation, as a convolution: its kernel and bias are folded, and then quantized."""

    def __init__(self, layer: LayerView, weights: dict[str, Constant]):
        self.name, self.path, self.config, self.shapes = layer.name, layer.path, layer.config, layer.shapes
        self._layer, self._weights = layer, weights

    def weight(self, name: str) -> Constant | None:
        return self._weights.get(name)

    def function(self, argument: str | None) -> Callable[[FloatArray], FloatArray]:
        return self._layer.function(argument)

    def part(self, name: str, *shapes: tuple[int, ...]) -> LayerView:
        return self._layer.part(name, *shapes)

    def input_formats(self, count: int) -> tuple[Formats | None, ...]:
        return self._layer.input_formats(count)

    def output_formats(self) -> Formats | None:
        return self._layer.output_formats()

    def quantizer(self, argument: str) -> Quantizer | None:
        return self._layer.quantizer(argument)

    @property
    def understood(self) -> frozenset[str]:
        return self._layer.understood


@reads("qkeras.QConv2DBatchnorm", consumes=f"filters groups {_CONVOLUTION} {_NORMALIZATION}")
def read_folded_convolution(layer: LayerView, build: Builder, x: Ref) -> Ref:
    """As QConv2D, with the moving statistics folded into kernel and bias before these are quantized."""
    return read_convolution(_folded(layer, build, "kernel_quantizer"), build, x)


@reads(
    "qkeras.QDepthwiseConv2DBatchnorm",
    consumes=f"depth_multiplier {_CONVOLUTION} {_NORMALIZATION}",
    neutral={"groups": 1},
)
def read_folded_depthwise(layer: LayerView, build: Builder, x: Ref) -> Ref:
    """As QDepthwiseConv2D, with the moving statistics folded into kernel and bias before these are quantized."""
    return read_depthwise(_folded(layer, build, "depthwise_quantizer"), build, x)


def _folded(layer: LayerView, build: Builder, kernel_quantizer: str) -> LayerView:
    mean, variance = _statistics(layer)
    kernel, beta = layer.weight("kernel"), layer.weight("beta")
    if kernel is None:
        raise ReadError("it has no kernel; build the model first")
    if beta is None:
        raise ReadError("without center=True QKeras can't compute it; leave center at its default")
    axis = layer.config["axis"]
    (axis,) = axis if isinstance(axis, (list, tuple)) and len(axis) == 1 else (axis,)
    if axis not in ((1, -3) if channels_first(layer) else (3, -1)):
        raise ReadError(f"its axis must be that of the channels, but is {axis!r}")
    gamma, bias = layer.weight("gamma"), layer.weight("bias")
    values = _float32(kernel)
    channels = values.shape[2:] if kernel_quantizer == "depthwise_quantizer" else values.shape[3:]
    shapes = {w.shape for w in (mean, variance, beta, gamma, bias) if w is not None}
    if len(values.shape) != 4 or shapes != {(prod(channels),)}:
        raise ReadError("its weights aren't in the order in which QKeras writes them; save the model anew")
    roots = _reciprocal_root(layer, variance)

    def folded(roots: Float32) -> dict[str, Constant]:
        factor = roots if gamma is None else roots * _float32(gamma)
        before = np.float32(0) if bias is None else _float32(bias)
        shift = factor * (before - _float32(mean)) + _float32(beta)
        product = factor.reshape(channels) * values
        return {
            "kernel": _quantized(layer, kernel_quantizer, product),
            "bias": _quantized(layer, "bias_quantizer", shift),
        }

    found = folded(roots)
    for steps in (-_OFF, _OFF):
        other = folded(_nudged(roots, steps))
        if any(_differ(found[name], other[name]) for name in found):
            build.notes.append(
                f"Layer {layer.name!r}: TensorFlow takes reciprocal square roots of {_LANES} channels and more from the"
                " processor, which aren't rounded correctly; a folded weight so close to the middle of two steps that this"
                " decides can be the other one there"
            )
            break
    return _Folded(layer, found)


def _quantized(layer: LayerView, key: str, values: Float32) -> Constant:
    quantizer = layer.quantizer(key)
    if quantizer is None:
        return Real(values)
    try:
        return quantizer.weights(values)
    except QuantizerError as error:
        raise ReadError(f"its {key}: {error}") from None


def _differ(one: Constant, other: Constant) -> bool:
    """Whether exact constants differ; what has no type yet isn't exact anyway."""
    return not isinstance(one, Real) and not np.array_equal(_float32(one), _float32(other))


@reads(
    "qkeras.QAdaptiveActivation",
    consumes="activation total_bits current_step symmetric quantization_delay ema_freeze_delay ema_decay per_channel"
    " po2_rounding relu_neg_slope relu_upper_bound",
    conditions={
        "ema_freeze_delay": "training has gone on for longer, or the layer isn't trainable",
        "relu_upper_bound": "any of a live layer; no file holds it",
        "relu_neg_slope": "0 or a power of two",
    },
)
def read_adaptive(layer: LayerView, build: Builder, x: Ref) -> Ref:
    """The quantizer whose integer bits follow from the averages that training has left, one for all or one a channel."""
    if layer.config["activation"] == "quantized_relu" and "relu_upper_bound" not in layer.config:
        build.notes.append(
            f"Layer {layer.name!r}: QKeras writes no relu_upper_bound into files, and reads them without one; if the layer was"
            " made with one, export the live model"
        )
    return activate(layer, build, x)


@reads("qkeras.QAveragePooling2D", consumes="pool_size strides padding data_format activation")
def read_quantized_pooling(layer: LayerView, build: Builder, x: Ref) -> Ref:
    """The sum of each window times the quantized reciprocal of its size; at borders, times size over what lies inside."""
    config, image = layer.config, channels_last_shape(layer)
    sizes = [int(n) for n in config["pool_size"]]
    share = _share(layer, prod(sizes))
    if share is None:
        return activate(layer, build, read_pooling(layer, build, x))
    pools = []
    for axis, (length, size, stride) in enumerate(zip(image, sizes, config["strides"] or sizes)):
        window = Window(length, size, stride, 1, *padding(config["padding"], length, size, stride))
        pools.append(Pool("sum", axis, window.outputs, size, stride, window.before))
    counts = np.ones((), np.int64)
    for pool, length in zip(pools, image):
        first, last = pool.spans(length)
        counts = np.multiply.outer(counts, last - first)
    inside = counts.reshape(-1)[:1].reshape(()) if (counts == counts.flat[0]).all() else counts[..., None]

    def compute(x: Ref) -> Ref:
        for pool in pools:
            x = build.add(pool, x, name=f"{layer.name}_sum", layer=layer.name)
        return _shared(layer, build, x, share, prod(sizes), inside)

    return activate(layer, build, in_channels_last(layer, build, x, compute))


@reads("qkeras.QGlobalAveragePooling2D", consumes="keepdims data_format activation")
def read_quantized_global_pooling(layer: LayerView, build: Builder, x: Ref) -> Ref:
    """The sum of the image times the quantized reciprocal of its size."""
    image, keepdims = channels_last_shape(layer), bool(layer.config["keepdims"])
    size = prod(image[:-1])
    share = _share(layer, size)
    if share is None:
        return activate(layer, build, read_global_pooling(layer, build, x))

    def compute(x: Ref) -> Ref:
        axes = range(len(image) - 1)
        y = reduce(build, x, image, "sum", axes, keepdims=keepdims, name=f"{layer.name}_sum", layer=layer.name)
        return _shared(layer, build, y, share, size, np.array(size))

    return activate(layer, build, in_channels_last(layer, build, x, compute, rank=len(image) if keepdims else 1))


def _share(layer: LayerView, size: int) -> Constant | None:
    """The quantized reciprocal of a window's size; None without a quantizer."""
    quantizer = layer.quantizer("average_quantizer")
    if quantizer is None:
        return None
    return _quantized(layer, "average_quantizer", np.asarray(1.0 / size, np.float32))


def _shared(layer: LayerView, build: Builder, x: Ref, share: Constant, size: int, inside: npt.NDArray[np.int64]) -> Ref:
    """Append sum / inside * size * share, divided only by what no factor cancels."""
    twos = inside & -inside
    raw = share.raw * size
    common = np.gcd(raw, inside // twos)
    scale = np.ldexp((raw // common).astype(np.float64), -share.frac) / twos
    if (inside != twos).any():
        build.notes.append(
            f"Layer {layer.name!r}: QKeras divides by the size of its windows and multiplies by it again, rounded to float32"
            " each time; the hardware's sums aren't, so a quantizer behind it can get another value"
        )
    x = build.add(Scale(Constant.exactly(scale)), x, name=f"{layer.name}_share", layer=layer.name)
    return divide(build, x, inside // twos // common, name=layer.name, layer=layer.name)
