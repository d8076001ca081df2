"""Floating-point samples to fixed point, exactly."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from keras_hls.errors import InvalidData, TooWide
from keras_hls.fixed.casting import quantize, scalar_if_same
from keras_hls.fixed.formats import MAX_BITS, BoolArray, Fixed, FloatArray, Formats, IntArray

# Bits of raw integers that doubles and single floats hold, with room for a step beyond.
_EXACT_BITS: dict[np.dtype[Any], int] = {np.dtype(np.float64): 50, np.dtype(np.float32): 22}
_QUICK_ROUNDING = ("TRN", "RND", "RND_CONV")


class FloatSteps(NamedTuple):
    """A cast where floating-point numbers hold all on the way: ``clip(round(x * scale), low, high) << finer``.

    Each is an array that broadcasts against the samples, or one number. What wraps around isn't clipped: the steps are no
    answer for it, nor for what overflows the floats.
    """

    scale: Any
    low: Any
    high: Any
    finer: Any


class FloatCast:
    """The cast of floating-point samples to `formats`, understood once and done many times.

    As ``ap_fixed`` does it: exactly, whatever a sample's magnitude.

    Parameters
    ----------
    formats : Formats
        Must broadcast against the samples.

    Raises
    ------
    TooWide
        If the elements' types together span more than 63 bits.
    """

    def __init__(self, formats: Formats):
        self.formats = formats
        live, uniform = formats.live, formats.uniform
        own_frac = np.where(live, formats.width - formats.integer, 0)
        # Bits of the largest number, on every element's own grid.
        self._magnitude = np.where(live, formats.width - formats.signed, 0)
        finer = np.where(live, formats.frac - own_frac, 0)
        if int((self._magnitude + finer).max(initial=0)) >= MAX_BITS:
            raise TooWide(f"Types of one tensor's elements together span more than {MAX_BITS} bits")
        self._own_frac: Any = own_frac if uniform is None else uniform.frac
        self._finer = finer
        self._aligned = not finer.any()
        self._vanishes = int(own_frac.min(initial=0)) < 0
        self._high = (np.int64(1) << self._magnitude) - 1
        self._low = np.where(formats.signed & live, -self._high - (formats.overflow != "SAT_SYM"), 0)
        widest = int((self._magnitude + finer).max(initial=0))
        #: For each float type that holds all numbers on the way: scale, bounds.
        self._quick = {
            dtype: tuple(scalar_if_same(a.astype(dtype)) for a in (np.ldexp(1.0, own_frac), self._low, self._high))
            for dtype, bits in _EXACT_BITS.items()
            if widest <= bits
            and formats.rounding in _QUICK_ROUNDING
            and formats.overflow != "SAT_ZERO"
            and not self._vanishes
            and int(own_frac.max(initial=0)) < 100
        }

    def __call__(self, values: npt.ArrayLike) -> IntArray:
        """Return raw integers in units of ``2**-formats.frac``.

        Parameters
        ----------
        values : float or integer array of shape (n, ...)

        Raises
        ------
        InvalidData
            If a value is NaN or infinite.
        TooWide
            If an integer needs more than 63 bits.
        """
        array = np.asarray(values)
        array = np.broadcast_to(array, np.broadcast_shapes(array.shape, self.formats.shape))
        if array.dtype.kind in "iu" and array.size and max(-int(array.min()), int(array.max())) > 2**53:
            return _from_large_integers(array, self.formats)
        if array.dtype != np.float32:
            array = array.astype(np.float64, copy=False)
        quick = self._quickly(array) if array.dtype in self._quick and array.size else None
        return self._carefully(array.astype(np.float64, copy=False)) if quick is None else quick

    def steps(self, dtype: npt.DTypeLike) -> FloatSteps | None:
        """Return how samples are cast in arithmetic of a float type; None if that doesn't hold all on the way."""
        if (quick := self._quick.get(np.dtype(dtype))) is None:
            return None
        scale, low, high = quick
        return FloatSteps(scale, low, high, self._finer)

    def _quickly(self, array: FloatArray) -> IntArray | None:
        """The cast in few passes over the samples; None if it takes more than that."""
        scale, low, high = self._quick[array.dtype]
        rounding = self.formats.rounding
        with np.errstate(over="ignore", invalid="ignore"):
            scaled = array * scale
            whole = np.rint(scaled) if rounding == "RND_CONV" else np.floor(scaled)
            if rounding == "RND":
                # The difference is exact wherever it is near a half: a scaled number of that kind has few bits.
                scaled -= whole
                whole += scaled >= 0.5
        least, most = whole.min(), whole.max()
        if not (least > -np.inf and most < np.inf):
            return None
        if self.formats.overflow == "WRAP":
            if not ((whole >= low) & (whole <= high)).all():
                return None
        else:
            np.clip(whole, low, high, out=whole)
        raw = whole.astype(np.int64)
        return raw if self._aligned else raw << self._finer

    def _carefully(self, array: npt.NDArray[np.float64]) -> IntArray:
        formats = self.formats
        if not np.isfinite(array).all():
            raise InvalidData("Samples must be finite numbers, but hold NaN or infinite values")
        # What leaves the range of doubles lies outside of every type, as infinity does.
        with np.errstate(over="ignore", under="ignore"):
            scaled = np.ldexp(array, self._own_frac)
        if self._vanishes:
            # What is too small for a double still has a sign, and lies beside zero.
            least = np.copysign(np.finfo(np.float64).smallest_subnormal, array)
            scaled = np.where((scaled == 0) & (array != 0), least, scaled)
        whole = _round_float(scaled, formats.rounding)
        if formats.overflow == "WRAP":
            raw = _wrap_float(whole, formats, self._magnitude)
        else:
            # Bounds beyond 53 bits aren't floats: they clip integers.
            raw = np.clip(np.clip(whole, -(2.0**62), 2.0**62).astype(np.int64), self._low, self._high)
            if formats.overflow == "SAT_ZERO":
                raw = np.where(_inside(whole, formats, self._magnitude), raw, 0)
        return np.where(formats.live, raw << self._finer, 0)


def from_float(values: npt.ArrayLike, formats: Formats | Fixed) -> IntArray:
    """Cast floating-point numbers to `formats` once; see `FloatCast`."""
    return FloatCast(Formats.of(formats) if isinstance(formats, Fixed) else formats)(values)


def _from_large_integers(array: npt.NDArray[Any], formats: Formats) -> IntArray:
    """Cast integers of which some aren't doubles."""
    limit = 1 << (MAX_BITS - 1)
    if int(array.min()) < -limit or int(array.max()) >= limit:
        raise TooWide(f"Samples must be of at most {MAX_BITS} bits, or floats")
    return quantize(array.astype(np.int64), 0, formats)[0]


def _inside(whole: npt.NDArray[np.float64], formats: Formats, magnitude: IntArray) -> BoolArray:
    """Where whole numbers lie in their types' ranges; powers of two, unlike the numbers before them, are doubles."""
    top = np.ldexp(1.0, magnitude)
    return (whole >= np.where(formats.signed, -top, 0.0)) & (whole < top)


def _round_float(scaled: npt.NDArray[np.float64], rounding: str) -> npt.NDArray[np.float64]:
    if rounding == "TRN":
        return np.floor(scaled)
    if rounding == "TRN_ZERO":
        return np.trunc(scaled)
    if rounding == "RND_CONV":
        return np.rint(scaled)
    # Truncation toward zero leaves an exact remainder; adding 0.5 before a floor would not (0.49999999999999994).
    part, whole = np.modf(scaled)
    away = np.copysign(1.0, scaled)
    tie_away = {"RND": scaled > 0, "RND_MIN_INF": scaled < 0, "RND_INF": True, "RND_ZERO": False}[rounding]
    size = np.abs(part)
    return whole + np.where((size > 0.5) | ((size == 0.5) & tie_away), away, 0.0)


def _wrap_float(whole: npt.NDArray[np.float64], formats: Formats, magnitude: IntArray) -> IntArray:
    inside = _inside(whole, formats, magnitude)
    if inside.all():
        return whole.astype(np.int64)
    width = np.maximum(formats.width, 0)
    # Doubles from 2**200 on are multiples of every modulus; below, fmod is exact.
    remainder = np.fmod(np.where(np.abs(whole) < 2.0**200, whole, 0.0), np.ldexp(1.0, width))
    raw = np.where(inside, whole, remainder).astype(np.int64)
    bias = np.where(formats.signed & formats.live, np.int64(1) << np.maximum(width - 1, 0), 0)
    # At 63 bits the sums leave int64; the mask drops what that changes.
    with np.errstate(over="ignore"):
        return np.where(inside, raw, ((raw + bias) & ((np.int64(1) << width) - 1)) - bias)
