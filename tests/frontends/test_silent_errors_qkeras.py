"""What converters of QKeras models were seen to get wrong without a word: each by its name, equal to QKeras bit for bit.

As test_silent_errors.py, which has those of Keras 3 and HGQ2. The last cases are those that were right, and stay so.
"""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from legacy_keras import keras_of_qkeras

keras = keras_of_qkeras()

from qkeras import (
    QActivation,
    QBatchNormalization,
    QConv2D,
    QConv2DBatchnorm,
    QDense,
    QDepthwiseConv2D,
    QSeparableConv2D,
    binary,
    quantized_bits,
    quantized_po2,
    quantized_relu,
    quantized_sigmoid,
    quantized_tanh,
    ternary,
)
from qkeras_models import answers, bits, model_of, samples

import keras_hls

L = keras.layers


def dense(kernel=None, bias=None, **more):
    return QDense(5, kernel_quantizer=kernel or bits(), bias_quantizer=bias or bits(), **more)


def normalization():
    return QBatchNormalization(
        gamma_quantizer=quantized_po2(4),
        beta_quantizer=bits(),
        mean_quantizer=bits(),
        variance_quantizer=quantized_po2(4),
    )


def activation(quantizer):
    return lambda: model_of((6,), QActivation(quantizer))


def kernel(quantizer):
    return lambda: model_of((6,), dense(quantizer))


EQUAL = {
    "row 21: activation quantized_bits(keep_negative=0)": activation(bits(6, 2, keep_negative=0)),
    "row 22: activation quantized_bits(alpha=2.0)": activation(bits(6, 2, alpha=2.0)),
    "row 23: activation quantized_bits(symmetric=True)": activation(bits(6, 1, symmetric=True)),
    "row 24: quantized_relu(use_sigmoid=1)": activation(quantized_relu(6, 1, use_sigmoid=1)),
    "row 25: quantized_tanh(use_real_tanh) (h#569)": activation(quantized_tanh(6, use_real_tanh=True)),
    "row 25: quantized_sigmoid(use_real_sigmoid) (h#569)": activation(quantized_sigmoid(6, use_real_sigmoid=True)),
    "row 26: kernel quantized_bits(keep_negative=0)": kernel(bits(6, 0, keep_negative=0)),
    "row 27: kernel quantized_bits(n, integer=n) (h#336)": kernel(bits(6, 6)),
    "row 28: bias quantized_bits(alpha='auto') (h#208)": lambda: model_of((6,), dense(bias=bits(4, alpha="auto_po2"))),
    "row 29: QDepthwiseConv2D(alpha='auto_po2')": lambda: model_of(
        (6, 6, 3), QDepthwiseConv2D(3, depthwise_quantizer=bits(4, alpha="auto_po2"), bias_quantizer=bits())
    ),
    "row 30: QBatchNormalization's quantizers": lambda: model_of(
        (6,),
        normalization(),
        QActivation(bits(8, 3)),
    ),
    "QDepthwiseConv2D, odd channels (h#1471)": lambda: model_of(
        (6, 6, 5), QDepthwiseConv2D(3, depthwise_quantizer=bits(4), bias_quantizer=bits(), padding="same")
    ),
    "QSeparableConv2D, nothing rounded between (h#861)": lambda: model_of(
        (6, 6, 3), QSeparableConv2D(4, 3, depthwise_quantizer=bits(4), pointwise_quantizer=bits(4), use_bias=False)
    ),
    "quantized_relu(4) (h#377)": activation(quantized_relu(4)),
    "quantized_relu(10) (h#377)": activation(quantized_relu(10)),
    "quantized_bits(8, 0), weights printed with too few digits (h#874)": kernel(bits(8, 0)),
    "dense on two axes with normalisation (h#368)": lambda: model_of(
        (3, 6), dense(), normalization(), QActivation(bits(8, 3))
    ),
    "binary inputs and weights (h#749)": lambda: model_of((6,), QActivation(binary(alpha=1)), dense(binary(alpha=1))),
    "name with bias (row 20)": lambda: model_of((6,), dense(name="bias_kernel")),
    "right before: alpha=1": kernel(bits(4, alpha=1)),
    "right before: alpha=None": kernel(bits(4, alpha=None)),
    "right before: alpha=0.5": kernel(bits(4, alpha=0.5)),
    "right before: alpha='auto_po2'": kernel(bits(4, alpha="auto_po2")),
    "right before: ternary": kernel(ternary(alpha=1)),
    "right before: binary": kernel(binary(alpha=1)),
    "right before: quantized_po2": kernel(quantized_po2(4)),
    "right before: quantized_relu(negative_slope=)": activation(quantized_relu(6, 1, negative_slope=0.25)),
    "right before: QConv2DBatchnorm": lambda: model_of(
        (6, 6, 2), QConv2DBatchnorm(3, 3, kernel_quantizer=bits(4), bias_quantizer=bits(8, 2))
    ),
    "right before: an activation as argument": lambda: model_of((6,), dense(activation="quantized_relu(4,1)")),
}


@pytest.mark.parametrize("name", EQUAL)
def test_equal_to_qkeras(name):
    model = EQUAL[name]()
    x = samples(model)
    found, wanted = keras_hls.snapshot(model).predict(x), answers(model, x)
    assert len(np.unique(wanted)) > 1
    assert np.array_equal(found, wanted)


@pytest.mark.parametrize("name", ["row 22", "as string"])
def test_an_activation_scaled_by_its_batch_is_refused(name):
    """Row 22: the scale was dropped; it follows from all samples together, which no hardware sees."""
    quantizer = quantized_bits(6, 2, alpha="auto") if name == "row 22" else "quantized_bits(6,2,alpha='auto')"
    with pytest.raises(keras_hls.HLSError, match="whole batch"):
        keras_hls.snapshot(model_of((6,), QActivation(quantizer)))


SCALED = {
    "row 28: bias": lambda: model_of((6,), dense(bias=bits(4, alpha="auto"))),
    "row 29: depthwise kernel": lambda: model_of(
        (6, 6, 3), QDepthwiseConv2D(3, depthwise_quantizer=bits(4, alpha="auto"), bias_quantizer=bits())
    ),
    "dense kernel (h#208: the bias was rescaled with it)": lambda: model_of((6,), dense(bits(4, alpha="auto"))),
    "convolution": lambda: model_of((6, 6, 3), QConv2D(4, 3, kernel_quantizer=bits(4, alpha="auto"), use_bias=False)),
    "binary": lambda: model_of((6,), dense(binary(alpha="auto"))),
    "ternary": lambda: model_of((6,), dense(ternary(alpha="auto"))),
}


@pytest.mark.parametrize("name", SCALED)
def test_scales_that_are_no_powers_of_two(name):
    """What float32 rounds off is all that differs, and kernels are as short as their quantizers say."""
    model = SCALED[name]()
    x = samples(model)
    snapshot, wanted = keras_hls.snapshot(model), answers(model, x)
    assert np.abs(snapshot.predict(x) - wanted).max() <= 2.0**-20 * np.abs(wanted).max()
    if "bias" not in name.split(":")[-1]:
        kernels = [node.op.kernel for node in snapshot.graph if hasattr(node.op, "kernel")]
        assert kernels and all(kernel.type.hull.width <= 5 for kernel in kernels)
