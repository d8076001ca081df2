"""Piecewise: functions of straight pieces, on integers as on real numbers."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from keras_hls.errors import TooWide
from keras_hls.fixed import Constant, Fixed, TensorType
from keras_hls.layers_ext.activation import ReLU, relu
from keras_hls.layers_ext.piecewise import Piecewise
from keras_hls.op import Plan, Unit
from keras_hls.testing import Case, check_ops


def random_op(rng, shape=()):
    count = int(rng.integers(1, 4))
    bounds = np.sort(rng.integers(-40, 41, count)) / 8
    slopes = [Constant(rng.integers(-6, 7, shape), int(rng.integers(0, 4))) for _ in range(count + 1)]
    offsets = rng.integers(-9, 10, count + 1) / 4
    above = tuple(bool(a) for a in rng.integers(0, 2, count))
    return Piecewise.of(*zip(slopes, offsets.tolist()), bounds=tuple(bounds.tolist()), above=above)


def meaning(op, x: Fraction, place) -> Fraction:
    piece = 0
    for i, above in enumerate(op.above):
        bound = Fraction(int(op.bounds.raw[i])) / Fraction(2) ** op.bounds.frac
        if x > bound or (x == bound and not above):
            piece = i + 1
    slope = Fraction(int(np.broadcast_to(op.slopes[piece].raw, (2, 3))[place])) / Fraction(2) ** op.slopes[piece].frac
    return slope * x + Fraction(int(op.offsets.raw[piece])) / Fraction(2) ** op.offsets.frac


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32 - 1))
@example(723)  # equal bounds, the first of which starts above
def test_meaning_and_type_are_exact(random_type, seed):
    rng = np.random.default_rng(seed)
    x = random_type(rng, (2, 3), 6, (-1, 4))
    op = random_op(rng, [(), (3,), (2, 1)][rng.integers(3)])
    y = op.infer(x)
    for place in np.ndindex(2, 3):
        step = 1 << int(x.zeros[place] if x.low[place] != x.high[place] else 0)
        inside = np.arange(x.low[place], x.high[place] + 1, step)
        raw = np.tile(x.low, (len(inside), 1, 1))
        raw[(slice(None), *place)] = inside
        answers = op.bind(x)(raw)[(slice(None), *place)]
        wanted = [meaning(op, Fraction(int(r)) / Fraction(2) ** x.frac, place) * Fraction(2) ** y.frac for r in inside]
        assert answers.tolist() == wanted
        assert (y.low[place], y.high[place]) == (min(wanted), max(wanted))


def test_cpp(random_type):
    rng = np.random.default_rng(3)
    cases = [
        Case(random_op(rng, [(), (4,), (3, 1)][i % 3]), (random_type(rng, (3, 4), int(rng.integers(1, 18))),))
        for i in range(60)
    ]
    check_ops(cases, samples=100)


@pytest.mark.parametrize("max_value", [None, 0.0, 1.5, 6.0])
@pytest.mark.parametrize("slope", [0.0, 0.25, -0.5, 0.3])
@pytest.mark.parametrize("threshold", [0.0, 0.5, 2.0])
def test_relu_with_every_option_is_what_keras_computes(max_value, slope, threshold):
    x = TensorType.of(Fixed(True, 9, 4), (1,))
    values = x.to_float(np.arange(-256, 256))[:, None]
    # By its definition in Keras's documentation.
    ceiling = np.inf if max_value is None else max_value
    factor = float(np.float32(slope))
    wanted = np.where(values > threshold, np.minimum(values, ceiling), factor * (values - threshold))
    op = relu(max_value, slope, threshold)
    raw = op.bind(x)(np.arange(-256, 256)[:, None])
    assert np.array_equal(op.infer(x).to_float(raw), wanted)


def test_plain_relu_is_one():
    assert isinstance(relu(), ReLU)


def test_identity():
    positive, both = TensorType.of(Fixed(False, 4, 4), (2,)), TensorType.of(Fixed(True, 4, 4), (2,))
    leaky = relu(negative_slope=0.25)
    assert leaky.identity(positive)
    assert not leaky.identity(both)
    assert not relu(6.0).identity(positive)
    assert relu(16.0).identity(positive)


@pytest.mark.parametrize(
    ("op", "sentence"),
    [
        (
            Piecewise(Constant(np.array([0]), 0), (False,), (Constant(np.array(1), 0),), Constant(np.array([0]), 0)),
            "k bounds part",
        ),
        (Piecewise.of((0, 0), (1, 0), (0, 0), bounds=(1, 0)), "in order"),
        (Piecewise.of((np.ones(3), 0), (1, 0), bounds=(0,)), "don't suit"),
    ],
)
def test_nonsense_is_refused(op, sentence):
    with pytest.raises(ValueError, match=sentence):
        op.infer(TensorType.of(Fixed(True, 4, 4), (2,)))


def test_products_beyond_63_bits_are_refused():
    with pytest.raises(TooWide):
        relu(negative_slope=0.3).infer(TensorType.of(Fixed(True, 45, 45), (2,)))


def test_work():
    x = TensorType([-8, 0, -8, 5], [7, 7, -1, 5], 0)
    # Only the first element lies in both pieces; bounds at zero are the sign bit.
    work = relu(negative_slope=0.25).work(x, plan=Plan())
    assert work.units == (Unit("select", 1, (6,)),)
    clip = Piecewise.of((0, -2), (1, 0), (0, 2), bounds=(-2, 2)).work(x, plan=Plan())
    assert Unit("compare", 1, (4,)) in clip.units
    product = relu(negative_slope=0.75).work(x, plan=Plan())
    assert Unit("constant_multiply", 2, (4, 2), 2) in product.units
