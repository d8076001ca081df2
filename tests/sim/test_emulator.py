"""The emulator: one sample at a time or many, in chunks and threads, and samples of any kind."""

import re

import numpy as np
import pytest

from keras_hls.errors import InvalidData
from keras_hls.fixed import Constant, Fixed, Formats
from keras_hls.graph import Graph, Input, Node
from keras_hls.layers_ext.activation import ReLU
from keras_hls.layers_ext.dense import Dense
from keras_hls.layers_ext.merge import Add
from keras_hls.layers_ext.reshape import Reshape
from keras_hls.sim import emulator
from keras_hls.sim.emulator import Emulator, predict, to_floats, to_raw

KERNEL = np.arange(12).reshape(4, 3) - 5


def network(*shapes: tuple[int, ...]) -> Graph:
    """An input for each shape; y = relu(sum of them, flat, times a kernel)."""
    nodes, total = [], ""
    for i, shape in enumerate(shapes):
        port = Fixed(True, 9, 4)
        nodes.append(Node(f"x{i}", Input(shape, Formats.of(Fixed(True, 9, 4, "RND", "SAT")), port), (), f"in/{i}"))
        nodes.append(Node(f"f{i}", Reshape((-1,)), (f"x{i}",), "flat"))
        if total:
            nodes.append(Node(f"s{i}", Add(), (total, f"f{i}"), "sum"))
        total = f"s{i}" if total else f"f{i}"
    nodes.append(Node("d", Dense(Constant(KERNEL, 2)), (total,), "dense"))
    nodes.append(Node("y", ReLU(), ("d",), "relu"))
    return Graph(tuple(nodes), ("y",), ("y",)).verify()


def wanted(*arrays):
    total = sum(
        np.clip(np.floor(np.asarray(a, float) * 32 + 0.5) / 32, -8, 8 - 1 / 32).reshape(len(a), -1) for a in arrays
    )
    return np.maximum(total @ (KERNEL / 4), 0)


RNG = np.random.default_rng(0)


def test_predict():
    x = RNG.normal(size=(50, 4)) * 5
    assert np.array_equal(predict(network((4,)), x), wanted(x))


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, np.int8, np.int64, np.uint8, np.uint16, bool])
def test_samples_of_any_number(dtype):
    x = np.array([[0, 1, 2, 3], [7, 100, 1, 0]]).astype(dtype)
    assert np.array_equal(predict(network((4,)), x), wanted(x.astype(float)))
    assert np.array_equal(predict(network((4,)), x.tolist()), wanted(x.astype(float)))


def test_one_input_may_come_in_a_list():
    x = RNG.normal(size=(5, 2, 2))
    for given in (x, [x], (x,), {"in/0": x}, list(x), x.tolist()):
        assert np.array_equal(predict(network((2, 2)), given), wanted(x))
    # One sample in a list is a batch of one.
    assert np.array_equal(predict(network((2, 2)), [x[0]]), wanted(x[:1]))
    assert np.array_equal(predict(network((4,)), [[1.0, 2.0, 3.0, 4.0]]), wanted([[1, 2, 3, 4]]))


def test_several_inputs():
    graph = network((4,), (2, 2), (4, 1))
    arrays = [RNG.normal(size=(6, *node.op.shape)) for node in graph.inputs]
    for given in (arrays, tuple(arrays), {f"in/{i}": arrays[i] for i in (2, 0, 1)}):
        assert np.array_equal(predict(graph, given), wanted(*arrays))


@pytest.mark.parametrize(
    ("shapes", "x", "text"),
    [
        ([(4,)], np.zeros((3, 5)), "'in/0' must have shape (n, 4), not (3, 5)"),
        ([(4,)], np.zeros(4), "must have shape (n, 4), not (4,)"),
        ([(4,)], np.zeros((3, 4, 1)), "must have shape"),
        ([(4,)], 3.0, "must have shape"),
        ([(2, 2)], np.zeros((3, 4)), "'in/0' must have shape (n, 2, 2), not (3, 4)"),
        ([(4,)], [[1, 2, 3, 4], [1, 2]], "'in/0'"),
        ([(4,)], [["a", "b", "c", "d"]], "must be numbers"),
        ([(4,)], np.zeros((3, 4), complex), "must be numbers, not complex128"),
        ([(4,)], np.zeros((3, 4), object), "must be numbers, not object"),
        ([(4,)], None, "must be numbers"),
        ([(4,)], {"in/1": np.zeros((3, 4))}, "must be given for inputs in/0, not in/1"),
        ([(4,)], {}, "must be given for inputs in/0"),
        ([(4,)], np.full((3, 4), np.nan), "NaN or infinite"),
        ([(4,)], np.full((3, 4), -np.inf), "NaN or infinite"),
        ([(4,), (4,)], np.zeros((3, 4)), "must be 2 arrays, one an input, not 3"),
        ([(4,), (4,)], [np.zeros((3, 4))], "must be 2 arrays, one an input, not 1"),
        ([(4,), (4,)], [np.zeros((3, 4)), np.zeros((2, 4))], "All inputs must have as many samples, not 3 and 2"),
        ([(4,), (2, 2)], [np.zeros((3, 4)), np.zeros((3, 4))], "'in/1' must have shape (n, 2, 2)"),
        ([(4,), (4,)], 3.0, "must be 2 arrays"),
        ([(4,), (4,)], {"in/0": np.zeros((3, 4))}, "must be given for inputs in/0, in/1, not in/0"),
    ],
)
def test_wrong_samples(shapes, x, text):
    with pytest.raises(InvalidData, match=re.escape(text)):
        predict(network(*shapes), x)


def test_no_samples():
    assert predict(network((4,)), np.zeros((0, 4))).shape == (0, 3)


@pytest.mark.parametrize("chunk", [1, 1000, 1 << 30])
def test_chunks_and_threads_change_nothing(monkeypatch, chunk):
    x = RNG.normal(size=(777, 4)) * 5
    monkeypatch.setattr(emulator, "_CHUNK_VALUES", chunk)
    for cores in (1, 2, 9):
        monkeypatch.setattr(emulator.os, "cpu_count", lambda cores=cores: cores)
        assert np.array_equal(predict(network((4,)), x), wanted(x))


def test_an_error_in_a_thread_is_not_lost(monkeypatch):
    monkeypatch.setattr(emulator, "_CHUNK_VALUES", 1)
    graph = network((4,))
    monkeypatch.setattr(ReLU, "bind", lambda self, *inputs: lambda raw: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        predict(graph, np.zeros((100, 4)))


def test_values_inside_the_network():
    graph = network((4,), (2, 2))
    arrays = [RNG.normal(size=(40, *node.op.shape)) for node in graph.inputs]
    raws = to_raw(graph, arrays)
    names = [node.name for node in graph]
    everything = dict(zip(names, Emulator(graph).run(raws, keep=names)))
    assert list(everything) == names
    assert np.array_equal(everything["y"], Emulator(graph).run(raws)[0])
    assert np.array_equal(everything["y"], np.maximum(everything["d"], 0))
    assert np.array_equal(everything["x1"], raws[1])
    assert np.array_equal(everything["f1"].reshape(-1), raws[1].reshape(-1))


def test_samples_are_not_changed():
    graph = network((4,), (2, 2))
    arrays = [RNG.normal(size=(40, *node.op.shape)) for node in graph.inputs]
    before = [a.copy() for a in arrays]
    raws = to_raw(graph, arrays)
    raws_before = [r.copy() for r in raws]
    Emulator(graph).run(raws)
    assert all(np.array_equal(a, b) for a, b in zip(arrays + raws, before + raws_before))


def test_several_outputs_are_a_list():
    graph = network((4,))
    graph = Graph(graph.nodes, ("y", "d", "x0", "y"), ("a", "b", "c", "d"))
    x = RNG.normal(size=(20, 4))
    answers = predict(graph, x)
    assert isinstance(answers, list)
    assert np.array_equal(answers[0], wanted(x))
    assert np.array_equal(answers[0], answers[3])
    assert np.array_equal(answers[2] @ (KERNEL / 4), answers[1])
    assert to_floats(graph, to_raw(graph, x) * 4)[0].shape == (20, 4)
