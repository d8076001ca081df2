"""Elements that move: every op against numpy, on samples, intervals and in C++."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_hls.errors import TooWide
from keras_hls.fixed import Fixed, TensorType
from keras_hls.layers_ext.movement import Concatenate, Copy, Crop, Loop, Pad, Permute, Repeat, Slice
from keras_hls.op import Plan, Work
from keras_hls.testing import Case, check_ops

X = TensorType.of(Fixed(True, 5, 3), (2, 3, 4))


def small(shape, frac=2, seed=0):
    rng = np.random.default_rng(seed)
    low = rng.integers(-20, 20, shape) * 2
    return TensorType(low, low + rng.integers(0, 9, shape) * 2, frac, np.ones(shape, int))


def permute(axes):
    return Permute(axes), lambda a: a.transpose(0, *(axis + 1 for axis in axes))


def pad(before, after):
    return Pad(before, after), lambda a: np.pad(a, [(0, 0), *zip(before, after)])


def cut(start, stop, step):
    index = (slice(None), *map(slice, start, stop, step))
    return Slice(start, stop, step), lambda a: a[index]


def repeat(repeats):
    def run(a):
        for axis, n in enumerate(repeats, 1):
            a = a.repeat(n, axis)
        return a

    return Repeat(repeats), run


@st.composite
def movements(draw):
    """An op, what numpy says that it does, and a shape that suits it."""
    shape = tuple(draw(st.lists(st.integers(1, 5), max_size=4)))
    kind = draw(st.sampled_from([permute, pad, cut, repeat]))
    if kind is permute:
        return *permute(tuple(draw(st.permutations(range(len(shape)))))), shape
    if kind is pad:
        return *pad(*(tuple(draw(st.integers(0, 3)) for _ in shape) for _ in range(2))), shape
    if kind is repeat:
        return *repeat(tuple(draw(st.integers(1, 3)) for _ in shape)), shape
    ends = st.one_of(st.none(), st.integers(-6, 6))
    parts = []
    for n in shape:
        part = draw(st.tuples(ends, ends, st.sampled_from([1, 1, 2, 3, -1, -1, -2])))
        parts.append(part if range(n)[slice(*part)] else (None, None, part[2]))
    return *cut(*(zip(*parts) if parts else ((), (), ()))), shape


def clean(op):
    """The fields of a Slice are tuples, whatever drew them."""
    return Slice(tuple(op.start), tuple(op.stop), tuple(op.step)) if isinstance(op, Slice) else op


@given(movements(), st.integers(0, 99))
def test_as_numpy_does(case, seed):
    op, reference, shape = case
    op = clean(op)
    x = small(shape, seed=seed)
    y = op.infer(x)
    for end in ("low", "high"):
        assert np.array_equal(getattr(y, end), reference(getattr(x, end)[None])[0])
    # What is zero has more than enough trailing zeros, whatever the input has.
    known = y.low == y.high
    assert np.array_equal(y.zeros[~known], reference(x.zeros[None])[0][~known])
    assert y.frac == x.frac
    raw = np.random.default_rng(seed).integers(-99, 99, (3, *shape))
    got = op.bind(x)(raw)
    assert np.array_equal(got, reference(raw)) and got.flags.c_contiguous
    assert op.bind(x)(raw[:0]).shape == (0, *y.shape)
    # A view of something larger, as other ops may hand on.
    wide = np.repeat(raw[..., None], 2, -1)[..., 0]
    assert np.array_equal(op.bind(x)(wide), reference(raw))
    claimed = op.identity(x)
    assert claimed == (
        y.shape == shape
        and np.array_equal(reference(np.arange(x.size).reshape(1, *shape))[0].ravel(), np.arange(x.size))
    )


def test_cpp_of_random_movements(random_type):
    rng = np.random.default_rng(1)
    found = []

    @settings(max_examples=40, database=None, derandomize=True)
    @given(movements())
    def collect(case):
        found.append(case)

    collect()
    cases = [Case(clean(op), (random_type(rng, shape, 9),), reference) for op, reference, shape in found]
    assert len({type(case.op) for case in cases}) == 4
    check_ops(cases, samples=50)


def test_cpp_at_scale(random_type):
    """As images are: many elements, and as many loops as there can be."""
    rng = np.random.default_rng(2)
    shape = (12, 10, 8)
    some = [
        permute((2, 0, 1)),
        pad((1, 2, 0), (2, 1, 0)),
        cut((1, None, None), (-1, None, None), (1, -1, 2)),
        repeat((2, 3, 1)),
    ]
    cases = [Case(op, (random_type(rng, shape, 8),), reference) for op, reference in some]
    op, reference = repeat((2, 2, 2, 2))
    cases.append(Case(op, (random_type(rng, (2, 3, 2, 3), 6),), reference))
    check_ops(cases, samples=20)


@st.composite
def joins(draw):
    rank = draw(st.integers(1, 4))
    axis = draw(st.integers(-rank, rank - 1))
    shape = [draw(st.integers(1, 4)) for _ in range(rank)]
    other = list(shape)
    other[axis] = draw(st.integers(1, 4))
    return axis, tuple(shape), tuple(other)


@given(joins(), st.integers(-4, 9), st.integers(-4, 9))
def test_concatenate(join, frac_a, frac_b):
    axis, first, second = join
    a, b = small(first, frac_a, 1), small(second, frac_b, 2)
    op = Concatenate(axis)
    y = op.infer(a, b)
    rng = np.random.default_rng(0)
    raws = [rng.integers(-99, 99, (3, *x.shape)) for x in (a, b)]

    def exact(*arrays):
        units = [[Fraction(int(v)) / Fraction(2) ** x.frac for v in r.ravel()] for r, x in zip(arrays, (a, b))]
        parts = [np.array(u, object).reshape(r.shape) for u, r in zip(units, arrays)]
        return np.concatenate(parts, axis if axis < 0 else axis + 1) * Fraction(2) ** y.frac

    assert y.frac == max(frac_a, frac_b)
    for end in ("low", "high"):
        assert (getattr(y, end) == exact(getattr(a, end)[None], getattr(b, end)[None])[0]).all()
    assert (op.bind(a, b)(*raws) == exact(*raws)).all()
    assert op.bind(a, b)(*(raw[:0] for raw in raws)).shape == (0, *y.shape)
    assert op.selects


def test_cpp_of_concatenate(random_type):
    rng = np.random.default_rng(3)
    cases = []
    for axis, first, second in [
        (0, (3,), (2,)),
        (-1, (2, 3), (2, 1)),
        (0, (2, 3), (4, 3)),
        (1, (2, 1, 3), (2, 4, 3)),
        (-3, (1, 2, 2), (3, 2, 2)),
        (2, (6, 5, 3), (6, 5, 4)),
    ]:
        kinds = tuple(random_type(rng, shape, 9) for shape in (first, second))
        cases.append(
            Case(Concatenate(axis), kinds, lambda a, b, axis=axis: np.concatenate([a, b], axis - (axis < 0) + 1))
        )
    check_ops(cases, samples=50)


def test_concatenate_beyond_63_bits():
    fine, coarse = TensorType.of(Fixed(True, 4, -56), (1,)), TensorType.of(Fixed(True, 4, 8), (1,))
    with pytest.raises(TooWide):
        Concatenate(0).infer(fine, coarse)


@pytest.mark.parametrize(
    ("op", "sentence"),
    [
        (Permute((0, 1)), r"^axes \(0, 1\) must be those of an input of shape \(2, 3, 4\), each once$"),
        (Permute((0, 1, 1)), "each once"),
        (Permute((1, 2, 3)), "each once"),
        (Pad((1,), (0,)), r"^padding must be given for each of the 3 axes of \(2, 3, 4\), not for 1$"),
        (Pad((0, 0, 0), (0, -1, 0)), "^padding must not be negative, not "),
        (Repeat((2, 2)), "^repetition must be given for each"),
        (Repeat((1, 0, 1)), "^repetitions must be positive, not "),
        (Slice((0,), (None, None, None), (1, 1, 1)), "^start must be given for each"),
        (Slice((0, 0, 0), (None, None, None), (1, 0, 1)), "^a step must not be 0$"),
        (Crop((0, 1, 2), (0, 0, 2)), r"^nothing is left of axis 2 of an input of shape \(2, 3, 4\)$"),
        (Crop((0, 3, 0), (0, 3, 0)), "nothing is left of axis 1"),
    ],
)
def test_what_doesnt_suit_is_refused(op, sentence):
    with pytest.raises(ValueError, match=sentence):
        op.infer(X)


@pytest.mark.parametrize(
    ("axis", "shape", "sentence"),
    [
        (3, (2, 3, 4), "^axis must be one of the 3 axes"),
        (-4, (2, 3, 4), "^axis must be one of the 3 axes"),
        (2, (2, 2, 4), r"^inputs of shapes \(2, 3, 4\) and \(2, 2, 4\) must agree in all axes but 2$"),
        (0, (3, 4), "must agree in all axes but 0"),
    ],
)
def test_tensors_that_dont_suit_arent_joined(axis, shape, sentence):
    with pytest.raises(ValueError, match=sentence):
        Concatenate(axis).infer(X, TensorType.of(Fixed(True, 5, 3), shape))


def test_more_axes_than_loops_are_refused():
    x = TensorType.of(Fixed(True, 5, 3), (2,) * 9)
    with pytest.raises(ValueError, match="is moved along more than 8 axes; reshape it to fewer"):
        Permute(tuple(reversed(range(9)))).infer(x)
    assert Permute((8, *range(8))).infer(x).shape == (2,) * 9


def test_neighbouring_loops_are_one():
    assert Permute((0, 1, 2)).copy((2, 3, 4)).merged() == (Loop(24, 1, 1),)
    assert Permute((2, 0, 1)).copy((2, 3, 4)).merged() == (Loop(4, 1, 6), Loop(6, 4, 1))
    assert Pad((1, 1, 0), (1, 1, 0)).copy((5, 6, 4)).merged() == (Loop(5, 24, 32), Loop(24, 1, 1))
    assert Repeat((2, 1, 1)).copy((3, 4, 5)).merged() == (Loop(3, 20, 40), Loop(2, 0, 20), Loop(20, 1, 1))
    assert Copy((1, 1), (Loop(1, 3, 3), Loop(1, 1, 1))).merged() == ()


@pytest.mark.parametrize(
    "op", [Permute((2, 0, 1)), Pad((1, 0, 0), (0, 0, 1)), Crop((0, 1, 1), (1, 0, 0)), Repeat((1, 2, 3))]
)
def test_moving_takes_no_hardware(op):
    assert op.work(X, plan=Plan()) == Work()
    assert op.selects and not op.wiring and op.reuse_factors(X) == (1,)
