"""Live Keras 3 models: what they compute as a graph, and what they themselves answer.

Nothing here asks for a backend: values are fetched with ``keras.ops``, so TensorFlow, JAX and torch models read alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from keras_hls.frontends.keras3 import evaluation
from keras_hls.frontends.keras3.entry import enter
from keras_hls.frontends.keras3.layer_views import Floats
from keras_hls.frontends.keras3.layout import lay_out
from keras_hls.frontends.view import Readers
from keras_hls.frontends.walk import walk
from keras_hls.graph import Graph

__all__ = ["check_model", "layer_outputs", "read", "reference"]


def check_model(model: Any) -> None:
    """Refuse a model whose calls of layers can't be known, or don't have fixed shapes.

    Raises
    ------
    InvalidModel
        If it isn't a Keras 3 model, isn't built, has dynamic dimensions, or has a call method of its own that can't be
        traced.
    """
    enter(model)


def read(model: Any, readers: Readers, *, floats: bool = True) -> Graph:
    """Return a built model's graph: Sequential, functional, or with a call method of its own that can be traced.

    Parameters
    ----------
    model : keras.Model
        It isn't changed.
    readers : mapping
        Paths of layer classes and operations to readers, as `keras_hls.layers_ext.READERS`.
    floats : bool
        Whether layers whose weights have no quantizers may be read, so that a pass can choose types for them.

    Raises
    ------
    InvalidModel
        If the model as a whole isn't ready; see `check_model`.
    UnsupportedModel
        Names every layer that can't be read, why, and what to do.
    """
    entry = enter(model)
    return walk(lay_out(entry.calls, entry.names, readers), readers, floats=floats)


def reference(model: Any, before_softmax: Sequence[bool]) -> Callable[[Sequence[Any]], list[Floats]]:
    """Return a function that answers as the model does, or with what goes into the softmax at some outputs.

    Parameters
    ----------
    model : keras.Model
    before_softmax : sequence of bool
        For each output, whether the values before its softmax are wanted.

    Returns
    -------
    function
        Takes one array an input, (n, ...); returns one array an output. The model isn't changed, and nothing is
        compiled into it: it is called as it stands, in slices of the batch.
    """
    return evaluation.reference(enter(model), before_softmax)


def layer_outputs(model: Any, readers: Readers) -> Callable[[Sequence[Any]], Mapping[str, Floats]]:
    """Return a function that answers as every call of a layer does, in the order of the model's graph.

    Parameters
    ----------
    model : keras.Model
    readers : mapping
        As for `read`: they say which layers are taken apart.

    Returns
    -------
    function
        Takes one array an input, (n, ...); returns one array a call, by the names that the calls have in `Graph.places` of
        the graph from `read`.
    """
    return evaluation.layer_outputs(enter(model), readers)
