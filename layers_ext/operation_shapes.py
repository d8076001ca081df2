"""Operations of ``keras.ops`` that move, repeat, join and pick elements."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import prod
from typing import Any

import numpy as np

from keras_hls.frontends.view import OperationView
from keras_hls.layers_ext.joining import join
from keras_hls.layers_ext.movement import Pad, Permute, Repeat, Slice
from keras_hls.layers_ext.operation_arguments import sample_axes
from keras_hls.layers_ext.reading import Builder, ReadError, Ref, reads_operation
from keras_hls.layers_ext.reshape import Reshape


def _shaped(layer: OperationView, build: Builder, x: Ref, shape: Sequence[int], suffix: str = "") -> Ref:
    return build.add(Reshape(tuple(shape)), x, name=f"{layer.name}{suffix}", layer=layer.name)


@reads_operation("keras.ops.Reshape", consumes="newshape")
@reads_operation("keras.ops.ExpandDims", "keras.ops.Squeeze", consumes="axis")
def read_reshape(layer: OperationView, build: Builder, x: Ref) -> Ref:
    """Any shape that leaves the batch alone."""
    before, after = layer.shapes[0], layer.results[0]
    if prod(before) != prod(after):
        raise ReadError(
            f"it makes samples of shape {after} of samples of shape {before}: it reaches across the batch, and samples are"
            " computed one by one"
        )
    return _shaped(layer, build, x, after)


def _permuted(layer: OperationView, build: Builder, x: Ref, axes: Sequence[int]) -> Ref:
    """Append a permutation of a batch's axes."""
    if axes[0] != 0:
        raise ReadError(f"it moves the batch, which must stay axis 0, but the axes become {tuple(axes)}")
    return build.add(Permute(tuple(axis - 1 for axis in axes[1:])), x, name=layer.name, layer=layer.name)


@reads_operation("keras.ops.Transpose", consumes="axes")
def read_transpose(layer: OperationView, build: Builder, x: Ref) -> Ref:
    """Any order of axes in which the batch stays the first."""
    rank = len(layer.shapes[0]) + 1
    axes = layer.config["axes"]
    order = range(rank)[::-1] if axes is None else [int(axis) % rank for axis in axes]
    return _permuted(layer, build, x, list(order))


@reads_operation("keras.ops.Moveaxis", consumes="source destination")
def read_moveaxis(layer: OperationView, build: Builder, x: Ref) -> Ref:
    """Any axes but the batch's."""
    rank = len(layer.shapes[0]) + 1
    source, destination = (_axes(layer.config[key], rank) for key in ("source", "destination"))
    order = [axis for axis in range(rank) if axis not in source]
    for place, axis in sorted(zip(destination, source)):
        order.insert(place, axis)
    return _permuted(layer, build, x, order)


@reads_operation("keras.ops.Swapaxes", consumes="axis1 axis2")
def read_swapaxes(layer: OperationView, build: Builder, x: Ref) -> Ref:
    """Any axes but the batch's."""
    rank = len(layer.shapes[0]) + 1
    order = list(range(rank))
    a, b = (int(layer.config[key]) % rank for key in ("axis1", "axis2"))
    order[a], order[b] = b, a
    return _permuted(layer, build, x, order)


def _axes(axes: Any, rank: int) -> list[int]:
    return [int(axis) % rank for axis in (axes if isinstance(axes, Iterable) else (axes,))]


@reads_operation("keras.ops.Concatenate", consumes="axis")
def read_concatenate(layer: OperationView, build: Builder, parts: Sequence[Any]) -> Ref:
    """Tensors along any axis but the batch's."""
    (axis,) = sample_axes(layer.config["axis"], len(layer.shapes[0]))
    return join(build, _tensors(parts), axis, name=layer.name, layer=layer.name)


@reads_operation("keras.ops.Hstack")
def read_hstack(layer: OperationView, build: Builder, parts: Sequence[Any]) -> Ref:
    """Tensors along the first axis of a sample."""
    return join(build, _tensors(parts), 0, name=layer.name, layer=layer.name)


@reads_operation("keras.ops.Stack", consumes="axis")
def read_stack(layer: OperationView, build: Builder, parts: Sequence[Any]) -> Ref:
    """Tensors along a new axis that isn't the batch's."""
    shape = layer.shapes[0]
    (axis,) = sample_axes(layer.config["axis"], len(shape) + 1)
    rows = [_shaped(layer, build, x, (*shape[:axis], 1, *shape[axis:]), "_part") for x in _tensors(parts)]
    return join(build, rows, axis, name=layer.name, layer=layer.name)


def _tensors(parts: Sequence[Any]) -> list[Ref]:
    if not all(isinstance(part, Ref) for part in parts):
        raise ReadError(
            "it joins tensors with a constant, which no op does; leave the constant to what reads the result"
        )
    return list(parts)


def _cut(layer: OperationView, build: Builder, x: Ref, axis: int, part: slice, suffix: str = "") -> Ref:
    """Append a slice along one axis of a sample."""
    every = [slice(None)] * len(layer.shapes[0])
    every[axis] = part
    return _sliced(layer, build, x, every, suffix)


def _sliced(layer: OperationView, build: Builder, x: Ref, parts: Sequence[slice], suffix: str = "") -> Ref:
    start, stop = (tuple(_end(end) for end in ends) for ends in ((p.start for p in parts), (p.stop for p in parts)))
    step = tuple(1 if part.step is None else int(part.step) for part in parts)
    return build.add(Slice(start, stop, step), x, name=f"{layer.name}{suffix}", layer=layer.name)


def _end(value: Any) -> int | None:
    return None if value is None else int(value)


@reads_operation("keras.ops.Split", consumes="indices_or_sections axis")
def read_split(layer: OperationView, build: Builder, x: Ref) -> list[Ref]:
    """Along any axis but the batch's."""
    (axis,) = sample_axes(layer.config["axis"], len(layer.shapes[0]))
    found, start = [], 0
    for shape in layer.results:
        found.append(_cut(layer, build, x, axis, slice(start, start + shape[axis])))
        start += shape[axis]
    return found


@reads_operation("keras.ops.Unstack", consumes="num axis")
def read_unstack(layer: OperationView, build: Builder, x: Ref) -> list[Ref]:
    """Along any axis but the batch's."""
    (axis,) = sample_axes(layer.config["axis"], len(layer.shapes[0]))
    rows = [_cut(layer, build, x, axis, slice(i, i + 1), "_row") for i in range(layer.shapes[0][axis])]
    return [_shaped(layer, build, row, shape) for row, shape in zip(rows, layer.results)]


@reads_operation("keras.ops.GetItem")
def read_getitem(layer: OperationView, build: Builder, x: Ref, key: Any) -> Ref:
    """Whole numbers, slices, new axes and an ellipsis; the batch is taken whole."""
    keys = list(key) if isinstance(key, tuple) else [key]
    for k in keys:
        if not (k is None or k is Ellipsis or isinstance(k, slice) or (_is_whole(k) and not isinstance(k, bool))):
            raise ReadError(f"it is indexed with {k!r}; only numbers, slices, None and ... can be read")
    rank = len(layer.shapes[0]) + 1
    used = sum(k is not None and k is not Ellipsis for k in keys)
    at = next((i for i, k in enumerate(keys) if k is Ellipsis), len(keys))
    keys[at : at + 1] = [slice(None)] * (rank - used)
    if keys[0] not in (slice(None), slice(0, None), slice(None, None, 1), slice(0, None, 1)):
        raise ReadError(f"it picks {keys[0]!r} of the batch; samples are computed one by one, so begin with ':'")
    parts = [k if isinstance(k, slice) else slice(int(k), int(k) + 1 or None) for k in keys[1:] if k is not None]
    return _shaped(layer, build, _sliced(layer, build, x, parts, "_slice"), layer.results[0])


def _is_whole(value: Any) -> bool:
    return hasattr(value, "__index__")


@reads_operation("keras.ops.Flip", consumes="axis")
def read_flip(layer: OperationView, build: Builder, x: Ref) -> Ref:
    """Along any axes but the batch's."""
    if layer.config["axis"] is None:
        raise ReadError("axis=None reverses the batch too; give the axes of a sample")
    rank = len(layer.shapes[0])
    turned = sample_axes(layer.config["axis"], rank)
    parts = [slice(None, None, -1) if axis in turned else slice(None) for axis in range(rank)]
    return _sliced(layer, build, x, parts)


@reads_operation("keras.ops.Roll", consumes="shift axis")
def read_roll(layer: OperationView, build: Builder, x: Ref) -> Ref:
    """By a number of elements along one axis that isn't the batch's."""
    if layer.config["axis"] is None or not _is_whole(layer.config["shift"]):
        raise ReadError("only a shift by one number along one axis of a sample can be read")
    (axis,) = sample_axes(layer.config["axis"], len(layer.shapes[0]))
    shift = int(layer.config["shift"]) % layer.shapes[0][axis]
    if not shift:
        return x
    ends = [_cut(layer, build, x, axis, part, "_part") for part in (slice(-shift, None), slice(None, -shift))]
    return join(build, ends, axis, name=layer.name, layer=layer.name)


@reads_operation("keras.ops.Repeat", consumes="repeats axis")
def read_repeat(layer: OperationView, build: Builder, x: Ref) -> Ref:
    """Each element so often in a row, along one axis that isn't the batch's."""
    if layer.config["axis"] is None or not _is_whole(layer.config["repeats"]):
        raise ReadError("only one number of repeats along one axis of a sample can be read")
    (axis,) = sample_axes(layer.config["axis"], len(layer.shapes[0]))
    repeats = [1] * len(layer.shapes[0])
    repeats[axis] = int(layer.config["repeats"])
    return build.add(Repeat(tuple(repeats)), x, name=layer.name, layer=layer.name)


@reads_operation("keras.ops.Tile", consumes="repeats")
def read_tile(layer: OperationView, build: Builder, x: Ref) -> Ref:
    """Whole samples, so often along each of their axes."""
    shape, given = layer.shapes[0], layer.config["repeats"]
    repeats = [int(n) for n in (given if isinstance(given, Iterable) else (given,))]
    repeats = [1] * (len(shape) + 1 - len(repeats)) + repeats
    if len(repeats) > len(shape) + 1 or repeats[0] != 1:
        raise ReadError(f"repeats={given!r} repeats the batch; samples are computed one by one")
    # Each axis gets one before it, along which it is repeated.
    x = _shaped(layer, build, x, [n for size in shape for n in (1, size)], "_rows")
    every = tuple(n for r in repeats[1:] for n in (r, 1))
    return _shaped(
        layer, build, build.add(Repeat(every), x, name=f"{layer.name}_tiles", layer=layer.name), layer.results[0]
    )


@reads_operation("keras.ops.BroadcastTo", consumes="shape")
def read_broadcast(layer: OperationView, build: Builder, x: Ref) -> Ref:
    """Along axes of a sample that have one element."""
    shape, wanted = layer.shapes[0], layer.results[0]
    if len(shape) != len(wanted) or layer.config["shape"][0] not in (None, -1):
        raise ReadError(
            f"shape={tuple(layer.config['shape'])!r} must have the axes of its tensor and leave the batch open, as"
            " (keras.ops.shape(x)[0], ...) does"
        )
    repeats = tuple(n // m for n, m in zip(wanted, shape))
    return build.add(Repeat(repeats), x, name=layer.name, layer=layer.name)


@reads_operation("keras.ops.Pad", consumes="pad_width mode")
def read_pad(layer: OperationView, build: Builder, x: Ref, constant_values: Any = None) -> Ref:
    """Zeros around a sample."""
    if layer.config["mode"] != "constant" or constant_values:
        raise ReadError("only zeros can be padded: mode='constant' without constant_values")
    rank, given = len(layer.shapes[0]) + 1, layer.config["pad_width"]
    pairs = np.broadcast_to(np.asarray(given, int), (rank, 2)).tolist()
    if any(pairs[0]):
        raise ReadError(f"pad_width={given!r} pads the batch; begin it with (0, 0)")
    before, after = (tuple(ends[i] for ends in pairs[1:]) for i in (0, 1))
    return build.add(Pad(before, after), x, name=layer.name, layer=layer.name)
