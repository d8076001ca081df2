"""Convolutions of QKeras with every option, live and from every kind of file: every answer is QKeras's, bit for bit."""

from __future__ import annotations

import sys
from itertools import product
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from legacy_keras import keras_of_qkeras

keras = keras_of_qkeras()

import tensorflow as tf
from qkeras import (
    QActivation,
    QConv1D,
    QConv2D,
    QConv2DTranspose,
    QDense,
    QDepthwiseConv2D,
    QMobileNetSeparableConv2D,
    QOctaveConv2D,
    QSeparableConv1D,
    QSeparableConv2D,
    binary,
    quantized_bits,
    quantized_po2,
    quantized_relu,
    ternary,
)
from qkeras_models import answers, bits, check, filled, model_of, samples

import keras_hls
from keras_hls.errors import InvalidModel
from keras_hls.frontends.models import layer_outputs

L = keras.layers
IMAGE, SERIES = (5, 4, 4), (7, 4)


def weights(**more):
    return {"kernel_quantizer": bits(), "bias_quantizer": bits(), **more}


def depthwise(**more):
    return {"depthwise_quantizer": bits(), "bias_quantizer": bits(), **more}


def separable(**more):
    return depthwise(**({"pointwise_quantizer": bits(4)} | more))


@pytest.fixture(autouse=True)
def whole_tensorflow(monkeypatch):
    """What QKeras 0.9's QConv2DTranspose calls, TensorFlow has moved since: with 2.15 it can't be called otherwise."""
    from tensorflow.python.ops import array_ops

    monkeypatch.setattr(array_ops, "stack", tf.stack, raising=False)


def transposed(*args, shape=IMAGE, **options):
    return lambda: model_of(shape, QConv2DTranspose(*args, **weights(**options)))


TRANSPOSED = {
    f"kernel {kernel}, strides {strides}, {padding}": transposed(3, kernel, strides=strides, padding=padding)
    for kernel, strides, padding in product((1, (3, 2), 4), (1, (2, 1), 3), ("valid", "same"))
    # Keras takes no strides of several sizes.
} | {
    "output padding": transposed(3, 3, strides=2, output_padding=1),
    "output padding, same": transposed(3, 3, strides=(3, 2), padding="same", output_padding=(2, 1)),
    "dilated": transposed(3, 3, dilation_rate=2),
    "dilated, same": transposed(3, (2, 3), padding="same", dilation_rate=3),
    "channels first": transposed(3, 3, strides=2, data_format="channels_first"),
    "channels first, dilated": transposed(3, 2, padding="same", dilation_rate=2, data_format="channels_first"),
    "no bias": transposed(3, 3, strides=2, use_bias=False),
    "activation": transposed(3, 3, strides=2, activation=quantized_relu(5, 2)),
    "activation by name": transposed(3, 3, activation="quantized_bits(6, 2, alpha=1)"),
    "relu": transposed(3, 3, activation="relu"),
    "auto": transposed(2, 3, kernel_quantizer=bits(4, alpha="auto_po2"), bias_quantizer=bits(8, alpha="auto_po2")),
    "auto of itself": transposed(2, 3, kernel_quantizer=quantized_bits(4)),
    "scale along outputs": transposed(3, 2, kernel_quantizer=bits(4, alpha="auto_po2", scale_axis=2)),
    "binary": transposed(3, 3, strides=2, kernel_quantizer=binary(alpha=1)),
    "ternary": transposed(3, 3, strides=2, kernel_quantizer=ternary(alpha=1)),
    "po2": transposed(3, 3, strides=2, kernel_quantizer=quantized_po2(4, 1), bias_quantizer=quantized_po2(4, 1)),
}

# What a file doesn't hold of a quantizer is known of a live one alone.
LIVE_ALONE = {
    "scale along outputs": TRANSPOSED.pop("scale along outputs"),
    "separable1d, scale axis": lambda: model_of(
        SERIES, QSeparableConv1D(3, 3, **separable(depthwise_quantizer=bits(4, alpha="auto_po2", scale_axis=2)))
    ),
    "separable1d, first axis": lambda: model_of(
        SERIES, QSeparableConv1D(3, 3, **separable(depthwise_quantizer=bits(4, alpha="auto_po2", scale_axis=0)))
    ),
}

OTHERS = {
    "conv1d causal": lambda: model_of(SERIES, QConv1D(3, 3, padding="causal", dilation_rate=2, **weights())),
    "conv1d strides": lambda: model_of(SERIES, QConv1D(3, 2, strides=2, padding="same", use_bias=False, **weights())),
    "conv1d groups": lambda: model_of(SERIES, QConv1D(4, 2, groups=2, **weights())),
    "conv2d groups": lambda: model_of(IMAGE, QConv2D(4, (3, 2), groups=2, strides=(2, 1), **weights())),
    "conv2d dilated": lambda: model_of(IMAGE, QConv2D(3, 2, dilation_rate=(3, 2), padding="same", **weights())),
    "conv2d channels first": lambda: model_of(IMAGE, QConv2D(3, 2, data_format="channels_first", **weights())),
    "depthwise strides": lambda: model_of(IMAGE, QDepthwiseConv2D(2, strides=2, padding="same", **depthwise())),
    "depthwise dilated": lambda: model_of(IMAGE, QDepthwiseConv2D((2, 2), dilation_rate=(2, 3), **depthwise())),
    "depthwise no bias": lambda: model_of(IMAGE, QDepthwiseConv2D(3, use_bias=False, **depthwise())),
    "depthwise channels first": lambda: model_of(
        IMAGE, QDepthwiseConv2D(2, depth_multiplier=3, data_format="channels_first", **depthwise())
    ),
    "depthwise auto of itself": lambda: model_of(
        IMAGE, QDepthwiseConv2D(2, depth_multiplier=2, **depthwise(depthwise_quantizer=quantized_bits(4)))
    ),
    "separable1d": lambda: model_of(
        SERIES, QSeparableConv1D(3, 3, strides=2, padding="same", depth_multiplier=2, **separable())
    ),
    "separable1d dilated": lambda: model_of(
        SERIES, QSeparableConv1D(3, 2, dilation_rate=3, use_bias=False, activation=quantized_relu(5, 2), **separable())
    ),
    "separable1d channels first": lambda: model_of(
        SERIES, QSeparableConv1D(3, 2, data_format="channels_first", **separable())
    ),
    "separable1d auto of itself": lambda: model_of(
        SERIES,
        QSeparableConv1D(
            3, 3, **separable(depthwise_quantizer=quantized_bits(4), pointwise_quantizer=quantized_bits(4))
        ),
    ),
    "separable2d": lambda: model_of(
        IMAGE, QSeparableConv2D(3, (2, 3), strides=2, padding="same", depth_multiplier=2, **separable())
    ),
    "separable2d dilated": lambda: model_of(
        IMAGE, QSeparableConv2D(3, 2, dilation_rate=2, activation=bits(6, 2), **separable(bias_quantizer=bits(5, 1)))
    ),
    "separable2d channels first": lambda: model_of(
        IMAGE, QSeparableConv2D(3, 2, data_format="channels_first", **separable())
    ),
}


@pytest.mark.parametrize("name", TRANSPOSED)
def test_transposed(name, tmp_path):
    check(TRANSPOSED[name](), tmp_path)


@pytest.mark.parametrize("name", OTHERS)
def test_others(name, tmp_path):
    check(OTHERS[name](), tmp_path)


@pytest.mark.parametrize("name", LIVE_ALONE)
def test_what_live_quantizers_know(name):
    model = LIVE_ALONE[name]()
    x = samples(model)
    assert np.array_equal(keras_hls.snapshot(model).predict(x), answers(model, x))


def test_a_transposed_convolution_is_exported(tmp_path):
    model = model_of(
        (4, 4, 3),
        QConv2DTranspose(4, 3, strides=2, padding="same", activation=quantized_relu(6, 2), **weights()),
        QConv2DTranspose(2, 2, strides=2, activation=bits(8, 3), **weights()),
    )
    project = keras_hls.export_hls(model, tmp_path / "net", verify=samples(model, 60))
    assert (project.verification.csim_different, project.verification.keras_different) == (0, 0)


@pytest.mark.parametrize("softmax", [False, True])
def test_a_layer_without_a_kernel_on_this_processor_is_compiled(softmax, tmp_path, monkeypatch):
    own = QConv2DTranspose.call

    def call(self, inputs):
        # As on a processor for which TensorFlow has no dilated transposed convolution.
        if tf.executing_eagerly():
            raise tf.errors.UnimplementedError(None, None, "no kernel")
        return own(self, inputs)

    last = QDense(3, activation="softmax" if softmax else None, **weights())
    middle = QConv2DTranspose(3, 3, dilation_rate=2, **weights())
    model = model_of(IMAGE, middle, QActivation(bits(6, 2)), L.Flatten(), last)
    x = samples(model, 60)
    wanted = np.asarray(keras.Model(model.inputs, model.layers[-2].output)(x))
    monkeypatch.setattr(QConv2DTranspose, "call", call)
    middle.call = call.__get__(middle)
    with pytest.raises(tf.errors.UnimplementedError):
        model(x)
    project = keras_hls.export_hls(model, tmp_path / "net", verify=x)
    assert (project.verification.csim_different, project.verification.keras_different) == (0, 0)
    compared = project.compare(x)
    assert compared.ok and all(layer.keras_different == 0 for layer in compared.layers)
    assert np.array_equal(layer_outputs(model, {})([x])[model.layers[-2].name], wanted)


def test_what_keras_can_not_compute_is_said(tmp_path, monkeypatch):
    layer = QConv2D(3, 2, **weights())
    model = model_of(IMAGE, layer)

    def call(inputs):
        raise ValueError("no such thing")

    layer.call = call
    with pytest.raises(
        InvalidModel, match=r"Keras itself can't compute model 'sequential.*no such thing.*verify=False"
    ):
        keras_hls.export_hls(model, tmp_path / "net", verify=samples(model, 10))
    keras_hls.export_hls(model, tmp_path / "other", verify=False)


@pytest.mark.parametrize("pointwise_first", [False, True])
def test_layers_that_mobilenet_is_made_of(pointwise_first, tmp_path):
    x = L.Input(IMAGE)
    block = QMobileNetSeparableConv2D(
        5,
        (3, 2),
        depthwise_quantizer=bits(),
        pointwise_quantizer=bits(4),
        bias_quantizer=bits(),
        depthwise_activation=bits(8, 2),
        depthwise_dropout_rate=0.2,
        activation=quantized_relu(5, 2),
        padding="same",
        pw_first=pointwise_first,
        name="block",
    )
    check(filled(keras.Model(x, block(QActivation(bits(8, 2))(x)))), tmp_path)


def test_layers_that_octave_convolutions_are_made_of(tmp_path):
    # With two frequencies, QKeras 0.9 calls its own layers with arguments that they don't have.
    x = L.Input(IMAGE)
    octave = QOctaveConv2D(
        4,
        3,
        -1.0,
        use_separable=False,
        name="octave",
        kernel_quantizer=bits(),
        bias_quantizer=bits(),
        acc_quantizer="quantized_bits(8, 3, alpha=1)",
        activation="quantized_bits(6, 2, alpha=1)",
    )
    high, low = octave([QActivation(bits(8, 2))(x), None])
    assert low is None
    check(filled(keras.Model(x, high)), tmp_path)
