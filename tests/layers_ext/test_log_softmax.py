"""The logarithm of a softmax: within the bound that it states, equal in C++, and as fine as its readers need."""

import numpy as np
import pytest

from keras_hls.errors import TooWide
from keras_hls.fixed import Fixed, TensorType
from keras_hls.layers_ext.log_softmax import LogSoftmax
from keras_hls.op import Plan
from keras_hls.testing import Case, check_ops

CASES = [
    (LogSoftmax(16), Fixed(True, 8, 4), (10,)),
    (LogSoftmax(16), Fixed(True, 16, 6), (5,)),
    (LogSoftmax(10, 14, (-2,)), Fixed(False, 6, 3), (4, 3)),
    (LogSoftmax(8, 9), Fixed(True, 12, 12), (3,)),
    (LogSoftmax(22, 26), Fixed(True, 20, 3), (6,)),
    (LogSoftmax(4, 5), Fixed(True, 3, -2), (7,)),
    (LogSoftmax(16, 18, (0, 2)), Fixed(True, 6, 9), (2, 2, 3)),
    (LogSoftmax(10, 10), Fixed(True, 1, 1), (2,)),
    (LogSoftmax(0, 3), Fixed(True, 4, 3), (3,)),
    (LogSoftmax(1, 1), Fixed(True, 4, 3), (2,)),
    (LogSoftmax(16, 20), Fixed(True, 40, 30), (4,)),
    (LogSoftmax(20, 30), Fixed(True, 10, 4), (1,)),
    (LogSoftmax(12, 22), Fixed(True, 7, 3), (100,)),
    (LogSoftmax(12, 20), Fixed(True, 4, 40), (3,)),
]


def real(x: TensorType, axes, raw):
    values = x.to_float(raw)
    numpy_axes = tuple(a % len(x.shape) + 1 for a in axes)
    values = values - values.max(numpy_axes, keepdims=True)
    return values - np.log(np.exp(values).sum(numpy_axes, keepdims=True))


def samples(x: TensorType, rng) -> np.ndarray:
    """All over the range, and close together, where the sum of exponentials matters."""
    wide = rng.integers(x.low, x.high, (300, *x.shape), endpoint=True)
    middle = (x.low + x.high) // 2
    reach = np.int64(2) << min(max(x.frac, 0), 40)
    near = np.clip(middle + rng.integers(-reach, reach + 1, wide.shape), x.low, x.high)
    return np.concatenate([wide, near, x.low[None], x.high[None]])


@pytest.mark.parametrize(("op", "fixed", "shape"), CASES)
def test_within_its_bound_of_the_real_one(op, fixed, shape):
    x = TensorType.of(fixed, shape)
    raw = samples(x, np.random.default_rng(0))
    y, answers = op.infer(x), op.bind(x)(raw)
    assert y.frac == max(op.frac, x.frac)
    error = np.abs(y.to_float(answers) - real(x, op.axes, raw))
    assert error.max() <= op.error(x)
    assert (answers >= y.low).all()
    assert (answers <= y.high).all()
    assert (y.high <= 0).all()
    # What is larger has a larger logarithm, by exactly the difference.
    numpy_axes = tuple(a % len(shape) + 1 for a in op.axes)
    up = y.frac - x.frac
    assert (answers - answers.max(numpy_axes, keepdims=True) == (raw - raw.max(numpy_axes, keepdims=True)) << up).all()


def test_cpp():
    cases = [Case(op, (TensorType.of(fixed, shape),)) for op, fixed, shape in CASES]
    # Elements of their own intervals.
    cases.append(Case(LogSoftmax(8, 10), (TensorType([-8, 0, 5, -100], [7, 0, 9, -90], 2),)))
    cases.append(Case(LogSoftmax(8, 10), (TensorType([[0, 3], [-9, -9]], [[0, 3], [-9, 100]], -1),)))
    check_ops(cases, samples=60)


@pytest.mark.parametrize("n", [2, 10, 100])
def test_finer_ones_come_closer(n):
    x = TensorType.of(Fixed(True, 9, 4), (n,))
    raw = samples(x, np.random.default_rng(1))
    errors = []
    for frac in (4, 8, 12, 16):
        op = LogSoftmax(frac, frac + 10)
        errors.append(np.abs(op.infer(x).to_float(op.bind(x)(raw)) - real(x, (-1,), raw)).max())
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 2e-5


def test_precision_follows_from_readers():
    x = TensorType.of(Fixed(True, 9, 4), (5,))
    assert LogSoftmax().settle(x, frac=None).frac == 16
    assert LogSoftmax().settle(x, frac=4).frac == 12
    assert LogSoftmax().settle(x, frac=-20).frac == 0
    assert LogSoftmax().settle(x, frac=30).frac == 22
    assert LogSoftmax(3).settle(x, frac=9).frac == 3
    with pytest.raises(ValueError, match="no type before a pass has chosen its precision"):
        LogSoftmax().infer(x)


def test_what_is_refused():
    x = TensorType.of(Fixed(True, 8, 4), (10,))
    for op in (LogSoftmax(8, 31), LogSoftmax(8, 60)):
        with pytest.raises(TooWide, match="10 exponentials to"):
            op.infer(x)
    with pytest.raises(TooWide, match="31 bits"):
        LogSoftmax(8).infer(TensorType.of(Fixed(True, 40, 6), (3,)))
    with pytest.raises(TooWide, match="a distance to the largest value"):
        LogSoftmax(22).infer(TensorType.of(Fixed(True, 45, 45), (3,)))
    with pytest.raises(ValueError, match="frac >= 0 and table_frac >= 1"):
        LogSoftmax(-1).infer(x)


def test_the_host_can_compute_it():
    assert LogSoftmax().host == "log_softmax"
    assert LogSoftmax(axes=(-2,)).host == "log_softmax(axis=-2)"


def test_work_grows_with_what_is_computed():
    for shape, groups, n in (((5,), 1, 5), ((3, 4), 3, 4), ((2, 1), 2, 1)):
        work = LogSoftmax(16).work(TensorType.of(Fixed(True, 10, 4), shape), plan=Plan())
        count = {kind: sum(u.count for u in work.units if u.kind == kind) for kind in ("multiply", "table", "divide")}
        # Two tables an element and two a logarithm; a product each.
        assert count == {"multiply": groups * n + groups, "table": 2 * groups * n + 2 * groups, "divide": 0}
