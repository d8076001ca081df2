"""Comparing emulator, C-simulation and Keras: every difference is counted, none is invented."""

import numpy as np
import pytest

from keras_hls.fixed import Constant, Fixed, Formats
from keras_hls.graph import Graph, Input, Node
from keras_hls.layers_ext.dense import Dense
from keras_hls.layers_ext.quantize import Quantize
from keras_hls.layers_ext.quotient import Quotient
from keras_hls.layers_ext.reshape import Reshape
from keras_hls.sim.emulator import to_raw
from keras_hls.verification import Verification, compare, inexact_layers, sample_inputs


def network(weight=3, shapes=((3,), (2, 3))):
    """Two outputs of different shapes, a fractional bit each."""
    nodes, outputs = [], []
    for i, shape in enumerate(shapes):
        port = Fixed(True, 8 + i, 7 + i)
        nodes.append(Node(f"x{i}", Input(shape, Formats.of(port), port), (), f"x{i}"))
        nodes.append(Node(f"y{i}", Dense(Constant(np.full((3, 3), weight), 0)), (f"x{i}",), f"dense{i}"))
        outputs.append(f"y{i}")
    return Graph(tuple(nodes), tuple(outputs), tuple(outputs)).verify()


@pytest.fixture
def answers():
    rng = np.random.default_rng(0)
    return [rng.integers(-50, 50, (20, 3)) * 2, rng.integers(-50, 50, (20, 2, 3)) * 2]


def as_keras(answers):
    return [(a / 2).astype(np.float32) for a in answers]


def test_all_equal(answers):
    result = compare(network(), answers, [a.copy() for a in answers], as_keras(answers))
    assert result == Verification(20, 20 * 9, 0, 0)
    assert result.ok
    assert "0 of 180 values differ" in str(result)
    assert "in 20 of 20 samples" in str(result)


def test_every_bit_of_the_simulation_counts(answers):
    simulated = [a.copy() for a in answers]
    simulated[0][3, 1] += 1
    simulated[1][3, 1, 2] -= 1
    simulated[1][19, 0, 0] *= -1
    simulated[1][19, 0, 0] -= 1
    result = compare(network(), answers, simulated, as_keras(answers))
    assert (result.csim_different, result.keras_different, result.ok) == (3, 0, False)


def test_every_difference_from_keras_counts(answers):
    expected = as_keras(answers)
    expected[0][3, 1] += 0.25
    expected[1][3, 1, 2] -= 8.5
    expected[1][7] += 1000  # a whole sample: its argmax stays
    expected[0][9] = [0, 0, 0]
    expected[0][9, (answers[0][9].argmax() + 1) % 3] = 77
    result = compare(network(), answers, answers, expected)
    changed = int((answers[0][9] / 2 != expected[0][9]).sum())
    assert (result.csim_different, result.keras_different) == (0, 2 + 6 + changed)
    assert result.samples_different == 3
    assert result.argmax_different in (1, 2)
    assert result.largest_difference == 1000
    assert not result.ok
    assert "in 17 of 20 samples" in str(result)
    assert "by at most 1000" in str(result)


def test_another_argmax_is_counted_once_a_sample():
    emulated = [np.array([[4, 2, 0]] * 4), np.array([[[4, 2, 0], [0, 2, 4]]] * 4)]
    expected = as_keras(emulated)
    expected[0][1] = [0, 2, 1]
    expected[1][1] = [[0, 2, 1], [5, 2, 1]]
    expected[1][2, 1] = [5, 0, 0]
    result = compare(network(), emulated, None, expected)
    assert (result.argmax_different, result.samples_different, result.csim_different) == (2, 2, None)


@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_keras_answers_that_are_no_numbers_differ(answers, wrong):
    expected = as_keras(answers)
    expected[0][0, 0] = wrong
    result = compare(network(), answers, answers, expected)
    assert (result.keras_different, result.samples_different, result.ok) == (1, 1, False)
    assert not result.largest_difference < 1


def test_without_simulation_or_keras(answers):
    assert compare(network(), answers, None, None) == Verification(20, 180, None, None)
    text = str(compare(network(), answers, None, None))
    assert "C-simulation didn't run" in text
    assert "Keras wasn't asked" in text


def test_no_samples():
    nothing = [np.zeros((0, 3), np.int64), np.zeros((0, 2, 3), np.int64)]
    result = compare(network(), nothing, nothing, as_keras(nothing))
    assert result == Verification(0, 0, 0, 0)
    assert result.ok


def test_keras_answers_may_have_another_shape(answers):
    flat = [a.reshape(20, -1) for a in as_keras(answers)]
    assert compare(network(), answers, answers, flat).ok


def test_layers_that_float32_can_not_hold():
    assert inexact_layers(network()) == ()
    # 9 bits times 15 and the sum of three: 26 bits.
    assert inexact_layers(network(weight=(1 << 15) - 1)) == ("dense0", "dense1")
    # Trailing zeros take no bits of a mantissa.
    assert inexact_layers(network(weight=1 << 15)) == ()
    result = compare(network(weight=(1 << 15) - 1), [np.ones((1, 3), int)], None, [np.zeros((1, 3))])
    assert result.inexact_layers == ("dense0", "dense1")
    assert "'dense0', 'dense1'" in str(result)


def test_samples_use_the_whole_range_and_more():
    port = Fixed(False, 6, 2)
    nodes = (
        Node("x", Input((5,), Formats.of(port), port), (), "x"),
        Node("y", Input((2, 2), Formats.of(Fixed(True, 5, 8, "RND", "SAT")), Fixed(True, 5, 8)), (), "y"),
        Node("z", Reshape((4,)), ("y",), "z"),
        Node("q", Quantize(Formats.of(port)), ("x",), "q"),
    )
    graph = Graph(nodes, ("q", "z"), ("q", "z")).verify()
    samples = sample_inputs(graph, 500)
    assert [s.shape for s in samples] == [(500, 5), (500, 2, 2)]
    assert all(s.dtype == np.float32 for s in samples)
    for sample, (low, high) in zip(samples, ((0, 4), (-128, 128))):
        assert sample.min() < low
        assert sample.max() > high
        assert ((sample >= low) & (sample < high)).mean() > 0.8
    raws = to_raw(graph, samples)
    assert set(np.unique(raws[1])) == set(range(-16, 16))
    assert all(np.array_equal(a, b) for a, b in zip(samples, sample_inputs(graph, 500)))
    assert not np.array_equal(samples[0], sample_inputs(graph, 500, seed=1)[0])


def test_quotients_may_tip_now_and_then_and_no_more():
    """Some backends' averages are off in more than the last bit, so that a quantizer behind them rounds the other way."""
    port = Fixed(True, 8, 5)
    graph = Graph(
        (
            Node("x", Input((4,), Formats.of(port), port), (), "x"),
            Node("d", Quotient(Constant(np.array(3), 0), frac=5, exact=True), ("x",), "average"),
            Node("q", Quantize(Formats.of(Fixed(True, 6, 3))), ("d",), "q"),
        ),
        ("q",),
        ("q",),
    )
    raw = np.random.default_rng(0).integers(-32, 32, (100, 4))
    wanted = graph.types["q"].to_float(raw)
    some, many = raw.copy(), raw.copy()
    some[:10] += 1
    many[:50] += 1
    assert compare(graph, [some], None, [wanted]).ok
    assert compare(graph, [some], None, [wanted]).keras_different == 40
    assert not compare(graph, [many], None, [wanted]).ok
