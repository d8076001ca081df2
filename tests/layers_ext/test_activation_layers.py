"""Activations of Keras and HGQ2, by name, as layers and as functions of one's own, held against Keras bit for bit."""

import numpy as np
import pytest

keras = pytest.importorskip("keras")
pytest.importorskip("hgq")

from hgq.config import QuantizerConfig
from hgq.layers import QDense, Quantizer, QUnaryFunctionLUT
from quantized_models import assert_equal, cast, config, randomize, samples

import keras_hls
from keras_hls.errors import InvalidModel, UnsupportedModel

SEVERAL = {"softmax", "log_softmax", "sparsemax", "glu"}
NAMES = sorted(
    {f.__name__ for f in vars(keras.activations).values() if callable(f) and hasattr(keras.activations, f.__name__)}
    - {"get", "serialize", "deserialize", "threshold", *SEVERAL}
)


def uniform(x, i=3, f=4, rounding="RND_CONV"):
    """A tensor behind one type for all elements."""
    return Quantizer(QuantizerConfig("kif", "datalane", k0=1, i0=i, f0=f, round_mode=rounding, overflow_mode="SAT"))(x)


def test_every_function_of_one_element_is_here():
    assert {"relu", "relu6", "elu", "gelu", "hard_sigmoid", "hard_tanh", "tanh_shrink", "sparse_plus", "silu"} <= set(
        NAMES
    )
    assert len(NAMES) >= 25


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["one type", "a type an element"])
def test_by_name(name, kind):
    x = keras.Input((6,))
    model = keras.Model(
        x,
        uniform(keras.layers.Activation(name)(uniform(x)))
        if kind == "one type"
        else cast(keras.layers.Activation(name)(cast(x))),
    )
    assert_equal(randomize(model) if kind != "one type" else model)


@pytest.mark.parametrize("name", ["tanh", "leaky_relu", "hard_silu"])
def test_as_an_argument_of_a_layer(name):
    x = keras.Input((6,))
    y = QDense(5, kq_conf=config("weight"), bq_conf=config("bias"), iq_conf=config(), activation=name)(x)
    assert_equal(randomize(keras.Model(x, cast(y)), widest=3))


def swish_of_my_own(x):
    return x * keras.ops.sigmoid(1.702 * x)


@pytest.mark.parametrize(
    "function", [swish_of_my_own, keras.layers.LeakyReLU(0.1), keras.ops.square], ids=["own", "layer", "ops"]
)
def test_functions_that_are_no_names(function):
    x = keras.Input((4,))
    assert_equal(keras.Model(x, uniform(keras.layers.Activation(function)(uniform(x)))))


@pytest.mark.parametrize(
    "layer",
    [
        keras.layers.ReLU(max_value=2.5),
        keras.layers.ReLU(negative_slope=0.25),
        keras.layers.ReLU(threshold=1.0),
        keras.layers.ReLU(max_value=6.0, negative_slope=0.5, threshold=0.25),
        keras.layers.LeakyReLU(),
        keras.layers.LeakyReLU(negative_slope=0.0),
        keras.layers.ELU(alpha=0.7),
    ],
)
@pytest.mark.parametrize("kind", ["one type", "a type an element"])
def test_layers(layer, kind):
    layer = type(layer).from_config(layer.get_config())
    x = keras.Input((3, 4))
    if kind == "one type":
        return assert_equal(keras.Model(x, uniform(layer(uniform(x)))))
    return assert_equal(randomize(keras.Model(x, cast(layer(cast(x))))))


@pytest.mark.parametrize("shared", [None, [1], [2], [1, 2]])
def test_prelu(shared):
    x = keras.Input((3, 4))
    layer = keras.layers.PReLU(shared_axes=shared)
    model = keras.Model(x, uniform(layer(uniform(x))))
    rng = np.random.default_rng(0)
    layer.alpha.assign((rng.integers(-8, 9, layer.alpha.shape) / 16).astype("float32"))
    # Slopes have no quantizer, and these need few bits: nothing is lost.
    data = samples(model)[0]
    snapshot = keras_hls.snapshot(model, calibration=data)
    assert np.array_equal(snapshot.predict(data), keras.ops.convert_to_numpy(model(data)))


@pytest.mark.parametrize("name", ["tanh", "sigmoid", "exponential", "gelu"])
@pytest.mark.parametrize("hetero", [(False, False), (True, False), (False, True), (True, True)])
def test_hgq_tables(name, hetero):
    x = keras.Input((5,))
    table = QuantizerConfig("kif", "table", k0=1, i0=3, f0=2, homogeneous_axis=(0,), heterogeneous_axis=None)
    layer = QUnaryFunctionLUT(
        name,
        iq_conf=config(),
        oq_conf=table,
        allow_heterogeneous_input=hetero[0],
        allow_heterogeneous_table=hetero[1],
    )
    graph = assert_equal(randomize(keras.Model(x, layer(x))))
    if not hetero[1]:
        assert [type(node.op).__name__ for node in graph] in (["Input", "Table"], ["Input", "Quantize", "Table"])


def test_a_table_of_too_many_bits_is_refused():
    x = keras.Input((4,))
    model = keras.Model(x, uniform(keras.layers.Activation("tanh")(uniform(x, i=12, f=12))))
    with pytest.raises(
        InvalidModel, match=r"Layer '\w+' computes tanh of a value of 25 bits .* quantize its input to 20 bits"
    ):
        keras_hls.snapshot(model)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x - keras.ops.mean(x, axis=-1, keepdims=True),
        lambda x: keras.ops.sort(x, axis=-1),
        lambda x: keras.ops.flip(x, axis=-1),
        lambda x: keras.ops.cumsum(x, axis=-1),
    ],
)
def test_a_function_of_several_elements_is_refused(function):
    x = keras.Input((4,))
    model = keras.Model(x, uniform(keras.layers.Activation(function)(uniform(x))))
    with pytest.raises((InvalidModel, UnsupportedModel), match="isn't a function of each element alone"):
        keras_hls.snapshot(model)


def test_wider_types_are_never_further_off():
    """Invariant (d) of the silent errors: widening any type never increases the error."""
    x = keras.Input((4,))
    data = np.random.default_rng(0).normal(0, 2, (400, 4)).astype("float32")
    errors = []
    for bits in range(2, 12):
        model = keras.Model(x, uniform(keras.layers.Activation("sigmoid")(uniform(x, i=4, f=bits)), i=1, f=bits))
        got = keras_hls.snapshot(model).predict(data)
        errors.append(np.abs(got - 1 / (1 + np.exp(-data.astype(float)))).max())
    assert all(later <= earlier for earlier, later in zip(errors, errors[1:]))
