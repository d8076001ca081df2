"""Weights as numbers that a graph can hold."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from keras_hls.errors import TooWide
from keras_hls.fixed import Constant
from keras_hls.frontends.view import ReadError

Floats = npt.NDArray[np.floating[Any]]


def finite(values: Floats, what: str) -> Floats:
    """Return a weight's values.

    Raises
    ------
    ReadError
        If one is NaN or infinite.
    """
    if not np.isfinite(values).all():
        raise ReadError(f"its {what} holds NaN or infinite values; training diverged, or the weights weren't loaded")
    return values


def constant(values: Any, what: str) -> Constant:
    """Return a weight's exact value.

    Raises
    ------
    ReadError
        If it holds NaN or infinite values, or spans more than 63 bits.
    """
    try:
        return Constant.exactly(finite(values, what))
    except TooWide as error:
        raise ReadError(f"its {what} {error}; quantize it to fewer bits") from None
