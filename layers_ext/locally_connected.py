"""Locally connected layers of Keras 2: convolutions whose windows have kernels of their own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from keras_hls.layers_ext.activation import activate
from keras_hls.layers_ext.convolution import Convolution
from keras_hls.layers_ext.joining import join
from keras_hls.layers_ext.layout import channels_first, channels_last_shape, in_channels_last
from keras_hls.layers_ext.movement import Pad, Slice
from keras_hls.layers_ext.reading import Builder, LayerView, ReadError, Ref, reads
from keras_hls.layers_ext.reshape import Reshape
from keras_hls.layers_ext.windows import Window, padding

Values = npt.NDArray[Any]


@reads(
    "keras.layers.LocallyConnected1D",
    "keras.layers.LocallyConnected2D",
    consumes="filters kernel_size strides padding data_format use_bias activation",
)
def read_locally_connected(layer: LayerView, build: Builder, x: Ref) -> Ref:
    """Of Keras 2, in its implementations 1 and 2: a group of channels for each window."""
    kernel, image = layer.weight("kernel"), channels_last_shape(layer)
    if kernel is None:
        raise ReadError("it has no kernel; build the model first")
    windows = []
    for size, taps, stride in zip(image, layer.config["kernel_size"], layer.config["strides"]):
        windows.append(Window(size, taps, stride, 1, *_padding(str(layer.config["padding"]), size, taps, stride)))
    kernels = _Kernels(tuple(windows), image[-1], int(layer.config["filters"]), channels_first(layer))
    arranged = kernel.map(kernels.arranged)
    bias = layer.weight("bias")
    outputs = tuple(w.outputs for w in windows)
    op = Convolution(arranged, None if bias is None else bias.map(kernels.row), groups=prod(outputs))

    def compute(x: Ref) -> Ref:
        y = build.add(
            Reshape((1, arranged.shape[-2] * prod(outputs))), _seen(layer, build, x, windows), **named("rows")
        )
        return build.add(Reshape((*outputs, kernels.filters)), build.add(op, y, **named()), **named("image"))

    def named(word: str = "") -> dict[str, str]:
        return {"name": f"{layer.name}_{word}" if word else layer.name, "layer": layer.name}

    return activate(layer, build, in_channels_last(layer, build, x, compute))


def _padding(mode: str, size: int, taps: int, stride: int) -> tuple[int, int]:
    """Points before and after an axis: "same" puts half of the window before it whatever the stride, as convolutions don't."""
    if mode != "same":
        return padding(mode, size, taps, stride)
    before = taps // 2
    return before, max((-(-size // stride) - 1) * stride + taps - before - size, 0)


def _seen(layer: LayerView, build: Builder, x: Ref, windows: Sequence[Window]) -> Ref:
    """Append what each window sees, as its channels: one slice of the image for each place in the window."""
    if any(w.before or w.after for w in windows):
        ends = [tuple(getattr(w, end) for w in windows) for end in ("before", "after")]
        x = build.add(Pad((*ends[0], 0), (*ends[1], 0)), x, name=f"{layer.name}_padded", layer=layer.name)
    parts = []
    for place in product(*(range(w.kernel) for w in windows)):
        stop = (*(k + (w.outputs - 1) * w.stride + 1 for k, w in zip(place, windows)), None)
        op = Slice((*place, 0), stop, (*(w.stride for w in windows), 1))
        parts.append(build.add(op, x, name=f"{layer.name}_part", layer=layer.name))
    return join(build, parts, len(windows), name=f"{layer.name}_seen", layer=layer.name)


@dataclass(frozen=True)
class _Kernels:
    """Kernels of windows as those of groups of channels, from the order in which Keras 2 has them.

    Parameters
    ----------
    windows : tuple of Window
        One a spatial axis.
    channels : int
        Of the input.
    filters : int
    first : bool
        Whether images have their channels first.
    """

    windows: tuple[Window, ...]
    channels: int
    filters: int
    first: bool

    def arranged(self, values: Values) -> Values:
        """Return the kernel of one window beside the other, [1, taps * channels, windows * filters]."""
        taps = [w.kernel for w in self.windows]
        positions, rank = prod(w.outputs for w in self.windows), len(self.windows)
        if values.shape == (positions, prod(taps) * self.channels, self.filters):
            # What a window sees begins with its channels where the image does.
            shape = (self.channels, *taps) if self.first else (*taps, self.channels)
            own = values.reshape(positions, *shape, self.filters)
            own = np.moveaxis(own, 1, -2) if self.first else own
        elif values.ndim == 2 * rank + 2:
            own = self._of_whole_images(values)
        else:
            raise ReadError(
                f"its kernel of shape {values.shape} is kept in another way than that of implementation=1 or 2; make it with one"
                " of these"
            )
        own = own.reshape(positions, prod(taps) * self.channels, self.filters)
        return np.ascontiguousarray(own.transpose(1, 0, 2)).reshape(1, prod(taps) * self.channels, -1)

    def _of_whole_images(self, values: Values) -> Values:
        """From kernels of whole images, [*sizes, channels, *outputs, filters], of which each window has a few elements."""
        rank = len(self.windows)
        if self.first:
            values = np.moveaxis(np.moveaxis(values, 0, rank), rank + 1, -1)
        sizes, outputs = (tuple(getattr(w, name) for w in self.windows) for name in ("size", "outputs"))
        if values.shape != (*sizes, self.channels, *outputs, self.filters):
            raise ReadError("its kernel isn't one of its inputs and outputs; the weights belong to another layer")
        own = np.zeros((prod(outputs), *(w.kernel for w in self.windows), self.channels, self.filters), values.dtype)
        every = [w.taps() for w in self.windows]
        for i, position in enumerate(product(*map(range, outputs))):
            for place in product(*(range(w.kernel) for w in self.windows)):
                element = tuple(int(taps[o, k]) for taps, o, k in zip(every, position, place))
                # What lies in the padding is nowhere in the kernel.
                if min(element) >= 0:
                    own[(i, *place)] = np.moveaxis(values[element], 0, -2)[position]
        return own

    def row(self, values: Values) -> Values:
        """Return the bias as one number for each window and filter."""
        if self.first:
            # As Keras adds it: in the order of its numbers, whichever axes they are kept along.
            values = np.moveaxis(values.reshape(self.filters, *(w.outputs for w in self.windows)), 0, -1)
        return values.reshape(-1)
