"""Layers that are nothing but a quantizer."""

from __future__ import annotations

from keras_hls.layers_ext.reading import Builder, LayerView, Ref, reads


@reads("hgq.quantizer.Quantizer")
def read_quantizer(layer: LayerView, build: Builder, x: Ref) -> Ref:
    """A quantizer as a layer: its cast is the layer's output cast."""
    return x
