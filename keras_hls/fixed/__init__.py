"""Fixed-point numbers as integers: types, exact intervals, rounding and overflow.

A number is ``raw * 2**-frac`` with an integer ``raw``. This package is the one Python place that knows what the rounding
and overflow modes of ``ap_fixed`` mean (AMD UG1399, "Arbitrary Precision Fixed-Point Data Types"). All arithmetic is on
integers, so it is exact; what would need more than 63 bits is refused, never wrapped.
"""

from keras_hls.fixed.casting import Quantization, quantize, rounded_down_terms
from keras_hls.fixed.composing import composed
from keras_hls.fixed.floats import FloatCast, FloatSteps, from_float
from keras_hls.fixed.formats import MAX_BITS, OVERFLOW, ROUNDING, BoolArray, Fixed, FloatArray, Formats, IntArray
from keras_hls.fixed.tensors import (
    ZERO_TRAILING,
    Constant,
    Real,
    TensorType,
    bit_length,
    shift_left,
    trailing_zeros,
)

__all__ = [
    "MAX_BITS",
    "OVERFLOW",
    "ROUNDING",
    "ZERO_TRAILING",
    "BoolArray",
    "Constant",
    "Fixed",
    "FloatArray",
    "FloatCast",
    "FloatSteps",
    "Formats",
    "IntArray",
    "Quantization",
    "Real",
    "TensorType",
    "bit_length",
    "composed",
    "from_float",
    "quantize",
    "rounded_down_terms",
    "shift_left",
    "trailing_zeros",
]
