"""What Keras itself answers: at the outputs of a model, before their softmax, and after every call of a layer."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_hls.errors import InvalidModel
from keras_hls.frontends.answer_names import answer_names
from keras_hls.frontends.asking import called, in_slices, with_attribute
from keras_hls.frontends.keras3.entry import Entry
from keras_hls.frontends.keras3.keras_call import KerasCall
from keras_hls.frontends.keras3.layer_views import Floats, class_path, to_numpy
from keras_hls.frontends.keras3.layout import lay_out
from keras_hls.frontends.program import Program, Step


def reference(entry: Entry, before_softmax: Sequence[bool]) -> Callable[[Sequence[Any]], list[Floats]]:
    """Return a function from one array an input to one an output; see `live_model.reference`."""
    if not any(before_softmax):
        return lambda x: _in_slices(entry, entry.answer, x)
    program = lay_out(entry.calls, entry.names)
    wanted = list(program.outputs)
    jobs = [_Job(step, step.call.operation, step.makes) for step in program.steps]
    for i, before in enumerate(before_softmax):
        if before:
            step, bare = _softmax_of(program, program.outputs[i])
            if bare is None:
                wanted[i] = step.takes[0]
            else:
                # Beside the layer itself, as another output may be what it answers.
                wanted[i] = -1 - i
                jobs.append(_Job(step, bare, (wanted[i],)))

    def answer(arrays: Sequence[Any]) -> list[Any]:
        values = _run(program.inputs, jobs, arrays, {*wanted, *program.outputs})
        if entry.traced:
            _check_trace(entry, arrays, [values[number] for number in program.outputs])
        return [values[number] for number in wanted]

    return lambda x: _in_slices(entry, answer, x)


@dataclass(frozen=True)
class _Job:
    """A call to make: of what, with the arguments of which step, and the numbers that its results get."""

    step: Step[KerasCall]
    function: Callable[..., Any]
    makes: tuple[int, ...]


def _in_slices(entry: Entry, answer: Callable[[Sequence[Any]], Sequence[Any]], x: Sequence[Any]) -> list[Floats]:
    inputs = [(tuple(tensor.shape[1:]), tensor.dtype) for tensor in entry.calls.inputs]
    return in_slices(inputs, lambda parts: [to_numpy(value) for value in answer(parts)], x)


def _softmax_of(program: Program[KerasCall], output: int) -> tuple[Step[KerasCall], Any]:
    """The step that is an output's softmax or its logarithm, and its layer without it if there is more to it.

    What stands behind the softmax changes no value: the graph has nothing there.
    """
    makers = {number: step for step in program.steps for number in step.makes}
    while output in makers:
        step = makers[output]
        if class_path(type(step.call.operation)).endswith((".Softmax", ".LogSoftmax")):
            return step, None
        if getattr(getattr(step.call.operation, "activation", None), "__name__", "") in ("softmax", "log_softmax"):
            return step, _without_activation(step.call.operation)
        output = step.takes[0]
    raise InvalidModel("There is no softmax at an output that is said to have one")


def _without_activation(layer: Any) -> Any:
    """A layer that shares its weights, as they are at any time, without its activation."""
    import keras

    bare = with_attribute(layer, "activation", keras.activations.linear)
    return lambda x, **kwargs: type(bare).call(bare, keras.ops.convert_to_tensor(x))


def _check_trace(entry: Entry, arrays: Sequence[Any], found: Sequence[Any]) -> None:
    """Hold the calls that a trace found against the model itself, whose code may do otherwise from time to time."""
    for mine, own in zip(found, entry.answer(arrays)):
        if not np.allclose(to_numpy(mine), to_numpy(own), rtol=1e-4, atol=1e-5, equal_nan=True):
            raise InvalidModel(
                f"Model {entry.model.name!r} doesn't answer as its traced call method does; its call must do the same each time"
            )


def _run(inputs: Iterable[int], jobs: Sequence[_Job], arrays: Sequence[Any], keep: Container[int]) -> dict[int, Any]:
    """Make calls, given samples; return the values of the tensors to keep."""
    import keras

    values = {number: keras.ops.convert_to_tensor(a) for number, a in zip(inputs, arrays)}
    last = {number: i for i, job in enumerate(jobs) for number in job.step.takes}
    for i, job in enumerate(jobs):
        values.update(zip(job.makes, _call(job, [values[number] for number in job.step.takes])))
        for number in {*job.step.takes, *job.makes}:
            if number not in keep and last.get(number, -1) <= i:
                del values[number]
    return values


def _call(job: _Job, tensors: Sequence[Any]) -> list[Any]:
    import keras

    arguments, operation = job.step.call.node.arguments, job.step.call.operation
    filled = {id(symbol): value for symbol, value in zip(arguments.keras_tensors, tensors)}
    args, kwargs = arguments.convert(lambda a: filled.get(id(a), a))
    if getattr(operation, "_call_has_training_arg", False):
        kwargs["training"] = False
    function = job.function
    if function is operation:
        function = _for_batch(operation, len(tensors[0]))
    return list(keras.tree.flatten(called(f"layer {operation.name!r}", function, *args, **kwargs)))


def _for_batch(operation: Any, count: int) -> Any:
    """An operation as it would have been made for so many samples: a trace knows no batch size, and leaves it open."""
    for name in ("newshape", "shape"):
        shape = getattr(operation, name, None)
        if isinstance(shape, tuple) and None in shape:
            operation = with_attribute(operation, name, tuple(count if n is None else n for n in shape))
    return operation


def layer_outputs(entry: Entry, known: Container[str]) -> Callable[[Sequence[Any]], Mapping[str, Floats]]:
    """Return a function from one array an input to what every call answers; see `live_model.layer_outputs`."""
    program = lay_out(entry.calls, entry.names, known)
    jobs = [_Job(step, step.call.operation, step.makes) for step in program.steps]
    names = answer_names(program.steps)

    def answer(arrays: Sequence[Any]) -> list[Any]:
        values = _run(program.inputs, jobs, arrays, names)
        return [values[number] for number in names]

    return lambda x: dict(zip(names.values(), _in_slices(entry, answer, x)))
