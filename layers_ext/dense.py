"""Fully connected layers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_hls.errors import TooWide
from keras_hls.fixed import MAX_BITS, BoolArray, Constant, IntArray, TensorType, shift_left, trailing_zeros
from keras_hls.graph import Kernel, Op, Plan, Unit, Work
from keras_hls.layers_ext.activation import activate
from keras_hls.layers_ext.counting import adder_trees, constant_bits, csd_digits, tree_path, units
from keras_hls.layers_ext.reading import Builder, LayerView, ReadError, Ref, reads

#: Products (rows x inputs x outputs) in one call of BLAS. Above some such number it starts threads of its own, which fight
#: with the emulator's, one a chunk of the batch, over the cores; below, both run as fast as they can.
_BLAS_ALONE = 1 << 18


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
    def n_in(self) -> int:
        return self.kernel.shape[0]

    @property
    def n_out(self) -> int:
        return self.kernel.shape[1]

    def _frac(self, x: TensorType) -> int:
        product = x.frac + self.kernel.frac
        return product if self.bias is None else max(product, self.bias.frac)

    def _constants(self, x: TensorType) -> tuple[IntArray, IntArray]:
        """Kernel and bias in units of the output."""
        frac = self._frac(x)
        kernel = shift_left(self.kernel.raw, frac - x.frac - self.kernel.frac)
        bias = np.zeros(self.n_out, np.int64) if self.bias is None else self.bias.aligned(frac)
        return kernel, bias

    def _reach(self, x: TensorType) -> float:
        """A bound of every partial sum, in any order, in units of the output."""
        kernel, bias = self._constants(x)
        largest = np.maximum(np.abs(x.low), np.abs(x.high)).reshape(-1, self.n_in).max(0, initial=0)
        sums = largest.astype(np.float64) @ np.abs(kernel).astype(np.float64) + np.abs(bias)
        return float(sums.max(initial=0))

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        if not x.shape or x.shape[-1] != self.n_in:
            raise ValueError(f"kernel takes {self.n_in} inputs, but the last axis of the input {x.shape} has other")
        if self.bias is not None and self.bias.shape != (self.n_out,):
            raise ValueError(f"bias must be {self.n_out} numbers, one an output, not of shape {self.bias.shape}")
        kernel, bias = self._constants(x)
        # A float64 estimate is off by at most a few ulp, and the limit is 2**62: within the ulp we refuse.
        if self._reach(x) >= (1 << (MAX_BITS - 1)) * (1 - 1e-9):
            raise TooWide(f"a sum of products needs more than {MAX_BITS} bits")
        plus, minus = np.maximum(kernel, 0), np.minimum(kernel, 0)
        low = x.low @ plus + x.high @ minus + bias
        high = x.high @ plus + x.low @ minus + bias
        return TensorType(low, high, self._frac(x), self._zeros(x, kernel, bias))

    def _zeros(self, x: TensorType, kernel: IntArray, bias: IntArray) -> IntArray:
        """Trailing zeros of the sums: those of the term that has the fewest."""
        of_inputs = x.zeros.reshape(-1, self.n_in).min(0, initial=MAX_BITS)
        products = np.minimum(of_inputs[:, None] + trailing_zeros(kernel), MAX_BITS)
        sums = np.minimum(products.min(0, initial=MAX_BITS), trailing_zeros(bias))
        return np.broadcast_to(sums, (*x.shape[:-1], self.n_out))

    def bind(self, *inputs: TensorType) -> Callable[..., IntArray]:
        (x,) = inputs
        kernel, bias = self._constants(x)
        reach = self._reach(x)
        if reach >= 2.0**53:
            return lambda raw: raw @ kernel + bias
        # Every partial sum is an integer that the float holds exactly, so BLAS may add in any order.
        dtype: Any = np.float32 if reach < 2.0**24 else np.float64
        matrix, offset = kernel.astype(dtype), bias.astype(dtype)
        rows = max(_BLAS_ALONE // max(kernel.size, 1), 16)

        def multiply(raw: IntArray) -> IntArray:
            inputs = raw.reshape(-1, self.n_in).astype(dtype)
            sums = np.empty((len(inputs), self.n_out), dtype)
            for start in range(0, len(inputs), rows):
                np.matmul(inputs[start : start + rows], matrix, out=sums[start : start + rows])
            sums += offset
            return sums.astype(np.int64).reshape(*raw.shape[:-1], self.n_out)

        return multiply

    def reuse_factors(self, *inputs: TensorType) -> tuple[int, ...]:
        # Either some inputs of all outputs a cycle, or one input of some outputs: both leave every index constant.
        n_in, n_out = self.n_in, self.n_out
        return tuple(sorted({*_divisors(n_in), *(n_in * d for d in _divisors(n_out))}))

    def work(self, *inputs: TensorType, plan: Plan) -> Work:
        (x,) = inputs
        y = self.infer(x)
        positions = x.size // self.n_in
        if plan.strategy == "Resource":
            return self._shared_work(x, y, positions, plan.reuse_factor)
        widths = x.widths.reshape(positions, self.n_in)
        live = widths > 0
        used = (self.kernel.raw != 0) & (widths.max(0, initial=0) > 0)[:, None]
        # One multiplier serves all outputs that take the same multiple of an input.
        rows, columns = np.nonzero(used)
        values = self.kernel.raw[rows, columns]
        pairs = np.unique(np.stack([rows, values], 1), axis=0)
        digits = csd_digits(pairs[:, 1])
        pairs, digits = pairs[digits > 1], digits[digits > 1]
        multiplies = units("constant_multiply", widths[:, pairs[:, 0]], constant_bits(pairs[:, 1]), digits=digits)
        multiplies = [u for u in multiplies if u.widths[0]]
        terms = self._terms(x, live)
        sums = y.widths.reshape(positions, self.n_out)
        depth = [Unit(u.kind, 1, u.widths, u.digits) for u in sorted(multiplies, key=_heaviness)[-1:]]
        depth += tree_path(int(terms.max(initial=1)), int(sums.max(initial=1)))
        return Work((*multiplies, *adder_trees(terms, sums)), tuple(depth))

    def _terms(self, x: TensorType, live: BoolArray) -> IntArray:
        """How many numbers each output is the sum of, by position: products of inputs that vary, and a constant."""
        kernel, bias = self._constants(x)
        known = np.where(live, 0, x.low.reshape(live.shape)) @ kernel + bias
        terms = live.astype(np.int64) @ (kernel != 0) + (known != 0)
        negated = live.astype(np.int64) @ ((kernel < 0) & (csd_digits(kernel) == 1))
        # Where everything is subtracted, there is a zero that it is subtracted from; the sign of a multiple is free.
        return terms + ((terms > 0) & (negated == terms))

    def _shared_work(self, x: TensorType, y: TensorType, positions: int, reuse: int) -> Work:
        count = self.n_in * self.n_out // reuse
        wide = max(int(x.widths.max(initial=0)), 1)
        weight = self.kernel.type.hull.width
        total = max(int(y.widths.max(initial=0)), 1)
        # As the kernel goes: some inputs for all outputs a cycle, or one input for some of them.
        inputs, outputs = max(count // self.n_out, 1), min(count, self.n_out)
        chosen_inputs = inputs * (self.n_in // inputs - 1)
        chosen_sums = outputs * (self.n_out // outputs - 1)
        found = [
            Unit("multiply", count, (wide, weight)),
            Unit("add", count, (total,)),
            Unit("memory", reuse, (count * weight,)),
            Unit("register", self.n_out, (total,)),
            *([Unit("select", chosen_inputs, (wide,))] if chosen_inputs else []),
            *([Unit("select", chosen_sums, (total,))] if chosen_sums else []),
        ]
        terms = inputs + 1
        # A weight is read, which takes a clock edge, and multiplied; the products of an output join its running sum.
        depth = (Unit("memory", 1, (count * weight,)), Unit("multiply", 1, (wide, weight)), *tree_path(terms, total))
        return Work(tuple(found), depth, reuse * positions)

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


def _heaviness(unit: Unit) -> tuple[int, int]:
    return unit.digits, sum(unit.widths)


def _divisors(n: int) -> list[int]:
    return [d for d in range(1, n + 1) if n % d == 0]


@reads(
    "hgq.layers.QDense",
    "hgq.layers.QBatchNormDense",
    # Normalisation is part of the weights that the layer itself multiplies by.
    consumes="units use_bias activation scale momentum epsilon synchronized",
    neutral={"lora_alpha": None},
)
def read_dense(layer: LayerView, build: Builder, x: Ref) -> Ref:
    """Dense with quantized kernel and bias, over the last axis of an input of any rank."""
    kernel = layer.weight("kernel")
    if kernel is None:
        raise ReadError("it has no kernel; build the model first")
    y = build.add(Dense(kernel, layer.weight("bias")), x, name=layer.name, layer=layer.name)
    return activate(layer, build, y)
