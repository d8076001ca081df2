"""Division by a standard deviation, a root mean square or a norm of the elements themselves: exact sums, one reciprocal root."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import zip_longest
from math import frexp, ldexp, sqrt
from typing import Literal

import numpy as np
import numpy.typing as npt

from keras_hls.errors import TooWide
from keras_hls.fixed import MAX_BITS, Constant, IntArray, TensorType
from keras_hls.layers_ext.axis_runs import TAKEN, Runs, permuted_axes
from keras_hls.layers_ext.counting import constant_bits, csd_digits, in_turn, sum_steps, tree_depth, units
from keras_hls.layers_ext.curves import Curve
from keras_hls.op import Kernel, Op, Plan, Step, Unit, Work

#: Fractional bits of the result where nothing that reads it says how many it needs, and at most.
_FRAC, _FINEST = 16, 22
# How many more than whatever cuts it next: so that few values fall on the other side of a step.
_FINER = 8
# Bits of integers on the way, at most: one less than all, so that sums of rounding have room.
_MOST = MAX_BITS - 2

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Formula:
    """What is divided by what: ``factor * number / sqrt(total + n**weight * epsilon)`` of n integers x with the sum S.

    Parameters
    ----------
    centred : bool
        Whether the number is ``n * x - S``, and not x.
    variance : bool
        Whether the total is ``n * sum(x**2) - S**2``, n**2 times their variance, and not ``sum(x**2)``.
    weight : int
        Power of n.
    factor : float
        Power of n.
    """

    centred: bool
    variance: bool
    weight: int
    factor: float


FORMULAS = {
    "layer": Formula(True, True, 2, 0.0),  # (x - mean) / sqrt(variance + epsilon)
    "deviation": Formula(False, True, 2, 1.0),  # x / sqrt(variance + epsilon)
    "rms": Formula(False, False, 1, 0.5),  # x / sqrt(mean(x**2) + epsilon)
    "unit": Formula(False, False, 0, 0.0),  # x / sqrt(sum(x**2))
}


@dataclass(frozen=True, eq=False)
class Normalize(Op):
    """y = x, or x - mean, over the root of what `kind` says of all elements along some axes, rounded to `frac` bits.

    Sums of squares are exact integers. Their reciprocal root is that of a mantissa between 1 and 4, by straight pieces,
    shifted by half of the exponent: as exact for a variance of a billion as for one of a billionth. What is zero stays zero.

    Parameters
    ----------
    kind : {"layer", "deviation", "rms", "unit"}
        The root of the variance plus epsilon, with the mean subtracted from x before ("layer") or not ("deviation"); of the
        mean of squares plus epsilon; or of the sum of squares.
    epsilon : Constant
        One number; 0 for "unit", positive for all others.
    axes : tuple of int
        Of a sample, in up to two places; negative ones count from the end.
    frac : int, optional
        Fractional bits of the result; None until a pass has found out what its readers need.
    """

    kind: str
    epsilon: Constant
    axes: tuple[int, ...] = (-1,)
    frac: int | None = None

    def settle(self, *inputs: TensorType, frac: int | None) -> Op:
        if self.frac is not None:
            return self
        return replace(self, frac=_FRAC if frac is None else min(max(frac + _FINER, 0), _FINEST))

    def _design(self, x: TensorType) -> _Design:
        if self.kind not in FORMULAS:
            raise ValueError(f"kind of normalization must be one of {', '.join(FORMULAS)}, not {self.kind!r}")
        if self.frac is None or self.frac < 0:
            raise ValueError("a normalization has no type before a pass has chosen its precision, of at least 0 bits")
        epsilon = Fraction(int(self.epsilon.raw)) / Fraction(2) ** self.epsilon.frac
        if (epsilon > 0) == (self.kind == "unit") or epsilon < 0:
            raise ValueError(f"epsilon must be positive, or 0 for a norm, not {float(epsilon):g}")
        return _Design(x, Runs.of(x.shape, self.axes), FORMULAS[self.kind], epsilon, self.frac)

    def infer(self, *inputs: TensorType) -> TensorType:
        return self._design(inputs[0]).type

    def bind(self, *inputs: TensorType) -> Callable[..., IntArray]:
        return self._design(inputs[0]).bind()

    def permuted(self, axes: tuple[int, ...]) -> Op | None:
        moved = permuted_axes(self.axes, axes)
        return None if moved is None else replace(self, axes=moved)

    @property
    def endless(self) -> bool:
        return True

    def error(self, *inputs: TensorType) -> float:
        return self._design(inputs[0]).error

    @property
    def narrow(self) -> Literal["value"]:
        return "value"

    def reuse_factors(self, *inputs: TensorType) -> tuple[int, ...]:
        return (1,)

    def work(self, *inputs: TensorType, plan: Plan) -> Work:
        return self._design(inputs[0]).work()

    def hls(self, *inputs: TensorType, plan: Plan) -> Kernel:
        return self._design(inputs[0]).kernel()


class _Design:
    """The integers on the way, for an input of one type: all that emulator, C++ and bounds have in common.

    Attributes
    ----------
    drop : int
        Low bits of x that are always zero, and change nothing.
    up : int
        Even; by how many bits totals are finer than squares, so that epsilon is precise enough.
    epsilon, floor : int
        In these units: what is added to totals, and the least total for which there is anything to divide.
    width : int
        Even; bits of a total.
    """

    def __init__(self, x: TensorType, runs: Runs, formula: Formula, epsilon: Fraction, frac: int):
        self.x, self.runs, self.formula, self.frac = x, runs, formula, frac
        n = runs.count
        self.drop = int(x.zeros.min(initial=MAX_BITS)) % MAX_BITS
        self.low, self.high = (runs.spread(end) >> self.drop for end in (x.low, x.high))
        squares = self._squares()
        added = epsilon * n**formula.weight * Fraction(4) ** (x.frac - self.drop)
        # The least sum of squares where there is anything to divide; x itself may be divided by epsilon alone.
        least = added + (max(n - 1, 1) if formula.centred else 0 if formula.variance else 1)
        # Relative error of 1 / sqrt(total) that each of epsilon, pieces and cut mantissas may have.
        precision = frac + 4
        self.up = self._finer(squares, added, least, precision)
        self.epsilon = round(added * (1 << self.up))
        self.floor = max(int(least * (1 << self.up)), 1)
        largest = max((squares << self.up) + self.epsilon, self.floor)
        if largest >= 1 << (MAX_BITS - 1):
            raise TooWide(f"epsilon and {n} squares of values as fine as these need more than {MAX_BITS} bits")
        self.width = max(largest.bit_length() + largest.bit_length() % 2, 2)
        # A total that is off by a part of itself puts its root off by less.
        off = abs(self.epsilon - added * (1 << self.up)) / (least * (1 << self.up))
        if off > Fraction(1, 1 << (frac + 2)):
            raise TooWide(
                f"epsilon beside a sum of {n} squares, precise to {frac} bits, needs more than {MAX_BITS} bits"
            )
        self._set_curve(n**formula.factor, precision)
        cut = 1 - 2.0**-self.curve.mantissa_bits
        self.relative = (1 + float(off)) / sqrt(cut) * (1 + self.curve.error) - 1
        self._set_shifts()
        self._set_ends(squares, float(added))

    def _squares(self) -> int:
        """The largest total, without epsilon."""
        low, high = self.low, self.high
        if self.formula.variance:
            # Their middle may be subtracted from all.
            middle = (low.min(TAKEN, keepdims=True) + high.max(TAKEN, keepdims=True)) >> 1
            low, high = low - middle, high - middle
        largest = np.maximum(np.abs(low), np.abs(high))
        count = self.runs.count if self.formula.variance else 1
        estimate = float((largest.astype(np.float64) ** 2).sum(TAKEN).max(initial=0)) * count
        if estimate >= 2.0**_MOST * (1 - 1e-9):
            raise TooWide(f"a sum of {self.runs.count} squares needs more than {MAX_BITS} bits")
        return int((largest**2).sum(TAKEN).max(initial=0)) * count

    def _finer(self, squares: int, added: Fraction, least: Fraction, precision: int) -> int:
        """By how many bits totals are finer than squares: as epsilon needs it, and as there is room."""
        if added.denominator == 1:
            return 0
        up = 0
        while (
            least * (1 << up) < (1 << precision) and (squares << (up + 2)) + int(added * (1 << (up + 2))) < 1 << _MOST
        ):
            up += 2
        return up

    def _set_curve(self, factor: float, precision: int) -> None:
        """The reciprocal root of mantissas, times what is left of a factor without its power of two."""
        exponent = frexp(factor)[1] - 1
        rest = ldexp(factor, -exponent)
        index_bits = max((precision - 3) // 2, 1)
        self.exponent = exponent
        self.curve = Curve.of(
            lambda m: rest / np.sqrt(m),
            lambda m: 0.75 * rest * m**-2.5,
            octaves=2,
            index_bits=index_bits,
            rest_bits=precision - index_bits,
            frac=precision + 2,
            relative=True,
        )

    def _set_shifts(self) -> None:
        """How far products of number and root are shifted down."""
        most = (self.width - self.floor.bit_length()) // 2
        self.steps = most.bit_length()
        down = self.curve.frac - self.exponent - self.up // 2 + self.width // 2 - 1 - self.frac
        # Never by less than one bit: so there is always one to round.
        self.lift = max(0, 1 - (down - ((1 << self.steps) - 1)))
        self.down = down + self.lift

    def _numbers(self) -> tuple[Floats, Floats]:
        """What is divided: the least and the largest of each element."""
        low, high = self.low.astype(np.float64), self.high.astype(np.float64)
        if not self.formula.centred:
            return low, high
        n, lows, highs = self.runs.count, low.sum(TAKEN, keepdims=True), high.sum(TAKEN, keepdims=True)
        return (n - 1) * low - (highs - high), (n - 1) * high - (lows - low)

    def _set_ends(self, squares: int, added: float) -> None:
        """The interval of each result."""
        n, formula = self.runs.count, self.formula
        factor, least = n**formula.factor, ldexp(self.floor, -self.up)

        def nearest(number: Floats) -> Floats:
            """Over the largest total."""
            return factor * number / sqrt(max(squares + added, least))

        def farthest(number: Floats) -> Floats:
            """Over the least total that goes with the number."""
            own = number**2 / max(n - 1, 1) if formula.centred else 0.0 if formula.variance else number**2
            return factor * number / np.sqrt(np.maximum(own + added, least))

        low, high = self._numbers()
        ends = np.where(low > 0, nearest(low), farthest(low)), np.where(high < 0, nearest(high), farthest(high))
        self.largest = float(np.maximum(np.abs(ends[0]), np.abs(ends[1])).max(initial=0))
        number = float(np.maximum(np.abs(low), np.abs(high)).max(initial=0))
        self.number_width = int(number).bit_length() + 1
        product = self.number_width + self.curve.sizes["start_width"] + self.lift
        if product >= _MOST or ldexp(self.largest, self.frac) >= 2.0**_MOST or self.down >= _MOST:
            raise TooWide(
                f"a quotient to {self.frac} bits of numbers of {self.number_width} needs more than {MAX_BITS} on the way"
            )
        self.product_width = max(product + 1, self.down + 2)
        spare = self.relative + 2.0**-40
        raw = [np.ldexp(end + side * spare * np.abs(end), self.frac) for end, side in zip(ends, (-1, 1))]
        first, last = (np.floor(end + 0.5).astype(np.int64).reshape(self.x.shape) for end in raw)
        self.type = TensorType(first, last, self.frac)

    @property
    def error(self) -> float:
        """Of the relative error of the root, and of the result's last bit."""
        return self.largest * self.relative + 2.0 ** -(self.frac + 1)

    def bind(self) -> Callable[[IntArray], IntArray]:
        formula, n, spread, curve = self.formula, self.runs.count, self.runs.spread, self.curve

        def normalize(raw: IntArray) -> IntArray:
            x = spread(raw) >> self.drop
            total = np.square(x).sum(TAKEN, keepdims=True)
            sums = x.sum(TAKEN, keepdims=True) if formula.variance else 0
            if formula.variance:
                # Both may leave int64; their difference doesn't, and is right modulo 2**64.
                total = n * total - sums * sums
            total = np.maximum((total << self.up) + self.epsilon, self.floor)
            mantissa, shifts = curve.normalized(total, self.width)
            number = n * x - sums if formula.centred else x
            down = self.down - shifts
            product = (number * curve(mantissa)) << self.lift
            return ((product + (np.int64(1) << (down - 1))) >> down).reshape(raw.shape)

        return normalize

    def kernel(self) -> Kernel:
        cut = self.width - 2 - self.curve.mantissa_bits
        largest = int(max(-self.low.min(initial=0), self.high.max(initial=0)))
        sizes = {
            **self.runs.sizes,
            **self.curve.sizes,
            "size": self.x.size,
            "x_drop": self.drop,
            "x_width": largest.bit_length() + 1,
            "sum_width": (largest * self.runs.count).bit_length() + 1,
            "count": self.runs.count,
            "centred": int(self.formula.centred),
            "variance": int(self.formula.variance),
            "up": self.up,
            "total_width": self.width,
            "steps": self.steps,
            "mantissa_width": self.curve.mantissa_bits + 2,
            "mantissa_drop": max(cut, 0),
            "mantissa_lift": max(-cut, 0),
            "number_width": self.number_width,
            "product_width": self.product_width,
            "lift": self.lift,
            "down": self.down,
        }
        tables = {
            "starts": Constant(self.curve.starts, 0),
            "slopes": Constant(self.curve.slopes, 0),
            "added": Constant(np.array([self.epsilon, self.floor]), 0),
        }
        return Kernel("normalize", "normalize", sizes, tables)

    def work(self) -> Work:
        groups, steps = self.runs.groups, self.steps
        sizes, y = self.kernel().sizes, self.type
        width, slope, start, sums = (sizes[k] for k in ("total_width", "slope_width", "start_width", "sum_width"))
        live, answered = self.x.widths > 0, y.widths > 0
        if not (live.any() and answered.any()):
            return Work()
        n = int(self.runs.spread(live).sum(TAKEN).max())
        wide = self.x.widths[live]
        times = (width, int(constant_bits(self.runs.count))), int(csd_digits(self.runs.count))
        squares = units("multiply", wide, wide)
        each = np.full(groups, n)
        added = sum_steps(each, min(2 * int(wide.max()) + tree_depth(n), width))
        total = [[Unit("add", groups, (width,))]] if self.epsilon else []
        if self.formula.variance:
            scaled = [Unit("constant_multiply", groups, *times)] if times[1] > 1 else []
            total = [[*scaled, Unit("multiply", groups, (sums, sums))], [Unit("add", groups, (width,))], *total]
        # Compared with the least, then shifted up as often as it must be.
        root = [
            *[[Unit("compare", groups, (width,))], [Unit("select", groups, (width,))]] * (1 + steps),
            [
                Unit("table", groups, (self.curve.index_bits + 2, slope)),
                Unit("table", groups, (self.curve.index_bits + 2, start)),
            ],
            [Unit("multiply", groups, (self.curve.rest_bits, slope))],
            [Unit("add", groups, (start,))],
        ]
        products = units("multiply", np.where(live, self.number_width, 0)[answered], start)
        # A shift by a number that isn't known is a choice a step.
        shifts = [[Unit("select", int(answered.sum()), (self.product_width,))]] * steps
        # The sums of the numbers themselves are made beside those of their squares.
        means = sum_steps(each, sums) if self.formula.centred or self.formula.variance else []
        beside = [
            Step((*a.units, *b.units), a.passing + b.passing) for a, b in zip_longest(added, means, fillvalue=Step(()))
        ]
        centred: list[Unit] = []
        if self.formula.centred:
            centred = units("constant_multiply", wide, times[0][1], digits=times[1]) if times[1] > 1 else []
            centred += [Unit("add", int(answered.sum()), (self.number_width,))]
        first, *others = [*total, *root]
        last = in_turn([*first, *centred], *others, products, *shifts, units("round", y.widths[answered]))
        return Work((*in_turn(squares).steps, *beside, *last.steps))
