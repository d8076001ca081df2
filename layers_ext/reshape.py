"""Layers that give a tensor's elements another shape or order, or repeat them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from keras_hls.fixed import BoolArray, IntArray, TensorType
from keras_hls.layers_ext.layout import channels_first
from keras_hls.layers_ext.movement import Permute, Repeat
from keras_hls.layers_ext.reading import Builder, LayerView, Ref, reads
from keras_hls.op import Needs, Op, Plan, Work


@dataclass(frozen=True, eq=False)
class Reshape(Op):
    """y = the elements of x, in the same order, in another shape; no hardware.

    Parameters
    ----------
    shape : tuple of int
        One entry may be -1: whatever is left.
    """

    shape: tuple[int, ...]

    def _shape(self, x: TensorType) -> tuple[int, ...]:
        known = prod(n for n in self.shape if n != -1)
        free = self.shape.count(-1)
        whole = free <= 1 and min(self.shape, default=0) >= -1
        if whole and free and known and x.size % known == 0:
            return tuple(x.size // known if n == -1 else n for n in self.shape)
        if not whole or free or known != x.size:
            raise ValueError(f"an input of shape {x.shape} can't be reshaped to {self.shape}")
        return self.shape

    def infer(self, *inputs: TensorType) -> TensorType:
        return inputs[0].reshape(self._shape(inputs[0]))

    def bind(self, *inputs: TensorType) -> Callable[..., IntArray]:
        shape = self._shape(inputs[0])
        return lambda raw: raw.reshape(len(raw), *shape)

    @property
    def wiring(self) -> bool:
        return True

    def needs(self, wanted: BoolArray, *inputs: TensorType) -> Needs:
        (x,) = inputs
        channels = x.channels
        if wanted.size % channels == 0:
            # Several positions of all channels are one row now.
            taken = np.asarray(wanted.reshape(-1, channels).any(0))
            return Needs(np.tile(taken, wanted.size // channels), (taken,))
        if channels % wanted.size == 0:
            return Needs(wanted, (np.tile(wanted, channels // wanted.size),))
        return super().needs(wanted, *inputs)

    def pruned(self, made: BoolArray, given: Sequence[BoolArray], *inputs: TensorType) -> Op | None:
        if made.all() and all(one.all() for one in given):
            return self
        needs = self.needs(made, *inputs)
        if not (np.array_equal(needs.made, made) and np.array_equal(needs.inputs[0], given[0])):
            return None
        return Reshape((*self._shape(inputs[0])[:-1], int(made.sum())))

    def low_bits(self, bits: int, *inputs: TensorType) -> tuple[int, ...]:
        return (bits,)

    def identity(self, *inputs: TensorType) -> bool:
        return self._shape(inputs[0]) == inputs[0].shape

    def reuse_factors(self, *inputs: TensorType) -> tuple[int, ...]:
        return (1,)

    def work(self, *inputs: TensorType, plan: Plan) -> Work:
        return Work()

    def hls(self, *inputs: TensorType, plan: Plan) -> None:
        return None


@reads("keras.layers.Reshape", "HGQ.layers.PReshape", consumes="target_shape")
def read_reshape(layer: LayerView, build: Builder, x: Ref) -> Ref:
    """Reshape, with -1 for one axis."""
    shape = tuple(int(n) for n in layer.config["target_shape"])
    return build.add(Reshape(shape), x, name=layer.name, layer=layer.name)


@reads("keras.layers.Flatten", "HGQ.layers.PFlatten", consumes="data_format")
def read_flatten(layer: LayerView, build: Builder, x: Ref) -> Ref:
    """Flatten, with the channels last; where they come first, they are moved before."""
    rank = len(layer.shapes[0])
    if channels_first(layer) and rank > 1:
        x = build.add(Permute((*range(1, rank), 0)), x, name=f"{layer.name}_channels_last", layer=layer.name)
    return build.add(Reshape((-1,)), x, name=layer.name, layer=layer.name)


@reads("keras.layers.Permute", "HGQ.layers.PPermute", consumes="dims")
def read_permute(layer: LayerView, build: Builder, x: Ref) -> Ref:
    """Any order of the axes."""
    axes = tuple(int(dim) - 1 for dim in layer.config["dims"])
    return build.add(Permute(axes), x, name=layer.name, layer=layer.name)


@reads("keras.layers.RepeatVector", consumes="n")
def read_repeat_vector(layer: LayerView, build: Builder, x: Ref) -> Ref:
    """A vector n times, each on a row of its own."""
    row = build.add(Reshape((1, -1)), x, name=f"{layer.name}_row", layer=layer.name)
    return build.add(Repeat((int(layer.config["n"]), 1)), row, name=layer.name, layer=layer.name)
