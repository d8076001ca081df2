"""Quantizers of QKeras as configs write them, without QKeras."""

import sys
from fractions import Fraction

import numpy as np
import pytest

from keras_hls.errors import TooWide
from keras_hls.quantizers import (
    QUANTIZERS,
    Bernoulli,
    Binary,
    QuantizedBits,
    QuantizedHSwish,
    QuantizedLinear,
    QuantizedReLU,
    QuantizedTanh,
    QuantizerError,
    StochasticTernary,
    parse,
)


def values(constant):
    return constant.type.to_float(constant.raw)


def test_what_a_text_says():
    q = parse("quantized_bits(4,0,1,alpha='auto')")
    assert isinstance(q, QuantizedBits)
    assert (q.bits, q.integer, q.symmetric, q.keep_negative, q.alpha) == (4, 0, True, True, "auto")
    q = parse(" quantized_relu(6, integer=2, negative_slope=0.25, use_sigmoid=True) ")
    assert isinstance(q, QuantizedReLU)
    assert (q.bits, q.integer, q.negative_slope, q.use_sigmoid) == (6, 2, 0.25, True)
    assert parse("quantized_bits(8, -2, alpha=-1.5)").integer == -2
    assert parse("ternary").threshold is None
    assert isinstance(parse("stochastic_ternary(alpha=None)"), StochasticTernary)


def test_none_is_none_and_a_quantizer_itself():
    assert parse(None) is None
    q = QuantizedBits(3)
    assert parse(q) is q


@pytest.mark.parametrize("extra", [{}, {"module": "qkeras.quantizers", "registered_name": "quantized_bits"}])
def test_what_a_config_says(extra):
    config = {
        "bits": 6,
        "integer": 1,
        "symmetric": 1,
        "alpha": "auto_po2",
        "keep_negative": True,
        "use_stochastic_rounding": False,
        "qnoise_factor": 1.0,
    }
    q = parse({"class_name": "quantized_bits", "config": config, **extra})
    assert (q.bits, q.integer, q.symmetric, q.alpha, q.newer) == (6, 1, True, "auto_po2", False)
    # A key that only later versions write says whose arithmetic it is.
    assert parse({"class_name": "quantized_bits", "config": {**config, "post_training_scale": None}, **extra}).newer


def test_automatic_scales_are_symmetric():
    assert parse("quantized_bits(4,0,0,alpha='auto')").symmetric
    found = values(parse("quantized_bits(3,0,0,alpha='auto')").weights([[-1.0], [0.25]]))
    assert found[0, 0] == -3 * float(np.float32(2 / 6))


@pytest.mark.parametrize("shape", [(9,), (12, 5), (3, 3, 2, 8)])
def test_a_scale_that_has_settled_is_that_of_every_version(shape):
    """The last rounding, which the release leaves out, repeats the one before it."""
    x = np.random.default_rng(0).normal(0, 1, shape).astype(np.float32)
    for bits in (2, 4, 8):
        one, other = (QuantizedBits(bits, alpha="auto_po2", newer=newer) for newer in (False, True))
        assert np.array_equal(values(one.weights(x)), values(other.weights(x)))
        coarse = QuantizedBits(bits, alpha="auto_po2", min_po2_exponent=-1, max_po2_exponent=-1).weights(x)
        # In halves of the least step, of which a power of two more or less is chosen.
        assert np.array_equal(values(coarse) * 2, np.rint(values(coarse) * 2))


def test_keys_of_other_versions_at_values_without_meaning():
    assert isinstance(parse({"class_name": "quantized_tanh", "config": {"bits": 4, "integer": 0}}), QuantizedTanh)
    # QKeras writes this key and can't read it.
    assert isinstance(parse({"class_name": "quantized_hswish", "config": {"keep_negative": True}}), QuantizedHSwish)
    assert isinstance(parse({"class_name": "binary", "config": {"whatever": None}}), Binary)
    for config in ({"integer": 1}, {"unknown": 0}, {"alpha": 2.0}):
        with pytest.raises(QuantizerError, match="has no argument"):
            parse({"class_name": "quantized_tanh", "config": config})
    with pytest.raises(QuantizerError, match=r"Did you mean 'integer'"):
        parse({"class_name": "quantized_bits", "config": {"integers": 3}})


@pytest.mark.parametrize(
    "text",
    [
        "my_quant(4)",
        "quantised_bits(4)",
        "my_quant",
        "quantized_bits(4",
        "quantized_bits(4)(3)",
        "quantized_bits(4) or 1",
        "qkeras.quantized_bits(4)",
        "quantized_bits(open('x'))",
        "quantized_bits(__import__('os').system('true'))",
        "quantized_bits(bits=n)",
        "quantized_bits(*[4])",
        "quantized_bits(**{'bits': 4})",
        "quantized_bits(2**3)",
        "[quantized_bits(i) for i in (1,)]",
        "lambda: quantized_bits(4)",
        "",
        "4",
        "None",
        "quantized_bits(4, bits=4)",
        "quantized_bits(bits=4, bits=5)",
        "quantized_tanh(1, 0, 0, 0, 0)",
        "quantized_bits(\0)",
        "(" * 500,
        "quantized_bits(" + "-" * 5000 + "1)",
        "quantized_bits(" + "1," * 20000 + ")",
    ],
)
def test_nothing_else_is_read_and_nothing_executed(text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = set(sys.modules)
    with pytest.raises(QuantizerError):
        parse(text)
    assert not list(tmp_path.iterdir())
    assert not [name for name in set(sys.modules) - before if name.startswith(("tensorflow", "qkeras"))]


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("my_quant(4)", "'my_quant' is no quantizer of QKeras.* can't be exported"),
        ({"class_name": "my_quant", "config": {}}, "is no quantizer of QKeras"),
        ({"config": {}}, "None is no quantizer of QKeras"),
        (
            {"class_name": "quantized_bits", "config": {}, "module": "mine.quantizers"},
            "mine.quantizers isn't that of QKeras",
        ),
        ({"class_name": "quantized_bits", "config": [4]}, "no mapping of its arguments"),
        ({"class_name": "quantized_bits", "config": {1: 4}}, "no mapping of its arguments"),
        (len, "of builtins is no quantizer of QKeras"),
        (4, "4 of builtins is no quantizer of QKeras"),
        ("quantized_bits(4.5)", "bits must be a whole number, not 4.5"),
        ("quantized_bits(0)", "bits must be from 1 to 32, not 0"),
        ("quantized_bits('8')", "bits must be a whole number, not '8'"),
        ("quantized_bits(True)", "bits must be a whole number, not True"),
        ("quantized_bits(4, 1.5)", "integer must be a whole number"),
        ("quantized_bits(4, 31)", "integer must be a whole number from -60 to 30"),
        ("quantized_relu(4, 31)", "integer must be a whole number from -60 to 30"),
        ("quantized_bits(4, 'x')", "integer must be a whole number"),
        ("quantized_bits(4, 0, 2)", "symmetric must be True or False, not 2"),
        ("quantized_bits(4, keep_negative='yes')", "keep_negative must be True or False"),
        ("quantized_bits(4, alpha='best')", "alpha must be a number, None, 'auto' or 'auto_po2', not 'best'"),
        ("quantized_bits(4, alpha=1e999)", "alpha must be finite"),
        ("quantized_bits(4, alpha=['x'])", "alpha must be numbers"),
        ("quantized_bits(4, qnoise_factor=0.5)", "qnoise_factor=0.5 mixes quantized and unquantized values"),
        ("quantized_bits(1, alpha='auto')", r"one bit leaves no level .* take binary\(alpha=...\)"),
        ("quantized_bits(4, scale_axis=0.5)", "scale_axis must be whole numbers"),
        ("quantized_bits(4, alpha='auto', elements_per_scale=2)", "elements_per_scale needs alpha='auto_po2'"),
        ("quantized_bits(4, post_training_scale=2.0)", "post_training_scale needs alpha='auto'"),
        ("quantized_linear(4, alpha=-1.0)", "alpha must be positive"),
        ("quantized_relu(4, negative_slope=0.3)", "negative_slope must be 0 or a power of two"),
        ("quantized_relu(4, negative_slope=-0.5)", "negative_slope must be 0 or a power of two"),
        ("quantized_relu(25)", "bits must be from 1 to 24"),
        ("quantized_relu(4, relu_upper_bound='6')", "relu_upper_bound must be a number"),
        ("quantized_relu(4, use_sigmoid=1, enable_fast_inference=True)", "set it to False"),
        ("quantized_hswish(4, relu_shift=0)", "must be positive"),
        ("quantized_hswish(4, alpha='best')", "alpha must be"),
        ("quantized_ulaw(4, u=-1)", "u must be positive"),
        ("quantized_po2(1)", "bits leave none for the exponent; give it more"),
        ("quantized_po2(4, -1)", "max_value must not be negative"),
        ("quantized_po2(4, log2_rounding='ceil')", "log2_rounding must be 'rnd' or 'floor'"),
        ("binary(use_stochastic_rounding=True)", "fails for most shapes"),
        ("ternary(alpha='auto', threshold=0.5)", "leave threshold out"),
        ("ternary(use_stochastic_rounding=True)", "set it to False"),
        ("ternary(threshold='auto')", "threshold must be a number"),
        ("ternary(alpha='auto', number_of_unrolls=0)", "number_of_unrolls must be 1 or more"),
        ("stochastic_ternary(threshold=1.0)", "threshold must not be 1"),
    ],
)
def test_what_has_no_meaning_is_refused(value, sentence):
    with pytest.raises(QuantizerError, match=sentence):
        parse(value)


def test_a_live_quantizer_is_read_from_its_attributes():
    """Its config leaves some of them out."""

    class Variable:
        def numpy(self):
            return np.array([3], np.int32)

    def live(name, module="qkeras.quantizers", **attributes):
        return type(name, (), {"__module__": module, **attributes})()

    q = parse(
        live("quantized_relu", bits=4, integer=Variable(), is_quantized_clip=False, relu_upper_bound=1.5, built=1)
    )
    assert (q.bits, q.integer, q.is_quantized_clip, q.relu_upper_bound) == (4, 3, False, 1.5)
    assert not parse(live("quantized_bits", alpha="auto_po2")).newer
    assert parse(live("quantized_bits", alpha="auto_po2", post_training_scale=None)).newer
    with pytest.raises(QuantizerError, match="'my_quant' is no quantizer of QKeras"):
        parse(live("my_quant"))


def test_the_package_of_the_same_name_that_hgq2_brings_is_told_apart():
    module = "qkeras.quantizers.quantized_bits"
    written = {"class_name": "quantized_bits", "config": {"bits": 4}, "registered_name": "hgq/qkeras>quantized_bits"}
    for value in (
        written,
        {**written, "module": module},
        type("quantized_bits", (), {"__module__": module, "bits": 4})(),
    ):
        with pytest.raises(QuantizerError, match=r"quantized_bits.* no quantizer of QKeras|isn't that of QKeras"):
            parse(value)


def test_every_class_has_a_name_and_can_be_made_from_it():
    for name, kind in QUANTIZERS.items():
        assert kind.name == name
        assert type(parse(f"{name}()")) is kind
        assert str(parse(name)).startswith(f"{name}(")


@pytest.mark.parametrize("name", sorted(set(QUANTIZERS) - {"bernoulli", "quantized_po2"}))
def test_weights_have_their_shape_and_no_scale_is_rounded(name):
    x = np.random.default_rng(0).normal(0, 1, (3, 4, 5)).astype(np.float32)
    constant = parse(name).weights(x)
    assert constant.shape == x.shape
    assert np.array_equal(values(constant), parse(name).activation(x))


def test_products_by_a_scale_are_exact():
    x = np.random.default_rng(0).normal(0, 1, (40, 5)).astype(np.float32)
    scale = Fraction(float(np.float32(0.3)))
    found = QuantizedBits(6, 1, alpha=0.3).weights(x)
    plain = QuantizedBits(6, 1).weights(x)
    for one, other in zip(found.raw.flat, plain.raw.flat):
        assert Fraction(int(one)) / Fraction(2) ** found.frac == scale * int(other) / Fraction(2) ** plain.frac
    automatic = values(QuantizedBits(6, 1, alpha="auto").weights(x))
    for channel in automatic.T:
        # Each channel is whole multiples of one float32.
        unit = np.abs(channel).max() / 31
        assert np.float32(unit) == unit
        assert np.array_equal(channel / unit, np.rint(channel / unit))


def rounded_to_even(value: Fraction) -> int:
    return round(value)


@pytest.mark.parametrize("alpha", [None, 1.0, 0.25, 0.3])
@pytest.mark.parametrize("bits", [2, 5])
@pytest.mark.parametrize("symmetric", [0, 1])
@pytest.mark.parametrize("keep_negative", [0, 1])
def test_quantized_linear_by_its_definition(alpha, bits, symmetric, keep_negative):
    """QKeras's last release hasn't it."""
    step = Fraction(2) ** (1 - bits + keep_negative) * (1 if alpha is None else Fraction(float(np.float32(alpha))))
    most = 2 ** (bits - keep_negative) - 1
    least = -most - 1 + symmetric if keep_negative else 0
    x = np.arange(-400, 400) / 64
    found = QuantizedLinear(bits, 1, symmetric, keep_negative, alpha).activation(x)
    wanted = [float(min(max(rounded_to_even(Fraction(v) / step), least), most) * step) for v in x]
    assert found.tolist() == wanted


def test_quantized_linear_of_one_bit_is_half_a_step():
    found = QuantizedLinear(1, 2).activation(np.array([-3.0, -0.25, 0.0, 0.25, 9.0]))
    assert found.tolist() == [-2.0, -2.0, 2.0, 2.0, 2.0]


def test_kernels_without_alpha_get_a_power_of_two():
    for name in ("quantized_bits", "quantized_linear", "quantized_hswish", "binary", "ternary", "stochastic_binary"):
        assert parse(name).kernel().alpha == "auto_po2"
        assert parse(f"{name}(alpha=1.0)").kernel().alpha == 1.0
    relu = parse("quantized_relu(4)")
    assert relu.kernel() is relu


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_weights_that_are_no_numbers_are_refused(bad):
    with pytest.raises(QuantizerError, match="weights that are NaN or infinite"):
        QuantizedBits(4).weights([1.0, bad])


def test_bernoulli_has_no_values():
    for ask in (lambda: Bernoulli().weights([1.0]), lambda: Bernoulli().activation(np.ones(2))):
        with pytest.raises(QuantizerError, match="at random, at inference too"):
            ask()


def test_automatic_scales_are_no_activation():
    with pytest.raises(QuantizerError, match="takes its scale from the whole batch"):
        QuantizedBits(4, alpha="auto").activation(np.ones(2))


@pytest.mark.parametrize("shape", [(), (0, 3)])
def test_weights_without_any_number_to_scale_are_refused(shape):
    with pytest.raises(QuantizerError, match="finds no scale in weights of shape"):
        QuantizedBits(4, alpha="auto").weights(np.ones(shape))


def test_a_scale_axis_that_the_weights_have_not_is_refused():
    with pytest.raises(QuantizerError, match="scale_axis=2 isn't an axis"):
        QuantizedBits(4, alpha="auto", scale_axis=2).weights(np.ones((2, 3)))
    with pytest.raises(QuantizerError, match="doesn't part a tensor of shape"):
        QuantizedBits(4, alpha="auto_po2", scale_axis=1, elements_per_scale=2).weights(np.ones((2, 3)))


def test_powers_of_two_too_far_apart_are_refused():
    """Zero becomes 2**-64 then."""
    with pytest.raises(TooWide):
        parse("quantized_po2(8)").weights([0.0, 1.0])
    assert values(parse("quantized_po2(8)").weights([0.3, 1.0])).tolist() == [0.25, 1.0]


def test_numbers_beyond_single_precision_are_flushed():
    assert values(Binary().weights([-1e-40, -1e-30, -0.0])).tolist() == [1.0, -1.0, 1.0]
