"""Layers that normalize each sample by its own elements; those that use numbers from training are in `batch_norm`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from keras_hls.fixed import Constant
from keras_hls.layers_ext.axis_runs import over_axes, sample_axes
from keras_hls.layers_ext.normalize import Normalize
from keras_hls.layers_ext.reading import Builder, LayerView, ReadError, Ref, reads
from keras_hls.layers_ext.reshape import Reshape
from keras_hls.layers_ext.scale import Scale


def _epsilon(value: Any) -> Constant:
    """Keras adds it to float32 numbers.

    Raises
    ------
    ReadError
        If it isn't positive.
    """
    epsilon = np.float32(value)
    if not epsilon > 0:
        raise ReadError(f"epsilon must be positive, or what doesn't vary is divided by zero, but is {value!r}")
    return Constant.exactly(epsilon)


def _normalize(layer: LayerView, build: Builder, x: Ref, kind: str, epsilon: Constant) -> Ref:
    axes = sample_axes(layer, layer.config["axis"])
    return over_axes(
        layer, build, x, axes, lambda axes: Normalize(kind, epsilon, axes), name=f"{layer.name}_normalized"
    )


def _scaled(
    layer: LayerView,
    build: Builder,
    y: Ref,
    scale: Constant | None,
    offset: Constant | None,
    shape: Sequence[int] | None,
) -> Ref:
    """Append factor and offset, brought into a shape that broadcasts to the layer's output."""
    if scale is None and offset is None:
        return y
    if shape is not None:
        scale, offset = (c and c.map(lambda a: a.reshape(shape)) for c in (scale, offset))
    op = Scale(Constant(np.ones((), np.int64), 0) if scale is None else scale, offset)
    return build.add(op, y, name=layer.name, layer=layer.name)


_BOUND = "a bound that verification states"


@reads(
    "keras.layers.LayerNormalization",
    consumes="axis epsilon center scale rms_scaling",
    within=_BOUND,
)
def read_layer_normalization(layer: LayerView, build: Builder, x: Ref) -> Ref:
    """Over any axes, by exact sums and a reciprocal root that is as precise for any variance, within a bound that is stated."""
    shape, axes = layer.shapes[0], sample_axes(layer, layer.config["axis"])
    kind = "deviation" if layer.config["rms_scaling"] else "layer"
    y = _normalize(layer, build, x, kind, _epsilon(layer.config["epsilon"]))
    full = [n if axis - len(shape) in axes else 1 for axis, n in enumerate(shape)]
    return _scaled(layer, build, y, layer.weight("gamma"), layer.weight("beta"), full)


@reads("keras.layers.RMSNormalization", consumes="axis epsilon", within=_BOUND)
def read_rms_normalization(layer: LayerView, build: Builder, x: Ref) -> Ref:
    """Over any axes, as LayerNormalization; its factors broadcast from the last axis on, as Keras has them."""
    y = _normalize(layer, build, x, "rms", _epsilon(layer.config["epsilon"]))
    return _scaled(layer, build, y, layer.weight("scale"), None, None)


@reads("keras.layers.UnitNormalization", consumes="axis", within=_BOUND)
def read_unit_normalization(layer: LayerView, build: Builder, x: Ref) -> Ref:
    """Over any axes, as LayerNormalization; what is all zero stays so."""
    return _normalize(layer, build, x, "unit", Constant(np.zeros((), np.int64), 0))


@reads(
    "keras.layers.GroupNormalization",
    consumes="groups axis epsilon center scale",
    within=_BOUND,
)
def read_group_normalization(layer: LayerView, build: Builder, x: Ref) -> Ref:
    """Over groups of channels and all other axes, as LayerNormalization; groups=-1 normalizes each channel alone."""
    shape, (axis,) = layer.shapes[0], sample_axes(layer, layer.config["axis"])
    at = axis + len(shape)
    channels, groups = shape[at], int(layer.config["groups"])
    groups = channels if groups == -1 else groups
    grouped = (*shape[:at], groups, channels // groups, *shape[at + 1 :])
    x = build.add(Reshape(grouped), x, name=f"{layer.name}_groups", layer=layer.name)
    # All but the groups lie in two places, so nothing has to be moved.
    axes = tuple(a - len(grouped) for a in range(len(grouped)) if a != at)
    op = Normalize("layer", _epsilon(layer.config["epsilon"]), axes)
    y = build.add(op, x, name=f"{layer.name}_normalized", layer=layer.name)
    y = build.add(Reshape(shape), y, name=f"{layer.name}_whole", layer=layer.name)
    full = [n if a == at else 1 for a, n in enumerate(shape)]
    return _scaled(layer, build, y, layer.weight("gamma"), layer.weight("beta"), full)
