"""HGQ (the first): its numbers from configs and arrays alone, with neither TensorFlow nor HGQ."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from keras_hls.fixed import Constant, from_float
from keras_hls.frontends.keras2.hgq import HGQView
from keras_hls.frontends.keras2.hgq_numbers import (
    HeavyQuantizer,
    Range,
    channel_factors,
    covers_rounding,
    minus_product,
)
from keras_hls.frontends.view import ReadError, Untrained

STRATEGIES = ("standard_round", "stochastic_round", "fast_uniform_noise_injection", "floor")


def heavy(frac, strategy="standard_round", **config):
    return HeavyQuantizer.of(np.asarray(frac), {"rnd_strategy": strategy, **config}, "quantizer")


def dense(activation="linear", *, frac=((3.0, 2.0),), low=-2.0, high=1.5, use_bias=True, overflow="WRAP", **config):
    """A layer of two units and three inputs."""
    weights = {
        "kernel": np.array([[0.3, -0.7], [1.2, 0.05], [-2.0, 0.0]], "float32"),
        "kernel_bw": np.full((3, 2), 2.0, "float32"),
        "activation_bw": np.asarray(frac, "float32"),
        "beta": np.float32(0),
    }
    if use_bias:
        weights["bias"] = np.array([0.4, -0.3], "float32")
    shape = weights["activation_bw"].shape
    traced = None if low is None else Range(np.full(shape, low, "float32"), np.full(shape, high, "float32"))
    whole = {"units": 2, "use_bias": use_bias, "activation": activation, **config}
    return HGQView("d", "HGQ>HDense", whole, weights, ((*shape[1:-1], 3),), traced=traced, overflow=overflow)


def floats(constant: Constant):
    return np.ldexp(constant.raw.astype(float), -constant.frac)


# -- quantizers


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_values_are_rounded_to_the_nearest_or_down(strategy):
    rng = np.random.default_rng(0)
    values = (rng.integers(-400, 400, 500) / 64).astype("float32")
    frac = rng.integers(-2, 6, 500)
    got = heavy(frac.astype("float32"), strategy)(values)
    half = Fraction(0 if strategy == "floor" else Fraction(1, 2))
    for v, f, r in zip(values, frac, got):
        step = Fraction(2) ** int(-f)
        assert Fraction(float(r)) == ((Fraction(float(v)) / step + half).__floor__()) * step


def test_numbers_of_strategies_and_limits():
    assert heavy([1.0], 3).floors and not heavy([1.0], 0).floors and heavy([1.0], "auto").strategy == -1
    np.testing.assert_array_equal(heavy([2.5, 3.5, -40.0, 40.0]).frac, [2, 4, -23, 23])
    np.testing.assert_array_equal(heavy([40.0], bw_clip=None).frac, [40])
    np.testing.assert_array_equal(heavy([40.0, -1.0], bw_clip=(0, 8)).frac, [8, 0])


@pytest.mark.parametrize(
    ("frac", "config", "match"),
    [
        ([np.nan], {}, "NaN or infinite bit widths"),
        ([1.0], {"rnd_strategy": "nearest"}, "rnd_strategy='nearest'"),
        ([1.0], {"rnd_strategy": 7}, "rnd_strategy=7"),
        ([1.0], {"dtype": "float16"}, "dtype='float16'"),
    ],
)
def test_other_quantizers_are_refused(frac, config, match):
    with pytest.raises(ReadError, match=match):
        HeavyQuantizer.of(np.asarray(frac), config, "quantizer")


def ends(bits, frac):
    """Whether a type holds the ends of a range, and whether one with an integer bit less does."""
    sign, integer = int(bits.sign[0]), int(bits.integer[0])

    def holds(i, low, high):
        return -(2.0**i) * sign <= low and high <= 2.0**i - 2.0**-frac

    return lambda low, high: (holds(integer, low, high), holds(integer - 1, low, high))


@pytest.mark.parametrize("frac", [-2, 0, 3])
def test_integer_bits_are_the_fewest_that_hold_a_range(frac):
    step = 2.0**-frac
    for low in range(-9, 10):
        for high in range(low, 10):
            seen = Range(np.array([[low * step]], "float32"), np.array([[high * step]], "float32"))
            bits = heavy([[float(frac)]]).bits(seen)
            if low == high == 0:
                assert not any(part.any() for part in (bits.sign, bits.integer, bits.frac))
                continue
            assert bits.sign[0] == (low < 0)
            fits, fewer = ends(bits, frac)(low * step, high * step)
            # One bit less would not do, or there would be none left but the sign.
            assert fits and (not fewer or bits.integer[0] + frac == 0)
            positive = heavy([[float(frac)]]).bits(seen, positive=True)
            assert positive.sign[0] == 0
            if high <= 0:
                assert positive.integer[0] + positive.frac[0] == 0
            else:
                assert ends(positive, frac)(0, high * step) == (True, False)


def test_ranges_near_powers_of_two_are_not_rounded():
    # In float32, log2 of this is 8.
    seen = Range(np.array([[-256.00003]], "float32"), np.array([[0.0]], "float32"))
    assert heavy([[15.0]]).bits(seen).integer[0] == 9


def test_a_quantizer_without_samples_says_what_to_do():
    with pytest.raises(Untrained, match=r"HGQ\.trace_minmax\(model, samples\).*HGQ\.to_proxy_model"):
        heavy([[1.0]]).bits(None)
    with pytest.raises(Untrained, match="has seen no samples"):
        heavy([[1.0]]).bits(Range(np.array([[np.inf]], "float32"), np.array([[-np.inf]], "float32")))


@pytest.mark.parametrize(
    ("low", "high", "match"),
    [
        (np.nan, 1, "has seen NaN or infinite"),
        (-1, np.nan, "has seen NaN or infinite"),
        (-(2.0**40), 0, r"beyond 2\*\*32"),
        (-np.inf, 0, "NaN or infinite"),
    ],
)
def test_ranges_that_no_type_holds_are_refused(low, high, match):
    with pytest.raises(ReadError, match=match):
        heavy([[1.0]]).bits(Range(np.array([[low]], "float32"), np.array([[high]], "float32")))


def test_bits_that_vary_over_the_batch_are_refused():
    with pytest.raises(ReadError, match="vary over the batch"):
        heavy([[1.0], [2.0]]).bits(Range(np.zeros((2, 1), "float32"), np.ones((2, 1), "float32")))


def test_a_fused_product_is_rounded_once():
    rng = np.random.default_rng(3)
    start, a, b = (rng.normal(size=2000).astype("float32") for _ in range(3))
    # Half way between two float32 numbers, but for a term that a double doesn't hold beside them.
    start[:2], a[:2], b[:2] = (
        1 + 2.0**-23,
        [2.0**-12 * (1 + 2.0**-16), -(2.0**-12) * (1 + 2.0**-16)],
        2.0**-12 * (1 - 2.0**-16),
    )
    for s, x, y, got in zip(start, a, b, minus_product(start, a, b)):
        exact = Fraction(float(s)) - Fraction(float(x)) * Fraction(float(y))
        beside = [np.nextafter(got, np.float32(end)) for end in (-np.inf, np.inf)]
        error = abs(Fraction(float(got)) - exact)
        for other in beside:
            distance = abs(Fraction(float(other)) - exact)
            even = not np.float32(got).view(np.int32) & 1
            assert error < distance or (error == distance and even)


def test_factors_of_a_normalisation():
    factors = channel_factors(np.array([2.0, 1.0], "float32"), np.array([3.0, 0.21], "float32"), 0.04)
    # Each step is rounded by itself.
    assert factors.dtype == np.float32
    root = np.sqrt(np.array([3.04, 0.25], "float32"))
    np.testing.assert_array_equal(factors, np.array([2, 1], "float32") * (np.ones(2, "float32") / root))


# -- layers


def test_a_kernel_is_on_its_grid():
    np.testing.assert_array_equal(floats(dense().weight("kernel")), [[0.25, -0.75], [1.25, 0.0], [-2.0, 0.0]])


def test_a_bias_takes_up_the_rounding_where_it_can():
    # 0.4 and -0.3 in eighths and quarters, and half of each.
    layer = dense()
    np.testing.assert_array_equal(floats(layer.weight("bias")), [0.375 + 1 / 16, -0.25 + 1 / 8])
    assert layer.rounding == "TRN" == layer.output_formats().rounding
    floor = dense(paq_conf={"rnd_strategy": "floor"})
    np.testing.assert_array_equal(floats(floor.weight("bias")), [0.375, -0.5])
    assert floor.rounding == "TRN"
    # Two types to one bias: rounded by itself, to the finer of them.
    rows = dense(frac=(((3.0, 2.0), (1.0, 4.0)),))
    np.testing.assert_array_equal(floats(rows.weight("bias")), [0.375, -0.3125])
    assert rows.rounding == "RND" == rows.output_formats().rounding
    assert dense(use_bias=False).weight("bias") is None and dense(use_bias=False).rounding == "RND"


def test_auto_rounds_where_it_costs_nothing():
    auto = {"paq_conf": {"rnd_strategy": "auto"}}
    assert not dense(**auto).activation_quantizer.floors and dense(use_bias=False, **auto).activation_quantizer.floors
    activation = HGQView(
        "a", "HActivation", {"activation": "tanh", **auto}, {"activation_bw": np.ones((1, 2))}, ((2,),)
    )
    assert activation.rounding == "RND"
    assert not covers_rounding(heavy([[1.0, 2.0]]), None)
    assert not covers_rounding(heavy([[1.0, 2.0]]), np.zeros(2), channels_first=True)


def test_formats_of_a_layer():
    formats = dense().output_formats()
    assert formats.signed.tolist() == [True, True] and (formats.width - formats.integer).tolist() == [3, 2]
    assert formats.integer.tolist() == [2, 2] and formats.overflow == "WRAP"
    assert dense(overflow="SAT").output_formats().overflow == "SAT"
    # Behind a ReLU there is no sign, and a range of its own.
    after = dense("relu", high=0.75).output_formats()
    assert not after.signed.any() and after.integer.tolist() == [0, 0]


def test_sums_wrap_before_a_relu_and_saturate_after_it():
    relu = dense("relu", frac=(((3.0, 2.0), (1.0, 4.0)),))
    sums = relu.part("sums", (3,))
    assert sums.config["activation"] == "linear" and relu.config["activation"] == "relu"
    assert str(sums.output_formats()) == "fixed<7, 2>"
    assert str(dense("relu").part("sums", (3,)).output_formats()) == "fixed<5, 2>"
    assert dense("relu", overflow="SAT").part("sums", (3,)).output_formats() is None
    assert dense().part("sums", (3,)).output_formats() is None
    with pytest.raises(ReadError, match="has no forward"):
        relu.part("forward", (3,))


def test_channels_that_are_always_zero_need_no_bias():
    layer = dense(low=0.0, high=0.0)
    assert not layer.output_formats().live.any() and not layer.weight("bias").raw.any()


def test_a_signature_says_what_samples_are():
    config = {"keep_negative": [[1, 0, 1]], "bits": [[4, 3, 0]], "int_bits": [[2, 0, 5]]}
    formats = HGQView("s", "HGQ>Signature", config, {}, ((3,),)).output_formats()
    values = np.array([[-1.75, 0.625, 3.0]])
    np.testing.assert_array_equal(np.ldexp(from_float(values, formats), -formats.frac), [[-1.75, 0.625, 0.0]])


def test_what_is_missing_is_named():
    layer = dense()
    layer.weights = {"kernel": layer.weights["kernel"]}
    with pytest.raises(ReadError, match=r"no 'kernel_bw' among its weights \(kernel\)"):
        layer.weight("kernel")
    assert layer.weight("moving_mean") is None
    bad = dense()
    bad.weights = {**bad.weights, "kernel": np.full((3, 2), np.nan, "float32")}
    with pytest.raises(ReadError, match="its kernel holds NaN"):
        bad.weight("kernel")
    with pytest.raises(ReadError, match="functions aren't known"):
        bad.function("activation")


def test_statistics_that_no_root_is_taken_of_are_refused():
    layer = dense()
    layer.weights = {**layer.weights, "bn_gamma": np.ones(2), "moving_variance": np.full(2, -1.0)}
    with pytest.raises(ReadError, match="variance plus epsilon isn't positive"):
        layer.weight("kernel")


def test_channels_first_with_bits_by_column_are_refused():
    weights = {
        "kernel": np.ones((1, 1, 2, 3), "float32"),
        "bias": np.ones(3, "float32"),
        "kernel_bw": np.ones((1, 1, 2, 3)),
        "activation_bw": np.ones((1, 3, 5, 5)),
    }
    seen = Range(np.zeros((1, 3, 5, 5), "float32"), np.ones((1, 3, 5, 5), "float32"))
    layer = HGQView("c", "HConv2D", {"data_format": "channels_first"}, weights, ((2, 5, 5),), traced=seen)
    with pytest.raises(ReadError, match="bias of 3 channels has 5 bit widths"):
        layer.weight("bias")


@pytest.mark.parametrize(
    ("name", "shape", "match"),
    [
        ("kernel_bw", (3, 3), r"kernel of shape \(3, 2\) has bits of shape \(3, 3\)"),
        ("kernel_bw", (1, 3, 2), r"kernel of shape \(3, 2\) has bits of shape \(1, 3, 2\)"),
        ("activation_bw", (1, 4, 2), r"bits of shape \(1, 4, 2\) for samples of 1 axes"),
        ("activation_bw", (1, 5), r"bits of shape \(1, 5\), but ranges of shape \(1, 2\)"),
        ("bn_gamma", (5,), "normalisation has 5 channels, and its kernel 2"),
    ],
)
def test_weights_that_do_not_fit_are_refused(name, shape, match):
    layer = dense(use_bias=False)
    layer.weights = {**layer.weights, name: np.ones(shape, "float32")}
    with pytest.raises(ReadError, match=match):
        [layer.weight("kernel"), layer.output_formats()]


def test_functions_round_as_float32_does():
    given = {"activation_bw": np.array([[2.0, 0.0]], "float32")}
    values = np.array([0.12499999, 0.12, 0.49999997, 8388.25, -0.125, 1.4999999, -0.50000006], "float32")
    layer = HGQView("a", "HActivation", {"activation": "f"}, given, ((2,),), functions=lambda name: lambda x: x)
    found = layer.function("activation")(values)
    for frac in (2, 0):
        # Exact rounding of what the function gives, against float32's of the values themselves.
        exact = [(Fraction(v) * 2**frac + Fraction(1, 2)).__floor__() for v in found.tolist()]
        np.testing.assert_array_equal(exact, np.floor(values * np.float32(2.0**frac) + np.float32(0.5)))
    assert (found != values).sum() == 2
    floor = HGQView(
        "a", "HActivation", {"paq_conf": {"rnd_strategy": "floor"}}, given, ((2,),), functions=layer.functions
    )
    np.testing.assert_array_equal(floor.function("activation")(values), values)
