"""The one picture of a network that emulator, cost model and emitter share: a list of exact integer operations.

A frontend writes a `Graph`, a pass turns one into another, and three readers take it from there. Nothing here knows a
layer, a backend or Keras. What an operation must be able to say about itself is the contract `Op`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any, ClassVar, Literal

import numpy as np

from keras_hls.errors import HLSError, InvalidModel, InvalidOption, TooWide
from keras_hls.fixed import MAX_BITS, BoolArray, Constant, Fixed, Formats, IntArray, Quantization, Real, TensorType

Strategy = Literal["Latency", "Resource"]
STRATEGIES: tuple[Strategy, ...] = ("Latency", "Resource")


@dataclass(frozen=True)
class Plan:
    """How one operation is to be built: what changes the hardware but never a bit of its answer.

    Parameters
    ----------
    strategy : {"Latency", "Resource"}
        Latency unrolls everything, with constants in the logic; Resource shares multipliers over `reuse_factor` cycles.
    reuse_factor : int
        How often each multiplier is used for one sample.
    """

    strategy: Strategy = "Latency"
    reuse_factor: int = 1


UnitKind = Literal[
    "multiply",  # widths: both factors
    "constant_multiply",  # widths: variable, constant; digits: nonzero signed digits (CSD) of the constant
    "add",  # widths: sum
    "compare",  # widths: compared value
    "select",  # widths: chosen value
    "divide",  # widths: dividend, divisor
    "round",  # widths: result (an increment of the kept bits)
    "saturate",  # widths: value before, value after
    "table",  # widths: index, entry
    "memory",  # widths: one word; count: words
    "register",  # widths: held value
]


@dataclass(frozen=True)
class Unit:
    """`count` equal pieces of hardware: vendor-neutral, before anyone says LUT or DSP.

    Parameters
    ----------
    kind : str
        What it does; see `UnitKind`.
    count : int
        How many of them exist side by side in the hardware.
    widths : tuple of int
        Bits of what it works on, by kind.
    digits : int
        Nonzero digits of a constant factor in canonical signed-digit form; 0 where there is none.
    """

    kind: UnitKind
    count: int
    widths: tuple[int, ...]
    digits: int = 0


@dataclass(frozen=True)
class Work:
    """What an operation needs for one sample.

    Parameters
    ----------
    units : tuple of Unit
        The hardware that exists side by side.
    depth : tuple of Unit
        One unit for each step of the longest path through it, in order: what a clock period has to be cut into.
    interval : int
        Cycles until the next sample can start.
    """

    units: tuple[Unit, ...]
    depth: tuple[Unit, ...]
    interval: int = 1

    def modulo(self, bits: int) -> Work:
        """Return the work if only so many low bits of the result are made: no sum is wider, nor is what is held or chosen."""

        def cut(unit: Unit) -> Unit:
            kept = unit.kind in ("add", "select", "register")
            return replace(unit, widths=tuple(min(width, bits) for width in unit.widths)) if kept else unit

        return replace(self, units=tuple(map(cut, self.units)), depth=tuple(map(cut, self.depth)))


@dataclass(frozen=True)
class Kernel:
    """What the C++ of an operation needs to know besides the types of its inputs and output.

    Parameters
    ----------
    name : str
        Function template, in the header ``<header>.h``.
    sizes : mapping of str to int
        Compile-time integers of its configuration.
    tables : mapping of str to Constant
        Arrays of raw integers, passed after the output, in this order.
    header : str
        Name of the header without ``.h``.
    cast : Formats, optional
        Modes that the output type carries, so that assigning to it rounds and saturates.
    """

    name: str
    header: str
    sizes: Mapping[str, int] = field(default_factory=dict)
    tables: Mapping[str, Constant] = field(default_factory=dict)
    cast: Fixed | None = None


@dataclass(frozen=True, eq=False)
class Needs:
    """What an op takes to make some channels of its output; a channel is an index of a tensor's last axis.

    Parameters
    ----------
    made : bool array
        Channels of the output that it makes then: those that are wanted, and others where they come together.
    inputs : tuple of bool arrays
        For each input, the channels that it takes.
    """

    made: BoolArray
    inputs: tuple[BoolArray, ...]


class Op(ABC):
    """An exact integer operation: a frozen dataclass whose fields say all about it.

    Subclass it in one file of ``layers_ext`` (or in your own package), write its kernel for each backend, and let
    ``check_op`` ask it the same questions as every other. It never rounds and never overflows (only `Quantize` does, and
    tables, which carry their own precision), so its output type is a matter of arithmetic. Fields may be integers,
    strings, booleans, None, `Constant`, `Fixed`, `Formats`, a `Graph` (a body to repeat) or tuples of these. Where a layer
    has no quantizers, a `Real` may stand for a `Constant` until a pass has chosen its type.
    """

    #: Every op by its name in saved graphs; filled when the class is made.
    registry: ClassVar[dict[str, type[Op]]] = {}

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        known = Op.registry.setdefault(cls.__name__, cls)
        if (known.__module__, known.__qualname__) != (cls.__module__, cls.__qualname__):
            raise TypeError(f"An op named {cls.__name__!r} exists already, in {known.__module__}")
        Op.registry[cls.__name__] = cls

    @abstractmethod
    def infer(self, *inputs: TensorType) -> TensorType:
        """Return the shape and the exact interval of every output element.

        Raises
        ------
        ValueError
            If the inputs' shapes don't suit the op.
        TooWide
            If an element would need more than 63 bits.
        """

    @abstractmethod
    def bind(self, *inputs: TensorType) -> Callable[..., IntArray]:
        """Return the op's integer meaning for inputs of these types.

        The function takes one int64 array an input, of shape (n, *its shape), in units of ``2**-frac`` of its type, and
        returns the output likewise. It must not change its arguments. What can be prepared once is prepared here.
        """

    @abstractmethod
    def work(self, *inputs: TensorType, plan: Plan) -> Work:
        """Return what the op needs in hardware, from its real constants and types."""

    @abstractmethod
    def hls(self, *inputs: TensorType, plan: Plan) -> Kernel | None:
        """Return what its C++ kernel needs; None if it is only wiring, or an input."""

    @abstractmethod
    def reuse_factors(self, *inputs: TensorType) -> tuple[int, ...]:
        """Return every reuse factor that the op can take, in order; (1,) if it has nothing to share."""

    @property
    def cast(self) -> Formats | None:
        """The formats that the op casts its one input to, if that is all it does; else None."""
        return None

    @property
    def wiring(self) -> bool:
        """Whether the output is always the input's elements in the same order, so that it takes no hardware."""
        return False

    @property
    def moves(self) -> bool:
        """Whether every output element is always the same element of the inputs, or always 0, whatever their values."""
        return self.wiring

    @property
    def selects(self) -> bool:
        """Whether every output element is one of the inputs' elements, or 0, and never falls where an input rises.

        Then rounding before the op and rounding after it are the same, and a pass may look through it.
        """
        return self.moves

    @property
    def permutation(self) -> tuple[int, ...] | None:
        """The order in which the op puts the axes of a sample, if that is all it does; else None."""
        return None

    def then_permuted(self, axes: tuple[int, ...]) -> Op | None:
        """Return the one op that does this and then puts the axes in another order, if there is one; else None."""
        return None

    def permuted(self, axes: tuple[int, ...]) -> Op | None:
        """Return the op that, of inputs with their axes in another order, makes this op's output in that order; else None.

        ``op.permuted(axes)(transpose(x, axes))`` is ``transpose(op(x), axes)``: axis k of the one is axis ``axes[k]`` of the
        other. All inputs and the output have as many axes; a pass asks only then.
        """
        return None

    @property
    def endless(self) -> bool:
        """Whether its results are quotients without a last bit, which Keras's floats round before anything cuts them."""
        return False

    def settle(self, *inputs: TensorType, frac: int | None) -> Op:
        """Return the op with the precision that its readers need, for one whose results have no last bit.

        Parameters
        ----------
        *inputs : TensorType
        frac : int, optional
            Fractional bits at which all that reads it cuts the result, or None if something takes it as it is. An op that
            is given them answers with two more bits, the last of which is also set where anything lies beyond (it rounds to
            odd): from that, every rounding mode gets what it would get from the real number itself.
        """
        return self

    @property
    def narrow(self) -> Literal["index", "value"] | None:
        """What its inputs are cast to where a float model leaves their types open: few bits that index a table, or as many as
        layers hand on; None where it takes them as wide as they are."""
        return None

    @property
    def scaling(self) -> tuple[Constant, Constant] | None:
        """Factor and offset, if all that the op does is to multiply by the one and add the other; else None."""
        return None

    def scaled(self, scale: Constant, offset: Constant) -> Op | None:
        """Return the one op that does this and then multiplies and adds, if nothing is lost by it; else None."""
        return None

    def fused(self, cast: Formats, *inputs: TensorType) -> Op | None:
        """Return the one op that does this and then the cast, if there is one; else None."""
        return None

    def channelwise(self, kept: BoolArray, *inputs: TensorType) -> Op | None:
        """Return the op for tensors with some of their channels alone, if each of the output's is made of that of every input.

        Parameters
        ----------
        kept : bool array
            By index of the last axis; all inputs and the output have as many.
        *inputs : TensorType
            With all channels.
        """
        return None

    def needs(self, wanted: BoolArray, *inputs: TensorType) -> Needs:
        """Return what the op takes to make the channels that are `wanted`: by default, and if in doubt, all.

        Parameters
        ----------
        wanted : bool array
            By index of the output's last axis.
        *inputs : TensorType
        """
        if self.channelwise(wanted, *inputs) is not None:
            return Needs(wanted, (wanted,) * len(inputs))
        return Needs(np.ones_like(wanted), tuple(np.ones(x.channels, bool) for x in inputs))

    def pruned(self, made: BoolArray, given: Sequence[BoolArray], *inputs: TensorType) -> Op | None:
        """Return the op that makes some channels alone, of inputs that have some alone; None if it can't take them.

        An input of which nothing is given isn't there any more.

        Parameters
        ----------
        made : bool array
            As `needs` said.
        given : sequence of bool arrays
            For each input what `needs` said, which the op must be able to take, or more.
        *inputs : TensorType
            With all channels.
        """
        if all(np.array_equal(made, one) for one in given):
            op = self.channelwise(made, *inputs)
            if op is not None:
                return op
        return self if made.all() and all(one.all() for one in given) else None

    def knowing(self, values: Sequence[Constant | None], *inputs: TensorType) -> Op | None:
        """Return the op that does the same to the inputs that vary alone, where the values of the others are known; else None.

        Parameters
        ----------
        values : sequence
            For each input its value, of the input's shape, or None where it varies.
        *inputs : TensorType
        """
        return None

    @property
    def wraps(self) -> bool:
        """Whether its C++, where the output's type is narrower than the values, makes their low bits.

        Adds, multiplies and moves do, as they work modulo any power of two; what compares its result, or stores it as bits,
        doesn't.
        """
        return False

    def low_bits(self, bits: int, *inputs: TensorType) -> tuple[int, ...]:
        """Return how many low bits of each input's integers decide so many of the output's; `MAX_BITS` for all of them."""
        return (MAX_BITS,) * len(inputs)

    @property
    def host(self) -> str | None:
        """The function that the op is, if whoever reads the hardware's answer can apply it just as well; else None."""
        return None

    def error(self, *inputs: TensorType) -> float:
        """How far, at most, a value may be from that of the function that the op stands for; 0 for what is exact."""
        return 0.0

    def identity(self, *inputs: TensorType) -> bool:
        """Whether the output is, for inputs of these types, the first input itself: same shape, same values."""
        return False


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

    def infer(self, *inputs: TensorType) -> TensorType:
        if self.port is None:
            raise InvalidModel("has no fixed-point type: no quantizer reads it")
        return TensorType.of(self.port, self.shape)

    def bind(self, *inputs: TensorType) -> Callable[..., IntArray]:
        return lambda raw: raw

    def work(self, *inputs: TensorType, plan: Plan) -> Work:
        return Work((), ())

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


def _inferred(op: Op, inputs: tuple[TensorType, ...]) -> TensorType:
    """What an op infers; for the same types it isn't asked again, as each pass that changes little does."""
    last: tuple[tuple[TensorType, ...], TensorType] | None = vars(op).get("_inferred")
    if last is not None and len(last[0]) == len(inputs) and all(a is b for a, b in zip(last[0], inputs)):
        return last[1]
    kind = op.infer(*inputs)
    vars(op)["_inferred"] = inputs, kind
    return kind


def bind(node: Node, inputs: Sequence[TensorType]) -> Callable[..., IntArray]:
    """Return a node's integer meaning for inputs of these types: its op's, in as many bits as the node keeps."""
    run = node.op.bind(*inputs)
    if node.keeps is None:
        return run
    cut = Quantization(Formats.of(node.keeps), node.op.infer(*inputs))
    return lambda *raws: cut(run(*raws))


def work(node: Node, inputs: Sequence[TensorType], plan: Plan) -> Work:
    """Return what a node needs in hardware: its op, in as many bits as the node keeps."""
    found = node.op.work(*inputs, plan=plan)
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
            " Quantize its inputs or weights to fewer bits"
        ) from None
    except InvalidModel as error:
        raise InvalidModel(f"Layer {node.layer or node.name!r} {error}") from None
    except ValueError as error:
        raise InvalidModel(f"Layer {node.layer or node.name!r} ({type(node.op).__name__}): {error}") from None


def op_fields(op: Op) -> dict[str, Any]:
    """Return an op's dataclass fields by name."""
    return {f.name: getattr(op, f.name) for f in fields(op)}  # type: ignore[arg-type]


def reals(op: Op) -> Iterator[tuple[str, Real]]:
    """Yield an op's weights that have no type yet, with the names of their fields."""
    for name, value in op_fields(op).items():
        for part in value if isinstance(value, tuple) else (value,):
            if isinstance(part, Real):
                yield name, part


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
