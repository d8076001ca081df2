"""Calls of Keras on samples: compiled where a backend can't run them as they stand."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from keras_hls.errors import InvalidModel


def called(what: str, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Return what a model or a layer of Keras answers to some tensors.

    TensorFlow has no kernels of its own for some layers on a CPU, such as most with channels first; its compiler has.

    Parameters
    ----------
    what : str
        What an error calls it.
    function : function
    *args, **kwargs
        What it is called with: tensors, structures of them, and plain values.

    Raises
    ------
    InvalidModel
        If Keras fails.
    """
    import keras

    try:
        return function(*args, **kwargs)
    except Exception as error:
        if keras.backend.backend() == "tensorflow":
            import tensorflow

            if isinstance(error, tensorflow.errors.OpError):
                with suppress(Exception):
                    return tensorflow.function(function, jit_compile=True)(*args, **kwargs)
        raise InvalidModel(
            f"Keras itself can't compute {what} here: {_reason(error)}. verify=False exports without asking it"
        ) from error


def _reason(error: Exception) -> str:
    """What an error says, without the arguments that Keras lists after it."""
    text = str(getattr(error, "message", None) or error).partition("Arguments received")[0]
    return " ".join(text.split()).rstrip(".")
