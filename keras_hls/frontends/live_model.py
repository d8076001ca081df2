"""The walk over a live Keras 3 model, from its outputs back to its inputs.

Nothing here asks for a backend: values are fetched with ``keras.ops``, so TensorFlow, JAX and torch models read alike.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from keras_hls.errors import InvalidModel, UnsupportedModel, did_you_mean
from keras_hls.frontends.hgq2 import HGQ2View
from keras_hls.frontends.keras_v3 import Floats, KerasView, class_path, to_numpy
from keras_hls.frontends.view import Builder, LayerView, Reader, ReadError, Readers, Ref, Untrained
from keras_hls.graph import Graph, Input

#: The first version of Keras whose models are read.
_OLDEST = (3, 12)


def check_model(model: Any) -> None:
    """Refuse a model that has no graph of fixed shapes to walk.

    Raises
    ------
    InvalidModel
        If it isn't a Keras 3 model, isn't built, is a subclassed model without a graph, or has dynamic dimensions.
    """
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
    name = getattr(model, "name", "?")
    if not type(model).call.__module__.startswith("keras."):
        raise InvalidModel(
            f"Model {name!r} computes with a call method of its own, {type(model).__qualname__}.call, which no graph of"
            " layers shows. Build it as keras.Sequential or keras.Model(inputs, outputs)"
        )
    if not _built(model):
        raise InvalidModel(
            f"Model {name!r} isn't built: its shapes are unknown. Give it an Input layer, call model.build(shape), or"
            " fit it"
        )
    for tensor in model.inputs:
        if not all(tensor.shape[1:]):
            raise InvalidModel(
                f"Input {_tensor_layer(tensor).name!r} of model {name!r} has shape {tuple(tensor.shape)}: every"
                " dimension but the first (the batch) must be a positive number, as hardware can't grow"
            )


def _built(model: Any) -> bool:
    try:
        return bool(model.built and model.inputs and model.outputs)
    except (AttributeError, ValueError):
        return False


def _tensor_layer(tensor: Any) -> Any:
    return tensor._keras_history.operation


def read(model: Any, readers: Readers) -> Graph:
    """Return a built Sequential or functional model's graph.

    Parameters
    ----------
    model : keras.Model
    readers : mapping
        Layer class paths to readers, as `keras_hls.layers_ext.READERS`.

    Raises
    ------
    InvalidModel
        If the model as a whole isn't ready; see `check_model`.
    UnsupportedModel
        Names every layer that can't be read, why, and what to do.
    """
    check_model(model)
    return _Walk(model, readers).graph()


class _Walk:
    """One reading of one model."""

    def __init__(self, model: Any, readers: Readers):
        self.model, self.readers = model, readers
        self.build = Builder()
        self.problems: dict[str, str] = {}
        self.untrained: list[str] = []
        #: What each call (a node of Keras) became, by its id; None where a problem stands in the way.
        self.made: dict[int, Ref | None] = {}

    def graph(self) -> Graph:
        for tensor in self.model.inputs:
            layer = _tensor_layer(tensor)
            if tensor.dtype != "float32" or tensor.sparse or tensor.ragged:
                kind = "sparse" if tensor.sparse else "ragged" if tensor.ragged else tensor.dtype
                self.problems[layer.name] = (
                    f"{layer.name!r} (keras.layers.InputLayer): its samples are {kind}; make it keras.Input(shape),"
                    " whose samples are dense float32"
                )
            op = Input(tuple(int(n) for n in tensor.shape[1:]), samples="float32")
            self.made[id(_node(tensor))] = self.build.add(op, name=layer.name, layer=layer.name)
        for node in self._ordered():
            self.made[id(node)] = self._call(node)
        if self.problems:
            raise UnsupportedModel(self.problems.values(), self.untrained)
        outputs = [self.made[id(_node(tensor))] for tensor in self.model.outputs]
        refs = [ref for ref in outputs if ref is not None]
        return self.build.graph(refs, self._output_names())

    def _output_names(self) -> list[str]:
        names = [_tensor_layer(tensor).name for tensor in self.model.outputs]
        return [f"{name}_{names[:i].count(name)}" if names[:i].count(name) else name for i, name in enumerate(names)]

    def _ordered(self) -> list[Any]:
        """Calls that the outputs need, each after those that it needs; without recursion, as networks can be deep."""
        order: list[Any] = []
        seen = set(self.made)
        stack = [(_node(tensor), False) for tensor in reversed(self.model.outputs)]
        while stack:
            node, expanded = stack.pop()
            if expanded:
                order.append(node)
            elif id(node) not in seen:
                seen.add(id(node))
                stack.append((node, True))
                stack += [(_node(t), False) for t in reversed(node.arguments.keras_tensors)]
        return order

    def _call(self, node: Any) -> Ref | None:
        layer = node.operation
        inputs = [self.made[id(_node(tensor))] for tensor in node.arguments.keras_tensors]
        path = class_path(type(layer))
        try:
            reader = self.readers.get(path)
            if reader is None:
                raise ReadError(self._unknown(layer, path))
            _check_call(node, reader)
            _check_precision(layer)
            view = _view(layer, [tensor.shape for tensor in node.arguments.keras_tensors])
            ready = [ref for ref in inputs if ref is not None]
            if len(ready) < len(inputs):
                # Something before it can't be read. Still ask whether this layer could, so as to name all at once.
                ready = [Ref("") for _ in inputs]
                reader(view, Builder(), *ready)
                return None
            return reader(view, self.build, *ready)
        except ReadError as error:
            self.problems[layer.name] = f"{layer.name!r} ({path}): {error}"
            if isinstance(error, Untrained):
                self.untrained.append(self.problems[layer.name])
            return None

    def _unknown(self, layer: Any, path: str) -> str:
        import keras

        if isinstance(layer, keras.Model):
            return "a model inside the model can't be read; call its layers one by one instead"
        name = path.rsplit(".", 1)[-1]
        if (quantized := f"hgq.layers.Q{name}") in self.readers:
            return f"it has no quantizers; use {quantized} instead"
        known = sorted(name.rsplit(".", 1)[-1] for name in self.readers)
        near = did_you_mean(name, known)
        return f"no op reads this layer.{near} Known: {', '.join(known)}"


def _node(tensor: Any) -> Any:
    history = tensor._keras_history
    return history.operation._inbound_nodes[history.node_index]


def _check_call(node: Any, reader: Reader) -> None:
    """Refuse a call with arguments that a reader wouldn't see."""
    # Dropout, say, works at inference too if it is called with training=True.
    extra = {k: v for k, v in node.arguments.kwargs.items() if v is not None and not hasattr(v, "_keras_history")}
    if extra.get("training") is False:
        del extra["training"]
    rest = [a for a in node.arguments.args[1:] if a is not None and not hasattr(a, "_keras_history")]
    if extra or rest:
        raise ReadError(
            f"it is called with {extra or rest}, which no reader takes account of; call it with tensors only"
        )
    count = len(node.arguments.keras_tensors)
    try:
        inspect.signature(reader).bind(None, None, *[None] * count)
    except TypeError:
        raise ReadError(f"it is called with {count} tensors, which no reader takes account of") from None
    if len(node.outputs) != 1:
        raise ReadError(f"it returns {len(node.outputs)} tensors, and only one can be read")


def _check_precision(layer: Any) -> None:
    """Refuse a layer that computes in another precision, where even small integers are rounded."""
    parts = layer._flatten_layers() if hasattr(layer, "_flatten_layers") else []
    found = {part.compute_dtype for part in parts} - {"float32"}
    if found:
        raise ReadError(
            f"it computes in {', '.join(sorted(found))}, and only float32 can be exported; give it dtype='float32', or"
            " call keras.config.set_dtype_policy('float32') before the model is built"
        )


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
    import keras

    last: list[Callable[[Any], Any] | None] = [None] * len(model.outputs)
    called: Any = model
    if any(before_softmax):
        tensors = list(model.outputs)
        for i, wanted in enumerate(before_softmax):
            if wanted:
                layer = _tensor_layer(tensors[i])
                tensors[i] = _node(tensors[i]).arguments.keras_tensors[0]
                # A layer with weights has the softmax as its activation: a shallow copy, sharing them, goes without.
                last[i] = _without_activation(layer) if layer.weights else None
        called = keras.Model(model.inputs, tensors)
    # A functional model wants its samples in the structure that it was made with.
    structure = getattr(called, "_inputs_struct", 0)

    def run(x: Sequence[Any]) -> list[Floats]:
        parts = []
        for start in range(0, len(x[0]), _SLICE):
            piece = [np.asarray(a[start : start + _SLICE], "float32") for a in x]
            values = keras.tree.flatten(called(keras.tree.pack_sequence_as(structure, piece), training=False))
            parts.append([to_numpy(v if f is None else f(v)) for f, v in zip(last, values)])
        return [np.concatenate(arrays) for arrays in zip(*parts)]

    return run


#: Samples a call; large enough that the calls' overhead doesn't count.
_SLICE = 4096


def _without_activation(layer: Any) -> Callable[[Any], Any]:
    import keras

    bare = copy.copy(layer)
    bare.activation = keras.activations.linear
    return lambda x: type(bare).call(bare, keras.ops.convert_to_tensor(x))


def _view(layer: Any, input_shapes: Sequence[tuple[int | None, ...]]) -> LayerView:
    if class_path(type(layer)).startswith("hgq."):
        return HGQ2View(layer, input_shapes)
    return KerasView(layer, input_shapes)
