"""Where a graph says that a layer's answer is, there it is: after every pass, on random networks."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from keras_hls import storage
from keras_hls.errors import HLSError
from keras_hls.fixed import Constant, Fixed, Formats, Real, from_float
from keras_hls.graph import Graph, Input, Node, Place, settle
from keras_hls.layers_ext.activation import ReLU
from keras_hls.layers_ext.dense import Dense
from keras_hls.layers_ext.merge import Add
from keras_hls.layers_ext.movement import Permute
from keras_hls.layers_ext.quantize import Quantize
from keras_hls.layers_ext.quotient import Quotient
from keras_hls.layers_ext.reshape import Reshape
from keras_hls.layers_ext.scale import Scale
from keras_hls.layers_ext.softmax import Softmax
from keras_hls.layers_ext.table import Function, Table
from keras_hls.passes import prepare
from keras_hls.passes.calibrate import calibrate
from keras_hls.passes.folding import fold_scales
from keras_hls.passes.fused_casts import fuse_casts
from keras_hls.passes.identities import drop_identities
from keras_hls.passes.input_types import type_inputs
from keras_hls.passes.settling import settle_precision
from keras_hls.passes.transposes import cancel_transposes
from keras_hls.precision import Precision
from keras_hls.sim.emulator import Emulator, to_raw

TANH = Function(np.tanh, "tanh")
THIRD = Quotient(Constant(np.array(3), 0))
LAST, FIRST = (1, 2, 0), (2, 0, 1)


def everywhere(*nodes, outputs, **more):
    """A graph in which every node but the inputs is a layer."""
    places = {f"layer {node.name}": Place(node.name) for node in nodes if not isinstance(node.op, Input)}
    return Graph(tuple(nodes), tuple(outputs), tuple(f"out{i}" for i in range(len(outputs))), places=places, **more)


def cast(rng, shape=(), rounding=None):
    width = rng.integers(3, 8)
    rounding = rounding or rng.choice(["RND", "TRN", "RND_CONV"])
    return Quantize(
        Formats(np.full(shape, True), np.full(shape, width), np.full(shape, rng.integers(1, 4)), rounding, "SAT")
    )


class Builder:
    """A random network."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.nodes = [Node("x", Input((2, 3, 4)), (), "x")]
        self.tensors = []
        self.add(cast(self.rng, (), "RND"), "x", (2, 3, 4))
        if self.rng.integers(2):
            name, _ = self.add(Reshape((3, 8)), "x", (3, 8), keep=False)
            name, _ = self.add(cast(self.rng, (3, 8), "RND"), name, (3, 8))
            self.add(Reshape((2, 3, 4)), name, (2, 3, 4))
        for _ in range(self.rng.integers(4, 14)):
            self.step()
        outputs = [self.tensors[-1][0]]
        if self.rng.integers(2):
            outputs.append(self.tensors[self.rng.integers(len(self.tensors))][0])
        if self.rng.integers(2):
            name, shape = self.tensors[-1]
            narrow = self.add(cast(self.rng), name, shape)[0]
            outputs.append(self.add(Softmax(), narrow, shape, keep=False)[0])
        self.graph = everywhere(*self.nodes, outputs=outputs)

    def add(self, op, source, shape, keep=True):
        sources = (source,) if isinstance(source, str) else source
        self.nodes.append(Node(f"n{len(self.nodes)}", op, sources, f"layer_{len(self.nodes)}"))
        made = (self.nodes[-1].name, shape)
        if keep:
            self.tensors.append(made)
        return made

    def step(self):
        rng = self.rng
        name, shape = self.tensors[rng.integers(max(len(self.tensors) - 3, 0), len(self.tensors))]
        kind = rng.integers(9)
        if kind == 0:
            self.add(cast(rng), name, shape)
        elif kind == 1:
            kernel = Constant(rng.integers(-4, 5, (shape[-1], 4)), int(rng.integers(0, 4)))
            name, shape = self.add(Dense(kernel), name, (*shape[:-1], 4))
            if rng.integers(2):
                scale = Constant(rng.choice([1, -2, 4], 4), int(rng.integers(0, 3)))
                self.add(Scale(scale, None), name, shape)
        elif kind == 2:
            self.add(ReLU(), name, shape)
        elif kind == 3 and len(shape) == 3:
            axes = (LAST, FIRST)[rng.integers(2)]
            self.add(Permute(axes), name, tuple(shape[axis] for axis in axes))
        elif kind == 4:
            self.add(Scale(Constant(rng.integers(-3, 4, shape[-1]), 1), None), name, shape)
        elif kind in (5, 6):
            narrow, _ = self.add(cast(rng), name, shape)
            name, _ = self.add((TANH, THIRD)[kind - 5], narrow, shape)
            for op in [ReLU(), cast(rng), cast(rng), Reshape(shape)][rng.integers(5) :]:
                name, _ = self.add(op, name, shape)
        elif kind == 7:
            same = [other for other, its in self.tensors if its == shape]
            self.add(Add(), (name, same[rng.integers(len(same))]), shape)
        else:
            flat = (int(np.prod(shape)),) if len(shape) > 1 else (2, shape[0] // 2)
            self.add(Reshape(flat), name, flat)


#: Samples are finer and wider than any quantizer of a network.
FINE = Fixed(True, 18, 6)


def values_as_read(graph, samples):
    """What every node's value is in the graph as it was read, and how far that may be off."""
    open_ones = [node for node in graph.inputs if node.op.port is None]
    graph = graph.with_ops({n.name: replace(n.op, formats=Formats.of(FINE), port=FINE) for n in open_ones})
    types, ops = {}, {}
    for node in graph:
        inputs = [types[name] for name in node.inputs]
        ops[node.name] = settle(node, inputs, None)
        types[node.name] = ops[node.name].infer(*inputs)
    whole = graph.with_ops(ops)
    names = [node.name for node in graph]
    found = dict(zip(names, Emulator(whole).run(to_raw(whole, samples), names)))
    errors = {node.name: node.op.error(*whole.input_types(node)) for node in whole}
    return {name: whole.types[name].to_float(raw) for name, raw in found.items()}, errors


def assert_true(read, prepared):
    """Every place of a prepared graph holds what it says; return how many there are."""
    samples = random_samples(read)
    wanted, errors = values_as_read(read, samples)
    names = [node.name for node in prepared]
    found = dict(zip(names, Emulator(prepared).run(to_raw(prepared, samples), names)))
    assert list(prepared.places) == list(read.places), "no layer is lost, and they keep their order"
    count = 0
    for label, place in prepared.places.items():
        if place is None:
            continue
        count += 1
        node = read.places[label].node
        value = prepared.types[place.node].to_float(found[place.node])
        if place.axes:
            value = value.transpose(0, *(axis + 1 for axis in place.axes))
        answer = wanted[read[node].inputs[0] if place.before else node]
        if place.channels:
            answer = answer.take(place.channels, place.axes.index(len(place.axes) - 1) + 1 if place.axes else -1)
        for to in place.casts:
            answer = np.ldexp(from_float(answer, to), -to.frac)
        assert value.shape == answer.shape, label
        off = np.abs(value - answer).max()
        assert off <= (place.off and place.off + errors[node]), f"{label} is off by {off}"
    return count


def random_samples(graph):
    rng = np.random.default_rng(0)
    return [rng.integers(FINE.low, FINE.high, (40, *node.op.shape)) * 2.0**-FINE.frac for node in graph.inputs]


@pytest.mark.parametrize("softmax", ["host", "hardware"])
@pytest.mark.parametrize("seed", range(60))
def test_places_are_true_after_all_passes(seed, softmax):
    read = Builder(seed).graph
    prepared = prepare(fold_scales(read), softmax=softmax)
    count = assert_true(read, prepared)
    assert count >= len(set(read.outputs))
    for label, place in read.places.items():
        if place.node in read.outputs:
            assert prepared.places[label] is not None, "what leaves the network is always somewhere"


def test_most_layers_keep_their_place():
    """Otherwise there were nothing to see."""
    kept = total = 0
    for seed in range(30):
        read = Builder(seed).graph
        places = prepare(fold_scales(read)).places.values()
        kept, total = kept + sum(place is not None for place in places), total + len(places)
    assert kept > 0.6 * total


# -- pass by pass


PORT = Fixed(True, 7, 3)
X = Node("x", Input((4,), Formats.of(PORT), PORT), (), "x")


def q(name, source, frac=3):
    return Node(name, Quantize(Formats.of(Fixed(True, frac + 3, 3, "RND", "SAT"))), (source,))


def places(graph):
    return {label.removeprefix("layer "): place for label, place in graph.places.items()}


def test_removing_equal_values_keeps_places():
    graph = everywhere(X, q("a", "x", 2), Node("r", ReLU(), ("a",)), q("b", "a", 2), q("c", "r", 2), outputs=("b", "c"))
    small = drop_identities(graph)
    assert [node.name for node in small] == ["x", "a", "r"]
    assert places(small) == {"a": Place("a"), "r": Place("r"), "b": Place("a"), "c": Place("r")}


def test_folded_scales_leave_one_place():
    dense = Node("d", Dense(Constant(np.eye(4, dtype=int), 0)), ("x",))
    first, second = (Node(name, Scale(Constant(np.array(2), 0), None), (source,)) for name, source in ("sd", "ts"))
    graph = fold_scales(everywhere(X, dense, first, second, outputs=("t",)))
    assert [node.name for node in graph] == ["x", "d"]
    assert places(graph) == {"d": None, "s": None, "t": Place("d")}


def test_fused_casts_are_said():
    graph = everywhere(X, Node("t", TANH, ("x",)), q("q", "t", 5), q("p", "q", 2), outputs=("p",))
    fused = fuse_casts(settle_precision(graph))
    assert [node.name for node in fused] == ["x", "t"]
    five, two = Fixed(True, 8, 3, "RND", "SAT"), Fixed(True, 5, 3, "RND", "SAT")
    assert places(fused) == {"t": Place("t", casts=(five, two)), "q": Place("t", casts=(two,)), "p": Place("t")}
    assert assert_true(graph, fused) == 3


def test_results_that_are_cut_say_how_far_off_they_are():
    graph = settle_precision(
        everywhere(X, Node("d", THIRD, ("x",)), Node("r", ReLU(), ("d",)), q("q", "r", 3), outputs=("q",))
    )
    assert places(graph) == {"d": Place("d", off=2.0**-5), "r": Place("r", off=2.0**-5), "q": Place("q")}
    assert isinstance(graph["d"].op, Quotient)
    whole = settle_precision(everywhere(X, Node("t", TANH, ("x",)), q("q", "t", 3), outputs=("q", "t")))
    assert isinstance(whole["t"].op, Table)
    assert places(whole) == {"t": Place("t"), "q": Place("q")}


def test_what_only_moves_samples_has_no_place_before_they_are_cast():
    plain = replace(X, op=Input((2, 2)))
    graph = everywhere(plain, Node("r", Reshape((4,)), ("x",)), q("q", "r", 3), q("p", "q", 2), outputs=("p",))
    assert places(type_inputs(graph)) == {"r": None, "q": Place("q"), "p": Place("p")}


def test_permuted_ops_say_in_which_order_they_answer():
    image = Node("x", Input((4, 2, 3), Formats.of(PORT), PORT), (), "x")
    kernel = Dense(Constant(np.arange(16).reshape(4, 4), 0))
    graph = everywhere(
        image,
        Node("first_last", Permute(LAST), ("x",)),
        Node("first", kernel, ("first_last",)),
        Node("back", Permute(FIRST), ("first",)),
        Node("relu", ReLU(), ("back",)),
        Node("second_last", Permute(LAST), ("relu",)),
        Node("second", kernel, ("second_last",)),
        outputs=("second",),
    )
    moved = cancel_transposes(graph)
    assert [node.name for node in moved] == ["x", "first_last", "first", "relu", "second"]
    assert places(moved)["relu"] == Place("relu", axes=FIRST)
    assert places(moved)["second_last"] == Place("relu")
    assert assert_true(graph, moved) == 6


def test_a_softmax_left_to_the_host_is_seen_before_it():
    graph = everywhere(X, q("q", "x"), Node("s", Softmax(), ("q",)), outputs=("s",))
    assert places(prepare(graph))["s"].before == "softmax"
    assert places(prepare(graph, softmax="hardware"))["s"] == Place("s")
    assert assert_true(graph, prepare(graph)) == 2


def test_a_place_must_exist():
    graph = everywhere(X, q("q", "x"), outputs=("q",))
    with pytest.raises(HLSError, match=r"^The answer of layer 'layer q' must be at a node of the graph, not 'gone'$"):
        replace(graph, places={"layer q": Place("gone")}).verify()


def test_a_layer_of_a_float_model_answers_what_it_hands_on():
    rng = np.random.default_rng(0)
    kernel, bias, second, factors = (
        rng.normal(size=(3, 4)),
        rng.normal(size=4),
        rng.normal(size=(4, 2)),
        rng.normal(size=2),
    )
    read = Graph(
        (
            Node("x", Input((3,), samples="float32"), (), "x"),
            Node("a", Dense(Real(kernel), Real(bias)), ("x",), "first"),
            Node("r", ReLU(), ("a",), "first"),
            Node("b", Dense(Real(second)), ("r",), "second"),
            Node("s", Scale(Real(factors), None), ("b",), "third"),
        ),
        ("s",),
        ("s",),
        places={"nothing": Place("x"), "first": Place("r"), "second": Place("b"), "third": Place("s")},
    )
    x = rng.normal(size=(100, 3)).astype(np.float32)
    typed = calibrate(fold_scales(read), Precision(18), [x], caster=Quantize)
    graph = prepare(typed)
    assert graph.places == {
        "nothing": Place("x"),
        "first": Place("r_result"),
        "second": None,
        "third": Place("b_result"),
    }
    first = np.maximum(x @ kernel + bias, 0)
    floats = {"nothing": x, "first": first, "third": first @ second * factors}
    found = Emulator(graph).run(to_raw(graph, x), [graph.places[label].node for label in floats])
    for (label, wanted), raw in zip(floats.items(), found):
        assert np.abs(graph.types[graph.places[label].node].to_float(raw) - wanted).max() < 1e-3


def test_places_survive_storage():
    for seed in range(20):
        graph = prepare(fold_scales(Builder(seed).graph))
        again = storage.from_json(json.loads(json.dumps(storage.to_json(graph), sort_keys=True)))
        assert list(again.places.items()) == list(graph.places.items())
