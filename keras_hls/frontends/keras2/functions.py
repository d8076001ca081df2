"""Keras 2's functions of one element in numpy, computed in float32 as Keras computes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from math import pi, sqrt
from typing import Any

import numpy as np
import numpy.typing as npt

from keras_hls.frontends.view import ReadError

Floats = npt.NDArray[np.floating[Any]]
Function = Callable[[Floats], Floats]


def exactly(function: Function) -> Function:
    """Return a function whose values are rounded to float32 once: from there, libraries differ in the last bit."""
    return lambda x: function(np.asarray(x, np.float32).astype(np.float64)).astype(np.float32)


def _sigmoid(x: Floats) -> Floats:
    # From the side where the exponential can't overflow.
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + e), e / (1 + e))


def _softplus(x: Floats) -> Floats:
    return np.logaddexp(x, 0.0)


def _erf(x: Floats) -> Floats:
    from math import erf

    return np.asarray(np.vectorize(erf, otypes=[np.float64])(x))


def _gelu(x: Floats) -> Floats:
    return x * 0.5 * (1 + _erf(x / sqrt(2)))


def _gelu_tanh(x: Floats) -> Floats:
    return 0.5 * x * (1 + np.tanh(sqrt(2 / pi) * (x + 0.044715 * x**3)))


def _elu(alpha: float) -> Function:
    return lambda x: np.where(x > 0, x, alpha * np.expm1(np.minimum(x, 0.0)))


def _hard_sigmoid(x: Floats) -> Floats:
    """0.2 x + 0.5 between 0 and 1, in float32; Keras 3 has another slope."""
    return np.clip(np.float32(0.2) * np.asarray(x, np.float32) + np.float32(0.5), 0, 1)


_SELU_SCALE, _SELU_ALPHA = 1.0507009873554805, 1.6732632423543772

#: By the name that a config has.
FUNCTIONS: Mapping[str, Function] = {
    "sigmoid": exactly(_sigmoid),
    "tanh": exactly(np.tanh),
    "softplus": exactly(_softplus),
    "softsign": exactly(lambda x: x / (1 + np.abs(x))),
    "exponential": exactly(np.exp),
    "elu": exactly(_elu(1.0)),
    "selu": exactly(lambda x: _SELU_SCALE * _elu(_SELU_ALPHA)(x)),
    "gelu": exactly(_gelu),
    "swish": exactly(lambda x: x * _sigmoid(x)),
    "silu": exactly(lambda x: x * _sigmoid(x)),
    "mish": exactly(lambda x: x * np.tanh(_softplus(x))),
    "leaky_relu": lambda x: np.where(x > 0, x, np.float32(0.2) * np.asarray(x, np.float32)),
    "keras2.hard_sigmoid": _hard_sigmoid,
}

#: By the name that an operation has, in small letters.
ELEMENTWISE: Mapping[str, Function] = {
    **FUNCTIONS,
    **{
        name: exactly(getattr(np, name))
        for name in ("exp", "expm1", "log", "log1p", "sqrt", "sin", "cos", "sinh", "cosh", "sign", "floor", "ceil")
    },
    "rsqrt": exactly(lambda x: 1 / np.sqrt(x)),
    "reciprocal": exactly(lambda x: 1 / x),
    "round": exactly(np.rint),
    "erf": exactly(_erf),
    "gelu_tanh": exactly(_gelu_tanh),
}

#: By layer class, from its config: those that are functions themselves.
_LAYERS: Mapping[str, Callable[[Mapping[str, Any]], Function]] = {
    "keras.layers.ELU": lambda config: exactly(_elu(float(config["alpha"]))),
    "keras.layers.LeakyReLU": lambda config: _leaky(float(config["negative_slope"])),
    "keras.layers.ReLU": lambda config: _relu(config),
}


def _leaky(slope: float) -> Function:
    return lambda x: np.where(x > 0, x, np.float32(slope) * np.asarray(x, np.float32))


def _relu(config: Mapping[str, Any]) -> Function:
    slope, start = np.float32(config["negative_slope"] or 0), np.float32(config["threshold"] or 0)
    ceiling = np.inf if config["max_value"] is None else np.float32(config["max_value"])

    def relu(x: Floats) -> Floats:
        x = np.asarray(x, np.float32)
        return np.where(x >= ceiling, ceiling, np.where(x >= start, x, slope * (x - start)))

    return relu


def function_of(path: str, config: Mapping[str, Any], argument: str | None) -> Function:
    """Return the function that an argument of a layer names, or the layer's own if None.

    Raises
    ------
    ReadError
        If no such function is known: the code of a user's own one isn't in a file.
    """
    if argument is None:
        if path in _LAYERS:
            return _LAYERS[path](config)
        raise ReadError("its function isn't known")
    name = config.get(argument)
    if isinstance(name, str) and name in FUNCTIONS:
        return FUNCTIONS[name]
    raise ReadError(
        f"its {argument} {name!r} isn't one of Keras 2's, so what it computes isn't known; known are"
        f" {', '.join(sorted(name for name in FUNCTIONS if '.' not in name))}"
    )
