"""Einsum layers and dot products of Keras and HGQ2: any equation, and why some are refused."""

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

EQUATIONS = [
    # Products of matrices, over the last axis and over others, with and without places.
    ("ab,bc->ac", (4,), 3, "c"),
    ("abc,cd->abd", (3, 4), (3, 5), "d"),
    ("abc,dc->adb", (3, 4), (5, 3), "d"),
    ("abc,bcd->ad", (3, 4), 5, "d"),
    ("abc,cde->adeb", (3, 4), (2, 5, 3), "de"),
    # Biases that differ by place, by result, by both, and none.
    ("abc,cd->abd", (3, 4), (3, 5), "b"),
    ("abc,cd->abd", (3, 4), (3, 5), "bd"),
    ("abc,dc->adb", (3, 4), (5, 3), "b"),
    ("abc,cd->abd", (3, 4), (3, 5), None),
    # Weights of their own for each of some axes that stay.
    ("abc,bcd->abd", (3, 4), (3, 5), "bd"),
    ("abc,bcd->abd", (3, 4), (3, 5), "d"),
    ("abcd,cde->abce", (2, 3, 4), (2, 3, 5), "ce"),
    ("abcd,bce->abe", (3, 2, 4), (3, 5), "e"),
    ("abc,bd->abcd", (3, 4), (3, 4, 2), "d"),
    # Nothing that is summed: factors, and an outer product.
    ("abc,c->abc", (3, 4), (3, 4), "c"),
    ("abc,b->abc", (3, 4), (3, 4), "c"),
    ("abc,bc->abc", (3, 4), (3, 4), "bc"),
    ("ab,c->abc", (3,), (3, 4), "c"),
    # Axes that are summed alone.
    ("abc,cd->ad", (3, 4), 5, "d"),
    ("abc,bd->ad", (3, 4), 5, "d"),
    # Ellipses.
    ("...x,xy->...y", (3, 2, 4), 5, "y"),
    ("...x,xy->...y", (4,), 5, "y"),
    ("...bx,bxy->...by", (2, 3, 4), (3, 5), "by"),
    ("ab...,bc->ac...", (3, 2, 4), 5, "c"),
]


@pytest.mark.parametrize(("equation", "shape", "output", "bias"), EQUATIONS)
def test_einsum_dense(equation, shape, output, bias):
    options = {"iq_conf": config(), "kq_conf": config("weight"), "bq_conf": config("bias")}
    for activation in (None, "relu"):
        x = keras.Input(shape)
        layer = hgq_layers.QEinsumDense(equation, output, bias_axes=bias, activation=activation, **options)
        assert_equal(randomize(keras.Model(x, layer(x)), 1))


@pytest.mark.parametrize(
    ("equation", "shape", "output", "bias", "normalized"),
    [
        ("ab,bc->ac", (4,), 3, "c", None),
        ("abc,cd->abd", (3, 4), (3, 5), "d", None),
        ("abc,bcd->abd", (3, 4), (3, 5), "bd", "d"),
        ("...bx,bxy->...by", (2, 3, 4), (3, 5), "by", None),
    ],
)
def test_einsum_dense_with_batch_normalisation(equation, shape, output, bias, normalized):
    options = {"iq_conf": config(), "kq_conf": config("weight"), "bq_conf": config("bias")}
    x = keras.Input(shape)
    layer = hgq_layers.QEinsumDenseBatchnorm(equation, output, bias_axes=bias, normalize_axes=normalized, **options)
    assert_equal(randomize(keras.Model(x, layer(x)), 2))


@pytest.mark.parametrize(("equation", "shape", "output", "bias"), EQUATIONS[1::4])
def test_einsum_dense_of_keras(equation, shape, output, bias):
    """Weights without quantizers, chosen so that the types that are chosen for them hold them."""
    x = keras.Input(shape)
    layer = keras.layers.EinsumDense(equation, output, bias_axes=bias)
    model = keras.Model(x, hgq_layers.Quantizer(config())(layer(cast(x))))
    randomize(model, 3)
    layer.kernel.assign(np.rint(layer.kernel * 4) / 4)
    if layer.bias is not None:
        layer.bias.assign(np.rint(layer.bias * 4) / 4)
    x = samples(model)
    snapshot = keras_hls.snapshot(model, calibration=x)
    assert np.array_equal(snapshot.predict(x[0]), np.asarray(model(x[0], training=False)))


def test_equations_of_dense_layers_that_are_refused():
    x = keras.Input((3, 3), batch_size=2)
    options = {"iq_conf": config(), "kq_conf": config("weight"), "bq_conf": config("bias")}
    for equation, output, message in (
        ("abb,bc->ac", (4,), r"equation 'abb,bc->ac' takes a diagonal \('abb'\), which no op does"),
        ("abc,ad->abcd", (3, 3, 4), "equation 'abc,ad->abcd' must have each axis of the kernel .*, and not the batch"),
    ):
        model = keras.Model(x, hgq_layers.QEinsumDense(equation, output, name="e", **options)(x))
        with pytest.raises(keras_hls.errors.UnsupportedModel, match=rf"'e' \(hgq.layers.QEinsumDense\): {message}"):
            keras_hls.snapshot(randomize(model))


@pytest.mark.parametrize(
    ("equation", "shapes"),
    [
        ("abc,acd->abd", [(2, 3), (3, 4)]),
        ("abc,abd->acd", [(2, 3), (2, 4)]),
        ("abc,abc->ab", [(2, 3), (2, 3)]),
        ("abc,abc->abc", [(2, 3), (2, 3)]),
        ("ab,ac->acb", [(2,), (3,)]),
        ("abcd,ade->ace", [(2, 3, 4), (4, 5)]),
        ("a...b,a...b->a...", [(2, 3, 4), (2, 3, 4)]),
        ("...bc,...cd->...bd", [(2, 3, 4), (2, 4, 3)]),
        ("abc,acd,ade->abe", [(2, 3), (3, 2), (2, 2)]),
    ],
)
def test_einsum_of_tensors(equation, shapes):
    inputs = [keras.Input(shape) for shape in shapes]
    layer = hgq_layers.QEinsum(equation, iq_confs=[config() for _ in shapes])
    assert_equal(randomize(keras.Model(inputs, layer(inputs)), 1, widest=4))


@pytest.mark.parametrize(
    ("axes", "shapes"),
    [
        (1, [(4,), (4,)]),
        (-1, [(3, 4), (2, 4)]),
        (1, [(3, 4), (3, 2)]),
        ((1, 2), [(3, 4), (2, 3)]),
        ((2, 1), [(3, 4), (4,)]),
        ((-1, -2), [(3,), (3, 2)]),
        ((1, 1), [(3,), (3, 2, 2)]),
        ((2, 3), [(2, 3, 2), (2, 2, 3)]),
        (1, [(1,), (1,)]),
    ],
)
def test_dot(axes, shapes):
    inputs = [keras.Input(shape) for shape in shapes]
    plain = keras.layers.Dot(axes)([cast(x) for x in inputs])
    assert_equal(randomize(keras.Model(inputs, plain), 1))
    layer = hgq_layers.QDot(axes=axes, iq_confs=config())
    assert_equal(randomize(keras.Model(inputs, layer(inputs)), 2))


def test_a_normalised_dot_is_refused():
    inputs = [keras.Input((4,)), keras.Input((4,))]
    y = keras.layers.Dot(1, normalize=True, name="d")([cast(x) for x in inputs])
    with pytest.raises(
        keras_hls.errors.UnsupportedModel,
        match=r"'d' \(keras.layers.Dot\): no reader takes account of normalize=True \(only False can be exported\)",
    ):
        keras_hls.snapshot(randomize(keras.Model(inputs, y)))


def test_in_cpp(tmp_path):
    """One model with groups, factors, biases by place, products of tensors and their sums."""
    x, y = keras.Input((3, 4)), keras.Input((4, 2))
    options = {"iq_conf": config(), "kq_conf": config("weight"), "bq_conf": config("bias")}
    outputs = [
        hgq_layers.QEinsumDense(equation, output, bias_axes=bias, **options)(x)
        for equation, output, bias in (
            ("abc,bcd->abd", (3, 5), "bd"),
            ("abc,dc->adb", (5, 3), "b"),
            ("abc,bc->abc", (3, 4), "c"),
            ("abc,cd->ad", 5, "d"),
        )
    ]
    outputs.append(hgq_layers.QEinsum("abc,acd->adb", iq_confs=config())([x, y]))
    outputs.append(hgq_layers.QDot(axes=(2, 1), iq_confs=config())([x, y]))
    model = randomize(keras.Model([x, y], outputs), 1, widest=4)
    values = samples(model, 1, 200)
    result = keras_hls.export_hls(model, tmp_path / "einsums", verify=values).verify(values)
    assert (result.csim_different, result.keras_different) == (0, 0)
