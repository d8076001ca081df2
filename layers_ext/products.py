"""Sums of products with constants: the hardware that Dense and Convolution share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from keras_hls.fixed import MAX_BITS, BoolArray, Constant, IntArray, TensorType, shift_left
from keras_hls.layers_ext.counting import adder_trees, constant_bits, csd_digits, tree_path
from keras_hls.op import Unit, Work


def aligned(x: TensorType, kernel: Constant, bias: Constant | None) -> tuple[IntArray, IntArray, int]:
    """Return kernel and bias in units of the exact sum's least bit, and that bit's `frac`.

    Parameters
    ----------
    x : TensorType
    kernel : Constant [..., outputs]
    bias : Constant [outputs], optional

    Raises
    ------
    TooWide
        If a constant needs more than 63 bits there.
    """
    frac = x.frac + kernel.frac
    if bias is None:
        return kernel.raw, np.zeros(kernel.shape[-1], np.int64), frac
    frac = max(frac, bias.frac)
    return shift_left(kernel.raw, frac - x.frac - kernel.frac), bias.aligned(frac), frac


def width_counts(widths: IntArray) -> IntArray:
    """Return how many variables of each width there are: [n, m] widths give [m, 64]."""
    columns = np.arange(widths.shape[1])
    flat = (widths + columns * (MAX_BITS + 1)).reshape(-1)
    return np.bincount(flat, minlength=len(columns) * (MAX_BITS + 1)).reshape(len(columns), MAX_BITS + 1)


def multipliers(counts: IntArray, constants: IntArray) -> list[Unit]:
    """Return the multipliers of variables by constants; powers of two and variables of no bits take none.

    Parameters
    ----------
    counts : int array [m, 64]
        For each constant, how many variables of each width it multiplies.
    constants : int array [m]
    """
    digits, bits = csd_digits(constants), constant_bits(constants)
    kinds, of = np.unique(np.stack([bits, digits], 1), axis=0, return_inverse=True)
    total = np.zeros((len(kinds), counts.shape[1]), np.int64)
    np.add.at(total, of.reshape(-1), counts)
    return [
        Unit("constant_multiply", int(total[kind, width]), (int(width), int(kinds[kind, 0])), int(kinds[kind, 1]))
        for kind, width in np.argwhere(total)
        if width and kinds[kind, 1] > 1
    ]


def count_terms(products: IntArray, negated: IntArray, known: IntArray) -> IntArray:
    """Return how many numbers each sum is made of.

    Parameters
    ----------
    products : int array
        Products of inputs that vary.
    negated : int array of the same shape
        Those of them by constants that `minus_a_shift` finds: the sign of any other multiple is free.
    known : int array of the same shape
        The sum of everything that is constant.
    """
    terms = products + (known != 0)
    # Where everything is subtracted, there is a zero that it is subtracted from.
    return terms + ((terms > 0) & (negated == terms))


def minus_a_shift(kernel: IntArray) -> BoolArray:
    """Return which constants are minus a power of two."""
    return (kernel < 0) & (csd_digits(kernel) == 1)


def unrolled_work(multiplies: list[Unit], terms: IntArray, widths: IntArray) -> Work:
    """Return the work where every multiplier and adder is there once.

    Parameters
    ----------
    multiplies : list of Unit
    terms, widths : int arrays of one shape
        For each sum, how many numbers it is made of, and its bits.
    """
    depth = [Unit(u.kind, 1, u.widths, u.digits) for u in sorted(multiplies, key=_heaviness)[-1:]]
    depth += tree_path(int(terms.max(initial=1)), int(widths.max(initial=1)))
    return Work((*multiplies, *adder_trees(terms, widths)), tuple(depth))


def _heaviness(unit: Unit) -> tuple[int, int]:
    return unit.digits, sum(unit.widths)


def reuse_factors(n_in: int, n_out: int) -> tuple[int, ...]:
    """Return how often the multipliers of a matrix can be used.

    Either some inputs of all outputs a cycle, or one input of some outputs: both leave every index constant.
    """
    return tuple(sorted({*_divisors(n_in), *(n_in * d for d in _divisors(n_out))}))


def _divisors(n: int) -> list[int]:
    return [d for d in range(1, n + 1) if n % d == 0]


def shared_work(n_in: int, n_out: int, widths: Sequence[int], positions: int, reuse: int, groups: int = 1) -> Work:
    """Return the work where each multiplier is used `reuse` times for each of so many positions.

    Parameters
    ----------
    n_in, n_out : int
        Of the matrix that one position is multiplied by.
    widths : sequence of three int
        Bits of the widest input, constant and sum.
    positions, reuse : int
    groups : int
        How many rows of inputs there are, each for a part of the outputs.
    """
    wide, weight, total = (max(width, 1) for width in widths)
    count = n_in * n_out // reuse
    # As the kernels go: some inputs for all outputs a cycle, or one input for some of them.
    inputs, outputs = max(count // n_out, 1), min(count, n_out)
    chosen_inputs = inputs * (n_in // inputs - 1) * groups
    chosen_sums = outputs * (n_out // outputs - 1)
    found = [
        Unit("multiply", count, (wide, weight)),
        Unit("add", count, (total,)),
        Unit("memory", reuse, (count * weight,)),
        Unit("register", n_out, (total,)),
        *([Unit("select", chosen_inputs, (wide,))] if chosen_inputs else []),
        *([Unit("select", chosen_sums, (total,))] if chosen_sums else []),
    ]
    terms = inputs + 1
    # A weight is read, which takes a clock edge, and multiplied; the products of an output join its running sum.
    depth = (Unit("memory", 1, (count * weight,)), Unit("multiply", 1, (wide, weight)), *tree_path(terms, total))
    return Work(tuple(found), depth, reuse * positions)
