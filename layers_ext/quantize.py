"""The one operation that rounds and overflows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from keras_hls.fixed import (
    MAX_BITS,
    OVERFLOW,
    ROUNDING,
    BoolArray,
    Constant,
    Fixed,
    Formats,
    IntArray,
    Quantization,
    TensorType,
    composed,
)
from keras_hls.layers_ext.axes import channel_constants, permuted_constants
from keras_hls.layers_ext.counting import units
from keras_hls.op import Kernel, Op, Plan, Step, Work


@dataclass(frozen=True, eq=False)
class Quantize(Op):
    """y = x rounded to the least bit of `formats` and brought into their range: the one op that loses anything.

    Parameters
    ----------
    formats : Formats
        Must broadcast to the input's shape.
    """

    formats: Formats

    def infer(self, *inputs: TensorType) -> TensorType:
        return self._on(*inputs).type

    def _on(self, x: TensorType) -> Quantization:
        if np.broadcast_shapes(self.formats.shape, x.shape) != x.shape:
            raise ValueError(f"formats of shape {self.formats.shape} don't suit an input of shape {x.shape}")
        return Quantization(self.formats, x)

    def bind(self, *inputs: TensorType) -> Callable[..., IntArray]:
        return self._on(*inputs)

    @property
    def cast(self) -> Formats:
        return self.formats

    def permuted(self, axes: tuple[int, ...]) -> Op:
        return self._arranged(lambda values: permuted_constants(values, axes))

    def channelwise(self, kept: BoolArray, *inputs: TensorType) -> Op:
        return self._arranged(lambda values: channel_constants(values, kept))

    def _arranged(self, arrange: Callable[[npt.NDArray[Any]], npt.NDArray[Any]]) -> Op:
        return Quantize(self.formats.map(arrange))

    def fused(self, cast: Formats, *inputs: TensorType) -> Op | None:
        both = composed(self.formats, cast, inputs[0])
        return None if both is None else Quantize(both)

    def identity(self, *inputs: TensorType) -> bool:
        cast = self._on(*inputs)
        zeroed = np.broadcast_to(~self.formats.live, inputs[0].shape) & ((inputs[0].low != 0) | (inputs[0].high != 0))
        return not (cast.rounds.any() or cast.overflows.any() or zeroed.any())

    def low_bits(self, bits: int, *inputs: TensorType) -> tuple[int, ...]:
        (x,) = inputs
        # What rounds as the sign says needs the sign.
        by_sign = self.formats.rounding in ("TRN_ZERO", "RND_ZERO", "RND_INF") and self._on(x).rounds.any()
        if self.formats.overflow != "WRAP" or by_sign:
            return (MAX_BITS,)
        return (int(self.formats.integer[self.formats.live].max(initial=-x.frac)) + x.frac,)

    def reuse_factors(self, *inputs: TensorType) -> tuple[int, ...]:
        return (1,)

    def work(self, *inputs: TensorType, plan: Plan) -> Work:
        (x,) = inputs
        cast = self._on(x)
        out = cast.type.widths
        steps = []
        varies = cast.overflows & (out > 0)
        if self.formats.overflow == "WRAP":
            varies = np.zeros_like(varies)
        if self.formats.rounding != "TRN" and (rounds := units("round", out[cast.rounds & (out > 0)])):
            # Whether the value is out of range is seen in all its bits.
            steps.append(Step(tuple(rounds), int(x.widths[varies].sum())))
        if saturates := units("saturate", x.widths[varies], out[varies]):
            steps.append(Step(tuple(saturates)))
        return Work(tuple(steps))

    def hls(self, *inputs: TensorType, plan: Plan) -> Kernel:
        (x,) = inputs
        cast = self._on(x)
        rounding = self.formats.rounding if cast.rounds.any() else "TRN"
        overflow = self.formats.overflow if cast.overflows.any() else "WRAP"
        uniform, hull = self.formats.uniform, cast.type.hull
        # Where values saturate, the ends of the hull are those of the format, but for the ends of one signed bit: 0 alone
        # is held by an unsigned bit, which goes to 1; and ap_fixed lets -1 into one that saturates symmetrically.
        odd = cast.overflows.any() and uniform is not None and uniform.signed and min(uniform.width, hull.width) == 1
        if uniform is None or odd:
            return _per_element(cast, rounding, overflow)
        to = Fixed(hull.signed, hull.width, hull.integer, rounding, overflow)
        return Kernel("quantize", "quantize", {"size": x.size}, cast=to)


def _per_element(cast: Quantization, rounding: str, overflow: str) -> Kernel:
    """Types that differ by element are tables of masks and bounds: not one line of code an element."""
    formats, shape = cast.formats, cast.source.shape
    low, high, below = (np.broadcast_to(a, shape) for a in formats.bounds(cast.grid))
    live = np.broadcast_to(formats.live, shape)
    over = cast.overflows
    one = np.int64(1)
    drop = np.where(cast.rounds, below, 0)
    tables = {"drop": drop, "keep": np.where(live, ~((one << drop) - 1), 0)}
    bias = np.zeros(shape, np.int64)
    if overflow == "WRAP":
        bits = np.where(over, below + np.broadcast_to(formats.width, shape), 0)
        bias = np.where(over & np.broadcast_to(formats.signed, shape), one << np.maximum(bits - 1, 0), 0)
        tables |= {"bias": bias, "mask": np.where(over, (one << bits) - 1, -1)}
    else:
        # Elements that can't overflow get the bounds that they never leave.
        tables["low"] = np.where(over, low, cast.type.low << cast.lower)
        tables["high"] = np.where(over, high, cast.type.high << cast.lower)
    # The widest value on the way: an input plus what rounds it plus what folds it, or an entry of a table.
    largest = max(-int(cast.source.low.min()), int(cast.source.high.max())) << cast.lift
    largest += int((one << drop).max()) + int(bias.max())
    largest = max(largest, *(int(np.abs(table).max()) for table in tables.values()))
    sizes = {
        "size": cast.source.size,
        "lift": cast.lift,
        "lower": cast.lower,
        "rounding": ROUNDING.index(rounding),
        "overflow": OVERFLOW.index(overflow),
        "width": largest.bit_length() + 1,
    }
    name = "quantize_each_wrap" if overflow == "WRAP" else "quantize_each_saturate"
    return Kernel(name, "quantize", sizes, {key: Constant(table.reshape(-1), 0) for key, table in tables.items()})
