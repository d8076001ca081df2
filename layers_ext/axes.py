"""Constants that broadcast to a tensor, for the tensor with its axes in another order, or with fewer channels."""

from __future__ import annotations

from typing import Any

import numpy.typing as npt

from keras_hls.fixed import BoolArray


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


def channel_constants(values: npt.NDArray[Any], kept: BoolArray) -> npt.NDArray[Any]:
    """Return numbers that broadcast to a tensor so that they broadcast to it without some channels.

    Parameters
    ----------
    values : array
    kept : bool array
        By index of the tensor's last axis, which channels stay.
    """
    return values[..., kept] if values.ndim and values.shape[-1] == kept.size else values
