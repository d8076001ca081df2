"""Merge layers of Keras and HGQ2: what they answer, any number of inputs, any shapes that broadcast."""

import sys
from pathlib import Path

import numpy as np
import pytest

keras = pytest.importorskip("keras")
pytest.importorskip("hgq")

sys.path.insert(0, str(Path(__file__).parent))
from hgq import layers as hgq_layers
from quantized_models import assert_equal, cast, config, randomize, samples

import keras_hls

pytestmark = pytest.mark.keras3

PAIRS = [((3, 4), (3, 4)), ((3, 4), (4,)), ((4,), (3, 4)), ((3, 4), (3, 1)), ((2, 3, 4), (1, 1, 4)), ((3, 1), (1, 4))]


def merged(layer, shapes, after=lambda y: y, **options):
    inputs = [keras.Input(shape) for shape in shapes]
    return randomize(keras.Model(inputs, after(layer([cast(x) for x in inputs]))), len(shapes), **options)


@pytest.mark.parametrize("name", ["Add", "Subtract", "Multiply", "Maximum", "Minimum"])
@pytest.mark.parametrize("shapes", PAIRS, ids=str)
def test_keras_layers_broadcast(name, shapes):
    graph = assert_equal(merged(getattr(keras.layers, name)(name="y"), shapes))
    assert graph.outputs == ("y",)


@pytest.mark.parametrize("name", ["QAdd", "QSubtract", "QMultiply", "QMaximum", "QMinimum", "QAveragePow2"])
@pytest.mark.parametrize("shapes", PAIRS[:4], ids=str)
@pytest.mark.parametrize("out", [False, True])
def test_hgq2_layers_with_quantizers_of_their_own(name, shapes, out):
    inputs = [keras.Input(shape) for shape in shapes]
    options = {"enable_oq": True, "oq_conf": config(rounding="TRN")} if out else {}
    layer = getattr(hgq_layers, name)(iq_confs=[config(), config(rounding="S_RND")], **options)
    assert_equal(randomize(keras.Model(inputs, layer(inputs)), 5))


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("name", ["Add", "Multiply", "Maximum", "Minimum"])
def test_any_number_of_inputs(name, count):
    layers = getattr(keras.layers, name)(), getattr(hgq_layers, f"Q{name}")(enable_iq=False)
    shapes = [(2, 3), (3,), (2, 1), (2, 3), (1, 3)][:count]
    for layer in layers:
        # Five factors of few bits, as their product has to fit float32.
        assert_equal(merged(layer, shapes, widest=2))


@pytest.mark.parametrize("count", range(1, 8))
def test_averages(count):
    """By powers of two they are exact; others are as good as the real quotient for whatever cuts them."""
    shapes = [(2, 3)] * count
    graph = assert_equal(merged(keras.layers.Average(name="y"), shapes, cast))
    assert ("Quotient" in {type(node.op).__name__ for node in graph}) == (count not in (1, 2, 4))
    # Over the nearest powers of two: 1, 2, 4, 4, 4, 8, 8.
    assert_equal(merged(hgq_layers.QAveragePow2(enable_iq=False), shapes))


@pytest.mark.parametrize("rounding", ["TRN", "RND", "RND_CONV"])
@pytest.mark.parametrize("count", [3, 5, 6, 7])
def test_quotients_are_rounded_as_the_quantizer_behind_says(rounding, count):
    """Sums of few values, so that quotients on the quantizer's grid and half-way between its points occur."""
    shapes = [(4,)] * count
    model = merged(keras.layers.Average(), shapes, hgq_layers.Quantizer(config(rounding=rounding)))
    x = [np.rint(a * 2) / 2 for a in samples(model, 3, 400)]
    assert_equal(model, x)


def test_one_tensor_twice():
    x = keras.Input((4,))
    y = cast(x)
    model = keras.Model(x, [keras.layers.Multiply()([y, y]), keras.layers.Add()([y, y, y])])
    assert_equal(randomize(model))


def test_a_squeeze_and_excite_block():
    """A map of channels scaled by one number a channel: (height, width, channels) times (channels)."""
    x = keras.Input((4, 4, 3))
    image = cast(x)
    weights = hgq_layers.QDense(3, iq_conf=config(), kq_conf=config("weight"), bq_conf=config("bias"))(
        keras.layers.Flatten()(image)
    )
    gate = cast(keras.layers.Reshape((1, 1, 3))(keras.layers.ReLU()(weights)))
    assert_equal(randomize(keras.Model(x, keras.layers.Multiply()([image, gate])), 3))


def test_in_cpp(tmp_path):
    """One model with every merge layer, several inputs and several outputs."""
    inputs = [keras.Input(shape) for shape in ((3, 4), (4,), (3, 1))]
    tensors = [cast(x) for x in inputs]
    names = ["Add", "Multiply", "Average", "Maximum", "Minimum"]
    outputs = [cast(getattr(keras.layers, name)()(tensors)) for name in names]
    outputs.append(cast(keras.layers.Subtract()(tensors[:2])))
    model = randomize(keras.Model(inputs, outputs), 1, widest=3)
    x = samples(model, 1, 200)
    result = keras_hls.export_hls(model, tmp_path / "merged", verify=x).verify(x)
    assert (result.csim_different, result.keras_different) == (0, 0)


@pytest.mark.parametrize("name", ["Multiply", "Maximum", "Minimum"])
def test_masks_are_refused_where_keras_looks_at_them(name):
    inputs = [keras.Input((3, 4)) for _ in "ab"]
    y = getattr(keras.layers, name)(name="y")([keras.layers.Masking()(cast(inputs[0])), cast(inputs[1])])
    with pytest.raises(keras_hls.errors.UnsupportedModel, match=r"'y' .*mask"):
        keras_hls.snapshot(randomize(keras.Model(inputs, y)))
