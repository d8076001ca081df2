"""Keras models with quantizers of a type an element, and what they answer: for tests that hold layers against Keras.

Bits are few, and samples lie on a grid, so that Keras's float32 is exact and every difference is ours.
"""

import keras
import numpy as np
from hgq.config import QuantizerConfig
from hgq.layers import Quantizer
from hgq.quantizer.internal import FixedPointQuantizerKIF

import keras_hls
from keras_hls.frontends.asking import called


def config(place="datalane", rounding="RND", overflow="SAT"):
    """A quantizer with a type an element; `randomize` gives it its bits."""
    axes = {"homogeneous_axis": (0,) if place == "datalane" else ()}
    return QuantizerConfig("kif", place, k0=1, i0=3, f0=2, round_mode=rounding, overflow_mode=overflow, **axes)


def cast(x):
    """A tensor behind a quantizer of its own."""
    return Quantizer(config())(x)


def randomize(model, seed=0, widest=5):
    """Bits and weights at random: some elements have no bits, some only fractional ones."""
    rng = np.random.default_rng(seed)
    for layer in model._flatten_layers():
        for variable in getattr(layer, "_trainable_variables", []):
            if variable.path.rsplit("/")[-1] in ("kernel", "bias", "gamma"):
                variable.assign((rng.integers(-48, 49, variable.shape) / 16).astype("float32"))
        for variable in getattr(layer, "_non_trainable_variables", []):
            if variable.path.endswith("moving_mean"):
                variable.assign(rng.normal(size=variable.shape))
            elif variable.path.endswith("moving_variance"):
                variable.assign(rng.uniform(0.1, 4, variable.shape))
    for quantizer in model._flatten_layers():
        if isinstance(quantizer, FixedPointQuantizerKIF):
            shape = tuple(quantizer._i.shape)
            i = rng.integers(-1, 4, shape)
            quantizer._k.assign(rng.integers(0, 2, shape).astype("uint8"))
            quantizer._i.assign(i.astype("float32"))
            # Few elements all have some, so that there is something to answer.
            least = -1 if np.prod(shape) > 8 else min(3, widest)
            quantizer._f.assign((rng.integers(least, widest + 1, shape) - i).astype("float32"))
    return model


def samples(model, seed=0, count=64):
    """One array an input, in range and out of it, ties of rounding among them."""
    rng = np.random.default_rng(seed)
    found = []
    for tensor in model.inputs:
        shape = (count, *tensor.shape[1:])
        reach = 2.0 ** rng.integers(0, 6, shape)
        found.append((np.rint(rng.uniform(-1, 1, shape) * reach * 64) / 64).astype("float32"))
    return found


def assert_equal(model, x=None):
    """Hold the emulator against the model, bit for bit; return the graph."""
    x = samples(model) if x is None else x
    snapshot = keras_hls.snapshot(model)
    given = keras.tree.pack_sequence_as(model._inputs_struct, x)
    wanted = keras.tree.flatten(called("the model", model, given, training=False))
    got = snapshot.predict(x if len(x) > 1 else x[0])
    for mine, theirs in zip(got if isinstance(got, list) else [got], wanted, strict=True):
        answer = keras.ops.convert_to_numpy(theirs)
        assert mine.shape == answer.shape
        assert np.array_equal(mine, answer), f"{int((mine != answer).sum())} of {answer.size} values differ"
        assert np.unique(answer).size > 2, "the model must answer something"
    return snapshot.graph
