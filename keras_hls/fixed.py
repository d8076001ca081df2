"""Fixed-point numbers as integers: types, exact intervals, rounding and overflow.

A number is ``raw * 2**-frac`` with an integer ``raw``. This module is the one Python place that knows what the
rounding and overflow modes of ``ap_fixed`` mean (AMD UG1399, "Arbitrary Precision Fixed-Point Data Types"). All
arithmetic is on integers, so it is exact; what would need more than 63 bits is refused, never wrapped.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from keras_hls.errors import InvalidData, TooWide, did_you_mean

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.floating[Any]]

ROUNDING = ("TRN", "TRN_ZERO", "RND", "RND_ZERO", "RND_INF", "RND_MIN_INF", "RND_CONV")
OVERFLOW = ("WRAP", "SAT", "SAT_ZERO", "SAT_SYM")
MAX_BITS = 63
#: Trailing zeros of the number 0: more than any other number that fits.
ZERO_TRAILING = MAX_BITS


def _check_modes(rounding: str, overflow: str) -> None:
    for what, mode, known in (("Rounding", rounding, ROUNDING), ("Overflow", overflow, OVERFLOW)):
        if mode not in known:
            raise ValueError(f"{what} mode must be one of {', '.join(known)}, not {mode!r}.{did_you_mean(mode, known)}")


def _check_width(width: int, signed: bool) -> None:
    if width - signed >= MAX_BITS:
        most = f"{MAX_BITS} bits" if signed else f"{MAX_BITS - 1} bits without a sign"
        raise TooWide(f"Width of a fixed-point type must be at most {most}, not {width}")


@dataclass(frozen=True)
class Fixed:
    """One fixed-point type, as ``ap_fixed<width, integer, rounding, overflow>``.

    Parameters
    ----------
    signed : bool
        Two's complement if true.
    width : int
        Number of bits, sign bit included; 1 to 63 (62 without a sign, so that any two types mix in int64).
    integer : int
        Number of bits left of the binary point, sign bit included; may be negative or larger than `width`.
    rounding, overflow : str
        What happens to a value that this type can't hold; the names of ``ap_fixed`` without ``AP_``.

    Raises
    ------
    ValueError
        For an unknown mode or a width below 1.
    TooWide
        For a wider one.
    """

    signed: bool
    width: int
    integer: int
    rounding: str = "TRN"
    overflow: str = "WRAP"

    def __post_init__(self) -> None:
        _check_modes(self.rounding, self.overflow)
        if self.width < 1:
            raise ValueError(f"Width of a fixed-point type must be at least 1 bit, not {self.width!r}")
        _check_width(self.width, self.signed)

    @property
    def frac(self) -> int:
        """Number of bits right of the binary point; the value of a raw integer r is ``r * 2**-frac``."""
        return self.width - self.integer

    @property
    def low(self) -> int:
        """Smallest raw integer."""
        return -(1 << (self.width - 1)) if self.signed else 0

    @property
    def high(self) -> int:
        """Largest raw integer."""
        return (1 << (self.width - self.signed)) - 1

    @classmethod
    def covering(cls, low: int, high: int, frac: int, rounding: str = "TRN", overflow: str = "WRAP") -> Fixed:
        """Return the narrowest type of `frac` fractional bits that holds the raw integers `low` to `high`."""
        signed = low < 0
        width = max(max(int(high), 0).bit_length(), int(-low - 1).bit_length() if signed else 0) + signed
        width = max(width, 1)
        return cls(signed, width, width - frac, rounding, overflow)

    def __str__(self) -> str:
        modes = [] if (self.rounding, self.overflow) == ("TRN", "WRAP") else [self.rounding, self.overflow]
        return f"{'' if self.signed else 'u'}fixed<{', '.join(map(str, [self.width, self.integer, *modes]))}>"


@dataclass(frozen=True, eq=False)
class Formats:
    """Fixed-point types of a tensor: one for all, one a channel or one an element (numpy broadcasting).

    Parameters
    ----------
    signed : bool array
    width : int array
        Bits with the sign bit; 0 or less makes the element the constant 0.
    integer : int array
        Bits left of the binary point, sign bit included.
    rounding, overflow : str
        Modes of all elements.
    """

    signed: BoolArray
    width: IntArray
    integer: IntArray
    rounding: str = "TRN"
    overflow: str = "WRAP"

    def __post_init__(self) -> None:
        _check_modes(self.rounding, self.overflow)
        signed, width, integer = np.broadcast_arrays(
            np.asarray(self.signed, bool), np.asarray(self.width, np.int64), np.asarray(self.integer, np.int64)
        )
        for field, array in (("signed", signed), ("width", width), ("integer", integer)):
            object.__setattr__(self, field, np.ascontiguousarray(array).reshape(array.shape))
        for kind in (True, False):
            _check_width(int(width[signed == kind].max(initial=0)), kind)

    @classmethod
    def of(cls, fixed: Fixed) -> Formats:
        """Return the per-tensor formats of one type."""
        scalar = (np.asarray(fixed.signed), np.asarray(fixed.width), np.asarray(fixed.integer))
        return cls(*scalar, fixed.rounding, fixed.overflow)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.width.shape

    @property
    def live(self) -> BoolArray:
        """Elements that have any bits."""
        return self.width > 0

    @property
    def frac(self) -> int:
        """Fractional bits that hold every element: the largest over the live ones (0 if there is none)."""
        fracs = (self.width - self.integer)[self.live]
        return int(fracs.max()) if fracs.size else 0

    @property
    def uniform(self) -> Fixed | None:
        """The one type of all elements, or None where they differ or have no bits."""
        if not self.width.size or not self.live.all():
            return None
        first = (bool(self.signed.flat[0]), int(self.width.flat[0]), int(self.integer.flat[0]))
        same = (self.signed == first[0]).all() and (self.width == first[1]).all() and (self.integer == first[2]).all()
        return Fixed(*first, self.rounding, self.overflow) if same else None

    def bounds(self, frac: int) -> tuple[IntArray, IntArray, IntArray]:
        """Return lowest and highest raw integer of each element in units of ``2**-frac``, and the bits below its own.

        Elements without bits have bounds 0, 0. `frac` must be at least ``self.frac``. An element whose range doesn't
        fit 63 bits in these units gets the bounds of all 63-bit integers: nothing that we hold can be outside.
        """
        live = self.live
        drop = np.where(live, frac - (self.width - self.integer), 0)
        magnitude = np.where(live, self.width - self.signed, 0)
        fits = magnitude + drop < MAX_BITS
        one = np.int64(1)
        span = one << np.where(fits, magnitude + drop, 0)
        step = one << np.where(fits, drop, 0)
        limit = np.int64(1 << (MAX_BITS - 1))
        high = np.where(fits, span - step, limit - 1)
        low = np.where(self.signed, np.where(fits, -span, -limit), 0)
        if self.overflow == "SAT_SYM":
            low = np.where(fits & self.signed, -high, low)
        return np.where(live, low, 0), np.where(live, high, 0), drop

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Formats):
            return NotImplemented
        return (self.rounding, self.overflow, self.shape) == (other.rounding, other.overflow, other.shape) and all(
            np.array_equal(getattr(self, f), getattr(other, f)) for f in ("signed", "width", "integer")
        )

    __hash__ = None  # type: ignore[assignment]

    def __str__(self) -> str:
        if (uniform := self.uniform) is not None:
            return str(uniform)
        widths = self.width[self.live]
        span = f"{widths.min()} to {widths.max()} bits" if widths.size else "0 bits"
        return f"{self.width.size} types of {span}, {self.rounding}, {self.overflow}"


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
        return np.ldexp(raw.astype(np.float64), -self.frac)


def bit_length(values: npt.ArrayLike) -> IntArray:
    """Return the bits of each non-negative integer, as ``int.bit_length``; 0 for 0 and below."""
    ints = np.maximum(np.asarray(values, np.int64), 0)
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
            first, last = np.where(over, low, first), np.where(over, high, last)
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
        if mode != "SAT_ZERO":
            # A saturated or wrapped value can have any bit that the format has.
            zeros = np.where(over, np.minimum(zeros, self._drop), zeros)
        zeros = np.where(zeros >= ZERO_TRAILING, ZERO_TRAILING, np.maximum(zeros - self.lower, 0))
        return TensorType(first >> self.lower, last >> self.lower, self.formats.frac, zeros)

    def _prepare(self) -> None:
        """Choose the shortest run of vector operations; scalars where all elements agree (numpy is faster on them)."""
        formats, drop = self.formats, self._drop
        steps: list[Callable[[IntArray], IntArray]] = []
        if self.lift:
            steps.append(lambda raw: raw << self.lift)
        if self.rounds.any() or not self._live.all():
            keep = _scalar_if_same(np.where(self._live, ~((np.int64(1) << drop) - 1), 0))
            where = _scalar_if_same(np.where(self.rounds, drop, 0))
            if formats.rounding == "TRN" or not self.rounds.any():
                steps.append(lambda raw: raw & keep)
            elif formats.rounding in ("RND", "RND_MIN_INF"):
                term = rounded_down_terms(formats.rounding, np.int64(0), where)  # type: ignore[arg-type]
                steps.append(lambda raw: (raw + term) & keep)
            else:
                steps.append(lambda raw: (raw + rounded_down_terms(formats.rounding, raw, where)) & keep)
        if self.overflows.any():
            low, high = _scalar_if_same(self._low), _scalar_if_same(self._high)
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
        bias_, mask_ = _scalar_if_same(bias), _scalar_if_same(mask)
        if not bias.any():
            return lambda raw: raw & mask_
        return lambda raw: ((raw + bias_) & mask_) - bias_

    def __call__(self, raw: IntArray) -> IntArray:
        """Return the cast of raw integers of shape ``(n, *source.shape)``, in units of ``2**-type.frac``."""
        for step in self._steps:
            raw = step(raw)
        return raw


def _scalar_if_same(array: IntArray) -> Any:
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


def from_float(values: npt.ArrayLike, formats: Formats | Fixed) -> IntArray:
    """Cast floating-point numbers to `formats`, as ``ap_fixed`` does: exactly, whatever their magnitude.

    Parameters
    ----------
    values : float or integer array of shape (n, ...)
    formats : Formats or Fixed
        Must broadcast against `values`.

    Returns
    -------
    integer array
        Raw integers in units of ``2**-formats.frac``.

    Raises
    ------
    InvalidData
        If a value is NaN or infinite.
    TooWide
        If the elements' types together span more than 63 bits, or an integer needs more.
    """
    formats = Formats.of(formats) if isinstance(formats, Fixed) else formats
    array = np.asarray(values)
    if array.dtype.kind in "iu" and array.size and max(-int(array.min()), int(array.max())) > 2**53:
        return _from_large_integers(array, formats)
    array = array.astype(np.float64, copy=False)
    if not np.isfinite(array).all():
        raise InvalidData("Samples must be finite numbers, but hold NaN or infinite values")
    live, uniform = formats.live, formats.uniform
    own_frac = np.where(live, formats.width - formats.integer, 0)
    # Bits of the largest number, on every element's own grid.
    magnitude = np.where(live, formats.width - formats.signed, 0)
    finer = np.where(live, formats.frac - own_frac, 0)
    if int((magnitude + finer).max(initial=0)) >= MAX_BITS:
        raise TooWide(f"Types of one tensor's elements together span more than {MAX_BITS} bits")
    # What leaves the range of doubles lies outside of every type, as infinity does.
    with np.errstate(over="ignore", under="ignore"):
        scaled = np.ldexp(array, own_frac if uniform is None else uniform.frac)
    if int(own_frac.min(initial=0)) < 0:
        # What is too small for a double still has a sign, and lies beside zero.
        scaled = np.where(
            (scaled == 0) & (array != 0), np.copysign(np.finfo(np.float64).smallest_subnormal, array), scaled
        )
    whole = _round_float(scaled, formats.rounding)
    if formats.overflow == "WRAP":
        raw = _wrap_float(whole, formats, magnitude)
    else:
        high = (np.int64(1) << magnitude) - 1
        low = np.where(formats.signed, -high - (formats.overflow != "SAT_SYM"), 0)
        # Bounds beyond 53 bits aren't floats: they clip integers.
        raw = np.clip(np.clip(whole, -(2.0**62), 2.0**62).astype(np.int64), low, high)
        if formats.overflow == "SAT_ZERO":
            raw = np.where(_inside(whole, formats, magnitude), raw, 0)
    return raw if uniform is not None else np.where(live, raw << finer, 0)


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
