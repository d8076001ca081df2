"""Float32 arithmetic of TensorFlow 2.15, reproduced to the last bit."""

import numpy as np
import pytest

tf = pytest.importorskip("tensorflow", "2.15")
if not tf.__version__.startswith("2.15."):
    pytest.skip("other versions of TensorFlow approximate otherwise", allow_module_level=True)

from keras_hls.quantizers import tensorflow_floats


@pytest.mark.parametrize("rank", [1, 2, 3, 4, 5])
def test_means_along_any_axes(rank):
    rng = np.random.default_rng(rank)
    for _ in range(200):
        shape = tuple(int(n) for n in rng.choice([1, 2, 3, 4, 5, 7, 8, 9, 16, 17, 24, 33, 64, 100], rank))
        if np.prod(shape) > 50_000:
            continue
        axes = [axis for axis in range(rank) if rng.integers(2)]
        x = rng.normal(size=shape).astype(np.float32)
        wanted = tf.reduce_mean(tf.constant(x), axis=axes, keepdims=True).numpy()
        assert np.array_equal(tensorflow_floats.mean(x, axes), wanted), (shape, axes)


@pytest.mark.parametrize("shape", [(9000,), (3, 20_000), (100_001,)])
def test_means_of_long_rows(shape):
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    wanted = tf.reduce_mean(tf.constant(x), axis=[-1], keepdims=True).numpy()
    assert np.array_equal(tensorflow_floats.mean(x, [len(shape) - 1]), wanted)


@pytest.mark.parametrize("name", ["log", "tanh", "sigmoid"])
def test_functions(name):
    rng = np.random.default_rng(0)
    some = np.concatenate(
        [rng.normal(0, 4, 200_000), np.linspace(-200, 200, 80_000), [0, np.inf, -np.inf, 1e-30, -88, 89]]
    )
    x = some[: len(some) // 8 * 8].astype(np.float32)
    if name == "log":
        x = np.concatenate([np.abs(x[: len(x) // 2]), np.exp(x[len(x) // 2 :] / 5)])
    wanted = (tf.math.log if name == "log" else getattr(tf, name))(tf.constant(x)).numpy()
    found = getattr(tensorflow_floats, name)(x)
    assert np.array_equal(found, wanted, equal_nan=True)


@pytest.mark.parametrize("count", [1, 5, 13])
def test_what_vectors_leave_over_is_almost_correctly_rounded(count):
    """There the C library computes, whose logarithm may be off by one in the last place."""
    x = np.exp(np.random.default_rng(count).normal(0, 4, count)).astype(np.float32)
    found, wanted = tensorflow_floats.log(x), tf.math.log(tf.constant(x)).numpy()
    assert (np.abs(found.astype(float) - wanted) <= np.spacing(np.abs(wanted))).all()
    whole = count // 8 * 8
    assert np.array_equal(found[:whole], wanted[:whole])
