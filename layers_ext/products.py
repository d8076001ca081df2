"""Sums of products with constants: the hardware that Dense and Convolution share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from keras_hls.fixed import MAX_BITS, BoolArray, Constant, IntArray, TensorType, bit_length, shift_left
from keras_hls.layers_ext.counting import constant_bits, csd_digits, growing_steps, sum_steps
from keras_hls.op import Step, Unit, Work


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
    """Return what makes multiples of variables by constants; powers of two and variables of no bits take nothing.

    HLS negates what is minus a power of two, and the larger part of what is minus a sum of two, in a subtractor of its own.

    Parameters
    ----------
    counts : int array [m, 64]
        For each constant, how many variables of each width it multiplies.
    constants : int array [m]
    """
    digits, bits = csd_digits(constants), constant_bits(constants)
    found = [
        Unit("constant_multiply", n, (width, constant), digit)
        for n, width, constant, digit in _tallied(counts[digits > 1], bits[digits > 1], digits[digits > 1])
    ]
    negated = _negated(constants, digits)
    return found + [
        Unit("add", n, (width + constant - 1,)) for n, width, constant in _tallied(counts[negated], bits[negated])
    ]


def _tallied(counts: IntArray, *keys: IntArray) -> list[tuple[int, ...]]:
    """How often each combination of a variable's width and keys of its constants occurs, and the combination."""
    if not len(counts):
        return []
    order = np.lexsort(keys)
    columns = np.stack(keys)[:, order]
    first = np.flatnonzero(np.diff(columns, prepend=-1).any(0))
    total = np.add.reduceat(counts[order], first)
    # Variables of no bits are none.
    return [
        (int(total[kind, width]), int(width), *map(int, columns[:, first[kind]]))
        for kind, width in np.argwhere(total)
        if width
    ]


def _negated(constants: IntArray, digits: IntArray) -> BoolArray:
    """Which constants are minus a power of two, or minus the sum of two that no difference gives."""
    magnitude = np.abs(constants)
    apart = (digits == 2) & (magnitude & (magnitude << 1) == 0)
    return (constants < 0) & ((digits == 1) | apart)


def sums_of_products(
    low: IntArray, high: IntArray, constants: IntArray, known: IntArray, most: IntArray, times: IntArray
) -> list[Step]:
    """Return the adders that sum products by constants, level by level.

    HLS sums in balanced trees, and knows of a sum what the widths of its terms say: one bit more than the wider of them,
    up to the width of the result.

    Parameters
    ----------
    low, high : int arrays that broadcast with `constants`
        The ends of each variable, which is constant where they are the same.
    constants : int array [terms, kinds, outputs]
        What each is multiplied by.
    known : int array [kinds, outputs]
        The sum of everything that is constant.
    most : int array [kinds, outputs]
        Bits of each sum.
    times : int array [kinds]
        How many places there are of each kind.
    """
    ends = low * constants, high * constants
    return sums(np.minimum(*ends), np.maximum(*ends), known, most, times)


def sums(least: IntArray, largest: IntArray, known: IntArray, most: IntArray, times: IntArray) -> list[Step]:
    """Return the adders that sum terms of any kind, level by level; arguments as for `sums_of_products`.

    Parameters
    ----------
    least, largest : int arrays [terms, kinds, outputs]
        The ends of each term, which is constant where they are the same.
    known, most, times : int arrays
    """
    there = np.concatenate([least < largest, (known != 0)[None]])
    bits = np.concatenate([_bits(least, largest), _bits(known, known)[None]])
    # Beside what may be negative, everything else takes a sign as well.
    sign = (there[:-1] & (least < 0)).any(0) | (known < 0)
    leaves = np.where(there, np.maximum(bits + sign, 1), 0).astype(np.int8).reshape(len(bits), -1)
    return growing_steps(leaves, most.astype(np.int8).reshape(-1), np.repeat(times, sign.shape[-1]))


def unrolled_work(multiplies: list[Unit], shifted: int, sums: list[Step]) -> Work:
    """Return the work where every multiplier and adder is there once.

    Parameters
    ----------
    multiplies : list of Unit
    shifted : int
        Bits of what isn't multiplied, but only shifted.
    sums : list of Step
    """
    products = [Step(tuple(multiplies), shifted)] if multiplies else []
    return Work((*products, *sums))


def _bits(low: IntArray, high: IntArray) -> IntArray:
    """Bits of magnitude, in two's complement."""
    return np.maximum(bit_length(high), np.where(low < 0, bit_length(-low - 1), 0))


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
    beside = [
        Unit("register", n_out, (total,)),
        *([Unit("select", chosen_inputs, (wide,))] if chosen_inputs else []),
        *([Unit("select", chosen_sums, (total,))] if chosen_sums else []),
    ]
    steps = (
        # A weight is read, which takes a clock edge, and multiplied; the products of an output join its running sum.
        Step((Unit("memory", reuse, (count * weight,)),), wide * inputs),
        Step((Unit("multiply", count, (wide, weight)),), repeats=reuse * positions),
        *sum_steps(np.full(outputs, inputs + 1), total),
    )
    return Work(steps, reuse * positions, tuple(beside), loops=True)
