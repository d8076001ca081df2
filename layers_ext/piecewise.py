"""Functions of straight pieces: ReLU with its options, leaky and parametric ones, clips and shrinks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from keras_hls.errors import TooWide
from keras_hls.fixed import MAX_BITS, BoolArray, Constant, IntArray, TensorType, trailing_zeros
from keras_hls.layers_ext.axes import channel_constants, permuted_constants
from keras_hls.layers_ext.broadcast import Repeated
from keras_hls.layers_ext.counting import by_kind, constant_bits, csd_digits, units
from keras_hls.op import Kernel, Op, Plan, Unit, Work


@dataclass(frozen=True, eq=False)
class Piecewise(Op):
    """y = slope * x + offset of the piece that x lies in, exact.

    Parameters
    ----------
    bounds : Constant
        In order, [k]: where the pieces 1 to k start.
    above : tuple of bool
        For each bound, whether a piece starts above it, so that the bound itself belongs to the piece before.
    slopes : tuple of Constant
        One for each of the k + 1 pieces; must broadcast to the input's shape.
    offsets : Constant
        Likewise, [k + 1].
    """

    bounds: Constant
    above: tuple[bool, ...]
    slopes: tuple[Constant, ...]
    offsets: Constant

    @classmethod
    def of(
        cls, *pieces: tuple[npt.ArrayLike | Constant, float], bounds: tuple[float, ...], above: tuple[bool, ...] = ()
    ) -> Piecewise:
        """Return the function with these slopes and offsets; numbers are taken as they are."""
        slopes = tuple(s if isinstance(s, Constant) else Constant.exactly(np.asarray(s, np.float64)) for s, _ in pieces)
        offsets = Constant.exactly([offset for _, offset in pieces])
        return cls(Constant.exactly(bounds), above or (False,) * len(bounds), slopes, offsets)

    def _starts(self, x: TensorType) -> list[int]:
        """The smallest raw integer of x in each piece but the first."""
        starts = []
        for raw, above in zip(self.bounds.raw.tolist(), self.above):
            up = x.frac - self.bounds.frac
            scaled, rest = (raw << up, 0) if up >= 0 else (raw >> -up, raw & ((1 << -up) - 1))
            start = scaled + (1 if rest or above else 0)
            # Beyond what x can be, where exactly doesn't matter, and small numbers do.
            starts.append(min(max(start, int(x.low.min(initial=0))), int(x.high.max(initial=0)) + 1))
        # Of two equal bounds, the first may start above and the second not: the piece between them is empty.
        return [min(starts[i:]) for i in range(len(starts))]

    def _frac(self, x: TensorType) -> int:
        return max(self.offsets.frac, x.frac + max(s.frac for s in self.slopes))

    def _lines(self, x: TensorType) -> list[tuple[IntArray, int]]:
        """Slope and offset of each piece in units of the output."""
        frac = self._frac(x)
        offsets = self.offsets.aligned(frac)
        return [(s.aligned(frac - x.frac), int(offset)) for s, offset in zip(self.slopes, offsets)]

    def _pieces(self, x: TensorType) -> list[tuple[IntArray, IntArray, BoolArray]]:
        """First and last value of each element in each piece, and whether it has any there."""
        step = np.int64(1) << np.where(x.low == x.high, 0, np.minimum(x.zeros, MAX_BITS - 1))
        starts = [None, *self._starts(x), None]
        found = []
        for start, stop in zip(starts[:-1], starts[1:]):
            low = x.low if start is None else np.maximum(x.low, -(-start // step) * step)
            high = x.high if stop is None else np.minimum(x.high, (stop - 1) // step * step)
            found.append((low, high, low <= high))
        return found

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        if not len(self.slopes) == len(self.above) + 1 == self.bounds.raw.size + 1 == self.offsets.raw.size:
            raise ValueError("k bounds part k + 1 slopes and offsets")
        if (np.diff(self.bounds.raw) < 0).any():
            raise ValueError("bounds must be in order")
        for own in self.slopes:
            Repeated.of(own.shape, x.shape)
        lows, highs, zeros = [], [], np.full(x.shape, MAX_BITS)
        most = np.iinfo(np.int64).max
        for (slope, offset), (low, high, live) in zip(self._lines(x), self._pieces(x)):
            largest = np.maximum(np.abs(low), np.abs(high)).astype(np.float64) * np.abs(slope) + abs(offset)
            if np.where(live, largest, 0).max(initial=0) >= (1 << (MAX_BITS - 1)) * (1 - 1e-9):
                raise TooWide(f"a product needs more than {MAX_BITS} bits")
            ends = np.where(live, low * slope + offset, most), np.where(live, high * slope + offset, most)
            lows.append(np.minimum(*ends))
            highs.append(np.maximum(*(np.where(live, end, -most) for end in ends)))
            least = np.minimum(np.minimum(x.zeros + trailing_zeros(slope), MAX_BITS), trailing_zeros(offset))
            zeros = np.where(live, np.minimum(zeros, least), zeros)
        return TensorType(np.minimum.reduce(lows), np.maximum.reduce(highs), self._frac(x), zeros)

    def bind(self, *inputs: TensorType) -> Callable[..., IntArray]:
        (x,) = inputs
        lines, starts = self._lines(x), self._starts(x)

        def pieces(raw: IntArray) -> IntArray:
            slope, offset = lines[0]
            y = raw * slope + offset
            for start, (slope, offset) in zip(starts, lines[1:]):
                y = np.where(raw >= start, raw * slope + offset, y)
            return y

        return pieces

    def permuted(self, axes: tuple[int, ...]) -> Op:
        return replace(self, slopes=tuple(s.map(lambda a: permuted_constants(a, axes)) for s in self.slopes))

    def channelwise(self, kept: BoolArray, *inputs: TensorType) -> Op:
        return replace(self, slopes=tuple(s.map(lambda a: channel_constants(a, kept)) for s in self.slopes))

    @property
    def wraps(self) -> bool:
        return True

    def identity(self, *inputs: TensorType) -> bool:
        one = [bool((s.aligned(max(s.frac, 0)) == 1 << max(s.frac, 0)).all()) for s in self.slopes]
        live = [bool(has.any()) for _, _, has in self._pieces(inputs[0])]
        return all(o and not offset for o, offset, has in zip(one, self.offsets.raw, live) if has)

    def reuse_factors(self, *inputs: TensorType) -> tuple[int, ...]:
        return (1,)

    def work(self, *inputs: TensorType, plan: Plan) -> Work:
        (x,) = inputs
        y = self.infer(x)
        pieces = self._pieces(x)
        found: list[Unit] = []
        several = np.zeros(x.shape, np.int64)
        for (slope, offset), own, (_, _, live) in zip(self._lines(x), self.slopes, pieces):
            used = live & (y.widths > 0)
            several += used
            raw = np.broadcast_to(own.raw, x.shape)
            digits = np.where(used & (x.widths > 0), csd_digits(raw), 0)
            multiplied = digits > 1
            found += units(
                "constant_multiply", x.widths[multiplied], constant_bits(raw[multiplied]), digits=digits[multiplied]
            )
            moved = used & (np.broadcast_to(slope, x.shape) != 0) & ((offset != 0) | ((digits == 1) & (raw < 0)))
            found += units("add", y.widths[moved])
        for start, (_, _, before), (_, _, after) in zip(self._starts(x), pieces, pieces[1:]):
            if start:
                found += units("compare", x.widths[before & after & (y.widths > 0)])
        for chosen in range(2, len(pieces) + 1):
            found += units("select", y.widths[several >= chosen])
        return by_kind(found)

    def hls(self, *inputs: TensorType, plan: Plan) -> Kernel:
        (x,) = inputs
        repeated = Repeated.of(np.broadcast_shapes(*(s.shape for s in self.slopes)), x.shape)
        frac = max(s.frac for s in self.slopes)
        slopes = np.stack([repeated.pick(s.aligned(frac), x.shape) for s in self.slopes])
        starts = np.array(self._starts(x), np.int64)
        sizes = {
            "size": x.size,
            "count": repeated.count,
            "inner": repeated.inner,
            "pieces": len(self.slopes),
            "width": max(int(np.abs(starts).max(initial=0)).bit_length(), x.hull.width) + 2,
        }
        tables = {
            "starts": Constant(starts, 0),
            "slopes": Constant(slopes.reshape(-1), frac),
            "offsets": self.offsets,
        }
        return Kernel("piecewise", "piecewise", sizes, tables)
