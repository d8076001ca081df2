"""Layers of QKeras that quantize more than weights, live and from files: every answer is QKeras's, bit for bit."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from legacy_keras import keras_of_qkeras

keras = keras_of_qkeras()

from qkeras import (
    QActivation,
    QAveragePooling2D,
    QBatchNormalization,
    QConv2DBatchnorm,
    QDepthwiseConv2DBatchnorm,
    QGlobalAveragePooling2D,
    quantized_bits,
    quantized_po2,
    quantized_relu,
    quantized_relu_po2,
    ternary,
)
from qkeras_models import bits, check, model_of, samples

import keras_hls
from keras_hls.errors import UnsupportedModel

L = keras.layers
IMAGE = (6, 6, 3)


# A quantizer behind each, as float32 rounds a product by a root of more bits than it holds.
NORMALIZATIONS = {
    "defaults": lambda: model_of((7,), QBatchNormalization(), QActivation(bits(10, 3))),
    "image": lambda: model_of(IMAGE, QBatchNormalization(), QActivation(bits(10, 3))),
    "axis 1": lambda: model_of((5, 4), QBatchNormalization(axis=1), QActivation(bits(10, 3))),
    "two axes": lambda: model_of((3, 2, 2), QBatchNormalization(axis=[1, 3]), QActivation(bits(10, 3))),
    "no scale": lambda: model_of((7,), QBatchNormalization(scale=False), QActivation(bits(10, 3))),
    "no center": lambda: model_of((7,), QBatchNormalization(center=False), QActivation(bits(10, 3))),
    # Powers of four have exact roots: nothing is rounded, whatever the number of channels.
    "exact": lambda: model_of((20,), QBatchNormalization(epsilon=0.0)),
    "bits": lambda: model_of(
        (7,),
        QBatchNormalization(
            epsilon=0.01,
            beta_quantizer=bits(5, 1),
            gamma_quantizer=bits(6, 1),
            mean_quantizer=bits(7, 2),
            variance_quantizer=quantized_relu(7, 2),
        ),
        QActivation(bits(10, 3)),
    ),
    "auto_po2 of itself": lambda: model_of(
        (7,),
        QBatchNormalization(gamma_quantizer=quantized_bits(5, 1), variance_quantizer=quantized_relu_po2(5)),
        QActivation(bits(10, 3)),
    ),
    "auto": lambda: model_of(
        (7,),
        QBatchNormalization(gamma_quantizer=bits(5, 1, alpha="auto"), mean_quantizer=quantized_po2(4, 2)),
        QActivation(bits(10, 3)),
    ),
}


@pytest.mark.parametrize("name", NORMALIZATIONS)
def test_batch_normalization(name, tmp_path):
    check(NORMALIZATIONS[name](), tmp_path)


def test_a_normalization_without_a_quantizer_needs_types():
    model = model_of((4,), QBatchNormalization(mean_quantizer=None), QActivation(bits(8, 3)))
    with pytest.raises(UnsupportedModel, match="calibration"):
        keras_hls.snapshot(model)
    x = samples(model)
    found = keras_hls.snapshot(model, calibration=x).predict(x)
    assert np.abs(found - np.asarray(model(x))).max() <= 2.0**-4


def test_processors_roots_are_noted():
    notes = [keras_hls.snapshot(model_of((n,), QBatchNormalization())).graph.notes for n in (7, 8)]
    assert [any("reciprocal" in note for note in found) for found in notes] == [False, True]


def folded(**more):
    return {"kernel_quantizer": bits(), "bias_quantizer": bits(8, 2), **more}


def depthwise(**more):
    return {"depthwise_quantizer": bits(), "bias_quantizer": bits(8, 2), **more}


CONVOLUTIONS = {
    "plain": lambda: model_of(IMAGE, QConv2DBatchnorm(4, 3, **folded())),
    "activation": lambda: model_of(
        IMAGE, QConv2DBatchnorm(4, 3, strides=2, padding="same", activation=quantized_relu(5, 2), **folded())
    ),
    "no bias": lambda: model_of(IMAGE, QConv2DBatchnorm(4, (1, 3), use_bias=False, **folded())),
    "no scale": lambda: model_of(IMAGE, QConv2DBatchnorm(4, 2, dilation_rate=2, scale=False, **folded())),
    "batch_stats_folding": lambda: model_of(
        IMAGE, QConv2DBatchnorm(4, 2, epsilon=0.1, folding_mode="batch_stats_folding", ema_freeze_delay=3, **folded())
    ),
    "auto_po2 of itself": lambda: model_of(IMAGE, QConv2DBatchnorm(4, 2, **folded(kernel_quantizer=quantized_bits(4)))),
    "ternary": lambda: model_of(IMAGE, QConv2DBatchnorm(4, 2, **folded(kernel_quantizer=ternary(alpha=1)))),
    "depthwise": lambda: model_of(IMAGE, QDepthwiseConv2DBatchnorm(3, **depthwise())),
    "depthwise multiplied": lambda: model_of(
        IMAGE, QDepthwiseConv2DBatchnorm(2, depth_multiplier=2, activation=quantized_relu(6, 2), **depthwise())
    ),
    "depthwise no bias": lambda: model_of(
        IMAGE, QDepthwiseConv2DBatchnorm(2, padding="same", use_bias=False, scale=False, **depthwise())
    ),
    "depthwise po2": lambda: model_of(
        IMAGE, QDepthwiseConv2DBatchnorm(2, **depthwise(depthwise_quantizer=quantized_po2(4, 2)))
    ),
}


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_folded_convolutions(name, tmp_path):
    check(CONVOLUTIONS[name](), tmp_path)


@pytest.mark.parametrize("name", ["plain", "depthwise"])
@pytest.mark.parametrize("whole", [True, False])
def test_frozen_layers_have_their_weights_in_another_order(name, whole, tmp_path):
    model = CONVOLUTIONS[name]()
    (model.layers[-1] if whole else model.layers[-1].batchnorm).trainable = False
    check(model, tmp_path)


def test_a_folded_weight_between_two_steps_is_noted():
    # With 8 channels, a gamma that puts a weight on a tie: the processor's root decides.
    model = model_of((3, 3, 1), QConv2DBatchnorm(8, 1, **folded()))
    assert not any("reciprocal" in note for note in keras_hls.snapshot(model).graph.notes)
    layer = model.layers[-1]
    variance = layer.batchnorm.moving_variance.numpy() + np.float32(layer.batchnorm.epsilon)
    layer.batchnorm.gamma.assign(np.ones(8))
    layer.kernel.assign(np.full((1, 1, 1, 8), 1.5 / 32, np.float32) * np.sqrt(variance))
    assert any("reciprocal" in note for note in keras_hls.snapshot(model).graph.notes)


def test_an_axis_that_is_not_the_channels_is_refused():
    with pytest.raises(UnsupportedModel, match="axis must be that of the channels"):
        keras_hls.snapshot(model_of((4, 4, 3), QConv2DBatchnorm(4, 1, axis=1, **folded())))


POOLS = {
    "plain": lambda: model_of(IMAGE, QAveragePooling2D(2)),
    "quantized": lambda: model_of(IMAGE, QAveragePooling2D(2, average_quantizer=bits(4))),
    "activation": lambda: model_of(
        IMAGE, QAveragePooling2D((2, 4), 1, average_quantizer=bits(4), activation=quantized_relu(4, 1))
    ),
    "same": lambda: model_of(IMAGE, QAveragePooling2D(2, 1, padding="same", average_quantizer=bits(6))),
    "borders": lambda: model_of((5, 5, 2), QAveragePooling2D(2, 2, padding="same", average_quantizer=bits(6))),
    "no alpha": lambda: model_of(IMAGE, QAveragePooling2D(2, average_quantizer=quantized_bits(3, 0))),
    "alpha": lambda: model_of(IMAGE, QAveragePooling2D(2, average_quantizer=bits(5, alpha=0.75))),
    "global": lambda: model_of((4, 4, 3), QGlobalAveragePooling2D()),
    "global quantized": lambda: model_of((4, 8, 3), QGlobalAveragePooling2D(average_quantizer=bits(7))),
    "global kept": lambda: model_of(
        (4, 2, 3), QGlobalAveragePooling2D(keepdims=True, average_quantizer=bits(5), activation=bits(6, 2))
    ),
}


@pytest.mark.parametrize("name", POOLS)
def test_averages(name, tmp_path):
    model = POOLS[name]()
    check(model, tmp_path)
    assert not keras_hls.snapshot(model).graph.notes


@pytest.mark.parametrize(("strides", "mode"), [(3, "valid"), (2, "same")])
def test_averages_of_nine_are_of_real_sums_and_noted(strides, mode):
    """Against real arithmetic, as float32 rounds 1/9 and 9/9 of a sum."""
    model = model_of(IMAGE, QAveragePooling2D(3, strides, mode, average_quantizer=bits(8)))
    made, x = keras_hls.snapshot(model), samples(model)
    assert any("rounded to float32" in note for note in made.graph.notes)
    found, wanted = made.predict(x), np.asarray(model(x))
    assert np.abs(found - wanted).max() < 2.0**-18
    if mode == "valid":
        cast = np.asarray(model.layers[0](x), np.float64)
        sums = cast.reshape(-1, 2, 3, 2, 3, 3).sum((2, 4))
        assert np.array_equal(found, sums * (np.rint(32 * 4 / 9) / 128))


def test_a_network_of_all_of_them_is_exported(tmp_path):
    model = model_of(
        IMAGE,
        QConv2DBatchnorm(4, 3, activation=quantized_relu(6, 2), **folded()),
        QDepthwiseConv2DBatchnorm(3, padding="same", activation=quantized_relu(6, 2), **depthwise()),
        QAveragePooling2D(2, average_quantizer=bits(4)),
        QBatchNormalization(),
        QActivation(bits(8, 3)),
        QGlobalAveragePooling2D(average_quantizer=bits(6), activation=bits(8, 3)),
    )
    x = samples(model, 100)
    project = keras_hls.export_hls(model, tmp_path / "net", verify=x)
    assert (project.verification.csim_different, project.verification.keras_different) == (0, 0)


def test_an_inner_model_shares_out_its_weights(tmp_path):
    inner = keras.Sequential(
        [
            L.Input(IMAGE),
            QConv2DBatchnorm(4, 2, **folded()),
            QBatchNormalization(),
            QDepthwiseConv2DBatchnorm(2, **depthwise()),
        ]
    )
    check(model_of(IMAGE, inner, QActivation(bits(10, 3))), tmp_path)
