"""What is refused, and in which words."""

from __future__ import annotations

import functools
import re
import sys
from pathlib import Path

import pytest

keras = pytest.importorskip("keras")
pytest.importorskip("hgq")

import keras_hls
from keras_hls.errors import InvalidModel

sys.path.insert(0, str(Path(__file__).parent))
from small_models import assert_equal, dense, inputs, quantizer, refused

pytestmark = pytest.mark.keras3


def test_every_unsupported_layer_is_named_at_once():
    (x,) = inputs("x")
    y = keras.layers.Reshape((2, 2), name="fold")(quantizer("q")(x))
    y = keras.layers.LSTM(3, name="memory")(y)
    y = keras.layers.Dropout(0.5, name="noise")(y, training=True)
    y = dense(2, "fine")(y)
    inner = keras.Sequential([keras.Input((2,)), keras.layers.Reshape((1, 2)), keras.layers.GRU(2, name="gate")])
    y = keras.Sequential([keras.Input((2,)), inner], name="outer")(y)
    y = keras.layers.Lambda(lambda v: v if v > 0 else -v, output_shape=(2,), name="own")(y)
    y = keras.ops.sort(y)
    model = keras.Model(x, [y, keras.layers.Softmax(axis=0, name="mixed")(y)])
    listed = r"docs/layers\.md lists those that can be read"
    sentences = [
        rf"'memory' \(keras.layers.LSTM\): no op reads this layer\. {listed}",
        r"'noise' \(keras.layers.Dropout\): it is called with \{'training': True\}, which no reader takes account of; call"
        " it with tensors only",
        rf"'outer/{inner.name}/gate' \(keras.layers.GRU\): no op reads this layer\..* {listed}",
        r"'own' \(keras.layers.Lambda\): its call can't be traced: TypeError: .*KerasTensor.*\. Write it with layers and"
        " keras.ops on its input tensors, or register a reader of its class",
        rf"'sort\w*' \(keras.ops.Sort\): no op reads this operation\..* {listed}",
        r"'mixed' \(keras.layers.Softmax\): axis must not hold the batch's, 0, but is 0; samples are computed one by one",
    ]
    error = refused(model, "^6 layers can't be exported: ")
    for sentence, problem in zip(sentences, error.problems, strict=True):
        assert re.fullmatch(sentence, problem)
    report = keras_hls.check(model)
    assert not report.ok
    assert report.problems == error.problems
    assert str(report).startswith("6 problems:\n- '")


def test_a_call_that_was_replaced_is_refused():
    (x,) = inputs("x")
    relu = keras.layers.ReLU(name="own")
    relu.call = lambda values: -values
    refused(
        keras.Model(x, relu(quantizer()(x))), r"'own' \(keras.layers.ReLU\): its call was replaced by another function"
    )


def test_a_name_nearly_known_is_offered():
    x = keras.Input((3, 2), name="x")
    attention = keras.layers.Attention(name="a")([quantizer()(x), quantizer()(x)])
    refused(
        keras.Model(x, attention),
        r"'a' \(keras.layers.Attention\): no op reads this layer\. Did you mean 'Activation'\?",
    )
    refused(
        keras.Model(x, keras.ops.log1p(keras.ops.sort(x))), r"'sort\w*' \(keras.ops.Sort\): .* Did you mean 'Sqrt'\?"
    )


def test_unknown_config_keys_are_refused(monkeypatch):
    # As a later Keras might have them.
    whole = keras.layers.Flatten.get_config
    monkeypatch.setattr(keras.layers.Flatten, "get_config", lambda self: {**whole(self), "order": "F", "axis": None})
    (x,) = inputs("x")
    model = keras.Model(x, keras.layers.Flatten(name="flat")(quantizer()(x)))
    refused(
        model,
        r"^1 layer can't be exported: 'flat' \(keras.layers.Flatten\): no reader takes account of order='F'; leave it at its"
        r" default$",
    )


class Unwritable:
    """A user's function that knows nothing of configs."""

    def __call__(self, x):
        return x


@pytest.mark.parametrize(
    "activation", [functools.partial(keras.activations.relu, max_value=1.0), Unwritable()], ids="ab"
)
def test_activations_that_keras_can_not_write_down_are_refused(activation):
    (x,) = inputs("x")
    y = keras.layers.Activation(activation, name="a")(quantizer()(x))
    model = keras.Model(x, keras.layers.Reshape((2, -1, 1), name="after")(keras.layers.Softmax(axis=0, name="s")(y)))
    error = refused(model, r"^2 layers can't be exported: 'a' \(keras.layers.Activation\): its config can't be read: ")
    assert error.problems[1].startswith("'s' (keras.layers.Softmax): axis must not hold the batch's")


def relu(x):
    """A user's own function, by the name of one of Keras's."""
    return keras.ops.relu(x) * 0.5


@keras.saving.register_keras_serializable(package="tests", name="linear")
class Negative(keras.layers.Layer):
    """A user's own layer, registered by the name of an activation."""

    def call(self, x):
        return -x


def test_own_functions_by_the_names_of_keras_are_no_keras_functions():
    (x,) = inputs("x")
    own = Negative()
    own.build((None, 2))
    y = dense(2, "n", activation=own)(keras.layers.Activation(relu, name="a")(dense(3, "d", activation=relu)(x)))
    assert_equal(keras.Model(x, quantizer()(y)))


def test_keras_own_functions_as_objects_are_known():
    (x,) = inputs("x")
    y = dense(3, activation=keras.activations.relu)(x)
    assert_equal(keras.Model(x, keras.layers.Activation(keras.activations.linear)(y)))


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float16", "float64"])
def test_layers_of_another_precision_are_refused(policy):
    (x,) = inputs("x")
    layer = keras.layers.Reshape((2, 2), name="r", dtype=policy)
    kind = policy.removeprefix("mixed_")
    refused(
        keras.Model(x, layer(quantizer()(x))),
        rf"^1 layer can't be exported: 'r' \(keras.layers.Reshape\): it computes in {kind}, and only float32 can be exported;"
        r" give it dtype='float32', or call keras.config.set_dtype_policy\('float32'\) before the model is built$",
    )


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_models_of_another_precision_are_refused(policy):
    old = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        (x,) = inputs("x")
        model = keras.Model(x, dense(2, "d")(x))
    finally:
        keras.config.set_dtype_policy(old)
    refused(model, rf"'d' .*: it computes in {policy.removeprefix('mixed_')}, and only float32 can be exported")


def test_a_quantizer_of_another_precision_inside_a_layer_is_refused():
    (x,) = inputs("x")
    old = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        layer = dense(2, "d", dtype="float32")
    finally:
        keras.config.set_dtype_policy(old)
    refused(keras.Model(x, layer(x)), r"'d' .*: it computes in bfloat16, and only float32")


def test_layers_that_keras_quantized_are_refused():
    (x,) = inputs("x")
    model = keras.Model(x, keras.layers.Dense(3, name="d")(x))
    model.quantize("int8")
    refused(model, r"'d' \(keras.layers.Dense\): it was quantized by Keras \(int8\), which no reader takes account of$")


@pytest.mark.parametrize("dtype", ["int32", "uint8"])
def test_integers_are_refused_where_a_layer_is_not_one_for_them(dtype):
    x = keras.Input((4,), name="x", dtype=dtype)
    y = keras.layers.Reshape((2, 2), name="r")(x)
    refused(
        keras.Model(x, y), rf"'r' \(keras.layers.Reshape\): it is given {dtype}, .*; make the input float32, or cast it"
    )


@pytest.mark.parametrize("dtype", ["float16", "float64", "bool"])
def test_samples_of_another_precision_are_refused(dtype):
    x = keras.Input((4,), name="x", dtype=dtype)
    y = keras.layers.Reshape((2, 2))(x)
    refused(
        keras.Model(x, y),
        rf"'x' \(keras.layers.InputLayer\): its samples are {dtype}; make it keras.Input\(shape\), whose samples are dense"
        " float32",
    )


def test_calls_with_masks_are_refused():
    x, mask = inputs("x", "mask")
    y = keras.layers.Softmax(name="s")(quantizer()(x), mask=mask)
    refused(
        keras.Model([x, mask], y),
        r"'s' .*: it is called with a mask, which no reader takes account of; call it without one$",
    )


def test_training_false_is_what_inference_is():
    (x,) = inputs("x")
    y = keras.layers.Dropout(0.5)(dense(3)(x, training=False), training=False)
    assert_equal(keras.Model(x, y))


def test_a_model_class_that_trains_in_its_own_way_is_fine():
    class Trainer(keras.Model):
        def train_step(self, data):
            return super().train_step(data)

    (x,) = inputs("x")
    assert_equal(Trainer(x, dense(2)(x)))


@pytest.mark.parametrize("make", [lambda: keras.Sequential([dense(3)]), keras.Sequential, keras.Model])
def test_unbuilt_models_are_refused(make):
    what = "Call it once" if make is keras.Model else r"Give it an Input layer, call model.build\(shape\)"
    refused(make(), f"^Model '.*' isn't built: its shapes are unknown. {what}, or fit it$", InvalidModel)


@pytest.mark.parametrize("shape", [(None, 4), (None,), (3, None), (0, 4)])
def test_dimensions_that_are_no_numbers_are_refused(shape):
    x = keras.Input(shape, name="x")
    refused(
        keras.Model(x, quantizer()(x), name="net"),
        rf"^Input 'x' of model 'net' has shape {re.escape(str((None, *shape)))}: every dimension but the first \(the batch\)"
        " must be a positive number, as hardware can't grow$",
        InvalidModel,
    )


@pytest.mark.parametrize("thing", [None, 3, "", keras.Model, [1, 2]], ids=str)
def test_what_is_no_model_is_refused(thing):
    with pytest.raises(
        InvalidModel,
        match=r"^Model must be a keras.Model of Keras 3|^Model file must be a |^'\.' is a folder; save the model",
    ):
        keras_hls.snapshot(thing)


def test_a_layer_is_no_model():
    refused(dense(2), r"^Model must be a keras.Model of Keras 3\.\S+, not hgq.layers.core.dense.QDense$", InvalidModel)


def test_keras_2_objects_are_refused():
    old = type("Functional", (), {"__module__": "tf_keras.src.engine.functional", "built": True})()
    refused(
        old,
        r"^Model must be a keras.Model of Keras 3\.\S+, not tf_keras.src.engine.functional.Functional \(a Keras 2 model; load"
        r" it in an environment with Keras 3\)$",
        InvalidModel,
    )


def test_shapes_that_do_not_suit_are_refused(monkeypatch):
    # As a layer that says another shape than it has.
    monkeypatch.setattr(keras.layers.Reshape, "compute_output_spec", lambda self, x: keras.KerasTensor((None, 3)))
    (x,) = inputs("x")
    model = keras.Model(x, keras.layers.Reshape((2, 3), name="fold")(quantizer()(x)))
    refused(model, r"^Layer 'fold' \(Reshape\): an input of shape \(4,\) can't be reshaped to \(2, 3\)$", InvalidModel)
