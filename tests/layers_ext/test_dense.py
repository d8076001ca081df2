"""Dense: exact sums of products, against Python's integers; its C++; and the work that weights really need."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_hls.errors import TooWide
from keras_hls.fixed import Constant, Fixed, TensorType, trailing_zeros
from keras_hls.layers_ext.dense import Dense
from keras_hls.op import Plan, Unit
from keras_hls.testing import Case, check_op, check_ops

LATENCY = Plan("Latency", 1)


def ints(array):
    """Python's integers, which have no end."""
    return np.asarray(array).astype(object)


def aligned(op: Dense, x: TensorType):
    """Kernel and bias in units of the exact sum's least bit, and that bit's frac, without the op's own code."""
    frac = x.frac + op.kernel.frac
    bias, bias_frac = (np.zeros(op.kernel.shape[1], int), frac) if op.bias is None else (op.bias.raw, op.bias.frac)
    common = max(frac, bias_frac)
    return ints(op.kernel.raw) << (common - frac), ints(bias) << (common - bias_frac), common


def exact(op: Dense, x: TensorType, raw):
    kernel, bias, _ = aligned(op, x)
    return ints(raw) @ kernel + bias


def exact_ends(op: Dense, x: TensorType):
    kernel, bias, _ = aligned(op, x)
    ends = np.stack([ints(x.low)[..., None] * kernel, ints(x.high)[..., None] * kernel])
    return ends.min(0).sum(-2) + bias, ends.max(0).sum(-2) + bias


def check_exact(op: Dense, x: TensorType, raw):
    y = op.infer(x)
    low, high = exact_ends(op, x)
    assert y.frac == aligned(op, x)[2]
    assert (ints(y.low) == low).all()
    assert (ints(y.high) == high).all()
    result = op.bind(x)(raw)
    assert result.dtype == np.int64
    assert (ints(result) == exact(op, x, raw)).all()
    assert (result % (np.int64(1) << np.where(y.low == y.high, 0, y.zeros)) == 0).all()


def random_dense(rng, random_type, bits):
    n_in, n_out = (int(n) for n in rng.choice([1, 1, 2, 3, 4, 6, 7, 9, 12], 2))
    shape = (*rng.integers(1, 4, rng.choice([0, 0, 0, 1, 2])), n_in)
    x = random_type(rng, tuple(int(n) for n in shape), bits)
    width = int(rng.integers(1, bits, endpoint=True))
    kernel = rng.integers(-(1 << width) + 1, 1 << width, (n_in, n_out))
    match rng.integers(6):
        case 0:
            kernel = np.where(rng.random(kernel.shape) < 0.6, 0, kernel)
        case 1:
            kernel[:, rng.random(n_out) < 0.5] = 0
        case 2:
            kernel = rng.choice([0, 1, -1, 2, -4, 8], kernel.shape)
        case 3:
            kernel = kernel << int(rng.integers(0, 4))
    frac = int(rng.integers(-3, 16))
    bias = None
    if rng.integers(4):
        # Finer than the products, coarser than those, or on their grid.
        bias_frac = x.frac + frac + int(rng.choice([-7, -1, 0, 1, 5]))
        bias = Constant(rng.integers(-(1 << width), 1 << width, n_out) * rng.integers(0, 2, n_out), bias_frac)
    return Dense(Constant(kernel, frac), bias), x


def random_denses(rng, random_type, count, bits):
    found = []
    while len(found) < count:
        op, x = random_dense(rng, random_type, bits)
        try:
            op.infer(x)
        except TooWide:
            low, high = exact_ends(op, x)
            assert max(-low.min(), high.max()) >= 2**59, "refused, though it fits"
            continue
        found.append((op, x))
    return found


@pytest.mark.parametrize("bits", [1, 4, 8, 12, 20, 26, 40])
def test_meaning_and_type_are_exact(random_type, on_grid, bits):
    rng = np.random.default_rng(bits)
    for op, x in random_denses(rng, random_type, 300, bits):
        check_exact(op, x, on_grid(rng, x, 50))


small = st.integers(-9, 9)


@st.composite
def denses(draw):
    n_in, n_out, rows = draw(st.integers(1, 4)), draw(st.integers(1, 4)), draw(st.integers(0, 2))
    shift = draw(st.integers(0, 30))

    def array(*shape):
        return np.array(draw(st.lists(small, min_size=int(np.prod(shape)), max_size=int(np.prod(shape))))).reshape(
            shape
        )

    shape = (rows, n_in) if rows else (n_in,)
    a, b = array(*shape) << shift, array(*shape) << shift
    x = TensorType(np.minimum(a, b), np.maximum(a, b), draw(st.integers(-5, 5)), shift)
    bias = Constant(array(n_out), draw(st.integers(-5, 15))) if draw(st.booleans()) else None
    raw = np.stack([x.low, x.high, np.where(draw(st.booleans()), a, b)])
    return Dense(Constant(array(n_in, n_out), draw(st.integers(-5, 5))), bias), x, raw


@settings(max_examples=150)
@given(denses())
def test_meaning_of_any_small_layer(case):
    op, x, raw = case
    check_exact(op, x, raw)
    kernel, bias, _ = aligned(op, x)
    # Trailing zeros of a sum: those that all of its terms have.
    terms = np.concatenate([(ints(raw)[..., None] * kernel).reshape(-1, kernel.shape[1]), bias[None]])
    least = [min(int(trailing_zeros(int(t))) for t in column) for column in terms.T]
    y = op.infer(x)
    assert ((y.zeros <= np.array(least)) | (y.low == y.high)).all()


@pytest.mark.parametrize(("seed", "bits", "count"), [(0, 8, 32), (1, 16, 24), (2, 40, 24)])
def test_cpp_under_every_plan(random_type, seed, bits, count):
    rng = np.random.default_rng(seed)
    cases = []
    for op, x in random_denses(rng, random_type, count, bits):
        factors = op.reuse_factors(x)
        # Every factor of small layers, some of those of larger ones.
        some = rng.permutation(factors)[: 4 if max(factors) <= 24 else 2].tolist() if factors != (1,) else []
        cases.append(Case(op, (x,), plans=(LATENCY, *(Plan("Resource", f) for f in some))))
    assert len({plan for case in cases for plan in case.plans}) > 8
    check_ops(cases, samples=40, seed=seed)


def test_equals_float_arithmetic_where_that_is_exact():
    rng = np.random.default_rng(5)
    kernel, bias = rng.integers(-99, 99, (6, 5)) / 32, rng.integers(-99, 99, 5) / 128
    op = Dense(Constant.exactly(kernel), Constant.exactly(bias))
    check_op(op, TensorType.of(Fixed(True, 9, 3), (2, 6)), reference=lambda x: x @ kernel + bias)


@pytest.mark.parametrize(("bits", "dtype"), [(10, np.float32), (24, np.float64), (31, np.int64)])
def test_sums_that_only_just_fit_each_arithmetic(bits, dtype):
    """Sums beside 2**24 and 2**53, where float arithmetic stops to be exact."""
    limit = {np.float32: 24, np.float64: 53, np.int64: 62}[dtype]
    for n_in in (3, 4, 5):
        width = limit - bits - 2
        x = TensorType(np.full(n_in, -(1 << bits)), np.full(n_in, 1 << bits), 0)
        for nudge in (-1, 0, 1):
            op = Dense(Constant(np.full((n_in, 2), (1 << width) + nudge), 0), Constant(np.array([1, -1]), 0))
            raw = np.stack([x.low, x.high, x.high - 1, x.low + 1])
            try:
                check_exact(op, x, raw)
            except TooWide:
                assert max(exact_ends(op, x)[1]) >= 2**62


@pytest.mark.parametrize(
    ("kernel", "x"),
    [
        (np.full((4, 1), 1 << 40), TensorType.of(Fixed(True, 22, 22), (4,))),
        (np.full((4, 1), -(1 << 40)), TensorType.of(Fixed(True, 22, 22), (4,))),
        (np.full((1, 1), 1 << 61), TensorType.of(Fixed(False, 2, 2), (1,))),
    ],
)
def test_sums_beyond_63_bits_are_refused(kernel, x):
    with pytest.raises(TooWide):
        Dense(Constant(kernel, 0)).infer(x)


def test_bias_beyond_63_bits_is_refused():
    x = TensorType.of(Fixed(True, 4, 4), (1,))
    with pytest.raises(TooWide):
        Dense(Constant(np.array([[1]]), 0), Constant(np.array([1]), 70)).infer(x)
    with pytest.raises(TooWide):
        Dense(Constant(np.array([[1]]), 60), Constant(np.array([9]), 0)).infer(x)


@pytest.mark.parametrize("shape", [(), (3,), (4, 3), (2, 5)])
def test_other_shapes_are_refused(shape):
    op = Dense(Constant(np.ones((4, 2), int), 0))
    with pytest.raises(ValueError, match="takes 4 inputs"):
        op.infer(TensorType.of(Fixed(True, 3, 3), shape))


@pytest.mark.parametrize("shape", [(1,), (3,), (2, 1), ()])
def test_a_bias_of_another_shape_is_refused(shape):
    op = Dense(Constant(np.ones((4, 2), int), 0), Constant(np.zeros(shape, int), 0))
    with pytest.raises(ValueError, match="bias"):
        op.infer(TensorType.of(Fixed(True, 3, 3), (4,)))


# --- reuse factors and work ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("shape", "factors"),
    [((1, 1), (1,)), ((4, 6), (1, 2, 4, 8, 12, 24)), ((6, 1), (1, 2, 3, 6)), ((1, 4), (1, 2, 4)), ((5, 7), (1, 5, 35))],
)
def test_reuse_factors(shape, factors):
    op = Dense(Constant(np.ones(shape, int), 0))
    assert op.reuse_factors(TensorType.of(Fixed(True, 3, 3), shape[:1])) == factors


def units(kernel, bias=None, x=None, plan=LATENCY):
    kernel = np.asarray(kernel)
    op = Dense(Constant(kernel, 0), None if bias is None else Constant(np.asarray(bias), 0))
    return op.work(x or TensorType.of(Fixed(True, 8, 8), kernel.shape[:1]), plan=plan)


def count(work, kind):
    return sum(u.count for u in work.units if u.kind == kind)


def test_zero_weights_are_free():
    assert units(np.zeros((3, 4), int)).units == ()
    some = units([[3], [5]])
    assert units([[3, 0], [0, 0], [5, 0]]).units == some.units
    assert len(units([[3, 0], [0, 0], [5, 0]]).steps) == len(some.steps) == 2


def test_powers_of_two_are_shifts():
    assert units([[1, 4], [0, 0]]).units == ()
    assert units([[8], [2]]).units == (Unit("add", 1, (11,)),)
    assert count(units([[1], [4], [64]], bias=[1]), "add") == 3


def test_negative_powers_of_two_are_negated():
    """As HLS does; it doesn't subtract them in the sums. An input is negated once for all that take it."""
    assert units([[-4]]).units == (Unit("add", 1, (10,)),)
    assert count(units([[-4, 1, -4], [1, 1, 8]]), "add") == 1 + 3
    # A difference may as well be taken the other way round; a sum of two can't.
    assert {u.kind for u in units([[-7]]).units} == {"constant_multiply"}
    assert units([[-5]]).units == (Unit("constant_multiply", 1, (8, 4), 2), Unit("add", 1, (11,)))


def test_sums_grow_from_the_widths_of_their_terms():
    work = units([[1], [2], [4], [1]], bias=[100])
    # 8, 9, 10, 8 and 8 bits (100 with a sign).
    assert [[u.widths for u in step.units for _ in range(u.count)] for step in work.steps] == [
        [(10,), (11,)],
        [(12,)],
        [(12,)],
    ]
    assert [step.passing for step in work.steps] == [8, 8, 0]


def test_inputs_that_are_constant_are_not_multiplied():
    x = TensorType([-8, 0, 5], [7, 0, 5], 0)
    assert count(units([[3], [7], [11]], x=x), "constant_multiply") == 1
    # An input is pruned at one position and not at the other.
    x = TensorType([[-8, 0], [-8, -8]], [[7, 0], [7, 7]], 0)
    work = units([[3], [7]], x=x)
    assert count(work, "constant_multiply") == 3
    assert all(min(u.widths) > 0 for u in work.units)


def test_equal_multiples_of_an_input_are_shared():
    assert count(units([[5, 5, 5]]), "constant_multiply") == 1
    assert count(units([[5, 7, 5]]), "constant_multiply") == 2
    assert count(units([[5], [5]]), "constant_multiply") == 2


def test_every_term_but_the_first_takes_an_adder():
    rng = np.random.default_rng(0)
    kernel = rng.integers(1, 9, (7, 5)) * (rng.random((7, 5)) < 0.5)
    bias = np.array([0, 3, 0, -1, 2])
    terms = (kernel != 0).sum(0) + (bias != 0)
    work = units(kernel, bias)
    assert count(work, "add") == np.maximum(terms - 1, 0).sum()
    assert len(work.steps) == 1 + int(np.ceil(np.log2(terms.max())))


@pytest.mark.parametrize("reuse", [1, 2, 4, 8, 24])
@pytest.mark.parametrize("positions", [1, 3])
def test_shared_multipliers(reuse, positions):
    x = TensorType.of(Fixed(True, 8, 8), (positions, 4))
    work = units(np.arange(24).reshape(4, 6) - 10, x=x, plan=Plan("Resource", reuse))
    assert count(work, "multiply") == 24 // reuse
    assert work.interval == reuse * positions
    (memory,) = (u for u in work.units if u.kind == "memory")
    assert memory.count * memory.widths[0] == 24 * 5
