"""QKeras's quantizers as ops: what the emulator answers is the quantizer's own function, whose values QKeras confirms."""

import numpy as np
import pytest
from quantizer_graphs import OPTIONS, emulated, network
from random_graphs import assert_same_in_cpp

from keras_hls.errors import InvalidModel, TooWide
from keras_hls.fixed import Fixed
from keras_hls.frontends.view import ReadError
from keras_hls.layers_ext.quantize import Quantize
from keras_hls.layers_ext.scale import Scale
from keras_hls.layers_ext.steps import Steps
from keras_hls.layers_ext.table import Table
from keras_hls.passes import prepare
from keras_hls.quantizers import QUANTIZERS, parse

NARROW = Fixed(True, 10, 4)
FINE = Fixed(True, 18, 5)


def quantizers(name):
    return [parse({"class_name": name, "config": options}) for options in OPTIONS[name]]


@pytest.mark.parametrize("name", sorted(OPTIONS))
def test_every_value_of_an_input(name):
    raw = np.arange(NARROW.low, NARROW.high + 1)
    for quantizer in quantizers(name):
        wanted = quantizer.activation(np.ldexp(raw.astype(float), -NARROW.frac))
        assert np.array_equal(emulated(quantizer, NARROW, raw), wanted), str(quantizer)


@pytest.mark.parametrize("name", sorted(OPTIONS))
def test_wide_inputs(name):
    raw = np.random.default_rng(0).integers(FINE.low, FINE.high, 3000, endpoint=True)
    for quantizer in quantizers(name)[::5]:
        wanted = quantizer.activation(np.ldexp(raw.astype(float), -FINE.frac))
        assert np.array_equal(emulated(quantizer, FINE, raw), wanted), str(quantizer)


@pytest.mark.parametrize("name", sorted(OPTIONS))
def test_passes_and_cpp_change_nothing(name, tmp_path):
    raw = np.arange(NARROW.low, NARROW.high + 1)
    some = quantizers(name)[:: max(len(OPTIONS[name]) // 10, 1)]
    for quantizer in some:
        wanted = quantizer.activation(np.ldexp(raw.astype(float), -NARROW.frac))
        assert np.array_equal(emulated(quantizer, NARROW, raw, passes=True), wanted), str(quantizer)
    assert_same_in_cpp([prepare(network(quantizer, NARROW, (5,))) for quantizer in some], tmp_path, count=200)


def test_every_quantizer_is_here():
    assert set(OPTIONS) == set(QUANTIZERS) - {"bernoulli"}


def test_a_number_a_channel():
    raw = np.random.default_rng(1).integers(NARROW.low, NARROW.high, (500, 2, 3), endpoint=True)
    values = np.ldexp(raw.astype(float), -NARROW.frac)
    for name in ("quantized_bits", "quantized_linear", "binary", "ternary"):
        for alpha in ([0.5, 1, 4], [[[0.5, 2.0, 1.0]]], [0.3, 1.0, 1.7]):
            quantizer = parse({"class_name": name, "config": {"alpha": alpha}})
            wanted = quantizer.activation(values)
            assert np.array_equal(emulated(quantizer, NARROW, raw, (2, 3)), wanted), str(quantizer)


def test_integer_bits_a_channel():
    """As QAdaptiveActivation finds them."""
    raw = np.random.default_rng(1).integers(NARROW.low, NARROW.high, (500, 2, 3), endpoint=True)
    values = np.ldexp(raw.astype(float), -NARROW.frac)
    for text in (
        "quantized_bits(5)",
        "quantized_relu(5)",
        "quantized_relu(5, negative_slope=0.25)",
        "quantized_relu(5, 0, 1)",
    ):
        kind = type(parse(text))
        slope = {"negative_slope": 0.25} if "slope" in text else {}
        sigmoid = {"use_sigmoid": 1} if text.endswith("0, 1)") else {}
        each = kind(5, np.array([0, 1, 3]), **slope, **sigmoid)
        together = emulated(each, NARROW, raw, (2, 3))
        for channel, integer in enumerate((0, 1, 3)):
            alone = kind(5, integer, **slope, **sigmoid).activation(values[..., channel])
            assert np.array_equal(together[..., channel], alone)


def test_uniform_quantizers_are_one_cast():
    for text in ("quantized_bits(8,2)", "quantized_linear(8,2)", "quantized_relu(6,2)", "quantized_tanh(6)"):
        assert [type(node.op) for node in network(parse(text), FINE)][1:] == [Quantize], text


def test_a_scale_that_is_no_power_of_two_is_a_multiplier_of_its_own():
    ops = [node.op for node in network(parse("quantized_bits(8,2,alpha=0.3)"), FINE)]
    assert [type(op) for op in ops][1:] == [Quantize, Scale]
    assert float(ops[2].scale.type.to_float(ops[2].scale.raw)) == float(np.float32(0.3))


def test_powers_of_two_are_steps_of_wide_inputs_and_tables_of_narrow_ones():
    def last(fixed):
        return [type(node.op) for node in prepare(network(parse("quantized_po2(5)"), fixed))][-1]

    assert last(FINE) is Steps
    assert last(Fixed(True, 8, 4)) is Table


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("quantized_bits(4,0,1,alpha='auto')", "takes its scale from the whole batch"),
        ("quantized_linear(4,alpha='auto_po2')", "takes its scale from the whole batch"),
        ("quantized_hswish(4,alpha='auto')", "takes its scale from the whole batch"),
        ("binary(alpha='auto')", "takes its scale from the whole batch"),
        ("stochastic_ternary(alpha='auto_po2')", "takes its scale from the whole batch"),
        ("bernoulli", "at random, at inference too"),
        ("quantized_bits(32,8)", "give it 25 bits or fewer"),
    ],
)
def test_what_no_hardware_computes_is_refused(text, sentence):
    with pytest.raises(ReadError, match=sentence):
        network(parse(text), NARROW)


def test_real_functions_of_wide_inputs_are_refused():
    with pytest.raises(InvalidModel, match=r"quantized_tanh of a value of 24 bits .* quantize its input to 20 bits"):
        emulated(parse("quantized_tanh(8,use_real_tanh=1)"), Fixed(True, 24, 4), [0])


def test_powers_of_two_of_more_than_63_bits_together_are_refused():
    with pytest.raises(TooWide, match="values together span more than 63 bits"):
        emulated(parse("quantized_po2(8)"), NARROW, [0])
    # As an unsigned activation, what is no number of float32 is 0.
    relu = parse("quantized_relu_po2(8)")
    raw = np.arange(NARROW.low, NARROW.high + 1)
    assert (emulated(relu, NARROW, raw)[raw <= 0] == 0).all()
