"""Small models of exact layers, and what they answer: for tests of how models are read."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from hgq.config import QuantizerConfig
from hgq.layers import QDense, Quantizer

import keras_hls
from keras_hls.errors import UnsupportedModel


def conf(i=2, f=3, k=1, place="datalane", overflow="SAT", **more):
    return QuantizerConfig("kif", place, k0=k, i0=i, f0=f, overflow_mode=overflow, heterogeneous_axis=(), **more)


def quantizer(name=None, **bits):
    return Quantizer(conf(**bits), name=name)


def dense(units, name=None, cls=QDense, **more):
    """A layer with random weights, the same for the same units and inputs."""
    weights = {"kq_conf": conf(place="weight"), "bq_conf": conf(place="bias")}
    more.setdefault("kernel_initializer", keras.initializers.RandomUniform(-2, 2, seed=units))
    return cls(units, name=name, **{"iq_conf": conf(), **weights, **more})


def inputs(*names, shape=(4,)):
    return [keras.Input(shape, name=name) for name in names]


def values(count=20, shape=(4,), seed=0):
    return (np.random.default_rng(seed).integers(-64, 65, (count, *shape)) / 16.0).astype("float32")


def keras_answers(model, x):
    structure = getattr(model, "_inputs_struct", 0)
    flat = keras.tree.flatten(model(keras.tree.pack_sequence_as(structure, list(x)), training=False))
    return [np.asarray(keras.ops.convert_to_numpy(v)) for v in flat]


def assert_equal(model, x=None):
    snapshot = keras_hls.snapshot(model)
    x = [values(shape=tuple(t.shape[1:]), seed=n) for n, t in enumerate(model.inputs)] if x is None else x
    got = snapshot.predict(x if len(x) > 1 else x[0])
    for a, b in zip(got if isinstance(got, list) else [got], keras_answers(model, x), strict=True):
        assert np.array_equal(a, b)
    return snapshot


def refused(model, sentence, error=UnsupportedModel):
    with pytest.raises(error, match=sentence) as caught:
        keras_hls.snapshot(model)
    return caught.value
