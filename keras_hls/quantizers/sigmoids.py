"""What QKeras's quantizers take for a sigmoid, which ``set_internal_sigmoid`` chooses for all of them at once."""

from __future__ import annotations

import sys
from typing import Any, Literal

import numpy as np

from keras_hls.fixed import FloatArray
from keras_hls.quantizers import tensorflow_floats
from keras_hls.quantizers.base import QuantizerError

#: A line of slope 1 / 2 or 3 / 16 between 0 and 1, or the logistic function.
InternalSigmoid = Literal["hard", "smooth", "real"]

#: Slopes of the lines, which are 1 / 2 at 0.
SLOPES: dict[str, float] = {"hard": 0.5, "smooth": 0.1875}
#: By the names that QKeras's own functions have.
_NAMES: dict[str, InternalSigmoid] = {"hard_sigmoid": "hard", "smooth_sigmoid": "smooth", "sigmoid": "real"}


def internal_sigmoid(kind: InternalSigmoid, x: FloatArray) -> FloatArray:
    """Return the values of a sigmoid: lines in the precision of `x`, the logistic function in float32."""
    f = x.dtype.type
    if kind == "real":
        # Hardware has no tensors at whose ends numbers are computed otherwise.
        lanes = x.dtype == np.float64
        return tensorflow_floats.sigmoid(x.astype(np.float32), lanes=lanes).astype(x.dtype)
    return np.clip(f(SLOPES[kind]) * x + f(0.5), f(0), f(1))


def chosen_sigmoid(quantizer: Any) -> InternalSigmoid:
    """Return which one a live quantizer of QKeras computes now.

    Raises
    ------
    QuantizerError
        If somebody has put a function of their own in its place.
    """
    function = getattr(sys.modules.get(type(quantizer).__module__), "_sigmoid", None)
    name = "hard_sigmoid" if function is None else getattr(function, "__name__", "")
    if name not in _NAMES:
        raise QuantizerError(
            f"QKeras's internal sigmoid is {function!r}, and must be one that set_internal_sigmoid knows"
        )
    return _NAMES[name]
