"""What an operation must be able to say about itself: the contract `Op`, and the words that it answers in.

Passes, emulator, cost model and emitters ask these questions, and never what class an op is.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar, Literal

import numpy as np

from keras_hls.fixed import MAX_BITS, BoolArray, Constant, Fixed, Formats, IntArray, Real, TensorType

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
    "multiplex",  # widths: how many values one is chosen of, chosen value
    "divide",  # widths: dividend, divisor
    "round",  # widths: result (an increment of the kept bits)
    "saturate",  # widths: value before, value after
    "table",  # widths: index, entry
    "memory",  # widths: one word; count: words
    "fifo",  # widths: words, one word
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
class Step:
    """Units that work side by side, at one depth of an operation.

    Parameters
    ----------
    units : tuple of Unit
        The next step waits for the slowest of them.
    passing : int
        Bits of values that later steps take and none of these units makes: where a clock edge falls behind the step,
        registers hold them beside its results.
    repeats : int
        How many cycles the units are busy with one sample, where they take several turns.
    """

    units: tuple[Unit, ...]
    passing: int = 0
    repeats: int = 1


@dataclass(frozen=True)
class Work:
    """What an operation needs for one sample.

    Parameters
    ----------
    steps : tuple of Step
        The hardware in the order in which values pass it: what clock periods have to be cut into.
    interval : int
        Cycles until the next sample can start.
    beside : tuple of Unit
        Hardware that no value has to pass: registers of running sums, and the choice of what is worked on.
    loops : bool
        Whether the steps are the body of a pipelined loop, which a sample goes through several times.
    """

    steps: tuple[Step, ...] = ()
    interval: int = 1
    beside: tuple[Unit, ...] = ()
    loops: bool = False

    @property
    def units(self) -> tuple[Unit, ...]:
        """All that exists side by side in the hardware."""
        return (*(unit for step in self.steps for unit in step.units), *self.beside)

    def modulo(self, bits: int) -> Work:
        """Return the work if only so many low bits of the result are made: no sum is wider, nor is what is held or chosen."""

        def cut(unit: Unit) -> Unit:
            kept = unit.kind in ("add", "select", "register")
            return replace(unit, widths=tuple(min(width, bits) for width in unit.widths)) if kept else unit

        steps = tuple(replace(step, units=tuple(map(cut, step.units))) for step in self.steps)
        return replace(self, steps=steps, beside=tuple(map(cut, self.beside)))


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

    def result_shape(self, *shapes: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape of the output for inputs of these shapes, while types are still unknown.

        Raises
        ------
        ValueError
            If the shapes don't suit the op.
        """
        zeros = [TensorType(np.zeros(shape, np.int64), np.zeros(shape, np.int64), 0) for shape in shapes]
        op = with_weights(self, lambda name, real: Constant(np.ones(real.shape, np.int64), 0))
        return op.settle(*zeros, frac=0).infer(*zeros).shape

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

    def factored(self) -> tuple[Op, Op] | None:
        """Return the op with shorter constants, and the one that then multiplies each output by what they had in common; None if
        they have nothing in common."""
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


def op_fields(op: Op) -> dict[str, Any]:
    """Return an op's dataclass fields by name."""
    return {f.name: getattr(op, f.name) for f in fields(op)}  # type: ignore[arg-type]


def reals(op: Op) -> Iterator[tuple[str, Real]]:
    """Yield an op's weights that have no type yet, with the names of their fields."""
    for name, value in op_fields(op).items():
        for part in value if isinstance(value, tuple) else (value,):
            if isinstance(part, Real):
                yield name, part


def with_weights(op: Op, chosen: Callable[[str, Real], Constant]) -> Op:
    """Return an op with a constant for each weight that has no type yet, from the name of its field and its values."""
    made = {id(real): chosen(name, real) for name, real in reals(op)}
    changed: dict[str, Any] = {}
    for name, value in op_fields(op).items() if made else ():
        if id(value) in made:
            changed[name] = made[id(value)]
        elif isinstance(value, tuple) and any(id(part) in made for part in value):
            changed[name] = tuple(made.get(id(part), part) for part in value)
    return replace(op, **changed) if changed else op  # type: ignore[type-var]
