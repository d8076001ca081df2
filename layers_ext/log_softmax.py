"""The logarithm of a softmax: left to the host where it stands at an output, computed in integers elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import log
from typing import Literal

import numpy as np

from keras_hls.errors import TooWide
from keras_hls.fixed import MAX_BITS, Constant, IntArray, TensorType, shift_left
from keras_hls.layers_ext.activation import ACTIVATIONS
from keras_hls.layers_ext.axis_runs import TAKEN, over_axes, permuted_axes, sample_axes
from keras_hls.layers_ext.counting import in_turn
from keras_hls.layers_ext.curves import Curve
from keras_hls.layers_ext.exponentials import Exponentials, distance_ends
from keras_hls.layers_ext.reading import Builder, LayerView, Ref, reads_operation
from keras_hls.layers_ext.softmax import host_function
from keras_hls.op import Kernel, Op, Plan, Unit, Work

#: Fractional bits of the logarithm where nothing that reads it says how many it needs, and at most.
_FRAC, _FINEST = 16, 22
# How many more than whatever cuts it next: so that few values fall on the other side of a step.
_FINER = 8
# Bits of the sum of logarithms below those of the result.
_GUARD = 3


@dataclass(frozen=True, eq=False)
class LogSoftmax(Op):
    """y = x - max(x) - log(sum(exp(x - max(x)))) over some axes: distances are exact, the logarithm has `frac` fractional bits.

    Exponentials come from tables, as those of `Softmax`. The logarithm of their sum is that of its leading one and that of
    what follows, by straight pieces.

    Parameters
    ----------
    frac : int, optional
        None until a pass has found out what its readers need.
    table_frac : int
        Fractional bits of the exponentials.
    axes : tuple of int
        Of a sample, in up to two places; negative ones count from the end.
    """

    frac: int | None = None
    table_frac: int = 24
    axes: tuple[int, ...] = (-1,)

    def settle(self, *inputs: TensorType, frac: int | None) -> Op:
        if self.frac is not None:
            return self
        return replace(self, frac=_FRAC if frac is None else min(max(frac + _FINER, 0), _FINEST))

    def _settled(self) -> int:
        if self.frac is None:
            raise ValueError("a logarithm has no type before a pass has chosen its precision")
        return self.frac

    def _exponentials(self, x: TensorType) -> Exponentials:
        return Exponentials(x, self.axes, self.table_frac)

    def _frac(self, x: TensorType) -> int:
        return max(self._settled(), x.frac)

    def _curve(self) -> Curve:
        """log(m) for m from 1 to 2, off by about a quarter of the result's last bit."""
        frac = self._settled()
        index_bits = max(frac // 2, 1)
        return Curve.of(
            np.log,
            lambda m: m**-2.0,
            octaves=1,
            index_bits=index_bits,
            rest_bits=frac + _GUARD - index_bits,
            frac=frac + _GUARD,
            relative=False,
        )

    def _powers(self, x: TensorType) -> IntArray:
        """Logarithms of the powers of two that a sum's leading one can be, the largest first."""
        most = self._exponentials(x).runs.count.bit_length() - 1
        return np.rint(np.ldexp(np.log(2.0) * np.arange(most, -1, -1), self._settled() + _GUARD)).astype(np.int64)

    def _logarithm(self, x: TensorType) -> Callable[[IntArray], IntArray]:
        curve, powers = self._curve(), self._powers(x)
        width = self._exponentials(x).sizes["sum_width"]
        up = self._frac(x) - self._settled()

        def logarithm(total: IntArray) -> IntArray:
            mantissa, shifts = curve.normalized(total, width)
            return (powers[shifts] + curve(mantissa) + (1 << (_GUARD - 1)) >> _GUARD) << up

        return logarithm

    def _most(self, x: TensorType) -> int:
        """A bound of the logarithm."""
        curve, powers = self._curve(), self._powers(x)
        largest = int(powers[0]) + int((curve.starts + curve.slopes).max())
        return (largest >> _GUARD) + 1 << (self._frac(x) - self._settled())

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        if self._settled() < 0 or self.table_frac < 1:
            raise ValueError(f"a logarithm needs frac >= 0 and table_frac >= 1, not {self.frac} and {self.table_frac}")
        exponentials = self._exponentials(x).checked()
        low, high = distance_ends(x, exponentials.runs)
        up = self._frac(x) - x.frac
        if int(high.max(initial=0)) >> (MAX_BITS - 2 - up):
            raise TooWide(f"a distance to the largest value needs more than {MAX_BITS} bits")
        return TensorType(-shift_left(high, up) - self._most(x), -shift_left(low, up), self._frac(x))

    def bind(self, *inputs: TensorType) -> Callable[..., IntArray]:
        (x,) = inputs
        exponentials = self._exponentials(x)
        spread, run, logarithm = exponentials.runs.spread, exponentials.bind(), self._logarithm(x)
        up = self._frac(x) - x.frac

        def log_softmax(raw: IntArray) -> IntArray:
            distance, e = run(spread(raw))
            return (-(distance << up) - logarithm(e.sum(TAKEN, keepdims=True))).reshape(raw.shape)

        return log_softmax

    def permuted(self, axes: tuple[int, ...]) -> Op | None:
        moved = permuted_axes(self.axes, axes)
        return None if moved is None else replace(self, axes=moved)

    @property
    def endless(self) -> bool:
        return True

    def error(self, *inputs: TensorType) -> float:
        """Of the logarithm's last bit, its pieces and powers, its argument's bits, and of the sum of exponentials."""
        (x,) = inputs
        curve, exponentials = self._curve(), self._exponentials(x)
        off = 1.5 * (exponentials.runs.count - 1) * 2.0**-self.table_frac
        of_sum = -log(1 - off) if off < 1 else float("inf")
        own = 2.0 ** -(self._settled() + 1) + curve.error + 2.0 ** -(curve.frac + 1)
        return own + of_sum + 2.0**-curve.mantissa_bits

    @property
    def narrow(self) -> Literal["value"]:
        return "value"

    @property
    def host(self) -> str:
        return host_function("log_softmax", self.axes)

    def reuse_factors(self, *inputs: TensorType) -> tuple[int, ...]:
        return (1,)

    def work(self, *inputs: TensorType, plan: Plan) -> Work:
        (x,) = inputs
        exponentials, curve = self._exponentials(x), self._curve()
        sizes, y = exponentials.sizes, self.infer(x)
        groups, width = exponentials.runs.groups, sizes["sum_width"]
        steps = (len(self._powers(x)) - 1).bit_length()
        slope, start = curve.sizes["slope_width"], curve.sizes["start_width"]
        own = in_turn(
            *[[Unit("compare", groups, (width,))], [Unit("select", groups, (width,))]] * steps,
            [Unit("table", groups, (curve.index_bits, slope)), Unit("table", groups, (curve.index_bits, start))],
            [Unit("multiply", groups, (curve.rest_bits, slope))],
            [Unit("add", groups, (start,))],
            [Unit("add", groups, (start,))],
            [Unit("round", groups, (start,))],
            [Unit("add", x.size, (y.hull.width,))],
        )
        return Work((*exponentials.steps, *own.steps))

    def hls(self, *inputs: TensorType, plan: Plan) -> Kernel:
        (x,) = inputs
        exponentials, curve, powers = self._exponentials(x), self._curve(), self._powers(x)
        width = exponentials.sizes["sum_width"]
        down = width - 1 - curve.mantissa_bits
        sizes = {
            **exponentials.sizes,
            **curve.sizes,
            "powers": len(powers),
            "steps": (len(powers) - 1).bit_length(),
            "drop": max(down, 0),
            "lift": max(-down, 0),
            "mantissa_width": curve.mantissa_bits + 1,
            "guard": _GUARD,
            "log_up": self._frac(x) - self._settled(),
            "distance_up": self._frac(x) - x.frac,
            "result_width": max(self.infer(x).hull.width, int(powers[0]).bit_length() + curve.sizes["start_width"]) + 2,
        }
        tables = {
            **exponentials.constants,
            "starts": Constant(curve.starts, 0),
            "slopes": Constant(curve.slopes, 0),
            "powers": Constant(powers, 0),
        }
        return Kernel("log_softmax", "softmax", sizes, tables)


ACTIVATIONS["log_softmax"] = lambda layer, build, x, name: build.add(LogSoftmax(), x, name=name, layer=layer.name)


@reads_operation("keras.ops.LogSoftmax", consumes="axis")
def read_log_softmax(layer: LayerView, build: Builder, x: Ref) -> Ref:
    """Left to the host at an output; inside the network computed in integers, within a bound that a note states."""
    axes = sample_axes(layer, layer.config["axis"])
    return over_axes(layer, build, x, axes, lambda axes: LogSoftmax(axes=axes), name=layer.name)
