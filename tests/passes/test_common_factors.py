"""What all weights of an output have in common is multiplied by once, behind their sum."""

import numpy as np
import pytest

from keras_hls.fixed import Constant, Fixed, Formats, Real
from keras_hls.graph import Graph, Input, Node
from keras_hls.layers_ext.convolution import Convolution
from keras_hls.layers_ext.dense import Dense
from keras_hls.layers_ext.scale import Scale
from keras_hls.passes import prepare
from keras_hls.passes.common_factors import take_out_factors
from keras_hls.sim.emulator import Emulator

PORT = Fixed(True, 6, 3)


def graph(op, shape, **other):
    return Graph((Node("x", Input(shape, Formats.of(PORT), PORT)), Node("d", op, ("x",), **other)), ("d",), ("o",))


def scaled(rng, shape, bits=24):
    """Whole numbers of four bits times an odd number an output."""
    factors = rng.integers(1 << bits - 1, 1 << bits, shape[-1]) | 1
    return Constant(rng.integers(-8, 8, shape) * factors, bits)


def same(first, second, rng, shape):
    raw = rng.integers(-32, 32, (64, *shape))
    before, after = Emulator(first).run([raw])[0], Emulator(second).run([raw])[0]
    return np.array_equal(first.types["d"].to_float(before), second.types["d"].to_float(after))


@pytest.mark.parametrize("seed", range(10))
def test_a_dense_layer_is_split_bit_for_bit(seed):
    rng = np.random.default_rng(seed)
    bias = Constant(rng.integers(-99, 99, 5), int(rng.integers(0, 30))) if seed % 2 else None
    whole = graph(Dense(scaled(rng, (7, 5)), bias), (7,))
    split = take_out_factors(whole).verify()
    assert [type(node.op) for node in split] == [Input, Dense, Scale]
    assert split.outputs == ("d",) and split["d"].inputs == ("d_sums",)
    assert np.abs(split["d_sums"].op.kernel.raw).max() <= 8
    assert same(whole, split, rng, (7,))
    low, high = ((t.types["d"].to_float(end)) for t in (whole,) for end in (t.types["d"].low, t.types["d"].high))
    kind = split.types["d"]
    assert np.array_equal(kind.to_float(kind.low), low) and np.array_equal(kind.to_float(kind.high), high)


@pytest.mark.parametrize("groups", [1, 2, 4])
def test_a_convolution_is_split_bit_for_bit(groups):
    rng = np.random.default_rng(groups)
    op = Convolution(
        scaled(rng, (3, 3, 4 // groups, 8)), Constant(rng.integers(-9, 9, 8), 2), strides=(2, 1), groups=groups
    )
    whole = graph(op, (6, 5, 4))
    split = take_out_factors(whole).verify()
    assert [type(node.op) for node in split] == [Input, Convolution, Scale]
    assert same(whole, split, rng, (6, 5, 4))


def test_an_output_without_weights_and_one_that_has_nothing_in_common():
    rng = np.random.default_rng(1)
    kernel = scaled(rng, (7, 5))
    kernel.raw[:, 0] = 0
    kernel.raw[:, 1] = rng.integers(-8, 8, 7)
    whole = graph(Dense(kernel, Constant(np.arange(5), 1)), (7,))
    split = take_out_factors(whole).verify()
    assert len(split) == 3 and same(whole, split, rng, (7,))


@pytest.mark.parametrize(
    "why", ["nothing in common", "few digits", "one weight an output", "no types", "kept in few bits"]
)
def test_what_stays_one_op(why):
    rng = np.random.default_rng(0)
    kernel = {
        "nothing in common": Constant(np.array([[5, 7], [3, 9]]) << 3, 4),
        # 3 = 4 - 1 is an adder, and so it would be behind the sum.
        "few digits": Constant(rng.choice([3, -3], (2, 2)), 4),
        "one weight an output": Constant(np.diag([12345677, 7654321]), 20),
        "no types": Real(rng.normal(size=(2, 2))),
    }.get(why, scaled(rng, (2, 2)))
    nodes = Graph(
        (
            Node("x", Input((2,), Formats.of(PORT), PORT)),
            Node("d", Dense(kernel), ("x",), keeps=Fixed(True, 9, 5 - 24) if why.startswith("kept") else None),
        ),
        ("d",),
        ("o",),
    )
    assert take_out_factors(nodes) is nodes


def test_what_comes_behind_another_split_is_split_as_well_and_names_stay_unique():
    rng = np.random.default_rng(5)
    first, second = Dense(scaled(rng, (7, 5), 9)), Dense(scaled(rng, (5, 4), 9))
    nodes = (
        Node("x", Input((7,), Formats.of(PORT), PORT)),
        Node("d", first, ("x",), layer="a"),
        Node("d_sums", second, ("d",), layer="b"),
    )
    split = take_out_factors(Graph(nodes, ("d_sums",), ("o",))).verify()
    assert [(node.name, node.layer) for node in split] == [
        ("x", ""),
        ("d_sums_1", "a"),
        ("d", "a"),
        ("d_sums_sums", "b"),
        ("d_sums", "b"),
    ]


def test_the_whole_preparation_ends():
    rng = np.random.default_rng(2)
    done = prepare(graph(Dense(scaled(rng, (7, 5)), Constant(rng.integers(-9, 9, 5), 3)), (7,)))
    assert [type(node.op) for node in done] == [Input, Dense, Scale]
