"""Smooth functions of a number with a leading one, by straight pieces: reciprocal square roots and logarithms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from keras_hls.fixed import FloatArray, IntArray, bit_length


@dataclass(frozen=True, eq=False)
class Curve:
    """f(m) for m from 1 to 2**octaves: a piece of the line for each step of ``2**-index_bits``.

    Parameters
    ----------
    starts, slopes : integer arrays
        For each piece, its value where it begins and how far it rises, in units of ``2**-frac``.
    octaves, index_bits, frac : int
    rest_bits : int
        Bits of m within a piece.
    error : float
        How far the function may be off, at most, relative to its value if `relative`.
    """

    starts: IntArray
    slopes: IntArray
    octaves: int
    index_bits: int
    rest_bits: int
    frac: int
    error: float

    @classmethod
    def of(
        cls,
        function: Callable[[FloatArray], FloatArray],
        bend: Callable[[FloatArray], FloatArray],
        *,
        octaves: int,
        index_bits: int,
        rest_bits: int,
        frac: int,
        relative: bool,
    ) -> Curve:
        """Return the curve of a function.

        A chord is off by the most, up to ``step**2 / 8`` times the second derivative, about its middle; moved by half of what
        it is off there, it is off by half as much on either side.

        Parameters
        ----------
        function, bend : function
            f, and its second derivative, whose size must fall.
        octaves, index_bits, rest_bits, frac : int
            As of the class.
        relative : bool
            Whether errors are relative to f, which must fall then.
        """
        step = 2.0**-index_bits
        ends = 1 + step * np.arange((((1 << octaves) - 1) << index_bits) + 1)
        values = function(ends)
        off = (function(ends[:-1] + step / 2) - (values[:-1] + values[1:]) / 2) / 2
        starts = np.rint(np.ldexp(values[:-1] + off, frac)).astype(np.int64)
        slopes = np.rint(np.ldexp(np.diff(values), frac)).astype(np.int64)
        left = np.abs(bend(ends[:-1])) * step**2 / 8 - np.abs(off)
        # Start, slope and product are each rounded to nearest.
        errors = np.maximum(left, np.abs(off)) + 1.5 * 2.0**-frac
        worst = float((errors / values[1:] if relative else errors).max())
        return cls(starts, slopes, octaves, index_bits, rest_bits, frac, worst)

    @property
    def mantissa_bits(self) -> int:
        """Fractional bits of m."""
        return self.index_bits + self.rest_bits

    def __call__(self, mantissas: IntArray) -> IntArray:
        """Return f of mantissas in units of ``2**-mantissa_bits``."""
        piece = (mantissas >> self.rest_bits) - (1 << self.index_bits)
        rest = mantissas & ((1 << self.rest_bits) - 1)
        half = (1 << self.rest_bits) >> 1
        return self.starts[piece] + ((self.slopes[piece] * rest + half) >> self.rest_bits)

    def normalized(self, values: IntArray, width: int) -> tuple[IntArray, IntArray]:
        """Return each positive integer's mantissa, cut, and how often it was shifted up by `octaves` bits for it.

        ``value = mantissa * 2**(width - octaves - mantissa_bits - octaves * shifts)``, where the value has `width` bits at most.
        """
        shifts = (width - bit_length(values)) // self.octaves
        up = self.octaves * shifts
        down = width - self.octaves - self.mantissa_bits
        whole = values << up
        return (whole >> down if down >= 0 else whole << -down), shifts

    @property
    def sizes(self) -> dict[str, int]:
        """What a kernel has to know, by name."""
        return {
            "pieces": len(self.starts),
            "octaves": self.octaves,
            "index_bits": self.index_bits,
            "rest_bits": self.rest_bits,
            "slope_width": int(np.abs(self.slopes).max()).bit_length() + 1,
            "start_width": int(np.abs(self.starts).max()).bit_length() + 2,
        }
