"""Softmax: left to the host where it stands at an output, computed in integers where it is asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from keras_hls.errors import TooWide
from keras_hls.fixed import MAX_BITS, IntArray, TensorType
from keras_hls.layers_ext.activation import ACTIVATIONS
from keras_hls.layers_ext.axis_runs import TAKEN, over_axes, permuted_axes, sample_axes
from keras_hls.layers_ext.counting import in_turn, tree_depth
from keras_hls.layers_ext.exponentials import Exponentials
from keras_hls.layers_ext.reading import Builder, LayerView, Ref, reads, reads_operation
from keras_hls.op import Kernel, Op, Plan, Unit, Work


@dataclass(frozen=True, eq=False)
class Softmax(Op):
    """y = exp(x) / sum(exp(x)) over some axes, rounded to `frac` fractional bits.

    Every step is in integers: with d = max(x) - x, e = exp(-d) comes from two tables (exp(-high bits) * exp(-low bits)) to
    `table_frac` fractional bits, and y is the quotient of e and its sum, rounded half up. As each e is off by at most
    1.5 * 2**-table_frac, y is off from the real softmax by at most 2**-(frac + 1) + 1.5 * (n + 1) * 2**-table_frac for n
    elements.

    Parameters
    ----------
    frac : int
        Fractional bits of the result, which lies in 0 to 1.
    table_frac : int
        Fractional bits of the exponentials.
    axes : tuple of int
        Of a sample, in up to two places; negative ones count from the end.
    """

    frac: int = 16
    table_frac: int = 20
    axes: tuple[int, ...] = (-1,)

    def _exponentials(self, x: TensorType) -> Exponentials:
        return Exponentials(x, self.axes, self.table_frac)

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        if self.frac < 0 or self.table_frac < 1:
            raise ValueError(f"softmax needs frac >= 0 and table_frac >= 1, not {self.frac} and {self.table_frac}")
        n = self._exponentials(x).checked().runs.count
        if self.table_frac + self.frac + 2 + tree_depth(n) >= MAX_BITS:
            raise TooWide(
                f"{n} quotients to {self.frac} bits, from exponentials to {self.table_frac}, need more than {MAX_BITS} bits"
            )
        return TensorType(np.zeros(x.shape, np.int64), np.full(x.shape, 1 << self.frac), self.frac)

    def bind(self, *inputs: TensorType) -> Callable[..., IntArray]:
        (x,) = inputs
        exponentials = self._exponentials(x)
        spread, run = exponentials.runs.spread, exponentials.bind()

        def softmax(raw: IntArray) -> IntArray:
            _, e = run(spread(raw))
            total = e.sum(TAKEN, keepdims=True)
            return (((e << (self.frac + 1)) + total) // (total << 1)).reshape(raw.shape)

        return softmax

    def permuted(self, axes: tuple[int, ...]) -> Op | None:
        moved = permuted_axes(self.axes, axes)
        return None if moved is None else replace(self, axes=moved)

    @property
    def endless(self) -> bool:
        return True

    def error(self, *inputs: TensorType) -> float:
        n = self._exponentials(inputs[0]).runs.count
        return 2.0 ** -(self.frac + 1) + 1.5 * (n + 1) * 2.0**-self.table_frac

    @property
    def narrow(self) -> Literal["value"]:
        return "value"

    @property
    def host(self) -> str:
        return host_function("softmax", self.axes)

    def reuse_factors(self, *inputs: TensorType) -> tuple[int, ...]:
        return (1,)

    def work(self, *inputs: TensorType, plan: Plan) -> Work:
        (x,) = inputs
        exponentials = self._exponentials(x)
        entry = self.table_frac + 1
        total = entry + tree_depth(exponentials.runs.count)
        divide = Unit("divide", x.size, (entry + self.frac + 1, total + 1))
        return Work((*exponentials.steps, *in_turn([divide]).steps))

    def hls(self, *inputs: TensorType, plan: Plan) -> Kernel:
        exponentials = self._exponentials(inputs[0])
        return Kernel("softmax", "softmax", {**exponentials.sizes, "frac": self.frac}, exponentials.constants)


def host_function(name: str, axes: tuple[int, ...]) -> str:
    """Return what the host has to apply: a function over the last axis, or over those that it names as Keras does."""
    if axes == (-1,):
        return name
    return f"{name}(axis={axes[0] if len(axes) == 1 else axes})"


ACTIVATIONS["softmax"] = lambda layer, build, x, name: build.add(Softmax(), x, name=name, layer=layer.name)


@reads(
    "keras.layers.Softmax",
    consumes="axis",
    conditions={"axis": "any axis or axes but that of the batch"},
    within="2^-17 + 1.5 (n + 1) 2^-20 for n classes, where the hardware computes it",
)
@reads_operation("keras.ops.Softmax", consumes="axis")
def read_softmax(layer: LayerView, build: Builder, x: Ref) -> Ref:
    """Left to the host at an output; inside the network computed in integers, off by at most 2^-17 + 1.5 (n + 1) 2^-20."""
    axes = sample_axes(layer, layer.config["axis"])
    return over_axes(layer, build, x, axes, lambda axes: Softmax(axes=axes), name=layer.name)
