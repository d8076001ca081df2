"""What a tensor can hold, exactly: intervals of its elements, and known numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from keras_hls.errors import InvalidData, InvalidModel, TooWide
from keras_hls.fixed.formats import MAX_BITS, Fixed, IntArray

#: Trailing zeros of the number 0: more than any other number that fits.
ZERO_TRAILING = MAX_BITS


def trailing_zeros(values: npt.ArrayLike) -> IntArray:
    """Return how many low bits of each integer are zero; `ZERO_TRAILING` for 0."""
    ints = np.asarray(values, np.int64)
    lowest = ints & -ints
    exponent = np.frexp(lowest.astype(np.float64))[1] - 1
    return np.where(ints == 0, ZERO_TRAILING, exponent).astype(np.int64)


@dataclass(frozen=True, eq=False)
class TensorType:
    """What a tensor can hold: the exact interval of every element, in units of ``2**-frac``.

    Parameters
    ----------
    low, high : integer arrays of the tensor's shape, without the batch
        Smallest and largest raw integer of each element.
    frac : int
        Fractional bits of the whole tensor: the value of a raw integer r is ``r * 2**-frac``.
    zeros : integer array of the same shape, optional
        Low bits of each element that are always zero: its own least bit is ``2**(zeros - frac)``.

    Raises
    ------
    TooWide
        If an element needs more than 63 bits.
    """

    low: IntArray
    high: IntArray
    frac: int
    zeros: IntArray

    def __init__(self, low: npt.ArrayLike, high: npt.ArrayLike, frac: int, zeros: npt.ArrayLike | None = None):
        lo, hi = np.broadcast_arrays(np.asarray(low, np.int64), np.asarray(high, np.int64))
        if (lo > hi).any():
            raise ValueError("The low end of an interval must not be above its high end")
        limit = 1 << (MAX_BITS - 1)
        if lo.size and (int(lo.min()) < -limit or int(hi.max()) >= limit):
            raise TooWide(f"a value needs more than {MAX_BITS} bits")
        tz = np.zeros(lo.shape, np.int64) if zeros is None else np.broadcast_to(np.asarray(zeros, np.int64), lo.shape)
        tz = np.where(lo == hi, trailing_zeros(lo), tz)
        for field, value in (("low", lo.copy()), ("high", hi.copy()), ("frac", int(frac)), ("zeros", tz)):
            object.__setattr__(self, field, value)

    @classmethod
    def of(cls, fixed: Fixed, shape: tuple[int, ...]) -> TensorType:
        """Return the type of a tensor whose elements can take every value of `fixed`."""
        return cls(np.full(shape, fixed.low), np.full(shape, fixed.high), fixed.frac)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of one sample."""
        return self.low.shape

    @property
    def size(self) -> int:
        """Number of elements of one sample."""
        return int(self.low.size)

    @property
    def channels(self) -> int:
        """Elements along the last axis; 1 for a single number."""
        return self.low.shape[-1] if self.low.shape else 1

    @property
    def hull(self) -> Fixed:
        """The narrowest single type that holds every element."""
        if not self.size:
            return Fixed(False, 1, 1 - self.frac)
        return Fixed.covering(int(self.low.min()), int(self.high.max()), self.frac)

    @property
    def widths(self) -> IntArray:
        """Bits that each element really needs, its sign included; 0 where it is constant."""
        signed = self.low < 0
        top = np.maximum(bit_length(self.high), np.where(signed, bit_length(-self.low - 1), 0))
        return np.where(self.low == self.high, 0, top + signed - np.minimum(self.zeros, top))

    def reshape(self, shape: tuple[int, ...]) -> TensorType:
        """Return the type of the same elements in another shape."""
        return TensorType(self.low.reshape(shape), self.high.reshape(shape), self.frac, self.zeros.reshape(shape))

    def to_float(self, raw: IntArray) -> npt.NDArray[np.float64]:
        """Return the values of raw integers; exact up to 53 significant bits, as every type of at most 53 bits is."""
        return np.multiply(raw, np.ldexp(1.0, -self.frac), dtype=np.float64)


def bit_length(values: npt.ArrayLike) -> IntArray:
    """Return the bits of each non-negative integer, as ``int.bit_length``; 0 for 0 and below."""
    ints = np.maximum(np.asarray(values, np.int64), 0)
    if ints.max(initial=0) < 1 << 53:
        return np.frexp(ints.astype(np.float64))[1].astype(np.int64)
    # Two halves, because a float64 would round integers above 53 bits up to the next power of two.
    upper, lower = ints >> 31, ints & 0x7FFFFFFF
    return np.where(
        upper > 0, np.frexp(upper.astype(np.float64))[1] + 31, np.frexp(lower.astype(np.float64))[1]
    ).astype(np.int64)


@dataclass(frozen=True, eq=False)
class Constant:
    """Known numbers: ``raw * 2**-frac``.

    Parameters
    ----------
    raw : integer array
    frac : int
        Fractional bits, common to all.
    """

    raw: IntArray
    frac: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "raw", np.ascontiguousarray(self.raw, np.int64).reshape(np.shape(self.raw)))

    @classmethod
    def exactly(cls, values: npt.ArrayLike) -> Constant:
        """Return the fewest-bits constant that equals the given floating-point numbers exactly.

        Raises
        ------
        InvalidData
            If a value is NaN or infinite.
        TooWide
            If the numbers span more than 63 bits.
        """
        array = np.asarray(values, np.float64)
        if not np.isfinite(array).all():
            raise InvalidData("holds NaN or infinite values")
        mantissa, exponent = np.frexp(array)
        digits = np.ldexp(mantissa, 53).astype(np.int64)
        needed = np.where(array == 0, np.iinfo(np.int64).min, 53 - exponent - trailing_zeros(digits))
        nonzero = array != 0
        frac = int(needed[nonzero].max()) if nonzero.any() else 0
        if nonzero.any() and int(exponent[nonzero].max()) + frac >= MAX_BITS:
            raise TooWide(f"holds numbers that together span more than {MAX_BITS} bits")
        return cls(np.ldexp(array, frac).astype(np.int64), frac)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.raw.shape

    @property
    def type(self) -> TensorType:
        """The constant's own type: every interval is one point."""
        return TensorType(self.raw, self.raw, self.frac)

    def aligned(self, frac: int) -> IntArray:
        """Return the raw integers in units of ``2**-frac``; `frac` must be at least ``self.frac``."""
        return shift_left(self.raw, frac - self.frac)

    def map(self, arrange: Callable[[npt.NDArray[Any]], npt.NDArray[Any]]) -> Constant:
        """Return the numbers as `arrange` arranges, repeats or picks them; it must not compute with them."""
        return Constant(arrange(self.raw), self.frac)


class Real(Constant):
    """Known numbers that have no fixed-point type yet: the weights of a layer without quantizers.

    An op may hold them in a `Constant`'s place until a pass has chosen their type; until then nothing can be computed.

    Parameters
    ----------
    values : float64 array
    """

    def __init__(self, values: npt.ArrayLike):
        object.__setattr__(self, "values", np.asarray(values, np.float64))

    values: npt.NDArray[np.float64]

    @property
    def raw(self) -> IntArray:  # type: ignore[override]
        raise InvalidModel("has weights without a fixed-point type: pass calibration= or precision=")

    @property
    def frac(self) -> int:  # type: ignore[override]
        raise InvalidModel("has weights without a fixed-point type: pass calibration= or precision=")

    @property
    def shape(self) -> tuple[int, ...]:
        return self.values.shape

    def map(self, arrange: Callable[[npt.NDArray[Any]], npt.NDArray[Any]]) -> Real:
        """Return the numbers as `arrange` arranges, repeats or picks them, as `Constant.map` does."""
        return Real(arrange(self.values))


def shift_left(raw: IntArray, bits: int) -> IntArray:
    """Return ``raw * 2**bits``.

    Raises
    ------
    TooWide
        If a product needs more than 63 bits.
    """
    if bits < 0:
        raise ValueError(f"Bits to shift by must be zero or positive, not {bits}")
    if bits == 0:
        return raw
    widest = max(int(raw.max(initial=0)).bit_length(), int(-raw.min(initial=0)).bit_length())
    if widest and widest + bits >= MAX_BITS:
        raise TooWide(f"a value needs more than {MAX_BITS} bits")
    return raw << bits if widest else raw
