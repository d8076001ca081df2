"""Calls to a graph: each is read by the reader of its class."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from keras_hls.errors import InvalidData, TooWide, UnsupportedModel, did_you_mean, without_quantizers
from keras_hls.fixed import Constant, Fixed, Formats
from keras_hls.frontends.answer_names import answer_names
from keras_hls.frontends.checks import check_call, check_precision
from keras_hls.frontends.entry import Entry
from keras_hls.frontends.hgq2 import HGQ2View
from keras_hls.frontends.keras_v3 import KerasOperationView, KerasView, class_path
from keras_hls.frontends.program import Program, Step, lay_out
from keras_hls.frontends.view import Builder, LayerView, ReadError, Readers, Ref, Untrained
from keras_hls.graph import Graph, Input, Place


@dataclass(frozen=True)
class Reading:
    """A model, read.

    Attributes
    ----------
    program : Program
    graph : Graph
    """

    program: Program
    graph: Graph


def walk(entry: Entry, readers: Readers, *, floats: bool = True) -> Reading:
    """Return what a model's calls become; with `floats` false, layers whose weights have no quantizers are refused.

    Raises
    ------
    UnsupportedModel
        Names every layer that can't be read, why, and what to do.
    """
    program = lay_out(entry.calls, entry.names, readers)
    return _Walk(entry, program, readers, floats).reading()


#: Types of whole numbers that an input may have, with the port that holds all of them where that is a small one.
_INTEGERS = {
    "uint8": Fixed(False, 8, 8),
    "int8": Fixed(True, 8, 8),
    "uint16": Fixed(False, 16, 16),
    "int16": Fixed(True, 16, 16),
    "int32": None,
    "uint32": None,
    "int64": None,
}


class _Walk:
    """One reading of one model."""

    def __init__(self, entry: Entry, program: Program, readers: Readers, floats: bool):
        self.entry, self.program, self.readers, self.floats = entry, program, readers, floats
        self.build = Builder()
        self.problems: dict[str, str] = {}
        self.untrained: list[str] = []
        #: What each tensor became, by its number; None where a problem stands in the way.
        self.made: dict[int, Ref | None] = {}
        #: Weights by layer, so that all its calls share one constant.
        self.weights: dict[int, dict[str, Constant | None]] = {}

    def reading(self) -> Reading:
        for number, name, tensor in zip(self.program.inputs, self.entry.names, self.entry.calls.inputs):
            if tensor.dtype not in ("float32", *_INTEGERS) or tensor.sparse or tensor.ragged:
                kind = "sparse" if tensor.sparse else "ragged" if tensor.ragged else tensor.dtype
                self.problems[name] = (
                    f"{name!r} (keras.layers.InputLayer): its samples are {kind}; make it keras.Input(shape), whose samples"
                    " are dense float32"
                )
            op = Input(tuple(int(n) for n in tensor.shape[1:]), samples=tensor.dtype)
            # A port takes all of a few bits; what reads more says how many it needs.
            if own := _INTEGERS.get(tensor.dtype):
                op = replace(op, formats=Formats.of(own), port=own)
            self.made[number] = self.build.add(op, name=name, layer=name)
        for step in self.program.steps:
            self.made.update(zip(step.makes, self._step(step)))
        if self.problems:
            raise UnsupportedModel(self.problems.values(), self.untrained)
        refs = {number: ref.name for number, ref in self.made.items() if ref is not None}
        outputs = [Ref(refs[number]) for number in self.program.outputs]
        graph = self.build.graph(outputs, self.program.output_names)
        places = {name: Place(refs[number]) for number, name in answer_names(self.program.steps).items()}
        return Reading(self.program, replace(graph, places=places))

    def _step(self, step: Step) -> Sequence[Ref | None]:
        path = class_path(type(step.operation))
        inputs = [self.made[number] for number in step.takes]
        refs = [ref for ref in inputs if ref is not None]
        ready = len(refs) == len(inputs)
        try:
            if ready:
                return self._read(step, path, self.build, refs)
            # Something before it can't be read. Still ask whether this layer could, so as to name all at once.
            self._read(step, path, Builder(), [Ref(f"_{i}") for i in range(len(inputs))])
        except (ReadError, InvalidData, TooWide) as error:
            reason = f"one of its arguments {error}" if isinstance(error, InvalidData) else str(error)
            self.problems[step.layer] = f"{step.layer!r} ({path}): {reason}"
            if isinstance(error, Untrained):
                self.untrained.append(self.problems[step.layer])
        return [None] * len(step.makes)

    def _read(self, step: Step, path: str, build: Builder, refs: list[Ref]) -> Sequence[Ref]:
        import keras

        if step.problem is not None:
            raise step.problem
        is_layer = isinstance(step.operation, keras.Layer)
        if path not in self.readers:
            raise ReadError(self._unknown(path, is_layer))
        _check_shapes(step.node)
        return self._read_layer(step, path, build, refs) if is_layer else self._read_operation(step, path, build, refs)

    def _read_layer(self, step: Step, path: str, build: Builder, refs: list[Ref]) -> Sequence[Ref]:
        reader, layer = self.readers[path], step.operation
        check_call(step.node, reader)
        _check_integers(step.node, reader)
        check_precision(layer._flatten_layers() if hasattr(layer, "_flatten_layers") else [])
        view = _view(layer, [tensor.shape for tensor in step.node.arguments.keras_tensors])
        view.name = step.layer
        _fetch_once(view, self.weights.setdefault(id(layer), {}))
        before = len(build)
        result = reader(view, build, *refs)
        if not self.floats and (weights := build.without_types(before)):
            raise ReadError(without_quantizers(weights, self._quantized(path) or "a layer of HGQ2"))
        return [result]

    def _read_operation(self, step: Step, path: str, build: Builder, refs: list[Ref]) -> Sequence[Ref]:
        reader = self.readers[path]
        _check_floats(step.node)
        view = KerasOperationView(step.node, step.layer)
        args, kwargs = view.arguments(refs)
        try:
            inspect.signature(reader).bind(view, build, *args, **kwargs)
        except TypeError:
            raise ReadError(f"it is called with {len(args)} arguments, which no reader takes account of") from None
        results = reader(view, build, *args, **kwargs)
        found = [results] if isinstance(results, Ref) else list(results)
        if len(found) != len(step.makes):
            raise ReadError(f"it returns {len(step.makes)} tensors, and {len(found)} can be read")
        return found

    def _quantized(self, path: str) -> str | None:
        """The layer of HGQ2 that is one of Keras with quantizers, if it can be read."""
        name = f"hgq.layers.Q{path.rsplit('.', 1)[-1]}"
        return name if name in self.readers else None

    def _unknown(self, path: str, is_layer: bool) -> str:
        name = path.rsplit(".", 1)[-1]
        if is_layer and (quantized := self._quantized(path)):
            return f"it has no quantizers; use {quantized} instead"
        kind = "layer" if is_layer else "operation"
        own = [known for known in self.readers if known.startswith(("keras.ops.", "keras.activations.")) != is_layer]
        known = sorted({path.rsplit(".", 1)[-1] for path in own})
        return f"no op reads this {kind}.{did_you_mean(name, known)} docs/layers.md lists those that can be read"


def _check_shapes(node: Any) -> None:
    """Refuse a call that doesn't keep samples apart, or whose tensors could be of any size."""
    tensors = node.arguments.keras_tensors
    for what, found in (("takes", tensors), ("returns", node.outputs)):
        for tensor in found:
            shape = tuple(tensor.shape)
            if None in shape[1:] or not shape or (shape[0] is not None and tensors[0].shape[0] is None):
                raise ReadError(
                    f"it {what} a tensor of shape {shape}; samples are computed one by one, so the first axis must be the batch,"
                    " and every other one of known size"
                )


def _check_integers(node: Any, reader: Any) -> None:
    """Refuse a layer that is given integers and isn't one for them."""
    found = sorted({tensor.dtype for tensor in node.arguments.keras_tensors} - {"float32"})
    if found and not getattr(reader, "integers", False):
        raise ReadError(
            f"it is given {' and '.join(found)}, which no reader takes account of; make the input float32, or cast it"
        )


def _check_floats(node: Any) -> None:
    for tensor in (*node.arguments.keras_tensors, *node.outputs):
        if tensor.dtype != "float32":
            raise ReadError(
                f"it has a tensor of {tensor.dtype}, and only float32 can be exported; give constants as float32"
            )


def _view(layer: Any, input_shapes: Sequence[tuple[int | None, ...]]) -> LayerView:
    if class_path(type(layer)).startswith("hgq."):
        return HGQ2View(layer, input_shapes)
    return KerasView(layer, input_shapes)


def _fetch_once(view: LayerView, known: dict[str, Constant | None]) -> None:
    """Let a view answer with the weights that another view of the same layer has fetched."""
    fetch = view.weight

    def weight(name: str) -> Constant | None:
        if name not in known:
            known[name] = fetch(name)
        return known[name]

    view.weight = weight  # type: ignore[method-assign]
