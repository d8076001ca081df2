"""Float32 as TensorFlow's CPU kernels compute it, bit for bit.

QKeras computes scales from weights, and some functions, in float32, and what it makes of them depends on the last bit: in which
order a mean is summed, and how a logarithm is approximated. TensorFlow leaves both to Eigen, whose published approximations
are evaluated here in the same order. Its wheels for x86 are built for vectors of eight numbers and without fused
multiplication; what is left over at a tensor's end is computed number by number, with the C library's functions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

Float32 = npt.NDArray[np.float32]

_F = np.float32
#: What Keras adds to a number before it divides by it, or takes its logarithm.
EPSILON = _F(1e-7)
#: The logarithm of two by which QKeras divides.
LOG2 = _F(np.log(2.0))
# Numbers in one vector.
_LANES = 8
# Partial sums that a long row is summed in.
_SUMS = 4
# Rows from which a column is summed in so many partial sums.
_LONG = 16
# Numbers of a row from which its halves are summed apart.
_TREE = 1024 * _LANES

# log(1 + x) = p(x) / q(x) from sqrt(1/2) to sqrt(2).
_LOG_P = (0.18256296349849254, 1.0000000190281063, 1.0000000190281136)
_LOG_Q = (0.049616247954120038, 0.59923249590823520, 1.4999999999999927, 1.0)
# tanh(x) = x * p(x * x) / q(x * x) up to where it is 1.
_TANH_END = _F(7.90531110763549805)
_TANH_P = (
    -2.76076847742355e-16,
    2.00018790482477e-13,
    -8.60467152213735e-11,
    5.12229709037114e-08,
    1.48572235717979e-05,
    6.37261928875436e-04,
    4.89352455891786e-03,
)
_TANH_Q = (1.19825839466702e-06, 1.18534705686654e-04, 2.26843463243900e-03, 4.89352518554385e-03)
# exp(r) = 1 + r + r * r * p(r), whose even and odd terms are summed apart.
_EXP_EVEN = (1.37449637986719608306884765625e-3, 4.166965186595916748046875e-2, 0.49999988079071044921875)
_EXP_ODD = (8.36894474923610687255859375e-3, 0.16666518151760101318359375)


def flushed(values: npt.ArrayLike) -> Float32:
    """Return numbers as float32; those too small for a normal one are 0, as TensorFlow's arithmetic takes them."""
    with np.errstate(over="ignore"):
        x = np.asarray(values).astype(np.float32)
    return np.where(np.abs(x) < np.finfo(np.float32).smallest_normal, np.copysign(_F(0), x), x)


def _horner(x: Float32, coefficients: Sequence[float]) -> Float32:
    y = np.full_like(x, coefficients[0])
    for c in coefficients[1:]:
        y = x * y + _F(c)
    return y


def _by_lanes(vector: Callable[[Float32], Float32], single: Callable[[Any], Any], x: Float32) -> Float32:
    """Apply a function to the full vectors of a tensor, and the C library's, which rounds correctly, to what is left over."""
    flat = np.ravel(x)
    y = vector(flat)
    start = flat.size // _LANES * _LANES
    y[start:] = single(flat[start:].astype(np.float64)).astype(np.float32)
    return y.reshape(np.shape(x))


def _log_lanes(x: Float32) -> Float32:
    """Natural logarithms, as vectors of them are computed."""
    mantissa, power = np.frexp(x)
    mantissa, e = mantissa.astype(np.float32), power.astype(np.float32)
    low = mantissa < _F(np.sqrt(0.5))
    r = (mantissa - _F(1)) + np.where(low, mantissa, _F(0))
    e -= low.astype(np.float32)
    y = r * _horner(r, _LOG_P) / _horner(r, _LOG_Q)
    y = e * LOG2 + y
    return np.where(x == 0, _F(-np.inf), np.where(np.isposinf(x), x, np.where(x < 0, _F(np.nan), y)))


def log(x: Float32, *, lanes: bool = False) -> Float32:
    """Return the natural logarithms of a tensor's numbers; `lanes` says that none of them is left over at its end."""
    with np.errstate(all="ignore"):
        return _log_lanes(x) if lanes else _by_lanes(_log_lanes, np.log, x)


def tanh(x: Float32) -> Float32:
    """Return the hyperbolic tangents of a tensor's numbers."""
    near = np.clip(x, -_TANH_END, _TANH_END)
    square = near * near
    y = near * _horner(square, _TANH_P) / _horner(square, _TANH_Q)
    return np.where(np.abs(x) < _F(0.0004), x, y)


def _exp_lanes(x: Float32) -> Float32:
    """Exponentials of numbers, as vectors of them are computed."""
    near = np.minimum(x, _F(88.723))
    m = np.floor(near * _F(1.44269504088896341) + _F(0.5))
    # The multiple of log(2) in two parts, of which the first is exact.
    r = m * _F(-0.693359375) + near
    r = m * _F(2.12194440e-4) + r
    square = r * r
    p = r * _horner(square, _EXP_ODD) + _horner(square, _EXP_EVEN)
    p = square * p + (r + _F(1))
    y = np.ldexp(p, np.maximum(m, -200).astype(np.int32)).astype(np.float32)
    return np.where(x < _F(-104), _F(0), np.maximum(y, x))


def sigmoid(x: Float32, *, lanes: bool = False) -> Float32:
    """Return the logistic function of a tensor's numbers; `lanes` says that none of them is left over at its end."""
    with np.errstate(all="ignore"):
        e = flushed(_exp_lanes(x) if lanes else _by_lanes(_exp_lanes, np.exp, x))
        return np.where(np.isposinf(e), _F(1), e / (_F(1) + e))


def mean(x: Float32, axes: Sequence[int]) -> Float32:
    """Return the means along axes, which are kept with one element each.

    Parameters
    ----------
    x : float32 array
    axes : sequence of int
        From 0 to the last.
    """
    kept = tuple(1 if axis in axes else n for axis, n in enumerate(x.shape))
    count = _F(x.size // max(int(np.prod(kept)), 1))
    return (_sum(x, axes) / count).reshape(kept)


def _sum(x: Float32, axes: Sequence[int]) -> Float32:
    """Sums along axes, flat. Neighbouring axes of one kind are one axis, and those of one element none."""
    sizes: list[int] = []
    kinds: list[bool] = []
    for axis, n in enumerate(x.shape):
        if n == 1:
            continue
        if kinds and kinds[-1] == (axis in axes):
            sizes[-1] *= n
        else:
            sizes.append(n)
            kinds.append(axis in axes)
    y = x.reshape(sizes)
    if True not in kinds:
        return y.reshape(-1)
    if kinds == [True, False]:
        return _column_sums(y[None])
    if kinds == [False, True, False]:
        return _column_sums(y)
    if kinds == [True, False, True]:
        # One number after the other, first along the first axis.
        return _sequential(np.moveaxis(y, 1, 2).transpose(1, 0, 2).reshape(-1, sizes[1]))
    if kinds not in ([True], [False, True]):
        last = [axis for axis, kind in enumerate(kinds) if kind]
        order = [axis for axis, kind in enumerate(kinds) if not kind] + last
        y = y.transpose(order)
        y = y.reshape(-1, int(np.prod([sizes[axis] for axis in last])))
    rows = y.reshape(-1, y.shape[-1])
    return np.array([_row_sum(row, i * rows.shape[1]) for i, row in enumerate(rows)], np.float32)


def _sequential(rows: Float32) -> Float32:
    """Sum of rows, one after the other."""
    # numpy's running sum never pairs what it adds.
    return np.add.accumulate(
        np.concatenate([np.zeros((1, *rows.shape[1:]), np.float32), rows]), axis=0, dtype=np.float32
    )[-1]


def _in_parts(rows: Float32) -> Float32:
    """Sum of rows in several partial sums, which are then added; the last rows one after the other."""
    whole = len(rows) // _SUMS * _SUMS
    parts = [_sequential(rows[i:whole:_SUMS]) for i in range(_SUMS)]
    return _sequential(np.concatenate([np.stack(parts), rows[whole:]]))


def _column_sums(x: Float32) -> Float32:
    """Sums along the middle one of three axes, flat: full vectors of neighbours in parts, others number by number."""
    single = np.stack([_sequential(part) for part in x]).reshape(-1)
    if x.shape[1] < _LONG:
        return single
    several = np.stack([_in_parts(part) for part in x]).reshape(-1)
    place = np.arange(single.size)
    first = place // _LANES * _LANES
    last = first + _LANES - 1
    return np.where((last < single.size) & (first // x.shape[2] == last // x.shape[2]), several, single)


def _row_sum(row: Float32, start: int) -> np.float32:
    """Sum of neighbours that begin at so many numbers of the tensor: long rows by halves, others by vectors."""
    n = len(row)
    if n > _TREE:
        split = -(-(start + -(-n // 2)) // _LANES) * _LANES - start
        left = min(split, n)
        total = _F(0) + _row_sum(row[:left], start)
        return total if left == n else total + _row_sum(row[left:], start + left)
    lanes = np.zeros(_LANES, np.float32)
    whole = n // _LANES * _LANES
    vectors = row[:whole].reshape(-1, _LANES)
    wide = len(vectors) // _SUMS * _SUMS
    if wide:
        parts = [_sequential(vectors[i:wide:_SUMS]) for i in range(_SUMS)]
        lanes = _sequential(np.stack(parts))
    lanes = _sequential(np.concatenate([lanes[None], vectors[wide:]]))
    rest = _sequential(row[whole:, None])[0]
    halves = lanes[:4] + lanes[4:]
    return rest + ((halves[0] + halves[2]) + (halves[1] + halves[3]))
