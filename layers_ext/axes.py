"""Constants that broadcast to a tensor, for the tensor with its axes in another order."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt


def permuted_constants(values: npt.NDArray[Any], axes: tuple[int, ...]) -> npt.NDArray[Any]:
    """Return numbers that broadcast to a tensor so that they broadcast to its transpose.

    Parameters
    ----------
    values : array
        Of at most as many axes as the tensor has.
    axes : tuple of int
        The order of the tensor's axes, as numpy's transpose takes it.
    """
    if not values.ndim:
        return values
    return values.reshape((1,) * (len(axes) - values.ndim) + values.shape).transpose(axes)
