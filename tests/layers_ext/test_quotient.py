"""Quotient: division by whole numbers that every later rounding takes for the real one."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_hls.errors import TooWide
from keras_hls.fixed import ROUNDING, Constant, Fixed, Formats, Quantization, TensorType
from keras_hls.frontends.view import Builder, Ref
from keras_hls.graph import Input
from keras_hls.layers_ext.quotient import Quotient, divide
from keras_hls.layers_ext.scale import Scale
from keras_hls.testing import Case, check_ops


def rounded(value: Fraction, mode: str) -> int:
    """A real number to a whole one, as the modes of ap_fixed say it."""
    below = value.numerator // value.denominator
    part = value - below
    half = Fraction(1, 2)
    if mode == "TRN" or part == 0:
        return below
    if mode == "TRN_ZERO":
        return below + (value < 0)
    if part != half:
        return below + (part > half)
    return {
        "RND": below + 1,
        "RND_ZERO": below + (value < 0),
        "RND_INF": below + (value > 0),
        "RND_MIN_INF": below,
        "RND_CONV": below + (below % 2),
    }[mode]


@settings(max_examples=200)
@given(st.integers(0, 2**32 - 1), st.sampled_from(ROUNDING))
def test_any_cast_behind_it_gets_what_the_real_quotient_would_give(random_type, on_grid, seed, mode):
    rng = np.random.default_rng(seed)
    x = random_type(rng, (4,), 12)
    divisor = rng.integers(1, 40, (4,))
    frac = int(rng.integers(-4, 9))
    y = Quotient(Constant(divisor, 0)).settle(x, frac=frac)
    raw = on_grid(rng, x, 20)
    cast = Quantization(Formats.of(Fixed(True, 40, 40 - frac, mode, "SAT")), y.infer(x))
    answers = cast(y.bind(x)(raw))
    for row, answer in zip(raw, answers):
        real = [Fraction(int(r), int(d)) * Fraction(2) ** (frac - x.frac) for r, d in zip(row, divisor)]
        assert answer.tolist() == [rounded(value, mode) << (cast.type.frac - frac) for value in real]
    assert y.error(x) == 0.0


def test_cpp():
    rng = np.random.default_rng(0)
    cases = []
    for i in range(60):
        shape = [(4,), (), (3, 1), (3, 4)][i % 4]
        divisor = rng.integers(1, 300 if i % 3 else 9, shape)
        width, point, signed = int(rng.integers(1, 18)), int(rng.integers(-3, 8)), bool(rng.integers(2))
        kind = TensorType.of(Fixed(signed, width, width - point), (3, 4))
        cases.append(Case(Quotient(Constant(divisor, 0), frac=point + int(rng.integers(-5, 15))), (kind,)))
    check_ops(cases, samples=300)


def test_left_open_it_is_finer_than_its_input_and_says_how_far_it_is_off():
    x = TensorType.of(Fixed(True, 8, 4), (2,))
    y = Quotient(Constant(np.array(3), 0)).settle(x, frac=None)
    # Twenty-four bits from the largest quotient down, which is above two.
    assert y.infer(x).frac == 22
    assert y.error(x) == 2.0**-22
    raw = np.arange(-128, 128)[:, None].repeat(2, 1)
    assert np.abs(y.infer(x).to_float(y.bind(x)(raw)) - raw / 16 / 3).max() <= y.error(x)
    assert y.settle(x, frac=3) is y


def test_powers_of_two_are_shifts():
    def ops(divisors):
        build = Builder()
        x = build.add(Input((2, 2)), name="x")
        divide(build, x, divisors, name="y", layer="y")
        return [type(node.op) for node in build.graph([Ref("x")], ["x"])][1:]

    assert ops(4) == ops([[1, 2]]) == [Scale]
    assert ops(1) == ops([1, 1]) == []
    assert ops(3) == ops([4, 6]) == [Quotient]


def test_what_is_no_positive_whole_number_is_refused():
    x = TensorType.of(Fixed(True, 8, 4), (2,))
    for divisor in (Constant(np.array(0), 0), Constant(np.array([3, -1]), 0), Constant(np.array(3), 1)):
        with pytest.raises(ValueError, match="positive whole numbers"):
            Quotient(divisor, frac=4).infer(x)


def test_too_many_bits_on_the_way_are_refused():
    with pytest.raises(TooWide, match="a quotient to 30 fractional bits"):
        Quotient(Constant(np.array(3), 0), frac=30).infer(TensorType.of(Fixed(True, 30, 30), (2,)))


def test_before_its_precision_is_settled_it_has_no_type():
    with pytest.raises(ValueError, match="before a pass has chosen its precision"):
        Quotient(Constant(np.array(3), 0)).infer(TensorType.of(Fixed(True, 8, 4), (2,)))


def test_a_divisor_of_many_bits_keeps_its_quotients_bits():
    """As x / float32(0.1), whose point is moved first."""
    x = TensorType.of(Fixed(True, 6, 31), (2,))
    y = Quotient(Constant(np.array(13421773), 0)).settle(x, frac=None)
    assert y.infer(x).frac >= 14
    raw = np.arange(-32, 32)[:, None].repeat(2, 1)
    wanted = np.ldexp(raw.astype(float), 25) / 13421773
    assert np.abs(y.infer(x).to_float(y.bind(x)(raw)) - wanted).max() <= y.error(x)
    check_ops([Case(y, (x,))], samples=60)
