"""Counting hardware: what several ops need to say in `work`."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from keras_hls.graph import Unit, UnitKind


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
    magnitude = np.abs(np.asarray(values, np.int64))
    changed = (magnitude * 3) ^ magnitude
    return np.unpackbits(np.ascontiguousarray(changed)[..., None].view(np.uint8), axis=-1).sum(-1).astype(np.int64)


def tree_depth(terms: int) -> int:
    """Return the levels of a balanced tree that sums `terms` numbers."""
    return max(terms - 1, 0).bit_length()
