"""Weights that take up the factors and offsets of what follows: the same for every layer whose last axis is its outputs."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from keras_hls.fixed import Constant, Real, shift_left


def scaled_weights(
    kernel: Constant, bias: Constant | None, scale: Constant, offset: Constant
) -> tuple[Constant, Constant] | None:
    """Return kernel and bias of a layer that multiplies its outputs by `scale` and adds `offset`, one an output.

    None if that would lose something: if there isn't one number an output, or the quantized kernel would be wider.

    Parameters
    ----------
    kernel : Constant
        [..., outputs].
    bias : Constant, optional
        [outputs].
    scale, offset : Constant
        That broadcast to the layer's output.
    """
    n = kernel.shape[-1]
    if any(np.prod(c.shape[:-1], dtype=int) != 1 or c.shape[-1:] not in ((), (1,), (n,)) for c in (scale, offset)):
        return None
    if isinstance(kernel, Real):
        factors, terms = _row(_floats(scale), n), _row(_floats(offset), n)
        start = 0.0 if bias is None else _floats(bias)
        return Real(kernel.values * factors), Real(start * factors + terms)
    parts = [kernel, scale, offset, *([] if bias is None else [bias])]
    raw = np.abs(scale.raw) if not isinstance(scale, Real) else None
    if raw is None or any(isinstance(part, Real) for part in parts) or not ((raw > 0) & (raw & (raw - 1) == 0)).all():
        return None
    factors = _row(scale.raw, n)
    frac = max(offset.frac, (bias.frac if bias is not None else 0) + scale.frac)
    start = np.zeros(n, np.int64) if bias is None else shift_left(bias.raw * factors, frac - bias.frac - scale.frac)
    return Constant(kernel.raw * factors, kernel.frac + scale.frac), Constant(
        start + _row(offset.aligned(frac), n), frac
    )


def _floats(constant: Constant) -> npt.NDArray[np.float64]:
    if isinstance(constant, Real):
        return constant.values
    return np.ldexp(constant.raw.astype(np.float64), -constant.frac)


def _row(values: npt.NDArray[np.generic], n: int) -> npt.NDArray[np.generic]:
    return np.broadcast_to(values.reshape(-1), (n,))
