"""Add: exact sums on the finer of two grids."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_hls.errors import TooWide
from keras_hls.fixed import Fixed, TensorType
from keras_hls.graph import Plan, Unit
from keras_hls.layers_ext.merge import Add
from keras_hls.testing import Case, check_op, check_ops


def ints(array):
    return np.asarray(array).astype(object)


def exact(a: TensorType, b: TensorType, first, second):
    frac = max(a.frac, b.frac)
    return (ints(first) << (frac - a.frac)) + (ints(second) << (frac - b.frac))


@settings(max_examples=150)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 3, 8, 20, 40]))
def test_sums_and_type_are_exact(random_type, on_grid, seed, bits):
    rng = np.random.default_rng(seed)
    shape = tuple(rng.integers(1, 4, rng.integers(1, 4)).tolist())
    a, b = (random_type(rng, shape, bits) for _ in range(2))
    y = Add().infer(a, b)
    assert y.frac == max(a.frac, b.frac)
    assert (ints(y.low) == exact(a, b, a.low, b.low)).all()
    assert (ints(y.high) == exact(a, b, a.high, b.high)).all()
    raw = [on_grid(rng, kind, 20) for kind in (a, b)]
    result = Add().bind(a, b)(*raw)
    assert result.dtype == np.int64
    assert (ints(result) == exact(a, b, *raw)).all()
    assert (result % (np.int64(1) << np.where(y.low == y.high, 0, y.zeros)) == 0).all()


def test_cpp(random_type):
    rng = np.random.default_rng(0)
    cases = []
    for bits in (1, 4, 9, 16, 30, 40) * 9:
        shape = tuple(rng.integers(1, 5, rng.integers(1, 4)).tolist())
        cases.append(
            Case(Add(), (random_type(rng, shape, bits), random_type(rng, shape, int(rng.integers(1, bits + 1)))))
        )
    check_ops(cases, samples=40)


def test_equals_float_arithmetic():
    check_op(
        Add(),
        TensorType.of(Fixed(True, 8, 3), (2, 3)),
        TensorType.of(Fixed(False, 5, 9), (2, 3)),
        reference=lambda a, b: a + b,
    )


def test_sums_beyond_63_bits_are_refused():
    wide, fine = TensorType.of(Fixed(True, 40, 40), (2,)), TensorType.of(Fixed(True, 8, -20), (2,))
    with pytest.raises(TooWide):
        Add().infer(wide, fine)
    most = TensorType(2**62 - 1, 2**62 - 1, 0)
    with pytest.raises(TooWide):
        Add().infer(most, TensorType(1, 1, 0))
    assert Add().infer(most, TensorType(0, 0, 0)).high == 2**62 - 1


def test_other_shapes_are_refused():
    a, b = (TensorType.of(Fixed(True, 4, 2), shape) for shape in ((2, 3), (3,)))
    with pytest.raises(ValueError, match="one shape"):
        Add().infer(a, b)


def test_work():
    plan = Plan()
    a = TensorType([-8, 0, 3, 0, 1], [7, 0, 3, 15, 2], 0)
    b = TensorType([-8, -8, -8, 0, 0], [7, 7, 7, 15, 0], 0)
    # Two constants, or a constant zero beside anything, take nothing.
    assert Add().work(a, b, plan=plan).units == (Unit("add", 3, (5,)),)
    assert Add().work(a, b, plan=plan).depth == (Unit("add", 1, (5,)),)
    nothing = Add().work(TensorType([3, 0], [3, 0], 0), TensorType([4, -2], [4, 9], 0), plan=plan)
    assert (nothing.units, nothing.depth) == ((), ())
