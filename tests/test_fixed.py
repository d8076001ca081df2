"""Rounding, overflow and exact intervals, against plain Python integers and fractions.

The reference below is written from the definitions in AMD UG1399, "Quantization Modes" and "Overflow Modes" of
arbitrary precision fixed-point data types, and from nothing else.
"""

import itertools
import math
from collections import defaultdict
from fractions import Fraction
from functools import cache

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from keras_hls.errors import InvalidData, TooWide
from keras_hls.fixed import (
    MAX_BITS,
    OVERFLOW,
    ROUNDING,
    ZERO_TRAILING,
    Constant,
    Fixed,
    Formats,
    Quantization,
    TensorType,
    bit_length,
    from_float,
    quantize,
    shift_left,
    trailing_zeros,
)

MODES = list(itertools.product(ROUNDING, OVERFLOW))


def nearest(value: Fraction) -> tuple[int, bool]:
    """The integer next below, and whether `value` lies half way to the one above."""
    below = math.floor(value)
    return below, value - below == Fraction(1, 2)


def rounded(value: Fraction, mode: str) -> int:
    below, tie = nearest(value)
    if mode == "TRN":  # toward minus infinity
        return below
    if mode == "TRN_ZERO":  # toward zero
        return math.ceil(value) if value < 0 else below
    if not tie:
        return below + (value - below > Fraction(1, 2))
    return {
        "RND": below + 1,  # ties toward plus infinity
        "RND_MIN_INF": below,  # ties toward minus infinity
        "RND_ZERO": below if value > 0 else below + 1,  # ties toward zero
        "RND_INF": below + 1 if value > 0 else below,  # ties away from zero
        "RND_CONV": below + below % 2,  # ties to the even one
    }[mode]


def limited(n: int, signed: bool, width: int, mode: str) -> int:
    high = 2 ** (width - signed) - 1
    low = -(2 ** (width - 1)) if signed else 0
    if mode == "SAT_SYM" and signed:
        low = -high
    if low <= n <= high:
        return n
    if mode == "WRAP":  # the low bits are kept
        n %= 2**width
        return n - 2**width if signed and n >= 2 ** (width - 1) else n
    if mode == "SAT_ZERO":
        return 0
    return high if n > high else low


def power(exponent: int) -> Fraction:
    return Fraction(2) ** exponent


@cache
def cast(value: Fraction, signed: bool, width: int, integer: int, rounding: str, overflow: str) -> Fraction:
    """What ap_[u]fixed<width, integer, rounding, overflow> makes of a number; 0 without bits."""
    if width <= 0:
        return Fraction(0)
    least = power(integer - width)
    return limited(rounded(value / least, rounding), signed, width, overflow) * least


def of_fixed(value: Fraction, fixed: Fixed) -> Fraction:
    return cast(value, fixed.signed, fixed.width, fixed.integer, fixed.rounding, fixed.overflow)


MODE_PAIRS = st.tuples(st.sampled_from(ROUNDING), st.sampled_from(OVERFLOW))


@st.composite
def fixed_types(draw, fracs: st.SearchStrategy[int]):
    """Types of any mode; with integer bits that are negative, or more than the width, where `fracs` are wide."""
    signed = draw(st.booleans())
    width = min(draw(st.one_of(st.integers(1, 10), st.integers(1, MAX_BITS))), MAX_BITS - (not signed))
    return Fixed(signed, width, width - draw(fracs), *draw(MODE_PAIRS))


@st.composite
def interesting(draw, fixed: Fixed, frac: int):
    """Raw integers in units of 2**-frac that lie at ends, ties and grid points of `fixed`, and next to those."""
    drop = frac - fixed.frac
    span = 2 ** (fixed.width - fixed.signed)
    ends = [0, 1, 2, 3, span - 1, span, span + 1, 2 * span, 3 * span]
    n = draw(
        st.one_of(
            st.sampled_from([*ends, *(-end for end in ends)]),
            st.integers(-2 * span, 2 * span),
            st.integers(-(2**64), 2**64),
        )
    )
    if drop <= 0:
        return n >> -drop if draw(st.booleans()) else n
    return n * 2**drop + draw(st.sampled_from([0, 2 ** (drop - 1)])) + draw(st.sampled_from([-1, 0, 1]))


# --- types ---------------------------------------------------------------------------------------------------------


@given(fixed_types(st.integers(-80, 80)))
def test_range_of_a_type(fixed):
    values = 2**fixed.width
    assert fixed.high - fixed.low + 1 == values
    assert fixed.low == (-values // 2 if fixed.signed else 0)
    assert fixed.frac == fixed.width - fixed.integer


def fits(fixed: Fixed, n: int) -> bool:
    return fixed.low <= n <= fixed.high


INT63 = st.one_of(
    st.integers(-(2**62), 2**62 - 1),
    st.integers(-20, 20),
    st.integers(0, 62).flatmap(lambda k: st.sampled_from([2**k - 1, -(2**k), 1 - 2**k, -(2**k) - 1])),
).filter(lambda n: -(2**62) <= n < 2**62)


@given(INT63, INT63, st.integers(-9, 9))
def test_covering_is_the_narrowest_type(a, b, frac):
    low, high = sorted((a, b))
    fixed = Fixed.covering(low, high, frac)
    assert fixed.frac == frac
    assert fits(fixed, low)
    assert fits(fixed, high)
    assert fixed.signed == (low < 0)
    if fixed.width > 1:
        narrower = Fixed(fixed.signed, fixed.width - 1, fixed.width - 1 - frac)
        assert not (fits(narrower, low) and fits(narrower, high))


@pytest.mark.parametrize(
    ("low", "high", "text"),
    [
        (0, 0, "ufixed<1, 1>"),
        (0, 1, "ufixed<1, 1>"),
        (-1, 0, "fixed<1, 1>"),
        (-1, -1, "fixed<1, 1>"),
        (-4, -4, "fixed<3, 3>"),
        (-4, 4, "fixed<4, 4>"),
        (-5, 3, "fixed<4, 4>"),
        (-(2**62), -(2**62), "fixed<63, 63>"),
    ],
)
def test_covering_of(low, high, text):
    assert str(Fixed.covering(low, high, 0)) == text


def test_str_names_modes_only_where_they_matter():
    assert str(Fixed(True, 8, 3)) == "fixed<8, 3>"
    assert str(Fixed(False, 8, -3, "RND", "WRAP")) == "ufixed<8, -3, RND, WRAP>"


@pytest.mark.parametrize(("signed", "most"), [(True, 63), (False, 62)])
def test_wider_types_are_refused(signed, most):
    assert Fixed(signed, most, 0).width == most
    assert Formats(signed, [most, 3], 0).width.tolist() == [most, 3]
    with pytest.raises(TooWide):
        Fixed(signed, most + 1, 0)
    with pytest.raises(TooWide):
        Formats(signed, [3, most + 1], 0)


def test_types_without_sense_are_refused():
    with pytest.raises(ValueError, match="at least 1 bit"):
        Fixed(True, 0, 0)
    with pytest.raises(ValueError, match="Did you mean 'RND_CONV'"):
        Fixed(True, 4, 2, "RND_CNV")
    with pytest.raises(ValueError, match="Overflow mode must be one of"):
        Formats(True, 4, 2, "TRN", "CLIP")


@given(fixed_types(st.integers(-20, 20)), st.lists(st.integers(1, 3), max_size=3))
def test_uniform_formats(fixed, shape):
    formats = Formats.of(fixed)
    assert formats.uniform == fixed
    assert formats.shape == ()
    assert formats.frac == fixed.frac
    # The same type spelled out for every element is still one type.
    every = Formats(np.full(shape, fixed.signed), fixed.width, fixed.integer, fixed.rounding, fixed.overflow)
    assert every.uniform == fixed
    assert every.shape == tuple(shape)


@pytest.mark.parametrize(
    "formats",
    [
        Formats([True, False], 4, 2),
        Formats(True, [4, 5], 2),
        Formats(True, 4, [2, 1]),
        Formats(True, [4, 0], 2),
        Formats(True, 0, 0),
        Formats(True, -3, 2),
        Formats(True, np.zeros((0, 3), int), 0),
    ],
)
def test_formats_that_are_not_uniform(formats):
    assert formats.uniform is None


def test_formats_know_their_finest_live_element():
    assert Formats(True, [4, 0, 8, -2], [9, -50, 5, -50]).frac == 3
    assert Formats(True, [0, -1], [-50, 3]).frac == 0
    assert Formats(True, [4, 8], [9, 12]).frac == -4


def test_formats_are_equal_by_value():
    a = Formats([True, False], [3, 4], 2, "RND", "SAT")
    assert a == Formats([1, 0], np.array([3, 4]), [2, 2], "RND", "SAT")
    for other in (
        Formats([True, True], [3, 4], 2, "RND", "SAT"),
        Formats([True, False], [3, 5], 2, "RND", "SAT"),
        Formats([True, False], [3, 4], 3, "RND", "SAT"),
        Formats([True, False], [3, 4], 2, "TRN", "SAT"),
        Formats([True, False], [3, 4], 2, "RND", "WRAP"),
        Formats([[True, False]], [3, 4], 2, "RND", "SAT"),
    ):
        assert a != other


# --- integers ------------------------------------------------------------------------------------------------------

INT64 = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.integers(0, 63).flatmap(lambda k: st.sampled_from([2**k, 2**k - 1, 2**k + 1, -(2**k), -(2**k) + 1])),
).filter(lambda n: -(2**63) <= n < 2**63)


@given(st.lists(INT64, max_size=20))
def test_trailing_zeros(values):
    wanted = [(n & -n).bit_length() - 1 if n else ZERO_TRAILING for n in values]
    assert trailing_zeros(values).tolist() == wanted


@given(st.lists(INT64, max_size=20))
def test_bit_length(values):
    assert bit_length(values).tolist() == [n.bit_length() if n > 0 else 0 for n in values]


@given(st.lists(INT63, max_size=6), st.integers(0, 70))
def test_shift_left_is_exact_or_refused(values, bits):
    raw = np.asarray(values, np.int64)
    exact = [n * 2**bits for n in values]
    try:
        assert shift_left(raw, bits).tolist() == exact
    except TooWide:
        assert any(abs(n) >= 2**62 for n in exact)


def test_shift_left_to_the_right_is_refused():
    with pytest.raises(ValueError, match="zero or positive"):
        shift_left(np.array([4]), -1)


# --- tensor types --------------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(INT63, INT63), min_size=1, max_size=8), st.integers(-9, 9))
def test_tensor_type(ends, frac):
    low, high = (list(side) for side in zip(*map(sorted, ends)))
    kind = TensorType(low, high, frac)
    assert kind.size == len(low)
    assert kind.hull.frac == frac
    assert all(fits(kind.hull, n) for n in low + high)
    for i, (lo, hi) in enumerate(zip(low, high)):
        bits = Fixed.covering(lo, hi, 0).width if lo != hi else 0
        assert kind.widths[i] == bits
        assert kind.zeros[i] == (trailing_zeros(lo) if lo == hi else 0)


def test_trailing_zeros_narrow_an_element():
    kind = TensorType([-16, 0, 8], [8, 4, 8], 0, [3, 2, 0])
    assert kind.zeros.tolist() == [3, 2, 3]
    assert kind.widths.tolist() == [2, 1, 0]


def test_tensor_types_refuse_what_63_bits_do_not_hold():
    assert TensorType(-(2**62), 2**62 - 1, 0).hull.width == 63
    for low, high in ((0, 2**62), (-(2**62) - 1, 0), (0, 2**63 - 1)):
        with pytest.raises(TooWide):
            TensorType(low, high, 0)
    with pytest.raises(ValueError, match="must not be above"):
        TensorType([0, 3], [0, 2], 0)


@given(st.lists(st.integers(-(2**53), 2**53), min_size=1), st.integers(-900, 1000))
def test_to_float_is_exact_up_to_53_bits(values, frac):
    kind = TensorType(values, values, frac)
    floats = kind.to_float(np.asarray([values]))
    assert [Fraction(f) for f in floats[0]] == [n * power(-frac) for n in values]


# --- constants -----------------------------------------------------------------------------------------------------

FINITE = st.floats(allow_nan=False, allow_infinity=False)


@given(
    st.one_of(
        st.lists(FINITE, max_size=4),
        st.lists(st.integers(-(2**20), 2**20).map(lambda n: n / 2**9), max_size=8),
        st.lists(st.builds(math.ldexp, st.integers(-(2**53), 2**53), st.integers(-10, 12)), max_size=5),
    )
)
def test_constants_are_exact_and_narrow(values):
    exact = [Fraction(v) for v in values]
    # The finest bit that any of them needs.
    frac = max((v.denominator.bit_length() - 1 for v in exact), default=0)
    while values and any(exact) and all((v * power(frac - 1)).denominator == 1 for v in exact):
        frac -= 1
    raw = [v * power(frac) for v in exact]
    try:
        constant = Constant.exactly(values)
    except TooWide:
        assert any(abs(n) >= 2**62 for n in raw)
        return
    assert all(-(2**62) <= n < 2**62 for n in raw)
    assert [int(n) * power(-constant.frac) for n in constant.raw] == exact
    if any(exact):
        assert constant.frac == frac


def test_constants_at_the_ends_of_float64():
    tiny, huge = 5e-324, 1.7976931348623157e308
    assert (Constant.exactly([tiny, 3 * tiny]).raw.tolist(), Constant.exactly(tiny).frac) == ([1, 3], 1074)
    assert (Constant.exactly(-huge).raw.tolist(), Constant.exactly(huge).frac) == (-(2**53 - 1), -971)
    with pytest.raises(TooWide):
        Constant.exactly([tiny, huge])
    with pytest.raises(TooWide):
        Constant.exactly([2.0**62, 1.0])
    assert Constant.exactly(np.zeros((2, 0))).shape == (2, 0)
    assert Constant.exactly([0.0, -0.0]).frac == 0


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_constants_are_finite(value):
    with pytest.raises(InvalidData):
        Constant.exactly([1.0, value])


def test_aligned_constants():
    constant = Constant(np.array([[3, -5]]), 2)
    assert constant.aligned(5).tolist() == [[24, -40]]
    assert (constant.type.low == constant.raw).all()
    with pytest.raises(TooWide):
        constant.aligned(63)


# --- casts of integers ---------------------------------------------------------------------------------------------


@st.composite
def casts(draw):
    """A type, a frac, and raw integers that are interesting for both."""
    frac = draw(st.integers(-30, 30))
    fixed = draw(fixed_types(st.integers(-40, 40).map(lambda d: frac + d)))
    raw = draw(st.lists(interesting(fixed, frac), min_size=1, max_size=12))
    return fixed, frac, [n for n in raw if -(2**62) <= n < 2**62]


@settings(max_examples=500)
@given(casts())
def test_quantize(case):
    fixed, frac, raw = case
    values = [n * power(-frac) for n in raw]
    exact = [of_fixed(v, fixed) for v in values]
    try:
        result, result_frac = quantize(raw, frac, fixed)
    except TooWide:
        # Refused is only what needs more than 63 bits on the common grid.
        grid = max(frac, fixed.frac)
        lifted = [abs(n) << (grid - frac) for n in raw]
        assert max([*lifted, 0]) + (1 << (grid - fixed.frac)) >= 2**61 or fixed.width + grid - fixed.frac >= 62
        return
    assert result_frac == fixed.frac
    assert [int(n) * power(-result_frac) for n in result] == exact


@pytest.mark.parametrize(("rounding", "overflow"), MODES)
def test_quantize_small_types_exhaustively(rounding, overflow):
    raw = np.arange(-40, 41)
    values = [n * power(-3) for n in range(-40, 41)]
    for signed, width, frac in itertools.product((False, True), range(1, 6), range(-2, 6)):
        fixed = Fixed(signed, width, width - frac, rounding, overflow)
        result, result_frac = quantize(raw, 3, fixed)
        assert [int(n) * power(-result_frac) for n in result] == [of_fixed(v, fixed) for v in values], str(fixed)


@pytest.mark.parametrize(
    ("fixed", "raw", "frac"),
    [
        # Rounding up leaves the 63 bits of the common grid.
        (Fixed(True, 41, 41, "RND", "SAT"), 2**62 - 1, 30),
        (Fixed(True, 41, 41, "RND", "WRAP"), 2**62 - 1, 30),
        (Fixed(True, 33, 33, "RND", "WRAP"), 2**62 - 1, 30),
        (Fixed(True, 41, 41, "RND_INF", "SAT_SYM"), -(2**62) + 1, 30),
        (Fixed(True, 41, 41, "TRN", "SAT_SYM"), -(2**62), 30),
        # Wrapping a negative number to a type whose range doesn't fit the grid.
        (Fixed(False, 40, 40, "TRN", "WRAP"), -1, 30),
        (Fixed(False, 62, 62, "TRN", "WRAP"), -3, 1),
        (Fixed(True, 63, 63, "TRN", "WRAP"), 2**62 - 1, 0),
        (Fixed(True, 62, 63, "RND", "WRAP"), 2**62 - 1, 0),
    ],
)
@pytest.mark.parametrize("shape", [(), (2,)])
def test_casts_at_63_bits_are_right_or_refused(fixed, raw, frac, shape):
    try:
        result, result_frac = quantize(np.full(shape, raw), frac, fixed)
    except TooWide:
        return
    assert {int(n) * power(-result_frac) for n in result.reshape(-1)} == {of_fixed(raw * power(-frac), fixed)}


def test_a_cast_to_a_grid_beyond_63_bits_is_refused():
    for fixed in (Fixed(True, 8, 70), Fixed(True, 8, -60)):
        with pytest.raises(TooWide):
            quantize([1000], 0, fixed)


def test_quantize_leaves_its_argument_alone():
    raw = np.arange(-8, 8)
    before = raw.copy()
    for rounding, overflow in MODES:
        quantize(raw, 2, Fixed(True, 3, 2, rounding, overflow))
        assert (raw == before).all()


# --- exact types of casts ------------------------------------------------------------------------------------------


def heterogeneous(rounding, overflow, least=-5, most=5):
    """Every interval on every grid, cast to every small type: one element each."""
    rows = []
    for zeros in range(3):
        step = 1 << zeros
        points = [n for n in range(least, most + 1) if n % step == 0]
        for low, high in itertools.combinations_with_replacement(points, 2):
            for signed, width, frac in itertools.product((False, True), (0, 1, 2, 3), (-3, -2, -1, 0, 1)):
                rows.append((low, high, zeros, signed, width, width - frac))
    low, high, zeros, signed, width, integer = (np.array(column) for column in zip(*rows))
    return rows, TensorType(low, high, 0, zeros), Formats(signed, width, integer, rounding, overflow)


@pytest.mark.parametrize(("rounding", "overflow"), MODES)
def test_type_of_a_cast_holds_all_and_is_tight(rounding, overflow):
    rows, source, formats = heterogeneous(rounding, overflow)
    cast_all = Quantization(formats, source)
    kind = cast_all.type
    values = np.arange(-5, 6)
    results = cast_all(np.clip(values[:, None], source.low, source.high))
    assert kind.frac == formats.frac == 1
    problems = defaultdict(list)
    for i, (low, high, zeros, signed, width, integer) in enumerate(rows):
        inside = [n for n in range(low, high + 1) if n % (1 << zeros) == 0]
        exact = [cast(Fraction(n), signed, width, integer, rounding, overflow) * power(kind.frac) for n in inside]
        got = [int(results[n + 5, i]) for n in inside]
        if got != exact:
            problems["values"].append(rows[i])
        if width > 0:
            least = power(integer - width)
            wide = [rounded(n / least, rounding) for n in inside]
            lost = any(w * least != n for w, n in zip(wide, inside))
            over = any(limited(w, signed, width, overflow) != w for w in wide)
        else:
            lost = over = False
        if lost != cast_all.rounds[i]:
            problems["rounds"].append(rows[i])
        if over != cast_all.overflows[i]:
            problems["overflows"].append(rows[i])
        if not (kind.low[i] <= min(exact) and max(exact) <= kind.high[i]):
            problems["not held"].append(rows[i])
        if any(n % (1 << int(kind.zeros[i])) for n in exact if n):
            problems["zeros"].append(rows[i])
        if overflow != "WRAP" or not over:
            if (kind.low[i], kind.high[i]) != (min(exact), max(exact)):
                problems["not tight"].append(rows[i])
            if not over and kind.zeros[i] != min(int(trailing_zeros(int(n))) for n in exact):
                problems["zeros not tight"].append(rows[i])
    assert {what: (len(found), found[:3]) for what, found in problems.items()} == {}


@st.composite
def wide_casts(draw):
    """A tensor of wide elements, each of its own interval, grid and format."""
    size = draw(st.integers(1, 5))
    frac = draw(st.integers(-5, 20))
    ends, zeros = [], []
    for _ in range(size):
        tz = draw(st.integers(0, 6))
        a, b = (draw(st.integers(-(2**40), 2**40)) << tz for _ in range(2))
        ends.append(sorted((a, b)))
        zeros.append(tz)
    source = TensorType([e[0] for e in ends], [e[1] for e in ends], frac, zeros)
    signed = draw(st.lists(st.booleans(), min_size=size, max_size=size))
    width = draw(st.lists(st.integers(-1, 48), min_size=size, max_size=size))
    fracs = draw(st.lists(st.integers(-12, 24), min_size=size, max_size=size))
    formats = Formats(signed, width, np.array(width) - fracs, *draw(MODE_PAIRS))
    rows = []
    for _ in range(draw(st.integers(1, 6))):
        rows.append([draw(st.integers(lo >> z, hi >> z)) << z for (lo, hi), z in zip(ends, zeros)])
    rows += [[e[0] for e in ends], [e[1] for e in ends]]
    return source, formats, rows


@settings(max_examples=400)
@given(wide_casts())
def test_wide_heterogeneous_casts(case):
    source, formats, rows = case
    try:
        quantization = Quantization(formats, source)
    except TooWide:
        return
    kind = quantization.type
    result = quantization(np.asarray(rows))
    step = 1 << kind.zeros
    for row, answers in zip(rows, result):
        for i, (n, answer) in enumerate(zip(row, answers)):
            format_ = (bool(formats.signed[i]), int(formats.width[i]), int(formats.integer[i]))
            exact = cast(n * power(-source.frac), *format_, formats.rounding, formats.overflow)
            assert int(answer) * power(-kind.frac) == exact
            assert kind.low[i] <= answer <= kind.high[i]
            assert answer == 0 or answer % step[i] == 0


# --- casts of floats -----------------------------------------------------------------------------------------------


@st.composite
def floats_for(draw, fixed: Fixed):
    """Floats at, and a last bit beside, ends, ties and grid points of a type; and any float at all."""
    raw = draw(interesting(fixed, fixed.frac + 1))
    exact = raw * power(-fixed.frac - 1)
    try:
        near = float(exact)
    except OverflowError:
        near = math.copysign(1.7e308, raw)
    beside = [near, math.nextafter(near, math.inf), math.nextafter(near, -math.inf)]
    return draw(st.one_of(st.sampled_from(beside).filter(math.isfinite), FINITE))


@st.composite
def float_casts(draw):
    fixed = draw(fixed_types(st.one_of(st.integers(-8, 30), st.integers(-70, 70), st.integers(-1200, 1200))))
    return fixed, draw(st.lists(floats_for(fixed), min_size=1, max_size=12))


@settings(max_examples=400)
@given(float_casts())
@pytest.mark.filterwarnings("error")
def test_from_float(case):
    fixed, values = case
    assert from_float(values, fixed).tolist() == [of_fixed(Fraction(v), fixed) * power(fixed.frac) for v in values]


@pytest.mark.parametrize("overflow", OVERFLOW)
@pytest.mark.parametrize("rounding", ROUNDING)
@pytest.mark.filterwarnings("error")
def test_from_float_at_every_end(rounding, overflow):
    for signed, width, frac in itertools.product((False, True), (1, 2, 8, 52, 53, 54, 55, 61, 62, 63), (-3, 0, 20)):
        if width - signed >= 63:
            continue
        fixed = Fixed(signed, width, width - frac, rounding, overflow)
        ends = [0, fixed.low, fixed.high, fixed.high + 1, 2 * fixed.low, 4 * fixed.high, 2**61, 2**62, 2**63, 2**100]
        near = [sign * float(n * power(-frac)) for n in ends for sign in (1, -1)]
        half = float(power(-frac - 1))
        values = [v for n in near for v in (n, n + half, n - half, math.nextafter(n, math.inf), math.nextafter(n, 0.0))]
        values += [1e300, -1e300, 1.7e308, -1.7e308, 5e-324, -5e-324, 0.49999999999999994, -0.0]
        single = np.array([v for v in values if abs(v) < 1e38], np.float32)
        for array in (values, single, single[np.abs(single) < fixed.high]):
            wanted = [of_fixed(Fraction(float(v)), fixed) * power(frac) for v in array]
            assert from_float(array, fixed).tolist() == wanted, str(fixed)


@pytest.mark.parametrize(("rounding", "overflow"), MODES)
@pytest.mark.filterwarnings("error")
def test_from_float_of_random_types(rounding, overflow):
    rng = np.random.default_rng(MODES.index((rounding, overflow)))
    for _ in range(25):
        signed = bool(rng.integers(2))
        width = int(rng.integers(1, 64 - (not signed)))
        frac = int(rng.choice([rng.integers(-5, 20), rng.integers(-70, 90), rng.integers(-1100, 1100)]))
        fixed = Fixed(signed, width, width - frac, rounding, overflow)
        # Magnitudes around the least bit and the range, ties among them, in double and in single precision.
        scale = np.concatenate([np.full(20, 3 - frac), rng.integers(-3 - frac, width + 4 - frac, 20)])
        values = np.ldexp(rng.choice([rng.normal(size=40), rng.integers(-40, 40, 40) / 4]), np.clip(scale, -1076, 1015))
        single = values[np.abs(values) < 1e38].astype(np.float32)
        half = values[np.abs(values) < 6e4].astype(np.float16)
        for array in (values, single, half, np.nextafter(single, np.float32(0)), values[:1], single[:0]):
            wanted = [of_fixed(Fraction(float(v)), fixed) * power(frac) for v in array]
            assert from_float(array, fixed).tolist() == wanted, f"{fixed} of {array.dtype}"


@st.composite
def heterogeneous_floats(draw):
    size = draw(st.integers(1, 5))
    width = draw(st.lists(st.integers(-2, 38), min_size=size, max_size=size))
    signed = draw(st.lists(st.booleans(), min_size=size, max_size=size))
    fracs = draw(st.lists(st.integers(-10, 14), min_size=size, max_size=size))
    formats = Formats(signed, width, np.array(width) - fracs, *draw(MODE_PAIRS))
    rows = []
    for _ in range(draw(st.integers(1, 4))):
        rows.append([draw(floats_for(Fixed(s, max(w, 1), max(w, 1) - f))) for s, w, f in zip(signed, width, fracs)])
    return formats, rows


@settings(max_examples=200)
@given(heterogeneous_floats())
@pytest.mark.filterwarnings("error")
def test_from_float_per_element(case):
    formats, rows = case
    single = np.clip(rows, -1e38, 1e38).astype(np.float32)
    for array in (np.asarray(rows), single, single[:, :1], single[0]):
        spread, result = (np.broadcast_to(a, np.shape(rows)) for a in (array, from_float(array, formats)))
        for row, answers in zip(spread, result):
            for i, (value, answer) in enumerate(zip(row, answers)):
                format_ = (bool(formats.signed[i]), int(formats.width[i]), int(formats.integer[i]))
                exact = cast(Fraction(float(value)), *format_, formats.rounding, formats.overflow)
                assert int(answer) * power(-formats.frac) == exact


def test_from_float_refuses_formats_that_together_span_more_than_63_bits():
    wide = Formats(True, [40, 30], [40, 0], "TRN", "SAT")
    with pytest.raises(TooWide):
        from_float([[2.0**38, 0.5]], wide)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.int8, np.uint8, np.int64, np.uint64, bool])
def test_from_float_takes_any_number(dtype):
    values = np.array([0, 1, 1, 0, 1], dtype) if dtype is bool else np.array([0, 1, 3, 100, 77], dtype)
    fixed = Fixed(True, 6, 8, "RND", "SAT")
    wanted = [int(of_fixed(Fraction(float(v)), fixed) * power(fixed.frac)) for v in values]
    assert from_float(values, fixed).tolist() == wanted


@settings(max_examples=300)
@given(
    fixed_types(st.integers(-12, 12)),
    st.one_of(
        st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1).map(lambda v: np.array(v, np.int64)),
        st.lists(st.integers(0, 2**64 - 1), min_size=1).map(lambda v: np.array(v, np.uint64)),
    ),
)
def test_from_float_of_large_integers_is_exact(fixed, values):
    wanted = [of_fixed(Fraction(int(v)), fixed) * power(fixed.frac) for v in values]
    try:
        answers = from_float(values, fixed)
    except TooWide:
        assume(False)
    assert answers.tolist() == wanted


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_from_float_refuses_what_is_no_number(value):
    with pytest.raises(InvalidData, match="NaN or infinite"):
        from_float([0.5, value], Fixed(True, 8, 3))


def test_from_float_of_nothing():
    assert from_float(np.zeros((0, 3)), Fixed(True, 8, 3)).shape == (0, 3)
    assert from_float(np.zeros((0, 2)), Formats(True, [3, 0], 1)).shape == (0, 2)
    assert from_float(np.full((2, 1), 9.9), Formats(True, [[0]], 5)).tolist() == [[0], [0]]


@pytest.mark.parametrize("rounding", ROUNDING)
@pytest.mark.parametrize("overflow", OVERFLOW)
def test_single_floats_are_cast_as_doubles_are(rounding: str, overflow: str) -> None:
    """Samples mostly come as float32, which takes the shortest way where it is exact."""
    rng = np.random.default_rng(7)
    for width_limit in (8, 22, 40):
        shape = (12,)
        signed = rng.integers(0, 2, shape).astype(bool)
        width = rng.integers(0, width_limit, shape)
        formats = Formats(signed, width, rng.integers(-3, 9, shape), rounding, overflow)
        uniform = Formats.of(Fixed(True, width_limit, 4, rounding, overflow))
        for chosen in (formats, uniform):
            grid = np.ldexp(1.0, -chosen.frac - 1)
            ties = rng.integers(-(2**12), 2**12, (200, *shape)) * grid
            values = np.concatenate([ties, rng.normal(0, 20, (200, *shape)), rng.normal(0, 1e30, (20, *shape))])
            single = np.nextafter(values.astype(np.float32), np.float32(0) if width_limit > 20 else np.float32(np.inf))
            for x in (values.astype(np.float32), single):
                wanted = np.stack([from_float(row, chosen) for row in x.astype(np.float64)])
                np.testing.assert_array_equal(from_float(x, chosen), wanted)
