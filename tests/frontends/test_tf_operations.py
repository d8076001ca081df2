"""Operations of TensorFlow between layers of functional Keras 2 models: live and from files, against Keras itself."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from legacy_keras import keras2

keras = keras2()

import tensorflow as tf

import keras_hls
from keras_hls.errors import UnsupportedModel
from keras_hls.project import reference

L = keras.layers
ROW = np.float32([0.5, -1, 2, 0.25])
MATRIX = (np.arange(12).reshape(4, 3) / 4 - 1).astype("float32")


def samples(*shape, count=100):
    """Numbers of so few bits that all that follows is exact."""
    return (np.random.default_rng(0).integers(-48, 49, (count, *shape)) / 16).astype("float32")


# Of tensors x and z, whose samples have shape (3, 4).
EXACT = {
    "x + 1": lambda x, z: x + 1.5,
    "1 + x": lambda x, z: 1.5 + x,
    "x + z": lambda x, z: x + z,
    "tf.add": lambda x, z: tf.add(x, z, name="sum"),
    "x + row": lambda x, z: x + ROW,
    "row + x": lambda x, z: ROW + x,
    "x - z": lambda x, z: x - z,
    "x - 2": lambda x, z: x - 2,
    "2 - x": lambda x, z: 2 - x,
    "x * row": lambda x, z: x * ROW,
    "x * z": lambda x, z: x * z,
    "x / 4": lambda x, z: x / 4,
    "x / row": lambda x, z: x / ROW,
    "-x": lambda x, z: -x,
    "abs": lambda x, z: abs(x),
    "square": lambda x, z: tf.square(x),
    "broadcast": lambda x, z: x + z[:, :1],
    "add_n": lambda x, z: tf.add_n([x, z]),
    "bias_add": lambda x, z: tf.nn.bias_add(x, ROW),
    "maximum": lambda x, z: tf.maximum(x, z),
    "maximum of a number": lambda x, z: tf.maximum(0.5, x),
    "minimum": lambda x, z: tf.minimum(x, ROW),
    "relu": lambda x, z: tf.nn.relu(x),
    "relu of Keras": lambda x, z: keras.activations.relu(x, max_value=1.5),
    "relu6": lambda x, z: tf.nn.relu6(x * 4),
    "leaky_relu": lambda x, z: tf.nn.leaky_relu(x, 0.25),
    "clip": lambda x, z: tf.clip_by_value(x, -1, 0.75),
    "clip of the backend": lambda x, z: keras.backend.clip(x, -1, 1),
    "matmul": lambda x, z: tf.matmul(x, tf.transpose(z, [0, 2, 1])),
    "matmul, transposed": lambda x, z: tf.matmul(x, z, transpose_b=True),
    "matmul, both transposed": lambda x, z: tf.matmul(x[:, :, :3], z, transpose_a=True, transpose_b=False),
    "x @ matrix": lambda x, z: x @ MATRIX,
    "matmul, matrix transposed": lambda x, z: tf.matmul(x, MATRIX.T, transpose_b=True),
    "sum": lambda x, z: tf.reduce_sum(x, axis=-1),
    "sums": lambda x, z: tf.reduce_sum(x, axis=[1, 2], keepdims=True),
    "mean": lambda x, z: tf.reduce_mean(x, axis=2),
    "max": lambda x, z: tf.reduce_max(x, 1),
    "min of the backend": lambda x, z: keras.backend.min(x, axis=1, keepdims=True),
    "concat": lambda x, z: tf.concat([x, z, x], axis=-1),
    "concat first": lambda x, z: tf.concat([x, z], 1),
    "stack": lambda x, z: tf.stack([x, z], axis=1),
    "stack last": lambda x, z: tf.stack([x, z], axis=-1),
    "split": lambda x, z: tf.split(x, 2, axis=-1)[1],
    "all of a split": lambda x, z: tf.subtract(*tf.split(x, 2, axis=2)),
    "split by sizes": lambda x, z: tf.split(x, [1, -1, 1], axis=2)[1],
    "unstack": lambda x, z: tf.unstack(x, axis=1)[0] + tf.unstack(x, axis=1)[2],
    "reshape": lambda x, z: tf.reshape(x, [-1, 12]),
    "reshape, two axes": lambda x, z: tf.reshape(x, (-1, 2, 6)),
    "transpose": lambda x, z: tf.transpose(x, [0, 2, 1]),
    "expand and squeeze": lambda x, z: tf.squeeze(tf.expand_dims(x, 1) + 1, [1]),
    "squeeze all": lambda x, z: tf.squeeze(tf.reduce_sum(x, axis=1, keepdims=True)),
    "pad": lambda x, z: tf.pad(x, [[0, 0], [1, 2], [0, 1]]),
    "tile": lambda x, z: tf.tile(x, [1, 2, 3]),
    "reverse": lambda x, z: tf.reverse(x, [1, 2]),
    "roll": lambda x, z: tf.roll(x, 1, 1),
    "slices": lambda x, z: x[:, 1:, ::2],
    "numbers": lambda x, z: x[:, -1, 1:3],
    "new axis": lambda x, z: x[:, None, 1],
    "reversed": lambda x, z: x[:, ::-1],
    "nothing": lambda x, z: tf.stop_gradient(tf.identity(tf.cast(x, "float32"))),
    "sign": lambda x, z: tf.sign(x),
    "floor": lambda x, z: tf.floor(x) + tf.math.ceil(x) + tf.round(x),
    "floor division": lambda x, z: x // 0.75,
    "chain": lambda x, z: tf.nn.relu((x - z) * ROW + 1) - tf.concat([x, z], 1)[:, 2:5],
}

NEAR = {
    # Keras's own may be off in the last bit.
    "x ** 2": lambda x, z: x**2,
    "sigmoid": lambda x, z: tf.sigmoid(x),
    "tanh": lambda x, z: tf.nn.tanh(x),
    "softplus": lambda x, z: tf.math.softplus(x),
    "softsign": lambda x, z: tf.nn.softsign(x),
    "elu": lambda x, z: tf.nn.elu(x),
    "selu": lambda x, z: tf.nn.selu(x),
    "silu": lambda x, z: tf.nn.silu(x),
    "gelu": lambda x, z: tf.nn.gelu(x),
    "gelu, approximate": lambda x, z: tf.nn.gelu(x, approximate=True),
    "exp": lambda x, z: tf.exp(x) + tf.math.expm1(x),
    "logarithms": lambda x, z: tf.math.log(abs(x) + 1) + tf.math.log1p(abs(x)),
    "roots": lambda x, z: tf.sqrt(abs(x) + 0.5) + tf.math.rsqrt(abs(x) + 0.5),
    "waves": lambda x, z: tf.sin(x) + tf.cos(x),
    "hyperbolic": lambda x, z: tf.sinh(x) - tf.cosh(x),
    "erf": lambda x, z: tf.math.erf(x),
    "1 / x": lambda x, z: 1 / (abs(x) + 1) + tf.math.reciprocal(abs(x) + 0.5),
    "power": lambda x, z: (abs(x) + 0.25) ** 1.5,
    "base": lambda x, z: tf.pow(2.0, x),
    "x / 3": lambda x, z: x / 3,
    "softmax inside": lambda x, z: tf.nn.softmax(x) + 1,
    "softmax along another axis": lambda x, z: tf.nn.softmax(x, axis=1) + 1,
}


def model_of(build):
    x, z = L.Input((3, 4), name="x"), L.Input((3, 4), name="z")
    return keras.Model([x, z], build(x, z))


def given(model):
    found = {"x": samples(3, 4), "z": samples(3, 4)[::-1].copy()}
    return [found[t.name] for t in model.inputs]


def files(model, folder):
    model.save(folder / "net.h5")
    model.save(folder / "net.keras")
    return folder / "net.h5", folder / "net.keras"


@pytest.mark.parametrize("name", EXACT)
def test_equal_to_keras(name, tmp_path):
    model = model_of(EXACT[name])
    x = given(model)
    wanted = np.asarray(model(x))
    for source in (model, *files(model, tmp_path)):
        found = keras_hls.snapshot(source, calibration=x, bits=24).predict(x)
        assert found.shape == wanted.shape
        assert np.array_equal(found, wanted)


@pytest.mark.parametrize("name", NEAR)
def test_near_keras(name, tmp_path):
    model = model_of(NEAR[name])
    x = given(model)
    wanted = np.asarray(model(x))
    found = keras_hls.snapshot(model, calibration=x, bits=18).predict(x)
    assert np.abs(found - wanted).max() <= 2e-3 * max(np.abs(wanted).max(), 1)
    for source in files(model, tmp_path):
        assert np.array_equal(keras_hls.snapshot(source, calibration=x, bits=18).predict(x), found)


def test_a_network_of_them_is_compared_call_by_call(tmp_path):
    x = L.Input((3, 4))
    y = L.Dense(4, activation="relu")(x) * 0.5 + x
    a, b = tf.split(tf.nn.relu(y - 0.25), 2, axis=-1)
    model = keras.Model(x, tf.nn.softmax(L.Dense(3)(L.Flatten()(tf.concat([b, a], -1)))))
    data = samples(3, 4)
    project = keras_hls.export_hls(model, tmp_path / "net", calibration=data, bits=20)
    assert project.verification.csim_different == 0 and project.graph.host == ("softmax",)
    compared = project.compare(data)
    assert compared.ok
    names = [layer.layer for layer in compared.layers]
    assert sum(name.startswith("tf.split") for name in names) == 2 and any(name.endswith("[1]") for name in names)


def test_the_values_before_an_operations_softmax():
    x = L.Input((4,))
    dense = L.Dense(3)
    model = keras.Model(x, tf.nn.softmax(dense(x)))
    data = samples(4)
    snapshot = keras_hls.snapshot(model, calibration=data, bits=18)
    (logits,) = reference(model, snapshot.graph)([data])
    assert np.array_equal(logits, np.asarray(dense(data)))


REFUSED = {
    "einsum": (lambda x, z: tf.einsum("bij,bkj->bik", x, z), r"\(tf.einsum\): no op reads this operation"),
    "where": (
        lambda x, z: tf.where(x > 0, x, z),
        r"\(tf.math.greater\): no op reads this operation.*'tf.where' \(tf.where\)",
    ),
    "gather": (lambda x, z: tf.gather(x, [0, 2], axis=2), r"\(tf.compat.v1.gather\): no op reads this operation"),
    "shape": (lambda x, z: tf.reshape(x, (tf.shape(x)[0], 12)), r"\(tf.compat.v1.shape\): no op reads this operation"),
    "batch": (lambda x, z: tf.reduce_sum(x, axis=0, keepdims=True) + x, r"it reaches across the batch"),
    "all": (lambda x, z: x - tf.reduce_max(x), r"without an axis it reduces the batch too"),
    "batches": (lambda x, z: tf.concat([x, z], 0), r"it reaches across the batch"),
    "reshape": (lambda x, z: tf.reshape(x, (-1, 4)), r"it reaches across the batch"),
    "batch reshape": (lambda x, z: tf.reshape(x, (3, -1, 4)), r"must begin with -1, for the batch"),
    "first": (lambda x, z: x[0] + x, r"it picks .* of the batch"),
    "transpose": (lambda x, z: tf.transpose(x), r"moves the batch|must stay"),
    "integers": (lambda x, z: tf.cast(x, "int32"), r"it casts to int32, and only float32"),
    "by zero": (lambda x, z: x / 0.0, r"it divides by 0"),
    "x / z": (lambda x, z: x / z, r"another tensor"),
    "vectors": (lambda x, z: tf.matmul(ROW[None, :3], x), r"only a tensor times a constant matrix"),
    "reflected": (lambda x, z: tf.pad(x, [[0, 0], [1, 1], [0, 0]], "REFLECT"), r"only zeros can be padded"),
    "padded": (lambda x, z: tf.pad(x, [[0, 0], [1, 1], [0, 0]], constant_values=2.0), r"only zeros can be padded"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name, tmp_path):
    build, sentence = REFUSED[name]
    model = model_of(build)
    for source in (model, *files(model, tmp_path)):
        with pytest.raises(UnsupportedModel, match=sentence):
            keras_hls.snapshot(source, calibration=given(model))


def test_integers_are_refused_until_they_are_cast():
    x = L.Input((4,), dtype="int32")
    with pytest.raises(UnsupportedModel, match="it is given integers, which it computes with as such"):
        keras_hls.snapshot(keras.Model(x, x + 1), calibration=np.zeros((1, 4), "int32"))


@pytest.mark.parametrize("kind", ["TensorFlowOpLayer", "ClassMethod", "InstanceMethod"])
def test_other_ways_to_write_operations_down_are_refused_by_name(kind, tmp_path):
    model = model_of(lambda x, z: x + z)
    text = model.to_json()
    assert '"TFOpLambda"' in text
    config = json.loads(text.replace('"TFOpLambda"', f'"{kind}"'))
    (tmp_path / "net.json").write_text(json.dumps(config))
    model.save_weights(tmp_path / "net.h5")
    with pytest.raises(UnsupportedModel, match=rf"\(keras.layers.{kind}\): no op reads this layer"):
        keras_hls.snapshot(tmp_path / "net.json", weights=tmp_path / "net.h5", calibration=given(model))
