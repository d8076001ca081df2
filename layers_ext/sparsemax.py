"""Sparsemax: the nearest point to a vector among all probabilities, in exact arithmetic."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from keras_hls.errors import TooWide
from keras_hls.fixed import MAX_BITS, Constant, FloatArray, IntArray, TensorType
from keras_hls.layers_ext.activation import ACTIVATIONS
from keras_hls.layers_ext.axis_runs import Runs, over_axes, permuted_axes, sample_axes
from keras_hls.layers_ext.counting import in_turn, sum_steps
from keras_hls.layers_ext.reading import Builder, LayerView, ReadError, Ref, reads_operation
from keras_hls.op import Kernel, Op, Plan, Unit, Work

#: Elements at most: each is compared with each.
MOST = 64
# Fractional bits beyond those of the input, where nothing that reads the result says how many it needs.
_FINER = 16


@dataclass(frozen=True, eq=False)
class Sparsemax(Op):
    """y = max(x - t, 0) with the one t for which all y along some axes sum to 1, to `frac` fractional bits, rounded to odd.

    Element i is above t if the others exceed it by less than 1 in sum: sum(max(x_j - x_i, 0)) < 1. Of k such elements with
    the sum S, t = (S - 1) / k, so y = (k * x - S + 1) / k: exact, but for the division, which rounds to odd as `Quotient` does.

    Keras up to 3.15 takes for S the sum of all k sums of the largest element, of the two largest, and so on (keras-team/keras
    issue 23425): no sparsemax, but what networks were trained with.

    Parameters
    ----------
    axes : tuple of int
        Of a sample, in up to two places; negative ones count from the end.
    cumulative : bool
        Whether S is the sum of sums that older versions of Keras take.
    frac : int, optional
        Fractional bits of the result; None until a pass has found out what its readers need.
    exact : bool
        Whether all that reads it cuts it so that nothing is lost.
    """

    axes: tuple[int, ...] = (-1,)
    cumulative: bool = False
    frac: int | None = None
    exact: bool = False

    def settle(self, *inputs: TensorType, frac: int | None) -> Op:
        if self.frac is not None:
            return self
        return replace(self, frac=max(inputs[0].frac, 0) + _FINER if frac is None else frac + 2, exact=frac is not None)

    def _grid(self, x: TensorType) -> tuple[int, int]:
        """How far inputs are shifted up and down, so that 1 is a whole number and nothing else is wasted."""
        zeros = int(x.zeros.min(initial=MAX_BITS))
        return max(-x.frac, 0), min(zeros, max(x.frac, 0))

    def _one(self, x: TensorType) -> int:
        up, down = self._grid(x)
        return 1 << (x.frac + up - down)

    def _shifts(self, x: TensorType) -> tuple[int, int]:
        """How far a quotient's dividend and divisor are shifted up."""
        if self.frac is None:
            raise ValueError("sparsemax has no type before a pass has chosen its precision")
        up, down = self._grid(x)
        finer = self.frac - (x.frac + up - down)
        return max(finer, 0), max(-finer, 0)

    def _largest(self, x: TensorType) -> IntArray:
        """The largest dividend k * x - S + 1 for each k from 1 on, in each group: [groups, n]."""
        runs, one = Runs.of(x.shape, self.axes), self._one(x)
        k = np.arange(1, runs.count + 1)
        if not self.cumulative:
            return np.broadcast_to(k * one, (runs.groups, runs.count))
        # Elements above the threshold lie less than 1 below the largest; the larger that is, the smaller is what is left.
        largest = self._raw(x, runs.rows(x.low)[0]).max(-1, keepdims=True)
        return one - k * (k - 1) // 2 * (largest - one + 1)

    def _raw(self, x: TensorType, raw: IntArray) -> IntArray:
        up, down = self._grid(x)
        return (raw << up) >> down

    def _reciprocals(self, x: TensorType) -> tuple[int, IntArray, IntArray]:
        """For each k from 1 on, division as a product, as in `Quotient`: shift, factors, least remainders."""
        n = Runs.of(x.shape, self.axes).count
        finer, coarser = self._shifts(x)
        dividend = int(self._largest(x).max(initial=1)).bit_length()
        bits = dividend + finer + n.bit_length() + coarser
        if dividend + bits >= MAX_BITS - 1:
            raise TooWide(f"sparsemax of {n} elements to {self.frac} fractional bits needs more than {MAX_BITS} bits")
        divisors = np.arange(1, n + 1, dtype=np.int64) << coarser
        return bits - finer, -(-(1 << bits) // divisors), -(-(1 << (bits - finer)) // divisors)

    def _of_rows(self, x: TensorType) -> Callable[[IntArray], IntArray]:
        """A function of rows of n raw integers, by their order: the k largest are above t if k * (the last of them) > S - 1."""
        n, one, (finer, coarser) = Runs.of(x.shape, self.axes).count, self._one(x), self._shifts(x)
        places = np.arange(1, n + 1)

        def run(rows: IntArray) -> IntArray:
            rows = self._raw(x, rows)
            ordered = -np.sort(-rows, axis=-1)
            sums = ordered.cumsum(-1)
            k = (places * ordered > sums - one).sum(-1, keepdims=True)
            own = np.take_along_axis(sums.cumsum(-1) if self.cumulative else sums, k - 1, -1)
            dividend = np.maximum(k * rows - own + one, 0) << finer
            quotient = dividend // (k << coarser)
            return quotient | (quotient * (k << coarser) != dividend)

        return run

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        runs = Runs.of(x.shape, self.axes)
        if runs.count > MOST:
            raise ValueError(
                f"sparsemax of {runs.count} elements compares each with each; it is built for {MOST} at most: use a softmax"
            )
        largest = int(max(x.high.max(initial=0), -x.low.min(initial=0)))
        if (largest << self._grid(x)[0]) * runs.count**2 * 2 >= 1 << (MAX_BITS - 1):
            raise TooWide(f"a sum of {runs.count} values needs more than {MAX_BITS} bits")
        self._reciprocals(x)
        low, high = (runs.rows(end)[0] for end in (x.low, x.high))
        ends = self._bounds(x, low, high) if self.cumulative else self._ends(x, low, high)
        least, most = (runs.back(rows, x.shape) for rows in ends)
        return TensorType(least, most, self.frac or 0)

    def _ends(self, x: TensorType, low: IntArray, high: IntArray) -> tuple[IntArray, IntArray]:
        """What each element can be: it grows with its own input and falls with any other."""
        # Groups of the same types have the same ends.
        kinds, where = np.unique(np.stack([low, high], -1), axis=0, return_inverse=True)
        run, own = self._of_rows(x), np.eye(low.shape[-1], dtype=bool)
        low, high = kinds[:, None, :, 0], kinds[:, None, :, 1]
        least, most = (
            np.diagonal(run(np.where(own, *ends)), axis1=1, axis2=2)[where.reshape(-1)]
            for ends in ((low, high), (high, low))
        )
        return least, most

    def _bounds(self, x: TensorType, low: IntArray, high: IntArray) -> tuple[IntArray, IntArray]:
        """Bounds of what each element can be where older versions of Keras are followed."""
        finer, coarser = self._shifts(x)
        k = np.arange(1, low.shape[-1] + 1)
        most = ((self._largest(x) << finer) // (k << coarser)).max(-1, keepdims=True) + 1
        # Elements that can't be the largest lie below it.
        short = np.minimum(self._raw(x, high) - self._raw(x, low).max(-1, keepdims=True), 0)
        return np.zeros_like(low), np.maximum(most + ((short << finer) >> coarser), 0) | 1

    def bind(self, *inputs: TensorType) -> Callable[..., IntArray]:
        (x,) = inputs
        runs, run = Runs.of(x.shape, self.axes), self._of_rows(x)
        return lambda raw: runs.back(run(runs.rows(raw)), raw.shape)

    def permuted(self, axes: tuple[int, ...]) -> Op | None:
        moved = permuted_axes(self.axes, axes)
        return None if moved is None else replace(self, axes=moved)

    @property
    def endless(self) -> bool:
        return True

    def error(self, *inputs: TensorType) -> float:
        return 0.0 if self.exact else 2.0 ** -(self.frac or 0)

    def reuse_factors(self, *inputs: TensorType) -> tuple[int, ...]:
        return (1,)

    def work(self, *inputs: TensorType, plan: Plan) -> Work:
        (x,) = inputs
        y, sizes = self.infer(x), self.hls(x, plan=plan).sizes
        if not (y.widths > 0).any():
            return Work()
        n, groups, wide, total = sizes["n"], Runs.of(x.shape, self.axes).groups, sizes["raw_width"], sizes["sum_width"]
        count = n.bit_length()
        factor = sizes["factor_width"]
        pairs = groups * n * (n - 1)
        rank = sum_steps(np.full(groups * n, max(n - 1, 1)), total)
        support = sum_steps(np.full(groups, n), total)
        return Work(
            (
                *in_turn(
                    [Unit("add", pairs // 2, (wide + 1,))],
                    [Unit("select", pairs, (wide + 1,))],
                ).steps,
                *rank,
                *in_turn(
                    [
                        Unit("compare", x.size, (total,)),
                        *[Unit("compare", x.size * (n - 1) // 2, (wide,))] * self.cumulative,
                    ],
                    [Unit("select", x.size, (wide,)), Unit("add", groups * (n - 1), (count,))],
                ).steps,
                *support,
                *in_turn(
                    [Unit("multiply", x.size, (wide, count))] * (1 + self.cumulative),
                    [Unit("add", x.size, (total,))],
                    [Unit("select", x.size, (sizes["dividend_width"],))],
                    [Unit("table", groups, (count, factor))] * 2,
                    [Unit("multiply", x.size, (sizes["dividend_width"], factor))],
                    [Unit("compare", x.size, (sizes["shift"],))],
                ).steps,
            )
        )

    def hls(self, *inputs: TensorType, plan: Plan) -> Kernel:
        (x,) = inputs
        runs = Runs.of(x.shape, self.axes)
        (up, down), one = self._grid(x), self._one(x)
        shift, factors, least = self._reciprocals(x)
        n = runs.count
        largest = (int(max(x.high.max(initial=0), -x.low.min(initial=0))) << up) >> down
        terms = n * (n + 1) // 2 if self.cumulative else n
        sizes = {
            **runs.sizes,
            "size": x.size,
            "n": n,
            "raw_up": up,
            "raw_down": down,
            "raw_width": largest.bit_length() + 1,
            "one_bits": one.bit_length() - 1,
            "cumulative": int(self.cumulative),
            "sum_width": (2 * terms * (largest + one)).bit_length() + 1,
            "dividend_width": int(self._largest(x).max(initial=1)).bit_length(),
            "factor_width": int(factors.max()).bit_length(),
            "shift": shift,
        }
        return Kernel("sparsemax", "sparsemax", sizes, {"factors": Constant(factors, 0), "least": Constant(least, 0)})


#: An input that tells the two apart, and what they answer.
_PROBE, _ANSWERS = (0.0, 0.5, 1.0), {(0.0, 0.25, 0.75): False, (0.0, 0.0, 0.25): True}


def is_cumulative(function: Callable[[FloatArray], FloatArray], rank: int, axis: int) -> bool:
    """Return whether a sparsemax over an axis of arrays of that rank is the one of older versions of Keras.

    Raises
    ------
    ReadError
        If it is neither that nor the real one.
    """
    shape = [1] * rank
    shape[axis] = 3
    answer = np.asarray(function(np.reshape(_PROBE, shape))).reshape(3)
    for known, cumulative in _ANSWERS.items():
        if np.allclose(answer, known):
            return cumulative
    raise ReadError(
        f"its sparsemax of {_PROBE} is {tuple(answer.tolist())}, which no version of Keras answers that is known here"
    )


def _activation(layer: LayerView, build: Builder, x: Ref, name: str) -> Ref:
    op = Sparsemax(cumulative=is_cumulative(layer.function("activation"), 2, -1))
    return build.add(op, x, name=name, layer=layer.name)


ACTIVATIONS["sparsemax"] = _activation


@reads_operation("keras.ops.Sparsemax", consumes="axis")
def read_sparsemax(layer: LayerView, build: Builder, x: Ref) -> Ref:
    """Of 64 elements at most: exact, to the precision of the quantizer behind it."""
    axes = sample_axes(layer, layer.config["axis"])
    cumulative = is_cumulative(layer.function(None), len(layer.shapes[0]) + 1, axes[0])
    return over_axes(layer, build, x, axes, lambda axes: Sparsemax(axes, cumulative), name=layer.name)
