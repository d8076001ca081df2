"""Call methods that are code: run once on symbolic tensors, so that Keras records the calls that they are made of.

Nothing stays behind: what Keras writes down on layers, and the numbers that it gives to names, are as they were before.
"""

from __future__ import annotations

import inspect
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

from keras_hls.frontends.keras3.calls import Calls, ordered
from keras_hls.frontends.keras3.checks import check_library
from keras_hls.frontends.keras3.layer_views import class_path
from keras_hls.frontends.view import ReadError

_LISTS = ("_inbound_nodes", "_outbound_nodes")
_METHODS = ("add_loss", "_maybe_build", "compute_output_spec")


def trace(layer: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Calls:
    """Return the calls that a layer's, a model's or an operation's ``call`` is made of, at inference.

    Parameters
    ----------
    layer : keras.Operation
        Built, if it has weights.
    args, kwargs
        What it is called with; each ``keras.KerasTensor`` in them is an input, and everything else is passed on as it is.

    Raises
    ------
    ReadError
        If the method fails on symbolic tensors, or makes something that isn't computed from them.
    """
    import keras

    check_library(layer)
    with _left_as_it_was(layer):
        flat = keras.tree.flatten((args, dict(kwargs)))
        inputs = tuple(_input(value) for value in flat if isinstance(value, keras.KerasTensor))
        rest = iter(inputs)
        flat = [next(rest) if isinstance(value, keras.KerasTensor) else value for value in flat]
        args, named = keras.tree.pack_sequence_as((args, dict(kwargs)), flat)
        if getattr(layer, "_call_has_training_arg", False):
            named["training"] = False
        try:
            outputs = _at_inference(lambda: layer.call(*args, **named))
        finally:
            found = _recorded(inputs)
            _forget(found.values())
        by_tensor = {id(tensor): node for node in found.values() for tensor in node.outputs}
        outputs = tuple(keras.tree.flatten(outputs))
        for tensor in outputs:
            if not isinstance(tensor, keras.KerasTensor):
                raise ReadError(
                    f"{_method(layer)} returns {_brief(tensor)}, which isn't computed from its input tensors"
                )
        for tensor in inputs:
            _check_maker(tensor, keras.layers.InputLayer)
        nodes = ordered(inputs, outputs, lambda tensor: _maker(by_tensor, tensor))
        own = {id(part) for part in _parts(layer)}
        kept = tuple(node.operation for node in nodes if id(node.operation) in own)
        _check_owned(layer, [node.operation for node in nodes if id(node.operation) not in own])
        return Calls(inputs, nodes, outputs, kept)


def _input(tensor: Any) -> Any:
    import keras

    return keras.Input(batch_shape=(None, *tensor.shape[1:]), dtype=tensor.dtype)


def _at_inference(run: Callable[[], Any]) -> Any:
    """Return what `run` returns, with Keras's context as within a layer that is called with ``training=False``."""
    import keras

    result: list[Any] = []
    failure: list[Exception] = []

    class Context(keras.layers.Layer):  # type: ignore[misc]
        def call(self, x: Any, training: bool | None = None) -> Any:
            return x

        def compute_output_spec(self, x: Any, training: bool | None = None) -> Any:
            try:
                result.append(run())
            except Exception as error:
                # Kept from Keras, which would wrap its message up.
                failure.append(error)
            return keras.KerasTensor(x.shape)

    with _recording():
        Context(dtype="float32")(keras.KerasTensor((None, 1)), training=False)
    if failure:
        raise _refusal(failure[0]) from failure[0]
    return result[0]


def _refusal(error: Exception) -> ReadError:
    """Return what to tell of an error: our own, which Keras may have wrapped up on its way, or the user's."""
    found: BaseException | None = error
    own = None
    while found is not None:
        own = found if isinstance(found, ReadError) else own
        found = found.__context__
    return own or ReadError(
        f"its call can't be traced: {_sentence(error)}. Write it with layers and keras.ops on its input tensors, or register a"
        " reader of its class"
    )


def _recorded(inputs: Iterable[Any]) -> dict[int, Any]:
    """Every call, by id, that takes one of the tensors or anything made of them."""
    found: dict[int, Any] = {}
    waiting = list(inputs)
    while waiting:
        tensor = waiting.pop()
        for node in tensor._keras_history.operation._outbound_nodes:
            if id(node) not in found and any(t is tensor for t in node.arguments.keras_tensors):
                found[id(node)] = node
                waiting += node.outputs
    return found


def _forget(nodes: Iterable[Any]) -> None:
    """Take calls off the operations that aren't part of the layer itself, whose lists are put back whole."""
    gone = {id(node): node for node in nodes}
    for operation in {id(node.operation): node.operation for node in gone.values()}.values():
        for name in _LISTS:
            vars(operation)[name] = [node for node in getattr(operation, name) if id(node) not in gone]


def _maker(by_tensor: Mapping[int, Any], tensor: Any) -> Any:
    try:
        node = by_tensor[id(tensor)]
    except KeyError:
        raise ReadError(f"it takes tensor {tensor.name!r}, which isn't computed from its inputs") from None
    _check_maker(tensor, type(node.operation))
    return node


def _check_maker(tensor: Any, kind: type) -> None:
    """Refuse what returns one of the tensors that it chooses from, as ``keras.ops.cond`` does: Keras takes it for their maker."""
    operation = tensor._keras_history.operation
    # That one hands a tensor on as it is.
    if not isinstance(operation, kind) and type(operation).__name__ != "ConvertToTensor":
        raise ReadError(
            f"it calls {class_path(type(operation))}, which chooses by values what is computed, and no op does; compute all that it"
            " chooses from, and join it by arithmetic"
        )


def _check_owned(layer: Any, strangers: Iterable[Any]) -> None:
    """Refuse weights that the layer doesn't keep: made anew at every call, or never trained."""
    for operation in strangers:
        if any(getattr(part, "weights", ()) for part in _parts(operation)):
            raise ReadError(
                f"{_method(layer)} calls layer {operation.name!r}, which has weights and isn't kept in an attribute of"
                f" {layer.name!r}, so Keras neither trains nor saves it; make it one"
            )


def _parts(layer: Any) -> list[Any]:
    """A layer, all layers in it, and the operations of functional models among them."""
    layers = layer._flatten_layers() if hasattr(layer, "_flatten_layers") else [layer]
    found = {}
    for part in layers:
        functional = getattr(part, "_functional", None)
        for item in (part, *getattr(part, "operations", ()), functional, *getattr(functional, "operations", ())):
            if item is not None:
                found[id(item)] = item
    return list(found.values())


@contextmanager
def _left_as_it_was(layer: Any) -> Iterator[None]:
    """Put back, on leaving, what calls on symbolic tensors change: records of calls, and the numbers of automatic names.

    Names begin anew inside, so that a trace gives the same ones each time, and others than those of the layers.
    """
    from keras.src.backend.common import global_state

    parts = _parts(layer)
    saved = [(vars(part), name, getattr(part, name)) for part in parts for name in _LISTS]
    layers = [part for part in parts if hasattr(part, "built")]
    numbers = global_state.get_global_attribute("object_name_uids")
    try:
        taken = dict.fromkeys((part.name for part in parts), 1)
        global_state.set_global_attribute("object_name_uids", defaultdict(int, taken))
        for attributes, name, nodes in saved:
            attributes[name] = list(nodes)
        for part in layers:
            vars(part).update(_stand_ins(part))
        yield
    finally:
        for part in layers:
            for name in _METHODS:
                vars(part).pop(name, None)
        for attributes, name, nodes in saved:
            attributes[name] = nodes
        global_state.set_global_attribute("object_name_uids", numbers)


def _stand_ins(layer: Any) -> dict[str, Callable[..., Any]]:
    """Methods, of those that `_METHODS` names, that a layer has otherwise while it is called on symbolic tensors."""
    # Losses are no matter at inference, and can't be symbolic.
    found: dict[str, Callable[..., Any]] = {"add_loss": lambda loss: None}
    if not layer.built:

        def refuse(call_spec: Any) -> None:
            # Building it would give it weights.
            raise ReadError(
                f"its layer {layer.name!r} isn't built, so it has no weights yet; call the model once on data"
            )

        found["_maybe_build"] = refuse
    infer = layer.compute_output_spec
    parameters = inspect.signature(infer).parameters.values()
    if "training" not in [p.name for p in parameters] and not any(p.kind is p.VAR_KEYWORD for p in parameters):
        # HGQ2 gives every call method this argument, and Keras hands it on to this method, which may not have it.
        found["compute_output_spec"] = lambda *args, training=None, **kwargs: infer(*args, **kwargs)
    return found


@contextmanager
def _recording() -> Iterator[None]:
    """Let Keras record all arithmetic as it records that of dense tensors, and let nothing change a variable."""
    import keras

    # A variable that stands first would compute.
    functions = {"add": "add", "sub": "subtract", "mul": "multiply", "truediv": "divide", "matmul": "matmul"}

    def operator(name: str, function: str) -> Callable[[Any, Any], Any]:
        compute, record = getattr(keras.Variable, name), getattr(keras.ops, function)
        return lambda self, other: (record if isinstance(other, keras.KerasTensor) else compute)(self, other)

    def refuse(variable: Any, value: Any) -> None:
        raise ReadError(
            f"its call assigns to its variable {variable.name!r}, so that it answers otherwise the next time; leave variables"
            " as they are where training is False"
        )

    def draw(generator: Any, ordered: bool = True) -> None:
        raise ReadError(
            "its call draws random numbers, so that it answers otherwise each time; leave them out at inference"
        )

    methods = {f"__{name}__": operator(f"__{name}__", function) for name, function in functions.items()}
    # Keras takes a product with a number or a variable for a sparse one, which few layers can be called with.
    dense = property(lambda self: False, lambda self, value: None)
    with ExitStack() as sets:
        sets.enter_context(_set(keras.Variable, {**methods, "_direct_assign": refuse}))
        sets.enter_context(_set(keras.KerasTensor, {"sparse": dense}))
        sets.enter_context(_set(keras.random.SeedGenerator, {"next": draw}))
        yield


@contextmanager
def _set(owner: type, attributes: Mapping[str, Any]) -> Iterator[None]:
    """Give a class attributes for a while."""
    before = {name: vars(owner)[name] for name in attributes if name in vars(owner)}
    try:
        for name, value in attributes.items():
            setattr(owner, name, value)
        yield
    finally:
        for name in attributes:
            if name in before:
                setattr(owner, name, before[name])
            else:
                delattr(owner, name)


def _method(layer: Any) -> str:
    return f"{type(layer).__qualname__}.call"


def _brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"a {type(value).__name__}"


def _sentence(error: Exception) -> str:
    """The first sentence of an error's message, without what Keras wraps around it."""
    inner = str(error).rsplit("Error encountered:")[-1]
    lines = [line.strip() for line in re.sub(r"\x1b\[\d*m", "", inner).splitlines()]
    lines = [line for line in lines if line and not line.startswith("Exception encountered when calling")]
    text = lines[0].split(". ")[0].rstrip(".") if lines else ""
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
