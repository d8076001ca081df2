"""HGQ (the first, for Keras 2): what its quantizers compute, from their variables, in the float32 that they compute in.

A quantizer of HGQ trains fractional bits alone, and never overflows. How many integer bits its values need is what
``HGQ.trace_minmax`` sees: the least and the largest value of every element over a set of samples.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from keras_hls.errors import TooWide
from keras_hls.fixed import BoolArray, Formats, IntArray
from keras_hls.frontends.view import ReadError, Untrained

Float32 = npt.NDArray[np.float32]

#: Strategies of rounding; at inference all but the last round to the nearest, halves up.
_STRATEGIES = ("standard_round", "stochastic_round", "fast_uniform_noise_injection", "floor")
_FLOOR = 3
# HGQ's own limits of fractional bits where a config has none.
_CLIP = (-23, 23)
# Up to here, float32 has a number half way between two whole ones.
_HALVES = 2.0**22
# HGQ knows no more integer bits.
_MOST_INTEGER_BITS = 32


@dataclass(frozen=True)
class Range:
    """What ``trace_minmax`` found: the least and the largest value of each element; arrays of the quantizer's own shape."""

    low: Float32
    high: Float32


@dataclass(frozen=True)
class Bits:
    """Sign, integer and fractional bits by element of one sample; integer bits without the sign."""

    sign: IntArray
    integer: IntArray
    frac: IntArray

    @property
    def hull(self) -> Bits:
        """The most of each that an element has, as numbers."""
        return Bits(*(np.asarray(part.max(initial=0)) for part in (self.sign, self.integer, self.frac)))

    def formats(self, rounding: str, overflow: str) -> Formats:
        """Return what casts to these bits.

        Raises
        ------
        ReadError
            If they are too many.
        """
        integer = self.sign + self.integer
        try:
            return Formats(self.sign > 0, integer + self.frac, integer, rounding, overflow)
        except TooWide as error:
            raise ReadError(f"its quantizer has too many bits: {error}") from None


@dataclass(frozen=True)
class HeavyQuantizer:
    """A quantizer of HGQ at inference.

    Attributes
    ----------
    frac : float32 array
        Fractional bits: whole numbers, of a shape that broadcasts to what is quantized, batch included.
    strategy : int
        Number of its rounding strategy; -1 if the config leaves it to the layer ("auto").
    """

    frac: Float32
    strategy: int

    @classmethod
    def of(cls, bits: npt.NDArray[Any], config: Mapping[str, Any], what: str) -> HeavyQuantizer:
        """Return the quantizer with this variable of fractional bits and this config.

        Raises
        ------
        ReadError
            If it isn't one that HGQ can compute.
        """
        if not np.isfinite(bits).all():
            raise ReadError(
                f"its {what} has NaN or infinite bit widths; training diverged, or the weights weren't loaded"
            )
        if config.get("dtype") not in (None, "float32"):
            raise ReadError(f"its {what} has dtype={config['dtype']!r}, and only float32 can be exported")
        found = np.asarray(bits, np.float32)
        # A quantizer puts its variable within these limits whenever it is called.
        if limits := config.get("bw_clip", _CLIP):
            found = np.clip(found, *np.asarray(limits, np.float32))
        strategy = config.get("rnd_strategy", 0)
        number = _STRATEGIES.index(strategy) if strategy in _STRATEGIES else strategy
        if number not in (*range(len(_STRATEGIES)), -1, "auto"):
            raise ReadError(f"its {what} has rnd_strategy={strategy!r}; it must be {', '.join(_STRATEGIES)} or auto")
        return cls(np.rint(found), -1 if number == "auto" else int(number))

    @property
    def floors(self) -> bool:
        return self.strategy == _FLOOR

    def __call__(self, values: Float32, frac: Float32 | None = None) -> Float32:
        """Return quantized values, rounded where float32 rounds."""
        scale = np.exp2(self.frac if frac is None else frac).astype(np.float32)
        half = np.float32(0 if self.floors else 0.5)
        with np.errstate(over="ignore", invalid="ignore"):
            return np.floor(np.asarray(values, np.float32) * scale + half) / scale

    def as_rounded(self, values: Float32) -> npt.NDArray[np.float64]:
        """Return numbers beside those of a function which exact rounding takes where float32 takes the function's own.

        In float32, 0.49999997 + 0.5 is 1: what lies that close below a half is rounded up, and becomes the half here. Numbers
        of more than 22 bits stay: which way float32 takes them differs by element.
        """
        found = values.astype(np.float64)
        if self.floors:
            return found
        for frac in np.unique(self.frac):
            own, exact = np.ldexp(self(values, frac), int(frac)), np.floor(np.ldexp(found, int(frac)) + 0.5)
            nearly = (own > exact) & (np.abs(own) <= _HALVES)
            found = np.where(nearly, np.ldexp(own - 0.5, -int(frac)), found)
        return found

    def channels(self) -> Float32:
        """Return the most fractional bits of each channel, the last axis."""
        return self.frac.max(axis=tuple(range(self.frac.ndim - 1)))

    def bits(self, traced: Range | None, *, positive: bool = False) -> Bits:
        """Return the bits of its values; an element that is always 0 has none.

        Parameters
        ----------
        traced : Range, optional
        positive : bool
            Whether what follows has no use for negative values.

        Raises
        ------
        Untrained
            If it has seen no samples.
        ReadError
            If its range isn't one of float32 numbers, or goes beyond what HGQ has integer bits for.
        """
        if self.frac.shape[:1] != (1,):
            raise ReadError(f"its quantizer has bits of shape {self.frac.shape}, which vary over the batch")
        if traced is None:
            raise Untrained(
                "its quantizer knows how fine its values are, but not how large: call"
                " HGQ.trace_minmax(model, samples) and export the model itself, pass calibration=samples, or save what"
                " HGQ.to_proxy_model(model) returns, as HGQ saves no ranges with a model"
            )
        if any(np.shape(end) != self.frac.shape for end in (traced.low, traced.high)):
            raise ReadError(
                f"its quantizer has bits of shape {self.frac.shape}, but ranges of shape {np.shape(traced.low)}; they belong to"
                " another model"
            )
        low, high = (np.asarray(end)[0].astype(np.float64) for end in (traced.low, traced.high))
        if (low > high).any():
            raise Untrained("its quantizer has seen no samples; call HGQ.trace_minmax(model, samples)")
        if not (np.isfinite(low).all() and np.isfinite(high).all()):
            raise ReadError("its quantizer has seen NaN or infinite values; training diverged, or a sample holds them")
        frac = self.frac[0].astype(np.int64)
        if positive:
            sign, integer = np.zeros(frac.shape, np.int64), _above(np.maximum(high, 0.0))
        else:
            sign = (low < 0).astype(np.int64)
            integer = np.maximum(_holding(np.abs(low)), _holding(np.abs(high + np.ldexp(1.0, -frac))))
        if (integer > _MOST_INTEGER_BITS).any():
            raise ReadError(
                f"its quantizer has seen values beyond 2**{_MOST_INTEGER_BITS}; HGQ has no more integer bits: scale its inputs"
            )
        integer = np.maximum(integer, -frac - sign)
        live = sign + integer + frac != 0
        return Bits(sign * live, integer * live, frac * live)


def _holding(values: npt.NDArray[np.float64]) -> IntArray:
    """The least n with values <= 2**n; far below all others for 0."""
    mantissa, exponent = np.frexp(values)
    return np.where(values == 0, np.iinfo(np.int32).min, exponent - (mantissa == 0.5)).astype(np.int64)


def _above(values: npt.NDArray[np.float64]) -> IntArray:
    """The least n with values < 2**n; far below all others for 0."""
    return np.where(values == 0, np.iinfo(np.int32).min, np.frexp(values)[1]).astype(np.int64)


def covers_rounding(quantizer: HeavyQuantizer, bias: npt.NDArray[Any] | None, *, channels_first: bool = False) -> bool:
    """Whether a bias can take up half a last place, so that the sums need only be cut: if it has one for each type."""
    if bias is None or bias.ndim != 1:
        return False
    shape: Sequence[int] = quantizer.frac.shape
    if quantizer.frac.size == 1:
        return True
    if channels_first:
        # As HGQ asks it: of the axis of the batch.
        return quantizer.frac[0].size == 1 and bias.shape == tuple(shape[:1])
    return quantizer.frac.size == shape[-1] and bias.shape == tuple(shape[-1:])


def channel_factors(gamma: Float32, variance: Float32, epsilon: float) -> Float32:
    """Return what a batch normalisation multiplies by.

    XLA's square root and division round one after the other, as numpy's do.
    """
    with np.errstate(all="ignore"):
        return gamma * (np.float32(1) / np.sqrt(variance + np.float32(epsilon)))


def minus_product(start: Float32, a: Float32, b: Float32) -> Float32:
    """Return ``start - a * b``, rounded to float32 once, as XLA's fused multiply-add does."""
    product = a.astype(np.float64) * b.astype(np.float64)
    # The product is exact; what the sum loses decides between two float32 numbers that it lies half way between.
    left, right = np.broadcast_arrays(start.astype(np.float64), -product)
    total = left + right
    back = total - left
    lost = (left - (total - back)) + (right - back)
    odd = np.nextafter(total, np.where(lost > 0, np.inf, -np.inf))
    even = (total.view(np.int64) & 1) == 0
    return np.where((lost != 0) & even & np.isfinite(total), odd, total).astype(np.float32)


def live_channels(bits: Bits) -> BoolArray:
    """Return which channels, along the last axis, have any bits."""
    width = bits.sign + bits.integer + bits.frac
    return np.asarray((width > 0).any(axis=tuple(range(width.ndim - 1))))
