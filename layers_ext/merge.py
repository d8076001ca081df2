"""Layers that join several tensors element by element; shapes of samples broadcast as numpy's do."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import log2, prod
from typing import ClassVar, Literal

import numpy as np

from keras_hls.errors import TooWide
from keras_hls.fixed import MAX_BITS, BoolArray, Constant, Fixed, IntArray, TensorType, shift_left
from keras_hls.layers_ext.counting import by_kind, constant_bits, csd_digits, units
from keras_hls.layers_ext.quotient import divide
from keras_hls.layers_ext.reading import Builder, LayerView, Ref, reads
from keras_hls.layers_ext.scale import Scale
from keras_hls.op import Kernel, Needs, Op, Plan, Unit, Work

#: Loops of the kernel, in `emitters/vitis/kernels/elementwise.h`.
_LOOPS = 6


class Elementwise(Op):
    """y = f(a, b), exact, one element of each at a time; their shapes broadcast."""

    #: What it computes, on integers of one grid where `aligns`, and the template of its C++.
    function: ClassVar[np.ufunc]
    kernel: ClassVar[str]
    #: Whether it needs both inputs on one grid.
    aligns: ClassVar[bool] = True

    @abstractmethod
    def ends(self, a: TensorType, b: TensorType) -> tuple[IntArray, IntArray]:
        """Return the lowest and the highest result of each element, from inputs of the output's shape."""

    @abstractmethod
    def zeros(self, a: TensorType, b: TensorType) -> IntArray:
        """Return the low bits of each result that are always zero."""

    @abstractmethod
    def hardware(self, a: TensorType, b: TensorType, y: TensorType) -> list[Unit]:
        """Return the units of all elements, in the order in which a value passes them."""

    def _operands(self, *inputs: TensorType) -> tuple[TensorType, TensorType]:
        """Both inputs in the output's shape and, where that matters, on one grid."""
        a, b = inputs
        try:
            shape = np.broadcast_shapes(a.shape, b.shape)
        except ValueError:
            raise ValueError(
                f"inputs of shapes {a.shape} and {b.shape} don't broadcast: axes, counted from the last, must agree or be 1"
            ) from None
        frac = max(a.frac, b.frac)
        spread = []
        for x in inputs:
            up = frac - x.frac if self.aligns else 0
            low, high, zeros = (np.broadcast_to(array, shape) for array in (x.low, x.high, x.zeros))
            spread.append(TensorType(shift_left(low, up), shift_left(high, up), x.frac + up, zeros + up))
        return spread[0], spread[1]

    def infer(self, *inputs: TensorType) -> TensorType:
        a, b = self._operands(*inputs)
        if len(_loops(inputs[0].shape, inputs[1].shape, a.shape)) > _LOOPS:
            raise ValueError(
                f"inputs of shapes {inputs[0].shape} and {inputs[1].shape} broadcast along more than {_LOOPS} runs of axes;"
                " reshape them to fewer"
            )
        low, high = self.ends(a, b)
        return TensorType(low, high, a.frac if self.aligns else a.frac + b.frac, self.zeros(a, b))

    def bind(self, *inputs: TensorType) -> Callable[..., IntArray]:
        rank = max(len(x.shape) for x in inputs)
        shapes = [(1,) * (rank - len(x.shape)) + x.shape for x in inputs]
        frac = max(x.frac for x in inputs)
        ups = [frac - x.frac if self.aligns else 0 for x in inputs]

        def run(*raws: IntArray) -> IntArray:
            a, b = ((raw << up if up else raw).reshape(len(raw), *shape) for raw, up, shape in zip(raws, ups, shapes))
            return self.function(a, b)

        return run

    def permuted(self, axes: tuple[int, ...]) -> Op:
        return self

    def needs(self, wanted: BoolArray, *inputs: TensorType) -> Needs:
        # An input of one channel beside others has it for all of them.
        return Needs(wanted, tuple(wanted if x.channels == wanted.size else np.ones(1, bool) for x in inputs))

    def pruned(self, made: BoolArray, given: Sequence[BoolArray], *inputs: TensorType) -> Op | None:
        fits = all(one.size != made.size or np.array_equal(one, made) for one in given)
        return self if fits else None

    @property
    def wraps(self) -> bool:
        return True

    def reuse_factors(self, *inputs: TensorType) -> tuple[int, ...]:
        return (1,)

    def work(self, *inputs: TensorType, plan: Plan) -> Work:
        return by_kind(self.hardware(*self._operands(*inputs), self.infer(*inputs)))

    def hls(self, *inputs: TensorType, plan: Plan) -> Kernel:
        a, b = inputs
        shape = np.broadcast_shapes(a.shape, b.shape)
        loops = _loops(a.shape, b.shape, shape)
        sizes = {"a_size": a.size, "b_size": b.size, "y_size": prod(shape)}
        for i, (n, a_stride, b_stride) in enumerate([(1, 0, 0)] * (_LOOPS - len(loops)) + loops):
            sizes |= {f"n{i}": n, f"a{i}": a_stride, f"b{i}": b_stride}
        return Kernel(self.kernel, "elementwise", sizes)


def _loops(a: tuple[int, ...], b: tuple[int, ...], shape: tuple[int, ...]) -> list[tuple[int, int, int]]:
    """Return the fewest nested loops over the output, outermost first: steps, and how far a and b go in each.

    Neighbouring axes along which the same inputs repeat are one loop.
    """
    full = [(1,) * (len(shape) - len(x)) + x for x in (a, b)]
    axes = [axis for axis, n in enumerate(shape) if n > 1]
    runs = [list(run) for _, run in groupby(axes, lambda axis: tuple(x[axis] > 1 for x in full))]

    def stride(x: tuple[int, ...], run: list[int]) -> int:
        return prod(x[run[-1] + 1 :]) if x[run[-1]] > 1 else 0

    return [(prod(shape[axis] for axis in run), stride(full[0], run), stride(full[1], run)) for run in runs]


@dataclass(frozen=True, eq=False)
class Add(Elementwise):
    """y = a + b."""

    function = np.add
    kernel = "add"

    def ends(self, a: TensorType, b: TensorType) -> tuple[IntArray, IntArray]:
        return a.low + b.low, a.high + b.high

    def zeros(self, a: TensorType, b: TensorType) -> IntArray:
        return np.minimum(a.zeros, b.zeros)

    def low_bits(self, bits: int, *inputs: TensorType) -> tuple[int, ...]:
        return _before_alignment(bits, inputs)

    def knowing(self, values: Sequence[Constant | None], *inputs: TensorType) -> Op | None:
        known = _beside(values, inputs)
        return None if known is None else Scale(Constant(np.array(1), 0), known)

    def hardware(self, a: TensorType, b: TensorType, y: TensorType) -> list[Unit]:
        # A constant zero on one side leaves a wire.
        return units("add", y.widths[~_absent(a) & ~_absent(b) & (y.widths > 0)])


@dataclass(frozen=True, eq=False)
class Subtract(Elementwise):
    """y = a - b."""

    function = np.subtract
    kernel = "subtract"

    def ends(self, a: TensorType, b: TensorType) -> tuple[IntArray, IntArray]:
        return a.low - b.high, a.high - b.low

    def zeros(self, a: TensorType, b: TensorType) -> IntArray:
        return np.minimum(a.zeros, b.zeros)

    def low_bits(self, bits: int, *inputs: TensorType) -> tuple[int, ...]:
        return _before_alignment(bits, inputs)

    def knowing(self, values: Sequence[Constant | None], *inputs: TensorType) -> Op | None:
        known = _beside(values, inputs)
        if known is None:
            return None
        if values[0] is known:
            return Scale(Constant(np.array(-1), 0), known)
        return Scale(Constant(np.array(1), 0), Constant(-known.raw, known.frac))

    def hardware(self, a: TensorType, b: TensorType, y: TensorType) -> list[Unit]:
        # Nothing is subtracted; to subtract from nothing is to negate.
        return units("add", y.widths[~_absent(b) & (y.widths > 0)])


@dataclass(frozen=True, eq=False)
class Multiply(Elementwise):
    """y = a * b."""

    function = np.multiply
    kernel = "multiply"
    aligns = False

    @property
    def narrow(self) -> Literal["value"]:
        return "value"

    def ends(self, a: TensorType, b: TensorType) -> tuple[IntArray, IntArray]:
        largest = [np.maximum(np.abs(x.low), np.abs(x.high)).astype(np.float64) for x in (a, b)]
        if (largest[0] * largest[1]).max(initial=0) >= (1 << (MAX_BITS - 1)) * (1 - 1e-9):
            raise TooWide(f"a product needs more than {MAX_BITS} bits")
        corners = a.low * b.low, a.low * b.high, a.high * b.low, a.high * b.high
        return np.minimum.reduce(corners), np.maximum.reduce(corners)

    def zeros(self, a: TensorType, b: TensorType) -> IntArray:
        return np.minimum(a.zeros + b.zeros, MAX_BITS)

    def low_bits(self, bits: int, *inputs: TensorType) -> tuple[int, ...]:
        a, b = (int(x.zeros.min(initial=MAX_BITS)) for x in inputs)
        return bits - b, bits - a

    def knowing(self, values: Sequence[Constant | None], *inputs: TensorType) -> Op | None:
        known = _beside(values, inputs)
        return None if known is None else Scale(known)

    def hardware(self, a: TensorType, b: TensorType, y: TensorType) -> list[Unit]:
        both = (a.widths > 0) & (b.widths > 0)
        found = units("multiply", a.widths[both], b.widths[both])
        varies = np.maximum(a.widths, b.widths)
        factor = np.where(a.widths > 0, b.low, a.low)
        known = ~both & (varies > 0)
        digits = csd_digits(factor)
        some = known & (digits > 1)
        found += units("constant_multiply", varies[some], constant_bits(factor[some]), digits=digits[some])
        # A factor of one digit is a shift; a negative one negates.
        return found + units("add", y.widths[known & (digits == 1) & (factor < 0)])


class Extreme(Elementwise):
    """y = the larger, or the smaller, of a and b."""

    @property
    def selects(self) -> bool:
        return True

    def ends(self, a: TensorType, b: TensorType) -> tuple[IntArray, IntArray]:
        return self.function(a.low, b.low), self.function(a.high, b.high)

    @abstractmethod
    def first(self, a: TensorType, b: TensorType) -> BoolArray:
        """Return where `a` is the answer whatever the values are."""

    def zeros(self, a: TensorType, b: TensorType) -> IntArray:
        either = np.minimum(a.zeros, b.zeros)
        return np.where(self.first(a, b), a.zeros, np.where(self.first(b, a), b.zeros, either))

    def hardware(self, a: TensorType, b: TensorType, y: TensorType) -> list[Unit]:
        open_ = ~self.first(a, b) & ~self.first(b, a)
        both = TensorType(np.minimum(a.low, b.low), np.maximum(a.high, b.high), a.frac, np.minimum(a.zeros, b.zeros))
        # Beside zero, the sign decides: nothing is compared.
        compared = open_ & ~_absent(a) & ~_absent(b)
        return [*units("compare", both.widths[compared]), *units("select", y.widths[open_])]

    def hls(self, *inputs: TensorType, plan: Plan) -> Kernel:
        kernel = super().hls(*inputs, plan=plan)
        both = self._operands(*inputs)
        low, high = min(int(x.low.min()) for x in both), max(int(x.high.max()) for x in both)
        common = Fixed.covering(min(low, -1), high, both[0].frac)
        return Kernel(kernel.name, kernel.header, {**kernel.sizes, "width": common.width, "integer": common.integer})


@dataclass(frozen=True, eq=False)
class Maximum(Extreme):
    """y = max(a, b)."""

    function = np.maximum
    kernel = "maximum"

    def first(self, a: TensorType, b: TensorType) -> BoolArray:
        return a.low >= b.high


@dataclass(frozen=True, eq=False)
class Minimum(Extreme):
    """y = min(a, b)."""

    function = np.minimum
    kernel = "minimum"

    def first(self, a: TensorType, b: TensorType) -> BoolArray:
        return a.high <= b.low


def _before_alignment(bits: int, inputs: Sequence[TensorType]) -> tuple[int, ...]:
    """How many low bits of each input make so many of a sum: those that are shifted up to its least bit are fewer."""
    frac = max(x.frac for x in inputs)
    return tuple(bits - (frac - x.frac) for x in inputs)


def _beside(values: Sequence[Constant | None], inputs: Sequence[TensorType]) -> Constant | None:
    """The value of the one input that is known, if the other has the shape of the result."""
    (known, varies), *_ = [*((v, x) for v, x in zip(values, reversed(inputs)) if v is not None), (None, None)]
    shape = np.broadcast_shapes(*(x.shape for x in inputs))
    return known if varies is not None and varies.shape == shape else None


def _absent(x: TensorType) -> BoolArray:
    """Where a value is always zero."""
    return (x.low == 0) & (x.high == 0)


def join(build: Builder, op: Op, inputs: Sequence[Ref], *, name: str, layer: str) -> Ref:
    """Append a balanced tree of `op`, which joins two tensors and doesn't mind their order.

    Parameters
    ----------
    build : Builder
    op : Op
    inputs : sequence of Ref
        At least one; a lone one is the result itself.
    name : str
        Of the last node; those before it are numbered after it.
    layer : str
    """
    level = list(inputs)
    while len(level) > 1:
        label = name if len(level) == 2 else f"{name}_part"
        pairs = zip(level[::2], level[1::2])
        odd = level[-1:] if len(level) % 2 else []
        level = [build.add(op, a, b, name=label, layer=layer) for a, b in pairs] + odd
    return level[0]


@reads("hgq.layers.QAdd", "keras.layers.Add")
def read_add(layer: LayerView, build: Builder, *inputs: Ref) -> Ref:
    """The sum of one or more tensors, whose shapes may broadcast."""
    return join(build, Add(), inputs, name=layer.name, layer=layer.name)


@reads("hgq.layers.QSubtract", "keras.layers.Subtract")
def read_subtract(layer: LayerView, build: Builder, first: Ref, second: Ref) -> Ref:
    """The difference of two tensors, whose shapes may broadcast."""
    return build.add(Subtract(), first, second, name=layer.name, layer=layer.name)


@reads("hgq.layers.QMultiply", "keras.layers.Multiply")
def read_multiply(layer: LayerView, build: Builder, *inputs: Ref) -> Ref:
    """The product of one or more tensors, whose shapes may broadcast."""
    return join(build, Multiply(), inputs, name=layer.name, layer=layer.name)


@reads("hgq.layers.QMaximum", "keras.layers.Maximum")
def read_maximum(layer: LayerView, build: Builder, *inputs: Ref) -> Ref:
    """The largest of one or more tensors, whose shapes may broadcast."""
    return join(build, Maximum(), inputs, name=layer.name, layer=layer.name)


@reads("hgq.layers.QMinimum", "keras.layers.Minimum")
def read_minimum(layer: LayerView, build: Builder, *inputs: Ref) -> Ref:
    """The smallest of one or more tensors, whose shapes may broadcast."""
    return join(build, Minimum(), inputs, name=layer.name, layer=layer.name)


@reads("keras.layers.Average")
def read_average(layer: LayerView, build: Builder, *inputs: Ref) -> Ref:
    """The average of one or more tensors, whose shapes may broadcast."""
    return _average(layer, build, inputs, len(inputs))


@reads("hgq.layers.QAveragePow2")
def read_average_pow2(layer: LayerView, build: Builder, *inputs: Ref) -> Ref:
    """The sum of one or more tensors over the power of two that is nearest to their number, in terms of its logarithm."""
    return _average(layer, build, inputs, 1 << -round(log2(1 / len(inputs))))


def _average(layer: LayerView, build: Builder, inputs: Sequence[Ref], divisor: int) -> Ref:
    total = join(build, Add(), inputs, name=f"{layer.name}_sum", layer=layer.name)
    return divide(build, total, divisor, name=layer.name, layer=layer.name)
