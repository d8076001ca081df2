"""What a reader of layers sees: a layer of any library, and the graph in the making. Neither knows Keras or C++."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from keras_hls.fixed import Constant, FloatArray, Formats
from keras_hls.graph import Graph, Input, Names, Node
from keras_hls.op import Op, reals
from keras_hls.options import identifier
from keras_hls.quantizers import Quantizer


class ReadError(Exception):
    """A layer can't be read: the reason and what to do, to be completed with the layer's name by the walk."""


class Untrained(ReadError):
    """A layer can't be read yet: it has to see data first."""


@dataclass(frozen=True)
class Ref:
    """A tensor of the graph under construction: the name of the node that makes it."""

    name: str


class LayerView(ABC):
    """One layer as its reader sees it, whatever library it is from.

    Attributes
    ----------
    name : str
        The layer's name in the model.
    path : str
        Its class, as "keras.layers.Dense" or "hgq.layers.QDense".
    config : mapping
        Its constructor arguments as plain values.
    shapes : tuple of tuples of int
        Shape of one sample of each of its inputs.
    """

    name: str
    path: str
    config: Mapping[str, Any]
    shapes: tuple[tuple[int, ...], ...]

    @abstractmethod
    def weight(self, name: str) -> Constant | None:
        """Return a weight as the layer uses it; None if the layer has none of that name.

        A quantized weight is an exact `Constant`; one that has no quantizer is a `Real`, whose type a pass chooses. A reader
        that only arranges it (``weight.map(np.transpose)``) needn't ask which.

        Raises
        ------
        ReadError
            If it holds NaN or infinite values.
        """

    @abstractmethod
    def function(self, argument: str | None) -> Callable[[FloatArray], FloatArray]:
        """Return the function that an argument of the layer is, such as its activation, or the layer's own if None.

        It takes and returns float arrays, and computes as the layer does, in float32.
        """

    @abstractmethod
    def part(self, name: str, *shapes: tuple[int, ...]) -> LayerView:
        """Return a layer that is an attribute of this one, under this one's name, for inputs whose samples have these shapes."""

    @abstractmethod
    def input_formats(self, count: int) -> tuple[Formats | None, ...]:
        """Return what the layer casts each of its `count` inputs to; None where it takes them as they are."""

    @abstractmethod
    def output_formats(self) -> Formats | None:
        """Return what the layer casts its output to, if it does."""

    def quantizer(self, argument: str) -> Quantizer | None:
        """Return the quantizer that an argument of the layer is, such as its activation; None if it is none."""
        return None

    @property
    @abstractmethod
    def understood(self) -> frozenset[str]:
        """Config keys that this adapter itself takes account of."""


class OperationView(LayerView):
    """One call of an operation, which is no layer: it has no weights, and constants are among its arguments.

    Attributes
    ----------
    results : tuple of tuples of int
        Shape of one sample of each of its results.
    """

    results: tuple[tuple[int, ...], ...]

    @abstractmethod
    def arguments(self, inputs: Sequence[Any]) -> tuple[list[Any], dict[str, Any]]:
        """Return what it is called with: `inputs` in the places of its tensors, and variables and arrays as numpy's."""


class Builder:
    """The graph under construction; types are inferred when it is whole, as those of inputs follow from what reads them."""

    def __init__(self) -> None:
        self._nodes: list[Node] = []
        self._names = Names()
        #: By node; None where it, or what it takes, has none.
        self._shapes: dict[str, tuple[int, ...] | None] = {}
        self.notes: list[str] = []

    def add(self, op: Op, *inputs: Ref, name: str, layer: str = "") -> Ref:
        """Append an operation; its name is made unique and an identifier."""
        unique = self._names.free(identifier(name))
        self._nodes.append(Node(unique, op, tuple(ref.name for ref in inputs), layer))
        return Ref(unique)

    def shape(self, x: Ref) -> tuple[int, ...]:
        """Return the shape of a tensor, of one sample.

        Raises
        ------
        ReadError
            If an op before it can't take its inputs.
        """
        for node in self._nodes[len(self._shapes) :]:
            self._shapes[node.name] = None
            given = [shape for name in node.inputs if (shape := self._shapes[name]) is not None]
            if len(given) == len(node.inputs):
                with suppress(ValueError):
                    self._shapes[node.name] = node.op.result_shape(*given)
        found = self._shapes[x.name]
        if found is None:
            raise ReadError("the weights or arguments of a layer before it don't fit that layer's inputs")
        return found

    def limit(self, x: Ref, low: int, high: int) -> None:
        """Note that only whole numbers from `low` to `high` make sense for a tensor, if it is an input."""
        for i, node in enumerate(self._nodes):
            if node.name == x.name and isinstance(node.op, Input):
                before = node.op.limits or (low, high)
                both = max(before[0], low), min(before[1], high)
                self._nodes[i] = replace(node, op=replace(node.op, limits=both))

    def without_types(self, since: int) -> list[str]:
        """Return the weights without types of the operations that were added after the first `since`."""
        return [name for node in self._nodes[since:] for name, _ in reals(node.op)]

    def __len__(self) -> int:
        return len(self._nodes)

    def graph(self, outputs: Iterable[Ref], output_names: Iterable[str]) -> Graph:
        """Return the finished graph."""
        return Graph(tuple(self._nodes), tuple(ref.name for ref in outputs), tuple(output_names), tuple(self.notes))


#: How a layer class is read: takes the layer, the builder and one Ref an input, and returns the Ref of its output. The reader
#: of an operation takes its arguments, and returns several where the operation does.
Reader = Callable[..., Any]
Readers = Mapping[str, Reader]
