"""Batch normalisation and the layers that prepare inputs: quantized ones bit for bit, float ones as near as their bits."""

import numpy as np
import pytest

keras = pytest.importorskip("keras")
pytest.importorskip("hgq")

from hgq.layers import QBatchNormalization, QDense
from quantized_models import assert_equal, cast, config, randomize, samples

import keras_hls
from keras_hls.errors import UnsupportedModel


@pytest.mark.parametrize("axis", [-1, 1, 2])
@pytest.mark.parametrize("flags", [(True, True), (True, False), (False, True), (False, False)])
def test_quantized(axis, flags):
    x = keras.Input((3, 4))
    layer = QBatchNormalization(
        axis,
        center=flags[0],
        scale=flags[1],
        kq_conf=config("weight"),
        bq_conf=config("bias"),
        iq_conf=config(),
        epsilon=0.01,
    )
    assert_equal(randomize(keras.Model(x, layer(x))))


def test_quantized_behind_a_quantized_layer():
    x = keras.Input((6,))
    y = QDense(5, kq_conf=config("weight"), bq_conf=config("bias"), iq_conf=config())(x)
    assert_equal(randomize(keras.Model(x, QBatchNormalization(iq_conf=config())(y))))


def float_answers(model, x, **options):
    snapshot = keras_hls.snapshot(model, calibration=x, **options)
    return snapshot, np.abs(snapshot.predict(x) - keras.ops.convert_to_numpy(model(x))).max()


def trained(layer, seed=0):
    """Statistics and factors as a training leaves them."""
    rng = np.random.default_rng(seed)
    values = {"gamma": rng.uniform(0.5, 2), "moving_variance": rng.uniform(0.1, 3)}
    for variable in layer.variables:
        name = variable.path.rsplit("/")[-1]
        drawn = rng.uniform(0.3, 2, variable.shape) if name in values else rng.normal(size=variable.shape)
        variable.assign(drawn.astype("float32"))


@pytest.mark.parametrize("axis", [-1, 1, 2, 3])
@pytest.mark.parametrize("flags", [(True, True), (False, False)])
def test_float(axis, flags):
    """Axes other than the last, and factors left out: as the reference system gets them wrong."""
    x = keras.Input((3, 4, 2))
    layer = keras.layers.BatchNormalization(axis, center=flags[0], scale=flags[1], epsilon=0.1)
    model = keras.Model(x, layer(x))
    trained(layer)
    data = np.random.default_rng(1).normal(0, 2, (300, 3, 4, 2)).astype("float32")
    _, error = float_answers(model, data)
    assert error < 1e-3


def test_folded_into_the_layer_before():
    model = keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.Dense(5),
            keras.layers.BatchNormalization(),
            keras.layers.ReLU(),
            keras.layers.Dense(3),
        ]
    )
    trained(model.layers[1])
    data = np.random.default_rng(1).normal(size=(300, 6)).astype("float32")
    snapshot, error = float_answers(model, data)
    assert [type(n.op).__name__ for n in snapshot.graph] == ["Input", "Dense", "Quantize", "ReLU", "Dense", "Quantize"]
    assert error < 5e-3


def test_float_behind_a_quantized_layer_stays_of_its_own():
    x = keras.Input((6,))
    y = QDense(5, kq_conf=config("weight"), bq_conf=config("bias"), iq_conf=config())(x)
    norm = keras.layers.BatchNormalization()
    model = randomize(keras.Model(x, norm(y)))
    trained(norm)
    with pytest.raises(
        UnsupportedModel, match=r"'batch_normalization\w*' \(.*\): its scale and offset have no quantizer"
    ):
        keras_hls.snapshot(model)
    snapshot, error = float_answers(model, samples(model)[0])
    assert [type(n.op).__name__ for n in snapshot.graph][-2:] == ["Scale", "Quantize"]
    assert error < 0.05


@pytest.mark.parametrize("factors", [(0.5, 0.0), (1 / 255, -1.0), ([0.25, 2.0], [1.0, 0.0]), (2, 3)])
def test_rescaling_is_exact(factors):
    x = keras.Input((3, 2))
    assert_equal(randomize(keras.Model(x, cast(keras.layers.Rescaling(*factors)(cast(x))))))


@pytest.mark.parametrize("invert", [False, True])
@pytest.mark.parametrize("axis", [-1, 1, None, (1, 2)])
def test_normalization(axis, invert):
    data = np.random.default_rng(0).normal(3, 2, (200, 3, 2)).astype("float32")
    layer = keras.layers.Normalization(axis=axis, invert=invert)
    layer.adapt(data)
    model = keras.Sequential([keras.Input((3, 2)), layer])
    _, error = float_answers(model, data)
    assert error < 2e-3


def test_normalization_with_numbers_given():
    layer = keras.layers.Normalization(mean=[1.0, -2.0], variance=[4.0, 0.25])
    model = keras.Sequential([keras.Input((2,)), layer])
    data = np.random.default_rng(0).normal(0, 2, (200, 2)).astype("float32")
    _, error = float_answers(model, data)
    assert error < 2e-3
