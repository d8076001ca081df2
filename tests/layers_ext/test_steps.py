"""Steps: functions that are constant between bounds."""

from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_hls.errors import TooWide
from keras_hls.fixed import Constant, Fixed, Formats, Quantization, TensorType
from keras_hls.layers_ext.steps import Steps
from keras_hls.layers_ext.table import Table
from keras_hls.op import Plan, Unit
from keras_hls.testing import Case, check_ops


def random_op(rng):
    count = int(rng.integers(0, 7))
    bounds = np.sort(rng.integers(-40, 41, count) / 2.0 ** rng.integers(-1, 5))
    places = sorted(zip(bounds.tolist(), (bool(a) for a in rng.integers(0, 2, count))))
    values = rng.integers(-9, 10, count + 1) * 2.0 ** rng.integers(-6, 6, count + 1)
    return Steps.of(tuple(b for b, _ in places), tuple(a for _, a in places), tuple(values.tolist()))


def exact(constant: Constant) -> Fraction:
    return Fraction(int(constant.raw)) / Fraction(2) ** constant.frac


def meaning(op, x: Fraction) -> Fraction:
    step = 0
    for i, (bound, above) in enumerate(zip(op.bounds, op.above)):
        if x > exact(bound) or (x == exact(bound) and not above):
            step = i + 1
    return exact(op.values[step])


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_meaning_and_type_are_exact(random_type, seed):
    rng = np.random.default_rng(seed)
    x = random_type(rng, (2, 3), 7, (-1, 4))
    op = random_op(rng)
    y = op.infer(x)
    for place in np.ndindex(2, 3):
        step = 1 << int(x.zeros[place] if x.low[place] != x.high[place] else 0)
        inside = np.arange(x.low[place], x.high[place] + 1, step)
        raw = np.tile(x.low, (len(inside), 1, 1))
        raw[(slice(None), *place)] = inside
        answers = op.bind(x)(raw)[(slice(None), *place)]
        wanted = [meaning(op, Fraction(int(r)) / Fraction(2) ** x.frac) * Fraction(2) ** y.frac for r in inside]
        assert answers.tolist() == wanted
        assert (y.low[place], y.high[place]) == (min(wanted), max(wanted))


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_as_a_table_and_with_a_cast_behind_it_it_is_the_same(random_type, on_grid, seed):
    rng = np.random.default_rng(seed)
    x = random_type(rng, (5,), 9, (0, 5))
    op = random_op(rng)
    raw = on_grid(rng, x, 50)
    y = op.infer(x)
    wanted = y.to_float(op.bind(x)(raw))
    settled = op.settle(x, frac=None)
    assert np.array_equal(settled.infer(x).to_float(settled.bind(x)(raw)), wanted)
    cast = Formats.of(Fixed(bool(rng.integers(2)), 5, int(rng.integers(-1, 6)), "RND_CONV", "SAT"))
    both, one = op.fused(cast, x), Quantization(cast, y)
    assert np.array_equal(both.infer(x).to_float(both.bind(x)(raw)), one.type.to_float(one(op.bind(x)(raw))))


def test_cpp(random_type):
    rng = np.random.default_rng(3)
    cases = [Case(random_op(rng), (random_type(rng, (3, 4), int(rng.integers(1, 18))),)) for _ in range(80)]
    check_ops(cases, samples=100)


def test_many_steps_of_few_values_are_a_table():
    op = Steps.of((-2.0, -1.0, 0.0, 1.0, 2.0), (False,) * 5, (5.0, 0.0, 7.0, 1.0, -3.0, 2.0))
    assert isinstance(op.settle(TensorType.of(Fixed(True, 8, 4), (2,)), frac=None), Table)
    assert op.settle(TensorType.of(Fixed(True, 16, 4), (2,)), frac=None) is op
    # Of an unsigned number below two, few are left.
    below = TensorType.of(Fixed(False, 8, 1), (2,))
    assert op.settle(below, frac=None) is op
    few = Steps.of((0.0,), (False,), (-1.0, 1.0))
    assert few.settle(TensorType.of(Fixed(True, 8, 4), (2,)), frac=None) is few


def test_only_what_is_reached_counts():
    op = Steps.of((-1e30, 1.0, 1e30), (False,) * 3, (2.0**-200, 0.0, 1.0, 2.0**200))
    x = TensorType.of(Fixed(True, 6, 3), (2,))
    assert (op.infer(x).hull.low, op.infer(x).hull.high, op.infer(x).frac) == (0, 1, 0)
    wide = Steps.of((0.0,), (False,), (2.0**-40, 2.0**40))
    with pytest.raises(TooWide, match="span more than 63 bits"):
        wide.infer(x)
    assert wide.infer(TensorType.of(Fixed(False, 6, 3), (2,))).low.tolist() == [1, 1]


@pytest.mark.parametrize(
    ("op", "sentence"),
    [
        (Steps.of((0.0,), (False,), (1.0,)), "k bounds part"),
        (Steps.of((1.0, 0.0), (False, False), (1.0, 2.0, 3.0)), "in order"),
        (Steps.of((1.0, 1.0), (True, False), (1.0, 2.0, 3.0)), "in order"),
        (Steps((), (), (Constant(np.array([1, 2]), 0),)), "single numbers"),
    ],
)
def test_nonsense_is_refused(op, sentence):
    with pytest.raises(ValueError, match=sentence):
        op.infer(TensorType.of(Fixed(True, 4, 4), (2,)))


def test_work():
    x = TensorType([-8, 0, -8, 5], [7, 7, -1, 5], 0)
    # A bound at zero is the sign bit, and only the first element has both.
    sign = Steps.of((0.0,), (False,), (-1.0, 1.0)).work(x, plan=Plan())
    assert sign.units == (Unit("select", 1, (2,)),)
    ternary = Steps.of((-2.0, 2.0), (True, False), (-1.0, 0.0, 1.0)).work(x, plan=Plan())
    counts = Counter({(u.kind, u.widths): 0 for u in ternary.units})
    for unit in ternary.units:
        counts[unit.kind, unit.widths] += unit.count
    assert counts == {("compare", (4,)): 3, ("compare", (3,)): 1, ("select", (2,)): 2, ("select", (1,)): 2}
    assert [step.units[0].kind for step in ternary.steps] == ["compare", "select", "select"]
