"""Files whose architecture was edited after the weights were written, or is damaged: nothing is taken by one of two truths."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

import keras_hls
from keras_hls.errors import UnsupportedModel

sys.path.insert(0, str(Path(__file__).parent))
from saved_models import layer, numbers, samples, save, sequential

SLIDING = {
    "strides": [1, 1],
    "padding": "valid",
    "data_format": "channels_last",
    "dilation_rate": [1, 1],
    "use_bias": True,
    "activation": "linear",
}
ALONG = {**SLIDING, "strides": [1], "dilation_rate": [1]}
LOCAL = {key: value for key, value in ALONG.items() if key != "dilation_rate"} | {"implementation": 1}
#: Class, arguments, shapes of its arrays, shape of a sample.
LAYERS = {
    "dense": ("Dense", {"units": 4, "use_bias": True, "activation": "linear"}, [(3, 4), (4,)], (3,)),
    "conv": ("Conv2D", {"filters": 4, "kernel_size": [3, 2], **SLIDING}, [(3, 2, 3, 4), (4,)], (6, 6, 3)),
    "transposed": (
        "Conv2DTranspose",
        {"filters": 4, "kernel_size": [3, 2], "output_padding": None, **SLIDING},
        [(3, 2, 4, 3), (4,)],
        (6, 6, 3),
    ),
    "depthwise": (
        "DepthwiseConv2D",
        {"depth_multiplier": 2, "kernel_size": [3, 2], **SLIDING},
        [(3, 2, 3, 2), (6,)],
        (6, 6, 3),
    ),
    "separable": (
        "SeparableConv1D",
        {"depth_multiplier": 2, "kernel_size": [3], "filters": 4, **ALONG},
        [(3, 3, 2), (1, 6, 4), (4,)],
        (6, 3),
    ),
    "local": ("LocallyConnected1D", {"filters": 4, "kernel_size": [3], **LOCAL}, [(4, 9, 4), (4, 4)], (6, 3)),
    "embedding": ("Embedding", {"input_dim": 7, "output_dim": 3}, [(7, 3)], (5,)),
    "norm": ("BatchNormalization", {"axis": [2], "epsilon": 0.25}, [(3,)] * 4, (6, 3)),
}


def read(tmp_path, name, **edited):
    kind, arguments, shapes, sample = LAYERS[name]
    config = {"batch_input_shape": [None, *sample], **arguments, **edited}
    arrays = [abs(numbers(*shape)) + 1 for shape in shapes]
    path, weights = save(tmp_path, sequential(layer(kind, "it", config)), {"it": arrays})
    x = abs(samples(*sample)).round() if kind == "Embedding" else samples(*sample)
    return keras_hls.snapshot(path, weights=weights, calibration=x)


@pytest.mark.parametrize("name", LAYERS)
def test_unedited(tmp_path, name):
    assert len(read(tmp_path, name).predict(abs(samples(*LAYERS[name][3], count=3)).round())) == 3


@pytest.mark.parametrize(
    ("name", "edited", "sentence"),
    [
        ("dense", {"units": 5}, r"its kernel is of shape \(3, 4\), which doesn't fit its arguments units=5"),
        ("dense", {"units": "many"}, "its units must be whole numbers, not 'many'"),
        ("dense", {"units": True}, "its units must be whole numbers, not True"),
        ("conv", {"filters": 5}, r"its kernel is of shape .* filters=5, kernel_size=\[3, 2\]"),
        ("conv", {"kernel_size": [2, 3]}, r"its kernel is of shape .* filters=4, kernel_size=\[2, 3\]"),
        ("conv", {"kernel_size": 3}, "its kernel is of shape .* kernel_size=3"),
        ("conv", {"kernel_size": [3, 2, 3, 4, 5]}, "its kernel is of shape"),
        ("conv", {"kernel_size": [3, None]}, "its kernel_size must be whole numbers, not None"),
        ("transposed", {"filters": 3}, r"its kernel is of shape .* filters=3"),
        ("depthwise", {"depth_multiplier": 1}, "its kernel is of shape .* depth_multiplier=1"),
        ("separable", {"depth_multiplier": 1}, "its depthwise_kernel is of shape .* depth_multiplier=1"),
        ("separable", {"filters": 5}, "its pointwise_kernel is of shape .* filters=5"),
        ("local", {"filters": 5}, "'it'"),
        ("embedding", {"input_dim": 8}, "its embeddings is of shape .* input_dim=8, output_dim=3"),
        # What readers stumble over.
        ("conv", {"padding": "sames"}, "its arguments or weights can't be used .*not 'sames'.*was the file edited"),
        ("norm", {"axis": [1]}, "its arguments or weights can't be used"),
        ("norm", {"axis": [7]}, "'it'"),
        ("norm", {"epsilon": "small"}, "'it'"),
        ("conv", {"strides": "two"}, "'it'"),
    ],
)
def test_edited(tmp_path, name, edited, sentence):
    with pytest.raises(UnsupportedModel, match=sentence) as caught:
        read(tmp_path, name, **edited)
    assert "'it'" in str(caught.value)


@pytest.mark.parametrize("edited", [{"strides": [0, 1]}, {"dilation_rate": [-1, 1]}, {"groups": 2}, {"groups": 0}])
def test_numbers_that_no_convolution_has(tmp_path, edited):
    with pytest.raises(keras_hls.HLSError, match="'it'"):
        read(tmp_path, "conv", **edited)
