"""Permutations cancel: random networks answer the same before and after, and none has more of them than before."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from random_graphs import graph, port, random_op

from keras_hls.fixed import Constant, Fixed, Formats
from keras_hls.graph import Graph, Input, Node
from keras_hls.layers_ext.activation import ReLU
from keras_hls.layers_ext.dense import Dense
from keras_hls.layers_ext.merge import Add, Multiply
from keras_hls.layers_ext.movement import Concatenate, Permute
from keras_hls.layers_ext.quantize import Quantize
from keras_hls.layers_ext.reshape import Reshape
from keras_hls.layers_ext.table import Table
from keras_hls.passes.transposes import _Layout, cancel_transposes
from keras_hls.sim.emulator import Emulator

LAST, FIRST = (1, 2, 0), (2, 0, 1)


def permutes(network):
    return [node.name for node in network if node.op.permutation is not None]


def assert_same(before, after, seed=0):
    after.verify()
    assert after.output_names == before.output_names and [n.name for n in after.inputs] == [
        n.name for n in before.inputs
    ]
    for a, b in zip(before.outputs, after.outputs, strict=True):
        old, new = before.types[a], after.types[b]
        assert old.frac == new.frac
        assert all(np.array_equal(getattr(old, part), getattr(new, part)) for part in ("low", "high", "zeros"))
    rng = np.random.default_rng(seed)
    raws = [rng.integers(n.op.port.low, n.op.port.high, (5, *n.op.shape), endpoint=True) for n in before.inputs]
    for a, b in zip(Emulator(before).run(raws), Emulator(after).run(raws), strict=True):
        assert np.array_equal(a, b)


def cancelled(before):
    after = cancel_transposes(before)
    assert_same(before, after)
    assert len(permutes(after)) <= len(permutes(before))
    return after


# -- pictures


def conv(name, source, channels=4):
    """Something that takes and gives its channels last, in a network that has them first."""
    kernel = Constant(np.arange(channels * channels).reshape(channels, channels) - 3, 0)
    return [
        (f"{name}_last", Permute(LAST), source),
        (name, Dense(kernel), f"{name}_last"),
        (f"{name}_first", Permute(FIRST), name),
    ]


INPUT = {"inputs": (("x", (4, 3, 2)),)}


def test_neighbours_that_cancel():
    before = graph(("a", Permute(LAST), "x"), ("b", Permute(FIRST), "a"), ("y", ReLU(), "b"), outputs=["y"])
    assert permutes(cancelled(before)) == []


def test_neighbours_become_one():
    before = graph(
        ("a", Permute(LAST), "x"),
        ("b", Permute(LAST), "a"),
        ("y", Dense(Constant(np.eye(3, dtype=int), 0)), "b"),
        outputs=["y"],
    )
    after = cancelled(before)
    assert permutes(after) == ["b"] and after["b"].op.axes == FIRST and after["b"].inputs == ("x",)


def test_one_serves_several_readers():
    kernel = Constant(np.eye(2, dtype=int), 0)
    before = graph(
        ("a", Permute(LAST), "x"),
        ("b", Permute(LAST), "x"),
        ("y", Dense(kernel), "a"),
        ("z", Dense(kernel), "b"),
        outputs=["y", "z"],
    )
    assert permutes(cancelled(before)) == ["a"]


def test_an_order_that_is_none_vanishes():
    assert permutes(cancelled(graph(("a", Permute((0, 1, 2)), "x"), ("y", ReLU(), "a"), outputs=["y", "a"]))) == []


def test_layers_with_their_channels_first_need_two():
    """However many there are: one at the input, one at the output."""
    nodes, last = [], "x"
    for i in range(5):
        nodes += [*conv(f"conv{i}", last), (f"relu{i}", ReLU(), f"conv{i}_first")]
        last = f"relu{i}"
    after = cancelled(graph(*nodes, outputs=[last], **INPUT))
    assert len(permutes(after)) == 2


def test_a_residual_network_needs_two():
    nodes = conv("stem", "x")
    last = "stem_first"
    for i in range(3):
        nodes += [(f"a{i}", ReLU(), last), *conv(f"b{i}", f"a{i}"), (f"c{i}", ReLU(), f"b{i}_first")]
        nodes += [*conv(f"d{i}", f"c{i}"), *conv(f"e{i}", last), (f"sum{i}", Add(), f"d{i}_first", f"e{i}_first")]
        nodes += [(f"q{i}", Quantize(Formats.of(Fixed(True, 6, 4, "RND", "SAT"))), f"sum{i}")]
        nodes += [(f"skip{i}", Add(), f"q{i}", last), (f"p{i}", Quantize(Formats.of(Fixed(True, 6, 4))), f"skip{i}")]
        last = f"p{i}"
    before = graph(*nodes, outputs=[last], **INPUT)
    assert len(permutes(before)) == 20
    assert len(permutes(cancelled(before))) == 2


def test_only_a_part_of_a_branch_changes():
    """The whole branch would need one for each of two outputs; a part of it needs one."""
    before = graph(
        *conv("a", "x"),
        ("b", ReLU(), "a_first"),
        ("c", ReLU(), "b"),
        *conv("d", "c"),
        ("e", ReLU(), "c"),
        ("f", Reshape((-1,)), "e"),
        ("g", ReLU(), "e"),
        ("h", Reshape((-1,)), "g"),
        outputs=["d", "f", "h"],
        **INPUT,
    )
    after = cancelled(before)
    assert len(permutes(after)) == 2


def test_what_gives_an_input_its_type_stays():
    quantizer = Quantize(Formats.of(Fixed(True, 4, 3)))
    before = graph(
        ("q", quantizer, "x"),
        ("r", quantizer, "x"),
        ("a", Permute(LAST), "q"),
        ("b", Permute(LAST), "r"),
        ("y", Dense(Constant(np.eye(2, dtype=int), 0)), "a"),
        ("z", Dense(Constant(np.eye(2, dtype=int), 0)), "b"),
        outputs=["y", "z"],
    )
    assert len(permutes(cancelled(before))) == 1
    untyped = replace(before, nodes=(Node("x", Input((2, 3, 4))), *before.nodes[1:]))
    after = cancel_transposes(untyped)
    assert len(permutes(after)) == 2 and after["q"].op is quantizer and after["r"].inputs == ("x",)


def test_names_stay_unique():
    """A permutation that wasn't there before must not take the name of something that was."""
    before = graph(
        ("q", ReLU(), "x"),
        ("q_permuted", ReLU(), "q"),
        ("a", Permute(LAST), "q_permuted"),
        ("y", Dense(Constant(np.eye(2, dtype=int), 0)), "a"),
        ("r", ReLU(), "q"),
        ("b", Permute(LAST), "r"),
        ("z", Dense(Constant(np.eye(2, dtype=int), 0)), "b"),
        outputs=["y", "z"],
    )
    after = cancelled(before)
    assert permutes(after) == ["q_permuted_1"]
    assert after["q_permuted_1"].layer == "layer_q"


# -- every op that says what it is in another order


@pytest.mark.parametrize("seed", range(60))
def test_ops_in_another_order(seed):
    rng = np.random.default_rng(seed)
    shape = tuple(int(n) for n in rng.integers(1, 5, rng.integers(1, 5)))
    axes = tuple(int(n) for n in rng.permutation(len(shape)))
    op, _ = random_op(rng, shape)
    x = port(shape).infer()
    y, moved = op.infer(x), op.permuted(axes).infer(Permute(axes).infer(x))
    wanted = Permute(axes).infer(y)
    assert moved.frac == wanted.frac
    assert all(np.array_equal(getattr(moved, part), getattr(wanted, part)) for part in ("low", "high", "zeros"))


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -2, -3])
def test_concatenation_in_another_order(axis):
    x = port((2, 3, 4)).infer()
    for axes in itertools.permutations(range(3)):
        to = Permute(axes)
        moved = Concatenate(axis).permuted(axes).infer(to.infer(x), to.infer(x))
        assert moved.shape == to.infer(Concatenate(axis).infer(x, x)).shape
        assert np.array_equal(moved.low, to.infer(Concatenate(axis).infer(x, x)).low)


# -- random networks


def random_network(rng, bracketed=False):
    """A network of any ops and permutations; or one that has permutations only around ops that take their channels last."""
    shapes = {"x": tuple(int(n) for n in rng.integers(2, 4, 3)), "w": tuple(int(n) for n in rng.integers(2, 4, 3))}
    nodes = [Node(name, port(shape)) for name, shape in shapes.items()]

    def add(op, shape, *sources):
        nodes.append(Node(f"n{len(nodes)}", op, sources, f"layer{len(nodes)}"))
        shapes[nodes[-1].name] = shape
        return nodes[-1].name

    def permute(axes, source):
        return add(Permute(axes), tuple(shapes[source][axis] for axis in axes), source)

    def narrow(source):
        """So that no chain of ops needs more than 63 bits."""
        return add(Quantize(Formats.of(Fixed(True, 5, 3, "RND", "SAT"))), shapes[source], source)

    def dense(source):
        n = shapes[source][-1]
        return narrow(add(Dense(Constant(rng.integers(-1, 2, (n, n)), 0)), shapes[source], source))

    def pick():
        names = [name for name in shapes if name not in inside]
        return names[max(int(rng.integers(len(names))), int(rng.integers(len(names))))]

    inside = set()
    for _ in range(rng.integers(3, 16)):
        source = pick()
        shape = shapes[source]
        kind = rng.integers(10)
        if kind < 4 and len(shape) == 3:
            if bracketed:
                known = set(shapes)
                last = permute(FIRST, dense(permute(LAST, source)))
                inside |= set(shapes) - known - {last}
            else:
                permute(tuple(int(n) for n in rng.permutation(3)), source)
        elif kind < 6:
            others = [name for name in shapes if shapes[name] == shape and name not in inside]
            narrow(add((Add, Multiply)[kind - 4](), shape, source, others[rng.integers(len(others))]))
        elif kind == 6 and np.prod(shape) < 60:
            axis = int(rng.integers(len(shape)))
            add(Concatenate(axis), (*shape[:axis], 2 * shape[axis], *shape[axis + 1 :]), source, source)
        elif kind == 7 and rng.integers(3) == 0:
            add(Reshape(shape[::-1]), shape[::-1], source)
        elif kind == 8 and rng.integers(2):
            dense(source)
        else:
            op, after = random_op(rng, shape)
            narrow(add(op, after, narrow(source) if isinstance(op, Table) else source))
    outputs = tuple(dict.fromkeys([nodes[-1].name, pick(), pick()]))
    return Graph(tuple(nodes), outputs, outputs).verify()


@pytest.mark.parametrize("bracketed", [False, True])
@pytest.mark.parametrize("seed", range(100))
def test_random_networks_answer_the_same(seed, bracketed):
    after = cancelled(random_network(np.random.default_rng(seed), bracketed))
    assert permutes(cancel_transposes(after)) == permutes(after)


def fewest(network, orders):
    """The fewest permutations of all choices of these orders for every op that has one; None if there are too many."""
    layout = _Layout(network)
    free = [[o for o in ((), *orders) if not o or layout._op(node, o) is not None] for node in layout.nodes]
    if np.prod([len(choice) for choice in free]) > 1 << 12:
        return None
    names = [node.name for node in layout.nodes]
    return min(len(layout._permutations(dict(zip(names, choice)))) for choice in itertools.product(*free))


def test_layers_with_channels_first_leave_the_fewest():
    """Against a search of all choices."""
    tried = gained = 0
    for seed in range(300):
        before = random_network(np.random.default_rng(seed), bracketed=True)
        best = fewest(before, [LAST])
        if best is None or not permutes(before):
            continue
        tried += 1
        found = len(permutes(cancel_transposes(before)))
        gained += found < len(permutes(before))
        assert found == best, f"seed {seed}"
    assert tried > 100 and gained > 50


def test_permutations_anywhere_leave_nearly_the_fewest():
    tried = missed = 0
    for seed in range(300):
        before = random_network(np.random.default_rng(seed))
        best = fewest(before, [LAST, FIRST])
        if best is None or not permutes(before):
            continue
        tried += 1
        missed += len(permutes(cancel_transposes(before))) > best
    assert tried > 100 and missed <= tried // 20
