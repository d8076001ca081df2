"""Layers that add zeros around an image, a sequence or a volume, and layers that cut its edges off."""

from __future__ import annotations

from typing import Any

from keras_hls.layers_ext.layout import by_axis, channels_last_shape
from keras_hls.layers_ext.movement import Crop, Pad
from keras_hls.layers_ext.reading import Builder, LayerView, ReadError, Ref, reads


def _edges(layer: LayerView, amounts: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """How many elements before and after, for each axis of a sample; Keras writes pairs, one alone for one axis."""
    pairs = [amounts] if isinstance(amounts[0], int) else list(amounts)
    before, after = (by_axis(layer, (int(pair[end]) for pair in pairs), 0) for end in (0, 1))
    return before, after


@reads(
    "keras.layers.ZeroPadding1D",
    "keras.layers.ZeroPadding2D",
    "keras.layers.ZeroPadding3D",
    consumes="padding data_format",
)
def read_zero_padding(layer: LayerView, build: Builder, x: Ref) -> Ref:
    """Zeros on either side of each spatial axis; both data formats."""
    return build.add(Pad(*_edges(layer, layer.config["padding"])), x, name=layer.name, layer=layer.name)


@reads(
    "keras.layers.Cropping1D",
    "keras.layers.Cropping2D",
    "keras.layers.Cropping3D",
    consumes="cropping data_format",
)
def read_cropping(layer: LayerView, build: Builder, x: Ref) -> Ref:
    """Each spatial axis without some elements on either side; both data formats."""
    return build.add(Crop(*_edges(layer, layer.config["cropping"])), x, name=layer.name, layer=layer.name)


@reads(
    "keras.layers.CenterCrop",
    consumes="height width data_format bounding_box_format",
    conditions={"height": "at most that of the image", "width": "at most that of the image"},
)
def read_center_crop(layer: LayerView, build: Builder, x: Ref) -> Ref:
    """The middle of an image; both data formats."""
    size = channels_last_shape(layer)[:2]
    wanted = int(layer.config["height"]), int(layer.config["width"])
    spare = tuple(n - m for n, m in zip(size, wanted))
    if min(spare) < 0:
        raise ReadError(
            f"it makes an image of {size[0]} x {size[1]} larger, {wanted[0]} x {wanted[1]}, which isn't a crop; use"
            " UpSampling2D before it"
        )
    crop = Crop(by_axis(layer, (n // 2 for n in spare), 0), by_axis(layer, (n - n // 2 for n in spare), 0))
    return build.add(crop, x, name=layer.name, layer=layer.name)
