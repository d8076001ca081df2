"""exp(x - max(x)) in integers: what softmax and its logarithm begin with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from keras_hls.errors import TooWide
from keras_hls.fixed import MAX_BITS, Constant, IntArray, TensorType, bit_length
from keras_hls.layers_ext.axis_runs import TAKEN, Runs
from keras_hls.layers_ext.counting import extreme_steps, in_turn, sum_steps, tree_depth
from keras_hls.op import Step, Unit


def distance_ends(x: TensorType, runs: Runs) -> tuple[IntArray, IntArray]:
    """Return the least and the largest that max(x) - x can be, for each element."""
    if runs.count == 1:
        return np.zeros_like(x.low), np.zeros_like(x.high)
    low, high = runs.rows(x.low)[0], runs.rows(x.high)[0]
    # An element that has the largest value of its group lies at distance 0, so the others alone matter.
    nearest, farthest = _largest_other(low) - high, _largest_other(high) - low
    return tuple(runs.back(np.maximum(end, 0), x.shape) for end in (nearest, farthest))  # type: ignore[return-value]


def _largest_other(rows: IntArray) -> IntArray:
    """Return for each number of a row the largest of the rest."""
    second, first = np.moveaxis(np.partition(rows, (-2, -1))[..., -2:], -1, 0)
    at = rows.argmax(-1)
    return np.where(np.arange(rows.shape[-1]) == at[..., None], second[..., None], first[..., None])


@dataclass(frozen=True)
class Exponentials:
    """e = exp(x - max(x)) over some axes, from two tables: exp(-high bits of the distance) * exp(-its low bits).

    Each is off by at most ``1.5 * 2**-frac``, and that of the largest element is exactly 1.

    Parameters
    ----------
    x : TensorType
    axes : tuple of int
    frac : int
        Fractional bits of the tables, of their products, and so of e.
    """

    x: TensorType
    axes: tuple[int, ...]
    frac: int

    def checked(self) -> Exponentials:
        """Return it, if it can be computed.

        Raises
        ------
        TooWide
            If distances need more than 31 bits, or products more than 63.
        """
        if self.span.bit_length() > 31:
            # C++ counts distances in int, and half of their bits index a table each.
            raise TooWide("its exponentials take inputs of at most 31 bits here: quantize them")
        if 2 * self.frac + 1 >= MAX_BITS or self.frac + 1 + tree_depth(self.runs.count) >= MAX_BITS:
            raise TooWide(
                f"{self.runs.count} exponentials to {self.frac} bits need more than {MAX_BITS} bits on the way"
            )
        return self

    @property
    def runs(self) -> Runs:
        return Runs.of(self.x.shape, self.axes)

    @property
    def span(self) -> int:
        """The largest distance to the maximum that still matters: beyond it the exponential rounds to 0."""
        low, high = (self.runs.spread(end) for end in (self.x.low, self.x.high))
        most = int((high.max(TAKEN) - low.min(TAKEN)).max(initial=0))
        vanishes = float(np.ldexp((self.frac + 1) * np.log(2.0), self.x.frac))
        return most if most <= vanishes else int(vanishes) + 1

    @property
    def split(self) -> int:
        """How many low bits of a distance index the second table."""
        return (self.span.bit_length() + 1) // 2

    @property
    def tables(self) -> tuple[IntArray, IntArray]:
        """Exponentials of the high and of the low bits of distances."""
        coarse, fine = np.arange((self.span >> self.split) + 1) << self.split, np.arange(1 << self.split)
        return tuple(  # type: ignore[return-value]
            np.rint(np.ldexp(np.exp(-np.ldexp(d.astype(np.float64), -self.x.frac)), self.frac)).astype(np.int64)
            for d in (coarse, fine)
        )

    def bind(self) -> Callable[[IntArray], tuple[IntArray, IntArray]]:
        """Return a function from raw integers, as `Runs.spread` lays them out, to distances and exponentials."""
        coarse, fine = self.tables
        split, span, half = self.split, self.span, 1 << (self.frac - 1)

        def run(raw: IntArray) -> tuple[IntArray, IntArray]:
            distance = raw.max(TAKEN, keepdims=True) - raw
            near = np.minimum(distance, span)
            return distance, (coarse[near >> split] * fine[near & ((1 << split) - 1)] + half) >> self.frac

        return run

    @property
    def sizes(self) -> dict[str, int]:
        """What a kernel has to know, by name."""
        return {
            **self.runs.sizes,
            "size": self.x.size,
            "split": self.split,
            "span": self.span,
            "table_frac": self.frac,
            "input_width": self.x.hull.width + 1,
            "sum_width": int(bit_length(self.runs.count << self.frac)),
        }

    @property
    def constants(self) -> dict[str, Constant]:
        """What a kernel looks up, by name."""
        coarse, fine = self.tables
        return {"coarse": Constant(coarse, 0), "fine": Constant(fine, 0)}

    @property
    def steps(self) -> tuple[Step, ...]:
        """The hardware, up to the sums."""
        n, groups = self.runs.count, self.runs.groups
        wide, entry = self.x.hull.width, self.frac + 1
        index = self.span.bit_length()
        every = in_turn(
            [Unit("add", self.x.size, (index + 1,))],
            [
                Unit("table", self.x.size, (max(index - self.split, 1), entry)),
                Unit("table", self.x.size, (max(self.split, 1), entry)),
            ],
            [Unit("multiply", self.x.size, (entry, entry))],
        )
        of_each = np.full(groups, n)
        largest = (replace(step, passing=step.passing + self.x.size * wide) for step in extreme_steps(of_each, wide))
        # The exponentials themselves are divided, or not: they wait.
        sums = (
            replace(step, passing=step.passing + self.x.size * entry)
            for step in sum_steps(of_each, entry + tree_depth(n))
        )
        return (*largest, *every.steps, *sums)
