"""Embedding: rows of a table, by number."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from keras_hls.fixed import (
    BoolArray,
    Constant,
    Fixed,
    Formats,
    IntArray,
    TensorType,
    bit_length,
    shift_left,
    trailing_zeros,
)
from keras_hls.layers_ext.counting import by_kind, units
from keras_hls.layers_ext.quantize import Quantize
from keras_hls.layers_ext.reading import Builder, LayerView, ReadError, Ref, reads
from keras_hls.op import Kernel, Needs, Op, Plan, Work


@dataclass(frozen=True, eq=False)
class Lookup(Op):
    """y[..., j] = rows[clip(x, 0, n - 1), j], for whole numbers x.

    Parameters
    ----------
    rows : Constant
        [n, m].
    """

    rows: Constant

    def _index(self, raw: IntArray, x: TensorType) -> IntArray:
        whole = raw >> x.frac if x.frac >= 0 else shift_left(raw, -x.frac)
        return np.clip(whole, 0, len(self.rows.raw) - 1)

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        if self.rows.raw.ndim != 2 or not len(self.rows.raw):
            raise ValueError("rows must be a table of at least one row")
        if (x.zeros < x.frac).any():
            raise ValueError("rows are chosen by whole numbers; quantize the input to integers")
        table = self.rows.raw
        ends = np.stack([self._index(x.low, x).reshape(-1), self._index(x.high, x).reshape(-1)])
        pairs, where = np.unique(ends, axis=1, return_inverse=True)
        shape = (*x.shape, table.shape[1])
        low = np.array([table[a : b + 1].min(0) for a, b in pairs.T]).reshape(-1, shape[-1])
        high = np.array([table[a : b + 1].max(0) for a, b in pairs.T]).reshape(-1, shape[-1])
        zeros = np.broadcast_to(trailing_zeros(table).min(0), shape)
        return TensorType(low[where].reshape(shape), high[where].reshape(shape), self.rows.frac, zeros)

    def bind(self, *inputs: TensorType) -> Callable[..., IntArray]:
        (x,) = inputs
        return lambda raw: self.rows.raw[self._index(raw, x)]

    def needs(self, wanted: BoolArray, *inputs: TensorType) -> Needs:
        return Needs(wanted, (np.ones(inputs[0].channels, bool),))

    def pruned(self, made: BoolArray, given: Sequence[BoolArray], *inputs: TensorType) -> Op | None:
        return Lookup(self.rows.map(lambda a: a[:, made])) if given[0].all() else None

    def reuse_factors(self, *inputs: TensorType) -> tuple[int, ...]:
        return (1,)

    def work(self, *inputs: TensorType, plan: Plan) -> Work:
        (x,) = inputs
        y = self.infer(x)
        first, last = self._index(x.low, x), self._index(x.high, x)
        index = np.maximum(bit_length(last - first), 1)[..., None]
        live = y.widths > 0
        found = units("table", np.broadcast_to(index, y.shape)[live], y.widths[live])
        last = np.ldexp(float(len(self.rows.raw) - 1), x.frac)
        outside = ((x.low < 0) | (x.high > last)) & live.any(-1)
        clamps = [*units("compare", x.widths[outside]), *units("select", x.widths[outside])]
        return by_kind([*clamps, *found])

    def hls(self, *inputs: TensorType, plan: Plan) -> Kernel:
        (x,) = inputs
        n, m = self.rows.shape
        sizes = {
            "size": x.size,
            "n": n,
            "m": m,
            "right": max(x.frac, 0),
            "left": max(-x.frac, 0),
            "width": max(x.hull.width + max(-x.frac, 0), n.bit_length()) + 1,
        }
        return Kernel("lookup", "lookup", sizes, {"rows": self.rows.map(lambda a: a.reshape(-1))})


@reads("keras.layers.Embedding", consumes="input_dim output_dim", neutral={"mask_zero": False}, integers=True)
def read_embedding(layer: LayerView, build: Builder, x: Ref) -> Ref:
    """Rows by number. Samples of an input with other numbers are refused; computed ones count as the first or last row."""
    rows = layer.weight("embeddings")
    if rows is None:
        raise ReadError("it has no rows; build the model first")
    build.limit(x, 0, rows.shape[0] - 1)
    # Keras casts to integers as C does.
    bits = max((rows.shape[0] - 1).bit_length(), 1)
    whole = Quantize(Formats.of(Fixed(False, bits, bits, "TRN_ZERO", "SAT")))
    index = build.add(whole, x, name=f"{layer.name}_index", layer=layer.name)
    return build.add(Lookup(rows), index, name=layer.name, layer=layer.name)
