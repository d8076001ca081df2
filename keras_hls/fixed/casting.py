"""Rounding and overflow on integers: what the modes of ``ap_fixed`` mean."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from keras_hls.errors import TooWide
from keras_hls.fixed.formats import MAX_BITS, ROUNDING, Fixed, Formats, IntArray
from keras_hls.fixed.tensors import ZERO_TRAILING, TensorType, shift_left


def rounded_down_terms(rounding: str, raw: IntArray, drop: Any) -> IntArray | int:
    """Return what to add to `raw` so that clearing its low `drop` bits rounds it in the given mode."""
    half = (np.int64(1) << drop) >> 1
    if rounding == "TRN":
        return 0
    if rounding == "RND":
        return half
    below = np.maximum(half - 1, 0)
    if rounding == "RND_MIN_INF":
        return below
    if rounding == "RND_ZERO":
        return np.where(raw < 0, half, below)
    if rounding == "RND_INF":
        return np.where(raw < 0, below, half)
    if rounding == "RND_CONV":
        return np.where(half > 0, below + ((raw >> drop) & 1), 0)
    if rounding == "TRN_ZERO":
        return np.where(raw < 0, (np.int64(1) << drop) - 1, 0)
    raise ValueError(f"Rounding mode must be one of {', '.join(ROUNDING)}, not {rounding!r}")


class Quantization:
    """The cast of a tensor of type `source` to `formats`, understood once and done many times.

    Parameters
    ----------
    formats : Formats
        Must broadcast to the shape of `source`.
    source : TensorType

    Attributes
    ----------
    type : TensorType
        The exact type of the result.
    rounds, overflows : bool array of the tensor's shape
        Where the cast can lose low bits, and where a value can be outside of its format.

    Raises
    ------
    TooWide
        If input and output together span more than 63 bits.
    """

    def __init__(self, formats: Formats, source: TensorType):
        self.formats, self.source = formats, source
        shape = source.shape
        live = np.broadcast_to(formats.live, shape)
        #: Common grid of input and output: every element's own least bit lies on it.
        self.grid = max(source.frac, formats.frac)
        self.lift = self.grid - source.frac
        self.lower = self.grid - formats.frac
        low, high, drop = (np.broadcast_to(a, shape) for a in formats.bounds(self.grid))
        if drop.size and int(drop.max()) >= MAX_BITS - 1:
            raise TooWide(f"input and output of a cast together span more than {MAX_BITS} bits")
        source_low, source_high = shift_left(source.low, self.lift), shift_left(source.high, self.lift)
        zeros = source.zeros + self.lift
        self.rounds = live & (zeros < drop)
        self._drop, self._low, self._high, self._live = drop, low, high, live
        first, last = self._round(source_low), self._round(source_high)
        # A rounded value may need one bit more than the value itself.
        limit = 1 << (MAX_BITS - 1)
        if int(last.max(initial=0)) >= limit or int(first.min(initial=0)) < -limit:
            raise TooWide(f"a rounded value needs more than {MAX_BITS} bits")
        self.overflows = live & ((first < low) | (last > high))
        if formats.overflow == "WRAP" and (self.overflows & (drop + formats.width >= MAX_BITS)).any():
            raise TooWide(f"a value that wraps around, in units of its input, needs more than {MAX_BITS} bits")
        self.type = self._infer(first, last, np.where(self.rounds, drop, zeros))
        self._prepare()

    def _round(self, raw: IntArray) -> IntArray:
        terms = rounded_down_terms(self.formats.rounding, raw, self._drop)
        return np.where(self._live, (raw + terms) & ~((np.int64(1) << self._drop) - 1), 0)

    def _infer(self, first: IntArray, last: IntArray, zeros: IntArray) -> TensorType:
        low, high, over = self._low, self._high, self.overflows
        mode = self.formats.overflow
        if mode == "WRAP":
            first, last = self._wrapped(first, last, zeros)
        elif mode == "SAT_ZERO":
            # Everything outside becomes 0, so 0 joins what is left of the interval.
            inside = (first <= high) & (last >= low)
            # The ends of what is left are the last points of the input's grid.
            step = np.int64(1) << np.minimum(zeros, MAX_BITS - 1)
            kept_low, kept_high = -(-np.maximum(first, low) // step * step), np.minimum(last, high) // step * step
            first = np.where(over, np.where(inside, np.minimum(kept_low, 0), 0), first)
            last = np.where(over, np.where(inside, np.maximum(kept_high, 0), 0), last)
        else:
            first, last = np.clip(first, low, high), np.clip(last, low, high)
        if mode in ("SAT", "SAT_SYM"):
            # A saturated value can have any bit that the format has.
            zeros = np.where(over, np.minimum(zeros, self._drop), zeros)
        zeros = np.where(zeros >= ZERO_TRAILING, ZERO_TRAILING, np.maximum(zeros - self.lower, 0))
        return TensorType(first >> self.lower, last >> self.lower, self.formats.frac, zeros)

    def _wrapped(self, first: IntArray, last: IntArray, zeros: IntArray) -> tuple[IntArray, IntArray]:
        """The ends of intervals of multiples of ``2**zeros`` that wrap around."""
        bits = np.where(self.overflows, self._drop + np.where(self._live, self.formats.width, 0), 0)
        turns = (first - self._low) >> bits, (last - self._low) >> bits
        # What turns round as often at both ends stays an interval; anything else may be any multiple in the range.
        back = np.where(self.overflows, turns[0] << bits, 0)
        split = self.overflows & (turns[0] != turns[1])
        none = split & (zeros >= bits)
        low = np.where(none, 0, self._low)
        high = np.where(none, 0, self._low + (np.int64(1) << bits) - (np.int64(1) << np.minimum(zeros, bits)))
        return np.where(split, low, first - back), np.where(split, high, last - back)

    def _prepare(self) -> None:
        """Choose the shortest run of vector operations; scalars where all elements agree (numpy is faster on them)."""
        formats, drop = self.formats, self._drop
        steps: list[Callable[[IntArray], IntArray]] = []
        if self.lift:
            steps.append(lambda raw: raw << self.lift)
        if self.rounds.any() or not self._live.all():
            keep = scalar_if_same(np.where(self._live, ~((np.int64(1) << drop) - 1), 0))
            where = scalar_if_same(np.where(self.rounds, drop, 0))
            if formats.rounding == "TRN" or not self.rounds.any():
                steps.append(lambda raw: raw & keep)
            elif formats.rounding in ("RND", "RND_MIN_INF"):
                term = rounded_down_terms(formats.rounding, np.int64(0), where)  # type: ignore[arg-type]
                steps.append(lambda raw: (raw + term) & keep)
            else:
                steps.append(lambda raw: (raw + rounded_down_terms(formats.rounding, raw, where)) & keep)
        if self.overflows.any():
            low, high = scalar_if_same(self._low), scalar_if_same(self._high)
            if formats.overflow == "WRAP":
                steps.append(self._wrapping())
            elif formats.overflow == "SAT_ZERO":
                steps.append(lambda raw: np.where((raw < low) | (raw > high), 0, raw))
            else:
                steps.append(lambda raw: np.minimum(np.maximum(raw, low), high))
        if self.lower:
            steps.append(lambda raw: raw >> self.lower)
        self._steps = steps

    def _wrapping(self) -> Callable[[IntArray], IntArray]:
        formats, shape = self.formats, self.source.shape
        width = np.broadcast_to(np.where(formats.live, formats.width, 0), shape)
        bits = self._drop + width
        # Elements whose range is that of all 63-bit integers can't overflow and are left alone.
        wraps = self.overflows & (bits < MAX_BITS)
        signed = np.broadcast_to(formats.signed, shape)
        bias = np.where(wraps & signed, np.int64(1) << np.where(wraps & signed, bits - 1, 0), 0)
        mask = np.where(wraps, (np.int64(1) << np.where(wraps, bits, 0)) - 1, np.int64(-1))
        bias_, mask_ = scalar_if_same(bias), scalar_if_same(mask)
        if not bias.any():
            return lambda raw: raw & mask_
        return lambda raw: ((raw + bias_) & mask_) - bias_

    def __call__(self, raw: IntArray) -> IntArray:
        """Return the cast of raw integers of shape ``(n, *source.shape)``, in units of ``2**-type.frac``."""
        for step in self._steps:
            raw = step(raw)
        return raw


def scalar_if_same(array: npt.NDArray[Any]) -> Any:
    """Return the one number of an array whose numbers are all the same; numpy is faster with it."""
    return array.flat[0] if array.size and (array == array.flat[0]).all() else array


def quantize(raw: npt.ArrayLike, frac: int, formats: Formats | Fixed) -> tuple[IntArray, int]:
    """Cast raw integers in units of ``2**-frac`` to `formats`; return the new raw integers and their `frac`.

    Raises
    ------
    TooWide
        If an integer on the way needs more than 63 bits.
    """
    formats = Formats.of(formats) if isinstance(formats, Fixed) else formats
    ints = np.asarray(raw, np.int64)
    shape = np.broadcast_shapes(ints.shape, formats.shape)
    low, high = (int(ints.min()), int(ints.max())) if ints.size else (0, 0)
    cast = Quantization(formats, TensorType(np.full(shape, low), np.full(shape, high), frac))
    return cast(np.broadcast_to(ints, shape)), cast.type.frac
