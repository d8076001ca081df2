"""Layers of Keras itself, alone behind quantized inputs: what tests of several families share."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from hgq.config import QuantizerConfig
from hgq.layers import Quantizer

import keras_hls
from keras_hls.errors import UnsupportedModel
from keras_hls.frontends.asking import called

L = keras.layers
IMAGE_LAYER = next(c for c in L.RandomFlip.__mro__ if c.__name__ == "BaseImagePreprocessingLayer")
FIRST, LAST = "channels_first", "channels_last"


def quantizer(i=4, f=2):
    return Quantizer(QuantizerConfig("kif", "datalane", k0=1, i0=i, f0=f, overflow_mode="SAT", heterogeneous_axis=()))


def model_of(layer, *shapes, fracs=(2, 3, 0, 1, 4)):
    """The layer behind quantized inputs, each on a grid of its own."""
    inputs = [keras.Input(shape) for shape in shapes]
    values = [quantizer(f=f)(x) for x, f in zip(inputs, fracs)]
    # Layers for images write down training=True where nobody says otherwise; a model at inference overrides it.
    options = {"training": False} if isinstance(layer, IMAGE_LAYER) else {}
    return keras.Model(
        inputs if len(inputs) > 1 else inputs[0], layer(values if len(values) > 1 else values[0], **options)
    )


def samples(model, count=6):
    rng = np.random.default_rng(0)
    return [(rng.integers(-200, 200, (count, *x.shape[1:])) / 8).astype("float32") for x in model.inputs]


def assert_equal(layer, *shapes):
    model = model_of(layer, *shapes)
    x = samples(model)
    snapshot = keras_hls.snapshot(model)
    got = snapshot.predict(x if len(x) > 1 else x[0])
    answer = called("the model", model, x if len(x) > 1 else x[0], training=False)
    wanted = np.asarray(keras.ops.convert_to_numpy(answer))
    assert got.shape == wanted.shape
    assert np.array_equal(got, wanted)
    return snapshot


def refused(layer, *shapes, sentence):
    with pytest.raises(UnsupportedModel, match=sentence):
        keras_hls.snapshot(model_of(layer, *shapes))


def image(spatial, order):
    return (3, *spatial) if order == FIRST else (*spatial, 3)
