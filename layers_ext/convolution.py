"""Convolutions of every kind: one operation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from math import prod
from typing import Any, Literal

import numpy as np

from keras_hls.errors import TooWide
from keras_hls.fixed import MAX_BITS, BoolArray, Constant, IntArray, TensorType, trailing_zeros
from keras_hls.layers_ext.convolution_tables import latency_kernel, resource_kernel
from keras_hls.layers_ext.counting import csd_digits
from keras_hls.layers_ext.exact_matmul import exact_type
from keras_hls.layers_ext.folded_weights import common_factors, same_everywhere, scaled_weights, with_known
from keras_hls.layers_ext.products import (
    aligned,
    multipliers,
    reuse_factors,
    shared_work,
    sums_of_products,
    unrolled_work,
    width_counts,
)
from keras_hls.layers_ext.scale import Scale
from keras_hls.layers_ext.sliding_products import SlidingProducts
from keras_hls.layers_ext.windows import Window
from keras_hls.op import Kernel, Needs, Op, Plan, Step, Work


@dataclass(frozen=True, eq=False)
class Convolution(Op):
    """y[o, m] = sum over taps k and channels c: x[o * stride + k * dilation - before, c] * kernel[k, c, m] + bias[m], exact.

    The image has one to three spatial axes and, last, its channels. What lies outside of it, or between its elements where
    it is stretched, is 0; so a transposed convolution is one with its kernel turned round, and a depthwise one has as many
    groups as channels.

    Parameters
    ----------
    kernel : Constant
        Raw integers, [*k, channels / groups, outputs]; outputs of one group stand together.
    bias : Constant, optional
        Raw integers, [outputs].
    strides, dilation, input_dilation : tuple of int
        One number a spatial axis, as in `Window`; none for 1 everywhere.
    before, after : tuple of int
        Padding, one number a spatial axis; none for 0 everywhere.
    groups : int
    """

    kernel: Constant
    bias: Constant | None = None
    strides: tuple[int, ...] = ()
    dilation: tuple[int, ...] = ()
    before: tuple[int, ...] = ()
    after: tuple[int, ...] = ()
    groups: int = 1
    input_dilation: tuple[int, ...] = ()

    @property
    def narrow(self) -> Literal["value"]:
        return "value"

    @property
    def _inputs(self) -> int:
        """Channels of one group."""
        return self.kernel.shape[-2]

    @property
    def _outputs(self) -> int:
        return self.kernel.shape[-1]

    @property
    def _n_in(self) -> int:
        """Terms of a sum."""
        return prod(self.kernel.shape[:-1])

    def windows(self, x: TensorType) -> tuple[Window, ...]:
        """Return how the kernel slides along each spatial axis.

        Raises
        ------
        ValueError
            If the input, or a parameter, doesn't suit the kernel.
        """
        spatial = self.kernel.shape[:-2]
        if not 1 <= len(spatial) <= 3 or len(x.shape) != len(spatial) + 1:
            raise ValueError(
                f"a kernel of shape {self.kernel.shape} takes an image of {len(spatial)} axes (1 to 3) and channels, not"
                f" {x.shape}"
            )
        if x.shape[-1] != self._inputs * self.groups or self._outputs % self.groups:
            raise ValueError(
                f"a kernel of shape {self.kernel.shape} in {self.groups} groups doesn't suit {x.shape[-1]} channels"
            )
        if self.bias is not None and self.bias.shape != (self._outputs,):
            raise ValueError(f"bias must be {self._outputs} numbers, one an output, not of shape {self.bias.shape}")
        ones, zeros = (1,) * len(spatial), (0,) * len(spatial)
        columns = (
            x.shape[:-1],
            spatial,
            self.strides or ones,
            self.dilation or ones,
            self.before or zeros,
            self.after or zeros,
            self.input_dilation or ones,
        )
        if any(len(column) != len(spatial) for column in columns):
            raise ValueError(f"strides, dilation and padding must be {len(spatial)} numbers each, one a spatial axis")
        if min(min(column) for column in (columns[2], columns[3], columns[6])) < 1:
            raise ValueError("strides and dilation must be 1 or more")
        found = tuple(Window(*numbers) for numbers in zip(*columns))
        for window in found:
            if window.outputs < 1:
                raise ValueError(f"a kernel that spans {window.span} points doesn't fit an axis of {window.points}")
        return found

    def _slide(self, x: TensorType, kernel: IntArray, dtype: Any) -> SlidingProducts:
        return SlidingProducts(kernel.astype(dtype), self.windows(x), self.groups)

    def _reach(self, x: TensorType, kernel: IntArray, bias: IntArray) -> float:
        """A bound of every partial sum, in any order, in units of the output."""
        largest = np.maximum(np.abs(x.low), np.abs(x.high))
        sums = self._slide(x, np.abs(kernel), np.float64)(largest[None]) + np.abs(bias)
        return float(sums.max(initial=0))

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        self.windows(x)
        kernel, bias, frac = aligned(x, self.kernel, self.bias)
        reach = self._reach(x, kernel, bias)
        # A float64 estimate is off by at most a few ulp, and the limit is 2**62: within the ulp we refuse.
        if reach >= (1 << (MAX_BITS - 1)) * (1 - 1e-9):
            raise TooWide(f"a sum of products needs more than {MAX_BITS} bits")
        ends = np.stack([x.low, x.high])
        slide = partial(self._slide, x, dtype=exact_type(reach))
        up, down = (slide(part)(ends).astype(np.int64) for part in (np.maximum(kernel, 0), np.minimum(kernel, 0)))
        return TensorType(
            up[0] + down[1] + bias, up[1] + down[0] + bias, frac, self._zeros(x, kernel, bias, up[0].shape)
        )

    def _zeros(self, x: TensorType, kernel: IntArray, bias: IntArray, shape: tuple[int, ...]) -> IntArray:
        """Trailing zeros of the sums: those of the term that has the fewest."""
        of_channels = x.zeros.reshape(-1, self.groups, self._inputs).min(0, initial=MAX_BITS)
        of_inputs = np.repeat(of_channels, self._outputs // self.groups, 0).T
        products = np.minimum(of_inputs + trailing_zeros(kernel), MAX_BITS).reshape(-1, self._outputs)
        return np.broadcast_to(np.minimum(products.min(0, initial=MAX_BITS), trailing_zeros(bias)), shape)

    def bind(self, *inputs: TensorType) -> Callable[..., IntArray]:
        (x,) = inputs
        kernel, bias, _ = aligned(x, self.kernel, self.bias)
        dtype = exact_type(self._reach(x, kernel, bias))
        slide, offset = self._slide(x, kernel, dtype), bias.astype(dtype)

        def convolve(raw: IntArray) -> IntArray:
            sums = slide(raw)
            sums += offset
            return sums.astype(np.int64, copy=False)

        return convolve

    def needs(self, wanted: BoolArray, *inputs: TensorType) -> Needs:
        (x,) = inputs
        groups = wanted.reshape(self.groups, -1).any(1)
        taken = np.repeat(groups, self._inputs)
        if groups.sum() > 1:
            # The channels of a group come and go together.
            return Needs(np.repeat(groups, wanted.size // self.groups), (taken,))
        known = same_everywhere(x)
        if self._pads(x):
            # Padding is 0, whatever a channel is.
            known &= (x.low == 0).reshape(-1, x.channels).all(0)
        used = self.kernel.raw.reshape(-1, *self.kernel.shape[-2:])[..., wanted].any((0, 2))
        taken[taken] = used & ~known[taken]
        return Needs(wanted, (taken,))

    def _pads(self, x: TensorType) -> bool:
        """Whether any window reaches beyond the image, or between its elements."""
        return any((window.taps() < 0).any() for window in self.windows(x))

    def pruned(self, made: BoolArray, given: Sequence[BoolArray], *inputs: TensorType) -> Op | None:
        (x,) = inputs
        (channels,) = given
        if made.all() and channels.all():
            return self
        groups = made.reshape(self.groups, -1).any(1)
        own = np.repeat(groups, self._inputs)
        if (channels & ~own).any():
            return None
        kernel, bias = self.kernel, self.bias
        if groups.sum() == 1:
            bias = with_known(kernel, bias, _picked(x, own), ~channels[own])
            kernel = kernel.map(lambda a: a[..., channels[own], :])
        elif not np.array_equal(channels, own):
            return None
        return replace(
            self,
            kernel=kernel.map(lambda a: a[..., made]),
            bias=None if bias is None else bias.map(lambda a: a[made]),
            groups=int(groups.sum()),
        )

    @property
    def wraps(self) -> bool:
        return True

    def low_bits(self, bits: int, *inputs: TensorType) -> tuple[int, ...]:
        kernel, _, _ = aligned(inputs[0], self.kernel, self.bias)
        return (bits - int(trailing_zeros(kernel).min(initial=MAX_BITS)),)

    def scaled(self, scale: Constant, offset: Constant) -> Op | None:
        weights = scaled_weights(self.kernel, self.bias, scale, offset)
        return None if weights is None else replace(self, kernel=weights[0], bias=weights[1])

    def factored(self) -> tuple[Op, Op] | None:
        found = common_factors(self.kernel)
        if found is None:
            return None
        kernel, factors = found
        return replace(self, kernel=kernel, bias=None), Scale(factors, self.bias)

    def reuse_factors(self, *inputs: TensorType) -> tuple[int, ...]:
        return reuse_factors(self._n_in, self._outputs)

    def work(self, *inputs: TensorType, plan: Plan) -> Work:
        (x,) = inputs
        y = self.infer(x)
        if plan.strategy == "Resource":
            widest = (int(x.widths.max(initial=0)), self.kernel.type.hull.width, int(y.widths.max(initial=0)))
            return shared_work(
                self._n_in, self._outputs, widest, y.size // self._outputs, plan.reuse_factor, self.groups
            )
        counts, constants = self._multiples(x)
        shifts = csd_digits(constants) == 1
        shifted = int((counts[shifts] @ np.arange(counts.shape[1])).sum())
        return unrolled_work(multipliers(counts, constants), min(shifted, int(x.widths.sum())), self._sums(x, y))

    def _sums(self, x: TensorType, y: TensorType) -> list[Step]:
        """The adders of all outputs; windows that see pixels of the same types are counted at once."""
        kernel, bias, _ = aligned(x, self.kernel, self.bias)
        ends = np.concatenate([x.low.reshape(-1, x.channels), x.high.reshape(-1, x.channels)], 1)
        # The last is padding.
        pixels, which = np.unique(np.concatenate([ends, np.zeros_like(ends[:1])]), axis=0, return_inverse=True)
        seen = which.reshape(-1)[self._pixels(x)]
        kinds, first, times = np.unique(seen, axis=0, return_index=True, return_counts=True)
        # Of each tap and each of a group's channels, for its outputs: [taps * channels of a group, kinds, outputs].
        per_group = self._outputs // self.groups
        low, high = (
            np.repeat(part.reshape(*kinds.shape, self.groups, self._inputs), per_group, 2)
            .transpose(1, 3, 0, 2)
            .reshape(-1, len(kinds), self._outputs)
            for part in np.split(pixels[kinds], 2, -1)
        )
        weights = kernel.reshape(-1, 1, self._outputs)
        known = (np.where(low == high, low, 0) * weights).sum(0) + bias
        return sums_of_products(low, high, weights, known, y.widths.reshape(-1, self._outputs)[first], times)

    def _pixels(self, x: TensorType) -> IntArray:
        """Which pixel each tap of each output's window sees, [outputs, taps]; the one behind the last is padding."""
        sizes = x.shape[:-1]
        found = np.zeros((1, 1), np.int64)
        outside = np.zeros((1, 1), bool)
        for window, size in zip(self.windows(x), sizes):
            taps = window.taps()
            rows, columns = len(found) * len(taps), found.shape[1] * taps.shape[1]
            found = (found[:, None, :, None] * size + taps[:, None, :][None]).reshape(rows, columns)
            outside = (outside[:, None, :, None] | (taps < 0)[:, None, :][None]).reshape(rows, columns)
        return np.where(outside, prod(sizes), found)

    def _multiples(self, x: TensorType) -> tuple[IntArray, IntArray]:
        """The constants that elements of the image are multiplied by, and how many elements of each width each of them has.

        One multiplier serves all outputs that take the same multiple of an element, wherever their windows are.
        """
        by_channel = self._by_channel()
        channels = by_channel.shape[-2]
        # Every constant of every channel once, as channel and rank, and where it stands.
        constants, rank = np.unique(by_channel, return_inverse=True)
        ranked = rank.reshape(by_channel.shape) + np.arange(channels)[:, None] * len(constants)
        pairs, place = np.unique(ranked, return_inverse=True)
        place = place.reshape(by_channel.shape)
        found = np.zeros((len(pairs), MAX_BITS + 1), np.int64)
        # Elements that the same taps meet are counted at once: those inside, beside an edge, in a corner.
        meetings = [np.unique(_met(window), axis=0, return_inverse=True) for window in self.windows(x)]
        for kinds in product(*(range(len(patterns)) for patterns, _ in meetings)):
            taps = [np.flatnonzero(patterns[kind]) for (patterns, _), kind in zip(meetings, kinds)]
            where = [np.flatnonzero(of.reshape(-1) == kind) for (_, of), kind in zip(meetings, kinds)]
            here = np.zeros(len(pairs), bool)
            here[place[np.ix_(*taps)]] = True
            counts = width_counts(x.widths[np.ix_(*where)].reshape(-1, channels))
            found[here] += counts[pairs[here] // len(constants)]
        return found, constants[pairs % len(constants)]

    def _by_channel(self) -> IntArray:
        """The kernel by the channel that it multiplies, [*k, channels, outputs / groups]."""
        *spatial, inputs, outputs = self.kernel.shape
        split = self.kernel.raw.reshape(*spatial, inputs, self.groups, outputs // self.groups)
        return np.moveaxis(split, -2, -3).reshape(*spatial, inputs * self.groups, outputs // self.groups)

    def hls(self, *inputs: TensorType, plan: Plan) -> Kernel:
        (x,) = inputs
        windows, width = self.windows(x), self.infer(x).hull.width
        if plan.strategy == "Resource":
            return resource_kernel(windows, self.kernel, self.bias, self.groups, width, plan.reuse_factor)
        kernel, bias, frac = aligned(x, self.kernel, self.bias)
        return latency_kernel(windows, Constant(kernel, frac - x.frac), Constant(bias, frac), self.groups, width)


def _picked(x: TensorType, channels: BoolArray) -> TensorType:
    """The type of some channels alone."""
    return TensorType(x.low[..., channels], x.high[..., channels], x.frac, x.zeros[..., channels])


def _met(window: Window) -> Any:
    """Which taps of any output's window meet each element of the input, [size, kernel]."""
    taps = window.taps()
    met = np.zeros((window.size + 1, window.kernel), bool)
    met[taps, np.arange(window.kernel)] = True
    # Padding is element -1.
    return met[:-1]
