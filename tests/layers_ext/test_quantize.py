"""Quantize: every mode, one type for all or one an element, in integers and in C++; and what it takes in hardware."""

import itertools

import numpy as np
import pytest

from keras_hls.errors import TooWide
from keras_hls.fixed import OVERFLOW, ROUNDING, Fixed, Formats, TensorType
from keras_hls.layers_ext.quantize import Quantize
from keras_hls.op import Plan, Unit
from keras_hls.testing import Case, check_op, check_ops

MODES = list(itertools.product(ROUNDING, OVERFLOW))


def cast(raw: int, frac: int, signed: bool, width: int, integer: int, rounding: str, overflow: str) -> tuple[int, int]:
    """Raw integer and frac of what a type makes of ``raw * 2**-frac``, after UG1399, in Python's integers."""
    own = width - integer
    if width <= 0:
        return 0, 0
    if own >= frac:
        n = raw << (own - frac)
    else:
        unit = 1 << (frac - own)
        n, rest = divmod(raw, unit)
        up = {
            "TRN": False,
            "TRN_ZERO": raw < 0 and rest > 0,
            "RND": 2 * rest >= unit,
            "RND_MIN_INF": 2 * rest > unit,
            "RND_INF": 2 * rest > unit or (2 * rest == unit and raw > 0),
            "RND_ZERO": 2 * rest > unit or (2 * rest == unit and raw < 0),
            "RND_CONV": 2 * rest > unit or (2 * rest == unit and n % 2 == 1),
        }[rounding]
        n += up
    high = (1 << (width - signed)) - 1
    low = -high - (overflow != "SAT_SYM") if signed else 0
    if not low <= n <= high:
        wrapped = (n + (1 << width)) % (1 << width)
        wrapped -= (1 << width) if signed and wrapped > high else 0
        n = {"WRAP": wrapped, "SAT_ZERO": 0}.get(overflow, high if n > high else low)
    return n, own


def random_formats(rng, x: TensorType, rounding: str, overflow: str, uniform: bool) -> Formats:
    """Formats around the input's own: some cut off nothing, some everything."""
    shape = () if uniform else x.shape[int(rng.integers(0, len(x.shape))) :]
    top = int(x.widths.max(initial=1)) - x.frac
    least = 1 if uniform else -1
    frac = x.frac + rng.integers(-8, 3, shape)
    width = np.maximum(top + rng.integers(-4, 3, shape) + frac, least)
    if not uniform:
        width = np.where(rng.random(shape) < 0.15, rng.integers(-1, 2, shape), width)
    return Formats(rng.random(shape) < 0.6, np.minimum(width, 50), np.minimum(width, 50) - frac, rounding, overflow)


def random_casts(rng, random_type, bits: int, uniform: bool):
    found = []
    for rounding, overflow in MODES:
        while True:
            shape = tuple(int(n) for n in rng.integers(1, 5, rng.integers(1, 4)))
            x = random_type(rng, shape, bits)
            op = Quantize(random_formats(rng, x, rounding, overflow, uniform))
            try:
                op.infer(x)
            except TooWide:
                assert bits > 30, "refused, though it fits"
                continue
            found.append((op, x))
            break
    return found


@pytest.mark.parametrize(("bits", "uniform"), list(itertools.product((3, 9, 20, 40), (True, False))))
def test_values_are_exact(random_type, on_grid, bits, uniform):
    rng = np.random.default_rng(bits)
    for op, x in random_casts(rng, random_type, bits, uniform) * 2:
        raw = np.concatenate([on_grid(rng, x, 20), x.low[None], x.high[None]])
        y = op.infer(x)
        signed, width, integer = (
            np.broadcast_to(a, x.shape).reshape(-1) for a in (op.formats.signed, op.formats.width, op.formats.integer)
        )
        for row, answers in zip(raw.reshape(len(raw), -1), op.bind(x)(raw).reshape(len(raw), -1)):
            for n, answer, *own in zip(row, answers, signed, width, integer):
                one = bool(own[0]), int(own[1]), int(own[2])
                wanted, frac = cast(int(n), x.frac, *one, op.formats.rounding, op.formats.overflow)
                assert int(answer) == wanted * 2 ** (y.frac - frac) if wanted else answer == 0


@pytest.mark.parametrize(("bits", "uniform"), list(itertools.product((3, 10, 40), (True, False))))
def test_cpp(random_type, bits, uniform):
    rng = np.random.default_rng(100 + bits)
    check_ops([Case(op, (x,)) for op, x in random_casts(rng, random_type, bits, uniform)], samples=60)


def spans(*ends: tuple[int, int]) -> TensorType:
    return TensorType([e[0] for e in ends], [e[1] for e in ends], 0)


@pytest.mark.parametrize("overflow", OVERFLOW)
@pytest.mark.parametrize("signed", [False, True])
def test_cpp_where_all_of_an_input_lies_outside(overflow, signed):
    """What is left is a constant, or a range far narrower than the type: the C++ may not saturate to another."""
    inputs = [
        spans((200, 300)),
        spans((-300, -200)),
        spans((5, 9)),
        spans((-9, -5)),
        spans((-300, 300)),
        spans((-1, 1)),
        spans((-300, 5)),
        spans((0, 0), (200, 300)),
        spans((0, 3), (-300, -200)),
        spans((-2, 2), (130, 140)),
    ]
    cases = []
    for x, width, frac in itertools.product(inputs, (1, 2, 3, 8), (0, 1)):
        fixed = Fixed(signed, width, width - frac, "RND" if width % 2 else "TRN", overflow)
        cases.append(Case(Quantize(Formats.of(fixed)), (x,)))
        if width < 3:
            dead = Formats([signed] * x.size, [width, 0][: x.size], width - frac, "RND", overflow)
            cases.append(Case(Quantize(dead), (x,)))
    check_ops(cases, samples=20)


def test_equals_float_arithmetic():
    x = TensorType.of(Fixed(True, 9, 4), (7,))
    check_op(
        Quantize(Formats.of(Fixed(True, 6, 3, "RND", "SAT"))),
        x,
        reference=lambda v: np.clip(np.floor(v * 8 + 0.5) / 8, -4, 3.875),
    )
    check_op(Quantize(Formats.of(Fixed(False, 6, 3, "TRN", "WRAP"))), x, reference=lambda v: np.floor(v * 8) / 8 % 8)


def test_elements_without_bits_are_zero():
    op = Quantize(Formats([True, True, False], [4, 0, -3], [2, 7, 1], "RND", "SAT"))
    x = TensorType.of(Fixed(True, 8, 4), (2, 3))
    assert not op.bind(x)(np.full((5, 2, 3), 77))[..., 1:].any()
    assert not op.infer(x).high[:, 1:].any()
    check_op(op, x)


@pytest.mark.parametrize("shape", [(3,), (2, 3, 4), (5, 4), (2, 1, 4)])
def test_formats_of_another_shape_are_refused(shape):
    with pytest.raises(ValueError, match=r"don't suit|broadcast"):
        Quantize(Formats(True, np.full(shape, 4), 2)).infer(TensorType.of(Fixed(True, 8, 4), (3, 4)))


def test_identity_is_said_only_of_what_changes_nothing(random_type, on_grid):
    rng = np.random.default_rng(3)
    identities = 0
    for bits in (2, 4, 8):
        for uniform in (True, False):
            for op, x in random_casts(rng, random_type, bits, uniform) * 2:
                raw = np.concatenate([on_grid(rng, x, 100), x.low[None], x.high[None]])
                y = op.infer(x)
                values, answers = (np.ldexp(r.astype(float), -t.frac) for r, t in ((raw, x), (op.bind(x)(raw), y)))
                changed = (values != answers).any()
                assert not (op.identity(x) and changed)
                # Every value of an element that isn't the identity is changed for some sample, so that we miss nothing.
                identities += op.identity(x)
    assert identities > 5
    same = Fixed(True, 8, 4, "RND", "SAT")
    x = TensorType.of(same, (3,))
    assert Quantize(Formats.of(same)).identity(x)
    assert Quantize(Formats.of(Fixed(True, 9, 4))).identity(x)
    assert not Quantize(Formats.of(Fixed(True, 7, 4))).identity(x)
    assert not Quantize(Formats.of(Fixed(True, 7, 3))).identity(x)
    assert not Quantize(Formats.of(Fixed(True, 8, 4, "TRN", "SAT_SYM"))).identity(x)
    assert not Quantize(Formats(True, [8, 8, 0], 4)).identity(x)
    assert Quantize(Formats(True, [8, 8, 0], 4)).identity(TensorType([-8, 0, 0], [7, 1, 0], 4))


# --- work ----------------------------------------------------------------------------------------------------------


def units(fixed: Fixed, x: TensorType):
    work = Quantize(Formats.of(fixed)).work(x, plan=Plan())
    assert [{u.kind for u in step.units} for step in work.steps] == [
        {kind} for kind in dict.fromkeys(u.kind for u in work.units)
    ]
    return work.units


def test_cutting_bits_off_is_free():
    x = TensorType.of(Fixed(True, 8, 4), (3,))
    assert units(Fixed(True, 5, 3), x) == ()
    assert units(Fixed(True, 9, 5, "RND", "SAT"), x) == ()


def test_rounding_and_saturation_take_hardware():
    x = TensorType.of(Fixed(True, 8, 4), (3,))
    assert units(Fixed(True, 7, 5, "RND", "WRAP"), x) == (Unit("round", 3, (7,)),)
    assert units(Fixed(True, 7, 3, "RND", "SAT"), x) == (Unit("saturate", 3, (8, 7)),)
    assert {u.kind for u in units(Fixed(True, 6, 3, "RND", "SAT"), x)} == {"round", "saturate"}


def test_constants_take_none():
    x = spans((5, 5), (200, 300), (-4, 3))
    assert units(Fixed(True, 3, 4, "RND", "SAT"), x) == (Unit("round", 1, (3,)),)
    assert units(Fixed(True, 8, 8, "RND", "SAT"), x) == ()
