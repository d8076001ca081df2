"""Scale: products by known numbers, exact, with constants that repeat over a tensor."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_hls.errors import TooWide
from keras_hls.fixed import Constant, Fixed, Real, TensorType
from keras_hls.layers_ext.broadcast import Repeated
from keras_hls.layers_ext.folded_weights import scaled_weights
from keras_hls.layers_ext.scale import Scale
from keras_hls.op import Plan, Unit
from keras_hls.testing import Case, check_op, check_ops

SHAPES = [
    ((3, 4), (4,)),
    ((3, 4), ()),
    ((3, 4, 2), (4, 1)),
    ((2, 3, 4), (2, 1, 4)),
    ((5,), (5,)),
    ((2, 3), (2, 1)),
    ((), ()),
]


def whole(array):
    return np.asarray(array).astype(object)


def random_op(rng, shape, bits=6):
    scale = Constant(rng.integers(-(1 << bits), 1 << bits, shape, endpoint=True), int(rng.integers(-3, 9)))
    if rng.integers(3) == 0:
        return Scale(scale)
    offset = Constant(rng.integers(-50, 51, shape if rng.integers(2) else ()), int(rng.integers(-3, 9)))
    return Scale(scale, offset)


@settings(max_examples=150)
@given(st.integers(0, 2**32 - 1), st.sampled_from(SHAPES), st.sampled_from([1, 6, 16, 30]))
def test_meaning_and_type_are_exact(random_type, on_grid, seed, shapes, bits):
    rng = np.random.default_rng(seed)
    op, x = random_op(rng, shapes[1]), random_type(rng, shapes[0], bits)
    y = op.infer(x)
    unit = x.frac + op.scale.frac
    offset = whole(0) if op.offset is None else whole(op.offset.raw)
    low = 0 if op.offset is None else op.offset.frac

    def exact(raw):
        # Both terms on a grid that is finer than either.
        fine = max(unit, low, y.frac)
        value = (whole(raw) * whole(op.scale.raw) << (fine - unit)) + (offset << (fine - low))
        return value >> (fine - y.frac)

    ends = [exact(x.low), exact(x.high)]
    assert (whole(y.low) == np.minimum(*ends)).all()
    assert (whole(y.high) == np.maximum(*ends)).all()
    raw = on_grid(rng, x, 20)
    assert (whole(op.bind(x)(raw)) == exact(raw)).all()


def test_cpp(random_type):
    rng = np.random.default_rng(1)
    cases = [
        Case(random_op(rng, constant), (random_type(rng, shape, int(rng.integers(1, 20))),))
        for shape, constant in SHAPES * 6
    ]
    check_ops(cases, samples=60)


def test_equals_float_arithmetic():
    op = Scale(Constant.exactly([0.75, -2.0, 0.0]), Constant.exactly([0.5, 0.0, -3.25]))
    check_op(
        op, TensorType.of(Fixed(True, 8, 3), (2, 3)), reference=lambda x: x * [0.75, -2.0, 0.0] + [0.5, 0.0, -3.25]
    )


@pytest.mark.parametrize(
    ("constant", "tensor", "count", "inner"),
    [
        ((), (3, 4), 1, 1),
        ((4,), (3, 4), 4, 1),
        ((3, 1), (3, 4), 3, 4),
        ((2, 1, 4), (2, 3, 4), 24, 1),
        ((3, 1), (2, 3, 5), 3, 5),
    ],
)
def test_constants_that_repeat_are_written_once(constant, tensor, count, inner):
    repeated = Repeated.of(constant, tensor)
    assert (repeated.count, repeated.inner) == (count, inner)
    values = np.arange(int(np.prod(constant, dtype=int))).reshape(constant)
    picked = repeated.pick(values, tensor)
    by_place = [picked[i // inner % count] for i in range(int(np.prod(tensor)))]
    assert by_place == np.broadcast_to(values, tensor).reshape(-1).tolist()


def test_other_shapes_are_refused():
    with pytest.raises(ValueError, match=r"constants of shape \(3,\) don't suit an input of shape \(2, 4\)"):
        Scale(Constant(np.ones(3), 0)).infer(TensorType.of(Fixed(True, 4, 4), (2, 4)))
    with pytest.raises(ValueError, match="don't suit"):
        Scale(Constant(np.ones((2, 4)), 0)).infer(TensorType.of(Fixed(True, 4, 4), (4,)))


def test_products_beyond_63_bits_are_refused():
    with pytest.raises(TooWide):
        Scale(Constant(np.array(1 << 30), 0)).infer(TensorType.of(Fixed(True, 40, 40), (2,)))


def test_identity():
    x = TensorType.of(Fixed(True, 4, 2), (2,))
    assert Scale(Constant(np.array([4, 4]), 2)).identity(x)
    assert Scale(Constant(np.array(1), 0), Constant(np.array(0), 3)).identity(x)
    assert not Scale(Constant(np.array([4, 2]), 2)).identity(x)
    assert not Scale(Constant(np.array(1), 0), Constant(np.array([0, 1]), 3)).identity(x)
    assert not Scale(Constant(np.array(1), -1)).identity(x)
    # As floats, both would be too large to tell.
    assert not Scale(Constant(np.array(10**6 + 1), -70)).identity(x)


def test_work():
    x = TensorType([-8, -8, -8, -8, 3], [7, 7, 7, 7, 3], 0)
    # A shift, a negated one, a real product, nothing, and a constant.
    work = Scale(Constant(np.array([4, -2, 5, 0, 5]), 0)).work(x, plan=Plan())
    assert work.units == (Unit("constant_multiply", 1, (4, 3), 2), Unit("add", 1, (5,)))
    with_offset = Scale(Constant(np.array(1), 0), Constant(np.array([1, 0, 1, 0, 1]), 0)).work(x, plan=Plan())
    # One more than the largest of four bits takes a fifth.
    assert with_offset.units == (Unit("add", 2, (5,)),)


def test_folding_into_weights():
    kernel, bias = Constant(np.array([[1, 2], [3, 4]]), 1), Constant(np.array([1, -1]), 0)
    made = scaled_weights(kernel, bias, Constant(np.array([2, -1]), 3), Constant(np.array([1, 1]), 4))
    assert made is not None
    values = [np.ldexp(c.raw.astype(float), -c.frac) for c in made]
    assert np.array_equal(values[0], np.array([[0.5, 1], [1.5, 2]]) * [0.25, -0.125])
    assert np.array_equal(values[1], np.array([1, -1]) * [0.25, -0.125] + 0.0625)
    # Three quarters would widen the kernel, and one factor a row isn't one an output.
    assert scaled_weights(kernel, bias, Constant(np.array([3, 1]), 2), Constant(np.array(0), 0)) is None
    assert scaled_weights(kernel, bias, Constant(np.array([[2], [1]]), 0), Constant(np.array(0), 0)) is None
    real = scaled_weights(Real(np.array([[1.0, 2.0]])), None, Real(np.array([0.3, 2.0])), Real(np.array([1.0, 2.0])))
    assert real is not None
    assert np.allclose(real[0].values, [[0.3, 4.0]])
    assert np.array_equal(real[1].values, [1.0, 2.0])
