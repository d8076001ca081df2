"""Layers of HGQ (the first) that no other library has, and those of its proxy models."""

from __future__ import annotations

import numpy as np

from keras_hls.fixed import Constant
from keras_hls.layers_ext.activation import activate, activation_name
from keras_hls.layers_ext.convolution_layers import read_convolution
from keras_hls.layers_ext.dense import read_dense
from keras_hls.layers_ext.merge import Add, join
from keras_hls.layers_ext.quantize import Quantize
from keras_hls.layers_ext.reading import Builder, LayerView, ReadError, Ref, reads
from keras_hls.layers_ext.scale import Scale
from keras_hls.layers_ext.table import Table


@reads("HGQ.layers.HQuantize")
def read_heavy_quantizer(layer: LayerView, build: Builder, x: Ref) -> Ref:
    """Its cast, in the range that trace_minmax saw."""
    return x


@reads("HGQ.layers.Signature", consumes="keep_negative bits int_bits")
def read_signature(layer: LayerView, build: Builder, x: Ref) -> Ref:
    """The types that samples have already: other samples are cut to them, and wrap around."""
    return x


@reads(
    "HGQ.layers.FixedPointQuantizer",
    conditions={"SAT": "any but WRAP_SM"},
    consumes="SAT",
)
def read_proxy_quantizer(layer: LayerView, build: Builder, x: Ref) -> Ref:
    """Its cast; types for hls4ml among its overrides change nothing."""
    return x


@reads("HGQ.layers.UnaryLUT", consumes="kif_in kif_out")
def read_proxy_table(layer: LayerView, build: Builder, x: Ref) -> Ref:
    """The table of its weights, over every value of its input's type."""
    table = layer.weight("table")
    if table is None:
        raise ReadError("it has no table; the weights weren't loaded")
    sign, _, frac = (int(n) for n in layer.config["kif_in"])
    # Entries are in the order of the input's bits, so those of negative values come last.
    negative = table.raw.size // 2 if sign else 0
    op = Table.of(np.roll(table.raw, negative), table.frac, -negative, frac)
    return build.add(op, x, name=layer.name, layer=layer.name)


@reads("HGQ.layers.HDense", "HGQ.layers.HDenseBatchNorm", consumes="units use_bias activation")
def read_heavy_dense(layer: LayerView, build: Builder, x: Ref) -> Ref:
    """Sums over the last axis of an input of any rank, ReLU, and its cast."""
    sums = _sums(layer)
    return _activated(layer, sums, build, read_dense(sums, build, x))


@reads(
    "HGQ.layers.HConv1D",
    "HGQ.layers.HConv1DBatchNorm",
    "HGQ.layers.HConv2D",
    "HGQ.layers.HConv2DBatchNorm",
    consumes="filters groups kernel_size strides padding dilation_rate data_format use_bias activation",
    conditions={"padding": "'valid' or 'same'; HGQ forgets the padding of 'causal'"},
)
def read_heavy_convolution(layer: LayerView, build: Builder, x: Ref) -> Ref:
    """With strides, dilation and groups; then ReLU, and its cast."""
    if layer.config["padding"] not in ("valid", "same"):
        raise ReadError(f"it has padding={layer.config['padding']!r}, which HGQ doesn't pad for; use 'valid' or 'same'")
    sums = _sums(layer)
    return _activated(layer, sums, build, read_convolution(sums, build, x))


def _sums(layer: LayerView) -> LayerView:
    if (name := activation_name(layer.config.get("activation"))) not in ("linear", "relu"):
        raise ReadError(f"it has activation={name!r}, and HGQ knows linear and relu here; put an HActivation behind it")
    return layer.part("sums", *layer.shapes)


def _activated(layer: LayerView, sums: LayerView, build: Builder, y: Ref) -> Ref:
    if (formats := sums.output_formats()) is not None:
        y = build.add(Quantize(formats), y, name=f"{layer.name}_sums", layer=layer.name)
    return activate(layer, build, y)


@reads("HGQ.layers.HBatchNormalization", consumes="axis")
def read_heavy_batch_norm(layer: LayerView, build: Builder, x: Ref) -> Ref:
    """The quantized factor and offset that the layer multiplies by and adds, and its cast."""
    scale, offset = layer.weight("scaler"), layer.weight("offset")
    return build.add(Scale(_known(scale), _known(offset)), x, name=layer.name, layer=layer.name)


def _known(weight: object) -> Constant:
    if not isinstance(weight, Constant):
        raise ReadError("it has no factors; build the model first")
    return weight


@reads("HGQ.layers.HActivation", consumes="activation")
def read_heavy_activation(layer: LayerView, build: Builder, x: Ref) -> Ref:
    """As Activation, and its cast: straight pieces are computed, other functions of one element are tables."""
    return activate(layer, build, x)


@reads("HGQ.layers.HAdd")
def read_heavy_add(layer: LayerView, build: Builder, *inputs: Ref) -> Ref:
    """The sum of any number of tensors of one shape, and its cast."""
    if len(set(layer.shapes)) > 1:
        raise ReadError(
            f"it adds tensors of shapes {', '.join(map(str, layer.shapes))}, and HGQ adds those of one shape"
        )
    return join(build, Add(), inputs, name=layer.name, layer=layer.name)
