"""Keras 3: a layer as a reader sees it. Nothing here asks for a backend: values are fetched with ``keras.ops``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from keras_hls.fixed import Constant, Formats, Real
from keras_hls.frontends.numbers import finite
from keras_hls.frontends.view import LayerView, OperationView, ReadError

Floats = npt.NDArray[np.floating[Any]]


def class_path(cls: type) -> str:
    """Return the public path of a layer class: "keras.layers.Dense", "hgq.layers.QDense"."""
    module = cls.__module__
    for private, public in (
        ("keras.src.layers", "keras.layers"),
        ("keras.layers", "keras.layers"),
        ("keras.src.models", "keras.models"),
        ("keras.src.ops", "keras.ops"),
        ("keras.src.activations", "keras.activations"),
        ("hgq.layers", "hgq.layers"),
        ("hgq.quantizer", "hgq.quantizer"),
    ):
        if module == private or module.startswith(private + "."):
            return f"{public}.{cls.__name__}"
    return f"{module}.{cls.__name__}"


class KerasView(LayerView):
    """A layer of Keras itself: it has no quantizers, so the types of its weights are chosen by a pass."""

    def __init__(self, layer: Any, input_shapes: Sequence[tuple[int | None, ...]]):
        self.layer = layer
        self.name = layer.name
        self.path = class_path(type(layer))
        self.config = _config(layer)
        self.input_shapes = [tuple(shape) for shape in input_shapes]
        self.shapes = tuple(tuple(int(n) for n in shape[1:] if n is not None) for shape in input_shapes)

    def weight(self, name: str) -> Constant | None:
        value = getattr(self.layer, name, None)
        return None if value is None else Real(finite(to_numpy(value), name))

    def function(self, argument: str | None) -> Callable[[Floats], Floats]:
        import keras

        call = self.layer.call if argument is None else getattr(self.layer, argument)
        return lambda values: to_numpy(call(keras.ops.convert_to_tensor(np.asarray(values, np.float32))))

    def part(self, name: str, *shapes: tuple[int, ...]) -> LayerView:
        view = type(self)(getattr(self.layer, name), [(None, *shape) for shape in shapes])
        view.name = self.name
        return view

    def input_formats(self, count: int) -> tuple[Formats | None, ...]:
        return (None,) * count

    def output_formats(self) -> Formats | None:
        return None

    @property
    def understood(self) -> frozenset[str]:
        # Inputs are float32 already, so that nothing is cast to it.
        return frozenset({"batch_shape", "input_shape", "autocast"})


class KerasOperationView(KerasView, OperationView):
    """One call of an operation of ``keras.ops``."""

    def __init__(self, node: Any, name: str):
        super().__init__(node.operation, [tensor.shape for tensor in node.arguments.keras_tensors])
        self.name = name
        self.results = tuple(tuple(int(n) for n in tensor.shape[1:]) for tensor in node.outputs)
        self._arguments = node.arguments

    def arguments(self, inputs: Sequence[Any]) -> tuple[list[Any], dict[str, Any]]:
        """Return what it is called with: `inputs` in the places of its tensors, and variables and arrays as numpy's."""
        import keras

        placed = {id(symbol): value for symbol, value in zip(self._arguments.keras_tensors, inputs)}

        def plain(value: Any) -> Any:
            if id(value) in placed:
                return placed[id(value)]
            is_array = isinstance(value, keras.Variable) or keras.ops.is_tensor(value)
            return to_numpy(value) if is_array else value

        args, kwargs = self._arguments.convert(plain)
        return list(args), dict(kwargs)

    def function(self, argument: str | None) -> Callable[[Floats], Floats]:
        import keras

        def run(values: Floats) -> Floats:
            tensor = keras.ops.convert_to_tensor(np.asarray(values, np.float32))
            args, kwargs = self._arguments.convert(lambda a: tensor if isinstance(a, keras.KerasTensor) else a)
            return to_numpy(self.layer(*args, **kwargs))

        return run


def _config(layer: Any) -> dict[str, Any]:
    """The layer's config, with the whole name of an activation that isn't Keras's own.

    Keras writes a user's function down by its last name alone, so that one called "relu" would pass for Keras's.
    """
    import keras

    try:
        config = dict(layer.get_config())
    except Exception as error:
        # Some of it may be a user's object that knows nothing of configs.
        said = " ".join(str(error).split()).split(". ")[0].rstrip(".")
        raise ReadError(
            f"its config can't be read: {said}; give it plain numbers, and functions that Keras can write down"
        ) from error
    function = getattr(layer, "activation", None)
    name = getattr(function, "__name__", "")
    if function is None or "activation" not in config or getattr(keras.activations, name, None) is function:
        return config
    whole = f"{function.__module__}.{function.__qualname__}" if name else class_path(type(function))
    return {**config, "activation": whole}


def to_numpy(value: Any) -> Floats:
    """Return a tensor or variable of whatever backend as a numpy array."""
    import keras

    return np.asarray(keras.ops.convert_to_numpy(value))
