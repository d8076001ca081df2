"""Pooling layers of Keras and HGQ2, with every argument varied: what they answer, averages at borders among it."""

import sys
from itertools import product
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

#: Samples by rank: small, as TensorFlow can't pool channels_first on every processor and is asked for each of them.
IMAGES = {1: (7, 3), 2: (5, 6, 2), 3: (3, 4, 5, 2)}
FORMATS = ("channels_last", "channels_first")


def image(rank, data_format="channels_last"):
    *sizes, channels = IMAGES[rank]
    return (*sizes, channels) if data_format == "channels_last" else (channels, *sizes)


def pooled(layer, shape, seed=0, rounding="RND"):
    """A model of one layer between two quantizers."""
    x = keras.Input(shape)
    behind = hgq_layers.Quantizer(config(rounding=rounding))
    return randomize(keras.Model(x, behind(layer(cast(x)))), seed)


def names(kind, rank):
    return [getattr(keras.layers, f"{kind}Pooling{rank}D"), getattr(hgq_layers, f"Q{kind}Pooling{rank}D")]


ARGUMENTS = [
    (1, {"pool_size": 2}),
    (1, {"pool_size": 3, "strides": 2, "padding": "same"}),
    (1, {"pool_size": 1, "strides": 2}),
    (1, {"pool_size": 4, "strides": 1, "padding": "same"}),
    (1, {"pool_size": 2, "strides": 3, "padding": "same"}),
    (2, {"pool_size": 2}),
    (2, {"pool_size": (3, 2), "strides": (1, 2), "padding": "same"}),
    (2, {"pool_size": 3, "strides": 2}),
    (2, {"pool_size": 3, "padding": "same"}),
    (2, {"pool_size": (1, 4), "strides": 1, "padding": "same"}),
    (2, {"pool_size": 1, "strides": 2, "padding": "same"}),
    (3, {"pool_size": 2}),
    (3, {"pool_size": (2, 3, 2), "strides": (1, 2, 2), "padding": "same"}),
]


@pytest.mark.parametrize("kind", ["Max", "Average"])
@pytest.mark.parametrize(("rank", "arguments"), ARGUMENTS)
def test_pooling(kind, rank, arguments):
    for cls, data_format in product(names(kind, rank), FORMATS):
        options = {"enable_iq": False} if cls.__name__.startswith("Q") else {}
        graph = assert_equal(pooled(cls(**arguments, data_format=data_format, **options), image(rank, data_format)))
        assert ("Quotient" in {type(n.op).__name__ for n in graph}) <= (kind == "Average")


@pytest.mark.parametrize("kind", ["Max", "Average"])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_hgq2_layers_with_quantizers_of_their_own(kind, rank):
    for out in (False, True):
        cls = names(kind, rank)[1]
        options = {"enable_oq": True, "oq_conf": config(rounding="TRN")} if out else {}
        layer = cls(2, padding="same", strides=2, iq_conf=config(rounding="S_RND"), **options)
        x = keras.Input(image(rank))
        assert_equal(randomize(keras.Model(x, layer(x)), 3))


@pytest.mark.parametrize("rounding", ["TRN", "RND", "RND_CONV"])
@pytest.mark.parametrize("size", [3, 5, 6, 7])
def test_averages_are_rounded_as_the_quantizer_behind_says(rounding, size):
    """Coarse samples, so that averages on the quantizer's grid and half-way between its points occur."""
    model = pooled(keras.layers.AveragePooling1D(size, strides=1, padding="same"), (9, 2), size, rounding)
    (x,) = samples(model, size, 300)
    assert_equal(model, [np.rint(x * 2) / 2])


@pytest.mark.parametrize("kind", ["Max", "Average"])
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_global_pooling(kind, rank):
    for cls, keepdims, data_format in product(names(f"Global{kind}", rank), (False, True), FORMATS):
        options = {"enable_iq": False} if cls.__name__.startswith("Q") else {}
        layer = cls(keepdims=keepdims, data_format=data_format, **options)
        assert_equal(pooled(layer, image(rank, data_format)))


# One output alone would make TensorFlow 2.21 end the process.
@pytest.mark.parametrize(("rank", "outputs"), [(1, 2), (1, 3), (1, 7), (1, 9), (2, (2, 3)), (2, 4), (3, (2, 3, 4))])
def test_adaptive_max_pooling(rank, outputs):
    for data_format in FORMATS:
        layer = getattr(keras.layers, f"AdaptiveMaxPooling{rank}D")(outputs, data_format=data_format)
        assert_equal(pooled(layer, image(rank, data_format)))


@pytest.mark.parametrize(
    ("shape", "outputs"),
    [((7, 3), 3), ((7, 3), 7), ((5, 3), 9), ((8, 5, 2), (4, 3)), ((4, 6, 2), (2, 6)), ((4, 2, 5, 2), (2, 2, 3))],
)
def test_adaptive_average_pooling(shape, outputs):
    """Along all axes but the last by powers of two, where Keras rounds only once."""
    rank = len(shape) - 1
    layer = getattr(keras.layers, f"AdaptiveAveragePooling{rank}D")
    assert not assert_equal(pooled(layer(outputs), shape)).notes
    first = (shape[-1], *shape[:-1])
    assert_equal(pooled(layer(outputs, data_format="channels_first"), first))


def test_adaptive_averages_that_keras_rounds_twice_are_exact():
    shape = (3, 3, 1)
    x = keras.Input(shape)
    model = randomize(
        keras.Model(x, hgq_layers.Quantizer(config())(keras.layers.AdaptiveAveragePooling2D(1, name="a")(cast(x))))
    )
    snapshot = keras_hls.snapshot(model)
    assert snapshot.notes == (
        "Layer 'a': Keras rounds its averages along one axis to float32 before it takes those along the next; the hardware's"
        " are exact, so a quantizer behind it can get another value",
    )
    (values,) = samples(model, 0, 500)
    raw = keras.Model(x, model.layers[1].output)(values, training=False)
    cast_to = next(node.op.cast for node in reversed(snapshot.graph.nodes) if node.op.cast is not None)
    low, high, _ = (int(bound.item()) for bound in cast_to.bounds(cast_to.frac))
    # Whole numbers of 1/64, of which a ninth is rounded half up.
    total = np.rint(np.asarray(raw, np.float64).sum((1, 2, 3)) * 64).astype(int)
    scale = 2**cast_to.frac
    wanted = np.clip((2 * total * scale + 9 * 64) // (2 * 9 * 64), low, high) / scale
    assert np.unique(wanted).size > 2
    assert np.array_equal(snapshot.predict(values).reshape(-1), wanted)


@pytest.mark.parametrize("axes", [1, -1, (1, 2), (1, 3), (2, -1), (1, 2, 3)])
@pytest.mark.parametrize("keepdims", [False, True])
def test_sums_over_axes(axes, keepdims):
    shape = (3, 4, 2)
    for scale in (1.0, 0.25, 8.0):
        layer = hgq_layers.QSum(axes=axes, scale=scale, keepdims=keepdims, iq_conf=config())
        x = keras.Input(shape)
        assert_equal(randomize(keras.Model(x, layer(x)), 2))
    layer = hgq_layers.QMeanPow2(axes=axes, keepdims=keepdims, iq_conf=config())
    x = keras.Input(shape)
    assert_equal(randomize(keras.Model(x, layer(x)), 2))


@pytest.mark.parametrize("axes", [0, (0, 1), (-3, 2)])
def test_sums_over_the_batch_are_refused(axes):
    x = keras.Input((3, 4), batch_size=4)
    model = keras.Model(x, hgq_layers.QSum(axes=axes, iq_conf=config(), name="s")(x))
    message = r"'s' \(hgq.layers.QSum\): axes must not hold the batch's, 0, but are .*; samples are computed one by one"
    with pytest.raises(keras_hls.errors.UnsupportedModel, match=message):
        keras_hls.snapshot(randomize(model))


def test_in_cpp(tmp_path):
    """One model of all kinds: windows at borders, whole images, parts of about equal size, sums over other axes."""
    x = keras.Input((6, 5, 3))
    y = cast(x)
    layers = keras.layers
    outputs = [
        layers.MaxPooling2D(3, strides=2, padding="same")(y),
        cast(layers.AveragePooling2D(3, strides=2, padding="same")(y)),
        layers.GlobalMaxPooling2D()(y),
        cast(layers.GlobalAveragePooling2D(keepdims=True)(y)),
        layers.AdaptiveMaxPooling2D((4, 2))(y),
        hgq_layers.QSum(axes=(1, 3), enable_iq=False)(y),
        hgq_layers.QMeanPow2(axes=-1, enable_iq=False)(y),
    ]
    model = randomize(keras.Model(x, outputs), 1)
    values = samples(model, 1, 200)
    result = keras_hls.export_hls(model, tmp_path / "pooled", verify=values).verify(values)
    assert (result.csim_different, result.keras_different) == (0, 0)
