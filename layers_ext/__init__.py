"""Layers: one file a family, with the ops that it becomes and how they are read from a layer of any library.

Importing this package imports every family, so that all readers and ops are known. Your own layers extend it the same way:
subclass `keras_hls.graph.Op`, decorate a reader with `reads`, and import your module before you export.
"""

from keras_hls.layers_ext import activation, dense, merge, quantize, quantizer, reshape, softmax
from keras_hls.layers_ext.reading import READERS, Builder, LayerView, ReadError, Ref, reads

__all__ = [
    "READERS",
    "Builder",
    "LayerView",
    "ReadError",
    "Ref",
    "activation",
    "dense",
    "merge",
    "quantize",
    "quantizer",
    "reads",
    "reshape",
    "softmax",
]
