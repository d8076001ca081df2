"""Fully connected layers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from keras_hls.errors import TooWide
from keras_hls.fixed import MAX_BITS, BoolArray, Constant, IntArray, TensorType, trailing_zeros
from keras_hls.layers_ext.activation import activate
from keras_hls.layers_ext.counting import csd_digits
from keras_hls.layers_ext.exact_matmul import exact_type, matmul
from keras_hls.layers_ext.folded_weights import common_factors, same_everywhere, scaled_weights, with_known
from keras_hls.layers_ext.products import (
    aligned,
    multipliers,
    reuse_factors,
    shared_work,
    sums_of_products,
    unrolled_work,
    width_counts,
)
from keras_hls.layers_ext.reading import Builder, LayerView, ReadError, Ref, reads
from keras_hls.layers_ext.scale import Scale
from keras_hls.op import Kernel, Needs, Op, Plan, Step, Work


@dataclass(frozen=True, eq=False)
class Dense(Op):
    """y[..., m] = sum_n x[..., n] * kernel[n, m] + bias[m], exact (no rounding, no overflow).

    Parameters
    ----------
    kernel : Constant
        Raw integers, [n_in, n_out].
    bias : Constant, optional
        Raw integers, [n_out].
    """

    kernel: Constant
    bias: Constant | None = None

    @property
    def narrow(self) -> Literal["value"]:
        return "value"

    @property
    def n_in(self) -> int:
        return self.kernel.shape[0]

    @property
    def n_out(self) -> int:
        return self.kernel.shape[1]

    def _reach(self, x: TensorType, kernel: IntArray, bias: IntArray) -> float:
        """A bound of every partial sum, in any order, in units of the output."""
        largest = np.maximum(np.abs(x.low), np.abs(x.high)).reshape(-1, self.n_in).max(0, initial=0)
        sums = largest.astype(np.float64) @ np.abs(kernel).astype(np.float64) + np.abs(bias)
        return float(sums.max(initial=0))

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        if not x.shape or x.shape[-1] != self.n_in:
            raise ValueError(f"kernel takes {self.n_in} inputs, but the last axis of the input {x.shape} has other")
        if self.bias is not None and self.bias.shape != (self.n_out,):
            raise ValueError(f"bias must be {self.n_out} numbers, one an output, not of shape {self.bias.shape}")
        kernel, bias, frac = aligned(x, self.kernel, self.bias)
        # A float64 estimate is off by at most a few ulp, and the limit is 2**62: within the ulp we refuse.
        if self._reach(x, kernel, bias) >= (1 << (MAX_BITS - 1)) * (1 - 1e-9):
            raise TooWide(f"a sum of products needs more than {MAX_BITS} bits")
        plus, minus = np.maximum(kernel, 0), np.minimum(kernel, 0)
        low = x.low @ plus + x.high @ minus + bias
        high = x.high @ plus + x.low @ minus + bias
        return TensorType(low, high, frac, self._zeros(x, kernel, bias))

    def _zeros(self, x: TensorType, kernel: IntArray, bias: IntArray) -> IntArray:
        """Trailing zeros of the sums: those of the term that has the fewest."""
        of_inputs = x.zeros.reshape(-1, self.n_in).min(0, initial=MAX_BITS)
        products = np.minimum(of_inputs[:, None] + trailing_zeros(kernel), MAX_BITS)
        sums = np.minimum(products.min(0, initial=MAX_BITS), trailing_zeros(bias))
        return np.broadcast_to(sums, (*x.shape[:-1], self.n_out))

    def bind(self, *inputs: TensorType) -> Callable[..., IntArray]:
        (x,) = inputs
        kernel, bias, _ = aligned(x, self.kernel, self.bias)
        dtype = exact_type(self._reach(x, kernel, bias))
        matrix, offset = kernel.astype(dtype), bias.astype(dtype)

        def multiply(raw: IntArray) -> IntArray:
            sums = matmul(raw.reshape(-1, self.n_in).astype(dtype, copy=False), matrix)
            sums += offset
            return sums.astype(np.int64, copy=False).reshape(*raw.shape[:-1], self.n_out)

        return multiply

    def needs(self, wanted: BoolArray, *inputs: TensorType) -> Needs:
        (x,) = inputs
        return Needs(wanted, (self.kernel.raw[:, wanted].any(1) & ~same_everywhere(x),))

    def pruned(self, made: BoolArray, given: Sequence[BoolArray], *inputs: TensorType) -> Op:
        (x,) = inputs
        (rows,) = given
        if made.all() and rows.all():
            return self
        bias = with_known(self.kernel, self.bias, x, ~rows)
        kernel = self.kernel.map(lambda a: a[rows][:, made])
        return Dense(kernel, None if bias is None else bias.map(lambda a: a[made]))

    @property
    def wraps(self) -> bool:
        return True

    def low_bits(self, bits: int, *inputs: TensorType) -> tuple[int, ...]:
        kernel, _, _ = aligned(inputs[0], self.kernel, self.bias)
        return (bits - int(trailing_zeros(kernel).min(initial=MAX_BITS)),)

    def scaled(self, scale: Constant, offset: Constant) -> Op | None:
        weights = scaled_weights(self.kernel, self.bias, scale, offset)
        return None if weights is None else Dense(*weights)

    def factored(self) -> tuple[Op, Op] | None:
        found = common_factors(self.kernel)
        if found is None:
            return None
        kernel, factors = found
        return Dense(kernel), Scale(factors, self.bias)

    def reuse_factors(self, *inputs: TensorType) -> tuple[int, ...]:
        return reuse_factors(self.n_in, self.n_out)

    def work(self, *inputs: TensorType, plan: Plan) -> Work:
        (x,) = inputs
        y = self.infer(x)
        positions = x.size // self.n_in
        if plan.strategy == "Resource":
            widest = (int(x.widths.max(initial=0)), self.kernel.type.hull.width, int(y.widths.max(initial=0)))
            return shared_work(self.n_in, self.n_out, widest, positions, plan.reuse_factor)
        widths = x.widths.reshape(positions, self.n_in)
        # One multiplier serves all outputs that take the same multiple of an input.
        constants = np.sort(self.kernel.raw, axis=1)
        new = np.diff(constants, axis=1, prepend=constants[:, :1] - 1) != 0
        rows, columns = np.nonzero(new & (constants != 0))
        multiplies = multipliers(width_counts(widths)[rows], constants[rows, columns])
        shifted = (csd_digits(self.kernel.raw) == 1).any(1)
        return unrolled_work(multiplies, int(widths[:, shifted].sum()), self._sums(x, y))

    def _sums(self, x: TensorType, y: TensorType) -> list[Step]:
        """The adders of all outputs; positions whose inputs have the same types are counted at once."""
        kernel, bias, _ = aligned(x, self.kernel, self.bias)
        rows = np.concatenate([x.low.reshape(-1, self.n_in), x.high.reshape(-1, self.n_in)], 1)
        rows, first, times = np.unique(rows, axis=0, return_index=True, return_counts=True)
        low, high = rows[:, : self.n_in], rows[:, self.n_in :]
        known = np.where(low == high, low, 0) @ kernel + bias
        most = y.widths.reshape(-1, self.n_out)[first]
        return sums_of_products(low.T[..., None], high.T[..., None], kernel[:, None], known, most, times)

    def hls(self, *inputs: TensorType, plan: Plan) -> Kernel:
        (x,) = inputs
        bias = self.bias if self.bias is not None else Constant(np.zeros(self.n_out, np.int64), 0)
        sizes = {
            "positions": x.size // self.n_in,
            "n_in": self.n_in,
            "n_out": self.n_out,
            "reuse_factor": plan.reuse_factor,
        }
        tables = {"kernel": Constant(self.kernel.raw.reshape(-1), self.kernel.frac), "bias": bias}
        return Kernel(f"dense_{plan.strategy.lower()}", "dense", sizes, tables)


@reads(
    "hgq.layers.QDense",
    "hgq.layers.QBatchNormDense",
    "keras.layers.Dense",
    "qkeras.QDense",
    "binary.BinaryDense",
    "binary.TernaryDense",
    # Normalisation is part of the weights that the layer itself multiplies by.
    consumes="units use_bias activation scale momentum epsilon synchronized",
    neutral={"lora_alpha": None},
)
def read_dense(layer: LayerView, build: Builder, x: Ref) -> Ref:
    """Over the last axis of an input of any rank."""
    kernel = layer.weight("kernel")
    if kernel is None:
        raise ReadError("it has no kernel; build the model first")
    y = build.add(Dense(kernel, layer.weight("bias")), x, name=layer.name, layer=layer.name)
    return activate(layer, build, y)
