"""Normalization by the elements' own spread: within the bound that it states of exact fractions, whatever the spread is."""

from fractions import Fraction
from math import isqrt

import numpy as np
import pytest

from keras_hls.errors import TooWide
from keras_hls.fixed import Constant, Fixed, TensorType
from keras_hls.layers_ext.axis_runs import Runs
from keras_hls.layers_ext.normalize import FORMULAS, Normalize
from keras_hls.op import Plan
from keras_hls.testing import Case, check_ops

EPSILONS = [1e-3, 1e-5, 1e-7, 1.0, 1e-12]


def epsilon(value):
    return Constant.exactly(np.float32(value))


def root(value: Fraction) -> float:
    """To 60 bits at least."""
    return isqrt((value.numerator << 160) // value.denominator) / 2**80 if value < 1 << 40 else float(value) ** 0.5


def by_definition(kind, added, row, frac):
    """The formula, in fractions but for the root."""
    x = [Fraction(value) / Fraction(2) ** frac for value in row]
    n, added = len(x), Fraction(added)
    mean = sum(x) / n
    variance = sum((value - mean) ** 2 for value in x) / n
    square = {
        "layer": variance + added,
        "deviation": variance + added,
        "rms": sum(value**2 for value in x) / n + added,
        "unit": sum(value**2 for value in x),
    }[kind]
    numbers = [value - mean if kind == "layer" else value for value in x]
    return [float(v) and (1 if v > 0 else -1) * root(v * v / square) for v in numbers]


def extreme(x: TensorType, rng) -> np.ndarray:
    """All over the range; all the same but for one or two steps; all the same; one far away."""
    step = np.int64(1) << np.where(x.low == x.high, 0, np.minimum(x.zeros, 50))
    wide = rng.integers(x.low, x.high, (8, *x.shape), endpoint=True)
    middle = (x.low + x.high) // 2
    near = middle + rng.integers(-1, 2, (6, *x.shape)) * step
    one = np.repeat(middle[None], 6, 0)
    ends = np.array([x.low.ravel(), x.high.ravel()] * 3)
    at = rng.integers(0, x.size, 6)
    one.reshape(6, -1)[np.arange(6), at] = ends[np.arange(6), at]
    raw = np.concatenate([wide, near, one, middle[None], x.low[None], x.high[None], np.zeros_like(one)[:1]])
    return np.clip(raw // step * step, x.low, x.high)


def hold(op, x, raw):
    """Return how far answers are from the definition, in parts of the bound."""
    y, answers = op.infer(x), op.bind(x)(raw)
    assert (answers >= y.low).all()
    assert (answers <= y.high).all()
    runs = Runs.of(x.shape, op.axes)
    added = Fraction(int(op.epsilon.raw)) / Fraction(2) ** op.epsilon.frac
    rows = runs.rows(raw).reshape(-1, runs.count).tolist()
    wanted = np.array([by_definition(op.kind, added, row, x.frac) for row in rows])
    off = np.abs(np.ldexp(runs.rows(answers).reshape(wanted.shape).astype(float), -op.frac) - wanted)
    assert off.max(initial=0) <= op.error(x)
    return off.max(initial=0) / op.error(x)


def a_case(rng, random_type):
    shape = tuple(int(n) for n in rng.integers(1, 6, rng.integers(1, 5)))
    axes = tuple(int(a) - len(shape) for a in sorted(rng.permutation(len(shape))[: rng.integers(1, len(shape) + 1)]))
    kind = str(rng.choice(list(FORMULAS)))
    added = 0 if kind == "unit" else rng.choice(EPSILONS)
    return Normalize(kind, epsilon(added), axes, int(rng.integers(0, 20))), random_type(rng, shape, 14, (-6, 12))


@pytest.mark.parametrize("seed", range(3))
def test_within_its_bound(seed, random_type):
    rng = np.random.default_rng(seed)
    cases, refused = [], 0
    for _ in range(14):
        op, x = a_case(rng, random_type)
        try:
            # A graph that is stored knows ports, and not what each element can be.
            op.infer(TensorType.of(x.hull, x.shape))
        except TooWide:
            # Where epsilon is nothing beside squares, x itself over it can be anything.
            assert op.kind == "deviation"
            refused += 1
            continue
        hold(op, x, extreme(x, rng))
        cases.append(Case(op, (x,)))
    assert refused < 8
    check_ops(cases, samples=40)


@pytest.mark.parametrize("kind", ["layer", "rms", "unit"])
@pytest.mark.parametrize("n", [1, 2, 3, 64, 1000])
def test_sixteen_bits(kind, n):
    """Of any point, of a thousand elements, to 16 bits: no epsilon and no variance is too small or too large."""
    rng = np.random.default_rng(n)
    cases, worst = [], 0.0
    for integer in (-4, 6, 16):
        for added in EPSILONS if kind != "unit" else [0]:
            op, x = Normalize(kind, epsilon(added), frac=16), TensorType.of(Fixed(True, 16, integer), (n,))
            raw = extreme(x, rng)[: 28 if n < 100 else 2]
            worst = max(worst, hold(op, x, raw))
            # About one unit in the last place, and more only for results that are large.
            assert op.error(x) <= 2.0**-17 + op._design(x).largest * 2.0**-18
            if added in (0, 1e-3):
                cases.append(Case(op, (x,)))
    assert worst > 0.3 or n == 1
    check_ops(cases, samples=20)


@pytest.mark.parametrize("frac", [4, 10, 16, 22])
def test_the_bound_is_near(frac):
    rng = np.random.default_rng(0)
    x = TensorType.of(Fixed(True, 10, 3), (4,))
    raw = rng.integers(-512, 512, (3000, 4))
    for kind in FORMULAS:
        op = Normalize(kind, epsilon(0 if kind == "unit" else 1.0), frac=frac)
        assert hold(op, x, raw) > 0.5


def test_what_does_not_vary_is_zero():
    x = TensorType.of(Fixed(True, 12, 4), (3, 8))
    for value in (-2048, -1, 0, 5, 2047):
        for added in EPSILONS:
            assert not Normalize("layer", epsilon(added), frac=16).bind(x)(np.full((1, 3, 8), value)).any()
    for kind in ("rms", "unit"):
        op = Normalize(kind, epsilon(0 if kind == "unit" else 1e-6), frac=16)
        assert not op.bind(x)(np.zeros((1, 3, 8), np.int64)).any()


def test_a_sum_that_leaves_int64_comes_back():
    """n * sum(x**2) and sum(x)**2 beyond 64 bits, whose difference is small."""
    x = TensorType([(1 << 30) - 3] * 1024, [(1 << 30) + 3] * 1024, 20)
    rng = np.random.default_rng(0)
    raw = rng.integers(x.low, x.high, (3, 1024), endpoint=True)
    op = Normalize("layer", epsilon(1e-12), frac=12)
    hold(op, x, raw)


def test_with_axes_in_another_order():
    x = TensorType.of(Fixed(True, 6, 3), (2, 3, 4))
    raw = np.random.default_rng(3).integers(-32, 32, (20, 2, 3, 4))
    for axes in ((-1,), (-3, -1)):
        op = Normalize("layer", epsilon(1e-3), axes, 12)
        other = TensorType.of(Fixed(True, 6, 3), (4, 2, 3))
        answer = op.permuted((2, 0, 1)).bind(other)(raw.transpose(0, 3, 1, 2))
        assert (answer == op.bind(x)(raw).transpose(0, 3, 1, 2)).all()


def test_precision_follows_from_readers():
    x = TensorType.of(Fixed(True, 6, 3), (4,))
    op = Normalize("layer", epsilon(1e-3))
    assert op.settle(x, frac=None).frac == 16
    assert op.settle(x, frac=3).frac == 11
    assert op.settle(x, frac=-20).frac == 0
    assert op.settle(x, frac=18).frac == 22
    assert op.settle(x, frac=3).settle(x, frac=None).frac == 11
    with pytest.raises(ValueError, match="no type before a pass has chosen its precision"):
        op.infer(x)


@pytest.mark.parametrize(
    ("op", "kind", "sentence"),
    [
        (Normalize("batch", epsilon(1.0), frac=4), (4, 4), "must be one of layer, deviation, rms, unit, not 'batch'"),
        (Normalize("layer", epsilon(0), frac=4), (4, 4), "epsilon must be positive, or 0 for a norm, not 0"),
        (Normalize("unit", epsilon(0.5), frac=4), (4, 4), "epsilon must be positive, or 0 for a norm, not 0.5"),
        (Normalize("rms", epsilon(-1.0), frac=4), (4, 4), "epsilon must be positive, or 0 for a norm, not -1"),
        (Normalize("rms", epsilon(1.0), frac=-1), (4, 4), "of at least 0 bits"),
        (Normalize("rms", epsilon(1.0), (-2,), frac=4), (4, 4), "axes must be some of the 1 axes"),
        (Normalize("layer", epsilon(1.0), frac=4), (32, 32), "a sum of 3 squares needs more than 63 bits"),
        (
            Normalize("layer", epsilon(0.3), frac=20),
            (29, 29),
            "epsilon beside a sum of 3 squares, precise to 20 bits",
        ),
        (Normalize("deviation", epsilon(1e-9), frac=22), (16, 16), "beside|a quotient to 22 bits of numbers"),
        (
            Normalize("layer", epsilon(1e-3), frac=16),
            (16, -23),
            "epsilon and 3 squares of values as fine as these need more",
        ),
    ],
)
def test_what_is_refused(op, kind, sentence):
    with pytest.raises((ValueError, TooWide), match=sentence):
        op.infer(TensorType.of(Fixed(True, *kind), (3,)))


def test_work_grows_with_what_is_computed():
    def count(kind, of, shape):
        op = Normalize(kind, epsilon(0 if kind == "unit" else 1e-3), frac=12)
        work = op.work(TensorType.of(Fixed(True, 8, 3), shape), plan=Plan())
        return sum(u.count for u in work.units if u.kind == of)

    # A square and a product an element; a product for the pieces of each root, and one for the square of the sum.
    assert count("unit", "multiply", (3, 4)) == 2 * 12 + 3
    assert count("rms", "multiply", (3, 4)) == 2 * 12 + 3
    assert count("layer", "multiply", (3, 4)) == 2 * 12 + 2 * 3
    # By a number of elements that is no power of two: once for the squares, and once an element.
    assert count("layer", "constant_multiply", (3, 4)) == 0
    assert count("layer", "constant_multiply", (4, 3)) == 4 + 12
    assert count("rms", "table", (5,)) == 2
    # One element alone doesn't vary.
    assert count("layer", "multiply", (5, 1)) == 0
