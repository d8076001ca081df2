"""Activations of QKeras by name, as functions and as quantizers, in layers of QKeras and of Keras: every answer is QKeras's."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from legacy_keras import keras_of_qkeras

keras = keras_of_qkeras()

import qkeras
from qkeras import (
    QActivation,
    QConv2DBatchnorm,
    QDense,
    quantized_bits,
    quantized_relu,
    quantized_sigmoid,
    quantized_tanh,
)
from qkeras_models import answers, bits, check, model_of, samples

import keras_hls
from keras_hls.errors import UnsupportedModel

L = keras.layers
NAMES = ("hard_tanh", "hard_sigmoid", "smooth_tanh", "smooth_sigmoid", "binary_tanh", "binary_sigmoid")
WEIGHTS = {"kernel_quantizer": bits(), "bias_quantizer": bits()}


@pytest.fixture(params=["hard", "smooth", "real"])
def internal_sigmoid(request):
    """What set_internal_sigmoid chooses for all quantizers."""
    qkeras.quantizers.set_internal_sigmoid(request.param)
    yield request.param
    qkeras.quantizers.set_internal_sigmoid("hard")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("form", ["text", "function", "argument", "argument by function", "layer of Keras"])
def test_functions(name, form, tmp_path):
    function = getattr(qkeras.quantizers, name)
    layer = {
        "text": lambda: QActivation(name),
        "function": lambda: QActivation(function),
        "argument": lambda: QDense(5, activation=name, **WEIGHTS),
        "argument by function": lambda: QDense(5, activation=function, **WEIGHTS),
        "layer of Keras": lambda: L.Activation(function),
    }[form]()
    model = model_of((6,), layer)
    if name.startswith("binary") or (name, form) == ("hard_sigmoid", "layer of Keras"):
        x = samples(model)
        wanted = answers(model, x)
        assert len(np.unique(wanted)) >= 2
        assert np.array_equal(keras_hls.snapshot(model).predict(x), wanted)
    else:
        check(model, tmp_path)


@pytest.mark.parametrize("name", ["binary_tanh", "binary_sigmoid"])
def test_signs_from_files(name, tmp_path):
    model = model_of((6,), QDense(5, activation=name, **WEIGHTS))
    x = samples(model)
    model.save(tmp_path / "net.h5")
    found = keras_hls.snapshot(tmp_path / "net.h5").predict(x)
    assert np.array_equal(found, answers(model, x)) and len(np.unique(found)) == 2


def test_a_file_that_says_hard_sigmoid_of_a_layer_of_keras_means_keras(tmp_path):
    model = model_of((6,), L.Activation("hard_sigmoid"), QActivation(bits(6, 1)))
    check(model, tmp_path)


def test_folded_layers_have_them_too(tmp_path):
    check(model_of((5, 5, 2), QConv2DBatchnorm(3, 2, activation="hard_tanh", **WEIGHTS)), tmp_path)


@pytest.mark.parametrize("layer", [L.Activation, lambda q: L.Dense(4, activation=q, trainable=False)])
def test_quantizers_in_layers_of_keras(layer, tmp_path):
    model = model_of((6,), layer(quantized_relu(5, 2)))
    for variable in model.weights:
        variable.assign(np.rint(variable.numpy() * 8) / 8)
    x = samples(model)
    calibrated = {"calibration": x, "bits": 24}
    wanted = answers(model, x)
    assert np.array_equal(keras_hls.snapshot(model, **calibrated).predict(x), wanted)
    model.save(tmp_path / "net.h5")
    assert np.array_equal(keras_hls.snapshot(tmp_path / "net.h5", **calibrated).predict(x), wanted)


@pytest.mark.parametrize(
    "text",
    [
        "quantized_relu(4,1)",
        "quantized_bits(6,2,1,alpha=1.0)",
        "quantized_tanh",
        "binary",
        "ternary",
        "stochastic_binary",
    ],
)
def test_quantizers_by_name(text, tmp_path):
    model = model_of((6,), QActivation(text))
    x = samples(model)
    wanted = answers(model, x)
    model.save(tmp_path / "net.h5")
    for given in (model, tmp_path / "net.h5"):
        assert np.array_equal(keras_hls.snapshot(given).predict(x), wanted)


def activations():
    return {
        "tanh": quantized_tanh(6),
        "tanh, symmetric": quantized_tanh(5, symmetric=True),
        "real tanh": quantized_tanh(6, use_real_tanh=True),
        "sigmoid": quantized_sigmoid(6),
        "sigmoid, symmetric": quantized_sigmoid(6, symmetric=True),
        "real sigmoid": quantized_sigmoid(6, use_real_sigmoid=True),
        "relu": quantized_relu(6, 1, use_sigmoid=1),
        "relu, slope": quantized_relu(6, 1, use_sigmoid=1, negative_slope=0.25),
        "u-law": qkeras.quantized_ulaw(6, 1),
    }


@pytest.mark.parametrize("name", activations())
def test_internal_sigmoids(name, internal_sigmoid):
    model = model_of((6,), QActivation(activations()[name]), QActivation(quantized_bits(12, 1, alpha=1)))
    x = samples(model, 500)
    wanted = answers(model, x)
    assert np.array_equal(keras_hls.snapshot(model).predict(x), wanted)
    qkeras.quantizers.set_internal_sigmoid("hard")
    assert np.array_equal(answers(model, x), wanted) == (internal_sigmoid == "hard" or name.startswith("real"))


def test_internal_sigmoids_in_weights_and_hardware(internal_sigmoid, tmp_path):
    model = model_of(
        (6,), QDense(5, activation=quantized_tanh(6), kernel_quantizer=quantized_tanh(5), bias_quantizer=bits())
    )
    project = keras_hls.export_hls(model, tmp_path / "net", verify=samples(model))
    assert (project.verification.csim_different, project.verification.keras_different) == (0, 0)


def test_an_internal_sigmoid_of_ones_own_is_refused(monkeypatch):
    monkeypatch.setattr(qkeras.quantizers, "_sigmoid", lambda x: x)
    with pytest.raises(
        UnsupportedModel, match=r"internal sigmoid is .*, and must be one that set_internal_sigmoid knows"
    ):
        keras_hls.snapshot(model_of((3,), QActivation(quantized_tanh(4))))


def test_functions_of_ones_own_do_not_pass_for_others():
    def relu(x):
        return x * 2

    for layer in (L.Activation(relu), QActivation(relu), L.Dense(2, activation=relu)):
        with pytest.raises(UnsupportedModel, match=r"its activation '.*relu' isn't one of Keras 2's"):
            keras_hls.snapshot(model_of((3,), layer))


@pytest.mark.parametrize("name", ["stochastic_round", "stochastic_round_po2"])
def test_what_is_random_is_refused(name):
    with pytest.raises(UnsupportedModel, match=f"its activation '{name}' isn't one of"):
        keras_hls.snapshot(model_of((3,), QActivation(name)))
