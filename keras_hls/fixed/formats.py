"""Fixed-point types: one for a number, and those of a tensor's elements."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from keras_hls.errors import TooWide, did_you_mean

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.floating[Any]]

ROUNDING = ("TRN", "TRN_ZERO", "RND", "RND_ZERO", "RND_INF", "RND_MIN_INF", "RND_CONV")
OVERFLOW = ("WRAP", "SAT", "SAT_ZERO", "SAT_SYM")
MAX_BITS = 63


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

    @property
    def native(self) -> np.dtype[Any]:
        """The narrowest plain signed integer type that holds every raw integer."""
        bits = self.width + (not self.signed)
        return np.dtype(f"int{8 if bits <= 8 else 16 if bits <= 16 else 32 if bits <= 32 else 64}")

    @classmethod
    def covering(cls, low: int, high: int, frac: int, rounding: str = "TRN", overflow: str = "WRAP") -> Fixed:
        """Return the narrowest type of `frac` fractional bits that holds the raw integers `low` to `high`."""
        signed = low < 0
        width = max(max(int(high), 0).bit_length(), int(-low - 1).bit_length() if signed else 0) + signed
        width = max(width, 1)
        return cls(signed, width, width - frac, rounding, overflow)

    @classmethod
    def parse(cls, text: str) -> Fixed:
        """Return the type that a text spells: "fixed<16, 6>", "ap_ufixed<8, 0, AP_RND, AP_SAT>", "int<8>".

        Raises
        ------
        ValueError
            If it spells none.
        """
        found = re.fullmatch(r"(?:ap_|ac_)?(u?)(fixed|int)\s*<([^<>]*)>", text.strip())
        parts = [part.strip().removeprefix("AP_") for part in found[3].split(",")] if found else []
        if found is None or not all(re.fullmatch(r"-?\d+", part) for part in parts[: 1 + (found[2] == "fixed")]):
            raise ValueError(f"Type must be like 'fixed<16, 6>' or 'ufixed<8, 0, RND, SAT>', not {text!r}")
        if found[2] == "int":
            parts.insert(1, parts[0])
        if not 2 <= len(parts) <= 4:
            raise ValueError(f"Type must have a width, integer bits, and at most two modes, not {text!r}")
        return cls(not found[1], int(parts[0]), int(parts[1]), *parts[2:])

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

    def map(self, arrange: Callable[[npt.NDArray[Any]], npt.NDArray[Any]]) -> Formats:
        """Return the formats as `arrange` arranges, repeats or picks those of the elements."""
        parts = arrange(self.signed), arrange(self.width), arrange(self.integer)
        return Formats(*parts, rounding=self.rounding, overflow=self.overflow)

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
