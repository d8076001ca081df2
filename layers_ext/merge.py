"""Layers that join several tensors of one shape."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from keras_hls.fixed import IntArray, TensorType, shift_left
from keras_hls.graph import Kernel, Op, Plan, Unit, Work
from keras_hls.layers_ext.counting import units
from keras_hls.layers_ext.reading import Builder, LayerView, Ref, reads


@dataclass(frozen=True, eq=False)
class Add(Op):
    """y = a + b, exact; both of one shape."""

    def infer(self, *inputs: TensorType) -> TensorType:
        a, b = inputs
        if a.shape != b.shape:
            raise ValueError(f"inputs must have one shape, not {a.shape} and {b.shape}; reshape or repeat one of them")
        frac = max(a.frac, b.frac)
        low = shift_left(a.low, frac - a.frac) + shift_left(b.low, frac - b.frac)
        high = shift_left(a.high, frac - a.frac) + shift_left(b.high, frac - b.frac)
        return TensorType(low, high, frac, np.minimum(a.zeros + (frac - a.frac), b.zeros + (frac - b.frac)))

    def bind(self, *inputs: TensorType) -> Callable[..., IntArray]:
        frac = max(x.frac for x in inputs)
        up_a, up_b = (frac - x.frac for x in inputs)
        return lambda a, b: (a << up_a if up_a else a) + (b << up_b if up_b else b)

    def reuse_factors(self, *inputs: TensorType) -> tuple[int, ...]:
        return (1,)

    def work(self, *inputs: TensorType, plan: Plan) -> Work:
        a, b = inputs
        # A constant zero on one side leaves a wire.
        zero = ((a.low == 0) & (a.high == 0)) | ((b.low == 0) & (b.high == 0))
        widths = self.infer(a, b).widths[~zero]
        found = units("add", widths[widths > 0])
        return Work(tuple(found), (Unit("add", 1, (int(widths.max()),)),) if found else ())

    def hls(self, *inputs: TensorType, plan: Plan) -> Kernel:
        return Kernel("add", "add", {"size": inputs[0].size})


@reads("hgq.layers.QAdd", "keras.layers.Add")
def read_add(layer: LayerView, build: Builder, first: Ref, *others: Ref) -> Ref:
    """The sum of two or more tensors of one shape."""
    for other in others:
        first = build.add(Add(), first, other, name=layer.name, layer=layer.name)
    return first
