"""The one picture of a network that emulator, cost model and emitter share: a list of exact integer operations.

A frontend writes a `Graph`, a pass turns one into another, and three readers take it from there. Nothing here knows a
layer, a backend or Keras. What an operation must be able to say about itself is the contract `keras_hls.op.Op`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeVar

from keras_hls.errors import HLSError, InvalidModel, InvalidOption, TooWide
from keras_hls.fixed import Fixed, Formats, IntArray, Quantization, TensorType
from keras_hls.op import Kernel, Op, Plan, Work

Answer = TypeVar("Answer")


@dataclass(frozen=True, eq=False)
class Input(Op):
    """y = x: where samples enter the hardware.

    Parameters
    ----------
    shape : tuple of int
        Shape of one sample.
    formats : Formats, optional
        How floating-point samples become fixed-point before they enter; None until a pass has found out from the
        operations that read them.
    port : Fixed, optional
        The type of the hardware's port: holds every value of `formats`.
    samples : str
        What the model takes samples as, before anything else: more precise floats are rounded to "float32" first. An integer
        type such as "int32" takes whole numbers.
    limits : tuple of two ints, optional
        The least and the largest number that the model takes, such as the numbers of a table's rows.
    """

    shape: tuple[int, ...]
    formats: Formats | None = None
    port: Fixed | None = None
    samples: str = "float64"
    limits: tuple[int, int] | None = None

    def result_shape(self, *shapes: tuple[int, ...]) -> tuple[int, ...]:
        return self.shape

    def infer(self, *inputs: TensorType) -> TensorType:
        if self.port is None:
            raise InvalidModel("has no fixed-point type: no quantizer reads it")
        return TensorType.of(self.port, self.shape)

    def bind(self, *inputs: TensorType) -> Callable[..., IntArray]:
        return lambda raw: raw

    def work(self, *inputs: TensorType, plan: Plan) -> Work:
        return Work()

    def hls(self, *inputs: TensorType, plan: Plan) -> Kernel | None:
        return None

    def reuse_factors(self, *inputs: TensorType) -> tuple[int, ...]:
        return (1,)


@dataclass(frozen=True)
class Node:
    """One operation in its place.

    Parameters
    ----------
    name : str
        Unique in the graph and a C identifier.
    op : Op
    inputs : tuple of str
        Names of the nodes whose outputs it takes, in order.
    layer : str
        Name of the model's layer that it comes from.
    keeps : Fixed, optional
        Where readers need the value's low bits alone: the type that it is kept in, modulo its range, with all its
        fractional bits.
    width : int
        How many bits the value has then, at most, before it is kept in fewer.
    """

    name: str
    op: Op
    inputs: tuple[str, ...] = ()
    layer: str = ""
    keeps: Fixed | None = None
    width: int = 0


@dataclass(frozen=True)
class Place:
    """Where what a layer of the model answers is found in a graph.

    Parameters
    ----------
    node : str
        Name of the node that has it.
    axes : tuple of int
        The order in which the layer has the axes of the node's value, as numpy's transpose takes it; () if as they are.
    off : float
        How far, at most, the node's value is from the layer's, where its readers need no more of it.
    casts : tuple of Fixed
        What the layer's answer is cast to on its way to the node, as its readers want it.
    before : str
        The function that is left to the host, such as "softmax": the value is what the layer applies it to.
    channels : tuple of int
        The indices along the node's last axis that the node still has, of those that there were; () for all.
    """

    node: str
    axes: tuple[int, ...] = ()
    off: float = 0.0
    casts: tuple[Fixed, ...] = ()
    before: str = ""
    channels: tuple[int, ...] = ()

    def instead_of(self, place: Place) -> Place | None:
        """Return where a layer's answer is that was at `place`, now that what was that place's node's value is here.

        None if that can't be said: if some channels were gone already, and the axes have another order now.
        """
        if place.channels and self.axes:
            return None
        both = place.channels and self.channels
        channels = tuple(place.channels[i] for i in self.channels) if both else place.channels or self.channels
        axes = tuple(self.axes[axis] for axis in place.axes) if self.axes and place.axes else self.axes or place.axes
        # A cast gets from what is near enough to an answer what it would get from that itself.
        off = 0.0 if self.casts else self.off + place.off
        return Place(self.node, axes, off, place.casts + self.casts, self.before or place.before, channels)


@dataclass(frozen=True, eq=False)
class Graph:
    """A network of exact integer operations.

    Parameters
    ----------
    nodes : tuple of Node
        In an order in which every node comes after its inputs.
    outputs : tuple of str
        Names of the nodes whose values leave the hardware, in the model's order; one may stand twice.
    output_names : tuple of str
        What the model calls them.
    notes : tuple of str
        What a user should know: one sentence each.
    host : tuple of str
        For each output the function that whoever reads it applies, such as "softmax", or "".
    chosen : tuple of str
        Layers whose precision the model doesn't say, so that it was chosen: there the model's own floats are approximated.
    places : mapping
        For each call of a layer of the model, in the model's order, where its answer is found; None if no node has it any
        more. A pass that changes what a node's value is says so with `moved` or `fused`.
    """

    nodes: tuple[Node, ...]
    outputs: tuple[str, ...]
    output_names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    host: tuple[str, ...] = ()
    chosen: tuple[str, ...] = ()
    places: Mapping[str, Place | None] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Node:
        return self._by_name[name]

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes)

    def __len__(self) -> int:
        return len(self.nodes)

    @cached_property
    def _by_name(self) -> dict[str, Node]:
        return {node.name: node for node in self.nodes}

    @property
    def inputs(self) -> tuple[Node, ...]:
        """The nodes where samples enter, in the model's order."""
        return tuple(node for node in self.nodes if isinstance(node.op, Input))

    @cached_property
    def types(self) -> dict[str, TensorType]:
        """The exact type of every node's output.

        Raises
        ------
        InvalidModel
            If an op can't take its inputs.
        TooWide
            If a value needs more than 63 bits. Both name the layer.
        """
        types: dict[str, TensorType] = {}
        for node in self.nodes:
            types[node.name] = infer(node, [types[name] for name in node.inputs])
        return types

    def input_types(self, node: Node) -> tuple[TensorType, ...]:
        """The types of what a node takes."""
        return tuple(self.types[name] for name in node.inputs)

    @cached_property
    def readers(self) -> dict[str, tuple[Node, ...]]:
        """The nodes that take each node's output, without repetition."""
        found: dict[str, list[Node]] = {node.name: [] for node in self.nodes}
        for node in self.nodes:
            for name in dict.fromkeys(node.inputs):
                found[name].append(node)
        return {name: tuple(nodes) for name, nodes in found.items()}

    def verify(self) -> Graph:
        """Check the graph's own rules and return it.

        Raises
        ------
        HLSError
            If a name stands twice, a node comes before its input, an output doesn't exist, or a type can't be inferred.
        """
        seen: set[str] = set()
        for node in self.nodes:
            if not node.name.isidentifier():
                raise HLSError(f"Node name must be an identifier, not {node.name!r}")
            if node.name in seen:
                raise HLSError(f"Node name must be unique, but {node.name!r} stands twice")
            for name in node.inputs:
                if name not in seen:
                    raise HLSError(f"Node {node.name!r} takes {name!r}, which doesn't come before it")
            seen.add(node.name)
        if missing := [name for name in self.outputs if name not in seen]:
            raise HLSError(f"Output must be a node of the graph, not {missing[0]!r}")
        if len(self.output_names) != len(self.outputs):
            raise HLSError(f"{len(self.outputs)} outputs must have as many names, not {len(self.output_names)}")
        for label, place in self.places.items():
            if place is not None and place.node not in seen:
                raise HLSError(f"The answer of layer {label!r} must be at a node of the graph, not {place.node!r}")
        assert self.types is not None
        return self

    def with_ops(self, ops: Mapping[str, Op]) -> Graph:
        """Return the graph with other operations under the given nodes' names."""
        return replace(self, nodes=tuple(replace(n, op=ops[n.name]) if n.name in ops else n for n in self.nodes))

    def without(self, renamed: Mapping[str, str]) -> Graph:
        """Return the graph without the nodes that are keys; whoever read one reads its value instead, which is the same."""

        def final(name: str) -> str:
            while name in renamed:
                name = renamed[name]
            return name

        kept = tuple(
            replace(node, inputs=tuple(map(final, node.inputs))) for node in self.nodes if node.name not in renamed
        )
        moved = self.moved({name: Place(final(name)) for name in renamed})
        return replace(moved, nodes=kept, outputs=tuple(map(final, self.outputs)))

    def moved(self, to: Mapping[str, Place | None]) -> Graph:
        """Return the graph with the answers of layers found elsewhere: where a node's value is now, or None for nowhere."""

        def now(place: Place | None) -> Place | None:
            if place is None or place.node not in to:
                return place
            there = to[place.node]
            return None if there is None else there.instead_of(place)

        return replace(self, places={label: now(place) for label, place in self.places.items()})

    def fused(
        self, ops: Mapping[str, Op], into: Mapping[str, str], seen: Mapping[str, Place | None] | None = None
    ) -> Graph:
        """Return the graph with some nodes drawn into others, whose ops do both.

        Parameters
        ----------
        ops : mapping
            The new ops, by the names of the nodes that take others up.
        into : mapping
            By the name of each node that goes away, the one that takes it up; in the graph's order.
        seen : mapping, optional
            By the same names, how the other node's earlier value can still be seen; by default it can't.
        """
        moved: dict[str, Place | None] = {}
        chains: dict[str, list[str]] = {}
        for name, source in into.items():
            now = (seen or {}).get(name)
            for earlier in chains.setdefault(source, [source]):
                place = moved.get(earlier, Place(source))
                moved[earlier] = None if now is None or place is None else now.instead_of(place)
            moved[name] = Place(source)
            chains[source].append(name)
        return self.moved(moved).with_ops(ops).without(into)


def infer(node: Node, inputs: Iterable[TensorType], op: Op | None = None) -> TensorType:
    """Return the type of a node's output, or of another op's in its place; errors name its layer."""
    with named(node):
        kind = _inferred(op or node.op, tuple(inputs))
        return kind if node.keeps is None else Quantization(Formats.of(node.keeps), kind).type


class Names:
    """Names of nodes: those that are taken, and free ones.

    Parameters
    ----------
    taken : iterable of str
    """

    def __init__(self, taken: Iterable[str] = ()):
        self._taken = set(taken)

    def free(self, wish: str) -> str:
        """Take a name, and return it: the wish, or with the first number behind it with which it is free."""
        name, count = wish, 1
        while name in self._taken:
            name, count = f"{wish}_{count}", count + 1
        self._taken.add(name)
        return name


def _inferred(op: Op, inputs: tuple[TensorType, ...]) -> TensorType:
    """What an op infers; for the same types it isn't asked again, as each pass that changes little does."""
    return _remembered(op, "_inferred", inputs, lambda: op.infer(*inputs))


def _remembered(op: Op, what: str, inputs: tuple[Any, ...], ask: Callable[[], Answer]) -> Answer:
    """What an op answered last time, if it was asked the same; else what it answers now."""
    last: tuple[tuple[Any, ...], Answer] | None = vars(op).get(what)
    if last is not None and len(last[0]) == len(inputs) and all(a is b for a, b in zip(last[0], inputs)):
        return last[1]
    answer = ask()
    vars(op)[what] = inputs, answer
    return answer


def bind(node: Node, inputs: Sequence[TensorType]) -> Callable[..., IntArray]:
    """Return a node's integer meaning for inputs of these types: its op's, in as many bits as the node keeps."""
    run = node.op.bind(*inputs)
    if node.keeps is None:
        return run
    cut = Quantization(Formats.of(node.keeps), node.op.infer(*inputs))
    return lambda *raws: cut(run(*raws))


def work(node: Node, inputs: Sequence[TensorType], plan: Plan) -> Work:
    """Return what a node needs in hardware: its op, in as many bits as the node keeps."""
    found = _remembered(node.op, f"_work_{plan}", tuple(inputs), lambda: node.op.work(*inputs, plan=plan))
    return found if node.keeps is None else found.modulo(node.keeps.width)


def settle(node: Node, inputs: Iterable[TensorType], frac: int | None) -> Op:
    """Return a node's op with its precision settled; errors name its layer."""
    with named(node):
        return node.op.settle(*inputs, frac=frac)


@contextmanager
def named(node: Node) -> Iterator[None]:
    """Turn what an op raises into errors that name its layer."""
    try:
        yield
    except TooWide as error:
        raise TooWide(
            f"Layer {node.layer or node.name!r} ({type(node.op).__name__}) can't be computed in 63-bit integers: {error}."
            " Quantize its inputs or weights to fewer bits; where types are chosen, pass fewer bits= or a precision= for it"
        ) from None
    except InvalidModel as error:
        raise InvalidModel(f"Layer {node.layer or node.name!r} {error}") from None
    except ValueError as error:
        raise InvalidModel(f"Layer {node.layer or node.name!r} ({type(node.op).__name__}): {error}") from None


def check_plan(node: Node, plan: Plan, inputs: Iterable[TensorType]) -> Plan:
    """Return the plan that suits a node, or say which would.

    Raises
    ------
    InvalidOption
        If the reuse factor doesn't fit the op; the valid neighbours are named.
    """
    factors = node.op.reuse_factors(*inputs)
    if factors == (1,):
        return replace(plan, reuse_factor=1)
    if plan.strategy == "Latency":
        if plan.reuse_factor != 1:
            raise InvalidOption(
                f"Layer {node.layer!r}: reuse_factor must be 1 with strategy 'Latency' (fully unrolled), not "
                f"{plan.reuse_factor}. Take strategy='Resource' to share multipliers"
            )
        return plan
    if plan.reuse_factor not in factors:
        below = [f for f in factors if f < plan.reuse_factor][-1:]
        above = [f for f in factors if f > plan.reuse_factor][:1]
        near = " or ".join(map(str, below + above))
        raise InvalidOption(f"Layer {node.layer!r}: reuse_factor must be {near} (the nearest), not {plan.reuse_factor}")
    return plan
