"""Operations that move, repeat, drop and join elements and change none: wires in hardware, loops in C-simulation.

All with one input are one strided copy: a nest of loops that reads ``x[x_start + sum(i * x_stride)]`` and writes
``y[y_start + sum(i * y_stride)]``. numpy walks that nest for types and samples, one kernel walks it in C++.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import TypeVar

import numpy as np
from numpy.lib.stride_tricks import as_strided

from keras_hls.fixed import BoolArray, IntArray, TensorType, shift_left
from keras_hls.op import Kernel, Needs, Op, Plan, Work

T = TypeVar("T")

#: Loops of the kernel, in `emitters/vitis/kernels/move.h`.
_LOOPS = 8


@dataclass(frozen=True)
class Loop:
    """`size` steps, each so many elements further in input and output."""

    size: int
    x_stride: int
    y_stride: int


@dataclass(frozen=True)
class Copy:
    """A strided copy between contiguous arrays: what `loops` don't write is zero.

    Parameters
    ----------
    shape : tuple of int
        Of the output.
    loops : tuple of Loop
        Outermost first; they write no element twice.
    x_start, y_start : int
        Where both begin.
    """

    shape: tuple[int, ...]
    loops: tuple[Loop, ...]
    x_start: int = 0
    y_start: int = 0

    @property
    def fills(self) -> bool:
        """Whether there are elements that aren't copied."""
        return prod(loop.size for loop in self.loops) < prod(self.shape)

    def merged(self) -> tuple[Loop, ...]:
        """Return the fewest loops that do the same: neighbours that walk on in one stride become one."""
        found: list[Loop] = []
        for loop in self.loops:
            if loop.size == 1:
                continue
            last = found[-1] if found else None
            if (
                last is not None
                and last.x_stride == loop.size * loop.x_stride
                and last.y_stride == loop.size * loop.y_stride
            ):
                found[-1] = Loop(last.size * loop.size, loop.x_stride, loop.y_stride)
            else:
                found.append(loop)
        return tuple(found)

    def __call__(self, array: IntArray, batch: tuple[int, ...] = ()) -> IntArray:
        """Return the copy of each sample of `array`, whose first axes are `batch`."""
        x = np.ascontiguousarray(array).reshape(-1)
        y = (np.zeros if self.fills else np.empty)((*batch, *self.shape), x.dtype)
        if not prod(batch):
            return y
        samples = prod(batch)
        loops = (Loop(samples, len(x) // samples, y.size // samples), *self.merged())
        sizes, step = [loop.size for loop in loops], x.itemsize
        source = as_strided(x[self.x_start :], sizes, [loop.x_stride * step for loop in loops], writeable=False)
        target = as_strided(y.reshape(-1)[self.y_start :], sizes, [loop.y_stride * step for loop in loops])
        target[...] = source
        return y


def strides(shape: Sequence[int]) -> tuple[int, ...]:
    """Return how many elements lie between neighbours along each axis of a contiguous array."""
    return tuple(prod(shape[axis + 1 :]) for axis in range(len(shape)))


class Movement(Op):
    """An op whose output's elements are elements of its one input, or 0, in places that don't depend on values."""

    @abstractmethod
    def copy(self, shape: tuple[int, ...]) -> Copy:
        """Return what it does to an input of this shape.

        Raises
        ------
        ValueError
            If the shape doesn't suit.
        """

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        copy = self.copy(x.shape)
        if len(copy.merged()) > _LOOPS:
            raise ValueError(f"an input of shape {x.shape} is moved along more than {_LOOPS} axes; reshape it to fewer")
        return TensorType(copy(x.low), copy(x.high), x.frac, copy(x.zeros))

    def bind(self, *inputs: TensorType) -> Callable[..., IntArray]:
        copy = self.copy(inputs[0].shape)
        return lambda raw: copy(raw, (len(raw),))

    def leaves_channels(self, rank: int) -> bool:
        """Whether it does nothing along the last of so many axes."""
        return False

    def channelwise(self, kept: BoolArray, *inputs: TensorType) -> Op | None:
        return self if self.leaves_channels(len(inputs[0].shape)) else None

    @property
    def moves(self) -> bool:
        return True

    @property
    def wraps(self) -> bool:
        return True

    def low_bits(self, bits: int, *inputs: TensorType) -> tuple[int, ...]:
        return (bits,)

    def identity(self, *inputs: TensorType) -> bool:
        (x,) = inputs
        copy = self.copy(x.shape)
        return copy.shape == x.shape and copy.merged() in ((), (Loop(x.size, 1, 1),))

    def reuse_factors(self, *inputs: TensorType) -> tuple[int, ...]:
        return (1,)

    def work(self, *inputs: TensorType, plan: Plan) -> Work:
        return Work()

    def hls(self, *inputs: TensorType, plan: Plan) -> Kernel:
        (x,) = inputs
        copy = self.copy(x.shape)
        loops = copy.merged()
        sizes = {"x_size": x.size, "y_size": prod(copy.shape), "x_start": copy.x_start, "y_start": copy.y_start}
        for i, loop in enumerate((*[Loop(1, 0, 0)] * (_LOOPS - len(loops)), *loops)):
            sizes |= {f"n{i}": loop.size, f"x{i}": loop.x_stride, f"y{i}": loop.y_stride}
        return Kernel("move_into_zeros" if copy.fills else "move", "move", sizes)


def reordered(values: Sequence[T], axes: tuple[int, ...]) -> tuple[T, ...]:
    """Return what belongs to each axis, for axes in another order."""
    return tuple(values[axis] for axis in axes)


def _check_rank(what: str, values: Sequence[object], shape: tuple[int, ...]) -> None:
    if len(values) != len(shape):
        raise ValueError(f"{what} must be given for each of the {len(shape)} axes of {shape}, not for {len(values)}")


@dataclass(frozen=True, eq=False)
class Permute(Movement):
    """y = x with its axes in another order: axis k of y is axis ``axes[k]`` of x.

    Parameters
    ----------
    axes : tuple of int
        Axes of a sample, from 0.
    """

    axes: tuple[int, ...]

    def copy(self, shape: tuple[int, ...]) -> Copy:
        if sorted(self.axes) != list(range(len(shape))):
            raise ValueError(f"axes {self.axes} must be those of an input of shape {shape}, each once")
        sizes = tuple(shape[axis] for axis in self.axes)
        loops = zip(sizes, (strides(shape)[axis] for axis in self.axes), strides(sizes))
        return Copy(sizes, tuple(Loop(*loop) for loop in loops))

    @property
    def permutation(self) -> tuple[int, ...]:
        return self.axes

    def leaves_channels(self, rank: int) -> bool:
        return self.axes[-1:] == (rank - 1,)

    def then_permuted(self, axes: tuple[int, ...]) -> Permute:
        return Permute(reordered(self.axes, axes))


@dataclass(frozen=True, eq=False)
class Pad(Movement):
    """y = x with zeros around it.

    Parameters
    ----------
    before, after : tuple of int
        How many on either side, for each axis.
    """

    before: tuple[int, ...]
    after: tuple[int, ...]

    def copy(self, shape: tuple[int, ...]) -> Copy:
        _check_rank("padding", self.before, shape)
        _check_rank("padding", self.after, shape)
        if min((*self.before, *self.after), default=0) < 0:
            raise ValueError(f"padding must not be negative, not {self.before} and {self.after}")
        whole = tuple(b + n + a for b, n, a in zip(self.before, shape, self.after))
        loops = tuple(Loop(*loop) for loop in zip(shape, strides(shape), strides(whole)))
        return Copy(whole, loops, y_start=sum(b * s for b, s in zip(self.before, strides(whole))))

    def leaves_channels(self, rank: int) -> bool:
        return (self.before[-1:], self.after[-1:]) == ((0,), (0,))

    def permuted(self, axes: tuple[int, ...]) -> Pad:
        return Pad(reordered(self.before, axes), reordered(self.after, axes))


@dataclass(frozen=True, eq=False)
class Slice(Movement):
    """y = x[start:stop:step] along each axis, as Python slices.

    Parameters
    ----------
    start, stop : tuple of int or None
        For each axis; negative ones count from its end, None is the end itself.
    step : tuple of int
        Negative ones walk backwards.
    """

    start: tuple[int | None, ...]
    stop: tuple[int | None, ...]
    step: tuple[int, ...]

    def copy(self, shape: tuple[int, ...]) -> Copy:
        for what, values in (("start", self.start), ("stop", self.stop), ("step", self.step)):
            _check_rank(what, values, shape)
        if 0 in self.step:
            raise ValueError("a step must not be 0")
        picked = [range(n)[slice(*ends)] for n, *ends in zip(shape, self.start, self.stop, self.step)]
        sizes = tuple(len(indices) for indices in picked)
        if 0 in sizes:
            raise ValueError(f"nothing is left of axis {sizes.index(0)} of an input of shape {shape}")
        loops = zip(sizes, (r.step * s for r, s in zip(picked, strides(shape))), strides(sizes))
        start = sum(r.start * s for r, s in zip(picked, strides(shape)))
        return Copy(sizes, tuple(Loop(*loop) for loop in loops), x_start=start)

    def needs(self, wanted: BoolArray, *inputs: TensorType) -> Needs:
        return Needs(wanted, (self._taken(wanted, inputs[0]),))

    def pruned(self, made: BoolArray, given: Sequence[BoolArray], *inputs: TensorType) -> Op | None:
        (x,) = inputs
        if made.all() and given[0].all():
            return self
        if not np.array_equal(given[0], self._taken(made, x)):
            return None
        step = 1 if self.step[-1] > 0 else -1
        return Slice((*self.start[:-1], None), (*self.stop[:-1], None), (*self.step[:-1], step))

    def _taken(self, channels: BoolArray, x: TensorType) -> BoolArray:
        """The channels of the input that become some channels of the output."""
        taken = np.zeros(x.channels, bool)
        if x.shape:
            taken[np.arange(x.channels)[slice(self.start[-1], self.stop[-1], self.step[-1])][channels]] = True
        else:
            taken[:] = channels
        return taken

    def permuted(self, axes: tuple[int, ...]) -> Slice:
        return Slice(reordered(self.start, axes), reordered(self.stop, axes), reordered(self.step, axes))


def Crop(before: tuple[int, ...], after: tuple[int, ...]) -> Slice:
    """Return the op that drops so many elements on either side of each axis."""
    return Slice(before, tuple(-n or None for n in after), (1,) * len(before))


@dataclass(frozen=True, eq=False)
class Repeat(Movement):
    """y[i] = x[i // r] along each axis: every element stands r times in a row.

    Parameters
    ----------
    repeats : tuple of int
        r for each axis, at least 1.
    """

    repeats: tuple[int, ...]

    def copy(self, shape: tuple[int, ...]) -> Copy:
        _check_rank("repetition", self.repeats, shape)
        if min(self.repeats, default=1) < 1:
            raise ValueError(f"repetitions must be positive, not {self.repeats}")
        whole = tuple(n * r for n, r in zip(shape, self.repeats))
        loops: list[Loop] = []
        for n, r, x_stride, y_stride in zip(shape, self.repeats, strides(shape), strides(whole)):
            loops += [Loop(n, x_stride, r * y_stride), Loop(r, 0, y_stride)]
        return Copy(whole, tuple(loops))

    def leaves_channels(self, rank: int) -> bool:
        return self.repeats[-1:] == (1,)

    def permuted(self, axes: tuple[int, ...]) -> Repeat:
        return Repeat(reordered(self.repeats, axes))


@dataclass(frozen=True, eq=False)
class Concatenate(Op):
    """y = a, then b, along one axis.

    Parameters
    ----------
    axis : int
        Of a sample; negative ones count from the end.
    """

    axis: int

    def _split(self, *inputs: TensorType) -> tuple[int, int, tuple[int, ...]]:
        """Return the axis from 0, how often the inputs alternate, and how many elements each gives then."""
        a, b = inputs
        rank = len(a.shape)
        if not -rank <= self.axis < rank:
            raise ValueError(f"axis must be one of the {rank} axes of {a.shape}, not {self.axis}")
        axis = self.axis % rank
        rest = [s[:axis] + s[axis + 1 :] for s in (a.shape, b.shape)]
        if len(b.shape) != rank or rest[0] != rest[1]:
            raise ValueError(f"inputs of shapes {a.shape} and {b.shape} must agree in all axes but {self.axis}")
        return axis, prod(a.shape[:axis]), tuple(prod(x.shape[axis:]) for x in inputs)

    def infer(self, *inputs: TensorType) -> TensorType:
        axis, _, _ = self._split(*inputs)
        frac = max(x.frac for x in inputs)
        low, high = (
            np.concatenate([shift_left(getattr(x, end), frac - x.frac) for x in inputs], axis)
            for end in ("low", "high")
        )
        return TensorType(low, high, frac, np.concatenate([x.zeros + (frac - x.frac) for x in inputs], axis))

    def bind(self, *inputs: TensorType) -> Callable[..., IntArray]:
        axis, _, _ = self._split(*inputs)
        frac = max(x.frac for x in inputs)
        ups = [frac - x.frac for x in inputs]
        return lambda *raws: np.concatenate([raw << up if up else raw for raw, up in zip(raws, ups)], axis + 1)

    def _parts(self, channels: BoolArray, *inputs: TensorType) -> tuple[BoolArray, BoolArray]:
        """Channels of the output, by the input that they are from."""
        rank, first = len(inputs[0].shape), inputs[0].channels
        return (channels, channels) if self.axis % rank < rank - 1 else (channels[:first], channels[first:])

    def needs(self, wanted: BoolArray, *inputs: TensorType) -> Needs:
        return Needs(wanted, self._parts(wanted, *inputs))

    def pruned(self, made: BoolArray, given: Sequence[BoolArray], *inputs: TensorType) -> Op | None:
        parts = self._parts(made, *inputs)
        if not all(np.array_equal(one, part) for one, part in zip(given, parts)):
            return None
        if all(part.any() for part in parts):
            return self
        rank = len(inputs[0].shape)
        return Slice((None,) * rank, (None,) * rank, (1,) * rank)

    @property
    def wraps(self) -> bool:
        return True

    def low_bits(self, bits: int, *inputs: TensorType) -> tuple[int, ...]:
        frac = max(x.frac for x in inputs)
        return tuple(bits - (frac - x.frac) for x in inputs)

    def permuted(self, axes: tuple[int, ...]) -> Concatenate:
        return Concatenate(axes.index(self.axis % len(axes)))

    @property
    def moves(self) -> bool:
        return True

    def reuse_factors(self, *inputs: TensorType) -> tuple[int, ...]:
        return (1,)

    def work(self, *inputs: TensorType, plan: Plan) -> Work:
        return Work()

    def hls(self, *inputs: TensorType, plan: Plan) -> Kernel:
        _, rows, (first, second) = self._split(*inputs)
        return Kernel("concatenate", "move", {"rows": rows, "first": first, "second": second})
