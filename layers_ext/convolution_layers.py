"""How convolutional layers are read: all of them become `Convolution`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from keras_hls.fixed import Constant
from keras_hls.layers_ext.activation import activate
from keras_hls.layers_ext.convolution import Convolution
from keras_hls.layers_ext.layout import channels_first, channels_last_shape, in_channels_last
from keras_hls.layers_ext.reading import Builder, LayerView, ReadError, Ref, reads
from keras_hls.layers_ext.windows import Window, padding, transposed

_GEOMETRY = "kernel_size strides padding dilation_rate data_format use_bias activation"


@reads(
    "keras.layers.Conv1D",
    "keras.layers.Conv2D",
    "keras.layers.Conv3D",
    "hgq.layers.QConv1D",
    "hgq.layers.QConv2D",
    "hgq.layers.QConv3D",
    "qkeras.QConv1D",
    "qkeras.QConv2D",
    # The layer itself adds LoRA's matrices to its kernel.
    consumes=f"filters groups lora_rank lora_alpha {_GEOMETRY}",
    conditions={"padding": "any; 'causal' behind an input quantizer only if that has one type for all steps"},
)
def read_convolution(layer: LayerView, build: Builder, x: Ref) -> Ref:
    """With valid, same or causal padding, strides, dilation and groups."""
    kernel = _weight(layer, "kernel")
    windows = _windows(layer, kernel)
    if layer.config["padding"] == "causal" and windows[0].before:
        _check_causal(layer)
    op = _convolution(windows, kernel, layer.weight("bias"), int(layer.config["groups"]))
    return _add(layer, build, x, (op, layer.name))


@reads(
    "keras.layers.DepthwiseConv1D",
    "keras.layers.DepthwiseConv2D",
    "qkeras.QDepthwiseConv2D",
    consumes=f"depth_multiplier {_GEOMETRY}",
)
def read_depthwise(layer: LayerView, build: Builder, x: Ref) -> Ref:
    """Each channel by kernels of its own, as many as the depth multiplier says."""
    kernel = _depthwise(_weight(layer, "kernel"))
    channels = channels_last_shape(layer)[-1]
    op = _convolution(_windows(layer, kernel), kernel, layer.weight("bias"), channels)
    return _add(layer, build, x, (op, layer.name))


@reads(
    "keras.layers.SeparableConv1D",
    "keras.layers.SeparableConv2D",
    "qkeras.QSeparableConv1D",
    "qkeras.QSeparableConv2D",
    consumes=f"filters depth_multiplier {_GEOMETRY}",
)
def read_separable(layer: LayerView, build: Builder, x: Ref) -> Ref:
    """A depthwise convolution and a pointwise one, with nothing rounded between them."""
    kernel = _depthwise(_weight(layer, "depthwise_kernel"))
    channels = channels_last_shape(layer)[-1]
    first = _convolution(_windows(layer, kernel), kernel, None, channels)
    second = Convolution(_weight(layer, "pointwise_kernel"), layer.weight("bias"))
    return _add(layer, build, x, (first, f"{layer.name}_depthwise"), (second, layer.name))


@reads(
    "keras.layers.Conv1DTranspose",
    "keras.layers.Conv2DTranspose",
    "qkeras.QConv2DTranspose",
    "keras.layers.Conv3DTranspose",
    consumes=f"filters output_padding {_GEOMETRY}",
)
def read_transposed(layer: LayerView, build: Builder, x: Ref) -> Ref:
    """A convolution of the input with zeros between its elements."""
    kernel = _weight(layer, "kernel")
    spatial = tuple(range(len(kernel.shape) - 2))
    turned = kernel.map(lambda a: np.flip(a, spatial).swapaxes(-1, -2))
    op = _convolution(_transposed_windows(layer, turned), turned, layer.weight("bias"), 1)
    return _add(layer, build, x, (op, layer.name))


def _check_causal(layer: LayerView) -> None:
    """Refuse types by time step, as the layer would cast what is padded already, which has more steps."""
    (formats,) = layer.input_formats(1)
    time = -1 if channels_first(layer) else 0
    if formats is not None and formats.shape and formats.shape[time] > 1:
        raise ReadError(
            f"its input quantizer has a type for each of {formats.shape[time]} steps, but casts them after causal padding,"
            " when they are more; give it one type for all steps, or padding='same' or 'valid'"
        )


def _weight(layer: LayerView, name: str) -> Constant:
    weight = layer.weight(name)
    if weight is None:
        raise ReadError(f"it has no {name}; build the model first")
    return weight


def _depthwise(kernel: Constant) -> Constant:
    """From [*k, channels, multiplier] to [*k, 1, outputs]: those of one channel stand together."""

    def arrange(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return values.reshape(*values.shape[:-2], 1, -1)

    return kernel.map(arrange)


def _windows(layer: LayerView, kernel: Constant) -> tuple[Window, ...]:
    """How a layer's windows slide: one for each spatial axis."""
    found = []
    for size, taps, stride, dilation in _axes(layer, kernel):
        before, after = padding(str(layer.config["padding"]), size, taps, stride, dilation)
        found.append(Window(size, taps, stride, dilation, before, after))
    return tuple(found)


def _transposed_windows(layer: LayerView, kernel: Constant) -> tuple[Window, ...]:
    """The same of a transposed convolution, whose strides stretch its input."""
    mode, extra = str(layer.config["padding"]), layer.config.get("output_padding")
    return tuple(
        transposed(mode, *numbers, None if extra is None else _per_axis(extra, axis))
        for axis, numbers in enumerate(_axes(layer, kernel))
    )


def _axes(layer: LayerView, kernel: Constant) -> list[tuple[int, int, int, int]]:
    """Size, kernel, stride and dilation of each spatial axis."""
    config = layer.config
    spatial = channels_last_shape(layer)[:-1]
    return [
        (size, kernel.shape[axis], _per_axis(config["strides"], axis), _per_axis(config["dilation_rate"], axis))
        for axis, size in enumerate(spatial)
    ]


def _per_axis(value: int | Sequence[int], axis: int) -> int:
    return int(value[axis] if isinstance(value, Sequence) else value)


def _convolution(windows: Sequence[Window], kernel: Constant, bias: Constant | None, groups: int) -> Convolution:
    return Convolution(
        kernel,
        bias,
        strides=tuple(w.stride for w in windows),
        dilation=tuple(w.dilation for w in windows),
        before=tuple(w.before for w in windows),
        after=tuple(w.after for w in windows),
        groups=groups,
        input_dilation=tuple(w.input_dilation for w in windows),
    )


def _add(layer: LayerView, build: Builder, x: Ref, *ops: tuple[Convolution, str]) -> Ref:
    def compute(image: Ref) -> Ref:
        for op, name in ops:
            image = build.add(op, image, name=name, layer=layer.name)
        return image

    # The activation sees the layer's own data format, as a softmax takes the last axis whatever it is.
    return activate(layer, build, in_channels_last(layer, build, x, compute))
