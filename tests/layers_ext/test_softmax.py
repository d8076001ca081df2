"""Softmax: within the documented bound of the real one, equal in C++, and refused where the integers end."""

import numpy as np
import pytest

from keras_hls.errors import TooWide
from keras_hls.fixed import Fixed, TensorType
from keras_hls.layers_ext.softmax import Softmax
from keras_hls.op import Plan
from keras_hls.testing import Case, check_op, check_ops


def real(values):
    e = np.exp(values - values.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def bound(op: Softmax, n: int) -> float:
    return 2.0 ** -(op.frac + 1) + 1.5 * (n + 1) * 2.0**-op.table_frac


def exact(op: Softmax, x: TensorType, raw):
    """The documented steps in Python's integers; only the tables' entries are floats that are rounded."""
    exponentials = op._exponentials(x)
    coarse, fine = exponentials.tables
    split = exponentials.split
    answers = []
    for row in raw.reshape(-1, x.shape[-1]).tolist():
        e = []
        for v in row:
            d = min(max(row) - v, exponentials.span)
            product = int(coarse[d >> split]) * int(fine[d % (1 << split)])
            e.append((product + 2 ** (op.table_frac - 1)) // 2**op.table_frac)
        answers += [(2 * n * 2**op.frac + sum(e)) // (2 * sum(e)) for n in e]
    return np.array(answers).reshape(raw.shape)


CASES = [
    (Softmax(), Fixed(True, 8, 4), (10,)),
    (Softmax(), Fixed(True, 16, 6), (5,)),
    (Softmax(8, 12), Fixed(False, 6, 3), (2, 4)),
    (Softmax(8, 9), Fixed(True, 12, 12), (3,)),
    (Softmax(12, 16), Fixed(True, 20, 3), (6,)),
    (Softmax(4, 5), Fixed(True, 3, -2), (7,)),
    (Softmax(16, 18), Fixed(True, 6, 9), (2, 2, 3)),
    (Softmax(10, 10), Fixed(True, 1, 1), (2,)),
    (Softmax(1, 1), Fixed(True, 4, 3), (3,)),
    (Softmax(0, 3), Fixed(True, 4, 3), (3,)),
    (Softmax(16, 20), Fixed(True, 40, 20), (4,)),
    (Softmax(16, 30), Fixed(True, 10, 4), (4,)),
    (Softmax(20, 20), Fixed(True, 10, 4), (1,)),
    (Softmax(6, 14), Fixed(True, 5, 3), (100,)),
]


def samples(x: TensorType, rng) -> np.ndarray:
    wide = rng.integers(x.low, x.high, (300, *x.shape), endpoint=True)
    middle = (x.low + x.high) // 2
    # Close together, where the exponentials matter, and far apart.
    near = np.clip(middle + rng.integers(-(1 << max(x.frac, 0)), 1 + (2 << max(x.frac, 0)), wide.shape), x.low, x.high)
    return np.concatenate(
        [wide, near, x.low[None], x.high[None], np.where(np.arange(x.shape[-1]) == 0, x.high, x.low)[None]]
    )


@pytest.mark.parametrize(("op", "fixed", "shape"), CASES)
def test_within_its_bound_of_the_real_softmax(op, fixed, shape):
    x = TensorType.of(fixed, shape)
    raw = samples(x, np.random.default_rng(0))
    y, answers = op.infer(x), op.bind(x)(raw)
    assert (answers == exact(op, x, raw)).all()
    error = np.abs(y.to_float(answers) - real(x.to_float(raw)))
    assert error.max() <= bound(op, shape[-1]) * (1 + 1e-9)
    assert (answers >= y.low).all()
    assert (answers <= y.high).all()
    # The largest input has the largest answer.
    assert (np.take_along_axis(answers, raw.argmax(-1)[..., None], -1)[..., 0] == answers.max(-1)).all()


@pytest.mark.parametrize("n", [2, 10, 100])
def test_finer_tables_and_results_come_closer(n):
    x = TensorType.of(Fixed(True, 9, 4), (n,))
    raw = samples(x, np.random.default_rng(1))
    errors = [
        np.abs(np.ldexp(Softmax(f, f + 6).bind(x)(raw).astype(float), -f) - real(x.to_float(raw))).max()
        for f in (4, 8, 12, 16)
    ]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 1e-4


def test_cpp():
    cases = [Case(op, (TensorType.of(fixed, shape),)) for op, fixed, shape in CASES]
    # Elements of their own intervals.
    cases.append(Case(Softmax(8, 10), (TensorType([-8, 0, 5, -100], [7, 0, 9, -90], 2),)))
    cases.append(Case(Softmax(8, 10), (TensorType([[0, 3], [-9, -9]], [[0, 3], [-9, 100]], -1),)))
    check_ops(cases, samples=100)


@pytest.mark.parametrize("frac", range(20, 32))
def test_the_finest_inputs_are_right_or_refused(frac):
    """Distances of up to 32 bits, where plain C++ integers end."""
    x = TensorType.of(Fixed(True, frac + 6, 6), (3,))
    op = Softmax(8, 20)
    try:
        op.infer(x)
    except TooWide:
        assert frac > 26
        return
    raw = samples(x, np.random.default_rng(2))
    assert (op.bind(x)(raw) == exact(op, x, raw)).all()
    assert np.abs(np.ldexp(op.bind(x)(raw).astype(float), -8) - real(x.to_float(raw))).max() <= bound(op, 3)
    if frac >= 27 or frac == 20:
        check_op(op, x, samples=50)


@pytest.mark.parametrize("op", [Softmax(16, 31), Softmax(16, 32), Softmax(10, 40), Softmax(40, 20), Softmax(44, 15)])
def test_integers_beyond_63_bits_are_refused(op):
    with pytest.raises(TooWide):
        op.infer(TensorType.of(Fixed(True, 8, 4), (10,)))


@pytest.mark.parametrize("op", [Softmax(8, 0), Softmax(8, -3), Softmax(-1, 8)])
def test_precisions_without_sense_are_refused(op):
    with pytest.raises(ValueError, match="frac"):
        op.infer(TensorType.of(Fixed(True, 8, 4), (10,)))


def test_a_scalar_is_refused():
    with pytest.raises(ValueError, match="axes must be some of the 0 axes"):
        Softmax().infer(TensorType.of(Fixed(True, 8, 4), ()))


def test_the_host_can_compute_it():
    assert Softmax().host == "softmax"
    assert Softmax(axes=(-2,)).host == "softmax(axis=-2)"
    assert Softmax(axes=(-3, -1)).host == "softmax(axis=(-3, -1))"


AXES = [(-1,), (-2,), (0,), (-2, -1), (0, 1), (-3, -1), (-4, -2), (0, 1, 2, 3), (-4, -3, -1)]


def test_over_any_axes():
    shape, cases = (2, 3, 4, 2), []
    x = TensorType.of(Fixed(True, 9, 4), shape)
    raw = np.random.default_rng(3).integers(x.low, x.high, (200, *shape), endpoint=True)
    for axes in AXES:
        op = Softmax(10, 14, axes)
        places = tuple(a % 4 for a in axes)
        order = (*(a for a in range(4) if a not in places), *places)
        moved = raw.transpose(0, *(a + 1 for a in order)).reshape(200, -1, np.prod([shape[a] for a in places]))
        row = TensorType.of(Fixed(True, 9, 4), moved.shape[1:])
        # As over the last axis, with the elements in another order.
        wanted = Softmax(10, 14).bind(row)(moved).reshape(200, *(shape[a] for a in order))
        assert (op.bind(x)(raw).transpose(0, *(a + 1 for a in order)) == wanted).all()
        assert op.error(x) == bound(op, moved.shape[-1])
        cases.append(Case(op, (x,)))
    check_ops(cases, samples=40)


def test_with_axes_in_another_order():
    x = TensorType.of(Fixed(True, 9, 4), (2, 3, 4))
    raw = np.random.default_rng(3).integers(-256, 256, (20, 2, 3, 4))
    for axes in ((-1,), (-3, -1), (-3, -2)):
        for order in ((2, 0, 1), (1, 0, 2)):
            numpy_order = (0, *(a + 1 for a in order))
            other = TensorType.of(Fixed(True, 9, 4), tuple(x.shape[a] for a in order))
            op = Softmax(axes=axes)
            answer = op.permuted(order).bind(other)(raw.transpose(numpy_order))
            assert (answer == op.bind(x)(raw).transpose(numpy_order)).all()


def test_work_grows_with_what_is_computed():
    def count(kind, shape):
        work = Softmax().work(TensorType.of(Fixed(True, 10, 4), shape), plan=Plan())
        return sum(u.count for u in work.units if u.kind == kind)

    for shape, rows, n in (((5,), 1, 5), ((3, 4), 3, 4), ((2, 1), 2, 1)):
        assert count("divide", shape) == rows * n
        assert count("multiply", shape) == rows * n
        assert count("compare", shape) == rows * (n - 1)
        assert count("table", shape) == 2 * rows * n
