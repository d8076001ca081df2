"""Whatever a user calls a model: a live one of Keras 2 or 3, or a file. What it computes, and what it answers itself."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from keras_hls.errors import InvalidModel
from keras_hls.frontends.keras2.saved import SavedModel
from keras_hls.frontends.view import Readers
from keras_hls.frontends.walk import walk
from keras_hls.graph import Graph
from keras_hls.sim.emulator import Samples

Floats = npt.NDArray[np.floating[Any]]


def opened(model: Any, weights: str | os.PathLike[str] | None = None) -> Any:
    """Return a model to read: what a path points to, and anything else as it is.

    Parameters
    ----------
    model : model or path
        A .json, .h5 or .keras file.
    weights : path, optional
        The weights of a .json.

    Raises
    ------
    InvalidModel
        If a file can't be read, or isn't a model.
    """
    if not isinstance(model, (str, os.PathLike)):
        if weights is not None:
            raise InvalidModel("weights= goes with a .json file; a live model has its own")
        return model
    from keras_hls.frontends.keras2 import files

    path = Path(model)
    if path.is_dir():
        raise InvalidModel(
            f"{str(path)!r} is a folder; save the model as one .keras or .h5 file, or as .json and weights"
        )
    if not path.exists():
        raise InvalidModel(f"There is no model file {str(path)!r}")
    if files.is_saved_model(path):
        return files.open_model(path, None if weights is None else Path(weights))
    if weights is not None:
        raise InvalidModel(f"File {str(path)!r} holds its weights itself; leave out weights={str(weights)!r}")
    if path.suffix != ".keras":
        raise InvalidModel(f"Model file must be a .keras, .h5 or .json file of Keras, not {path.name!r}")
    from keras_hls.frontends.keras3.loading import load

    return load(path)


def answers(model: Any) -> bool:
    """Whether a model can be asked for its own answers: a saved one can't."""
    return not isinstance(model, SavedModel)


def read(model: Any, readers: Readers, *, floats: bool = True, samples: Samples | None = None) -> Graph:
    """Return a model's graph.

    Parameters
    ----------
    model : live model, or what `opened` returns
        It isn't changed.
    readers : mapping
        Paths of layer classes and operations to readers, as `keras_hls.layers_ext.READERS`.
    floats : bool
        Whether layers whose weights have no quantizers may be read, so that a pass can choose types for them.
    samples : samples, optional
        For quantizers that take their ranges from data: HGQ's, in a copy of the model.

    Raises
    ------
    InvalidModel
        If the model as a whole isn't ready.
    UnsupportedModel
        Names every layer that can't be read, why, and what to do.
    """
    if (saved := _keras2(model, samples)) is not None:
        from keras_hls.frontends.keras2.layout import lay_out

        return walk(lay_out(saved), readers, floats=floats)
    from keras_hls.frontends.keras3 import live_model

    return live_model.read(model, readers, floats=floats)


def reference(model: Any, before_softmax: Sequence[bool]) -> Callable[[Sequence[Any]], list[Floats]]:
    """Return a function that answers as a live model does, or with what goes into the softmax at some outputs.

    Parameters
    ----------
    model : live model
    before_softmax : sequence of bool
        For each output, whether the values before its softmax are wanted.

    Returns
    -------
    function
        Takes one array an input, (n, ...); returns one array an output.

    Raises
    ------
    InvalidModel
        If it is a saved one, which can't answer.
    """
    _check_answers(model)
    if _is_keras2(model):
        from keras_hls.frontends.keras2 import live

        return live.reference(model, before_softmax)
    from keras_hls.frontends.keras3 import live_model

    return live_model.reference(model, before_softmax)


def layer_outputs(model: Any, readers: Readers) -> Callable[[Sequence[Any]], Mapping[str, Floats]]:
    """Return a function that answers as every call of a live model's layers does, in the order of the model's graph.

    Parameters
    ----------
    model : live model
    readers : mapping
        As for `read`: they say which layers are taken apart.

    Returns
    -------
    function
        Takes one array an input, (n, ...); returns one array a call, by the names that the calls have in `Graph.places` of
        the graph from `read`.
    """
    _check_answers(model)
    if _is_keras2(model):
        from keras_hls.frontends.keras2 import live

        return live.layer_outputs(model)
    from keras_hls.frontends.keras3 import live_model

    return live_model.layer_outputs(model, readers)


def check_model(model: Any) -> None:
    """Refuse a live model that isn't ready, or whose calls can't be known.

    Raises
    ------
    InvalidModel
    """
    if _keras2(model) is None:
        from keras_hls.frontends.keras3 import live_model

        live_model.check_model(model)


def _check_answers(model: Any) -> None:
    if not answers(model):
        raise InvalidModel(
            f"The model of {model.where} is a file, which can't be asked; load it, and pass the live model"
        )


def _is_keras2(model: Any) -> bool:
    from keras_hls.frontends.keras2.live import is_keras2

    return is_keras2(model)


def _keras2(model: Any, samples: Samples | None = None) -> SavedModel | None:
    """A model of Keras 2 as it is saved; None for any other."""
    if isinstance(model, SavedModel):
        return model
    if not _is_keras2(model):
        return None
    from keras_hls.frontends.keras2 import live

    return live.saved(model, samples)
