"""Sums and extremes over windows along an axis, and over whole axes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from keras_hls.errors import TooWide
from keras_hls.fixed import MAX_BITS, BoolArray, IntArray, TensorType, trailing_zeros
from keras_hls.layers_ext.counting import extreme_steps, sum_steps
from keras_hls.layers_ext.reading import Builder, Ref
from keras_hls.layers_ext.reshape import Reshape
from keras_hls.op import Kernel, Op, Plan, Work

_FUNCTIONS: dict[str, np.ufunc] = {"sum": np.add, "max": np.maximum, "min": np.minimum}


@dataclass(frozen=True, eq=False)
class Pool(Op):
    """y[i] = the sum, the largest or the smallest element of x in window i, along one axis; beyond the ends is nothing.

    Window i begins with element ``floor(i * stride / parts) - before`` and ends before
    ``ceil((i * stride + size) / parts) - before``.

    Parameters
    ----------
    kind : {"sum", "max", "min"}
    axis : int
        Of a sample, from 0.
    windows : int
        How many there are.
    size, stride : int
        Of a window, and from one to the next, in parts of an element.
    before : int
        Elements by which the first window begins before the first element.
    parts : int
        Above 1, windows of about equal size share the axis out among them: they differ by an element, or overlap.
    """

    kind: str
    axis: int
    windows: int
    size: int
    stride: int = 1
    before: int = 0
    parts: int = 1

    def spans(self, length: int) -> tuple[IntArray, IntArray]:
        """Return the first element of each window on an axis of that length, and the first behind it."""
        at = np.arange(self.windows) * self.stride
        first = np.maximum(at // self.parts - self.before, 0)
        last = np.minimum(-(-(at + self.size) // self.parts) - self.before, length)
        return first, last

    def _sides(self, x: TensorType) -> tuple[int, int, int]:
        """The input's shape around the axis: elements before it, along it and behind it."""
        return prod(x.shape[: self.axis]), x.shape[self.axis], prod(x.shape[self.axis + 1 :])

    def _shape(self, x: TensorType) -> tuple[int, ...]:
        return (*x.shape[: self.axis], self.windows, *x.shape[self.axis + 1 :])

    def _seen(self, x: TensorType) -> tuple[Callable[[npt.NDArray[Any]], npt.NDArray[Any]], BoolArray]:
        """How to look through the windows, and which places of what is seen there are inside.

        The function takes an array of the input's shape and returns one of shape (before, windows, longest window, behind).
        """
        outer, length, inner = self._sides(x)
        first, last = self.spans(length)
        at = first[:, None] + np.arange(int((last - first).max(initial=0)))
        inside = (at < last[:, None])[:, :, None]
        # A place outside shows the window's last element again, which changes no extreme.
        at = np.minimum(at, last[:, None] - 1)
        return lambda array: array.reshape(outer, length, inner)[:, at], inside

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        if self.kind not in _FUNCTIONS:
            raise ValueError(f"kind of pooling must be one of {', '.join(_FUNCTIONS)}, not {self.kind!r}")
        if not 0 <= self.axis < len(x.shape):
            raise ValueError(
                f"axis must be one of the {len(x.shape)} axes of an input of shape {x.shape}, not {self.axis}"
            )
        first, last = self.spans(x.shape[self.axis])
        if self.windows < 1 or (first >= last).any():
            raise ValueError(f"a window of {self.size} is empty on an axis of {x.shape[self.axis]} elements")
        low, high, zeros = self._sum(x) if self.kind == "sum" else self._extreme(x)
        return TensorType(low, high, x.frac, zeros).reshape(self._shape(x))

    def _sum(self, x: TensorType) -> tuple[IntArray, IntArray, IntArray]:
        see, inside = self._seen(x)
        low, high = (np.where(inside, see(end), 0) for end in (x.low, x.high))
        largest = np.maximum(np.abs(low), np.abs(high)).astype(np.float64).sum(2)
        if largest.max(initial=0) >= (1 << (MAX_BITS - 1)) * (1 - 1e-9):
            raise TooWide(f"a sum over a window needs more than {MAX_BITS} bits")
        return low.sum(2), high.sum(2), np.where(inside, see(x.zeros), MAX_BITS).min(2)

    def _extreme(self, x: TensorType) -> tuple[IntArray, IntArray, IntArray]:
        see, inside = self._seen(x)
        function = _FUNCTIONS[self.kind]
        low, high = (function.reduce(see(end), 2) for end in (x.low, x.high))
        sure, winning = self._winning(x, see, inside)
        zeros = np.where(winning, see(x.zeros), MAX_BITS).min(2)
        return low, high, np.minimum(zeros, trailing_zeros(sure))

    def _winning(
        self, x: TensorType, see: Callable[[IntArray], IntArray], inside: BoolArray
    ) -> tuple[IntArray, BoolArray]:
        """The extreme that each window reaches whatever its values are, and the elements that may go beyond it."""
        low, high = see(x.low), see(x.high)
        if self.kind == "max":
            sure = low.max(2)
            return sure, inside & (high > sure[:, :, None])
        sure = high.min(2)
        return sure, inside & (low < sure[:, :, None])

    def bind(self, *inputs: TensorType) -> Callable[..., IntArray]:
        (x,) = inputs
        outer, length, inner = self._sides(x)
        shape, function = self._shape(x), _FUNCTIONS[self.kind]
        steps = list(self._taps(length)) if self.parts == 1 and self.size < self.windows else None
        spans = list(zip(*(ends.tolist() for ends in self.spans(length))))
        # An extreme can't be beyond the window's own elements, of which there is at least one.
        start = {"sum": 0, "max": np.iinfo(np.int64).min, "min": np.iinfo(np.int64).max}[self.kind]

        def run(raw: IntArray) -> IntArray:
            whole = raw.reshape(len(raw), outer, length, inner)
            y = np.full((len(raw), outer, self.windows, inner), start, np.int64)
            if steps is None:
                for i, (first, last) in enumerate(spans):
                    function.reduce(whole[:, :, first:last], axis=2, out=y[:, :, i])
            else:
                for to, taken in steps:
                    function(y[:, :, to], whole[:, :, taken], out=y[:, :, to])
            return y.reshape(len(raw), *shape)

        return run

    def _taps(self, length: int) -> Iterator[tuple[slice, slice]]:
        """For each place in a window: the windows that have an element there, and these elements."""
        for place in range(self.size):
            points = np.arange(self.windows) * self.stride + place - self.before
            (found,) = np.nonzero((points >= 0) & (points < length))
            if found.size:
                first, last = int(found[0]), int(found[-1])
                yield slice(first, last + 1), slice(int(points[first]), int(points[last]) + 1, self.stride)

    @property
    def selects(self) -> bool:
        return self.kind != "sum"

    def permuted(self, axes: tuple[int, ...]) -> Op:
        return replace(self, axis=axes.index(self.axis))

    def channelwise(self, kept: BoolArray, *inputs: TensorType) -> Op | None:
        return self if self.axis < len(inputs[0].shape) - 1 else None

    @property
    def wraps(self) -> bool:
        return self.kind == "sum"

    def low_bits(self, bits: int, *inputs: TensorType) -> tuple[int, ...]:
        return (bits if self.kind == "sum" else MAX_BITS,)

    def identity(self, *inputs: TensorType) -> bool:
        length = inputs[0].shape[self.axis]
        first, last = self.spans(length)
        return self.windows == length and bool((first == np.arange(length)).all() and (last == first + 1).all())

    def reuse_factors(self, *inputs: TensorType) -> tuple[int, ...]:
        return (1,)

    def work(self, *inputs: TensorType, plan: Plan) -> Work:
        (x,) = inputs
        see, inside = self._seen(x)
        widths = self.infer(x).widths.reshape(-1)
        if self.kind == "sum":
            live = inside & see(x.widths > 0)
            known = np.where(inside & ~live, see(x.low), 0).sum(2)
            terms = (live.sum(2) + (known != 0)).reshape(-1)
            return Work(tuple(sum_steps(terms, widths)))
        sure, winning = self._winning(x, see, inside)
        # What is sure is a number beside those that may go beyond it, unless one of them is never short of it.
        kept = winning & (see(x.low if self.kind == "max" else x.high) == sure[:, :, None])
        terms = (winning.sum(2) + ~kept.any(2)).reshape(-1)
        return Work(tuple(extreme_steps(terms, widths)))

    def hls(self, *inputs: TensorType, plan: Plan) -> Kernel:
        (x,) = inputs
        outer, length, inner = self._sides(x)
        first, last = self.spans(length)
        sizes = {
            "outer": outer,
            "length": length,
            "inner": inner,
            "windows": self.windows,
            "size": self.size,
            "stride": self.stride,
            "before": self.before,
            "parts": self.parts,
            "longest": int((last - first).max()),
            "alike": int(((last - first) == (last - first)[0]).all()),
        }
        return Kernel(f"pool_{self.kind}", "pool", sizes)


def reduce(
    build: Builder,
    x: Ref,
    shape: Sequence[int],
    kind: str,
    axes: Sequence[int],
    *,
    keepdims: bool,
    name: str,
    layer: str,
) -> Ref:
    """Append the sum, the largest or the smallest element over whole axes.

    Parameters
    ----------
    build : Builder
    x : Ref
    shape : sequence of int
        Of one sample of x.
    kind : {"sum", "max", "min"}
    axes : sequence of int
        Of a sample; negative ones count from the end.
    keepdims : bool
        Whether these axes stay, with one element each.
    name, layer : str
        Of the nodes.
    """
    gone = {axis % len(shape) for axis in axes}
    if not gone:
        return x
    # Neighbouring axes are one: each run of them is walked through once.
    runs = [(key, prod(n for _, n in run)) for key, run in groupby(enumerate(shape), lambda item: item[0] in gone)]
    x = build.add(Reshape(tuple(n for _, n in runs)), x, name=f"{name}_runs", layer=layer)
    for axis, (reduced, n) in enumerate(runs):
        if reduced:
            x = build.add(Pool(kind, axis, 1, n, n), x, name=name, layer=layer)
    left = tuple(1 if axis in gone else n for axis, n in enumerate(shape) if keepdims or axis not in gone)
    return build.add(Reshape(left), x, name=f"{name}_shape", layer=layer)
