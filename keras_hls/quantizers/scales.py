"""Scales that QKeras finds in the weights themselves: "auto" and "auto_po2", in its own float32."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from keras_hls.quantizers.base import QuantizerError
from keras_hls.quantizers.tensorflow_floats import EPSILON, LOG2, Float32, log, mean

#: One axis or several.
Axes = int | tuple[int, ...]


@dataclass(frozen=True)
class Scaling:
    """Which numbers of a tensor share a scale, and which powers of two it may be.

    Parameters
    ----------
    scale_axis : int or tuple of ints, optional
        The axes along which scales differ; by default the last. QKeras 0.9 takes the axes before it and those after it, so
        that a negative one means none at all.
    elements_per_scale : int or tuple of ints, optional
        How many neighbours along these axes share one.
    min_po2_exponent, max_po2_exponent : int, optional
    """

    scale_axis: Axes | None = None
    elements_per_scale: Axes | None = None
    min_po2_exponent: int | None = None
    max_po2_exponent: int | None = None

    def reduced(self, rank: int) -> list[int]:
        """Return the axes of a tensor along which all numbers share a scale.

        Raises
        ------
        QuantizerError
            If the tensor hasn't such axes.
        """
        if self.scale_axis is None:
            return list(range(rank - 1))
        if isinstance(self.scale_axis, tuple):
            return [axis for axis in range(rank) if axis not in self.scale_axis]
        if not -1 <= self.scale_axis < rank:
            raise QuantizerError(f"scale_axis={self.scale_axis} isn't an axis of a tensor of {rank} axes")
        return [*range(self.scale_axis), *range(self.scale_axis + 1, rank)]

    def least_squares(self, x: Float32, q: Float32, *, po2: bool) -> Float32:
        """Return the scales s for which s * q is nearest to x, or powers of two near them."""
        if x.ndim > 1:
            qx, qq = self._mean(x * q), self._mean(q * q)
        else:
            # QKeras takes each element of a vector for a channel.
            qx, qq = x * q, q * q
        scale = qx / (qq + EPSILON)
        if not po2:
            return scale
        scale = power_of_two(scale)
        if self.min_po2_exponent is None and self.max_po2_exponent is None:
            return scale
        low = -np.inf if self.min_po2_exponent is None else 2.0**self.min_po2_exponent
        high = np.inf if self.max_po2_exponent is None else 2.0**self.max_po2_exponent
        return np.clip(scale, np.float32(low), np.float32(max(low, high)))

    def _mean(self, x: Float32) -> Float32:
        if self.elements_per_scale is None:
            return mean(x, self.reduced(x.ndim))
        axes, counts = self._groups(x)
        shape: list[int] = []
        kept = []
        for axis, n in enumerate(x.shape):
            if axis in axes:
                kept.append(len(shape))
                shape += [n // counts[axes.index(axis)], counts[axes.index(axis)]]
            else:
                shape.append(n)
        grouped = mean(x.reshape(shape), [axis for axis in range(len(shape)) if axis not in kept])
        found = grouped.reshape([grouped.shape[kept[axes.index(a)]] if a in axes else 1 for a in range(x.ndim)])
        for axis, count in zip(axes, counts):
            found = np.repeat(found, count, axis)
        return found

    def _groups(self, x: Float32) -> tuple[list[int], list[int]]:
        """The axes with groups, in order, and how many neighbours are in one."""
        if self.scale_axis is None:
            raise QuantizerError("elements_per_scale needs a scale_axis")
        axes = [self.scale_axis] if isinstance(self.scale_axis, int) else list(self.scale_axis)
        given = self.elements_per_scale
        counts = [given] * len(axes) if isinstance(given, int) else list(given or ())
        fits = len(axes) == len(counts) and all(0 <= axis < x.ndim for axis in axes) and axes == sorted(set(axes))
        if not fits or any(count < 1 or x.shape[axis] % count for axis, count in zip(axes, counts)):
            raise QuantizerError(
                f"elements_per_scale={given} with scale_axis={self.scale_axis} doesn't part a tensor of shape {x.shape}"
            )
        return axes, counts


def power_of_two(scale: Float32) -> Float32:
    """Return the powers of two nearest to scales, by their logarithms."""
    return np.ldexp(np.float32(1), np.rint(log(scale + EPSILON) / LOG2).astype(np.int32)).astype(np.float32)
