"""Sums of products of two variables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from keras_hls.errors import TooWide
from keras_hls.fixed import MAX_BITS, BoolArray, IntArray, TensorType
from keras_hls.layers_ext.counting import in_turn, sum_steps
from keras_hls.layers_ext.exact_matmul import exact_type, matmul
from keras_hls.layers_ext.products import multipliers, width_counts
from keras_hls.op import Kernel, Needs, Op, Plan, Unit, Work

#: Products whose intervals are looked at together; more would only take more memory.
_AT_ONCE = 1 << 18


@dataclass(frozen=True, eq=False)
class Product(Op):
    """y[g, m, n] = sum over k of a[g, m, k] * b[g, k, n], exact: one product of matrices a group."""

    @property
    def narrow(self) -> Literal["value"]:
        return "value"

    def _sizes(self, a: TensorType, b: TensorType) -> tuple[int, int, int, int]:
        """Groups, rows, terms and columns."""
        if len(a.shape) != 3 or len(b.shape) != 3 or (a.shape[0], a.shape[2]) != b.shape[:2]:
            raise ValueError(f"a product of matrices takes [g, m, k] and [g, k, n], not {a.shape} and {b.shape}")
        return (*a.shape, b.shape[2])

    def _reach(self, a: TensorType, b: TensorType) -> float:
        """A bound of every partial sum, in any order."""
        largest = [np.maximum(np.abs(x.low), np.abs(x.high)).astype(np.float64) for x in (a, b)]
        return float((largest[0] @ largest[1]).max(initial=0))

    def infer(self, *inputs: TensorType) -> TensorType:
        a, b = inputs
        groups, rows, _, columns = self._sizes(a, b)
        # A float64 estimate is off by at most a few ulp, and the limit is 2**62: within the ulp we refuse.
        if self._reach(a, b) >= (1 << (MAX_BITS - 1)) * (1 - 1e-9):
            raise TooWide(f"a sum of products needs more than {MAX_BITS} bits")
        low, high = np.zeros((2, groups, rows, columns), np.int64)
        zeros = np.full(low.shape, MAX_BITS, np.int64)
        for part in self._parts(a, b):
            first = [array[:, :, part, None] for array in (a.low, a.high, a.zeros)]
            second = [array[:, None, part] for array in (b.low, b.high, b.zeros)]
            corners = [x * y for x in first[:2] for y in second[:2]]
            low += np.minimum.reduce(corners).sum(2)
            high += np.maximum.reduce(corners).sum(2)
            zeros = np.minimum(zeros, (first[2] + second[2]).min(2))
        return TensorType(low, high, a.frac + b.frac, zeros)

    def _parts(self, a: TensorType, b: TensorType) -> Iterator[slice]:
        """The terms of all sums, some at a time."""
        groups, rows, terms, columns = self._sizes(a, b)
        step = max(_AT_ONCE // max(groups * rows * columns, 1), 1)
        return (slice(start, start + step) for start in range(0, terms, step))

    def bind(self, *inputs: TensorType) -> Callable[..., IntArray]:
        dtype = exact_type(self._reach(*inputs))
        return lambda a, b: matmul(a.astype(dtype), b.astype(dtype)).astype(np.int64, copy=False)

    def needs(self, wanted: BoolArray, *inputs: TensorType) -> Needs:
        return Needs(wanted, (np.ones(inputs[0].channels, bool), wanted))

    def pruned(self, made: BoolArray, given: Sequence[BoolArray], *inputs: TensorType) -> Op | None:
        return self if given[0].all() and np.array_equal(given[1], made) else None

    @property
    def wraps(self) -> bool:
        return True

    def low_bits(self, bits: int, *inputs: TensorType) -> tuple[int, ...]:
        a, b = (int(x.zeros.min(initial=MAX_BITS)) for x in inputs)
        return bits - b, bits - a

    def reuse_factors(self, *inputs: TensorType) -> tuple[int, ...]:
        return (1,)

    def work(self, *inputs: TensorType, plan: Plan) -> Work:
        a, b = inputs
        widths = self.infer(a, b).widths
        # Of each factor of each term, [rows or columns, groups * terms].
        first, second = _by_term(a, 1), _by_term(b, 2)
        counts = width_counts(first.widths).T @ width_counts(second.widths)
        variable = [
            Unit("multiply", int(counts[pair]), (int(pair[0]), int(pair[1])))
            for pair in map(tuple, np.argwhere(counts))
            if min(pair)
        ]
        known = [*_by_constants(first, second), *_by_constants(second, first)]
        return Work((*in_turn([*variable, *known]).steps, *sum_steps(_terms(a, b), widths)))

    def hls(self, *inputs: TensorType, plan: Plan) -> Kernel:
        sizes = dict(zip(("groups", "rows", "terms", "columns"), self._sizes(*inputs)))
        return Kernel("product", "contraction", sizes)


def _by_term(x: TensorType, axis: int) -> TensorType:
    """The factors of each term as a column: `axis` counts rows or columns of the product."""
    order = (axis, *(other for other in range(3) if other != axis))
    low, high, zeros = (array.transpose(order).reshape(x.shape[axis], -1) for array in (x.low, x.high, x.zeros))
    return TensorType(low, high, x.frac, zeros)


def _by_constants(x: TensorType, y: TensorType) -> list[Unit]:
    """The multipliers of the factors in `y` that vary by those in `x` that don't."""
    rows, terms = np.nonzero((x.widths == 0) & (x.low != 0))
    constants, of = np.unique(x.low[rows, terms], return_inverse=True)
    counts = np.zeros((len(constants), MAX_BITS + 1), np.int64)
    np.add.at(counts, of.reshape(-1), width_counts(y.widths)[terms])
    return multipliers(counts, constants)


def _terms(a: TensorType, b: TensorType) -> IntArray:
    """How many numbers each sum is made of: products that vary, and the sum of the others."""
    varies = [x.widths > 0 for x in (a, b)]
    known = [np.where(v, 0, x.low) for v, x in zip(varies, (a, b))]
    # Floats count exactly, and faster.
    va, vb = (v.astype(np.float64) for v in varies)
    ca, cb = ((k != 0).astype(np.float64) for k in known)
    products = va @ vb + va @ cb + ca @ vb
    return products.astype(np.int64) + (known[0] @ known[1] != 0)
