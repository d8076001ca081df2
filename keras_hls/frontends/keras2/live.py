"""Live models of Keras 2 and tf_keras: read through the config and weights that they would save, and asked for their answers."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from keras_hls.errors import InvalidModel
from keras_hls.frontends.answer_names import answer_names
from keras_hls.frontends.asking import called, failure, in_slices, lacks_kernel, with_attribute
from keras_hls.frontends.keras2.files import model_of
from keras_hls.frontends.keras2.hgq_calibration import traced_ranges
from keras_hls.frontends.keras2.layer_call import SavedCall
from keras_hls.frontends.keras2.layout import lay_out, ports
from keras_hls.frontends.keras2.saved import SavedModel
from keras_hls.frontends.program import Program, Step
from keras_hls.graph import Graph, Input, Node
from keras_hls.options import identifier
from keras_hls.sim.emulator import Samples, sample_arrays

Array = npt.NDArray[Any]

_KERAS = ("keras", "tf_keras", "tensorflow")


def is_keras2(model: Any) -> bool:
    """Whether a model is a live one of Keras 2, tf_keras, or the Keras of TensorFlow 2.15 and earlier."""
    for base in type(model).__mro__:
        root = base.__module__.partition(".")[0]
        if base.__name__ == "Model" and root in _KERAS:
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
        with _quietly():
            config = _by_kind(json.loads(model.to_json()), model)
    except Exception as error:
        raise InvalidModel(f"Model {model.name!r} can't be written down: {type(error).__name__}: {error}") from error
    layers = dict(_leaves(model))
    arrays = {name: _arrays(layer) for name, layer in layers.items()}
    found = model_of(config, arrays, where)
    ranges: Mapping[str, Any] = {}
    if samples is not None and any(_library(layer) == "HGQ" for layer in layers.values()):
        inputs = [Node(identifier(p.name), Input(p.shape, samples=p.dtype), (), p.name) for p in ports(found)]
        ranges = traced_ranges(model, sample_arrays(Graph(tuple(inputs), ()), samples))
    with _quietly():
        beyond = {name: _beyond(layer) | _traced(ranges.get(layer.name)) for name, layer in layers.items()}
    return replace(found, beyond=beyond)


def _arrays(layer: Any) -> list[Array]:
    # As files have them: one layer of QKeras hides its own from get_weights().
    return [np.asarray(variable) for variable in layer.weights]


def _by_kind(config: dict[str, Any], model: Any) -> dict[str, Any]:
    """A model's config in which models of a class of the user's own are called by the class that says what they compute.

    A mixin, say, makes such a class. One with a constructor of its own doesn't write down its layers, and keeps its name.
    """
    entries = config["config"].get("layers")
    if entries is None:
        return config
    for base in type(model).__mro__:
        if base.__name__ in ("Sequential", "Functional") and base.__module__.partition(".")[0] in _KERAS:
            if type(model).call is getattr(base, "call", None):
                config["class_name"] = base.__name__
            break
    inner = {layer.name: layer for layer in model.layers if hasattr(layer, "get_layer") and hasattr(layer, "layers")}
    for entry in entries:
        if entry["config"].get("name") in inner:
            _by_kind(entry, inner[entry["config"]["name"]])
    return config


@contextmanager
def _quietly() -> Iterator[None]:
    """Leave out what Keras says of every quantizer that stands in a config: a training would hear it in each epoch."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _library(layer: Any) -> str:
    return type(layer).__module__.partition(".")[0]


def _traced(found: Any) -> dict[str, Any]:
    return {} if found is None else {"traced": found}


def _beyond(layer: Any) -> dict[str, Any]:
    """What a layer knows and its config doesn't say."""
    if _library(layer) == "HGQ":
        return {"live": layer}
    keys = [key for key in layer.get_config() if key.endswith("_quantizer")]
    # What it computes with, where that isn't what it was given.
    found = {key: getattr(layer, f"{key}_internal", getattr(layer, key, None)) for key in keys}
    function = getattr(layer, "quantizer", None) or getattr(layer, "activation", None)
    quantizers = {key: value for key, value in {**found, "activation": function}.items() if _is_quantizer(value)}
    return ({"quantizers": quantizers} if quantizers else {}) | _whole_name(function)


def _is_quantizer(value: Any) -> bool:
    return type(value).__module__ == "qkeras.quantizers"


def _whole_name(function: Any) -> dict[str, Any]:
    """A function's name where it isn't Keras's, so that a user's own one, called "relu", say, doesn't pass for that.

    Configs have the last part of a name alone.
    """
    if function is None or isinstance(function, str) or _is_quantizer(function):
        return {}
    owner = function if hasattr(function, "__qualname__") else type(function)
    root, name = str(owner.__module__).partition(".")[0], owner.__qualname__
    if root in _KERAS:
        return {}
    # Those that Keras doesn't have are known by their plain names.
    if root == "qkeras":
        return {"activation": f"qkeras.{name}" if name == "hard_sigmoid" else name}
    return {"activation": f"{owner.__module__}.{name}"}


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
        return lambda x: _in_slices(program, lambda parts: _answers(model, program, layers, parts), x)
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
        # A QActivation has its text there, and the function as its quantizer.
        name = getattr(getattr(layer, "quantizer", None) or getattr(layer, "activation", None), "__name__", "")
        if step.call.path.endswith((".Softmax", ".LogSoftmax")):
            return step.takes[0], None
        if name in ("softmax", "log_softmax"):
            # A layer that is nothing else takes what goes into it.
            if type(layer).__name__ in ("Activation", "QActivation"):
                return step.takes[0], None
            return number, with_attribute(layer, "activation", lambda x: x)
        # What stands behind the softmax changes no value.
        number = step.takes[0]
    raise InvalidModel("There is no softmax at an output that is said to have one")


def _run(program: Program[SavedCall], layers: Mapping[str, Any], parts: Sequence[Any]) -> dict[int, Any]:
    """Call every layer in turn; return the values of all tensors."""
    values: dict[int, Any] = dict(zip(program.inputs, parts))
    for step in program.steps:
        found = _made(step, layers[step.layer], [values[n] for n in step.takes])
        values.update(zip(step.makes, _flat(found)))
    return values


def _answers(model: Any, program: Program[SavedCall], layers: Mapping[str, Any], parts: Sequence[Any]) -> list[Any]:
    """The model's outputs; of its layers one by one where TensorFlow has no kernel for one, which alone is compiled then.

    What is compiled rounds otherwise, so that scales that are found in weights could differ.
    """
    try:
        return _flat(_call(model, parts))
    except Exception as error:
        if not lacks_kernel(error):
            raise failure(f"model {model.name!r}", error) from error
    values = _run(program, layers, parts)
    return [values[number] for number in program.outputs]


def _call(layer: Any, tensors: Sequence[Any]) -> Any:
    given = tensors[0] if len(tensors) == 1 else list(tensors)
    return layer(given, training=False) if _has_training(layer) else layer(given)


def _called(layer: Any, tensors: Sequence[Any]) -> Any:
    return called(f"layer {layer.name!r}", lambda *given: _call(layer, given), *tensors)


def _made(step: Step[SavedCall], layer: Any, tensors: Sequence[Any]) -> Any:
    """What a step's layer, or the operation that it is, answers to tensors."""
    operands = step.call.operands
    if operands is None:
        return _called(layer, tensors)

    def compute(*given: Any) -> Any:
        args, kwargs = operands.filled(given)
        return layer(*args, **kwargs)

    return called(f"operation {layer.name!r}", compute, *tensors)


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
