"""Weights that take up factors and offsets of what follows, and what is known of an input: for layers whose last axis is their
outputs."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from keras_hls.fixed import BoolArray, Constant, Real, TensorType, shift_left, trailing_zeros


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
    start: npt.NDArray[Any]
    if any(np.prod(c.shape[:-1], dtype=int) != 1 or c.shape[-1:] not in ((), (1,), (n,)) for c in (scale, offset)):
        return None
    if isinstance(kernel, Real):
        factors, terms = _row(_floats(scale), n), _row(_floats(offset), n)
        start = np.zeros(n) if bias is None else _floats(bias)
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


def common_factors(kernel: Constant) -> tuple[Constant, Constant] | None:
    """Return a kernel without the number that all weights of an output share, and that number for each output.

    Parameters
    ----------
    kernel : Constant
        [..., outputs].

    Returns
    -------
    kernel, factors : Constant
        [..., outputs] and [outputs], the largest factor at least 1 and below 2; None if all of them are powers of two.
    """
    if isinstance(kernel, Real) or not kernel.raw.any():
        return None
    common = np.gcd.reduce(kernel.raw.reshape(-1, kernel.shape[-1]), axis=0)
    common[common == 0] = common.max()
    if (common & (common - 1) == 0).all():
        return None
    shared = int(trailing_zeros(common).min())
    factors = common >> shared
    bits = int(factors.max()).bit_length() - 1
    return Constant(kernel.raw // common, kernel.frac - shared - bits), Constant(factors, bits)


def _floats(constant: Constant) -> npt.NDArray[np.float64]:
    if isinstance(constant, Real):
        return constant.values
    return np.ldexp(constant.raw.astype(np.float64), -constant.frac)


def _row(values: npt.NDArray[Any], n: int) -> npt.NDArray[Any]:
    return np.broadcast_to(values.reshape(-1), (n,))


def same_everywhere(x: TensorType) -> BoolArray:
    """Return which channels always have one and the same value, at all positions."""
    low, high = (end.reshape(-1, x.channels) for end in (x.low, x.high))
    return ((low == high) & (low == low[:1])).all(0)


def with_known(kernel: Constant, bias: Constant | None, x: TensorType, gone: BoolArray) -> Constant | None:
    """Return the bias of a layer that some channels of its input don't reach any more: with what they always made.

    Parameters
    ----------
    kernel : Constant
        [..., channels, outputs].
    bias : Constant, optional
        [outputs].
    x : TensorType
        With all channels.
    gone : bool array
        Channels that don't reach it; where the kernel isn't 0, they are the same everywhere.
    """
    values = x.low.reshape(-1, x.channels)[0]
    rows = kernel.raw.reshape(-1, *kernel.shape[-2:]).sum(0)
    lost = gone & (values != 0) & rows.any(1)
    if not lost.any():
        return bias
    frac = x.frac + kernel.frac
    made = values[lost] @ rows[lost]
    if bias is None:
        return Constant(made, frac)
    common = max(frac, bias.frac)
    return Constant(shift_left(made, common - frac) + bias.aligned(common), common)
