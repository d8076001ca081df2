"""Softmax: left to the host where it stands at an output, computed in integers where it is asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from keras_hls.errors import TooWide
from keras_hls.fixed import MAX_BITS, Constant, IntArray, TensorType, bit_length
from keras_hls.graph import Kernel, Op, Plan, Unit, Work
from keras_hls.layers_ext.activation import ACTIVATIONS
from keras_hls.layers_ext.counting import tree_depth
from keras_hls.layers_ext.reading import Builder, LayerView, ReadError, Ref, reads


@dataclass(frozen=True, eq=False)
class Softmax(Op):
    """y = exp(x) / sum(exp(x)) over the last axis, rounded to `frac` fractional bits.

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
    """

    frac: int = 16
    table_frac: int = 20

    def _span(self, x: TensorType) -> int:
        """The largest distance to the maximum that still matters: beyond it the exponential rounds to 0."""
        low, high = x.low.reshape(-1, x.shape[-1]), x.high.reshape(-1, x.shape[-1])
        most = int((high.max(-1) - low.min(-1)).max(initial=0))
        vanishes = float(np.ldexp((self.table_frac + 1) * np.log(2.0), x.frac))
        return most if most <= vanishes else int(vanishes) + 1

    def _split(self, x: TensorType) -> int:
        """How many low bits index the second table."""
        return max((self._span(x).bit_length() + 1) // 2, 0)

    def _tables(self, x: TensorType) -> tuple[IntArray, IntArray]:
        split, span = self._split(x), self._span(x)
        # C++ counts distances in int, and half of their bits index a table each.
        if span.bit_length() > 31:
            raise TooWide("softmax takes inputs of at most 31 bits here: quantize them")
        coarse, fine = np.arange((span >> split) + 1) << split, np.arange(1 << split)
        return tuple(  # type: ignore[return-value]
            np.rint(np.ldexp(np.exp(-np.ldexp(d.astype(np.float64), -x.frac)), self.table_frac)).astype(np.int64)
            for d in (coarse, fine)
        )

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        if not x.shape:
            raise ValueError("softmax needs an axis to sum over")
        if self.frac < 0 or self.table_frac < 1:
            raise ValueError(f"softmax needs frac >= 0 and table_frac >= 1, not {self.frac} and {self.table_frac}")
        if self.table_frac + self.frac + 2 + tree_depth(x.shape[-1]) >= MAX_BITS or 2 * self.table_frac + 1 >= MAX_BITS:
            raise TooWide(
                f"{x.shape[-1]} quotients to {self.frac} bits, from exponentials to {self.table_frac}, need more than"
                f" {MAX_BITS} bits"
            )
        self._tables(x)
        return TensorType(np.zeros(x.shape, np.int64), np.full(x.shape, 1 << self.frac), self.frac)

    def bind(self, *inputs: TensorType) -> Callable[..., IntArray]:
        (x,) = inputs
        coarse, fine = self._tables(x)
        split, span = self._split(x), self._span(x)
        half = 1 << (self.table_frac - 1)

        def softmax(raw: IntArray) -> IntArray:
            distance = np.minimum(raw.max(-1, keepdims=True) - raw, span)
            e = (coarse[distance >> split] * fine[distance & ((1 << split) - 1)] + half) >> self.table_frac
            total = e.sum(-1, keepdims=True)
            return ((e << (self.frac + 1)) + total) // (total << 1)

        return softmax

    def error(self, *inputs: TensorType) -> float:
        (x,) = inputs
        return 2.0 ** -(self.frac + 1) + 1.5 * (x.shape[-1] + 1) * 2.0**-self.table_frac

    @property
    def host(self) -> str:
        return "softmax"

    def reuse_factors(self, *inputs: TensorType) -> tuple[int, ...]:
        return (1,)

    def work(self, *inputs: TensorType, plan: Plan) -> Work:
        (x,) = inputs
        n, rows = x.shape[-1], x.size // x.shape[-1]
        wide, entry = x.hull.width, self.table_frac + 1
        total = entry + tree_depth(n)
        index = self._span(x).bit_length()
        split = self._split(x)
        divide = Unit("divide", x.size, (entry + self.frac + 1, total + 1))
        found = (
            Unit("compare", rows * (n - 1), (wide,)),
            Unit("select", rows * (n - 1), (wide,)),
            Unit("add", x.size, (index + 1,)),
            Unit("table", x.size, (max(index - split, 1), entry)),
            Unit("table", x.size, (max(split, 1), entry)),
            Unit("multiply", x.size, (entry, entry)),
            Unit("add", rows * (n - 1), (total,)),
            divide,
        )
        step = [Unit(u.kind, 1, u.widths) for u in found]
        depth = [step[0], step[1]] * tree_depth(n) + [step[2], step[3], step[5]] + [step[6]] * tree_depth(n) + [step[7]]
        return Work(tuple(u for u in found if u.count), tuple(depth))

    def hls(self, *inputs: TensorType, plan: Plan) -> Kernel:
        (x,) = inputs
        coarse, fine = self._tables(x)
        n = x.shape[-1]
        sizes = {
            "rows": x.size // n,
            "n": n,
            "split": self._split(x),
            "span": self._span(x),
            "frac": self.frac,
            "table_frac": self.table_frac,
            "input_width": x.hull.width + 1,
            "sum_width": int(bit_length(n << self.table_frac)),
        }
        return Kernel("softmax", "softmax", sizes, {"coarse": Constant(coarse, 0), "fine": Constant(fine, 0)})


ACTIVATIONS["softmax"] = lambda build, x, name, layer: build.add(Softmax(), x, name=name, layer=layer)


@reads("keras.layers.Softmax", consumes="axis")
def read_softmax(layer: LayerView, build: Builder, x: Ref) -> Ref:
    """Softmax over the last axis."""
    if layer.config["axis"] not in (-1, [-1], (-1,)):
        raise ReadError(f"axis must be -1, not {layer.config['axis']!r}; permute its input")
    return build.add(Softmax(), x, name=layer.name, layer=layer.name)
