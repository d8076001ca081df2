"""Sums of products over windows: what a convolution computes, in numpy."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from keras_hls.layers_ext.exact_matmul import matmul
from keras_hls.layers_ext.windows import Window, patches

#: Numbers that are laid out for one matrix product: they stay in a core's cache.
_LAID_OUT = 1 << 18


class SlidingProducts:
    """y[o, m] = sum over taps k and the channels c of m's group: x[o * stride + k * dilation, c] * kernel[k, c, m].

    Parameters
    ----------
    kernel : array [*k, channels / groups, outputs]
        Its dtype is that of all arithmetic.
    windows : sequence of Window
        One a spatial axis.
    groups : int
    """

    def __init__(self, kernel: npt.NDArray[Any], windows: Sequence[Window], groups: int):
        self.windows, self.groups = tuple(windows), groups
        self.dtype, self.n_out = kernel.dtype, kernel.shape[-1]
        self.taps, self.inputs = prod(kernel.shape[:-2]), kernel.shape[-2]
        self.outputs = tuple(w.outputs for w in windows)
        flat = kernel.reshape(self.taps * self.inputs, groups, self.n_out // groups)
        if groups == 1:
            self._matrix = np.ascontiguousarray(flat[:, 0])
        elif self.inputs == 1:
            self._matrix = np.ascontiguousarray(flat)
        else:
            self._matrix = np.ascontiguousarray(flat.transpose(1, 0, 2))

    def __call__(self, image: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return the sums, [n, *outputs, m], for an image [n, *sizes, channels] of any dtype; the result has the kernel's."""
        seen = patches(image.astype(self.dtype, copy=False), self.windows)
        sums = np.empty((len(image), *self.outputs, self.n_out), self.dtype)
        # Whole samples at a time, or some rows of one.
        row = prod(self.outputs[1:]) * self.taps * seen.shape[-1]
        rows = max(_LAID_OUT // max(row, 1), 1)
        samples = max(rows // max(self.outputs[0], 1), 1)
        for first in range(0, len(image), samples):
            for top in range(0, self.outputs[0], rows):
                part = np.s_[first : first + samples, top : top + rows]
                target = sums[part]
                target[...] = self._sum(seen[part]).reshape(target.shape)
        return sums

    def _sum(self, seen: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The sums of windows [n, *outputs, *k, channels]; in any shape, in order."""
        if self.groups == 1:
            return matmul(seen.reshape(-1, self.taps * self.inputs), self._matrix)
        if self.inputs == 1:
            return self._each_channel(seen.reshape(-1, self.taps, self.groups, 1))
        grouped = seen.reshape(-1, self.taps, self.groups, self.inputs).transpose(2, 0, 1, 3)
        found = matmul(grouped.reshape(self.groups, -1, self.taps * self.inputs), self._matrix)
        return found.transpose(1, 0, 2)

    def _each_channel(self, seen: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Depthwise: products of vectors of channels, one a tap, as there is no matrix to speak of."""
        sums = seen[:, 0] * self._matrix[0]
        for tap in range(1, self.taps):
            sums += seen[:, tap] * self._matrix[tap]
        return sums
