"""Convolution: exact sums over windows, against its definition in Python's integers; its C++; and the work it takes."""

from itertools import product
from math import prod

import numpy as np
import pytest

from keras_hls.errors import TooWide
from keras_hls.fixed import Constant, Fixed, TensorType
from keras_hls.layers_ext.convolution import Convolution
from keras_hls.layers_ext.counting import constant_bits, csd_digits, tree_depth
from keras_hls.layers_ext.dense import Dense
from keras_hls.op import Plan, Unit
from keras_hls.testing import Case, check_op, check_ops

LATENCY = Plan("Latency", 1)


def ints(array):
    """Python's integers, which have no end."""
    return np.asarray(array).astype(object)


def terms(op: Convolution, shape):
    """For each output element, without the op's own code, the input elements that its sum takes, and their weights' place."""
    sizes = shape[:-1]
    *taps, inputs, outputs = op.kernel.shape
    rank = len(sizes)
    strides, dilation, stretch = (value or (1,) * rank for value in (op.strides, op.dilation, op.input_dilation))
    before, after = (value or (0,) * rank for value in (op.before, op.after))
    axes = []
    for a in range(rank):
        points = {i * stretch[a] + before[a]: i for i in range(sizes[a])}
        length = (sizes[a] - 1) * stretch[a] + 1 + before[a] + after[a]
        starts = range(0, length - (taps[a] - 1) * dilation[a], strides[a])
        found = [[(points.get(start + k * dilation[a]), k) for k in range(taps[a])] for start in starts]
        # A point taken away from the end is no point.
        axes.append([[(i, k) for i, k in row if i is not None] for row in found])
    each = outputs // op.groups
    return {
        (*position, m): [
            ((*(i for i, _ in met), m // each * inputs + c), (*(k for _, k in met), c, m))
            for met in product(*(axes[a][o] for a, o in enumerate(position)))
            for c in range(inputs)
        ]
        for position in product(*(range(len(axis)) for axis in axes))
        for m in range(outputs)
    }


def units_of(op: Convolution, x: TensorType):
    """Kernel and bias in units of the exact sum's least bit, and that bit's frac."""
    frac = x.frac + op.kernel.frac
    bias, bias_frac = (np.zeros(op.kernel.shape[-1], int), frac) if op.bias is None else (op.bias.raw, op.bias.frac)
    common = max(frac, bias_frac)
    return ints(op.kernel.raw) << (common - frac), ints(bias) << (common - bias_frac), common


def exact(op: Convolution, x: TensorType, raw):
    kernel, bias, _ = units_of(op, x)
    table = terms(op, x.shape)
    shape = tuple(n + 1 for n in max(table))
    sums = [sum(raw[(slice(None), *i)] * kernel[k] for i, k in met) + bias[at[-1]] for at, met in table.items()]
    return np.stack([np.broadcast_to(ints(s), len(raw)) for s in sums], 1).reshape(len(raw), *shape)


def exact_ends(op: Convolution, x: TensorType):
    kernel, bias, _ = units_of(op, x)
    low, high = ints(x.low), ints(x.high)
    table = terms(op, x.shape)
    shape = tuple(n + 1 for n in max(table))
    ends = [
        [sum(pick(low[i] * kernel[k], high[i] * kernel[k]) for i, k in met) + bias[at[-1]] for at, met in table.items()]
        for pick in (min, max)
    ]
    return tuple(np.array(end, object).reshape(shape) for end in ends)


def check_exact(op: Convolution, x: TensorType, raw):
    y = op.infer(x)
    low, high = exact_ends(op, x)
    assert y.frac == units_of(op, x)[2]
    assert np.array_equal(ints(y.low), low)
    assert np.array_equal(ints(y.high), high)
    before = raw.copy()
    result = op.bind(x)(raw)
    assert result.dtype == np.int64
    assert np.array_equal(raw, before)
    assert np.array_equal(ints(result), exact(op, x, ints(raw)))
    assert (result % (np.int64(1) << np.where(y.low == y.high, 0, y.zeros)) == 0).all()


def random_convolution(rng, random_type, bits, most_outputs=4):
    rank = int(rng.choice([1, 2, 2, 3]))
    groups, inputs, each = (
        int(n) for n in (rng.choice([1, 1, 1, 2, 3]), rng.integers(1, 4), rng.integers(1, most_outputs))
    )
    if rng.integers(4) == 0:
        groups, inputs, each = int(rng.integers(2, 2 * most_outputs)), 1, int(rng.choice([1, 1, 2, 3]))
    sizes = rng.integers(1, 7 if rank < 3 else 4, rank)
    taps = rng.integers(1, 4, rank)
    numbers = {
        "strides": rng.integers(1, 4, rank),
        "dilation": rng.integers(1, 3, rank),
        "before": rng.integers(-1, 4, rank),
        "after": rng.integers(-1, 4, rank),
        "input_dilation": rng.choice([1, 1, 2, 3], rank),
    }
    given = {key: tuple(int(n) for n in value) for key, value in numbers.items() if rng.integers(3)}
    x = random_type(rng, (*(int(n) for n in sizes), groups * inputs), bits)
    width = int(rng.integers(1, bits, endpoint=True))
    kernel = rng.integers(-(1 << width) + 1, 1 << width, (*taps, inputs, groups * each))
    match rng.integers(5):
        case 0:
            kernel = np.where(rng.random(kernel.shape) < 0.6, 0, kernel)
        case 1:
            kernel = rng.choice([0, 1, -1, 2, -4, 8], kernel.shape)
        case 2:
            kernel = kernel << int(rng.integers(0, 4))
    frac, bias = int(rng.integers(-3, 16)), None
    if rng.integers(3):
        bias_frac = x.frac + frac + int(rng.choice([-7, -1, 0, 1, 5]))
        bias = Constant(
            rng.integers(-(1 << width), 1 << width, groups * each) * rng.integers(0, 2, groups * each), bias_frac
        )
    return Convolution(Constant(kernel, frac), bias, groups=groups, **given), x


def random_convolutions(rng, random_type, count, bits, most_outputs=4):
    found = []
    while len(found) < count:
        op, x = random_convolution(rng, random_type, bits, most_outputs)
        try:
            windows = op.windows(x)
        except ValueError:
            continue
        if prod(w.outputs for w in windows) > 150:
            continue
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
    for op, x in random_convolutions(rng, random_type, 40, bits):
        check_exact(op, x, on_grid(rng, x, 4))


@pytest.mark.parametrize(("seed", "bits", "outputs"), [(0, 6, 4), (1, 12, 9), (2, 40, 4), (3, 8, 40)])
def test_cpp_under_every_plan(random_type, seed, bits, outputs):
    rng = np.random.default_rng(seed)
    cases = []
    for op, x in random_convolutions(rng, random_type, 14, bits, outputs):
        factors = op.reuse_factors(x)
        some = rng.permutation(factors)[:2].tolist() if factors != (1,) else []
        cases.append(Case(op, (x,), plans=(LATENCY, *(Plan("Resource", f) for f in some))))
    assert len({plan for case in cases for plan in case.plans}) > 6
    check_ops(cases, samples=20, seed=seed)


def test_cpp_of_rows_longer_than_a_block_of_positions():
    rng = np.random.default_rng(0)
    cases = []
    for width, bits, (taps, stride, dilation) in product((7, 11, 23), (3, 9, 14), ((3, 1, 1), (2, 2, 1), (2, 1, 3))):
        x = TensorType.of(Fixed(True, bits, bits), (2, width, 3))
        for outputs, groups in ((5, 1), (6, 3)):
            kernel = Constant(rng.integers(-7, 8, (1, taps, 3 // groups, outputs)), 0)
            spatial = {"strides": (1, stride), "dilation": (1, dilation), "before": (0, 2), "after": (0, 1)}
            cases.append(Case(Convolution(kernel, groups=groups, **spatial), (x,), plans=(LATENCY,)))
    check_ops(cases, samples=10)


def test_cpp_of_weights_that_just_fill_a_word():
    cases = []
    for bits, fixed in product((15, 16, 17, 31, 32, 33, 60), (Fixed(False, 1, 1), Fixed(True, 2, 2))):
        for value in ((1 << bits) - 1, -(1 << bits)):
            x = TensorType.of(fixed, (5, 1))
            cases.append(
                Case(Convolution(Constant(np.full((1, 1, 3), value), 0)), (x,), plans=(LATENCY, Plan("Resource", 1)))
            )
    check_ops(cases, samples=10)


def test_cpp_of_images_that_are_cut():
    """What is taken away must not be written anywhere."""
    rng = np.random.default_rng(0)
    x = TensorType.of(Fixed(True, 5, 5), (3, 400, 4))
    kernel = Constant(rng.integers(-7, 8, (2, 2, 4, 3)), 0)
    wide = [Convolution(kernel, before=(0, -b), after=(0, b - 395)) for b in (0, 200, 395)]
    stretched = [Convolution(kernel, before=(0, -b), after=(0, b - 790), input_dilation=(1, 2)) for b in (0, 399, 790)]
    each = Convolution(Constant(kernel.raw[:, :, :1].repeat(4, 3), 0), before=(0, -7), after=(0, -388), groups=4)
    check_ops([Case(op, (x,), plans=(LATENCY, Plan("Resource", 2))) for op in (*wide, *stretched, each)], samples=10)


def test_equals_float_arithmetic_where_that_is_exact():
    rng = np.random.default_rng(5)
    kernel, bias = rng.integers(-99, 99, (3, 2, 4)) / 32, rng.integers(-99, 99, 4) / 128
    op = Convolution(Constant.exactly(kernel), Constant.exactly(bias))

    def reference(x):
        return sum(x[:, k : k + 4] @ kernel[k] for k in range(3)) + bias

    check_op(op, TensorType.of(Fixed(True, 9, 3), (6, 2)), reference=reference)


def test_a_window_of_one_element_is_dense():
    rng = np.random.default_rng(1)
    kernel, bias = Constant(rng.integers(-9, 9, (5, 6)), 3), Constant(rng.integers(-9, 9, 6), 4)
    x = TensorType.of(Fixed(True, 8, 3), (3, 4, 5))
    dense, op = Dense(kernel, bias), Convolution(Constant(kernel.raw.reshape(1, 1, 5, 6), 3), bias)
    a, b = dense.infer(x), op.infer(x)
    for one, other in ((a.low, b.low), (a.high, b.high), (a.zeros, b.zeros)):
        assert np.array_equal(one, other)
    for plan in (LATENCY, Plan("Resource", 1), Plan("Resource", 10)):
        assert dense.work(x, plan=plan) == op.work(x, plan=plan)
    assert dense.reuse_factors(x) == op.reuse_factors(x)


def test_elements_at_the_border_are_narrower():
    x = TensorType.of(Fixed(False, 4, 4), (5, 1))
    y = Convolution(Constant(np.full((3, 1, 1), 1), 0), before=(1,), after=(1,)).infer(x)
    assert y.high[:, 0].tolist() == [30, 45, 45, 45, 30]


@pytest.mark.parametrize(("bits", "dtype"), [(10, np.float32), (24, np.float64), (31, np.int64)])
def test_sums_that_only_just_fit_each_arithmetic(bits, dtype):
    """Sums beside 2**24 and 2**53, where float arithmetic stops to be exact."""
    limit = {np.float32: 24, np.float64: 53, np.int64: 62}[dtype]
    for taps, nudge, (low, high) in product((1, 2, 3), (-1, 0, 1), ((-1, 1), (-1, 0), (0, 1))):
        x = TensorType(np.full((5, 2), low << bits), np.full((5, 2), high << bits), 0)
        raw = np.stack([x.low, x.high, x.high - 1, x.low + 1])
        kernel = Constant(np.full((taps, 2, 2), (1 << (limit - bits - 2)) + nudge), 0)
        op = Convolution(kernel, Constant(np.array([1, -1]), 0), before=(1,))
        try:
            check_exact(op, x, raw)
        except TooWide:
            assert max(max(abs(end).reshape(-1)) for end in exact_ends(op, x)) >= 2**62


def test_sums_beyond_63_bits_are_refused():
    wide = TensorType.of(Fixed(True, 22, 22), (4, 1))
    with pytest.raises(TooWide):
        Convolution(Constant(np.full((3, 1, 1), 1 << 40), 0)).infer(wide)
    # One tap alone fits, and more of them never meet the image.
    assert Convolution(Constant(np.full((3, 1, 1), 1 << 40), 0), dilation=(4,), before=(4,), after=(4,)).infer(wide)
    with pytest.raises(TooWide):
        Convolution(Constant(np.ones((1, 1, 1), int), 0), Constant(np.array([1]), 70)).infer(wide)


@pytest.mark.parametrize(
    ("kernel", "shape", "given", "sentence"),
    [
        ((3, 3, 2, 4), (5, 5), {}, "takes an image of 2 axes"),
        ((2, 4), (2,), {}, "takes an image of 0 axes"),
        ((1, 1, 1, 1, 1, 1), (1, 1, 1, 1, 1), {}, "1 to 3"),
        ((3, 2, 4), (5, 3), {}, "doesn't suit 3 channels"),
        ((3, 1, 4), (5, 3), {"groups": 3}, "in 3 groups"),
        ((3, 2, 4), (5, 2), {"bias": Constant(np.zeros(3, int), 0)}, "bias must be 4 numbers"),
        ((3, 2, 4), (5, 2), {"strides": (1, 1)}, "one a spatial axis"),
        ((3, 2, 4), (2, 2), {}, "spans 3 points doesn't fit an axis of 2"),
        ((2, 2, 4), (4, 2), {"dilation": (4,)}, "spans 5 points doesn't fit an axis of 4"),
        ((1, 2, 4), (4, 2), {"before": (-2,), "after": (-2,)}, "doesn't fit an axis of 0"),
    ],
)
def test_what_does_not_suit_is_refused(kernel, shape, given, sentence):
    with pytest.raises(ValueError, match=sentence):
        Convolution(Constant(np.ones(kernel, int), 0), **given).infer(TensorType.of(Fixed(True, 3, 3), shape))


def test_a_factor_and_an_offset_are_taken_into_the_weights(random_type, on_grid):
    rng = np.random.default_rng(9)
    for op, x in random_convolutions(rng, random_type, 30, 7):
        n = op.kernel.shape[-1]
        scale = Constant(1 << rng.integers(0, 3, n), int(rng.integers(0, 3)))
        offset = Constant(rng.integers(-9, 9, n), int(rng.integers(0, 3)))
        scaled = op.scaled(scale, offset)
        raw = on_grid(rng, x, 3)
        factors, terms = scale.type.to_float(scale.raw), offset.type.to_float(offset.raw)
        wanted = op.infer(x).to_float(op.bind(x)(raw)) * factors + terms
        assert np.array_equal(scaled.infer(x).to_float(scaled.bind(x)(raw)), wanted)
    # A factor of 3 would take wider weights.
    assert op.scaled(Constant(np.full(n, 3), 0), offset) is None


# --- reuse factors and work ----------------------------------------------------------------------------------------


def counted(op: Convolution, x: TensorType):
    """Multipliers, and adders, of the fully unrolled op; counted one by one."""
    kernel, bias, _ = units_of(op, x)
    widths, low = x.widths, ints(x.low)
    multiples: set[tuple[tuple[int, ...], int]] = set()
    adders, longest = 0, 0
    for at, met in terms(op, x.shape).items():
        known, count = bias[at[-1]], 0
        for i, k in met:
            if not widths[i]:
                known += low[i] * kernel[k]
            elif kernel[k]:
                count += 1
                multiples.add((i, int(op.kernel.raw[k])))
        count += known != 0
        adders += max(count - 1, 0)
        longest = max(longest, count)
    units: dict[tuple[int, ...], int] = {}
    for i, value in multiples:
        # HLS negates what no difference gives: minus a power of two, minus 5.
        adders += value < 0 and int(csd_digits(value)) <= 2 and not -value & -value << 1
        if (digits := int(csd_digits(value))) > 1:
            key = (int(widths[i]), int(constant_bits(value)), digits)
            units[key] = units.get(key, 0) + 1
    return units, adders, tree_depth(longest)


def test_work_counts_every_multiple_and_adder(random_type):
    rng = np.random.default_rng(3)
    for op, x in random_convolutions(rng, random_type, 60, 6):
        work = op.work(x, plan=LATENCY)
        units, adders, levels = counted(op, x)
        assert {(*u.widths, u.digits): u.count for u in work.units if u.kind == "constant_multiply"} == units
        assert sum(u.count for u in work.units if u.kind == "add") == adders
        sums = work.steps[len(work.steps) - levels :]
        assert all(unit.kind == "add" for step in sums for unit in step.units) and len(work.steps) <= levels + 1
        assert work.interval == 1


def test_equal_multiples_of_an_element_are_shared_by_windows():
    x = TensorType.of(Fixed(True, 8, 8), (6, 1))
    # Windows overlap: each element meets all taps but at the ends, where it meets some of them.
    (multiplier,) = (u for u in Convolution(Constant(np.full((3, 1, 1), 5), 0)).work(x, plan=LATENCY).units if u.digits)
    assert multiplier == Unit("constant_multiply", 6, (8, 3), 2)
    different = Convolution(Constant(np.array([5, 3, 7]).reshape(3, 1, 1), 0)).work(x, plan=LATENCY)
    assert sum(u.count for u in different.units if u.digits) == 4 * 3


def test_padding_costs_nothing():
    x = TensorType.of(Fixed(True, 8, 8), (1, 1, 1))
    kernel = Constant(np.full((3, 3, 1, 1), 3), 0)
    work = Convolution(kernel, before=(1, 1), after=(1, 1)).work(x, plan=LATENCY)
    assert work.units == (Unit("constant_multiply", 1, (8, 2), 2),)


@pytest.mark.parametrize(("shape", "groups"), [((3, 3, 2, 4), 1), ((1, 2, 1, 6), 6), ((2, 2, 2, 6), 3)])
def test_reuse_factors(shape, groups):
    n_in, n_out = prod(shape[:-1]), shape[-1]
    x = TensorType.of(Fixed(True, 3, 3), (4, 4, shape[-2] * groups))
    factors = Convolution(Constant(np.ones(shape, int), 0), groups=groups).reuse_factors(x)
    assert factors == Dense(Constant(np.ones((n_in, n_out), int), 0)).reuse_factors(x)


@pytest.mark.parametrize("reuse", [1, 2, 9, 18, 36])
def test_shared_multipliers(reuse):
    x = TensorType.of(Fixed(True, 8, 8), (6, 5, 2))
    op = Convolution(Constant(np.arange(72).reshape(3, 3, 2, 4) - 30, 0))
    work = op.work(x, plan=Plan("Resource", reuse))
    assert [u.count for u in work.units if u.kind == "multiply"] == [72 // reuse]
    assert work.interval == reuse * 4 * 3
    (memory,) = (u for u in work.units if u.kind == "memory")
    assert memory.count * memory.widths[0] == 72 * 7
