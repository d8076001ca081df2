"""Channels first or last: every op has its channels last; layers that have them first are bracketed by permutations."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from keras_hls.layers_ext.movement import Permute
from keras_hls.layers_ext.reading import Builder, LayerView, Ref

T = TypeVar("T")


def channels_first(layer: LayerView) -> bool:
    """Whether the layer takes its channels as the first axis of a sample."""
    return layer.config.get("data_format") == "channels_first"


def channels_last_shape(layer: LayerView, i: int = 0) -> tuple[int, ...]:
    """Return the shape of one sample of input `i` with its channels last, wherever the layer has them."""
    shape = layer.shapes[i]
    return (*shape[1:], shape[0]) if channels_first(layer) else shape


def in_channels_last(
    layer: LayerView, build: Builder, x: Ref, compute: Callable[[Ref], Ref], *, rank: int | None = None
) -> Ref:
    """Return ``compute(x)`` for a layer of either data format: `compute` gets and returns tensors with channels last.

    Parameters
    ----------
    layer : LayerView
        Its ``data_format`` says where its channels are.
    build : Builder
    x : Ref
        Its first input.
    compute : function
        Adds the layer's operations to `build`.
    rank : int, optional
        Axes of a sample that `compute` returns; by default as many as `x` has.
    """
    if not channels_first(layer):
        return compute(x)
    before = len(layer.shapes[0])
    after = before if rank is None else rank
    x = build.add(Permute((*range(1, before), 0)), x, name=f"{layer.name}_channels_last", layer=layer.name)
    y = compute(x)
    if after < 2:
        return y
    back = Permute((after - 1, *range(after - 1)))
    return build.add(back, y, name=f"{layer.name}_channels_first", layer=layer.name)


def by_axis(layer: LayerView, spatial: Iterable[T], channels: T) -> tuple[T, ...]:
    """Return a value for each axis of a sample: those of the spatial axes in order, and the one of the channels."""
    return (channels, *spatial) if channels_first(layer) else (*spatial, channels)
