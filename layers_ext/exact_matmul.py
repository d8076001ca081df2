"""Matrix products of integers, as fast as floating-point ones wherever those are exact."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

#: Products (rows x inputs x outputs) in one call of BLAS. Above some such number it starts threads of its own, which fight
#: with the emulator's, one a chunk of the batch, over the cores; below, both run as fast as they can.
_BLAS_ALONE = 1 << 18


def exact_type(reach: float) -> Any:
    """Return the fastest dtype that holds every integer up to `reach`, a bound of every partial sum in any order."""
    return np.float32 if reach < 2.0**24 else np.float64 if reach < 2.0**53 else np.int64


def matmul(rows: npt.NDArray[Any], matrix: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return ``rows @ matrix``, [..., n, n_in] by [..., n_in, n_out], in calls that each stay on one thread."""
    sums = np.empty((*rows.shape[:-1], matrix.shape[-1]), matrix.dtype)
    step = max(_BLAS_ALONE // max(matrix.shape[-2] * matrix.shape[-1], 1), 16)
    for start in range(0, rows.shape[-2], step):
        part = np.s_[..., start : start + step, :]
        np.matmul(rows[part], matrix, out=sums[part])
    return sums
