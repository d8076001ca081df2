"""Gated linear units: one half of a tensor times the sigmoid of the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from keras_hls.fixed import FloatArray
from keras_hls.layers_ext.activation import ACTIVATIONS
from keras_hls.layers_ext.axis_runs import sample_axes
from keras_hls.layers_ext.merge import Multiply
from keras_hls.layers_ext.movement import Copy, Movement, Slice
from keras_hls.layers_ext.reading import Builder, LayerView, Ref, reads_operation
from keras_hls.layers_ext.table import Function


@dataclass(frozen=True, eq=False)
class Half(Movement):
    """y = the first or the second half of x along one axis.

    Parameters
    ----------
    axis : int
        Of a sample; negative ones count from the end.
    second : bool
    """

    axis: int
    second: bool

    def copy(self, shape: tuple[int, ...]) -> Copy:
        rank = len(shape)
        if not -rank <= self.axis < rank or shape[self.axis] % 2:
            raise ValueError(
                f"axis {self.axis} of an input of shape {shape} must be there and have an even number of elements"
            )
        half = shape[self.axis] // 2
        start: list[int | None] = [None] * rank
        stop: list[int | None] = [None] * rank
        (start if self.second else stop)[self.axis] = half
        return Slice(tuple(start), tuple(stop), (1,) * rank).copy(shape)

    def leaves_channels(self, rank: int) -> bool:
        return self.axis % rank < rank - 1

    def permuted(self, axes: tuple[int, ...]) -> Half:
        return Half(axes.index(self.axis % len(axes)), self.second)


def glu(
    layer: LayerView, build: Builder, x: Ref, name: str, axis: int, gate: Callable[[FloatArray], FloatArray]
) -> Ref:
    """Append a gated linear unit over an axis of a sample, counted from its end, with the layer's own sigmoid."""
    first = build.add(Half(axis, second=False), x, name=f"{name}_value", layer=layer.name)
    second = build.add(Half(axis, second=True), x, name=f"{name}_gate", layer=layer.name)
    sigmoid = build.add(Function(gate, "sigmoid"), second, name=f"{name}_sigmoid", layer=layer.name)
    return build.add(Multiply(), first, sigmoid, name=name, layer=layer.name)


def gate_of(unit: Callable[[FloatArray], FloatArray], rank: int, axis: int) -> Callable[[FloatArray], FloatArray]:
    """Return what a gated linear unit over an axis of arrays of that rank multiplies by: its answer where the other half is 1."""

    def sigmoid(values: FloatArray) -> FloatArray:
        column = np.asarray(values).reshape(-1, *(1,) * (rank - 1))
        return unit(np.concatenate([np.ones_like(column), column], axis)).reshape(np.shape(values))

    return sigmoid


ACTIVATIONS["glu"] = lambda layer, build, x, name: glu(
    layer, build, x, name, -1, gate_of(layer.function("activation"), 2, -1)
)


@reads_operation("keras.ops.Glu", consumes="axis")
def read_glu(layer: LayerView, build: Builder, x: Ref) -> Ref:
    """One half times a table of the other's sigmoid."""
    (axis,) = sample_axes(layer, layer.config["axis"])
    gate = gate_of(layer.function(None), len(layer.shapes[0]) + 1, axis)
    return glu(layer, build, x, layer.name, axis, gate)
