"""Counting hardware: what several ops need to say in `work`."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from keras_hls.fixed import bit_length
from keras_hls.op import Step, Unit, UnitKind, Work


def units(kind: UnitKind, *widths: npt.ArrayLike, digits: npt.ArrayLike = 0) -> list[Unit]:
    """Return one `Unit` for each distinct combination of widths (arrays that broadcast), with how often it occurs."""
    columns = np.broadcast_arrays(*(np.asarray(w, np.int64) for w in widths), np.asarray(digits, np.int64))
    table = np.stack([c.reshape(-1) for c in columns], axis=1)
    if not len(table):
        return []
    rows, counts = np.unique(table, axis=0, return_counts=True)
    return [Unit(kind, int(n), tuple(int(v) for v in row[:-1]), int(row[-1])) for row, n in zip(rows, counts)]


def csd_digits(values: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Return the number of nonzero digits of each integer in canonical signed-digit form.

    A product by a constant of d such digits takes d - 1 adders or subtractors (Reitwiesner 1960). For integers below 2**61.
    """
    magnitude = np.abs(np.asarray(values, np.int64))[..., None]
    changed = np.ascontiguousarray((magnitude * 3) ^ magnitude)
    return np.unpackbits(changed.view(np.uint8), axis=-1).sum(-1).astype(np.int64)


def tree_depth(terms: int) -> int:
    """Return the levels of a balanced tree that sums `terms` numbers."""
    return max(terms - 1, 0).bit_length()


def constant_bits(values: npt.ArrayLike) -> npt.NDArray[np.int64]:
    """Return the bits that an HLS tool sees in each constant: magnitude, or two's complement with its sign below zero."""
    ints = np.asarray(values, np.int64)
    return np.where(ints < 0, bit_length(-ints - 1) + 1, bit_length(ints))


def in_turn(*groups: Iterable[Unit]) -> Work:
    """Return the work of units that values pass group by group; what counts nothing isn't there."""
    found = (tuple(unit for unit in group if unit.count) for group in groups)
    return Work(tuple(Step(group) for group in found if group))


def by_kind(found: Iterable[Unit]) -> Work:
    """Return the work of units that values pass kind by kind, in the order in which the kinds are named first."""
    kinds: dict[UnitKind, list[Unit]] = {}
    for unit in found:
        kinds.setdefault(unit.kind, []).append(unit)
    return in_turn(*kinds.values())


def sum_steps(terms: npt.ArrayLike, widths: npt.ArrayLike, grows: bool = True) -> list[Step]:
    """Return the levels of balanced trees of adders, one tree an element, of terms that are alike.

    Parameters
    ----------
    terms : array_like of int
        For each sum, how many numbers it is made of.
    widths : array_like of int of the same shape
        Bits of each sum.
    grows : bool
        Whether each level adds a bit, up to these.
    """
    levels: dict[int, Counter[int]] = defaultdict(Counter)
    passing: Counter[int] = Counter()
    for tree in units("add", terms, widths):
        left, root = tree.widths
        depth = tree_depth(left)
        for level in range(depth):
            levels[level][max(root - grows * (depth - 1 - level), 1)] += tree.count * (left // 2)
            # What has no partner waits for the next level; what is summed already, for the longest tree.
            passing[level] += tree.count * (left % 2) * max(root - grows * (depth - level), 1)
            left -= left // 2
        for level in range(depth, 64):
            passing[level] += tree.count * root * (left == 1)
    return [
        Step(tuple(Unit("add", n, (width,)) for width, n in sorted(levels[level].items()) if n), passing[level])
        for level in range(len(levels))
    ]


def extreme_steps(terms: npt.ArrayLike, widths: npt.ArrayLike) -> list[Step]:
    """Return the levels of balanced trees that find the largest, or the smallest, of so many numbers of so many bits each."""
    found = []
    for step in sum_steps(terms, widths, grows=False):
        pairs = ((unit.count, unit.widths) for unit in step.units)
        compare, select = zip(*((Unit("compare", n, w), Unit("select", n, w)) for n, w in pairs))
        # Both numbers of a pair are there until one of them is chosen.
        both = 2 * sum(unit.count * unit.widths[0] for unit in select)
        found += [Step(compare, step.passing + both), Step(select, step.passing)]
    return found


def choice_steps(terms: npt.ArrayLike, widths: npt.ArrayLike) -> list[Step]:
    """Return the levels of balanced trees that choose one of so many numbers of so many bits each."""
    return [
        Step(tuple(replace(unit, kind="select") for unit in step.units), step.passing)
        for step in sum_steps(terms, widths, grows=False)
    ]


def growing_steps(
    leaves: npt.NDArray[np.integer[Any]], most: npt.NDArray[np.integer[Any]], times: npt.NDArray[np.int64]
) -> list[Step]:
    """Return the levels of balanced trees of adders, of terms that differ: each sum is a bit wider than its wider term.

    Parameters
    ----------
    leaves : int array [terms, sums]
        Bits of each term; 0 where there is none.
    most : int array [sums]
        Bits that no sum goes beyond.
    times : int array [sums]
        How many sums there are of each.
    """
    bits = np.take_along_axis(leaves, np.argsort(leaves == 0, axis=0, kind="stable"), 0)
    left = int((leaves > 0).sum(0).max(initial=0))
    steps = []
    while left > 1:
        first, second = bits[:left:2], np.zeros_like(bits[:left:2])
        second[: left // 2] = bits[1:left:2]
        added = second > 0
        bits = np.where(added, np.minimum(np.maximum(first, second) + 1, most), first)
        counts = np.bincount(bits[added], np.broadcast_to(times, bits.shape)[added])
        adders = tuple(Unit("add", int(counts[width]), (int(width),)) for width in np.flatnonzero(counts))
        steps.append(Step(adders, int((np.where(added, 0, bits) @ times).sum())))
        left = (left + 1) // 2
    return steps
