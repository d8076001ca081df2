"""Operations that passes put in: known numbers, and channels in other places. They take no hardware."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from keras_hls.fixed import BoolArray, Constant, IntArray, TensorType, shift_left
from keras_hls.op import Kernel, Needs, Op, Plan, Work


@dataclass(frozen=True, eq=False)
class Known(Op):
    """y = known numbers, whatever the samples are: an op without inputs.

    Parameters
    ----------
    value : Constant
        Of the shape of one sample.
    """

    value: Constant

    def infer(self, *inputs: TensorType) -> TensorType:
        return self.value.type

    def bind(self, *inputs: TensorType) -> Callable[..., IntArray]:
        return lambda: self.value.raw[None]

    def channelwise(self, kept: BoolArray, *inputs: TensorType) -> Op:
        return Known(self.value.map(lambda a: a[..., kept])) if self.value.shape else self

    def reuse_factors(self, *inputs: TensorType) -> tuple[int, ...]:
        return (1,)

    def work(self, *inputs: TensorType, plan: Plan) -> Work:
        return Work()

    def hls(self, *inputs: TensorType, plan: Plan) -> Kernel:
        return Kernel("known", "channels", {"size": self.value.raw.size}, {"values": self.value.map(np.ravel)})


@dataclass(frozen=True, eq=False)
class Channels(Op):
    """y[..., j] = x[..., index[j]], or ``fill[j]`` where the index is -1.

    Parameters
    ----------
    index : Constant
        Whole numbers, [m].
    fill : Constant
        [m].
    """

    index: Constant
    fill: Constant

    @classmethod
    def between(cls, given: BoolArray, wanted: BoolArray, known: BoolArray, values: Constant) -> Channels:
        """Return the op that turns a tensor with the `given` channels alone into one with those that are `wanted`.

        Parameters
        ----------
        given, wanted, known : bool arrays
            By channel of the whole tensor. What isn't given is known.
        values : Constant
            By channel of the whole tensor: of those that are known.
        """
        index = np.where(known, -1, np.cumsum(given) - 1)[wanted]
        fill = Constant(np.where(index < 0, values.raw[wanted], 0), values.frac)
        return cls(Constant(index, 0), fill if fill.raw.any() else Constant(fill.raw, 0))

    @property
    def _filled(self) -> BoolArray:
        return self.index.raw < 0

    def _frac(self, x: TensorType) -> int:
        return max(x.frac, self.fill.frac) if self.fill.raw.any() else x.frac

    def _fill(self, x: TensorType) -> IntArray:
        return self.fill.aligned(self._frac(x)) if self.fill.raw.any() else self.fill.raw

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        index = self.index.raw
        if index.ndim != 1 or index.shape != self.fill.shape or not x.shape:
            raise ValueError("channels are picked by one number each, along the last axis of a tensor")
        if not index.size or index.min() < -1 or index.max() >= x.shape[-1]:
            raise ValueError(f"an input of shape {x.shape} hasn't the channels {index.tolist()}")
        frac = self._frac(x)
        low, high = (self._pick(shift_left(end, frac - x.frac), x) for end in (x.low, x.high))
        return TensorType(low, high, frac, x.zeros[..., index] + (frac - x.frac))

    def bind(self, *inputs: TensorType) -> Callable[..., IntArray]:
        (x,) = inputs
        up = self._frac(x) - x.frac
        return lambda raw: self._pick(raw << up if up else raw, x)

    def _pick(self, raw: IntArray, x: TensorType) -> IntArray:
        """The channels of integers in units of the output."""
        picked = raw.take(self.index.raw, -1)
        if self._filled.any():
            picked[..., self._filled] = self._fill(x)[self._filled]
        return picked

    @property
    def moves(self) -> bool:
        return not self.fill.raw.any()

    def needs(self, wanted: BoolArray, *inputs: TensorType) -> Needs:
        taken = np.zeros(inputs[0].channels, bool)
        taken[self.index.raw[wanted & ~self._filled]] = True
        return Needs(wanted, (taken,))

    def pruned(self, made: BoolArray, given: Sequence[BoolArray], *inputs: TensorType) -> Op:
        index = np.where(self._filled, -1, (np.cumsum(given[0]) - 1)[self.index.raw])
        return Channels(Constant(index[made], 0), self.fill.map(lambda a: a[made]))

    @property
    def wraps(self) -> bool:
        return True

    def low_bits(self, bits: int, *inputs: TensorType) -> tuple[int, ...]:
        return (bits - (self._frac(inputs[0]) - inputs[0].frac),)

    def identity(self, *inputs: TensorType) -> bool:
        return bool(np.array_equal(self.index.raw, np.arange(inputs[0].channels)))

    def reuse_factors(self, *inputs: TensorType) -> tuple[int, ...]:
        return (1,)

    def work(self, *inputs: TensorType, plan: Plan) -> Work:
        return Work()

    def hls(self, *inputs: TensorType, plan: Plan) -> Kernel:
        (x,) = inputs
        sizes = {"positions": x.size // x.channels, "channels": x.channels, "picked": len(self.index.raw)}
        return Kernel("channels", "channels", sizes, {"index": self.index, "fill": self.fill})
