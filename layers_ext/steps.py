"""Step functions: signs, ternary numbers and powers of two."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from keras_hls.errors import TooWide
from keras_hls.fixed import (
    MAX_BITS,
    BoolArray,
    Constant,
    Formats,
    IntArray,
    Quantization,
    TensorType,
    trailing_zeros,
)
from keras_hls.layers_ext.counting import choice_steps, in_turn, units
from keras_hls.layers_ext.table import Table
from keras_hls.op import Kernel, Op, Plan, Unit, Work

# Steps from which a short table is smaller than as many comparisons, and the entries of one.
_MANY = 4
_SHORT = 1 << 10


@dataclass(frozen=True, eq=False)
class Steps(Op):
    """y = the value of the step that x lies on, exact.

    Bounds and values are single numbers, each with fractional bits of its own: together they may span more bits than an
    integer has, if what the input can reach doesn't.

    Parameters
    ----------
    bounds : tuple of Constant
        In order: where the steps 1 to k start.
    above : tuple of bool
        For each bound, whether its step starts above it, so that the bound itself belongs to the step before.
    values : tuple of Constant
        One for each of the k + 1 steps.
    """

    bounds: tuple[Constant, ...]
    above: tuple[bool, ...]
    values: tuple[Constant, ...]

    @classmethod
    def of(cls, bounds: tuple[float, ...], above: tuple[bool, ...], values: tuple[float, ...]) -> Steps:
        """Return the function with these thresholds and values; numbers are taken as they are."""
        return cls(
            tuple(Constant.exactly(np.float64(bound)) for bound in bounds),
            tuple(above),
            tuple(Constant.exactly(np.float64(value)) for value in values),
        )

    def _starts(self, x: TensorType) -> list[int]:
        """The smallest raw integer of x on each step but the first."""
        starts = []
        for bound, above in zip(self.bounds, self.above):
            raw, up = int(bound.raw), x.frac - bound.frac
            scaled, rest = (raw << up, 0) if up >= 0 else (raw >> -up, raw & ((1 << -up) - 1))
            start = scaled + (1 if rest or above else 0)
            # Beyond what x can be, where exactly doesn't matter, and small numbers do.
            starts.append(min(max(start, int(x.low.min(initial=0))), int(x.high.max(initial=0)) + 1))
        return starts

    def _live(self, x: TensorType) -> list[BoolArray]:
        """Where each step has any value that the element can take."""
        grain = np.int64(1) << np.where(x.low == x.high, 0, np.minimum(x.zeros, MAX_BITS - 1))
        starts = [None, *self._starts(x), None]
        found = []
        for start, stop in zip(starts[:-1], starts[1:]):
            low = x.low if start is None else np.maximum(x.low, -(-start // grain) * grain)
            high = x.high if stop is None else np.minimum(x.high, (stop - 1) // grain * grain)
            found.append(low <= high)
        return found

    def _values(self, live: list[BoolArray]) -> tuple[list[int], int]:
        """The values as integers, 0 for those that are never reached, and their fractional bits."""
        reached = [bool(mask.any()) for mask in live]
        frac = max((value.frac for value, is_reached in zip(self.values, reached) if is_reached), default=0)
        raws = [
            int(value.raw) << (frac - value.frac) if is_reached else 0
            for value, is_reached in zip(self.values, reached)
        ]
        if any(abs(raw) >= 1 << (MAX_BITS - 1) for raw in raws):
            raise TooWide(f"its values together span more than {MAX_BITS} bits")
        return raws, frac

    def _check(self) -> None:
        if not len(self.values) == len(self.above) + 1 == len(self.bounds) + 1:
            raise ValueError("k bounds part k + 1 values")
        if any(number.shape for number in (*self.bounds, *self.values)):
            raise ValueError("bounds and values must be single numbers")
        places = [
            (float(bound.type.to_float(bound.raw)), above) for bound, above in zip(self.bounds, self.above, strict=True)
        ]
        if places != sorted(places):
            raise ValueError("bounds must be in order")

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        self._check()
        live = self._live(x)
        raws, frac = self._values(live)
        most = np.iinfo(np.int64).max
        low, high, zeros = np.full(x.shape, most), np.full(x.shape, -most), np.full(x.shape, MAX_BITS)
        for raw, mask in zip(raws, live):
            low = np.where(mask, np.minimum(low, raw), low)
            high = np.where(mask, np.maximum(high, raw), high)
            zeros = np.where(mask, np.minimum(zeros, trailing_zeros(raw)), zeros)
        return TensorType(low, high, frac, zeros)

    def bind(self, *inputs: TensorType) -> Callable[..., IntArray]:
        (x,) = inputs
        starts = np.array(self._starts(x), np.int64)
        values = np.array(self._values(self._live(x))[0], np.int64)
        return lambda raw: values[np.searchsorted(starts, raw, side="right")]

    def settle(self, *inputs: TensorType, frac: int | None) -> Op:
        (x,) = inputs
        live = self._live(x)
        shift = int(x.zeros.min(initial=MAX_BITS)) % MAX_BITS
        low, high = (int(x.low.min()) >> shift, int(x.high.max()) >> shift) if x.size else (0, 0)
        if sum(bool(mask.any()) for mask in live) <= _MANY or high - low >= _SHORT:
            return self
        grid = TensorType(np.array(low << shift), np.array(high << shift), x.frac, shift)
        entries = self.bind(grid)(np.arange(low, high + 1) << shift)
        return Table.of(entries, self.infer(grid).frac, low, x.frac - shift)

    def permuted(self, axes: tuple[int, ...]) -> Op:
        return self

    def channelwise(self, kept: BoolArray, *inputs: TensorType) -> Op:
        return self

    def fused(self, cast: Formats, *inputs: TensorType) -> Op | None:
        if cast.uniform is None:
            return None
        live = self._live(inputs[0])
        raws, frac = self._values(live)
        to = Quantization(Formats.of(cast.uniform), Constant(np.array(raws), frac).type)
        quantized = to(np.array([raws], np.int64))[0]
        return replace(self, values=tuple(Constant(raw, to.type.frac) for raw in quantized))

    def reuse_factors(self, *inputs: TensorType) -> tuple[int, ...]:
        return (1,)

    def work(self, *inputs: TensorType, plan: Plan) -> Work:
        (x,) = inputs
        y = self.infer(x)
        live = self._live(x)
        varies = y.widths > 0
        found: list[Unit] = []
        several = sum((mask.astype(np.int64) for mask in live), np.zeros(x.shape, np.int64))
        # A bound that an element has values on both sides of is compared with; at zero the sign bit says it all.
        below = np.zeros(x.shape, bool)
        for start, before, mask in zip(self._starts(x), live, live[1:]):
            below = below | before
            if start:
                found += units("compare", x.widths[below & mask & varies])
        return Work((*in_turn(found).steps, *choice_steps(several[varies], y.widths[varies])))

    def hls(self, *inputs: TensorType, plan: Plan) -> Kernel:
        (x,) = inputs
        live = self._live(x)
        raws, frac = self._values(live)
        starts = self._starts(x)
        # What no element reaches isn't there; two steps at least, as C++ has no empty arrays.
        kept = [i for i, mask in enumerate(live) if mask.any()]
        values = [raws[i] for i in kept] or [0]
        bounds = [starts[i - 1] for i in kept[1:]]
        if len(values) == 1:
            values, bounds = values * 2, [int(x.high.max(initial=0)) + 1]
        sizes = {
            "size": x.size,
            "steps": len(values),
            "width": max(max(map(abs, bounds)).bit_length(), x.hull.width) + 2,
        }
        tables = {"starts": Constant(np.array(bounds), 0), "values": Constant(np.array(values), frac)}
        return Kernel("steps", "steps", sizes, tables)
