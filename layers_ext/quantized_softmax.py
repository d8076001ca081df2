"""Softmax with quantizers of its own: two tables of quantized values, exactly as the layer looks them up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np

from keras_hls.errors import TooWide
from keras_hls.fixed import MAX_BITS, FloatArray, Formats, IntArray, TensorType
from keras_hls.layers_ext.axis_runs import TAKEN, Runs, over_axes, permuted_axes, sample_axes
from keras_hls.layers_ext.counting import extreme_steps, in_turn, units
from keras_hls.layers_ext.exponentials import distance_ends
from keras_hls.layers_ext.merge import Multiply
from keras_hls.layers_ext.pool import reduce
from keras_hls.layers_ext.quantize import Quantize
from keras_hls.layers_ext.reading import Builder, LayerView, ReadError, Ref, reads
from keras_hls.layers_ext.table import Function
from keras_hls.op import Kernel, Op, Plan, Work


@dataclass(frozen=True, eq=False)
class Distance(Op):
    """y = max(x) - x over some axes, exact.

    Parameters
    ----------
    axes : tuple of int
        Of a sample, in up to two places; negative ones count from the end.
    """

    axes: tuple[int, ...]

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        runs = Runs.of(x.shape, self.axes)
        if int(x.high.max(initial=0)) - int(x.low.min(initial=0)) >= 1 << (MAX_BITS - 1):
            raise TooWide(f"a distance to the largest value needs more than {MAX_BITS} bits")
        low, high = distance_ends(x, runs)
        zeros = np.broadcast_to(runs.spread(x.zeros).min(TAKEN, keepdims=True), runs.spread(x.low).shape)
        return TensorType(low, high, x.frac, zeros.reshape(x.shape))

    def bind(self, *inputs: TensorType) -> Callable[..., IntArray]:
        runs = Runs.of(inputs[0].shape, self.axes)

        def distance(raw: IntArray) -> IntArray:
            whole = runs.spread(raw)
            return (whole.max(TAKEN, keepdims=True) - whole).reshape(raw.shape)

        return distance

    def permuted(self, axes: tuple[int, ...]) -> Op | None:
        moved = permuted_axes(self.axes, axes)
        return None if moved is None else replace(self, axes=moved)

    def reuse_factors(self, *inputs: TensorType) -> tuple[int, ...]:
        return (1,)

    def work(self, *inputs: TensorType, plan: Plan) -> Work:
        (x,) = inputs
        y, runs = self.infer(x), Runs.of(x.shape, self.axes)
        adds = units("add", y.widths[y.widths > 0])
        if not adds:
            return Work()
        largest = extreme_steps(np.full(runs.groups, runs.count), x.hull.width)
        return Work((*largest, *in_turn(adds).steps))

    def hls(self, *inputs: TensorType, plan: Plan) -> Kernel:
        (x,) = inputs
        sizes = {**Runs.of(x.shape, self.axes).sizes, "size": x.size, "input_width": x.hull.width + 1}
        return Kernel("distance", "softmax", sizes)


@reads(
    "hgq.layers.QSoftmax",
    consumes="axis axes stable exp_iq_conf exp_oq_conf inv_iq_conf inv_oq_conf allow_heterogeneous_table input_scaler",
    conditions={"axes": "any axis or axes but that of the batch"},
)
def read_quantized_softmax(layer: LayerView, build: Builder, x: Ref) -> Ref:
    """Stable or not, over any axes, with one table for all elements or one each: the values that the layer itself looks up."""
    shape = layer.shapes[0]
    axes = sample_axes(layer, layer.config["axes"])
    if layer.config["stable"]:
        x = over_axes(layer, build, x, axes, Distance, name=f"{layer.name}_distance")
    e = _table(layer, build, x, "exp", shape)
    kept = tuple(1 if axis - len(shape) in axes else n for axis, n in enumerate(shape))
    total = reduce(build, e, shape, "sum", axes, keepdims=True, name=f"{layer.name}_sum", layer=layer.name)
    inverse = _table(layer, build, total, "inv", kept)
    return build.add(Multiply(), e, inverse, name=layer.name, layer=layer.name)


def _table(layer: LayerView, build: Builder, x: Ref, what: str, shape: tuple[int, ...]) -> Ref:
    """Append one of the layer's two tables: a layer of its own, with quantizers before and behind it."""
    table = layer.part(f"{what}_table", shape)
    with _inside(f"{what}_table"):
        (before,), behind = table.input_formats(1), table.output_formats()
    name = f"{layer.name}_{what}"
    if before is not None:
        x = build.add(Quantize(before), x, name=f"{name}_iq", layer=layer.name)
    function = _within(table.function("activation"), behind)
    y = build.add(Function(function, f"{what} of a softmax"), x, name=name, layer=layer.name)
    return y if behind is None else build.add(Quantize(behind), y, name=f"{name}_oq", layer=layer.name)


@contextmanager
def _inside(part: str) -> Iterator[None]:
    """Let what can't be read of a part of a layer say which."""
    try:
        yield
    except ReadError as error:
        raise type(error)(f"in its {part}, {error}") from None


def _within(
    function: Callable[[FloatArray], FloatArray], formats: Formats | None
) -> Callable[[FloatArray], FloatArray]:
    """Return a function cut off beyond all that saturates behind it, infinite values included."""
    if formats is None or not formats.overflow.startswith("SAT"):
        return function
    limit = 2.0 ** float(np.max(formats.integer[formats.live], initial=0) + 1)
    return lambda values: np.clip(function(values), -limit, limit)
