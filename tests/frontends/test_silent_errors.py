"""What converters of Keras models were seen to get wrong without a word: each by its name, computed right or refused.

The cases are those that users of hls4ml 1.3 reported, or that were reproduced with it (issue numbers are its tracker's), as
far as they concern Keras 3 and HGQ2. Wide types make differences of meaning show, not of rounding.
"""

import numpy as np
import pytest

keras = pytest.importorskip("keras")
pytest.importorskip("hgq")

from hgq.layers import QConv2D, QDense, QEinsumDense, QGlobalAveragePooling2D, QMaxPooling2D, QSoftmax
from quantized_models import assert_equal, cast, config, randomize, samples

import keras_hls
from keras_hls.errors import UnsupportedModel
from keras_hls.frontends.asking import called

L = keras.layers
RNG = np.random.default_rng(0)


def assert_near(model, x, off=2e-3):
    """A float model's answers, with types chosen from the samples: as near as sixteen bits are."""
    answers = keras_hls.snapshot(model, calibration=x, bits=20).predict(x)
    wanted = keras.ops.convert_to_numpy(called("the model", model, x))
    assert answers.shape == wanted.shape
    assert np.abs(answers - wanted).max() <= off * max(np.abs(wanted).max(), 1)


def alone(layer, *shape):
    """A float model of one layer, with weights that all matter, and samples for it."""
    model = keras.Sequential([keras.Input(shape), layer])
    for variable in layer.weights:
        drawn = RNG.normal(size=variable.shape)
        variable.assign(np.abs(drawn) + 0.1 if "variance" in variable.path else drawn)
    return model, RNG.normal(0, 2, (100, *shape)).astype("float32")


LAYERS = {
    "ReLU(max_value=)": (lambda: L.ReLU(max_value=1.0), (6,)),
    "ReLU(negative_slope=)": (lambda: L.ReLU(negative_slope=0.3), (6,)),
    "ReLU(threshold=)": (lambda: L.ReLU(threshold=0.5), (6,)),
    "Conv1D(dilation_rate=2), valid": (lambda: L.Conv1D(3, 3, dilation_rate=2), (10, 2)),
    "Conv2D(dilation_rate=2), same (h#1508)": (lambda: L.Conv2D(3, 3, dilation_rate=2, padding="same"), (6, 6, 2)),
    "Conv2D(groups=2)": (lambda: L.Conv2D(4, 3, groups=2), (5, 5, 4)),
    "BatchNormalization(axis=1)": (lambda: L.BatchNormalization(axis=1), (4, 3)),
    "Activation('hard_sigmoid'), slope 1/6": (lambda: L.Activation("hard_sigmoid"), (6,)),
    "UpSampling2D(interpolation='bilinear') (h#517)": (lambda: L.UpSampling2D(interpolation="bilinear"), (3, 4, 2)),
    "PReLU(shared_axes=) (h#1328)": (lambda: L.PReLU(shared_axes=[1]), (3, 4)),
    "LayerNormalization, default axis": (lambda: L.LayerNormalization(), (3, 8)),
    "SeparableConv2D, no attribute kernel": (lambda: L.SeparableConv2D(3, 3), (6, 6, 2)),
    "DepthwiseConv2D(depth_multiplier=2) (h#1008)": (lambda: L.DepthwiseConv2D(3, depth_multiplier=2), (6, 6, 2)),
    "Conv1D(padding='causal', strides=2)": (lambda: L.Conv1D(3, 3, padding="causal", strides=2), (9, 2)),
    "Conv2DTranspose (h#896)": (lambda: L.Conv2DTranspose(3, 3, strides=2, padding="same"), (4, 4, 2)),
    "AveragePooling2D(same), left and top padding (h#757)": (lambda: L.AveragePooling2D(3, 2, "same"), (6, 5, 2)),
    "MaxPooling2D(same) (h#530)": (lambda: L.MaxPooling2D(3, 2, "same"), (6, 5, 2)),
    "AveragePooling2D(pool_size=1, strides=2) (h#995)": (lambda: L.AveragePooling2D(1, 2), (6, 5, 2)),
    "GlobalAveragePooling2D, its accumulator (h#917)": (lambda: L.GlobalAveragePooling2D(), (7, 6, 3)),
    "ZeroPadding2D, unequal pairs (h#1534)": (lambda: L.ZeroPadding2D(((0, 1), (2, 0))), (3, 3, 2)),
    "Permute of three axes (h#712)": (lambda: L.Permute((3, 1, 2)), (2, 3, 4)),
    "RepeatVector, through a fallback": (lambda: L.RepeatVector(3), (4,)),
    "Conv2D(data_format='channels_first')": (lambda: L.Conv2D(3, 3, data_format="channels_first"), (2, 6, 7)),
    "Activation('gelu')": (lambda: L.Activation("gelu"), (6,)),
    "Activation('silu')": (lambda: L.Activation("silu"), (6,)),
    "Activation('hard_tanh')": (lambda: L.Activation("hard_tanh"), (6,)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layer_options(name):
    make, shape = LAYERS[name]
    model, x = alone(make(), *shape)
    # Functions by table are looked up with twelve bits.
    assert_near(model, x, off=5e-3 if "Activation" in name else 2e-3)


@pytest.mark.parametrize("variance", [1e-4, 0.17, 1.0, 2.5, 400.0])
def test_layer_normalization_of_any_variance(variance):
    """A table of reciprocal roots up to a variance of 1 was off by 1.43 at 2.5."""
    model, x = alone(L.LayerNormalization(epsilon=1e-5), 4, 16)
    x = (x / x.std() * np.sqrt(variance)).astype("float32")
    assert_near(model, x, off=1e-2)


@pytest.mark.parametrize("axis", [-1, 1, (1, 2)], ids=str)
@pytest.mark.parametrize("bits", [8, 12, 16, 20])
def test_softmax_is_never_worse_with_more_bits(axis, bits):
    """Row 3 of what users ask for (h#1512, h#885, h#384): outputs off by half, more with wider types."""
    model, x = alone(L.Softmax(axis=axis), 3, 5)
    answers = keras_hls.snapshot(model, calibration=x, bits=bits, softmax="hardware").predict(x)
    assert np.abs(answers - keras.ops.convert_to_numpy(model(x))).max() <= 2.0 ** (4 - bits) + 1e-4


@pytest.mark.parametrize("merge", [L.Multiply, L.Add, L.Subtract, L.Maximum], ids=lambda m: m.__name__)
def test_broadcasting_merges(merge):
    a, b = keras.Input((4, 5)), keras.Input((4, 1))
    assert_equal(randomize(keras.Model([a, b], merge()([cast(a), cast(b)]))))


def test_merges_of_more_than_two():
    inputs = [keras.Input((4,)) for _ in range(3)]
    casts = [cast(x) for x in inputs]
    assert_equal(randomize(keras.Model(inputs, [L.Add()(casts), L.Concatenate()(casts), L.Maximum()(casts)])))


def test_dot_with_normalization_is_right_or_refused():
    inputs = [keras.Input((3, 4)), keras.Input((3, 4))]
    model = randomize(keras.Model(inputs, L.Dot(axes=2, normalize=True)([cast(x) for x in inputs])))
    with pytest.raises(UnsupportedModel, match="normalize"):
        keras_hls.snapshot(model)


RECURRENT = {
    "SimpleRNN (h#1464)": lambda: L.SimpleRNN(3),
    "LSTM(go_backwards=True)": lambda: L.LSTM(3, go_backwards=True),
    "GRU(reset_after=False)": lambda: L.GRU(3, reset_after=False),
    "Bidirectional(merge_mode='sum')": lambda: L.Bidirectional(L.LSTM(3), merge_mode="sum"),
    "Bidirectional(GRU)": lambda: L.Bidirectional(L.GRU(3)),
}


@pytest.mark.parametrize("name", RECURRENT)
def test_recurrent_layers_are_refused_by_name(name):
    model, x = alone(RECURRENT[name](), 4, 2)
    with pytest.raises(UnsupportedModel, match=repr(model.layers[-1].name)):
        keras_hls.snapshot(model, calibration=x)


def dense(units, **options):
    return QDense(units, kq_conf=config("weight"), bq_conf=config("bias"), iq_conf=config(), **options)


def test_a_layer_that_is_called_twice():
    shared, x = dense(4), keras.Input((4,))
    assert_equal(randomize(keras.Model(x, shared(shared(x)))))


@pytest.mark.parametrize("kind", [keras.Sequential, keras.Model])
def test_nested_models(kind):
    y = keras.Input((4,))
    inner = keras.Sequential([y, dense(3)]) if kind is keras.Sequential else keras.Model(y, dense(3)(y))
    x = keras.Input((4,))
    assert_equal(randomize(keras.Model(x, dense(2)(inner(x)))))


def test_names_that_mean_something_elsewhere():
    """A layer called "bias_net" had its kernel loaded as its bias."""
    x = keras.Input((4,), name="kernel")
    y = dense(3, name="bias_net")(x)
    assert_equal(randomize(keras.Model(x, dense(2, name="gamma_bias")(y))))


def test_operators_and_slices():
    """ "Circular dependency detected"."""
    x = keras.Input((4,))
    y = cast(x)
    assert_equal(randomize(keras.Model(x, [y * 2 + y, y[:, :3]])))


def test_two_inputs_in_an_order_of_their_own():
    """h#937: samples went to the wrong input."""
    a, b = keras.Input((3,), name="z"), keras.Input((3,), name="a")
    model = randomize(keras.Model([a, b], L.Subtract()([cast(b), cast(a)])))
    assert_equal(model)


def test_a_tensor_that_is_padded_and_read_elsewhere():
    """h#309: padding went into the wrong branch; h#707: a stream was read twice."""
    x = keras.Input((4, 4, 2))
    y = cast(x)
    padded = L.ZeroPadding2D(1)(y)
    conv = QConv2D(2, 3, kq_conf=config("weight"), bq_conf=config("bias"), enable_iq=False)(padded)
    assert_equal(randomize(keras.Model(x, [L.Add()([conv, y]), y])))


def test_concatenation_keeps_its_other_axes():
    """h#202: the shape was the sum of all."""
    a, b = keras.Input((3, 2)), keras.Input((3, 4))
    graph = assert_equal(randomize(keras.Model([a, b], L.Concatenate()([cast(a), cast(b)]))))
    assert graph.types[graph.outputs[0]].shape == (3, 6)


def test_einsum_pooling_and_softmax_of_hgq2_between_layers():
    x = keras.Input((4, 4, 2))
    y = QConv2D(3, 3, padding="same", kq_conf=config("weight"), bq_conf=config("bias"), iq_conf=config())(x)
    y = QMaxPooling2D(2, iq_conf=config())(y)
    y = QEinsumDense(
        "abcd,de->abce", (2, 2, 3), bias_axes="e", kq_conf=config("weight"), bq_conf=config("bias"), iq_conf=config()
    )(y)
    y = QGlobalAveragePooling2D(iq_conf=config())(y)
    assert_equal(randomize(keras.Model(x, cast(y)), widest=3))


def test_quantized_softmax():
    """h#1523: its tables were replaced by the exponential function itself."""
    x = keras.Input((5,))
    model = keras.Model(x, QSoftmax()(cast(x)))
    data = samples(model)[0]
    from hgq.utils import trace_minmax

    trace_minmax(model, data, verbose=0)
    assert np.array_equal(keras_hls.snapshot(model).predict(data), keras.ops.convert_to_numpy(model(data)))


def test_float_defaults_never_overflow_quietly():
    """h#68, h#1375: 8.99 became -7 by default, and what had no quantizer got 126 bits."""
    model, x = alone(L.Dense(3), 4)
    with pytest.raises(UnsupportedModel, match="calibration=samples"):
        keras_hls.snapshot(model)
    assert_near(model, (x * 1000).astype("float32"))


def test_running_twice_gives_the_same():
    """h#228, h#1048: other answers at each call."""
    x = keras.Input((4, 4, 2))
    y = QConv2D(3, 3, kq_conf=config("weight"), bq_conf=config("bias"), iq_conf=config())(x)
    snapshot = keras_hls.snapshot(randomize(keras.Model(x, y)))
    data = RNG.normal(size=(50, 4, 4, 2))
    assert np.array_equal(snapshot.predict(data), snapshot.predict(data))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int8", "int64", "uint8", "bool"])
def test_samples_of_any_type(dtype):
    """h#1376, h#1530: zeros for a numpy type that wasn't expected."""
    x = keras.Input((4,))
    snapshot = keras_hls.snapshot(randomize(keras.Model(x, dense(3)(x))))
    data = RNG.integers(0, 2, (20, 4)).astype(dtype)
    assert np.array_equal(snapshot.predict(data), snapshot.predict(data.astype("float64")))
    assert snapshot.predict(data).any()
