"""Interpolation: sums of two neighbours with whole weights, against fractions and against Keras."""

from __future__ import annotations

from fractions import Fraction
from math import floor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from keras_hls.errors import TooWide
from keras_hls.fixed import Fixed, TensorType
from keras_hls.layers_ext.upsampling import Interpolate, Places
from keras_hls.op import Plan, Unit
from keras_hls.testing import Case, check_op, check_ops


def exact(x, axis, size):
    """The definition: each point between the centres of two pixels, by hand."""
    x = np.moveaxis(np.asarray(x, object), axis, 0)
    n = len(x)
    rows = []
    for o in range(size):
        place = (Fraction(2 * o + 1, 2) * n / size) - Fraction(1, 2)
        low, part = floor(place), place - floor(place)
        a, b = x[min(max(low, 0), n - 1)], x[min(max(low + 1, 0), n - 1)]
        rows.append(a * (1 - part) + b * part)
    return np.moveaxis(np.array(rows, object), 0, axis)


@given(st.integers(1, 9), st.integers(1, 30))
def test_weights_are_those_of_the_definition(n, size):
    op = Interpolate(0, size)
    raw = np.random.default_rng(n).integers(-99, 99, (2, n, 3))
    got = op.bind(TensorType.of(Fixed(True, 8, 8), (n, 3)))(raw)
    assert (got == exact(raw, 1, size) * op.denominator((n, 3))).all()
    # With a smaller denominator, some weight would be no whole number.
    weights = exact(np.eye(n, dtype=int), 0, size).ravel().tolist()
    assert op.denominator((n, 3)) == int(np.lcm.reduce([Fraction(w).denominator for w in weights]))


@pytest.mark.parametrize(
    ("n", "size", "whole"), [(4, 8, 4), (4, 16, 8), (3, 9, 3), (3, 15, 5), (4, 24, 12), (5, 5, 1), (6, 3, 2)]
)
def test_denominators(n, size, whole):
    assert Places.of(n, size).whole == whole


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("seed", range(8))
def test_intervals_are_exact(random_type, on_grid, axis, seed):
    rng = np.random.default_rng(seed)
    x = random_type(rng, (3, 2, 4), 10)
    op = Interpolate(axis, int(rng.integers(1, 13)))
    y, whole = op.infer(x), op.denominator(x.shape)
    assert y.frac == x.frac
    for end in ("low", "high"):
        assert (getattr(y, end) == exact(getattr(x, end), axis, op.size) * whole).all()
    raw = on_grid(rng, x, 50)
    values = op.bind(x)(raw)
    assert (values == exact(raw, axis + 1, op.size) * whole).all()
    # Zeros are as many as a grid of the input's own steps allows.
    step = np.where(x.low == x.high, 0, np.int64(1) << np.minimum(x.zeros, 40))
    moved = [np.where(np.arange(x.size).reshape(x.shape) == i, step, 0) for i in range(x.size)]
    steps = np.gcd.reduce([*op.bind(x)(np.array(moved)), y.low])
    varies = y.low < y.high
    assert (np.int64(1) << y.zeros[varies] == (steps & -steps)[varies]).all()


def test_cpp(random_type):
    rng = np.random.default_rng(0)
    cases = []
    for axis, shape, size in [
        (0, (4,), 8),
        (0, (1,), 3),
        (0, (5, 3), 15),
        (1, (2, 3, 4), 12),
        (2, (2, 3, 4), 6),
        (0, (4, 2, 3), 3),
        (1, (3, 7), 4),
        (0, (6,), 6),
        (1, (10, 12, 4), 24),
    ]:
        x = random_type(rng, shape, 9)
        whole = Interpolate(axis, size).denominator(shape)
        cases.append(
            Case(
                Interpolate(axis, size),
                (x,),
                lambda a, axis=axis, size=size, whole=whole: exact_floats(a, axis, size, whole),
            )
        )
    check_ops(cases, samples=30)


def exact_floats(a, axis, size, whole):
    places = Places.of(a.shape[axis + 1], size)
    low, high = (a.take(index, axis + 1) for index in (places.low, places.high))
    weight = places.weight.reshape(-1, *[1] * (a.ndim - 2 - axis))
    return low * (whole - weight) + high * weight


def test_sums_beyond_63_bits_are_refused():
    with pytest.raises(TooWide):
        Interpolate(0, 6).infer(TensorType.of(Fixed(True, 61, 61), (3,)))


@pytest.mark.parametrize("op", [Interpolate(2, 3), Interpolate(-1, 3), Interpolate(0, 0)])
def test_what_doesnt_suit_is_refused(op):
    with pytest.raises(ValueError, match="can't be given"):
        op.infer(TensorType.of(Fixed(True, 4, 4), (3, 3)))


def test_work_of_a_doubled_row():
    """Of [a, b, c] to six: 4a, 3a + b, a + 3b, 3b + c, b + 3c, 4c."""
    x = TensorType.of(Fixed(True, 5, 5), (3,))
    work = Interpolate(0, 6).work(x, plan=Plan())
    assert [u for u in work.units if u.kind == "constant_multiply"] == [Unit("constant_multiply", 3, (5, 2), 2)]
    assert [(u.kind, u.count) for u in work.units if u.kind == "add"] == [("add", 4)]
    assert [step.units[0].kind for step in work.steps] == ["constant_multiply", "add"]
    check_op(Interpolate(0, 6), x)


def counts(work):
    return {kind: sum(u.count for u in work.units if u.kind == kind) for kind in sorted({u.kind for u in work.units})}


def test_work_of_known_elements():
    """Known zeros cost nothing; another known element is a constant to add."""
    work = Interpolate(0, 6).work(TensorType([-8, 0, 0], [7, 0, 0], 0), plan=Plan())
    assert counts(work) == {"constant_multiply": 1}
    work = Interpolate(0, 6).work(TensorType([-8, 5, 0], [7, 5, 0], 0), plan=Plan())
    assert counts(work) == {"constant_multiply": 1, "add": 2}
    assert Interpolate(0, 6).work(TensorType([3, 5, 0], [3, 5, 0], 0), plan=Plan()).units == ()
