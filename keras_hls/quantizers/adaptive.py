"""The integer bits that QKeras's QAdaptiveActivation gives its quantizer: from averages of what it has seen."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from keras_hls.quantizers.tensorflow_floats import LOG2, Float32, log


def integer_bits(
    low: Float32, high: Float32, *, bits: int, symmetric: bool, signed: bool, rounded: bool
) -> npt.NDArray[np.int64]:
    """Return how many bits left of the point, beside the sign, hold values between averages.

    Every operation is rounded to float32, as QKeras's are: next to a power of two the last bit of a logarithm decides.

    Parameters
    ----------
    low, high : float32 array
        Averages of the least and of the largest values, one a channel or one for all.
    bits : int
        All bits of the quantizer, with its sign.
    symmetric : bool
        Whether the least number of the type is left out.
    signed : bool
    rounded : bool
        Whether the nearest power of two is taken, which values may exceed, and not the next one above.
    """
    low, high = np.asarray(low, np.float32), np.asarray(high, np.float32)
    if not signed:
        low, high = np.maximum(low, np.float32(0)), np.maximum(high, np.float32(0))
    magnitude = bits - signed
    below, above = _exponents(low, rounded), _exponents(high, rounded)
    if not rounded:
        # One more bit where the largest number of the type is less than the average.
        above = above + ~(high <= _last(above, magnitude))
        if symmetric:
            below = below + ~(-_last(below, magnitude) <= low)
    return np.minimum(np.maximum(below, above).astype(np.int64), magnitude)


def _exponents(ends: Float32, rounded: bool) -> Float32:
    """The power of two of each number, 0 for those of less than one."""
    with np.errstate(divide="ignore"):
        powers = log(np.abs(ends)) / LOG2
    powers = np.where(powers > 0, powers, np.float32(0))
    return np.rint(powers) if rounded else np.ceil(powers)


def _last(integer: Float32, magnitude: int) -> Float32:
    """The largest number of a type, as QKeras takes it: one unit of the last place below the power of two, or one."""
    unit = np.minimum(integer - np.float32(magnitude), np.float32(0))
    return np.exp2(integer).astype(np.float32) - np.exp2(unit).astype(np.float32)
