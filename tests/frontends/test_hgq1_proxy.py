"""Layers of HGQ's proxy models, from configs and arrays alone, with neither TensorFlow nor HGQ."""

from __future__ import annotations

import numpy as np
import pytest

import keras_hls.layers_ext.hgq_layers  # noqa: F401
from keras_hls.fixed import OVERFLOW, ROUNDING, Fixed, Formats, Real
from keras_hls.frontends.keras2.hgq_proxy import ExactView, ProxyView
from keras_hls.frontends.view import Builder, LayerView, ReadError
from keras_hls.graph import Input
from keras_hls.layers_ext import READERS
from keras_hls.layers_ext.quantize import Quantize
from keras_hls.passes import prepare
from keras_hls.sim.emulator import predict

OVERRIDES = {"layers": {"d": {"accum_t": "fixed<3,2>", "parallelization_factor": 4}}}


def quantizer(sign=1, bits=5, integers=2, rounding="TRN", overflow="WRAP", shape=(3,), **weights):
    given = {"keep_negative": sign, "bits": bits, "integers": integers, **weights}
    arrays = {name: np.asarray(value, np.int8) for name, value in given.items() if value is not None}
    config = {"name": "q", "trainable": False, "dtype": "float32", "RND": rounding, "SAT": overflow}
    config |= {"shape": list(arrays["bits"].shape), "overrides": OVERRIDES, "fusible": True}
    return ProxyView("q", "HGQ>FixedPointQuantizer", config, arrays, (shape,))


def table(kif=(1, 2, 1), entries=None, shape=(3,), **config):
    count = 1 << max(sum(kif), 0) if all(isinstance(n, int) for n in kif) else 1
    values = np.arange(count) / 4 if entries is None else entries
    whole = {"name": "t", "dtype": "float32", "kif_in": list(kif), "kif_out": [0, 2, 2], **config}
    return ProxyView("t", "UnaryLUT", whole, {"table": np.asarray(values, "float32")}, (shape,))


def answers(view: LayerView, x, formats):
    """What the layer's hardware answers to samples of these types."""
    build = Builder()
    given = build.add(Quantize(formats), build.add(Input(view.shapes[0]), name="x"), name="cast")
    y = READERS[view.path](view, build, given)
    return predict(prepare(build.graph([y], ["y"])), x)


# -- quantizers


@pytest.mark.parametrize("shape", [(), (1,), (3,), (1, 3), (1, 1, 3), (1, 4, 3)])
def test_bits_may_have_any_shape_that_broadcasts(shape):
    bits = np.full(shape, 5)
    view = quantizer(np.ones(shape), bits, np.full(shape, 2), shape=(4, 3))
    x = np.random.default_rng(0).integers(-64, 64, (50, 4, 3)) / 16
    expected = ((np.floor(x * 8) + 16) % 32 - 16) / 8
    np.testing.assert_array_equal(answers(view, x, Formats.of(Fixed(True, 12, 6))), expected)


def test_elements_have_types_of_their_own():
    view = quantizer([[1, 0, 1]], [[4, 3, 0]], [[2, 3, 7]], "RND", "SAT")
    x = np.array([[0.625, 3.5, 1.0], [5.0, -2.0, -3.0], [-0.125, 9.0, 0.0]])
    got = answers(view, x, Formats.of(Fixed(True, 12, 6)))
    np.testing.assert_array_equal(got, [[0.75, 4, 0], [1.75, 0, 0], [0.0, 7, 0]])


@pytest.mark.parametrize("rounding", ROUNDING)
@pytest.mark.parametrize("overflow", OVERFLOW)
def test_modes_go_by_the_names_of_ap_fixed(rounding, overflow):
    formats = quantizer(rounding=rounding, overflow=overflow).output_formats()
    assert (formats.rounding, formats.overflow) == (rounding, overflow)
    assert (formats.signed, formats.width, formats.integer) == (True, 5, 2)


@pytest.mark.parametrize(
    ("view", "match"),
    [
        (quantizer(overflow="WRAP_SM"), "has modes TRN, WRAP_SM; rounding must be"),
        (quantizer(rounding="NEAREST"), "has modes NEAREST, WRAP"),
        (quantizer(-128, -128, -128), "keep_negative must be 0 or 1.*weights weren't loaded"),
        (quantizer(2), "keep_negative must be 0 or 1"),
        (quantizer(bits=-3), "bits 0 or more"),
        (quantizer(bits=100), "too many bits: Width of a fixed-point type must be at most 63 bits"),
        (
            quantizer(np.ones((2, 3)), np.ones((2, 3)), np.ones((2, 3))),
            r"of shape \(2, 3\), and its input of \(None, 3\)",
        ),
        (quantizer([1, 1], [5, 5], [2, 2]), r"of shape \(2,\), and samples of its input of \(3,\)"),
        (quantizer(integers=None), r"no 'integers' among its weights \(bits, keep_negative\)"),
    ],
)
def test_other_quantizers_are_refused(view, match):
    with pytest.raises(ReadError, match=match):
        answers(view, np.zeros((1, 3)), Formats.of(Fixed(True, 12, 6)))


def test_bits_that_are_no_whole_numbers_are_refused():
    view = quantizer()
    view.weights = {**view.weights, "bits": np.full(1, 4.5)}
    with pytest.raises(ReadError, match="its bits are float64, and no whole numbers"):
        view.output_formats()


def test_an_argument_that_nobody_knows_is_refused():
    view = quantizer()
    view.config = {**view.config, "dither": True}
    with pytest.raises(ReadError, match="dither=True"):
        answers(view, np.zeros((1, 3)), Formats.of(Fixed(True, 12, 6)))


# -- tables


@pytest.mark.parametrize("kif", [(1, 2, 1), (0, 2, 2), (1, -1, 4), (0, 5, -2), (1, 0, 0), (0, 0, 1), (1, 4, -1)])
def test_tables_are_in_the_order_of_bits(kif):
    frac = kif[-1]
    count = 1 << sum(kif)
    entries = np.random.default_rng(count).integers(-9, 9, count) / 4
    given = Formats.of(Fixed(True, 14, 7))
    x = np.random.default_rng(1).integers(-(1 << 13), 1 << 13, (400, 3)) / 128
    # As the layer does it: halves to even, and modulo the size of the table, wherever the input lies.
    index = np.rint(x * 2.0**frac).astype(int) % count
    np.testing.assert_array_equal(answers(table(kif, entries), x, given), entries[index])


@pytest.mark.parametrize(
    ("view", "match"),
    [
        (table((1, 2, 1), np.zeros(8)), r"table is of shape \(8,\), and an input of 4 bits needs 16 entries"),
        (table((1, 2, 1), np.zeros((16, 1))), r"table is of shape \(16, 1\)"),
        (table((1, 2, 1), np.full(16, np.nan)), "its table holds NaN or infinite"),
        (table((1, 30, 1), np.zeros(4)), "a table has 1 to 20 bits"),
        (table((0, 2, -2), np.zeros(1)), "a table has 1 to 20 bits"),
        (table((2, 2, 2)), "a table has 1 to 20 bits"),
        (table((1, 2)), "must be sign, integer and fractional bits"),
        (table((1, 2.5, 1), np.zeros(4)), "must be sign, integer and fractional bits"),
        (table(scaled=True), "scaled=True"),
    ],
)
def test_other_tables_are_refused(view, match):
    with pytest.raises(ReadError, match=match):
        answers(view, np.zeros((1, 3)), Formats.of(Fixed(True, 12, 6)))


def test_a_table_whose_weights_are_missing():
    view = table()
    view.weights = {}
    with pytest.raises(ReadError, match="has no table; the weights weren't loaded"):
        answers(view, np.zeros((1, 3)), Formats.of(Fixed(True, 12, 6)))


# -- layers of Keras between them


class Plain(LayerView):
    """A layer of Keras with a kernel."""

    name, path, config, shapes = (
        "d",
        "keras.layers.Dense",
        {"units": 2, "use_bias": True, "activation": "linear"},
        ((3,),),
    )

    def __init__(self, kernel):
        self.kernel = np.asarray(kernel, np.float32)

    def weight(self, name):
        return Real(self.kernel) if name == "kernel" else None

    def function(self, argument):
        return np.tanh

    def part(self, name, *shapes):
        return Plain(self.kernel * 2)

    def input_formats(self, count):
        return (None,) * count

    def output_formats(self):
        return None

    @property
    def understood(self):
        return frozenset({"batch_input_shape"})


def test_weights_of_a_proxy_are_taken_as_they_are():
    kernel = np.array([[0.75, -2.0], [0.0, 1.5], [-0.25, 3.0]])
    view = ExactView(Plain(kernel))
    x = np.random.default_rng(0).integers(-8, 8, (20, 3)) / 4
    np.testing.assert_array_equal(answers(view, x, Formats.of(Fixed(True, 6, 4))), x @ kernel)
    assert view.weight("kernel").frac == 2 and view.weight("bias") is None
    assert view.part("inner").weight("kernel").frac == 1
    assert view.function("activation") is np.tanh and view.input_formats(2) == (None, None)
    with pytest.raises(ReadError, match="its kernel holds NaN"):
        ExactView(Plain([[np.inf]])).weight("kernel")
