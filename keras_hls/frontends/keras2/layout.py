"""A saved model's config as one list of calls: nested models and shared layers are laid out where they are called."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from keras_hls.errors import InvalidModel
from keras_hls.frontends.keras2.hgq_saved import is_proxy
from keras_hls.frontends.keras2.layer_call import SavedCall
from keras_hls.frontends.keras2.saved import SEQUENTIAL, SavedLayer, SavedModel
from keras_hls.frontends.keras2.tf_operations import KINDS, SEVERAL, Operands, Slot
from keras_hls.frontends.program import Port, Program, Step
from keras_hls.frontends.view import ReadError

#: A tensor in a config: layer, number of the call, number of the result.
_Address = tuple[str, int, int]
#: Results that an operation has at most.
_MOST_RESULTS = 1 << 12
#: Layers whose answer depends on a mask that hangs on their input.
_MASKED = frozenset({"GlobalAveragePooling1D", "Softmax", "Attention", "AdditiveAttention", "MultiHeadAttention"})


def lay_out(saved: SavedModel) -> Program[SavedCall]:
    """Return the program of a saved model.

    Raises
    ------
    InvalidModel
        If its config contradicts itself, or an input's shape isn't known.
    """
    return _Layout(saved).program()


def ports(saved: SavedModel) -> list[Port]:
    """Return where samples enter a saved model, in its order.

    Raises
    ------
    InvalidModel
        If an input's shape isn't known.
    """
    return [_port(layer, saved) for layer in _input_layers(saved.model, saved.where)]


@dataclass(frozen=True)
class _Call:
    """One entry of a layer's inbound nodes.

    Attributes
    ----------
    tensors : tuple of addresses
    arguments : mapping
        What else it is called with.
    constants : bool
        Whether something that is no tensor stands in a tensor's place.
    operands : Operands, optional
        All that an operation is called with; None for a layer.
    """

    tensors: tuple[_Address, ...]
    arguments: Mapping[str, Any] = field(default_factory=dict)
    constants: bool = False
    operands: Operands | None = None


class _Layout:
    """Steps in the making."""

    def __init__(self, saved: SavedModel):
        self.saved, self.exact = saved, is_proxy(saved)
        self.steps: list[Step[SavedCall]] = []
        self.masked: set[int] = set()
        self.integers: set[int] = set()
        self.count = 0

    def program(self) -> Program[SavedCall]:
        entries = ports(self.saved)
        inputs = self.numbers(len(entries))
        self.integers = {number for number, port in zip(inputs, entries) if not port.dtype.startswith("float")}
        outputs, makers = self.run(self.saved.model, inputs, "")
        return Program.of(entries, inputs, outputs, makers, self.steps)

    def numbers(self, count: int) -> tuple[int, ...]:
        """Return numbers for so many new tensors."""
        self.count += count
        return tuple(range(self.count - count, self.count))

    def run(self, model: SavedLayer, inputs: Sequence[int], scope: str) -> tuple[tuple[int, ...], list[str]]:
        """Append a model's calls, given the numbers of its inputs; return those of its outputs, and the layers they are of."""
        if model.kind in SEQUENTIAL:
            return self._sequence(model, inputs, scope)
        return self._functional(model, inputs, scope)

    def _sequence(self, model: SavedLayer, inputs: Sequence[int], scope: str) -> tuple[tuple[int, ...], list[str]]:
        layers = [layer for layer in model.layers(self.saved.where) if layer.kind != "InputLayer"]
        current = tuple(inputs)
        for layer in layers:
            current = self._call(layer, _Call(()), current, scope)
        name = layers[-1].name if layers else _input_layers(model, self.saved.where)[0].name
        return current, [name] * len(current)

    def _functional(self, model: SavedLayer, inputs: Sequence[int], scope: str) -> tuple[tuple[int, ...], list[str]]:
        layers = {layer.name: layer for layer in model.layers(self.saved.where)}
        calls = {name: [self._parsed(node, layer) for node in layer.calls] for name, layer in layers.items()}
        firsts = self._first_numbers(model, layers, calls)
        made: dict[_Address, int] = {}
        results: Counter[tuple[str, int]] = Counter()
        for name, index, result in _tensors(calls, model):
            results[name, index] = max(results[name, index], result + 1)
        for address, number in zip(_addresses(model.config.get("input_layers")), inputs, strict=True):
            made[address] = number
        wanted = _addresses(model.config.get("output_layers"))
        # Without recursion, as networks can be deep.
        stack = list(reversed(wanted))
        open_calls: set[tuple[str, int]] = set()
        while stack:
            name, index, _ = stack[-1]
            if stack[-1] in made:
                stack.pop()
                continue
            if name not in layers or not 0 <= index - firsts[name] < len(calls[name]):
                raise self._odd(f"layer {name!r} is read and never called")
            call = calls[name][index - firsts[name]]
            missing = [address for address in call.tensors if address not in made]
            if missing:
                if (name, index) in open_calls:
                    raise self._odd(f"layer {name!r} takes its own result")
                open_calls.add((name, index))
                stack += reversed(missing)
                continue
            takes = tuple(made[address] for address in call.tensors)
            for i, number in enumerate(self._call(layers[name], call, takes, scope, results[name, index])):
                made[name, index, i] = number
            if stack[-1] not in made:
                raise self._odd(f"layer {name!r} has no result number {stack[-1][2]}")
        return tuple(made[address] for address in wanted), [address[0] for address in wanted]

    def _first_numbers(
        self, model: SavedLayer, layers: Mapping[str, SavedLayer], calls: Mapping[str, Sequence[_Call]]
    ) -> dict[str, int]:
        """The number of each layer's first call: an inner model may count how it was made itself as its call 0."""
        used: dict[str, set[int]] = {name: set() for name in layers}
        for name, index, _ in _tensors(calls, model):
            used.setdefault(name, set()).add(index)
        firsts = {}
        for name, layer in layers.items():
            count, numbers = len(calls[name]), used[name]
            # Where neither its highest nor its lowest number says so: such a model begins with its inputs.
            starts = layer.is_model and any(inner.kind == "InputLayer" for inner in layer.layers(self.saved.where)[:1])
            one = layer.is_model and (max(numbers, default=0) == count or (starts and 0 not in numbers))
            firsts[name] = int(one)
        return firsts

    def _parsed(self, node: Any, layer: SavedLayer) -> _Call:
        """Return a call as any year's Keras wrote it."""
        if layer.kind in KINDS:
            if isinstance(node, list) and node:
                return _operation(node)
            raise self._odd(f"operation {layer.name!r} has a call without arguments")
        tensors: list[_Address] = []
        arguments: dict[str, Any] = {}
        constants = False

        def take(value: Any) -> bool:
            """Take a tensor's address, and what stands beside it; return whether it was one."""
            nonlocal constants
            if not _is_address(value):
                return False
            if value[0] == "_CONSTANT_VALUE":
                constants = True
            else:
                tensors.append((str(value[0]), int(value[1]), int(value[2])))
            for key, argument in (value[3] if len(value) > 3 else {}).items():
                if not collect(argument):
                    arguments[key] = argument
            return True

        def collect(value: Any) -> bool:
            """Take every address of a structure; return whether there was any."""
            if take(value):
                return True
            parts = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
            found = [collect(part) for part in parts]
            return any(found)

        if isinstance(node, Mapping) and "args" in node:
            raise self._odd(f"layer {layer.name!r} is called as Keras 3 writes it down")
        if not collect(node):
            raise self._odd(f"layer {layer.name!r} has a call without tensors")
        return _Call(tuple(tensors), arguments, constants)

    def _call(
        self, layer: SavedLayer, call: _Call, takes: tuple[int, ...], scope: str, results: int = 1
    ) -> tuple[int, ...]:
        name = f"{scope}{layer.name}"
        problem = _problem(call)
        if layer.is_model and problem is None:
            inputs = _input_layers(layer, self.saved.where)
            if len(inputs) == len(takes):
                return self.run(layer, takes, f"{name}/")[0]
            problem = ReadError(f"it takes {len(inputs)} tensors and is called with {len(takes)}")
        if layer.kind == "InputLayer":
            raise self._odd(f"input {layer.name!r} isn't among the model's input_layers")
        if self.masked & set(takes) and layer.kind in _MASKED:
            problem = ReadError(
                "it is given a mask, by a Masking or Embedding layer before it, which no reader takes account of"
            )
        if call.operands is not None and self.integers & set(takes) and layer.config.get("function") != "cast":
            problem = ReadError(
                "it is given integers, which it computes with as such; make the input float32, or cast it"
            )
        # Of what has several, those that nothing reads needn't be made.
        several = call.operands is not None and layer.config.get("function") in SEVERAL
        results = min(results, _MOST_RESULTS) if several else 1
        makes = self.numbers(results)
        if self.masked & set(takes) or layer.kind == "Masking" or layer.config.get("mask_zero"):
            self.masked |= set(makes)
        arrays = self.saved.weights.get(name, ())
        beyond = self.saved.beyond.get(name, {})
        found = SavedCall(layer, arrays, call.arguments, beyond, self.exact, call.operands, results)
        self.steps.append(Step(found, name, takes, makes, problem=problem))
        return makes

    def _odd(self, what: str) -> InvalidModel:
        return InvalidModel(f"Model {self.saved.name!r} of {self.saved.where} can't be read: {what}")


def _problem(call: _Call) -> ReadError | None:
    """Why a call of a layer is no plain inference, if so; an operation's arguments are its reader's matter."""
    return ReadError("it is called with a constant in a tensor's place; make it a layer") if call.constants else None


def _tensors(calls: Mapping[str, Sequence[_Call]], model: SavedLayer) -> list[_Address]:
    """All tensors that anything reads."""
    taken = [address for entry in calls.values() for call in entry for address in call.tensors]
    return [*taken, *_addresses(model.config.get("output_layers"))]


def _operation(node: Sequence[Any]) -> _Call:
    """A call of an operation: its first argument, or the list that this is, with all others beside it by name."""
    tensors: list[_Address] = []

    def operand(value: Any) -> Any:
        if _is_address(value) and value[0] == "_CONSTANT_VALUE":
            return value[2]
        if _is_address(value):
            tensors.append((str(value[0]), int(value[1]), int(value[2])))
            return Slot(len(tensors) - 1)
        if isinstance(value, Mapping):
            return {key: operand(item) for key, item in value.items()}
        return [operand(item) for item in value] if isinstance(value, list) else value

    alone = _is_address(node)
    first = operand(node) if alone else [operand(part) for part in node]
    beside = node if alone else node[0]
    others = beside[3] if _is_address(beside) and len(beside) > 3 else {}
    kwargs = {key: operand(value) for key, value in others.items()}
    return _Call(tuple(tensors), operands=Operands((first,), kwargs))


def _is_address(value: Any) -> bool:
    if not isinstance(value, list) or len(value) not in (3, 4) or not isinstance(value[0], str):
        return False
    numbers = all(isinstance(n, int) and not isinstance(n, bool) for n in value[1:3])
    constant = value[0] == "_CONSTANT_VALUE" and value[1] == -1
    return (numbers or constant) and (len(value) == 3 or isinstance(value[3], Mapping))


def _addresses(value: Any) -> list[_Address]:
    """The tensors of a structure, in order: one, a list, or a dict, whose values Keras sorts by key."""
    if _is_address(value):
        return [(value[0], value[1], value[2])]
    if isinstance(value, Mapping):
        return [address for key in sorted(value) for address in _addresses(value[key])]
    return [address for part in value or () for address in _addresses(part)]


def _input_layers(model: SavedLayer, where: str) -> list[SavedLayer]:
    """The layers where samples enter a model; a Sequential one may say its input's shape at its first layer alone."""
    layers = model.layers(where)
    if model.kind not in SEQUENTIAL:
        by_name = {layer.name: layer for layer in layers}
        names = [name for name, _, _ in _addresses(model.config.get("input_layers"))]
        if missing := [name for name in names if name not in by_name]:
            raise InvalidModel(f"Model {model.name!r} of {where} can't be read: there is no layer {missing[0]!r}")
        return [by_name[name] for name in names]
    if not layers:
        raise InvalidModel(f"Model {model.name!r} of {where} has no layers")
    first = layers[0]
    if first.kind == "InputLayer":
        return [first]
    if first.is_model:
        inner = _input_layers(first, where)
        return [SavedLayer("InputLayer", f"{first.name}_input", layer.config) for layer in inner]
    shape = first.config.get("batch_input_shape") or model.config.get("build_input_shape")
    config = {"batch_input_shape": shape, "dtype": "float32"}
    return [SavedLayer("InputLayer", f"{first.name}_input", config)]


def _port(layer: SavedLayer, saved: SavedModel) -> Port:
    config = layer.config
    shape = config.get("batch_input_shape") or config.get("batch_shape")
    if not isinstance(shape, list):
        raise InvalidModel(f"Model {saved.name!r} of {saved.where} isn't built: the shape of {layer.name!r} is unknown")
    if not all(isinstance(n, int) and n > 0 for n in shape[1:]):
        raise InvalidModel(
            f"Input {layer.name!r} of model {saved.name!r} has shape {tuple(shape)}: every dimension but the first (the batch)"
            " must be a positive number, as hardware can't grow"
        )
    problem = ""
    if config.get("sparse") or config.get("ragged"):
        kind = "sparse" if config.get("sparse") else "ragged"
        problem = f"its samples are {kind}; make it keras.Input(shape), whose samples are dense float32"
    return Port(layer.name, tuple(shape[1:]), str(config.get("dtype") or "float32"), problem)
