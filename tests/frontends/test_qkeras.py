"""Models of QKeras, live and from files: every answer is QKeras's, bit for bit."""

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
    QConv1D,
    QConv2D,
    QDense,
    QDepthwiseConv2D,
    QSeparableConv1D,
    QSeparableConv2D,
    binary,
    quantized_bits,
    quantized_po2,
    quantized_relu,
    quantized_tanh,
    ternary,
)
from qkeras_models import saved

import keras_hls
from keras_hls.callbacks import HLSExport

L = keras.layers
RNG = np.random.default_rng(0)


def bits(n=6, integer=0, **options):
    return quantized_bits(n, integer, **({"alpha": 1} | options))


def weights(**more):
    return {"kernel_quantizer": bits(), "bias_quantizer": bits(), **more}


def model_of(shape, *layers):
    model = keras.Sequential([L.Input(shape), QActivation(quantized_bits(8, 2, alpha=1)), *layers])
    for variable in model.weights:
        if variable.dtype == "float32" and variable.shape.rank:
            variable.assign(RNG.normal(size=variable.shape) * 0.5)
    return model


def samples(model, count=300):
    """In range and out of it, ties of rounding among them."""
    return (RNG.integers(-320, 320, (count, *model.input_shape[1:])) / 64).astype("float32")


DEPTHWISE = {"depthwise_quantizer": bits(), "bias_quantizer": bits()}
SEPARABLE = {**DEPTHWISE, "pointwise_quantizer": bits(4)}
MODELS = {
    "dense": lambda: model_of((6,), QDense(5, activation="quantized_relu(4,1)", **weights()), QDense(3, **weights())),
    "any rank": lambda: model_of((2, 3, 4), QDense(5, **weights())),
    "softmax": lambda: model_of((6,), QDense(5, **weights()), L.Activation("softmax")),
    **{
        f"alpha={alpha!r}": lambda alpha=alpha: model_of(
            (6,), QDense(5, **weights(kernel_quantizer=bits(4, alpha=alpha))), QActivation(quantized_relu(4, 1))
        )
        for alpha in (None, 0.5, "auto", "auto_po2")
    },
    **{
        f"kernel {kind.__class__.__name__}": lambda kind=kind: model_of(
            (6,), QDense(5, **weights(kernel_quantizer=kind))
        )
        for kind in (binary(alpha=1), ternary(alpha=1), quantized_po2(4, 1))
    },
    "bias auto_po2": lambda: model_of((6,), QDense(5, **weights(bias_quantizer=bits(4, alpha="auto_po2")))),
    "bias po2": lambda: model_of((6,), QDense(5, **weights(bias_quantizer=quantized_po2(4, 1)))),
    "conv2d": lambda: model_of(
        (8, 8, 2),
        QConv2D(3, 3, padding="same", activation=quantized_relu(5, 1), **weights()),
        L.MaxPooling2D(),
        L.Flatten(),
        QDense(2, **weights()),
    ),
    "conv1d": lambda: model_of((9, 2), QConv1D(3, 3, dilation_rate=2, **weights()), QActivation(quantized_tanh(5))),
    "depthwise": lambda: model_of((8, 8, 2), QDepthwiseConv2D(3, depth_multiplier=2, **DEPTHWISE)),
    "separable2d": lambda: model_of((8, 8, 2), QSeparableConv2D(4, 3, depth_multiplier=2, **SEPARABLE)),
    "separable1d": lambda: model_of((8, 2), QSeparableConv1D(4, 3, **SEPARABLE)),
}


@pytest.mark.parametrize("name", MODELS)
def test_models_equal_qkeras(name, tmp_path):
    model = MODELS[name]()
    x = samples(model)
    found = keras_hls.snapshot(model).predict(x)
    logits = keras.Model(model.inputs, model.layers[-2].output) if name == "softmax" else model
    assert np.array_equal(found, np.asarray(logits(x)))
    assert len(np.unique(found)) > 2
    for args, options in saved(model, tmp_path):
        assert np.array_equal(keras_hls.snapshot(*args, **options).predict(x), found)


def test_an_export_is_compared_layer_by_layer(tmp_path):
    model = MODELS["conv2d"]()
    x = samples(model)
    project = keras_hls.export_hls(model, tmp_path / "net", verify=x)
    assert (project.verification.csim_different, project.verification.keras_different) == (0, 0)
    compared = project.compare(x)
    assert compared.ok
    assert all(layer.keras_different == 0 for layer in compared.layers)


def test_training_with_the_callback(tmp_path):
    model = MODELS["dense"]()
    x, y = samples(model), RNG.integers(0, 3, 300)
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    hls = HLSExport(tmp_path / "net", validation=x, monitor="val_loss")
    history = model.fit(x, y, validation_data=(x, y), epochs=2, verbose=0, callbacks=[hls]).history
    assert len(history["hls_lut"]) == 2 and all(value > 0 for value in history["hls_lut"])
    assert hls.verification.keras_different == hls.verification.csim_different == 0
