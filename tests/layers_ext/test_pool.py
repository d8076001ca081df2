"""Sums and extremes over windows: against Python's integers, window by window; their C++; and the work that they need."""

import numpy as np
import pytest

from keras_hls.errors import TooWide
from keras_hls.fixed import Fixed, TensorType
from keras_hls.frontends.view import Builder
from keras_hls.graph import Input
from keras_hls.layers_ext.pool import Pool, reduce
from keras_hls.op import Plan, Unit
from keras_hls.sim.emulator import Emulator
from keras_hls.testing import Case, check_op, check_ops

PLAN = Plan()
KINDS = {"sum": sum, "max": max, "min": min}
WIDE = Fixed(True, 6, 3)


def ints(array):
    return np.asarray(array).astype(object)


def windows(op, length):
    """The elements of each window, from the definition."""
    found = []
    for i in range(op.windows):
        first = i * op.stride // op.parts - op.before
        last = -(-(i * op.stride + op.size) // op.parts) - op.before
        found.append([k for k in range(first, last) if 0 <= k < length])
    return found


def random_pool(rng, length, axis):
    kind = str(rng.choice(list(KINDS)))
    match rng.integers(4):
        case 0:  # Padded on either side, as "same" does.
            size, stride = int(rng.integers(1, length + 2)), int(rng.integers(1, 4))
            outputs = -(-length // stride)
            return Pool(kind, axis, outputs, size, stride, max((outputs - 1) * stride + size - length, 0) // 2)
        case 1:
            size, stride = int(rng.integers(1, length + 1)), int(rng.integers(1, 4))
            return Pool(kind, axis, (length - size) // stride + 1, size, stride)
        case 2:
            outputs = int(rng.integers(1, length + 3))
            return Pool(kind, axis, outputs, length, length, 0, outputs)
    return Pool(kind, axis, 1, length, length)


def random_case(rng, random_type, bits):
    shape = tuple(rng.integers(1, 7, rng.integers(1, 4)).tolist())
    axis = int(rng.integers(len(shape)))
    return random_pool(rng, shape[axis], axis), random_type(rng, shape, bits)


def slowly(op, array, batch=False):
    """The op's answer for one array of integers, or for a batch of them."""
    axis = op.axis + batch
    moved = np.moveaxis(ints(array), axis, 0)
    function = KINDS[op.kind]
    pooled = [np.frompyfunc(lambda *a: function(a), len(w), 1)(*(moved[k] for k in w)) for w in windows(op, len(moved))]
    return np.moveaxis(np.array(pooled, object).reshape(len(pooled), *moved.shape[1:]), 0, axis)


@pytest.mark.parametrize("bits", [1, 4, 8, 20, 40])
def test_values_intervals_and_grids_are_exact(random_type, on_grid, bits):
    rng = np.random.default_rng(bits)
    for _ in range(150):
        op, x = random_case(rng, random_type, bits)
        y, raw = op.infer(x), on_grid(rng, x, 12)
        assert y.frac == x.frac
        assert (ints(y.low) == slowly(op, x.low)).all()
        assert (ints(y.high) == slowly(op, x.high)).all()
        result = op.bind(x)(raw)
        assert result.dtype == np.int64
        assert (ints(result) == slowly(op, raw, batch=True)).all()
        assert (result % (np.int64(1) << np.where(y.low == y.high, 0, y.zeros)) == 0).all()


def test_grids_are_those_of_what_can_be_the_answer():
    # 16 to 48 by 16, -5 to 20 by 1, the constant 12.
    x = TensorType([16, -5, 12], [48, 20, 12], 0, [4, 0, 0])
    assert Pool("max", 0, 1, 3, 3).infer(x).zeros.tolist() == [0]
    lower = TensorType([16, -5, 12], [48, 16, 12], 0, [4, 0, 0])
    # The second never goes beyond 16, which the first always reaches.
    assert Pool("max", 0, 1, 3, 3).infer(lower).zeros.tolist() == [4]
    assert Pool("min", 0, 1, 3, 3).infer(lower).zeros.tolist() == [0]
    assert Pool("sum", 0, 1, 3, 3).infer(TensorType([-8, 4], [8, 20], 0, [3, 2])).zeros.tolist() == [2]


@pytest.mark.parametrize(("seed", "bits"), [(0, 6), (1, 14), (2, 40)])
def test_cpp(random_type, seed, bits):
    rng = np.random.default_rng(seed)
    check_ops([Case(op, (x,)) for op, x in (random_case(rng, random_type, bits) for _ in range(30))], samples=30)


@pytest.mark.parametrize("kind", ["max", "min"])
def test_cpp_where_an_element_is_beyond_the_type_of_the_answer(kind):
    """A window always holds 100 (or -100), so that the answer's type has no place for what the other elements can be."""
    low, high = ([-500, 60, 100], [120, 90, 100]) if kind == "max" else ([-120, -90, -100], [500, -60, -100])
    x = TensorType(low, high, 0)
    y = Pool(kind, 0, 1, 3, 3).infer(x)
    assert y.hull.width < x.hull.width
    check_op(Pool(kind, 0, 1, 3, 3), x)


def test_equals_float_arithmetic():
    x = TensorType.of(Fixed(True, 8, 3), (6, 4))
    check_op(Pool("sum", 0, 3, 2, 2), x, reference=lambda x: x.reshape(-1, 3, 2, 4).sum(2))
    check_op(Pool("max", 1, 2, 2, 2), x, reference=lambda x: x.reshape(-1, 6, 2, 2).max(3))


def test_adaptive_windows():
    """Five elements for three: 0 to 2, 1 to 4, 3 to 5."""
    op = Pool("sum", 0, 3, 5, 5, 0, 3)
    assert [ends.tolist() for ends in op.spans(5)] == [[0, 1, 3], [2, 4, 5]]
    # More windows than elements: some elements are in several.
    assert [ends.tolist() for ends in Pool("max", 0, 4, 3, 3, 0, 4).spans(3)] == [[0, 0, 1, 2], [1, 2, 3, 3]]


def test_sums_beyond_63_bits_are_refused():
    x = TensorType(np.full(4, -(2**60)), np.full(4, 2**60 - 1), 0)
    assert Pool("sum", 0, 1, 3, 3).infer(TensorType(x.low[:3], x.high[:3], 0)).low == -3 * 2**60
    with pytest.raises(TooWide, match="a sum over a window needs more than 63 bits"):
        Pool("sum", 0, 1, 4, 4).infer(x)


@pytest.mark.parametrize(
    ("op", "message"),
    [
        (Pool("mean", 0, 1, 4, 4), "kind of pooling must be one of sum, max, min, not 'mean'"),
        (Pool("max", 1, 1, 4, 4), r"axis must be one of the 1 axes of an input of shape \(4,\), not 1"),
        (Pool("max", 0, 3, 2, 2), "a window of 2 is empty on an axis of 4 elements"),
        (Pool("max", 0, 2, 1, 4, 1), "a window of 1 is empty on an axis of 4 elements"),
        (Pool("max", 0, 0, 1, 4), "a window of 1 is empty on an axis of 4 elements"),
    ],
)
def test_windows_that_make_no_sense_are_refused(op, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        op.infer(TensorType.of(WIDE, (4,)))


def test_claims():
    x = TensorType.of(WIDE, (4, 3))
    assert [Pool(kind, 0, 1, 4, 4).selects for kind in ("sum", "max", "min")] == [False, True, True]
    assert Pool("sum", 0, 4, 1).identity(x)
    assert not Pool("sum", 0, 2, 1, 2).identity(x)
    assert not Pool("sum", 0, 4, 2, 1, 1).identity(x)
    assert Pool("sum", 0, 1, 1, 1).identity(TensorType.of(WIDE, (1, 3)))


@pytest.mark.parametrize("axis", range(3))
def test_axes_in_another_order(axis):
    raw = np.random.default_rng(0).integers(-32, 32, (7, 2, 3, 4))
    x, axes = TensorType.of(WIDE, (2, 3, 4)), (1, 2, 0)
    op, turned = Pool("sum", axis, 1, 2, 2), TensorType.of(WIDE, (3, 4, 2))
    answer = op.permuted(axes).bind(turned)(raw.transpose(0, 2, 3, 1))
    assert np.array_equal(answer, op.bind(x)(raw).transpose(0, 2, 3, 1))


# --- work


def test_work_of_sums():
    x = TensorType.of(Fixed(True, 4, 4), (5, 2))
    # Two windows of two elements, for two channels.
    assert Pool("sum", 0, 2, 2, 2).work(x, plan=PLAN).units == (Unit("add", 4, (5,)),)
    whole = Pool("sum", 0, 1, 5, 5).work(x, plan=PLAN)
    assert sum(u.count for u in whole.units) == 8
    assert [step.units[0].widths for step in whole.steps] == [(5,), (6,), (7,)]
    # What is always zero isn't added; what is constant is one number together.
    y = TensorType([-8, 0, 3, 3, 5], [7, 0, 3, 9, 5], 0)
    assert sum(u.count for u in Pool("sum", 0, 1, 5, 5).work(y, plan=PLAN).units) == 2
    assert Pool("sum", 0, 1, 2, 2).work(TensorType([-8, 0], [7, 0], 0), plan=PLAN).units == ()


def test_work_of_extremes():
    x = TensorType.of(Fixed(True, 4, 4), (5, 2))
    work = Pool("max", 0, 1, 5, 5).work(x, plan=PLAN)
    assert [(u.kind, u.count, u.widths) for u in work.units] == [
        (kind, n, (4,)) for n in (4, 2, 2) for kind in ("compare", "select")
    ]
    assert [step.units[0].kind for step in work.steps] == ["compare", "select"] * 3
    # At a border, windows have fewer elements.
    assert sum(u.count for u in Pool("max", 0, 3, 3, 2, 1).work(x, plan=PLAN).units) == 2 * 2 * (1 + 2 + 1)
    # Never below 3; of those that can be above, one is never below 3 itself; -1 never wins.
    y = TensorType([-8, 3, -4, -1], [7, 9, 3, -1], 0)
    assert sum(u.count for u in Pool("max", 0, 1, 4, 4).work(y, plan=PLAN).units if u.kind == "compare") == 1
    # A constant is a number to compare with.
    z = TensorType([-8, -8, 0], [7, 7, 0], 0)
    assert sum(u.count for u in Pool("max", 0, 1, 3, 3).work(z, plan=PLAN).units if u.kind == "compare") == 2
    assert Pool("min", 0, 1, 2, 2).work(TensorType([-8, 7], [7, 9], 0), plan=PLAN).units == ()


# --- reductions


@pytest.mark.parametrize("axes", [(0,), (1,), (-1,), (0, 1), (1, 2), (0, 2), (0, 1, 2, 3), (0, -1), (3, 1), ()])
@pytest.mark.parametrize("keepdims", [True, False])
def test_reductions_over_any_axes(axes, keepdims):
    shape, build = (2, 3, 2, 4), Builder()
    x = build.add(Input(shape, None, WIDE), name="x")
    raw = np.random.default_rng(0).integers(-32, 32, (7, *shape))
    rank = len(shape)
    over = tuple(axis % rank + 1 for axis in axes)
    for kind, function in (("sum", np.sum), ("max", np.max), ("min", np.min)):
        y = reduce(build, x, shape, kind, axes, keepdims=keepdims, name=kind, layer=kind)
        graph = build.graph([y], ["y"])
        assert np.array_equal(Emulator(graph).run([raw])[0], function(raw, over, keepdims=keepdims))


def test_neighbouring_axes_are_reduced_at_once():
    build = Builder()
    x = build.add(Input((4, 5, 3), None, WIDE), name="x")
    y = reduce(build, x, (4, 5, 3), "sum", (0, 1), keepdims=False, name="y", layer="y")
    graph = build.graph([y], ["y"])
    assert [type(node.op).__name__ for node in graph] == ["Input", "Reshape", "Pool", "Reshape"]
