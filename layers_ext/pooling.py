"""Pooling layers, global and adaptive ones, and sums over axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import log2, prod

import numpy as np

from keras_hls.fixed import Constant
from keras_hls.layers_ext.layout import channels_last_shape, in_channels_last
from keras_hls.layers_ext.pool import Pool, reduce
from keras_hls.layers_ext.quotient import divide
from keras_hls.layers_ext.reading import Builder, LayerView, ReadError, Ref, reads
from keras_hls.layers_ext.scale import Scale
from keras_hls.layers_ext.windows import Window, padding

_KINDS, _SIZES = ("Max", "Average"), (1, 2, 3)


def _pooled(layer: LayerView, build: Builder, x: Ref, pools: Sequence[Pool], kind: str) -> Ref:
    """Append one pool an axis of an image with its channels last; for averages, divide by the elements of each window."""
    name = f"{layer.name}_sum" if kind == "average" else layer.name
    for pool in pools:
        x = build.add(replace(pool, kind="sum" if kind == "average" else kind), x, name=name, layer=layer.name)
    if kind != "average":
        return x
    counts = np.ones((), np.int64)
    for pool, length in zip(pools, channels_last_shape(layer)):
        first, last = pool.spans(length)
        counts = np.multiply.outer(counts, last - first)
    # Padding is never counted, so that windows at the borders may have fewer elements.
    divisors = counts.flat[0] if (counts == counts.flat[0]).all() else counts[..., None]
    return divide(build, x, divisors, name=layer.name, layer=layer.name)


@reads(
    *(
        f"{library}{kind}Pooling{n}D"
        for library in ("keras.layers.", "hgq.layers.Q")
        for kind in _KINDS
        for n in _SIZES
    ),
    *(f"HGQ.layers.P{kind}Pooling{n}D" for kind in _KINDS for n in (1, 2)),
    consumes="pool_size strides padding data_format",
)
def read_pooling(layer: LayerView, build: Builder, x: Ref) -> Ref:
    """Any size, strides and padding; padding is no element: an average is over what lies inside."""
    config, image = layer.config, channels_last_shape(layer)
    pools = []
    for axis, (length, size, stride) in enumerate(
        zip(image, config["pool_size"], config["strides"] or config["pool_size"])
    ):
        window = Window(length, size, stride, 1, *padding(config["padding"], length, size, stride))
        pools.append(Pool("", axis, window.outputs, size, stride, window.before))
    return in_channels_last(layer, build, x, lambda x: _pooled(layer, build, x, pools, _kind(layer)))


@reads(
    *(f"keras.layers.Adaptive{kind}Pooling{n}D" for kind in _KINDS for n in _SIZES), consumes="output_size data_format"
)
def read_adaptive_pooling(layer: LayerView, build: Builder, x: Ref) -> Ref:
    """Any output size; averages are exact, where Keras rounds those along one axis to float32 before it takes the next."""
    image, outputs = channels_last_shape(layer), layer.config["output_size"]
    pools = [Pool("", axis, n, length, length, 0, n) for axis, (length, n) in enumerate(zip(image, outputs))]
    if _kind(layer) == "average" and any(_rounds(pool, length) for pool, length in zip(pools[:-1], image)):
        build.notes.append(
            f"Layer {layer.name!r}: Keras rounds its averages along one axis to float32 before it takes those along the"
            " next; the hardware's are exact, so a quantizer behind it can get another value"
        )
    return in_channels_last(layer, build, x, lambda x: _pooled(layer, build, x, pools, _kind(layer)))


def _rounds(pool: Pool, length: int) -> bool:
    """Whether an average along the axis can have more bits than the sum: not if every number of elements is a power of two."""
    first, last = pool.spans(length)
    return bool(((last - first) & (last - first - 1)).any())


@reads(
    *(
        f"{library}Global{kind}Pooling{n}D"
        for library in ("keras.layers.", "hgq.layers.Q")
        for kind in _KINDS
        for n in _SIZES
    ),
    consumes="keepdims data_format",
)
def read_global_pooling(layer: LayerView, build: Builder, x: Ref) -> Ref:
    """Over the whole image, with its axes kept or not."""
    image, keepdims, average = channels_last_shape(layer), bool(layer.config["keepdims"]), _kind(layer) == "average"
    axes, rank = range(len(image) - 1), len(image) if keepdims else 1

    def compute(x: Ref) -> Ref:
        kind, name = ("sum", f"{layer.name}_sum") if average else (_kind(layer), layer.name)
        y = reduce(build, x, image, kind, axes, keepdims=keepdims, name=name, layer=layer.name)
        return divide(build, y, prod(image[:-1]), name=layer.name, layer=layer.name) if average else y

    return in_channels_last(layer, build, x, compute, rank=rank)


def _kind(layer: LayerView) -> str:
    return "max" if "Max" in layer.path.rsplit(".", 1)[-1] else "average"


@reads("hgq.layers.QSum", consumes="axes scale keepdims")
def read_sum(layer: LayerView, build: Builder, x: Ref) -> Ref:
    """Over any axes of a sample, times a power of two."""
    scale = float(layer.config["scale"])
    if scale == 1:
        return _summed(layer, build, x, layer.name)
    total = _summed(layer, build, x, f"{layer.name}_sum")
    return build.add(Scale(Constant.exactly(scale)), total, name=layer.name, layer=layer.name)


@reads("hgq.layers.QMeanPow2", consumes="axes keepdims")
def read_mean_pow2(layer: LayerView, build: Builder, x: Ref) -> Ref:
    """The sum over any axes of a sample, over the power of two that is nearest to their size, in terms of its logarithm."""
    total = _summed(layer, build, x, f"{layer.name}_sum")
    count = prod(layer.shapes[0][axis] for axis in _axes(layer))
    return divide(build, total, 1 << -round(log2(1 / count)), name=layer.name, layer=layer.name)


def _summed(layer: LayerView, build: Builder, x: Ref, name: str) -> Ref:
    keepdims = bool(layer.config["keepdims"])
    return reduce(build, x, layer.shapes[0], "sum", _axes(layer), keepdims=keepdims, name=name, layer=layer.name)


def _axes(layer: LayerView) -> tuple[int, ...]:
    """The layer's axes as those of a sample."""
    rank = len(layer.shapes[0]) + 1
    axes = {int(axis) % rank for axis in layer.config["axes"]}
    if 0 in axes:
        raise ReadError(
            f"axes must not hold the batch's, 0, but are {layer.config['axes']!r}; samples are computed one by one"
        )
    return tuple(sorted(axis - 1 for axis in axes))
