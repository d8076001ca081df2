"""Keras 2's words in those of Keras 3, which readers know: names of classes, and configs of every year."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keras_hls.frontends.keras2.saved import SavedLayer

#: Layers of QKeras; its other classes bear names of Keras's.
_QKERAS = frozenset(
    {
        *("QActivation", "QAdaptiveActivation", "QDense", "QBatchNormalization", "QScaleShift", "Clip", "QInitializer"),
        *("QConv1D", "QConv2D", "QConv2DTranspose", "QDepthwiseConv2D", "QSeparableConv1D", "QSeparableConv2D"),
        *("QDepthwiseConv2DTranspose", "QSeparableConv2DTranspose", "QMobileNetSeparableConv2D", "QOctaveConv2D"),
        *("QConv2DBatchnorm", "QDepthwiseConv2DBatchnorm", "QDenseBatchnorm"),
        *("QAveragePooling2D", "QGlobalAveragePooling2D"),
        *("QSimpleRNN", "QLSTM", "QGRU", "QBidirectional", "QSimpleRNNCell", "QLSTMCell", "QGRUCell"),
    }
)
#: Layers of HGQ, the first.
_HGQ = frozenset(
    {
        *("HQuantize", "HDense", "HDenseBatchNorm", "HConv1D", "HConv2D", "HConv1DBatchNorm", "HConv2DBatchNorm"),
        *("HBatchNormalization", "HActivation", "HAdd", "HMultiply", "Signature", "PReshape", "PFlatten", "PPermute"),
        *("PConcatenate", "PMaxPooling1D", "PMaxPooling2D", "PAveragePooling1D", "PAveragePooling2D", "PDropout"),
        *("PMaxPool1D", "PMaxPool2D", "PAvgPool1D", "PAvgPool2D", "PZeroPadding1D", "PZeroPadding2D"),
        *("FixedPointQuantizer", "UnaryLUT"),
    }
)
#: Dense layers of the binary and ternary networks of Keras 2's early years.
_BINARY = frozenset({"BinaryDense", "TernaryDense"})

#: What an early version of a class didn't write down.
_CONVOLUTION = {
    "groups": 1,
    "dilation_rate": 1,
    "use_bias": True,
    "activation": "linear",
    "data_format": "channels_last",
}
_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    **{f"Conv{n}D": _CONVOLUTION for n in (1, 2, 3)},
    "UpSampling2D": {"interpolation": "nearest"},
    "Flatten": {"data_format": "channels_last"},
    "ReLU": {"max_value": None, "negative_slope": 0.0, "threshold": 0.0},
    **{f"Global{kind}Pooling{n}D": {"keepdims": False} for kind in ("Max", "Average") for n in (1, 2, 3)},
    **{
        f"{kind}Pooling1D": {"data_format": "channels_last"}
        for kind in ("Max", "Average", "GlobalMax", "GlobalAverage")
    },
    "LayerNormalization": {"rms_scaling": False},
    "Normalization": {"invert": False},
    "Embedding": {"mask_zero": False},
}
#: Keys that Keras 3 calls otherwise.
_RENAMED = {"LeakyReLU": {"alpha": "negative_slope"}}
#: Keys that Keras 3 doesn't have, and that change nothing.
_OLD = frozenset({"input_length", "implementation", "fused", "input_dtype", "batch_input_shape", "batch_size"})
_UNGROUPED = frozenset(
    {f"{kind}Conv{n}D" for kind in ("Depthwise", "Separable") for n in (1, 2)}
    | {f"Conv{n}DTranspose" for n in (1, 2, 3)}
)
#: Activations that Keras 3 computes otherwise, by the names under which readers know Keras 2's, and QKeras's.
_ACTIVATIONS = {"hard_sigmoid": "keras2.hard_sigmoid"}
_QKERAS_ACTIVATIONS = {"hard_sigmoid": "qkeras.hard_sigmoid"}


def class_path(layer: SavedLayer) -> str:
    """Return the path under which readers know a layer's class, as "keras.layers.Dense" or "qkeras.QDense"."""
    if layer.kind in _QKERAS:
        return f"qkeras.{layer.kind}"
    if layer.kind in _HGQ:
        return f"HGQ.layers.{layer.kind}"
    if layer.kind in _BINARY:
        return f"binary.{layer.kind}"
    return f"keras.layers.{layer.kind}"


def translated(layer: SavedLayer) -> dict[str, Any]:
    """Return a layer's config as Keras 3 would write it."""
    # QKeras's layers have the arguments of those that they are made from.
    kind = layer.kind.removeprefix("Q") if layer.kind in _QKERAS else layer.kind
    config = {**_DEFAULTS.get(kind, {}), **{key: plain(value) for key, value in layer.config.items()}}
    for old, new in _RENAMED.get(kind, {}).items():
        if old in config:
            config[new] = config.pop(old)
    for key in _OLD & set(config):
        del config[key]
    if kind in _UNGROUPED and config.get("groups") == 1:
        del config["groups"]
    axis = config.get("axis")
    if kind == "BatchNormalization" and isinstance(axis, list) and len(axis) == 1:
        (config["axis"],) = axis
    name = _function_name(config.get("activation"))
    if isinstance(name, str):
        config["activation"] = (_QKERAS_ACTIVATIONS if layer.kind in _QKERAS else _ACTIVATIONS).get(name, name)
    return config


def _function_name(value: Any) -> Any:
    """The name alone of a function that isn't Keras's own, which late years wrap up; any other value as it is."""
    if isinstance(value, Mapping) and value.get("class_name") == "function":
        return value.get("config")
    return value


def plain(value: Any) -> Any:
    """Return a config's value without the wrappers that later versions put around numbers and tuples."""
    if isinstance(value, Mapping):
        if value.get("class_name") in ("__numpy__", "__tensor__"):
            return value["config"]["value"]
        if value.get("class_name") == "__tuple__":
            return [plain(item) for item in value["items"]]
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value
