"""Matrix products of integers, as fast as floating-point ones wherever those are exact."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

#: Products (rows x inputs x outputs) in one call of BLAS. Above some such number it starts threads of its own, which fight
#: with the emulator's, one a chunk of the batch, over the cores; below, both run as fast as they can.
_BLAS_ALONE = 1 << 18
#: Rows, inputs and outputs that are taken at a time of a matrix that is too large for many rows.
_BLOCK = (64, 128, 32)


def exact_type(reach: float) -> Any:
    """Return the fastest dtype that holds every integer up to `reach`, a bound of every partial sum in any order."""
    return np.float32 if reach < 2.0**24 else np.float64 if reach < 2.0**53 else np.int64


def matmul(rows: npt.NDArray[Any], matrix: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return ``rows @ matrix``, [..., n, n_in] by [..., n_in, n_out], in calls that each stay on one thread.

    Partial sums are added in any order; see `exact_type`.
    """
    (count, n_in), n_out = rows.shape[-2:], matrix.shape[-1]
    sums = np.empty((*rows.shape[:-1], n_out), matrix.dtype)
    step, inputs, outputs = max(_BLAS_ALONE // max(n_in * n_out, 1), 1), max(n_in, 1), max(n_out, 1)
    if step < _BLOCK[0] // 4:
        step, inputs, outputs = _BLOCK
    for row, column in product(range(0, count, step), range(0, n_out, outputs)):
        some = np.s_[..., row : row + step, column : column + outputs]
        for first in range(0, max(n_in, 1), inputs):
            a = rows[..., row : row + step, first : first + inputs]
            b = matrix[..., first : first + inputs, column : column + outputs]
            if first == 0:
                np.matmul(a, b, out=sums[some])
            else:
                sums[some] += a @ b
    return sums
