"""What converters of Keras 2 models were seen to get wrong without a word: each by its name, computed right or refused.

As test_silent_errors.py, which has those of Keras 3 and HGQ2; wide types make differences of meaning show, not of rounding.
"""

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from legacy_keras import keras2

keras = keras2()

import keras_hls
from keras_hls.errors import UnsupportedModel

L = keras.layers
RNG = np.random.default_rng(0)


def alone(layer, *shape):
    """A float model of one layer, with weights that all matter, and samples for it."""
    model = keras.Sequential([L.Input(shape), layer])
    for variable in layer.weights:
        values = RNG.normal(size=variable.shape)
        variable.assign(np.abs(values) + 0.1 if "variance" in variable.name else values)
    return model, RNG.normal(0, 2, (100, *shape)).astype("float32")


def assert_near(model, x, off=2e-3):
    """A float model's answers, with types chosen from the samples: as near as sixteen bits are."""
    answers, wanted = keras_hls.snapshot(model, calibration=x, bits=20).predict(x), np.asarray(model(x))
    assert answers.shape == wanted.shape
    assert np.abs(answers - wanted).max() <= off * max(np.abs(wanted).max(), 1)


LAYERS = {
    "row 1: ReLU(max_value=) (h#1534)": (lambda: L.ReLU(max_value=1.0), (6,)),
    "row 2: ReLU(negative_slope=)": (lambda: L.ReLU(negative_slope=0.3), (6,)),
    "row 3: ReLU(threshold=)": (lambda: L.ReLU(threshold=0.5), (6,)),
    "row 4: Conv1D(dilation_rate=2), valid (h#1508)": (lambda: L.Conv1D(3, 3, dilation_rate=2), (10, 2)),
    "row 4: Conv2D(dilation_rate=2), valid (h#1521)": (lambda: L.Conv2D(3, 3, dilation_rate=2), (8, 8, 2)),
    "row 6: Conv2D(groups=2)": (lambda: L.Conv2D(4, 3, groups=2), (5, 5, 4)),
    "row 7: BatchNormalization(axis=1)": (lambda: L.BatchNormalization(axis=1), (4, 3)),
    "row 9: Activation('hard_sigmoid'), slope 0.2": (lambda: L.Activation("hard_sigmoid"), (6,)),
    "row 10: UpSampling2D(interpolation='bilinear')": (lambda: L.UpSampling2D(interpolation="bilinear"), (3, 4, 2)),
    "row 15: PReLU(shared_axes=) (h#1328)": (lambda: L.PReLU("normal", shared_axes=[1]), (3, 4)),
    "row 18: LayerNormalization": (lambda: L.LayerNormalization(), (3, 8)),
    "AveragePooling2D(pool_size=1, strides=2) (h#995)": (lambda: L.AveragePooling2D(1, 2), (6, 5, 2)),
    "AveragePooling2D(same), left and top padding (h#757)": (lambda: L.AveragePooling2D(3, 2, "same"), (6, 5, 2)),
    "MaxPooling2D(same) (h#530)": (lambda: L.MaxPooling2D(3, 2, "same"), (6, 5, 2)),
    "GlobalAveragePooling2D, its accumulator (h#917)": (lambda: L.GlobalAveragePooling2D(), (7, 6, 3)),
    "DepthwiseConv2D(depth_multiplier=2) (h#1008)": (lambda: L.DepthwiseConv2D(3, depth_multiplier=2), (6, 6, 2)),
    "SeparableConv2D(depth_multiplier=2) (h#1008)": (lambda: L.SeparableConv2D(3, 3, depth_multiplier=2), (6, 6, 2)),
    "ZeroPadding2D, unequal pairs (h#1534)": (lambda: L.ZeroPadding2D(((0, 1), (2, 0))), (3, 3, 2)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layer_options(name):
    make, shape = LAYERS[name]
    assert_near(*alone(make(), *shape))


@pytest.mark.parametrize("variance", [1e-4, 0.17, 2.5, 400.0])
def test_row_18_layer_normalization_of_any_variance(variance):
    model, x = alone(L.LayerNormalization(epsilon=1e-5), 4, 16)
    assert_near(model, (x / x.std() * np.sqrt(variance)).astype("float32"), off=1e-2)


RECURRENT = {
    "row 11: LSTM(go_backwards=True)": lambda: L.LSTM(3, go_backwards=True),
    "row 12: GRU(reset_after=False)": lambda: L.GRU(3, reset_after=False),
    "row 13: Bidirectional(merge_mode='sum')": lambda: L.Bidirectional(L.LSTM(3), merge_mode="sum"),
    "row 14: SimpleRNN": lambda: L.SimpleRNN(3),
}


@pytest.mark.parametrize("name", RECURRENT)
def test_recurrent_layers_are_refused_by_name(name):
    model, x = alone(RECURRENT[name](), 4, 2)
    with pytest.raises(UnsupportedModel, match=repr(model.layers[-1].name)):
        keras_hls.snapshot(model, calibration=x)


def test_row_16_dot_with_normalization_is_refused():
    inputs = [L.Input((3, 4)), L.Input((3, 4))]
    model = keras.Model(inputs, L.Dot(axes=2, normalize=True)(inputs))
    x = [RNG.normal(size=(20, 3, 4)).astype("float32") for _ in inputs]
    with pytest.raises(UnsupportedModel, match="normalize"):
        keras_hls.snapshot(model, calibration=x)


@pytest.mark.parametrize("merge", [L.Multiply, L.Add, L.Subtract, L.Maximum], ids=lambda m: m.__name__)
def test_row_17_broadcasting(merge):
    inputs = [L.Input((4, 5)), L.Input((4, 1))]
    model = keras.Model(inputs, merge()(inputs))
    x = [RNG.normal(size=(50, *i.shape[1:])).astype("float32") for i in inputs]
    wanted = np.asarray(model(x))
    assert np.abs(keras_hls.snapshot(model, calibration=x, bits=20).predict(x) - wanted).max() <= 2e-3


def test_row_19_a_layer_that_is_called_twice():
    shared, x = L.Dense(4), L.Input((4,))
    assert_near(keras.Model(x, shared(shared(x))), RNG.normal(size=(50, 4)).astype("float32"))


def test_row_20_names_that_mean_something_elsewhere():
    """A layer called "bias_net" had its kernel loaded as its bias."""
    x = L.Input((4,), name="kernel")
    inner = L.Dense(3, name="bias_net")
    model = keras.Model(x, L.BatchNormalization(name="beta_moving_variance")(inner(x)))
    inner.bias.assign(RNG.normal(size=3))
    assert_near(model, RNG.normal(size=(50, 4)).astype("float32"))


def test_two_inputs_in_an_order_of_their_own():
    """h#937: samples went to the wrong input."""
    a, b = L.Input((3,), name="z"), L.Input((3,), name="a")
    model = keras.Model([a, b], L.Subtract()([b, a]))
    x = [RNG.normal(size=(50, 3)).astype("float32") for _ in range(2)]
    assert np.abs(keras_hls.snapshot(model, calibration=x, bits=20).predict(x) - (x[1] - x[0])).max() <= 2e-3


def test_concatenation_keeps_its_other_axes():
    """h#202: the shape was the sum of all."""
    inputs = [L.Input((3, 2)), L.Input((3, 4))]
    model = keras.Model(inputs, L.Concatenate()(inputs))
    x = [RNG.normal(size=(20, *i.shape[1:])).astype("float32") for i in inputs]
    assert keras_hls.snapshot(model, calibration=x).predict(x).shape == (20, 3, 6)


def test_a_tensor_that_is_padded_and_read_elsewhere():
    """h#309: padding went into the wrong branch; h#707: a stream was read twice."""
    x = L.Input((4, 4, 2))
    conv = L.Conv2D(2, 3)(L.ZeroPadding2D(1)(x))
    assert_near(keras.Model(x, L.Add()([conv, x])), RNG.normal(size=(50, 4, 4, 2)).astype("float32"))
