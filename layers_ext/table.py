"""Functions of one variable as tables over every value that it can take: exact by construction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from keras_hls.errors import InvalidModel, TooWide
from keras_hls.fixed import (
    MAX_BITS,
    BoolArray,
    Constant,
    FloatArray,
    Formats,
    IntArray,
    Quantization,
    TensorType,
    bit_length,
    shift_left,
    trailing_zeros,
)
from keras_hls.layers_ext.counting import by_kind, units
from keras_hls.op import Kernel, Op, Plan, Work

#: Entries of a table at most: an input of 20 bits.
MOST_ENTRIES = 1 << 20
# Entries up to which a table is taken where an op could compute the same.
_SMALL = 1 << 10
# Significant bits of entries where nothing that reads them says how many it needs.
_SIGNIFICANT = 24

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Table(Op):
    """y = entries[clip(x * 2**step, first, last) - first]: a function by its values.

    Parameters
    ----------
    entries : Constant
        One-dimensional.
    first : int
        The first entry belongs to ``first * 2**-step``, the next to one step more. What lies outside of the table has the
        value of its nearest end.
    step : int
        Fractional bits of the input that index the table: all that are ever anything but zero.
    exact : bool
        Whether the entries are, for all that reads them, those of the function itself.
    """

    entries: Constant
    first: int
    step: int
    exact: bool = True

    @classmethod
    def of(cls, entries: IntArray, frac: int, first: int, step: int, exact: bool = True) -> Table:
        """Return the shortest table with these entries: equal ones at its ends are one."""
        changes = np.flatnonzero(np.diff(entries))
        start, stop = (int(changes[0]), int(changes[-1]) + 2) if changes.size else (0, 1)
        return cls(Constant(entries[start:stop], frac), first + start, step, exact)

    def _index(self, raw: IntArray, x: TensorType) -> IntArray:
        last = self.first + len(self.entries.raw) - 1
        return np.clip(self._steps(raw, x), self.first, last) - self.first

    def _steps(self, raw: IntArray, x: TensorType) -> IntArray:
        shift = x.frac - self.step
        return raw >> shift if shift >= 0 else shift_left(raw, -shift)

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        if self.entries.raw.ndim != 1 or not self.entries.raw.size:
            raise ValueError("a table must be a row of at least one entry")
        if (x.zeros < x.frac - self.step).any():
            raise ValueError(f"a table for multiples of 2**{-self.step} has an input with finer values")
        first, last = self._index(x.low, x), self._index(x.high, x)
        low, high = _ranges(self.entries.raw, first, last)
        zeros, _ = _ranges(trailing_zeros(self.entries.raw), first, last)
        return TensorType(low, high, self.entries.frac, zeros)

    def bind(self, *inputs: TensorType) -> Callable[..., IntArray]:
        (x,) = inputs
        entries = self.entries.raw
        return lambda raw: entries[self._index(raw, x)]

    def permuted(self, axes: tuple[int, ...]) -> Op:
        return self

    def channelwise(self, kept: BoolArray, *inputs: TensorType) -> Op:
        return self

    def fused(self, cast: Formats, *inputs: TensorType) -> Op | None:
        if cast.uniform is None:
            return None
        to = Quantization(Formats.of(cast.uniform), self.entries.type)
        return Table.of(to(self.entries.raw[None])[0], to.type.frac, self.first, self.step)

    def error(self, *inputs: TensorType) -> float:
        return 0.0 if self.exact else float(2.0**-self.entries.frac)

    def reuse_factors(self, *inputs: TensorType) -> tuple[int, ...]:
        return (1,)

    def work(self, *inputs: TensorType, plan: Plan) -> Work:
        (x,) = inputs
        y = self.infer(x)
        first, last = self._index(x.low, x), self._index(x.high, x)
        live = y.widths > 0
        index = np.maximum(bit_length(last - first), 1)
        found = units("table", index[live], y.widths[live])
        # What can lie outside of the table is compared with its ends, and one of them is chosen.
        end = self.first + len(self.entries.raw) - 1
        outside = live & ((self._steps(x.low, x) < self.first) | (self._steps(x.high, x) > end))
        clamps = [*units("compare", x.widths[outside]), *units("select", index[outside])]
        return by_kind([*clamps, *found])

    def hls(self, *inputs: TensorType, plan: Plan) -> Kernel:
        (x,) = inputs
        ends = self._steps(np.array([x.low.min(initial=0), x.high.max(initial=0)]), x)
        reach = max(int(np.abs(ends).max()), abs(self.first) + len(self.entries.raw), x.hull.high, -x.hull.low)
        sizes = {
            "size": x.size,
            "right": max(x.frac - self.step, 0),
            "left": max(self.step - x.frac, 0),
            "entries_count": len(self.entries.raw),
            "index_width": reach.bit_length() + 2,
        }
        # Beyond the ints of the configuration, where the table starts is a number of its own.
        tables = {"entries": self.entries, "first": Constant(np.array([self.first]), 0)}
        return Kernel("table_lookup", "table", sizes, tables)


def _ranges(entries: IntArray, first: IntArray, last: IntArray) -> tuple[IntArray, IntArray]:
    """Return the least and the largest entry from each `first` to its `last`, from runs of 1, 2, 4, ... entries."""
    pairs, where = np.unique(np.stack([first.reshape(-1), last.reshape(-1)]), axis=1, return_inverse=True)
    lows, highs = np.zeros(pairs.shape[1], np.int64), np.zeros(pairs.shape[1], np.int64)
    level = bit_length(pairs[1] - pairs[0] + 1) - 1
    least = most = entries
    for power in range(int(level.max(initial=-1)) + 1):
        run = 1 << power
        chosen = level == power
        a, b = pairs[0][chosen], pairs[1][chosen] - run + 1
        lows[chosen] = np.minimum(least[a], least[b])
        highs[chosen] = np.maximum(most[a], most[b])
        if len(least) > run:
            least, most = np.minimum(least[:-run], least[run:]), np.maximum(most[:-run], most[run:])
    return lows[where].reshape(first.shape), highs[where].reshape(first.shape)


@dataclass(frozen=True, eq=False)
class Function(Op):
    """y = function(x), element by element: what a table is made from, when the types are known.

    Parameters
    ----------
    function : function
        Takes and returns float arrays.
    name : str
        What errors call it.
    wide : Op, optional
        Computes the same exactly for inputs of more bits than a small table has: where the function itself, in floating
        point, rounds and a table is what it answers.
    """

    function: Callable[[FloatArray], FloatArray]
    name: str
    wide: Op | None = None

    def settle(self, *inputs: TensorType, frac: int | None) -> Op:
        (x,) = inputs
        shift = int(x.zeros.min(initial=MAX_BITS)) % MAX_BITS
        low, high = (int(x.low.min()), int(x.high.max())) if x.size else (0, 0)
        first, last = low >> shift, high >> shift
        if self.wide is not None and last - first >= _SMALL:
            return self.wide.settle(x, frac=frac)
        if last - first >= MOST_ENTRIES:
            raise InvalidModel(
                f"computes {self.name} of a value of {x.hull.width} bits ({x.hull}); a table has 2**20 entries at most:"
                " quantize its input to 20 bits or fewer"
            )
        grid = np.arange(first, last + 1) << shift
        values = self._values(x.to_float(grid))
        chosen = self._frac(values) if frac is None else frac + 2
        return Table.of(_odd(values, chosen, self.name), chosen, first, x.frac - shift, exact=frac is not None)

    def permuted(self, axes: tuple[int, ...]) -> Op:
        return self

    def _values(self, points: Floats) -> Floats:
        with np.errstate(all="ignore"):
            try:
                # In no order that a function of whole arrays, which sorts or reverses them, could leave as it is.
                order = np.random.default_rng(0).permutation(len(points))
                shuffled = np.asarray(self.function(points[order]), np.float64)
                # Another such function, a softmax, say, has other values for other neighbours.
                some = order[: len(points) // 2 + 1]
                again = np.asarray(self.function(np.repeat(points[some], 2).reshape(-1, 1)), np.float64)
            except Exception as error:
                raise InvalidModel(
                    f"computes {self.name}, which fails on an array of its input's values: {error}"
                ) from error
        alike = shuffled.shape == points.shape and again.shape == (2 * len(some), 1)
        # Vector and scalar code of a library may differ in the last bit.
        if not alike or not np.allclose(again[::2, 0], shuffled[: len(some)], rtol=1e-4, atol=1e-6, equal_nan=True):
            raise InvalidModel(
                f"computes {self.name}, which isn't a function of each element alone, so no table holds it"
            )
        values = np.empty_like(shuffled)
        values[order] = shuffled
        if not np.isfinite(values).all():
            where = float(points[~np.isfinite(values)][0])
            raise InvalidModel(
                f"computes {self.name}, which isn't finite at {where:g}, a value that its input can take; narrow its input"
            )
        return values

    def _frac(self, values: Floats) -> int:
        largest = float(np.abs(values).max(initial=0))
        return _SIGNIFICANT - (int(np.frexp(largest)[1]) if largest else 0)

    @property
    def narrow(self) -> Literal["index"] | None:
        return "index" if self.wide is None else None

    def result_shape(self, *shapes: tuple[int, ...]) -> tuple[int, ...]:
        return shapes[0]

    def infer(self, *inputs: TensorType) -> TensorType:
        raise ValueError(f"{self.name} has no type before a pass has chosen its precision")

    def bind(self, *inputs: TensorType) -> Callable[..., IntArray]:
        raise ValueError(f"{self.name} is no integer function before a pass has made a table of it")

    def work(self, *inputs: TensorType, plan: Plan) -> Work:
        raise ValueError(f"{self.name} has no hardware before a pass has made a table of it")

    def hls(self, *inputs: TensorType, plan: Plan) -> Kernel:
        raise ValueError(f"{self.name} has no C++ before a pass has made a table of it")

    def reuse_factors(self, *inputs: TensorType) -> tuple[int, ...]:
        return (1,)


def _odd(values: Floats, frac: int, name: str) -> IntArray:
    """Return the values in units of ``2**-frac``, rounded to odd."""
    scaled = np.ldexp(values, frac)
    if np.abs(scaled).max(initial=0) >= 2.0 ** (MAX_BITS - 1):
        raise TooWide(
            f"{name} has values that to {frac} fractional bits need more than {MAX_BITS} bits; narrow its input"
        )
    whole = np.floor(scaled)
    return whole.astype(np.int64) | (whole != scaled)
