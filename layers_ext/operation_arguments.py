"""Arguments of ``keras.ops`` operations as those of a sample: Keras counts the batch as an axis, hardware has none."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from keras_hls.errors import TooWide
from keras_hls.fixed import Constant, Real
from keras_hls.layers_ext.reading import ReadError

#: Bits of an array's numbers up to which it is taken as it is. One that needs more is weights, whose type is to be chosen.
FEW_BITS = 16

_BATCH = "samples are computed one by one, and it reaches across the batch"


def sample_axes(axes: Any, rank: int) -> tuple[int, ...]:
    """Return axes of a batch as those of a sample.

    Parameters
    ----------
    axes : int or sequence of int
        As Keras counts them; negative ones from the end.
    rank : int
        Axes of a sample.

    Raises
    ------
    ReadError
        If the batch's is among them.
    """
    given = axes if isinstance(axes, Iterable) else (axes,)
    found = [int(axis) % (rank + 1) - 1 for axis in given]
    if -1 in found:
        raise ReadError(f"{_BATCH} (axis 0 of {axes!r}); leave that axis alone")
    return tuple(found)


def numbers(value: Any, rank: int) -> npt.NDArray[np.float64]:
    """Return a constant argument as Keras takes it, in float32, so that it broadcasts against a sample.

    Parameters
    ----------
    value : number or array
    rank : int
        Axes of a sample of the tensor beside it.

    Raises
    ------
    ReadError
        If it is no finite number, or differs from sample to sample.
    """
    try:
        array = np.asarray(value, np.float32).astype(np.float64)
    except (TypeError, ValueError):
        raise ReadError(f"it is called with {value!r}, where a number or an array of numbers is expected") from None
    if not np.isfinite(array).all():
        raise ReadError("it is called with NaN or infinite constants, which no fixed-point type holds")
    if array.ndim > rank:
        if array.ndim > rank + 1 or array.shape[0] != 1:
            raise ReadError(f"a constant of shape {array.shape} beside a tensor of {rank + 1} axes: {_BATCH}")
        array = array[0]
    return array


def constant(values: npt.NDArray[np.float64]) -> Constant:
    """Return numbers as they are if they are one, or of few bits; as weights without a type otherwise."""
    try:
        exact = Constant.exactly(values)
    except TooWide:
        return Real(values)
    return exact if values.ndim == 0 or exact.type.hull.width <= FEW_BITS else Real(values)
