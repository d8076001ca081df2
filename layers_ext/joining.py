"""Layers that put tensors side by side."""

from __future__ import annotations

from collections.abc import Sequence

from keras_hls.layers_ext import merge
from keras_hls.layers_ext.movement import Concatenate
from keras_hls.layers_ext.reading import Builder, LayerView, ReadError, Ref, reads


def join(build: Builder, parts: Sequence[Ref], axis: int, *, name: str, layer: str) -> Ref:
    """Append the concatenation of any number of tensors.

    Parameters
    ----------
    build : Builder
    parts : sequence of Ref
        In order; at least one.
    axis : int
        Of a sample; negative ones count from the end.
    name, layer : str
        Of the nodes.
    """
    return merge.join(build, Concatenate(axis), parts, name=name, layer=layer)


@reads(
    "keras.layers.Concatenate",
    "HGQ.layers.PConcatenate",
    consumes="axis",
    conditions={"axis": "any but that of the batch"},
)
def read_concatenate(layer: LayerView, build: Builder, *inputs: Ref) -> Ref:
    """Any number of tensors, on the finest of their grids."""
    axis = int(layer.config["axis"]) % (len(layer.shapes[0]) + 1)
    if axis == 0:
        raise ReadError(
            "it joins samples along the batch (axis=0), and hardware takes one sample after the other; use another axis"
        )
    return join(build, inputs, axis - 1, name=layer.name, layer=layer.name)
