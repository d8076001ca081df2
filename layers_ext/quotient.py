"""Division by known whole numbers: averages."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from keras_hls.errors import TooWide
from keras_hls.fixed import MAX_BITS, BoolArray, Constant, IntArray, TensorType, shift_left, trailing_zeros
from keras_hls.layers_ext.axes import channel_constants, permuted_constants
from keras_hls.layers_ext.broadcast import Repeated
from keras_hls.layers_ext.counting import by_kind, constant_bits, csd_digits, units
from keras_hls.layers_ext.reading import Builder, Ref
from keras_hls.layers_ext.scale import Scale
from keras_hls.op import Kernel, Op, Plan, Work

# Bits, as far as they fit, where nothing that reads the quotient says how many it needs: fractional ones beyond those of the
# input, and, as the divisor can be any number, all those of the largest quotient; the more of both.
_FINER = 16
_SIGNIFICANT = 24


@dataclass(frozen=True, eq=False)
class Quotient(Op):
    """y = x / divisor, to `frac` fractional bits, rounded to odd.

    A quotient has no last bit. Rounded to odd (cut, with the last bit set where anything was lost), with two bits more than
    whatever cuts it next, it is as good as the real one: every rounding mode gets the same from both.

    Parameters
    ----------
    divisor : Constant
        Positive whole numbers; must broadcast to the input's shape.
    frac : int, optional
        Fractional bits of the result; None until a pass has found out what its readers need.
    exact : bool
        Whether all that reads it cuts it so that nothing is lost.
    """

    divisor: Constant
    frac: int | None = None
    exact: bool = False

    def settle(self, *inputs: TensorType, frac: int | None) -> Op:
        if self.frac is not None:
            return self
        (x,) = inputs
        if frac is not None:
            return replace(self, frac=frac + 2, exact=True)
        largest = np.ldexp(np.maximum(np.abs(x.low), np.abs(x.high)) / self.divisor.raw, -x.frac).max(initial=0)
        finest = max(x.frac + _FINER, _SIGNIFICANT - int(np.frexp(largest)[1]) if largest else 0)
        for finer in range(finest, x.frac, -1):
            op = replace(self, frac=finer)
            with suppress(TooWide):
                op.infer(x)
                return op
        return replace(self, frac=x.frac)

    def permuted(self, axes: tuple[int, ...]) -> Op:
        return replace(self, divisor=self.divisor.map(lambda a: permuted_constants(a, axes)))

    def channelwise(self, kept: BoolArray, *inputs: TensorType) -> Op:
        return replace(self, divisor=self.divisor.map(lambda a: channel_constants(a, kept)))

    def _terms(self, x: TensorType) -> tuple[int, IntArray]:
        """How far the dividend is shifted up, and the divisors in the units of the result."""
        if self.frac is None:
            raise ValueError("a quotient has no type before a pass has chosen its precision")
        up = self.frac - x.frac
        return max(up, 0), shift_left(self.divisor.raw, max(-up, 0))

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        if self.divisor.frac or (self.divisor.raw <= 0).any():
            raise ValueError("divisors must be positive whole numbers")
        Repeated.of(self.divisor.shape, x.shape)
        up, divisor = self._terms(x)
        low, high = (_odd_quotient(shift_left(end, up), divisor) for end in (x.low, x.high))
        kind = TensorType(low, high, self.frac or 0)
        self._reciprocal(x)
        return kind

    def bind(self, *inputs: TensorType) -> Callable[..., IntArray]:
        up, divisor = self._terms(inputs[0])
        return lambda raw: _odd_quotient(raw << up, divisor)

    @property
    def endless(self) -> bool:
        return True

    def error(self, *inputs: TensorType) -> float:
        return 0.0 if self.exact else 2.0 ** -(self.frac or 0)

    def _reciprocal(self, x: TensorType) -> tuple[int, IntArray, IntArray]:
        """A division as a product: the quotient is ``(|x| * factor) >> shift``, exact if what falls off is below `whole`.

        With factor = ceil(2**s / d), the product is too large by |x| * e for an e below d, where e = factor * d - 2**s. In
        units of the result that is less than 1 / d, the least distance to the next whole number, if s has as many bits as
        |x|, the shift and d together (Granlund and Montgomery, "Division by invariant integers", 1994).
        """
        up, divisor = self._terms(x)
        dividend = int(np.maximum(np.abs(x.low), np.abs(x.high)).max(initial=0)).bit_length()
        bits = dividend + up + int(divisor.max(initial=1)).bit_length()
        largest = -(-(1 << bits) // int(divisor.min())) if divisor.size else 1
        if bits - up >= MAX_BITS - 1 or dividend + largest.bit_length() >= MAX_BITS:
            raise TooWide(f"a quotient to {self.frac} fractional bits needs more than {MAX_BITS} bits on the way")
        return bits - up, _rounded_up(1 << bits, divisor), _rounded_up(1 << (bits - up), divisor)

    def reuse_factors(self, *inputs: TensorType) -> tuple[int, ...]:
        return (1,)

    def work(self, *inputs: TensorType, plan: Plan) -> Work:
        (x,) = inputs
        y = self.infer(x)
        shift, factor, _ = self._reciprocal(x)
        factors = np.broadcast_to(factor, x.shape)
        live = x.widths > 0
        digits = csd_digits(factors)
        product = np.where(live & (digits > 1), 1, 0)
        found = [
            *units(
                "constant_multiply",
                x.widths[product > 0],
                constant_bits(factors[product > 0]),
                digits=digits[product > 0],
            ),
            # The last bit says whether anything fell off; what is negative is divided as its magnitude.
            *units("compare", np.full(int(live.sum()), shift)),
            *units("add", x.widths[live & (x.low < 0)]),
            *units("add", y.widths[live & (x.low < 0)]),
        ]
        return by_kind(found)

    def hls(self, *inputs: TensorType, plan: Plan) -> Kernel:
        (x,) = inputs
        shift, factor, whole = self._reciprocal(x)
        repeated = Repeated.of(self.divisor.shape, x.shape)
        largest = int(np.maximum(np.abs(x.low), np.abs(x.high)).max(initial=0))
        sizes = {
            "size": x.size,
            "count": repeated.count,
            "inner": repeated.inner,
            "shift": shift,
            "magnitude": max(largest.bit_length(), 1),
            "width": max((largest * int(factor.max(initial=1))).bit_length(), shift + 1),
        }
        tables = {
            "factor": Constant(repeated.pick(factor, x.shape), 0),
            "whole": Constant(repeated.pick(whole, x.shape), 0),
        }
        return Kernel("quotient", "quotient", sizes, tables)


def _rounded_up(power: int, divisor: IntArray) -> IntArray:
    """Return the least whole numbers from ``power / divisor`` up; `power` may have any number of bits."""
    several, where = np.unique(divisor, return_inverse=True)
    found = np.array([-(-power // d) for d in several.tolist()], np.int64)
    return found[where].reshape(divisor.shape)


def _odd_quotient(raw: IntArray, divisor: IntArray) -> IntArray:
    """Return ``raw / divisor`` rounded to odd: its last bit is set where there is a remainder."""
    quotient = raw // divisor
    return quotient | (quotient * divisor != raw)


def divide(build: Builder, x: Ref, divisors: npt.ArrayLike, *, name: str, layer: str) -> Ref:
    """Append x / divisors, exactly: by a shift where all divisors are powers of two.

    Parameters
    ----------
    build : Builder
    x : Ref
    divisors : positive integers that broadcast to the shape of x
    name, layer : str
        Of the node.
    """
    whole = np.asarray(divisors, np.int64)
    if (whole & (whole - 1) == 0).all():
        powers = trailing_zeros(whole)
        most = int(powers.max(initial=0))
        if not most:
            return x
        return build.add(Scale(Constant(np.int64(1) << (most - powers), most)), x, name=name, layer=layer)
    return build.add(Quotient(Constant(whole, 0)), x, name=name, layer=layer)
