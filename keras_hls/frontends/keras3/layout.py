"""A model as one list of calls: nested models, shared layers and traced call methods are laid out where they are called."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from typing import Any

from keras_hls.frontends.keras3.calls import Calls, graph_calls
from keras_hls.frontends.keras3.checks import check_inference, check_precision
from keras_hls.frontends.keras3.keras_call import KerasCall
from keras_hls.frontends.keras3.layer_views import class_path
from keras_hls.frontends.keras3.tracing import trace
from keras_hls.frontends.program import Port, Program, Step
from keras_hls.frontends.view import ReadError

#: Where layers and operations are that only a reader can understand.
_LIBRARIES = ("keras.layers.", "keras.ops.", "keras.activations.", "hgq.")
#: Layers of Keras that are no more than the code which they are given.
_CODE = ("keras.layers.Lambda",)


def lay_out(calls: Calls, input_names: Sequence[str], known: Container[str] = ()) -> Program[KerasCall]:
    """Return the program of a model.

    Parameters
    ----------
    calls : Calls
        Of the model itself.
    input_names : sequence of str
        Of the model's inputs.
    known : container of str
        Classes, by path, that aren't taken apart.
    """
    layout = _Layout(known)
    inputs = layout.numbers(len(calls.inputs))
    ports = [_port(name, tensor) for name, tensor in zip(input_names, calls.inputs)]
    labels = {id(tensor): name for tensor, name in zip(calls.inputs, input_names)}
    outputs = layout.run(calls, inputs, "", _Names(calls.kept, input_names), labels)
    makers = [labels[id(tensor)] for tensor in calls.outputs]
    return Program.of(ports, inputs, outputs, makers, layout.steps)


def _port(name: str, tensor: Any) -> Port:
    kind = "sparse" if tensor.sparse else "ragged" if tensor.ragged else ""
    problem = f"its samples are {kind}; make it keras.Input(shape), whose samples are dense float32" if kind else ""
    return Port(name, tuple(int(n) for n in tensor.shape[1:]), tensor.dtype, problem)


class _Layout:
    """Steps in the making."""

    def __init__(self, known: Container[str]):
        self.known = known
        self.steps: list[Step[KerasCall]] = []
        self._count = 0
        #: With the operation itself, so that no other one gets its id.
        self._graphs: dict[int, tuple[Any, Calls | None]] = {}

    def numbers(self, count: int) -> tuple[int, ...]:
        """Return numbers for so many new tensors."""
        self._count += count
        return tuple(range(self._count - count, self._count))

    def run(
        self, calls: Calls, inputs: Sequence[int], scope: str, names: _Names, labels: dict[int, str]
    ) -> tuple[int, ...]:
        """Append what `calls` are made of, given the numbers of their inputs; return those of their outputs.

        `labels` takes the name of the layer that makes each tensor, by the tensor's id.
        """
        made = {id(tensor): number for tensor, number in zip(calls.inputs, inputs)}
        for node in calls.nodes:
            name = names.of(node.operation)
            takes = tuple(made[id(tensor)] for tensor in node.arguments.keras_tensors)
            for tensor, number in zip(node.outputs, self._call(node, scope + name, takes)):
                made[id(tensor)], labels[id(tensor)] = number, name
        return tuple(made[id(tensor)] for tensor in calls.outputs)

    def _call(self, node: Any, name: str, takes: tuple[int, ...]) -> tuple[int, ...]:
        inner, problem = None, None
        try:
            inner = self._inside(node)
        except ReadError as error:
            problem = error
        if inner is not None:
            return self.run(inner, takes, f"{name}/", _Names(inner.kept), {})
        makes = self.numbers(len(node.outputs))
        self.steps.append(Step(KerasCall(node), name, takes, makes, problem=problem))
        return makes

    def _inside(self, node: Any) -> Calls | None:
        """The calls that a call is made of, or None if it is one for a reader."""
        import keras

        operation = node.operation
        path = class_path(type(operation))
        if path in self.known:
            return None
        if id(operation) not in self._graphs:
            self._graphs[id(operation)] = (operation, graph_calls(operation))
        graph = self._graphs[id(operation)][1]
        code = isinstance(operation, keras.Model) or path in _CODE or not path.startswith(_LIBRARIES)
        if graph is None and not code:
            return None
        check_inference(node)
        if graph is not None and _takes_as_they_are(operation, graph, node):
            return graph
        if isinstance(operation, keras.Layer):
            check_precision([operation])
        return trace(operation, node.arguments.args, node.arguments.kwargs)


def _takes_as_they_are(operation: Any, graph: Calls, node: Any) -> bool:
    """Whether the tensors of a call are those of the graph's own inputs: one by one, and of the same shapes."""
    import keras

    functional = getattr(operation, "_functional", None) or operation
    args, kwargs = node.arguments.args, node.arguments.kwargs
    if len(args) != 1 or set(kwargs) - {"training", "mask"}:
        return False
    for tensor in graph.inputs:
        if tensor.dtype != "float32" or tensor.sparse or tensor.ragged:
            raise ReadError(f"its input {tensor.name!r} takes {tensor.dtype}, and only dense float32 can be exported")
    own = keras.tree.lists_to_tuples(functional._inputs_struct)
    given = keras.tree.lists_to_tuples(args[0])
    if isinstance(given, keras.KerasTensor):
        own, given = graph.inputs, (given,)
    try:
        keras.tree.assert_same_structure(own, given)
    except (TypeError, ValueError):
        return False
    tensors = keras.tree.flatten(given)
    symbolic = all(isinstance(tensor, keras.KerasTensor) for tensor in tensors)
    return symbolic and [t.shape[1:] for t in tensors] == [t.shape[1:] for t in graph.inputs]


class _Names:
    """Names that differ for different operations, whatever these call themselves."""

    def __init__(self, first: Iterable[Any], taken: Iterable[str] = ()) -> None:
        self._names: dict[int, str] = {}
        self._taken = set(taken)
        for operation in first:
            self.of(operation)

    def of(self, operation: Any) -> str:
        """Return the operation's name, with a number where another one has it already."""
        if id(operation) not in self._names:
            base = name = str(operation.name)
            count = 0
            while name in self._taken:
                count += 1
                name = f"{base}_{count}"
            self._taken.add(name)
            self._names[id(operation)] = name
        return self._names[id(operation)]
