"""Live models of Keras 2 and tf_keras: read through the config and weights that they would save, and asked for their answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from keras_hls.errors import InvalidModel
from keras_hls.frontends.answer_names import answer_names
from keras_hls.frontends.asking import in_slices, with_attribute
from keras_hls.frontends.keras2.files import model_of
from keras_hls.frontends.keras2.hgq_calibration import traced_ranges
from keras_hls.frontends.keras2.layer_call import SavedCall
from keras_hls.frontends.keras2.layout import lay_out
from keras_hls.frontends.keras2.saved import SavedModel
from keras_hls.frontends.program import Program, Step
from keras_hls.graph import Graph, Input, Node
from keras_hls.options import identifier
from keras_hls.sim.emulator import Samples, sample_arrays

Array = npt.NDArray[Any]


def is_keras2(model: Any) -> bool:
    """Whether a model is a live one of Keras 2, tf_keras, or the Keras of TensorFlow 2.15 and earlier."""
    for base in type(model).__mro__:
        root = base.__module__.partition(".")[0]
        if base.__name__ == "Model" and root in ("keras", "tf_keras", "tensorflow"):
            # Keras 3's models have no Functional engine of their own to save by, and are read otherwise.
            return base.__module__.startswith(
                ("keras.src.engine", "keras.engine", "tf_keras.", "tensorflow.python.keras")
            )
    return False


def saved(model: Any, samples: Samples | None = None) -> SavedModel:
    """Return a live model as it would be saved.

    Parameters
    ----------
    model : model of Keras 2
    samples : samples, optional
        For layers of HGQ: the ranges of their values are those of a copy that has seen these samples.

    Raises
    ------
    InvalidModel
        If it isn't built, or is neither Sequential nor functional, or a layer can't be written down.
    """
    where = f"model {model.name!r}"
    if not model.built or not getattr(model, "inputs", None):
        raise InvalidModel(
            f"Model {model.name!r} isn't built as a Sequential or functional one with known inputs: give it an Input layer; models"
            " with a call method of their own are read from Keras 3"
        )
    try:
        config = json.loads(model.to_json())
    except Exception as error:
        raise InvalidModel(f"Model {model.name!r} can't be written down: {type(error).__name__}: {error}") from error
    layers = dict(_leaves(model))
    arrays = {name: layer.get_weights() for name, layer in layers.items()}
    ranges: Mapping[str, Any] = {}
    if samples is not None and any(_library(layer) == "HGQ" for layer in layers.values()):
        ports = lay_out(model_of(config, arrays, where, {})).ports
        inputs = [Node(identifier(p.name), Input(p.shape, samples=p.dtype), (), p.name) for p in ports]
        ranges = traced_ranges(model, sample_arrays(Graph(tuple(inputs), ()), samples))
    beyond = {name: _beyond(layer) | _traced(ranges.get(layer.name)) for name, layer in layers.items()}
    return model_of(config, arrays, where, beyond)


def _library(layer: Any) -> str:
    return type(layer).__module__.partition(".")[0]


def _traced(found: Any) -> dict[str, Any]:
    return {} if found is None else {"traced": found}


def _beyond(layer: Any) -> dict[str, Any]:
    """What a layer knows and its config doesn't say."""
    if _library(layer) == "HGQ":
        return {"live": layer}
    if _library(layer) != "qkeras":
        return {}
    keys = [key for key in layer.get_config() if key.endswith("_quantizer")]
    # What it computes with, where that isn't what it was given.
    found = {key: getattr(layer, f"{key}_internal", getattr(layer, key, None)) for key in keys}
    found["activation"] = getattr(layer, "quantizer", None) or getattr(layer, "activation", None)
    return {"quantizers": {key: value for key, value in found.items() if _is_quantizer(value)}}


def _is_quantizer(value: Any) -> bool:
    return type(value).__module__ == "qkeras.quantizers"


def _leaves(model: Any, scope: str = "") -> Iterator[tuple[str, Any]]:
    """Every layer that isn't a Sequential or functional model, by its full name."""
    for layer in model.layers:
        if hasattr(layer, "get_layer") and hasattr(layer, "layers"):
            yield from _leaves(layer, f"{scope}{layer.name}/")
        else:
            yield f"{scope}{layer.name}", layer


def reference(model: Any, before_softmax: Sequence[bool]) -> Callable[[Sequence[Any]], list[Array]]:
    """Return a function that answers as the model does, or with what goes into the softmax at some outputs."""
    program, layers = lay_out(saved(model)), dict(_leaves(model))
    if not any(before_softmax):
        return lambda x: _in_slices(program, lambda parts: _flat(_called(model, parts)), x)
    makers = {number: step for step in program.steps for number in step.makes}
    wanted = list(program.outputs)
    bare: dict[int, Any] = {}
    for i, before in enumerate(before_softmax):
        if before:
            number, layer = _softmax_of(program.outputs[i], makers, layers)
            wanted[i] = number
            if layer is not None:
                # Beside the layer itself, as another output may be what it answers.
                wanted[i] = -1 - i
                bare[-1 - i] = (makers[number], layer)

    def answer(parts: Sequence[Any]) -> list[Any]:
        values = _run(program, layers, parts)
        for number, (step, layer) in bare.items():
            values[number] = _called(layer, [values[n] for n in step.takes])
        return [values[number] for number in wanted]

    return lambda x: _in_slices(program, answer, x)


def layer_outputs(model: Any) -> Callable[[Sequence[Any]], Mapping[str, Array]]:
    """Return a function that answers as every call of a layer does, by the names that the calls have in a graph's places."""
    program, layers = lay_out(saved(model)), dict(_leaves(model))
    names = answer_names(program.steps)

    def answer(parts: Sequence[Any]) -> list[Any]:
        values = _run(program, layers, parts)
        return [values[number] for number in names]

    return lambda x: dict(zip(names.values(), _in_slices(program, answer, x)))


def _softmax_of(number: int, makers: Mapping[int, Step[SavedCall]], layers: Mapping[str, Any]) -> tuple[int, Any]:
    """The tensor that goes into an output's softmax; or the one that comes out of it, and the layer without it."""
    while number in makers:
        step = makers[number]
        layer = layers[step.layer]
        function = getattr(layer, "activation", None)
        if type(layer).__name__ == "Softmax" or (
            type(layer).__name__ == "Activation" and getattr(function, "__name__", "") == "softmax"
        ):
            return step.takes[0], None
        if getattr(function, "__name__", "") == "softmax":
            return number, with_attribute(layer, "activation", lambda x: x)
        # What stands behind the softmax changes no value.
        number = step.takes[0]
    raise InvalidModel("There is no softmax at an output that is said to have one")


def _run(program: Program[SavedCall], layers: Mapping[str, Any], parts: Sequence[Any]) -> dict[int, Any]:
    """Call every layer in turn; return the values of all tensors."""
    values: dict[int, Any] = dict(zip(program.inputs, parts))
    for step in program.steps:
        (number,) = step.makes
        values[number] = _called(layers[step.layer], [values[n] for n in step.takes])
    return values


def _called(layer: Any, tensors: Sequence[Any]) -> Any:
    given = tensors[0] if len(tensors) == 1 else list(tensors)
    try:
        return layer(given, training=False) if _has_training(layer) else layer(given)
    except Exception as error:
        raise InvalidModel(
            f"Keras itself can't compute layer {layer.name!r} here: {type(error).__name__}: {error}"
        ) from error


def _has_training(layer: Any) -> bool:
    return bool(getattr(layer, "_expects_training_arg", True))


def _flat(found: Any) -> list[Any]:
    if isinstance(found, Mapping):
        return [value for key in sorted(found) for value in _flat(found[key])]
    return [value for part in found for value in _flat(part)] if isinstance(found, (list, tuple)) else [found]


def _in_slices(
    program: Program[SavedCall], answer: Callable[[Sequence[Any]], Sequence[Any]], x: Sequence[Any]
) -> list[Array]:
    inputs = [(port.shape, port.dtype) for port in program.ports]
    return in_slices(inputs, lambda parts: [np.asarray(value) for value in answer(parts)], x)
