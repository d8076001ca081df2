"""Known factors and offsets: batch normalisation, rescaling, and products by constants."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from keras_hls.errors import TooWide
from keras_hls.fixed import MAX_BITS, BoolArray, Constant, IntArray, TensorType, shift_left, trailing_zeros
from keras_hls.layers_ext.axes import channel_constants, permuted_constants
from keras_hls.layers_ext.broadcast import Repeated
from keras_hls.layers_ext.counting import constant_bits, csd_digits, in_turn, units
from keras_hls.op import Kernel, Op, Plan, Work


@dataclass(frozen=True, eq=False)
class Scale(Op):
    """y = x * scale + offset, exact.

    Parameters
    ----------
    scale : Constant
        Must broadcast to the input's shape.
    offset : Constant, optional
        Likewise.
    """

    scale: Constant
    offset: Constant | None = None

    @property
    def narrow(self) -> Literal["value"]:
        return "value"

    def _frac(self, x: TensorType) -> int:
        product = x.frac + self.scale.frac
        return product if self.offset is None else max(product, self.offset.frac)

    def _constants(self, x: TensorType) -> tuple[IntArray, IntArray]:
        """Factors and offsets in units of the output."""
        frac = self._frac(x)
        offset = np.zeros((), np.int64) if self.offset is None else self.offset.aligned(frac)
        return shift_left(self.scale.raw, frac - x.frac - self.scale.frac), offset

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        Repeated.of(np.broadcast_shapes(self.scale.shape, () if self.offset is None else self.offset.shape), x.shape)
        scale, offset = self._constants(x)
        largest = np.maximum(np.abs(x.low), np.abs(x.high)).astype(np.float64)
        if (largest * np.abs(scale) + np.abs(offset)).max(initial=0) >= (1 << (MAX_BITS - 1)) * (1 - 1e-9):
            raise TooWide(f"a product needs more than {MAX_BITS} bits")
        ends = x.low * scale + offset, x.high * scale + offset
        zeros = np.minimum(np.minimum(x.zeros + trailing_zeros(scale), MAX_BITS), trailing_zeros(offset))
        return TensorType(np.minimum(*ends), np.maximum(*ends), self._frac(x), zeros)

    def bind(self, *inputs: TensorType) -> Callable[..., IntArray]:
        scale, offset = self._constants(inputs[0])
        if not offset.any():
            return lambda raw: raw * scale
        return lambda raw: raw * scale + offset

    @property
    def scaling(self) -> tuple[Constant, Constant]:
        return self.scale, Constant(np.zeros((), np.int64), 0) if self.offset is None else self.offset

    def permuted(self, axes: tuple[int, ...]) -> Op:
        offset = None if self.offset is None else self.offset.map(lambda a: permuted_constants(a, axes))
        return Scale(self.scale.map(lambda a: permuted_constants(a, axes)), offset)

    def channelwise(self, kept: BoolArray, *inputs: TensorType) -> Op:
        offset = None if self.offset is None else self.offset.map(lambda a: channel_constants(a, kept))
        return Scale(self.scale.map(lambda a: channel_constants(a, kept)), offset)

    @property
    def wraps(self) -> bool:
        return True

    def low_bits(self, bits: int, *inputs: TensorType) -> tuple[int, ...]:
        return (bits - int(trailing_zeros(self._constants(inputs[0])[0]).min(initial=MAX_BITS)),)

    def identity(self, *inputs: TensorType) -> bool:
        one = self.scale.frac >= 0 and bool((self.scale.raw == 1 << self.scale.frac).all())
        return one and (self.offset is None or not self.offset.raw.any())

    def reuse_factors(self, *inputs: TensorType) -> tuple[int, ...]:
        return (1,)

    def work(self, *inputs: TensorType, plan: Plan) -> Work:
        (x,) = inputs
        y = self.infer(x)
        scale = np.broadcast_to(self.scale.raw, x.shape)
        digits = np.where(y.widths > 0, csd_digits(scale), 0)
        multiplies = units(
            "constant_multiply", x.widths[digits > 1], constant_bits(scale[digits > 1]), digits=digits[digits > 1]
        )
        # A factor of one digit is a shift; a negative one, like any offset, takes an adder.
        offset = np.broadcast_to(self._constants(x)[1], x.shape)
        adds = units("add", y.widths[(y.widths > 0) & ((offset != 0) | ((digits == 1) & (scale < 0)))])
        return in_turn(multiplies, adds)

    def hls(self, *inputs: TensorType, plan: Plan) -> Kernel:
        (x,) = inputs
        _, offset = self.scaling
        repeated = Repeated.of(np.broadcast_shapes(self.scale.shape, offset.shape), x.shape)
        tables = {
            "scale": self.scale.map(lambda a: repeated.pick(a, x.shape)),
            "offset": offset.map(lambda a: repeated.pick(a, x.shape)),
        }
        return Kernel("scale", "scale", {"size": x.size, "count": repeated.count, "inner": repeated.inner}, tables)
