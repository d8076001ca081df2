"""Sparsemax, and what older versions of Keras take for it: exact, held against fractions."""

from fractions import Fraction

import numpy as np
import pytest

from keras_hls.errors import TooWide
from keras_hls.fixed import Fixed, Formats, Quantization, TensorType
from keras_hls.frontends.view import ReadError
from keras_hls.layers_ext.axis_runs import Runs
from keras_hls.layers_ext.sparsemax import Sparsemax, is_cumulative
from keras_hls.op import Plan
from keras_hls.testing import Case, check_ops


def by_sorting(row, cumulative):
    """The definition, in fractions."""
    total, sums = Fraction(0), []
    for count, value in enumerate(sorted(row, reverse=True), 1):
        total += value
        if value - (total - 1) / count > 0:
            sums.append(total)
    threshold = ((sum(sums) if cumulative else sums[-1]) - 1) / len(sums)
    return [max(value - threshold, Fraction(0)) for value in row]


def odd(value, frac):
    scaled = value * Fraction(2) ** frac
    whole = scaled.numerator // scaled.denominator
    return whole | (whole != scaled)


def cases(rng, count, random_type):
    for _ in range(count):
        shape = tuple(int(n) for n in rng.integers(1, 5, rng.integers(1, 4)))
        if rng.integers(5) == 0:
            shape = (int(rng.integers(5, 65)),)
        axes = tuple(
            int(a) - len(shape) for a in sorted(rng.permutation(len(shape))[: rng.integers(1, len(shape) + 1)])
        )
        x = random_type(rng, shape)
        yield Sparsemax(axes, bool(rng.integers(2)), int(rng.integers(-3, 18))), x


@pytest.mark.parametrize("seed", range(3))
def test_exactly(seed, random_type, on_grid):
    rng = np.random.default_rng(seed)
    asked = []
    for op, x in cases(rng, 15, random_type):
        runs = Runs.of(x.shape, op.axes)
        raw = on_grid(rng, x, 40)
        answers = runs.rows(op.bind(x)(raw)).reshape(-1, runs.count)
        for row, answer in zip(runs.rows(raw).reshape(-1, runs.count).tolist(), answers.tolist()):
            values = [Fraction(value) / Fraction(2) ** x.frac for value in row]
            assert answer == [odd(value, op.frac) for value in by_sorting(values, op.cumulative)]
        asked.append(Case(op, (x,)))
    check_ops(asked, samples=60)


def test_ends_of_intervals_are_reached():
    """Each element is largest where it is, and the others are smallest."""
    x = TensorType([-8, 0, 3, -2], [7, 2, 3, 9], 3)
    y = Sparsemax(frac=12).infer(x)
    corners = np.array(np.meshgrid(*zip(x.low, x.high))).reshape(4, -1).T
    answers = Sparsemax(frac=12).bind(x)(corners)
    assert (answers.min(0) == y.low).all()
    assert (answers.max(0) == y.high).all()


@pytest.mark.parametrize("rounding", ["TRN", "RND", "RND_CONV", "RND_ZERO", "TRN_ZERO"])
def test_as_good_as_the_real_one_for_what_cuts_it(rounding):
    x = TensorType.of(Fixed(True, 5, 2), (3,))
    raw = np.array(np.meshgrid(*[np.arange(-16, 16)] * 3)).reshape(3, -1).T
    for frac in (0, 2, 5):
        cut = Formats.of(Fixed(False, frac + 2, 2, rounding, "SAT"))
        op = Sparsemax().settle(x, frac=frac)
        assert (op.frac, op.exact, op.error(x)) == (frac + 2, True, 0.0)
        fine = Sparsemax(frac=30)
        coarse, real = (Quantization(cut, o.infer(x))(o.bind(x)(raw)) for o in (op, fine))
        assert (coarse == real).all()


def test_precision_of_its_own():
    x = TensorType.of(Fixed(True, 5, 2), (3,))
    op = Sparsemax().settle(x, frac=None)
    assert (op.frac, op.exact, op.error(x)) == (19, False, 2.0**-19)
    assert op.settle(x, frac=3) is op
    with pytest.raises(ValueError, match="no type before a pass has chosen its precision"):
        Sparsemax().infer(x)


def test_with_axes_in_another_order():
    x = TensorType.of(Fixed(True, 6, 3), (2, 3, 4))
    raw = np.random.default_rng(3).integers(-32, 32, (20, 2, 3, 4))
    for axes in ((-1,), (-3, -1)):
        op, order = Sparsemax(axes, frac=9), (2, 0, 1)
        other = TensorType.of(Fixed(True, 6, 3), (4, 2, 3))
        answer = op.permuted(order).bind(other)(raw.transpose(0, 3, 1, 2))
        assert (answer == op.bind(x)(raw).transpose(0, 3, 1, 2)).all()


def test_which_one_a_version_of_keras_has():
    for cumulative in (False, True):

        def answer(values, cumulative=cumulative):
            rows = np.moveaxis(values, 1, -1)
            found = [by_sorting([Fraction(v) for v in row], cumulative) for row in rows.reshape(-1, rows.shape[-1])]
            return np.moveaxis(np.array(found, float).reshape(rows.shape), -1, 1)

        assert is_cumulative(answer, 3, 1) == cumulative
    with pytest.raises(ReadError, match="which no version of Keras answers that is known here"):
        is_cumulative(lambda values: values, 2, -1)


def test_what_is_refused():
    with pytest.raises(
        ValueError, match="sparsemax of 65 elements compares each with each; it is built for 64 at most"
    ):
        Sparsemax(frac=4).infer(TensorType.of(Fixed(True, 4, 2), (65,)))
    with pytest.raises(TooWide, match="a sum of 3 values"):
        Sparsemax(frac=4).infer(TensorType.of(Fixed(True, 60, 2), (3,)))
    with pytest.raises(TooWide, match="sparsemax of 3 elements to 40 fractional bits"):
        Sparsemax(frac=40).infer(TensorType.of(Fixed(True, 20, 2), (3,)))


def test_work_counts_pairs():
    for n in (2, 5, 8):
        x = TensorType.of(Fixed(True, 6, 2), (3, n))
        work = Sparsemax(frac=8).work(x, plan=Plan())
        assert work.units[0].kind == "add"
        assert work.units[0].count == 3 * n * (n - 1) // 2
        assert sum(u.count for u in work.units if u.kind == "multiply") == 2 * 3 * n
        older = Sparsemax(cumulative=True, frac=8).work(x, plan=Plan())
        assert sum(u.count for u in older.units if u.kind == "multiply") == 3 * 3 * n
    # One element alone is always 1.
    assert not Sparsemax(frac=8).work(TensorType.of(Fixed(True, 6, 2), (1,)), plan=Plan()).units
