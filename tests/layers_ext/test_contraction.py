"""Products of two variable matrices: exact sums, tight intervals, their C++, and the work that they need."""

from itertools import product

import numpy as np
import pytest

from keras_hls.errors import TooWide
from keras_hls.fixed import Fixed, TensorType, trailing_zeros
from keras_hls.layers_ext.contraction import Product
from keras_hls.op import Plan, Unit
from keras_hls.testing import Case, check_op, check_ops

PLAN = Plan()
OP = Product()


def ints(array):
    return np.asarray(array).astype(object)


def random_pair(rng, random_type, bits, largest=4):
    groups, rows, terms, columns = rng.integers(1, largest + 1, 4).tolist()
    return random_type(rng, (groups, rows, terms), bits), random_type(
        rng, (groups, terms, columns), int(rng.integers(1, bits + 1))
    )


@pytest.mark.parametrize("bits", [1, 4, 9, 12, 20, 28])
def test_meaning_and_type_are_exact(random_type, on_grid, bits):
    rng = np.random.default_rng(bits)
    for _ in range(100):
        a, b = random_pair(rng, random_type, bits)
        y = OP.infer(a, b)
        assert y.frac == a.frac + b.frac
        # Every term reaches its ends alone, so the sums of the ends are reached.
        ends = [
            ints(first)[:, :, :, None] * ints(second)[:, None]
            for first, second in product((a.low, a.high), (b.low, b.high))
        ]
        assert (ints(y.low) == np.min(ends, axis=0).sum(2)).all()
        assert (ints(y.high) == np.max(ends, axis=0).sum(2)).all()
        first, second = (on_grid(rng, kind, 15) for kind in (a, b))
        result = OP.bind(a, b)(first, second)
        assert result.dtype == np.int64
        assert (ints(result) == ints(first) @ ints(second)).all()
        assert (result % (np.int64(1) << np.where(y.low == y.high, 0, y.zeros)) == 0).all()


def test_grids_are_the_coarsest():
    a, b = (
        TensorType([[[-4, 8]]], [[[4, 24]]], 0, [[[2, 3]]]),
        TensorType([[[-2], [-1]]], [[[2], [3]]], 0, [[[1], [0]]]),
    )
    assert OP.infer(a, b).zeros.tolist() == [[[3]]]
    # A term that is always zero has no last bit.
    zero = TensorType([[[-2], [0]]], [[[2], [0]]], 0, [[[1], [0]]])
    assert OP.infer(a, zero).zeros.tolist() == [[[3]]]


def test_many_terms_are_looked_at_in_parts(random_type, monkeypatch):
    import keras_hls.layers_ext.contraction as module

    rng = np.random.default_rng(0)
    a, b = random_type(rng, (2, 3, 7), 8), random_type(rng, (2, 7, 4), 8)
    whole = OP.infer(a, b)
    monkeypatch.setattr(module, "_AT_ONCE", 50)
    parts = OP.infer(a, b)
    for field in ("low", "high", "zeros"):
        assert np.array_equal(getattr(whole, field), getattr(parts, field))


@pytest.mark.parametrize(("seed", "bits"), [(0, 5), (1, 12), (2, 28)])
def test_cpp(random_type, seed, bits):
    rng = np.random.default_rng(seed)
    check_ops([Case(OP, random_pair(rng, random_type, bits)) for _ in range(18)], samples=40)


def test_equals_float_arithmetic():
    a, b = TensorType.of(Fixed(True, 8, 3), (2, 3, 5)), TensorType.of(Fixed(False, 5, 9), (2, 5, 4))
    check_op(OP, a, b, reference=lambda x, y: x @ y)


@pytest.mark.parametrize(("bits", "limit"), [(11, 24), (25, 53), (30, 62)])
def test_sums_that_only_just_fit_each_arithmetic(bits, limit):
    """Sums beside 2**24 and 2**53, where float arithmetic stops to be exact, and beside 2**62."""
    for terms, nudge in product((3, 4, 5), (-1, 0, 1)):
        a = TensorType(np.full((1, 2, terms), -(1 << bits)), np.full((1, 2, terms), 1 << bits), 0)
        most = (1 << (limit - bits - 2)) + nudge
        b = TensorType(np.full((1, terms, 2), -most), np.full((1, terms, 2), most), 0)
        try:
            y = OP.infer(a, b)
        except TooWide:
            assert terms * most << bits >= 2**62 * (1 - 1e-9)
            continue
        assert (y.high == terms * most << bits).all()
        raws = [np.stack([x.low, x.high, x.high - 1, x.low + 1]) for x in (a, b)]
        assert (ints(OP.bind(a, b)(*raws)) == ints(raws[0]) @ ints(raws[1])).all()


def test_sums_beyond_63_bits_are_refused():
    a, b = TensorType.of(Fixed(True, 32, 32), (1, 1, 4)), TensorType.of(Fixed(True, 30, 30), (1, 4, 1))
    with pytest.raises(TooWide, match="a sum of products needs more than 63 bits"):
        OP.infer(a, b)


@pytest.mark.parametrize(
    ("first", "second"), [((2, 3), (3, 2)), ((1, 2, 3), (1, 2, 3)), ((2, 3, 4), (1, 4, 3)), ((1, 2, 3, 4), (1, 4, 2))]
)
def test_other_shapes_are_refused(first, second):
    with pytest.raises(ValueError, match=r"^a product of matrices takes \[g, m, k\] and \[g, k, n\], not"):
        OP.infer(*(TensorType.of(Fixed(True, 4, 4), shape) for shape in (first, second)))


# --- work


def test_work():
    a, b = TensorType.of(Fixed(True, 4, 4), (2, 3, 5)), TensorType.of(Fixed(False, 6, 6), (2, 5, 7))
    work = OP.work(a, b, plan=PLAN)
    assert [u for u in work.units if u.kind == "multiply"] == [Unit("multiply", 2 * 3 * 5 * 7, (4, 6))]
    assert sum(u.count for u in work.units if u.kind == "add") == 2 * 3 * 7 * 4
    assert [step.units[0].kind for step in work.steps] == ["multiply", "add", "add", "add"]


def test_work_of_elements_that_are_constant():
    """Of five terms: two variables, a variable and zero, a variable by 5, one by -4, and two constants."""
    a = TensorType([[[-8, -8, -8, -4, 3]]], [[[7, 7, 7, -4, 3]]], 0)
    b = TensorType([[[0], [0], [5], [-8], [2]]], [[[15], [0], [5], [7], [2]]], 0)
    work = OP.work(a, b, plan=PLAN)
    assert [u for u in work.units if u.kind != "add"] == [
        Unit("multiply", 1, (4, 4)),
        Unit("constant_multiply", 1, (4, 3), 2),
    ]
    # Three products that vary, and the number 6; one of them is negated.
    assert sum(u.count for u in work.units if u.kind == "add") == 3 + 1
    alone = OP.work(TensorType([[[-4]]], [[[-4]]], 0), TensorType([[[-8]]], [[[7]]], 0), plan=PLAN)
    assert [(u.kind, u.count) for u in alone.units] == [("add", 1)]


def test_work_counts_every_pair_of_widths(random_type):
    rng = np.random.default_rng(3)
    for _ in range(40):
        a, b = random_pair(rng, random_type, 9)
        found = {u.widths: u.count for u in OP.work(a, b, plan=PLAN).units if u.kind == "multiply"}
        counts: dict[tuple[int, int], int] = {}
        groups, rows, terms = a.shape
        for g, m, k, n in product(range(groups), range(rows), range(terms), range(b.shape[2])):
            pair = int(a.widths[g, m, k]), int(b.widths[g, k, n])
            if min(pair):
                counts[pair] = counts.get(pair, 0) + 1
        assert found == counts


def test_zeros_are_counted_from_real_bits():
    assert trailing_zeros(24) == 3
    a = TensorType([[[-8]]], [[[8]]], 0, [[[3]]])
    assert OP.work(a, a, plan=PLAN).units == (Unit("multiply", 1, (2, 2)),)
