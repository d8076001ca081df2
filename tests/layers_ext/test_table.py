"""Tables: functions of one variable by all their values."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_hls.errors import InvalidModel, TooWide
from keras_hls.fixed import Constant, Fixed, Formats, Quantization, TensorType
from keras_hls.layers_ext.table import Function, Table
from keras_hls.op import Plan, Unit
from keras_hls.testing import Case, check_ops

FUNCTIONS = {
    "tanh": np.tanh,
    "sin": np.sin,
    "sigmoid": lambda v: 1 / (1 + np.exp(-v)),
    "zero": lambda v: v * 0,
    "square": np.square,
}


def function(name: str) -> Function:
    return Function(FUNCTIONS[name], name)


@settings(max_examples=150)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from(sorted(FUNCTIONS)),
    st.sampled_from(["TRN", "RND", "RND_CONV", "RND_ZERO"]),
)
def test_a_cast_behind_it_gets_what_the_function_itself_would_give(random_type, on_grid, seed, name, mode):
    rng = np.random.default_rng(seed)
    x = random_type(rng, (5,), 9, (0, 6))
    frac = int(rng.integers(0, 12))
    table = function(name).settle(x, frac=frac)
    raw = on_grid(rng, x, 50)
    y = table.infer(x)
    cast = Quantization(Formats.of(Fixed(True, 45, 45 - frac, mode, "SAT")), y)
    # The float64 value, cast on its own: 2**-frac is a power of two, so scaling it is exact.
    exact = np.ldexp(FUNCTIONS[name](x.to_float(raw)), frac)
    if mode == "TRN":
        wanted = np.floor(exact)
    elif mode == "RND_CONV":
        wanted = np.rint(exact)
    else:
        whole = np.floor(exact)
        tie_up = 1.0 if mode == "RND" else exact < 0
        wanted = whole + np.where(exact - whole == 0.5, tie_up, exact - whole > 0.5)
    assert np.array_equal(np.ldexp(cast(table.bind(x)(raw)).astype(float), frac - cast.type.frac), wanted)


@settings(max_examples=100)
@given(st.integers(0, 2**32 - 1))
def test_the_type_is_the_exact_range_over_each_element(random_type, seed):
    rng = np.random.default_rng(seed)
    x = random_type(rng, (6,), 8)
    shift = int(x.zeros.min()) % 63
    first = (int(x.low.min()) >> shift) + int(rng.integers(-3, 4))
    entries = rng.integers(-100, 100, int(rng.integers(1, 300)))
    op = Table(Constant(entries, 2), first, x.frac - shift)
    y = op.infer(x)
    for i in range(6):
        inside = np.arange(x.low[i], x.high[i] + 1, 1 << shift)
        values = entries[np.clip((inside >> shift) - first, 0, len(entries) - 1)]
        assert (y.low[i], y.high[i]) == (values.min(), values.max())


def test_cpp(random_type):
    rng = np.random.default_rng(0)
    cases = []
    for i in range(50):
        x = random_type(rng, (3, 4), int(rng.integers(1, 12)), (0, 6))
        name = sorted(FUNCTIONS)[i % 5]
        table = function(name).settle(x, frac=[None, 3, 8][i % 3])
        if i % 2:
            table = table.fused(Formats.of(Fixed(True, 6, 2, "RND", "SAT")), x)
        cases.append(Case(table, (x,)))
    check_ops(cases, samples=100)


def test_equal_ends_are_one_entry():
    table = Table.of(np.array([0, 0, 0, 3, 5, 9, 9, 9]), 0, -4, 0)
    assert table.entries.raw.tolist() == [0, 3, 5, 9]
    assert table.first == -2
    x = TensorType.of(Fixed(True, 5, 5), ())
    answers = table.bind(x)(np.array([-16, -4, -2, -1, 0, 1, 15]))
    assert answers.tolist() == [0, 0, 0, 3, 5, 9, 9]
    assert Table.of(np.array([7, 7]), 0, 3, 0).entries.raw.tolist() == [7]


def test_a_uniform_cast_becomes_part_of_it():
    x = TensorType.of(Fixed(True, 6, 2), (2,))
    table = function("tanh").settle(x, frac=4)
    cast = Formats.of(Fixed(True, 5, 1, "RND_CONV", "SAT"))
    both = table.fused(cast, x)
    raw = np.arange(-32, 32)[:, None].repeat(2, 1)
    one = Quantization(cast, table.infer(x))
    assert np.array_equal(both.bind(x)(raw), one(table.bind(x)(raw)))
    each = Formats(np.array([True, True]), np.array([4, 5]), np.array([1, 1]))
    assert table.fused(each, x) is None


def test_wide_inputs_are_refused():
    with pytest.raises(InvalidModel, match=r"tanh of a value of 21 bits .* quantize its input to 20 bits"):
        function("tanh").settle(TensorType.of(Fixed(True, 21, 4), (2,)), frac=8)


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        (np.log, "isn't finite at -8"),
        (lambda v: v / v.sum(), "isn't a function of each element alone"),
        (lambda v: v.sum(), "isn't a function of each element alone"),
        (np.sort, "isn't a function of each element alone"),
        (np.cumsum, "isn't a function of each element alone"),
        (np.flip, "isn't a function of each element alone"),
        (lambda v: {}["x"], "fails on an array"),
    ],
)
def test_what_no_table_holds_is_refused(bad, sentence):
    with pytest.raises(InvalidModel, match=sentence):
        Function(bad, "f").settle(TensorType.of(Fixed(True, 6, 4), (2,)), frac=8)


def test_only_values_that_the_input_can_take_are_asked_for():
    positive = TensorType(np.array([4, 8]), np.array([31, 31]), 2)
    log = Function(np.log, "log").settle(positive, frac=8)
    raw = np.arange(8, 32)[:, None].repeat(2, 1)
    assert np.abs(log.infer(positive).to_float(log.bind(positive)(raw)) - np.log(raw / 4)).max() < 2.0**-9


def test_huge_values_are_refused():
    with pytest.raises(TooWide, match="exp has values that to 10 fractional bits need more than 63 bits"):
        Function(np.exp, "exp").settle(TensorType.of(Fixed(True, 8, 8), (2,)), frac=8)


def test_finer_inputs_than_it_was_made_for_are_refused():
    with pytest.raises(ValueError, match="finer values"):
        Table(Constant(np.arange(4), 0), 0, -2).infer(TensorType.of(Fixed(False, 4, 4), ()))


def test_an_input_in_other_units_is_the_same_input():
    """Passes may take away a cast that changes no value, and with it the units of what is left."""
    table = Table(Constant(np.arange(16), 0), -8, 1)
    for frac in (-1, 0, 1, 3, 5):
        x = TensorType(
            np.array([-4 * 2**frac if frac >= 0 else -2]),
            np.array([3 * 2**frac if frac >= 0 else 1]),
            frac,
            max(frac - 1, 0),
        )
        raw = np.arange(x.low[0], x.high[0] + 1, 1 << max(frac - 1, 0))[:, None]
        assert np.array_equal(table.bind(x)(raw)[:, 0], (np.ldexp(raw[:, 0].astype(float), 1 - frac) + 8).astype(int))
        y = table.infer(x)
        assert y.low[0] <= table.bind(x)(raw).min() <= table.bind(x)(raw).max() <= y.high[0]


def test_work():
    x = TensorType([0, -8, 5], [3, 7, 5], 0)
    table = Table(Constant(np.arange(8), 0), -2, 0)
    # Four places of two bits; sixteen of which eight are in the table; a constant.
    work = table.work(x, plan=Plan())
    assert set(work.units) == {
        Unit("table", 1, (2, 3)),
        Unit("table", 1, (3, 3)),
        Unit("compare", 1, (4,)),
        Unit("select", 1, (3,)),
    }
