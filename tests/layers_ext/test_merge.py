"""Elementwise ops of two tensors: exact values, intervals and grids under every way of broadcasting, and their C++."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_hls.errors import TooWide
from keras_hls.fixed import Fixed, TensorType
from keras_hls.frontends.view import Builder
from keras_hls.graph import Graph, Input
from keras_hls.layers_ext.merge import Add, Maximum, Minimum, Multiply, Subtract, join
from keras_hls.op import Plan, Unit, Work
from keras_hls.sim.emulator import Emulator
from keras_hls.testing import Case, check_op, check_ops

PLAN = Plan()
#: Each op with its meaning on Python's integers, and whether they have to be on one grid.
OPS = {
    Add: (lambda a, b: a + b, True),
    Subtract: (lambda a, b: a - b, True),
    Multiply: (lambda a, b: a * b, False),
    Maximum: (np.maximum, True),
    Minimum: (np.minimum, True),
}


def ints(array):
    return np.asarray(array).astype(object)


def exact(op, a, b, first, second):
    """The result of one op on Python's integers; raw integers of one sample or of many."""
    function, aligns = OPS[type(op)]
    frac = max(a.frac, b.frac)
    rank = max(len(a.shape), len(b.shape))
    operands = []
    for kind, raw in ((a, first), (b, second)):
        lead = np.shape(raw)[: np.ndim(raw) - len(kind.shape)]
        whole = ints(raw).reshape((*lead, *(1,) * (rank - len(kind.shape)), *kind.shape))
        operands.append(whole * 2 ** (frac - kind.frac if aligns else 0))
    return function(*operands)


def random_shapes(rng, axes=4):
    """Two shapes that broadcast: of any rank, with ones anywhere."""
    shape = rng.integers(1, 4, rng.integers(0, axes + 1))
    return [
        tuple(np.where(rng.random(len(shape)) < 0.4, 1, shape)[rng.integers(0, len(shape) + 1) :].tolist())
        for _ in "ab"
    ]


@pytest.mark.parametrize("op", [cls() for cls in OPS], ids=lambda op: type(op).__name__)
@settings(max_examples=120)
@given(seed=st.integers(0, 2**32 - 1), bits=st.sampled_from([1, 3, 8, 20, 28]))
def test_values_intervals_and_grids_are_exact(random_type, on_grid, op, seed, bits):
    rng = np.random.default_rng(seed)
    a, b = (random_type(rng, shape, bits) for shape in random_shapes(rng))
    y = op.infer(a, b)
    assert y.shape == np.broadcast_shapes(a.shape, b.shape)
    assert y.frac == (max(a.frac, b.frac) if OPS[type(op)][1] else a.frac + b.frac)
    corners = [exact(op, a, b, first, second) for first, second in product((a.low, a.high), (b.low, b.high))]
    assert (ints(y.low) == np.min(corners, axis=0)).all()
    assert (ints(y.high) == np.max(corners, axis=0)).all()
    raw = [on_grid(rng, kind, 20) for kind in (a, b)]
    result = op.bind(a, b)(*raw)
    assert result.dtype == np.int64
    assert (ints(result) == exact(op, a, b, *raw)).all()
    assert (result % (np.int64(1) << np.where(y.low == y.high, 0, y.zeros)) == 0).all()


def test_grids_are_the_coarsest():
    coarse, fine = TensorType(-32, 32, 0, 3), TensorType([-3, 40, 16], [3, 60, 20], 1)
    assert Add().infer(coarse, fine).zeros.tolist() == [0, 0, 0]
    assert Multiply().infer(coarse, fine).zeros.tolist() == [3, 3, 3]
    # On one grid, `coarse` is -64 to 64 by 16: it may be below any of them, and beyond each.
    assert Maximum().infer(coarse, fine).zeros.tolist() == [0, 0, 0]
    # Where one input alone can be the answer, its own grid is that of the answer.
    above = TensorType(64, 128, 0, 3)
    assert Maximum().infer(above, fine).zeros.tolist() == [4, 4, 4]
    assert Minimum().infer(above, fine).zeros.tolist() == [0, 0, 0]


def test_cpp(random_type):
    rng = np.random.default_rng(0)
    cases = []
    for op, bits in product((cls() for cls in OPS), (1, 4, 9, 16, 30) * 3):
        shapes = random_shapes(rng)
        cases.append(
            Case(op, (random_type(rng, shapes[0], bits), random_type(rng, shapes[1], int(rng.integers(1, bits + 1)))))
        )
    check_ops(cases, samples=40)


def test_cpp_of_every_turn_of_broadcasting():
    """Up to six runs of axes along which one input, the other or none repeats."""
    whole, narrow = Fixed(True, 6, 3), Fixed(False, 4, 1)
    shapes = [
        ((2, 3, 4), (4,)),
        ((2, 3, 4), (1, 1, 4)),
        ((2, 3, 4), (2, 3, 1)),
        ((2, 1, 4), (3, 1)),
        ((4, 5), (4, 1)),
        ((1,), (3, 2)),
        ((), (2, 3)),
        ((2, 1, 3, 1), (1, 2, 1, 3)),
        ((2, 1, 2, 1, 2, 1), (1, 2, 1, 2, 1, 2)),
        ((1, 1), (1, 1)),
    ]
    cases = [
        Case(op, (TensorType.of(whole, a), TensorType.of(narrow, b)))
        for op in (Subtract(), Maximum())
        for pair in shapes
        for a, b in (pair, pair[::-1])
    ]
    check_ops(cases, samples=20)


@pytest.mark.parametrize("cls", [Maximum, Minimum])
def test_cpp_compares_by_value_where_signs_differ(cls):
    """The vendor's headers compare a wide unsigned number with a negative one as C does: as if it were huge."""
    signed, unsigned = TensorType.of(Fixed(True, 20, 20), (8,)), TensorType.of(Fixed(False, 34, 34), (8,))
    check_ops([Case(cls(), pair) for pair in ((signed, unsigned), (unsigned, signed))], samples=60)


@pytest.mark.parametrize("cls", list(OPS), ids=lambda cls: cls.__name__)
def test_equals_float_arithmetic(cls):
    a, b = TensorType.of(Fixed(True, 8, 3), (2, 3)), TensorType.of(Fixed(False, 5, 9), (3,))
    function = OPS[cls][0]
    check_op(cls(), a, b, reference=lambda x, y: function(x, y[:, None]))


@pytest.mark.parametrize("op", [Add(), Subtract(), Maximum(), Minimum()], ids=lambda op: type(op).__name__)
def test_grids_too_far_apart_are_refused(op):
    wide, fine = TensorType.of(Fixed(True, 40, 40), (2,)), TensorType.of(Fixed(True, 8, -20), (2,))
    with pytest.raises(TooWide):
        op.infer(wide, fine)


def test_results_beyond_63_bits_are_refused():
    most = TensorType(2**62 - 1, 2**62 - 1, 0)
    with pytest.raises(TooWide):
        Add().infer(most, TensorType(1, 1, 0))
    with pytest.raises(TooWide):
        Subtract().infer(most, TensorType(-1, 0, 0))
    assert Add().infer(most, TensorType(0, 0, 0)).high == 2**62 - 1
    half = TensorType(-(2**31), 2**31, 0)
    with pytest.raises(TooWide, match="a product needs more than 63 bits"):
        Multiply().infer(half, half)
    assert Multiply().infer(half, TensorType(0, 2**31 - 9, 0)).high == 2**31 * (2**31 - 9)


def test_shapes_that_do_not_broadcast_are_refused():
    a, b = (TensorType.of(Fixed(True, 4, 2), shape) for shape in ((2, 3), (2,)))
    with pytest.raises(
        ValueError,
        match=r"^inputs of shapes \(2, 3\) and \(2,\) don't broadcast: axes, counted from the last, must agree or be 1$",
    ):
        Add().infer(a, b)


def test_too_many_turns_are_refused():
    a, b = (TensorType.of(Fixed(True, 4, 2), shape) for shape in ((2, 1) * 4, (1, 2) * 4))
    with pytest.raises(ValueError, match="along more than 6 runs of axes; reshape them to fewer"):
        Multiply().infer(a, b)


def test_selects():
    """What passes may look through: the two that answer with one of their inputs' elements."""
    assert [cls.__name__ for cls in OPS if cls().selects] == ["Maximum", "Minimum"]


@pytest.mark.parametrize("cls", list(OPS), ids=lambda cls: cls.__name__)
def test_axes_in_another_order(random_type, on_grid, cls):
    rng, axes = np.random.default_rng(0), (2, 0, 1)
    kinds = [random_type(rng, shape, 8) for shape in ((2, 3, 4), (2, 1, 4))]
    raws = [on_grid(rng, kind, 5) for kind in kinds]
    turned = [TensorType(*(a.transpose(axes) for a in (k.low, k.high)), k.frac, k.zeros.transpose(axes)) for k in kinds]
    whole = (0, *(axis + 1 for axis in axes))
    answer = cls().permuted(axes).bind(*turned)(*(raw.transpose(whole) for raw in raws))
    assert np.array_equal(answer, cls().bind(*kinds)(*raws).transpose(whole))


@pytest.mark.parametrize("shape", [(5,), (1, 5)])
def test_work_of_add_and_subtract(shape):
    a = TensorType(np.reshape([-8, 0, 3, 0, 1], shape), np.reshape([7, 0, 3, 15, 2], shape), 0)
    b = TensorType([-8, -8, -8, 0, 0], [7, 7, 7, 15, 0], 0)
    # Two constants, or a constant zero beside anything, take nothing.
    assert Add().work(a, b, plan=PLAN).units == (Unit("add", 3, (5,)),)
    # But for the first operand of a difference, where zero means to negate.
    assert {u.widths: u.count for u in Subtract().work(a, b, plan=PLAN).units} == {(5,): 4}
    nothing = Add().work(TensorType([3, 0], [3, 0], 0), TensorType([4, -2], [4, 9], 0), plan=PLAN)
    assert nothing == Work()


def test_work_counts_elements_of_the_output():
    a, b = TensorType.of(Fixed(True, 4, 4), (6, 1)), TensorType.of(Fixed(True, 4, 4), (7,))
    assert Add().work(a, b, plan=PLAN).units == (Unit("add", 42, (5,)),)
    assert Multiply().work(a, b, plan=PLAN).units == (Unit("multiply", 42, (4, 4)),)
    assert Maximum().work(a, b, plan=PLAN).units == (Unit("compare", 42, (4,)), Unit("select", 42, (4,)))


def test_work_of_multiply():
    x = TensorType.of(Fixed(True, 4, 4), (7,))
    # A variable, zero, shifts, a negation, products by constants; and bits that are always zero aren't multiplied.
    y = TensorType([-8, 0, 1, 8, -2, 7, 0], [7, 0, 1, 8, -2, 7, 24], 0, [0, 0, 0, 0, 0, 0, 3])
    for pair in ((x, y), (y, x)):
        found = Multiply().work(*pair, plan=PLAN).units
        assert {(u.kind, u.widths, u.digits) for u in found if u.kind != "multiply"} == {
            ("constant_multiply", (4, 3), 2),
            ("add", (5,), 0),
        }
        assert sorted(tuple(sorted(u.widths)) for u in found if u.kind == "multiply") == [(2, 4), (4, 4)]
        assert all(u.count == 1 for u in found)


def test_work_of_maximum():
    x = TensorType.of(Fixed(True, 4, 4), (5,))
    # Anything; zero, where the sign decides; always above; always below; the same value at the edge.
    y = TensorType([-4, 0, 9, -20, 7], [3, 0, 12, -9, 9], 0)
    assert Maximum().work(x, y, plan=PLAN).units == (
        Unit("compare", 1, (4,)),
        Unit("select", 1, (3,)),
        Unit("select", 1, (4,)),
    )
    assert Minimum().work(x, y, plan=PLAN).units == (Unit("compare", 1, (4,)), Unit("select", 2, (4,)))


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 7, 8])
def test_many_inputs_are_a_balanced_tree(count):
    fixed, build = Fixed(True, 5, 5), Builder()
    names = [build.add(Input((3,), None, fixed), name=f"x{i}") for i in range(count)]
    root = join(build, Add(), names, name="sum", layer="sum")
    graph = build.graph([root], ["y"])
    assert len(graph) == 2 * count - 1
    assert root.name == ("sum" if count > 1 else "x0")
    levels = {}
    for node in graph:
        levels[node.name] = max((levels[name] + 1 for name in node.inputs), default=0)
    assert levels[root.name] == (count - 1).bit_length()
    raw = [np.random.default_rng(i).integers(-16, 16, (9, 3)) for i in range(count)]
    assert np.array_equal(Emulator(graph).run(raw)[0], sum(raw))


def test_one_tensor_twice():
    """Its two uses are taken for independent: the interval is wider than that of a square, and holds it."""
    fixed, build = Fixed(True, 5, 5), Builder()
    x = build.add(Input((4,), None, fixed), name="x")
    graph = build.graph([build.add(Multiply(), x, x, name="y")], ["y"])
    raw = np.array([[-16, 0, 3, 15]])
    assert isinstance(graph, Graph)
    assert Emulator(graph).run([raw])[0].tolist() == [[256, 0, 9, 225]]
    assert (graph.types["y"].low == -240).all()
    assert (graph.types["y"].high == 256).all()
