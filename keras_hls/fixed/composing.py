"""Two casts in a row as one, where one does the same."""

from __future__ import annotations

from contextlib import suppress

import numpy as np

from keras_hls.errors import TooWide
from keras_hls.fixed.casting import Quantization
from keras_hls.fixed.formats import BoolArray, Formats
from keras_hls.fixed.tensors import TensorType, shift_left

#: Modes that round a number and the same number plus a multiple of two steps alike.
_UNSIGNED = ("TRN", "RND", "RND_MIN_INF", "RND_CONV")


def composed(first: Formats, second: Formats, source: TensorType) -> Formats | None:
    """Return the one cast of `source` that does what `first` and then `second` do, if there is one; else None.

    With f and g for the steps of the two grids, of which g is the coarser: cutting at f and then at g is cutting at g, and so
    is rounding half up at g what was cut at f, as half a step of g lies on f. Rounding twice isn't rounding once. To saturate
    and then to saturate at narrower bounds is the latter, as is wrapping around and then wrapping around at fewer bits.

    Parameters
    ----------
    first, second : Formats
        Must broadcast to the shape of `source`.
    source : TensorType

    Raises
    ------
    TooWide
        If one of the casts can't be done.
    """
    one = Quantization(first, source)
    two = Quantization(second, one.type)
    shape = np.broadcast_shapes(first.shape, second.shape)
    rounds1, rounds2, over1, over2 = (
        _for_formats(mask, shape) for mask in (one.rounds, two.rounds, one.overflows, two.overflows)
    )
    rounding, overflow = _rounding(first, second, rounds1, rounds2), _overflow(first, second, over1, over2)
    if rounding is None or overflow is None:
        return None
    alone, fracs = over1 & ~over2, (first.width - first.integer, second.width - second.integer)
    # The grid on which it is rounded, and the range that it is brought into: those of whichever cast does it.
    frac = np.where(rounds2 | ~(rounds1 | over1), fracs[1], fracs[0])
    signed = np.where(alone, first.signed, second.signed)
    integer = np.where(alone, first.integer, second.integer)
    if overflow == "WRAP":
        # Rounded after it wrapped around: alike wherever it lies, and not beyond the range.
        differs = (over1 & rounds2 & (rounding not in _UNSIGNED)) | (alone & rounds2 & (rounding != "TRN"))
    else:
        # Saturation ends on the grid of its own cast, and what is cut after it ends where one cast that cuts ends.
        cut = rounding == "TRN" and overflow == "SAT"
        differs = (over2 & (frac != fracs[1])) | (alone & rounds2 & (not cut))
    live = first.live & second.live
    width = integer + frac
    if (live & (differs | (width < 1))).any():
        return None
    found = Formats(signed, np.where(live, width, 0), np.where(live, integer, 0), rounding, overflow)
    with suppress(TooWide):
        if _same(Quantization(found, source).type, two.type):
            return found
    return None


def _for_formats(mask: BoolArray, shape: tuple[int, ...]) -> BoolArray:
    """Where, among formats of a shape that broadcasts to the mask's, any element that has the format is marked."""
    full = (1,) * (mask.ndim - len(shape)) + shape
    axes = tuple(axis for axis, n in enumerate(full) if n == 1)
    return mask.any(axis=axes, keepdims=True).reshape(shape)


def _rounding(first: Formats, second: Formats, rounds1: BoolArray, rounds2: BoolArray) -> str | None:
    """The rounding mode of the one cast, if there can be one."""
    names = {first.rounding} if rounds1.any() else set()
    names |= {second.rounding} if rounds2.any() else set()
    if names == {"TRN", "RND"} and first.rounding == "TRN" and not (rounds1 & ~rounds2).any():
        return "RND"
    twice = bool((rounds1 & rounds2).any())
    if len(names) > 1 or (twice and not names <= {"TRN", "TRN_ZERO"}):
        return None
    return names.pop() if names else "TRN"


def _overflow(first: Formats, second: Formats, over1: BoolArray, over2: BoolArray) -> str | None:
    """The overflow mode of the one cast, if there can be one."""
    both, alone = over1 & over2, over1 & ~over2
    names = {first.overflow} if over1.any() else set()
    names |= {second.overflow} if over2.any() else set()
    if both.any() and names == {"WRAP"}:
        return None if (both & (second.integer > first.integer)).any() else "WRAP"
    if both.any():
        nested = names <= {"SAT", "SAT_SYM"} and _within(second, first, both)
        return second.overflow if nested and (len(names) == 1 or not alone.any()) else None
    if len(names) > 1:
        return None
    return names.pop() if names else "WRAP"


def _within(inner: Formats, outer: Formats, where: BoolArray) -> bool:
    """Whether the range of one cast lies in that of another, for some of their formats."""
    frac = max(inner.frac, outer.frac)
    (low, high, _), (least, most, _) = inner.bounds(frac), outer.bounds(frac)
    return not (where & ((low < least) | (high > most))).any()


def _same(a: TensorType, b: TensorType) -> bool:
    """Whether two types are those of the same values, and of the first as much is known."""
    frac = max(a.frac, b.frac)
    ends = ((shift_left(x.low, frac - x.frac), shift_left(x.high, frac - x.frac)) for x in (a, b))
    finer = (a.low < a.high) & (a.zeros - a.frac < b.zeros - b.frac)
    return all(np.array_equal(mine, theirs) for mine, theirs in zip(*ends)) and not finer.any()
