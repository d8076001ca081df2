"""Types of so many bits that hold given numbers, and weights as integers of them."""

from __future__ import annotations

import numpy as np

from keras_hls.errors import InvalidOption
from keras_hls.fixed import MAX_BITS, Constant, Fixed, Formats, IntArray, Real, from_float, trailing_zeros


def holding(largest: float, signed: bool, bits: int) -> Fixed:
    """Return the type of `bits` bits whose largest number, after rounding to it, is at least `largest`."""
    magnitude = bits - signed
    exponent = int(np.frexp(largest)[1]) if largest else 0
    if largest and np.rint(np.ldexp(largest, magnitude - exponent)) > (1 << magnitude) - 1:
        exponent += 1
    return Fixed(signed, bits, exponent + signed, "RND", "SAT")


def constant(real: Real, to: Fixed, what: str, given: bool) -> Constant:
    """Return weights as integers, rounded to nearest."""
    nearest = Formats.of(Fixed(to.signed, to.width, to.integer, "RND", "SAT"))
    raw = from_float(real.values, nearest)
    if given and np.abs(np.ldexp(raw.astype(np.float64), -to.frac) - real.values).max(initial=0) >= 2.0**-to.frac:
        worst = float(real.values.flat[np.abs(real.values).argmax()])
        raise InvalidOption(f"{what} must fit {to}, but one is {worst:g}; give it more integer bits")
    return shortest(raw, to.frac)


def significant(real: Real, bits: int, finest: int) -> Constant:
    """Return factors as integers, each rounded to so many bits of its own, as far as the finest of them allows."""
    exponents = np.frexp(real.values)[1][real.values != 0]
    most = int(exponents.max(initial=0))
    frac = min(bits - 1 - int(exponents.min(initial=most)), MAX_BITS - 2 - most, finest)
    own = np.minimum(bits - 1 - np.frexp(real.values)[1], frac)
    return shortest(np.ldexp(np.rint(np.ldexp(real.values, own)), frac - own).astype(np.int64), frac)


def shortest(raw: IntArray, frac: int) -> Constant:
    """Return integers without the low bits that none of them has, which would only widen every product."""
    if not raw.any():
        return Constant(raw, min(frac, 0))
    spare = int(trailing_zeros(raw).min(initial=62)) % 63
    return Constant(raw >> spare, frac - spare)
