"""How a model is called: its inputs by name, and the calls that come of it."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from keras_hls.errors import InvalidModel
from keras_hls.frontends.asking import called
from keras_hls.frontends.keras3.calls import Calls, graph_calls
from keras_hls.frontends.keras3.layer_views import class_path
from keras_hls.frontends.keras3.tracing import trace
from keras_hls.frontends.view import ReadError

#: The first version of Keras whose models are read.
_OLDEST = (3, 12)


@dataclass(frozen=True)
class Entry:
    """A model, opened.

    Attributes
    ----------
    model : keras.Model
    names : tuple of str
        Of its inputs, in Keras's order.
    calls : Calls
    traced : bool
        Whether the calls come of running the model's own call method on symbolic tensors, so that they are what it does
        today and not what Keras has written down.
    arguments : tuple
        What the model is called with, positional and by name, with anything in the places of its inputs.
    """

    model: Any
    names: tuple[str, ...]
    calls: Calls
    traced: bool
    arguments: tuple[Any, Any]

    def answer(self, arrays: Sequence[Any]) -> list[Any]:
        """Return the model's outputs, flat, for one array an input."""
        import keras

        tensors = [keras.ops.convert_to_tensor(a) for a in arrays]
        args, kwargs = keras.tree.pack_sequence_as(self.arguments, tensors)
        found = called(f"model {self.model.name!r}", self.model, *args, **kwargs, training=False)
        return list(keras.tree.flatten(found))


def enter(model: Any) -> Entry:
    """Return how a model is called, and the calls that it is made of.

    Raises
    ------
    InvalidModel
        If it isn't a Keras 3 model, isn't built, has dynamic dimensions, or has a call method that can't be traced.
    """
    _check_kind(model)
    calls = graph_calls(model)
    if calls is None:
        return _enter_code(model)
    names = _layer_names(calls.inputs)
    _check_shapes(model, names, calls.inputs)
    return Entry(model, names, calls, False, ((_structure(model),), {}))


def _layer_names(inputs: Sequence[Any]) -> tuple[str, ...]:
    return tuple(tensor._keras_history.operation.name for tensor in inputs)


def _structure(model: Any) -> Any:
    """The inputs of a functional or Sequential model as it takes them: one tensor, a list, a dict, or nested ones."""
    functional = getattr(model, "_functional", None) or model
    return functional._inputs_struct


def _check_kind(model: Any) -> None:
    import keras

    if tuple(int(n) for n in keras.__version__.split(".")[:2]) < _OLDEST:
        oldest = ".".join(map(str, _OLDEST))
        raise InvalidModel(
            f"Models are read from Keras {oldest} and later, and this environment has Keras {keras.__version__}"
        )
    if not isinstance(model, keras.Model):
        kind = f"{type(model).__module__}.{type(model).__qualname__}"
        hint = " (a Keras 2 model; load it in an environment with Keras 3)" if "keras" in kind.lower() else ""
        raise InvalidModel(f"Model must be a keras.Model of Keras {keras.__version__}, not {kind}{hint}")


def _enter_code(model: Any) -> Entry:
    """Open a model whose call method is its own."""
    import keras

    args, kwargs, names = _arguments(model)
    _check_shapes(model, names, keras.tree.flatten((args, kwargs)))
    try:
        calls = trace(model, args, kwargs)
    except ReadError as error:
        raise InvalidModel(f"Model {model.name!r} ({class_path(type(model))}) can't be read: {error}") from error
    return Entry(model, names, calls, True, (args, kwargs))


def _check_shapes(model: Any, names: Sequence[str], inputs: Sequence[Any]) -> None:
    for name, tensor in zip(names, inputs):
        if not all(tensor.shape[1:]):
            raise InvalidModel(
                f"Input {name!r} of model {model.name!r} has shape {tuple(tensor.shape)}: every dimension but the first"
                " (the batch) must be a positive number, as hardware can't grow"
            )


def _arguments(model: Any) -> tuple[tuple[Any, ...], dict[str, Any], tuple[str, ...]]:
    """Symbolic arguments of the shapes that a model was built with, positional and by name, and names for all inputs.

    Raises
    ------
    InvalidModel
        If they aren't known.
    """
    import keras

    if (symbols := _declared(model)) is not None:
        return (symbols,), {}, _layer_names(keras.tree.flatten(symbols))
    shapes = getattr(model, "_build_shapes_dict", None)
    if not model.built or not shapes:
        what = (
            "Give it an Input layer, call model.build(shape)" if isinstance(model, keras.Sequential) else "Call it once"
        )
        raise InvalidModel(f"Model {model.name!r} isn't built: its shapes are unknown. {what}, or fit it")
    parameters = [p for p in inspect.signature(model.call).parameters.values() if p.name not in ("training", "mask")]
    tensors = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    given = {key.removesuffix("_shape"): value for key, value in shapes.items()}
    if len(given) == 1 and tensors:
        # Keras calls the first argument's shape `input_shape`, whatever the argument's name is.
        given = {tensors[0].name: next(iter(given.values()))}
    required = {p.name for p in tensors if p.default is p.empty}
    if not required <= set(given) <= {p.name for p in parameters} or next(iter(given)) != tensors[0].name:
        raise InvalidModel(
            f"Model {model.name!r} takes {', '.join(p.name for p in tensors)}, and Keras has kept shapes of"
            f" {', '.join(given)} alone; let its call take all of its inputs as one list or dict"
        )
    alone = len(given) == 1
    names = tuple(name for key, value in given.items() for name in _names(key, value, "" if alone else f"{key}_"))
    symbolic = {key: _symbolic(value) for key, value in given.items()}
    return (symbolic.pop(next(iter(given))),), symbolic, names


def _declared(model: Any) -> Any:
    """The inputs of a model that has a graph and yet a call method of its own; None for one without a graph."""
    try:
        return _structure(model) if model.inputs else None
    except (AttributeError, ValueError):
        return None


def _is_shape(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and all(n is None or isinstance(n, int) for n in value)


def _symbolic(shapes: Any) -> Any:
    """The structure of shapes as one of symbolic tensors, of any batch size."""
    import keras

    if _is_shape(shapes):
        return keras.KerasTensor((None, *shapes[1:]))
    if isinstance(shapes, Mapping):
        return {key: _symbolic(value) for key, value in shapes.items()}
    return [_symbolic(value) for value in shapes]


def _names(key: str, shapes: Any, prefix: str) -> Iterator[str]:
    """A name for each input of an argument, in Keras's order: the argument's; a dict's keys; a list's numbers after it."""
    if _is_shape(shapes):
        yield key
    elif isinstance(shapes, Mapping):
        for name in sorted(shapes):
            yield from _names(f"{prefix}{name}", shapes[name], f"{prefix}{name}_")
    else:
        for i, value in enumerate(shapes):
            yield from _names(f"{key}_{i}", value, f"{key}_{i}_")
