"""Models of operations of keras.ops behind quantized inputs, and what they answer."""

import keras
import numpy as np
import pytest
from plain_models import quantizer

import keras_hls
from keras_hls.errors import UnsupportedModel


def f32(*numbers):
    return np.asarray(numbers, "float32")


def variable(*numbers):
    return keras.Variable(f32(*numbers))


def cut(x):
    """What has no last bit, seen through a quantizer."""
    return quantizer(i=4, f=6)(x)


def model_of(function, *shapes):
    tensors = [keras.Input(shape) for shape in shapes]
    casts = [quantizer(i=2, f=3 + n)(x) for n, x in enumerate(tensors)]
    return keras.Model(tensors, function(*casts))


def samples_of(model, count=40):
    rng = np.random.default_rng(0)
    return [(rng.integers(-96, 97, (count, *x.shape[1:])) / 16).astype("float32") for x in model.inputs]


def answers(model, x):
    flat = keras.tree.flatten(model(x if len(x) > 1 else x[0], training=False))
    return [np.asarray(keras.ops.convert_to_numpy(value)) for value in flat]


def refused(model, sentence):
    with pytest.raises(UnsupportedModel, match=sentence):
        keras_hls.snapshot(model)
