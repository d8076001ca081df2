"""Windows that slide over an image: what convolution and pooling share.

An image has one to three spatial axes and, last, one of channels. Each spatial axis has a `Window` of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from keras_hls.fixed import IntArray


@dataclass(frozen=True)
class Window:
    """How a window slides along one axis.

    The axis is first stretched (`input_dilation`) and padded; output o takes the points ``o * stride + k * dilation`` for k
    below `kernel`.

    Parameters
    ----------
    size : int
        Elements of the input.
    kernel : int
        Elements of the window.
    stride : int
        Points from one output's window to the next one's.
    dilation : int
        Points from one element of the window to the next.
    before, after : int
        Points added at the ends; below zero, points taken away.
    input_dilation : int
        Points from one element of the input to the next; those between are padding, too.
    """

    size: int
    kernel: int
    stride: int = 1
    dilation: int = 1
    before: int = 0
    after: int = 0
    input_dilation: int = 1

    @property
    def span(self) -> int:
        """Points from the window's first element to its last, both included."""
        return (self.kernel - 1) * self.dilation + 1

    @property
    def stretched(self) -> int:
        """Points of the input, without padding at the ends."""
        return (self.size - 1) * self.input_dilation + 1

    @property
    def points(self) -> int:
        """Points of the input with all padding."""
        return self.stretched + self.before + self.after

    @property
    def outputs(self) -> int:
        """Elements of the output; 0 or less if no window fits."""
        return (self.points - self.span) // self.stride + 1

    def taps(self) -> IntArray:
        """Return the input element under each element of each output's window, [outputs, kernel]; -1 for padding."""
        points = np.arange(self.outputs)[:, None] * self.stride + np.arange(self.kernel) * self.dilation - self.before
        inside = (points >= 0) & (points < self.stretched) & (points % self.input_dilation == 0)
        return np.where(inside, points // self.input_dilation, -1)


def padding(mode: str, size: int, kernel: int, stride: int = 1, dilation: int = 1) -> tuple[int, int]:
    """Return how many points Keras adds before and after an axis.

    Parameters
    ----------
    mode : {"valid", "same", "causal"}
        "same" gives ``ceil(size / stride)`` outputs and, where the sum is odd, one point more after than before.
    size, kernel, stride, dilation : int
        As in `Window`.

    Raises
    ------
    ValueError
        For another mode.
    """
    reach = (kernel - 1) * dilation
    if mode == "valid":
        return 0, 0
    if mode == "causal":
        return reach, 0
    if mode == "same":
        total = max((-(-size // stride) - 1) * stride + reach + 1 - size, 0)
        return total // 2, total - total // 2
    raise ValueError(f"Padding must be 'valid', 'same' or 'causal', not {mode!r}")


def transposed(
    mode: str, size: int, kernel: int, stride: int = 1, dilation: int = 1, output_padding: int | None = None
) -> Window:
    """Return the window of Keras's transposed convolution, which slides over an axis stretched by `stride`.

    Parameters
    ----------
    mode : {"valid", "same"}
        "same" gives ``size * stride`` outputs, or with an output padding ``(size - 1) * stride + span % 2`` and so many more;
        "valid" at least those that the kernel reaches.
    size, kernel, stride, dilation : int
        As the layer has them; the kernel is to be turned round.
    output_padding : int, optional

    Raises
    ------
    ValueError
        For another mode.
    """
    if mode not in ("valid", "same"):
        raise ValueError(f"Padding of a transposed convolution must be 'valid' or 'same', not {mode!r}")
    span = (kernel - 1) * dilation + 1
    if output_padding is None:
        beyond = stride if mode == "same" else max(span, stride)
    else:
        beyond = (span % 2 if mode == "same" else span) + output_padding
    # The forward convolution, which it is the transpose of, pads what is the output here; so much less the input gets.
    cut = max(span - beyond, 0) // 2 if mode == "same" else 0
    return Window(size, kernel, 1, dilation, span - 1 - cut, beyond - 1 + cut, stride)


def patches(image: npt.NDArray[Any], windows: Sequence[Window], fill: Any = 0) -> npt.NDArray[Any]:
    """Return what each window sees, as a view of the padded image: nothing is copied but to pad.

    Parameters
    ----------
    image : array of shape (n, *sizes, channels)
    windows : sequence of Window
        One a spatial axis.
    fill : number
        The value of padding.

    Returns
    -------
    array of shape (n, *outputs, *kernel, channels), read-only
    """
    for axis, w in enumerate(windows, 1):
        image = _padded(image, axis, w, fill)
    outer, inner = image.strides[1:-1], image.strides[1:-1]
    shape = (len(image), *(w.outputs for w in windows), *(w.kernel for w in windows), image.shape[-1])
    strides = (
        image.strides[0],
        *(step * w.stride for step, w in zip(outer, windows)),
        *(step * w.dilation for step, w in zip(inner, windows)),
        image.strides[-1],
    )
    return np.lib.stride_tricks.as_strided(image, shape, strides, writeable=False)


def _padded(image: npt.NDArray[Any], axis: int, w: Window, fill: Any) -> npt.NDArray[Any]:
    if (w.before, w.after, w.input_dilation) == (0, 0, 1):
        return image
    padded = np.full((*image.shape[:axis], w.points, *image.shape[axis + 1 :]), fill, image.dtype)
    points = np.arange(w.size) * w.input_dilation + w.before
    inside = np.flatnonzero((points >= 0) & (points < w.points))
    if inside.size:
        first, last = int(inside[0]), int(inside[-1])
        lead = (slice(None),) * axis
        to = slice(int(points[first]), int(points[last]) + 1, w.input_dilation)
        padded[(*lead, to)] = image[(*lead, slice(first, last + 1))]
    return padded


def sizes(windows: Sequence[Window]) -> dict[str, int]:
    """Return the geometry for a kernel's configuration: three axes, of which missing ones, in front, have one element.

    Returns
    -------
    dict
        ``in_0``, ``out_0``, ``kernel_0``, ``stride_0``, ``dilation_0``, ``before_0``, ``stretch_0`` and so on to 2.
    """
    whole = (*[Window(1, 1)] * (3 - len(windows)), *windows)
    found: dict[str, int] = {}
    for i, w in enumerate(whole):
        found |= {f"in_{i}": w.size, f"out_{i}": w.outputs, f"kernel_{i}": w.kernel, f"stride_{i}": w.stride}
        found |= {f"dilation_{i}": w.dilation, f"before_{i}": w.before, f"stretch_{i}": w.input_dilation}
    return found
