"""Calls to a graph: each is read by the reader of its class."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from keras_hls.errors import HLSError, InvalidData, TooWide, UnsupportedModel, did_you_mean, without_quantizers
from keras_hls.fixed import Constant, Fixed, Formats
from keras_hls.frontends.answer_names import answer_names
from keras_hls.frontends.program import Call, Program, Step
from keras_hls.frontends.view import Builder, LayerView, OperationView, Reader, ReadError, Readers, Ref, Untrained
from keras_hls.graph import Graph, Input, Place


def walk(program: Program[Any], readers: Readers, *, floats: bool = True) -> Graph:
    """Return what a model's calls become.

    Parameters
    ----------
    program : Program
    readers : mapping
        Paths of layer classes and operations to readers.
    floats : bool
        Whether layers whose weights have no quantizers may be read.

    Raises
    ------
    UnsupportedModel
        Names every layer that can't be read, why, and what to do.
    """
    return _Walk(program, readers, floats).graph()


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

    def __init__(self, program: Program[Any], readers: Readers, floats: bool):
        self.program, self.readers, self.floats = program, readers, floats
        self.build = Builder()
        self.problems: dict[str, str] = {}
        self.untrained: list[str] = []
        #: What each tensor became, by its number; None where a problem stands in the way.
        self.made: dict[int, Ref | None] = {}
        #: Weights by layer, so that all its calls share one constant.
        self.weights: dict[int, dict[str, Constant | None]] = {}

    def graph(self) -> Graph:
        for number, port in zip(self.program.inputs, self.program.ports):
            problem = port.problem
            if not problem and port.dtype not in ("float32", *_INTEGERS):
                problem = f"its samples are {port.dtype}; make it keras.Input(shape), whose samples are dense float32"
            if problem:
                self.problems[port.name] = f"{port.name!r} (keras.layers.InputLayer): {problem}"
            op = Input(port.shape, samples=port.dtype)
            # A port takes all of a few bits; what reads more says how many it needs.
            if own := _INTEGERS.get(port.dtype):
                op = replace(op, formats=Formats.of(own), port=own)
            self.made[number] = self.build.add(op, name=port.name, layer=port.name)
        for step in self.program.steps:
            self.made.update(zip(step.makes, self._step(step)))
        if self.problems:
            raise UnsupportedModel(self.problems.values(), self.untrained)
        refs = {number: ref.name for number, ref in self.made.items() if ref is not None}
        outputs = [Ref(refs[number]) for number in self.program.outputs]
        graph = self.build.graph(outputs, self.program.output_names)
        places = {name: Place(refs[number]) for number, name in answer_names(self.program.steps).items()}
        return replace(graph, places=places)

    def _step(self, step: Step[Any]) -> Sequence[Ref | None]:
        inputs = [self.made[number] for number in step.takes]
        refs = [ref for ref in inputs if ref is not None]
        try:
            if len(refs) == len(inputs):
                return self._read(step, self.build, refs)
            # Something before it can't be read. Still ask whether this layer could, so as to name all at once.
            self._reader(step)
            if step.call.knows_shapes:
                self._read(step, Builder(), [Ref(f"_{i}") for i in range(len(inputs))])
        except (ReadError, InvalidData, TooWide) as error:
            reason = f"one of its arguments {error}" if isinstance(error, InvalidData) else str(error)
            self.problems[step.layer] = f"{step.layer!r} ({step.call.path}): {reason}"
            if isinstance(error, Untrained):
                self.untrained.append(self.problems[step.layer])
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:
            if step.call.checked or isinstance(error, HLSError):
                raise
            what = f"it lacks {error}" if isinstance(error, KeyError) else f"{type(error).__name__}: {error}"
            reason = f"its arguments or weights can't be used ({what}); was the file edited?"
            self.problems[step.layer] = f"{step.layer!r} ({step.call.path}): {reason}"
        return [None] * len(step.makes)

    def _reader(self, step: Step[Any]) -> Reader:
        if step.problem is not None:
            raise step.problem
        path = step.call.path
        if path not in self.readers:
            raise ReadError(self._unknown(step.call))
        return self.readers[path]

    def _read(self, step: Step[Any], build: Builder, refs: list[Ref]) -> Sequence[Ref]:
        reader, call = self._reader(step), step.call
        call.check(reader)
        view = call.view(step.layer, build, refs)
        return (
            self._read_operation(step, view, build, refs)
            if isinstance(view, OperationView)
            else [self._read_layer(step, view, build, refs)]
        )

    def _read_layer(self, step: Step[Any], view: LayerView, build: Builder, refs: list[Ref]) -> Ref:
        _fetch_once(view, self.weights.setdefault(step.call.owner, {}))
        before, reader = len(build), self.readers[view.path]
        try:
            inspect.signature(reader).bind(view, build, *refs)
        except TypeError:
            raise ReadError(f"it is called with {len(refs)} tensors, which no reader takes account of") from None
        result: Ref = reader(view, build, *refs)
        if not self.floats and (weights := build.without_types(before)):
            raise ReadError(
                without_quantizers(
                    weights, self._quantized(step.call) or f"a layer of {_QUANTIZED[step.call.quantized]}"
                )
            )
        return result

    def _read_operation(self, step: Step[Any], view: OperationView, build: Builder, refs: list[Ref]) -> Sequence[Ref]:
        reader = self.readers[view.path]
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

    def _quantized(self, call: Call) -> str | None:
        """The layer that is one of Keras with quantizers, if it can be read."""
        name = f"{call.quantized}{call.path.rsplit('.', 1)[-1]}"
        return name if name in self.readers else None

    def _unknown(self, call: Call) -> str:
        name = call.path.rsplit(".", 1)[-1]
        if call.is_layer and (quantized := self._quantized(call)):
            return f"it has no quantizers; use {quantized} instead"
        kind = "layer" if call.is_layer else "operation"
        own = [
            known for known in self.readers if known.startswith(("keras.ops.", "keras.activations.")) != call.is_layer
        ]
        known = sorted({path.rsplit(".", 1)[-1] for path in own if path.partition(".")[0] in call.libraries})
        return f"no op reads this {kind}.{did_you_mean(name, known)} docs/layers.md lists those that can be read"


#: The libraries by how the paths of their layers begin.
_QUANTIZED = {"hgq.layers.Q": "HGQ2", "qkeras.Q": "QKeras"}


def _fetch_once(view: LayerView, known: dict[str, Constant | None]) -> None:
    """Let a view answer with the weights that another view of the same layer has fetched."""
    fetch = view.weight

    def weight(name: str) -> Constant | None:
        if name not in known:
            known[name] = fetch(name)
        return known[name]

    view.weight = weight  # type: ignore[method-assign]
