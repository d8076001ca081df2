"""Asking live models for their answers, whichever Keras they are of."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import numpy.typing as npt

from keras_hls.errors import InvalidModel

Array = npt.NDArray[Any]

#: Samples a call; large enough that the calls' overhead doesn't count.
_SLICE = 4096


def in_slices(
    inputs: Sequence[tuple[tuple[int, ...], Any]],
    answer: Callable[[Sequence[Array]], Sequence[Array]],
    x: Sequence[Any],
) -> list[Array]:
    """Return a model's answers to samples, asked for some at a time.

    Parameters
    ----------
    inputs : sequence of (shape of one sample, dtype)
        What the model takes, one an input.
    answer : function
        From one array an input to the answers.
    x : sequence of arrays
        One an input, (n, *shape).

    Raises
    ------
    InvalidModel
        If the samples have other shapes.
    """
    wanted, given = [shape for shape, _ in inputs], [np.shape(a)[1:] for a in x]
    if wanted != given:
        raise InvalidModel(
            f"The model must be the one that the network was made from, but its inputs have shapes"
            f" {', '.join(map(str, wanted))}, not {', '.join(map(str, given))}"
        )
    parts = [
        answer([np.asarray(a[start : start + _SLICE], dtype) for a, (_, dtype) in zip(x, inputs)])
        for start in range(0, len(x[0]), _SLICE)
    ]
    return [np.concatenate(arrays) for arrays in zip(*parts)]


def called(what: str, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Return what a model or a layer answers to some tensors.

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
    try:
        return function(*args, **kwargs)
    except Exception as error:
        if lacks_kernel(error):
            import tensorflow

            with suppress(Exception):
                return tensorflow.function(function, jit_compile=True)(*args, **kwargs)
        raise failure(what, error) from error


def failure(what: str, error: Exception) -> InvalidModel:
    """Return what to raise where Keras fails."""
    return InvalidModel(
        f"Keras itself can't compute {what} here: {_reason(error)}. verify=False exports without asking it"
    )


def lacks_kernel(error: Exception) -> bool:
    """Whether an error is TensorFlow's own, and none of Keras: its compiler may do what its kernels can't."""
    # Without it, nothing has raised one; and importing it takes long.
    tensorflow = sys.modules.get("tensorflow")
    return tensorflow is not None and isinstance(error, tensorflow.errors.OpError)


def _reason(error: Exception) -> str:
    """What an error says, without the arguments that Keras lists after it."""
    text = str(getattr(error, "message", None) or error).partition("Arguments received")[0]
    return " ".join(text.partition("Call arguments received")[0].split()).rstrip(".")


def with_attribute(operation: Any, name: str, value: Any) -> Any:
    """Return an operation that shares all that another has but one attribute.

    Keras copies by saving and loading: weights would be those of now, for ever.
    """
    other = object.__new__(type(operation))
    other.__dict__.update(operation.__dict__)
    other.__dict__[name] = value
    return other
