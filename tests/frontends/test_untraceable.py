"""Call methods that can't be traced, and layers that needn't be: refused in one sentence, or read by a user's own reader."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

keras = pytest.importorskip("keras")
pytest.importorskip("hgq")


import keras_hls
from keras_hls.errors import InvalidModel, UnsupportedModel
from keras_hls.frontends.keras3 import live_model
from keras_hls.layers_ext import READERS, Ref, reads
from keras_hls.layers_ext.activation import ReLU
from keras_hls.project import reference

sys.path.insert(0, str(Path(__file__).parent))
from small_models import dense, inputs, quantizer, refused, values
from traced_classes import Block, state

pytestmark = pytest.mark.keras3


def layer_of(call, **attributes):
    layer = type("Own", (keras.layers.Layer,), {"call": call, "compute_output_shape": lambda self, shape: shape})(
        name="own"
    )
    for name, value in attributes.items():
        setattr(layer, name, value)
    return layer


HELP = r"\. Write it with layers and keras\.ops on its input tensors, or register a reader of its class$"


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (
            lambda self, x: x if x[0, 0] > 0 else -x,
            r"its call can't be traced: TypeError: .*KerasTensor.* boolean" + HELP,
        ),
        (
            lambda self, x: (self.count.assign(self.count + 1), x * 2)[1],
            r"its call assigns to its variable 'count', so that it answers otherwise the next time; leave variables .*$",
        ),
        (
            lambda self, x: x + keras.random.normal((4,)),
            r"its call draws random numbers, so that it answers otherwise each time; leave them out at inference$",
        ),
        (lambda self, x: np.tanh(x), r"its call can't be traced: \w+: .*" + HELP),
        (lambda self, x: {}["key"], r"its call can't be traced: KeyError: 'key'" + HELP),
        (lambda self, x: keras.ops.ones((2, 4)), r"Own.call returns .*, which isn't computed from its input tensors$"),
        (lambda self, x: None, r"Own.call returns None, which isn't computed from its input tensors$"),
        (
            lambda self, x: keras.layers.Dense(4, name="new")(x),
            r"Own.call calls layer 'new', which has weights and isn't kept in an attribute of 'own', so Keras neither trains nor"
            " saves it; make it one$",
        ),
        (
            lambda self, x: self.later(x),
            r"its layer 'later' isn't built, so it has no weights yet; call the model once on data$",
        ),
    ],
)
def test_what_can_not_be_traced_is_refused(call, reason):
    (x,) = inputs("x")
    count = keras.Variable(1.0, name="count", trainable=False)
    layer = layer_of(call, later=keras.layers.Dense(4, name="later"), count=count)
    layer.built = True
    model = keras.Model(x, keras.layers.ReLU()(layer(quantizer()(x))))
    before = state(model)[1:]
    error = refused(model, rf"^1 layer can't be exported: 'own' \(.*Own\): {reason}")
    assert "\n" not in str(error)
    assert state(model)[1:] == before


def test_random_numbers_in_a_lambda_are_refused():
    (x,) = inputs("x")
    noise = keras.layers.Lambda(lambda v: v + keras.random.uniform((4,)), output_shape=(4,), name="noise")
    refused(keras.Model(x, noise(quantizer()(x))), r"'noise' .*: its call draws random numbers")
    # Those of a given seed are the same each time.
    fixed = keras.layers.Lambda(lambda v: v + keras.random.uniform((4,), seed=3), output_shape=(4,), name="fixed")
    keras_hls.snapshot(keras.Model(x, quantizer()(fixed(quantizer()(x)))), calibration=values(10))


def test_a_tensor_from_outside_is_refused():
    (x,) = inputs("x")
    cut = quantizer()(x)
    layer = layer_of(lambda self, v: v + cut)
    refused(keras.Model(x, layer(cut)), r"'own' .*: it takes tensor '.*', which isn't computed from its inputs$")


def test_untraceable_models_are_refused():
    class Own(keras.Model):
        def call(self, x):
            return x if x.shape[0] == 20 else keras.ops.sort(x)[0 / 0]

    model = Own(name="net")
    refused(model, "^Model 'net' isn't built: its shapes are unknown. Call it once, or fit it$", InvalidModel)
    model(values())
    refused(
        model,
        r"^Model 'net' \(.*Own\) can't be read: its call can't be traced: ZeroDivisionError: division by zero\. Write it",
        InvalidModel,
    )
    assert not keras_hls.check(model).ok


def test_a_model_whose_layers_have_no_weights_yet_is_refused():
    class Own(keras.Model):
        def __init__(self):
            super().__init__(name="net")
            self.d = dense(3, "d")

        def call(self, x):
            return self.d(x)

    model = Own()
    with pytest.warns(UserWarning, match="does not have a `build"):
        model.build((None, 4))
    refused(
        model,
        "^Model 'net' .* can't be read: its layer 'd' isn't built, so it has no weights yet; call the",
        InvalidModel,
    )
    assert not model.d.built
    model(values())
    assert np.array_equal(keras_hls.snapshot(model).predict(values()), model(values()))


def test_dimensions_of_subclassed_models_must_be_known():
    class Own(keras.Model):
        def call(self, x):
            return keras.ops.relu(x)

    model = Own(name="net")
    model.build((None, None, 4))
    refused(
        model, r"^Input 'x' of model 'net' has shape \(None, None, 4\): every dimension but the first", InvalidModel
    )


def test_layers_of_another_precision_are_not_traced():
    (x,) = inputs("x")
    layer = Block(3, name="block", dtype="mixed_bfloat16")
    refused(
        keras.Model(x, layer(quantizer()(x))), r"'block' .*: it computes in bfloat16, and only float32 can be exported"
    )


def test_a_model_that_does_something_else_each_time_is_found_out():
    class Own(keras.Model):
        def __init__(self):
            super().__init__(name="net")
            self.cut, self.calls = quantizer(), 0

        def call(self, x):
            self.calls += 1
            return keras.ops.softmax(self.cut(x) * self.calls)

    model = Own()
    model(values())
    snapshot = keras_hls.snapshot(model)
    with pytest.raises(
        InvalidModel, match=r"^Model 'net' doesn't answer as its traced call method does; its call must do the"
    ):
        reference(model, snapshot.graph)(values())


# -- readers of users' own


class Doubled(keras.layers.Layer):
    """With a call that nobody could trace."""

    def call(self, x):
        return keras.ops.convert_to_tensor(keras.ops.convert_to_numpy(x)) * 2

    def compute_output_spec(self, x):
        return keras.KerasTensor(x.shape)


def test_a_layer_with_a_reader_is_not_traced():
    path = f"{Doubled.__module__}.Doubled"

    @reads(path)
    def read(layer, build, x: Ref) -> Ref:
        return build.add(ReLU(), x, name=layer.name, layer=layer.name)

    try:
        (x,) = inputs("x")
        model = keras.Model(x, keras.layers.Softmax(name="s")(Doubled(name="own")(quantizer()(x))))
        snapshot = keras_hls.snapshot(model)
        assert "own" in [node.layer for node in live_model.read(model, READERS)]
        # What Keras answers comes from the layer itself.
        wanted = 2 * np.asarray(keras.Model(x, model.layers[1].output)(values()))
        assert np.array_equal(reference(model, snapshot.graph)(values())[0], wanted)
    finally:
        del READERS[path]


def test_a_choice_by_values_is_refused():
    """Keras takes it for the maker of what it chooses from: it was read as the first of the two."""

    def choose(x):
        return keras.ops.cond(keras.ops.sum(x) > 0, lambda: x, lambda: -x)

    x = keras.Input((4,))
    model = keras.Model(x, keras.layers.Lambda(choose)(quantizer()(x)))
    with pytest.raises(UnsupportedModel, match="which chooses by values"):
        keras_hls.snapshot(model)
