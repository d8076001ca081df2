"""Counting hardware: what several ops need to say in `work`."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from keras_hls.fixed import bit_length
from keras_hls.op import Unit, UnitKind


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


def tree_path(terms: int, width: int) -> list[Unit]:
    """Return the adders on the way through a balanced tree whose sum has `width` bits: each level adds a bit."""
    levels = tree_depth(terms)
    return [Unit("add", 1, (max(width - (levels - 1 - level), 1),)) for level in range(levels)]


def adder_trees(terms: npt.ArrayLike, widths: npt.ArrayLike) -> list[Unit]:
    """Return the adders of balanced trees, one an element: of so many terms, with sums of so many bits."""
    counts: dict[int, int] = {}
    for tree in units("add", terms, widths):
        left, width = tree.widths
        for adder in tree_path(left, width):
            counts[adder.widths[0]] = counts.get(adder.widths[0], 0) + tree.count * (left // 2)
            left -= left // 2
    return [Unit("add", n, (width,)) for width, n in sorted(counts.items()) if n]
