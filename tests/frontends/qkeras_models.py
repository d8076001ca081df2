"""Models of QKeras with numbers of their own, and what is asked of each: live and from every kind of file."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from legacy_keras import keras_of_qkeras

keras = keras_of_qkeras()

from qkeras import QActivation, quantized_bits

import keras_hls


def bits(n=6, integer=0, **options):
    return quantized_bits(n, integer, **({"alpha": 1} | options))


def filled(model, seed=0):
    """The model with numbers that all matter; what stands under a root, or is quantized without a sign, is positive."""
    rng = np.random.default_rng(seed)
    for variable in model.weights:
        if variable.dtype == "float32":
            values = rng.normal(size=variable.shape) * 0.7
            positive = "variance" in variable.name or "gamma" in variable.name
            variable.assign(np.abs(values) + 0.05 if positive else values)
    return model


def model_of(shape, *layers, seed=0):
    return filled(keras.Sequential([keras.layers.Input(shape), QActivation(bits(8, 2)), *layers]), seed)


def samples(model, count=200):
    """In range and out of it, ties of rounding among them."""
    rng = np.random.default_rng(1)
    return (rng.integers(-320, 320, (count, *model.input_shape[1:])) / 64).astype("float32")


def answers(model, x):
    """What the model answers; by TensorFlow's compiler where a CPU has no kernel for a layer."""
    try:
        return np.asarray(model(x))
    except tf.errors.OpError:
        return np.asarray(tf.function(model, jit_compile=True)(x))


def saved(model, folder):
    """Yield every form of file of a model, as arguments of a snapshot."""
    model.save(folder / "net.h5")
    model.save(folder / "net.keras")
    model.save_weights(folder / "weights.h5")
    model.save_weights(folder / "new.weights.h5")
    (folder / "net.json").write_text(model.to_json())
    yield (folder / "net.h5",), {}
    yield (folder / "net.keras",), {}
    yield (folder / "net.json",), {"weights": folder / "weights.h5"}
    yield (folder / "net.json",), {"weights": folder / "new.weights.h5"}


def check(model, folder, x=None, wanted=None):
    """Hold a live model and all of its files against the model's own answers."""
    x = samples(model) if x is None else x
    wanted = answers(model, x) if wanted is None else wanted
    assert len(np.unique(wanted)) > 2
    found = [keras_hls.snapshot(model)]
    found += [keras_hls.snapshot(*args, **options) for args, options in saved(model, folder)]
    for made in found:
        assert made.predict(x).shape == wanted.shape
        assert np.count_nonzero(made.predict(x) != wanted) == 0
    return found[0]
