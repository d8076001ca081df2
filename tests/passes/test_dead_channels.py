"""Channels that no output needs are gone from tensors, weights and formats, and nothing else answers otherwise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from random_graphs import (
    assert_same_answers,
    assert_same_in_cpp,
    assert_true_places,
    everywhere,
    graph,
    lut,
    port,
    random_network,
    random_op,
    sparse,
)

from keras_hls.fixed import Constant, Fixed, Formats, TensorType
from keras_hls.graph import Graph, Input, Node
from keras_hls.layers_ext.activation import ReLU
from keras_hls.layers_ext.contraction import Product
from keras_hls.layers_ext.convolution import Convolution
from keras_hls.layers_ext.dense import Dense
from keras_hls.layers_ext.embedding import Lookup
from keras_hls.layers_ext.gated import Half
from keras_hls.layers_ext.merge import Add, Maximum, Multiply, Subtract
from keras_hls.layers_ext.movement import Concatenate, Pad, Permute, Slice
from keras_hls.layers_ext.pool import Pool
from keras_hls.layers_ext.quantize import Quantize
from keras_hls.layers_ext.reshape import Reshape
from keras_hls.layers_ext.softmax import Softmax
from keras_hls.passes.dead_channels import drop_dead_channels
from keras_hls.storage import to_json
from keras_hls.wires import Channels, Known


def constant(*rows, frac=0):
    return Constant(np.array(rows if len(rows) > 1 else rows[0]), frac)


def numbers(constants):
    return (constants.raw * 2.0**-constants.frac).tolist()


def cast(*widths):
    """One width a channel, four integer bits below."""
    return Quantize(Formats(True, np.array(widths), 3, "RND", "SAT"))


def pruned(*nodes, outputs, inputs=(("x", (4,)),), **more):
    """The graph after the pass, which answers the same and has nothing more to lose."""
    before = graph(*nodes, outputs=outputs, inputs=inputs)
    after = drop_dead_channels(before, **more)
    assert_same_answers(before, after)
    assert drop_dead_channels(after, **more) is after
    return after


def shapes(network):
    return {node.name: network.types[node.name].shape for node in network}


# -- pictures


def test_a_pruned_neuron_is_gone():
    """Nothing reads the second, the third is the constant 3 * 2, the fourth is never above 0."""
    first = Dense(constant([1, 1, 0, 0], [2, 1, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]), constant([1, 2, 6, -1]))
    second = Dense(constant([1, 2], [0, 0], [3, -1], [5, 5]), constant([0, 7]))
    after = pruned(("a", first, "x"), ("r", ReLU(), "a"), ("b", second, "r"), outputs=["b"])
    assert shapes(after) == {"x": (4,), "a": (1,), "r": (1,), "b": (2,)}
    # The port keeps its shape, and a dense layer takes what it doesn't need without harm.
    assert after["a"].inputs == ("x",)
    assert after["a"].op.kernel.raw.tolist() == [[1], [2], [0], [0]]
    assert numbers(after["a"].op.bias) == [1]
    assert after["b"].op.kernel.raw.tolist() == [[1, 2]]
    assert numbers(after["b"].op.bias) == [18, 1]


def test_a_chain_of_dead_channels_is_gone_as_a_whole():
    """What is dead at the end isn't needed at the beginning."""
    n = 3
    weights = constant([1, 2, 0], [0, 1, 0], [5, 0, 1])
    nodes = [("a", Dense(weights), "x"), ("p", cast(4, 4, 4), "a"), ("b", Dense(weights), "p"), ("q", ReLU(), "b")]
    after = pruned(*nodes, ("c", Dense(constant([1], [0], [0])), "q"), outputs=["c"], inputs=[("x", (n,))])
    assert shapes(after) == {"x": (3,), "a": (2,), "p": (2,), "b": (1,), "q": (1,), "c": (1,)}
    assert after["p"].op.formats.width.tolist() == [4, 4]


def test_channels_without_bits_are_gone():
    after = pruned(
        ("a", Dense(constant(*np.ones((4, 4), int).tolist())), "x"),
        ("q", cast(0, 5, 0, 4), "a"),
        ("b", Dense(constant([1, 2], [3, 4], [5, 6], [7, 8])), "q"),
        outputs=["b"],
    )
    assert shapes(after) == {"x": (4,), "a": (2,), "q": (2,), "b": (2,)}
    assert after["q"].op.formats.width.tolist() == [5, 4]
    assert after["b"].op.kernel.raw.tolist() == [[3, 4], [7, 8]]


def test_formats_that_are_alike_without_the_dead_are_one_type():
    after = pruned(("q", cast(0, 5, 5, 5), "x"), ("b", Dense(constant([1], [3], [5], [7])), "q"), outputs=["b"])
    assert after["q"].op.formats.uniform == Fixed(True, 5, 3, "RND", "SAT")


IMAGE = {"inputs": (("x", (4, 5, 3)),)}


def convolution(kernel, bias=None, pad=0, **more):
    pads = {"before": (pad, pad), "after": (pad, pad)} if pad else {}
    return Convolution(Constant(kernel, 0), None if bias is None else constant(bias), **pads, **more)


@pytest.mark.parametrize("pad", [0, 1])
@pytest.mark.parametrize("value", [0, 3])
def test_a_known_channel_of_an_image(pad, value):
    """Beside padding, which is 0, no bias makes up for a channel that isn't."""
    kernel = np.zeros((2, 2, 3, 3), int)
    kernel[:, :, :, 0], kernel[0, 0, 1, 2] = 1, 2
    first = convolution(kernel, [0, value, 0])
    second = convolution(np.arange(1, 25).reshape(2, 2, 3, 2), pad=pad)
    after = pruned(("a", first, "x"), ("b", second, "a"), outputs=["b"], **IMAGE)
    kept = 3 if pad and value else 2
    assert after["b"].op.kernel.shape == (2, 2, kept, 2)
    if value and not pad:
        assert numbers(after["b"].op.bias) == (value * second.kernel.raw[:, :, 1].sum((0, 1))).tolist()


@pytest.mark.parametrize("pad", [0, 1])
def test_depthwise(pad):
    """Two outputs a channel: both or none."""
    rng = np.random.default_rng(0)
    depthwise = convolution(rng.integers(1, 5, (2, 2, 1, 6)), [1, 2, 3, 4, 5, 6], pad, groups=3)
    point = np.zeros((1, 1, 6, 2), int)
    point[0, 0, [0, 4, 5]] = [[1, 2], [3, 4], [5, 6]]
    after = pruned(
        ("q", cast(5, 5, 5), "x"), ("d", depthwise, "q"), ("p", convolution(point), "d"), outputs=["p"], **IMAGE
    )
    assert shapes(after)["q"] == (4, 5, 2)
    assert after["d"].op.groups == 2 and after["d"].op.bias.raw.tolist() == [1, 2, 5, 6]
    assert after["p"].op.kernel.raw.reshape(-1, 2).tolist() == [[1, 2], [0, 0], [3, 4], [5, 6]]


def test_one_group_that_is_left_is_none():
    rng = np.random.default_rng(0)
    kernel = rng.integers(1, 5, (2, 2, 2, 4))
    kernel[:, :, 1, 1] = 0
    grouped = convolution(kernel, groups=2)
    point = np.zeros((1, 1, 4, 1), int)
    point[0, 0, 1] = 1
    after = pruned(
        ("q", cast(5, 5, 5, 5), "x"),
        ("g", grouped, "q"),
        ("p", convolution(point), "g"),
        outputs=["p"],
        inputs=[("x", (4, 5, 4))],
    )
    assert after["g"].op.groups == 1 and after["g"].op.kernel.raw.tolist() == kernel[:, :, :1, 1:2].tolist()


def test_a_flattened_image():
    kernel = np.arange(20 * 3).reshape(20, 3, 1) + 1
    kernel[:, 1] = 0
    after = pruned(
        ("q", cast(4, 4, 4), "x"),
        ("m", Pool("max", 0, 4, 1), "q"),
        ("f", Reshape((-1,)), "m"),
        ("d", Dense(Constant(kernel.reshape(60, 1), 0)), "f"),
        outputs=["d"],
        **IMAGE,
    )
    assert shapes(after)["q"] == (4, 5, 2) and shapes(after)["f"] == (40,)
    assert after["d"].op.kernel.raw.tolist() == kernel[:, [0, 2]].reshape(40, 1).tolist()


def test_a_part_of_what_is_joined_may_go_as_a_whole():
    after = pruned(
        ("a", cast(4, 4, 4, 4), "x"),
        ("b", cast(3, 3, 3, 3), "x"),
        ("c", Concatenate(-1), "a", "b"),
        ("d", Dense(constant([1], [0], [2], [0], [0], [0], [0], [0])), "c"),
        outputs=["d"],
    )
    assert set(shapes(after)) == {"x", "x_channels", "a", "c", "d"}
    assert shapes(after)["c"] == (2,) and after["c"].inputs == ("a",)


def test_a_sum_needs_what_either_side_lacks():
    """The one side's second channel is 0: it isn't computed, but filled in where they are added."""
    after = pruned(
        ("a", Dense(constant(*np.ones((4, 3), int).tolist())), "x"),
        ("p", cast(4, 0, 4), "a"),
        ("b", Dense(constant(*np.ones((4, 3), int).tolist())), "x"),
        ("s", Add(), "p", "b"),
        ("d", Dense(constant([1], [1], [0])), "s"),
        outputs=["d"],
    )
    assert shapes(after) == {"x": (4,), "a": (1,), "p": (1,), "b": (2,), "p_channels": (2,), "s": (2,), "d": (1,)}
    assert after["p_channels"].op.index.raw.tolist() == [0, -1]


def test_outputs_keep_their_shape():
    """Known channels are filled in at the end."""
    after = pruned(
        ("a", Dense(constant(*np.ones((4, 3), int).tolist()), constant([1, 2, 3])), "x"),
        ("q", cast(4, 0, 4), "a"),
        outputs=["q", "a"],
    )
    assert shapes(after)["a"] == (3,) and after.outputs == ("q_channels", "a")
    assert shapes(after)["q_channels"] == (3,) and shapes(after)["q"] == (2,)


def test_what_is_known_and_not_zero_is_filled_in():
    after = pruned(
        ("a", Dense(constant(*np.ones((4, 3), int).tolist())), "x"),
        ("q", cast(4, 0, 4), "a"),
        ("z", Dense(constant([1, 0], [0, 0], [0, 1]), constant([0, 6], frac=2)), "q"),
        ("k", Dense(constant([1, 0], [0, 0])), "z"),
        ("l", Add(), "k", "z"),
        outputs=["l"],
    )
    assert shapes(after)["q"] == (2,)
    known = drop_dead_channels(
        graph(
            ("q", cast(4, 0), "x"),
            ("n", Dense(constant([1, 0], [0, 0]), constant([0, 6], frac=2)), "q"),
            ("r", cast(4, 4), "n"),
            outputs=["r"],
            inputs=[("x", (2,))],
        )
    )
    filled = known[known.outputs[0]].op
    assert isinstance(filled, Channels)
    assert filled.index.raw.tolist() == [0, -1] and filled.fill.raw[1] == 3 and filled.fill.frac == 1


def test_a_tensor_that_is_known_is_a_number():
    after = pruned(("q", cast(0, 0, 0, 0), "x"), ("s", Subtract(), "x", "q"), outputs=["s", "q"])
    assert isinstance(after["q"].op, Known) and not after["q"].inputs


def test_what_takes_all_channels_at_once_has_all():
    after = pruned(
        ("q", cast(4, 0, 4, 4), "x"),
        ("s", Softmax(frac=5), "q"),
        ("d", Dense(constant([1], [0], [0], [0])), "s"),
        outputs=["d"],
    )
    assert shapes(after)["s"] == (4,) and shapes(after)["q"] == (3,) and after["s"].inputs == ("q_channels",)


def test_a_branch_that_nobody_needs_is_gone():
    after = pruned(
        ("q", cast(4, 4, 4, 4), "x"),
        ("a", Dense(constant(*np.ones((4, 4), int).tolist())), "q"),
        ("p", cast(4, 4, 4, 4), "a"),
        ("c", Concatenate(0), "q", "p"),
        ("d", Dense(constant(*[[1]] * 4, *[[0]] * 4)), "c"),
        outputs=["d"],
    )
    assert set(shapes(after)) == {"x", "q", "c", "d"}


def test_layers_that_stay_keep_all():
    """So a factor by which multipliers are shared stays valid, whatever training prunes."""
    nodes = [
        ("a", Dense(constant(*np.ones((4, 4), int).tolist())), "x"),
        ("q", cast(0, 4, 4, 4), "a"),
        ("b", Dense(constant([1], [1], [0], [0])), "q"),
    ]
    after = pruned(*nodes, outputs=["b"], stays=lambda node: node.name == "b")
    assert shapes(after)["q_channels"] == (4,) and shapes(after)["q"] == (3,)
    assert after["b"].op.kernel.shape == (4, 1)


def test_nothing_to_do():
    before = graph(
        ("a", Dense(constant(*np.ones((4, 4), int).tolist())), "x"),
        ("r", ReLU(), "a"),
        ("c", Concatenate(0), "r", "a"),
        outputs=["c"],
        inputs=[("x", (4,)), ("unread", (3,))],
    )
    assert drop_dead_channels(before) is before


# -- every op that can do with fewer channels


def random_types(rng, shape):
    """Any elements, among them constants, and channels that are the same everywhere."""
    ends = np.sort(rng.integers(-8, 8, (2, *shape)), axis=0)
    same = rng.integers(0, 6, shape[-1])
    low = np.where(same == 0, 0, np.where(same == 1, 3, ends[0]))
    return TensorType(low, np.where(same < 2, low, ends[1]), 2)


def ops_of_channels(rng):
    """An op, and the shapes that it takes."""
    shape = tuple(int(n) for n in rng.integers(1, 4, rng.integers(1, 4)))
    rank, n = len(shape), shape[-1]
    kind = int(rng.integers(14))
    if kind < 3:
        m = int(rng.integers(1, 5))
        bias = Constant(rng.integers(-5, 6, m), int(rng.integers(0, 5))) if rng.integers(2) else None
        return Dense(Constant(sparse(rng, (n, m), n, m), 1), bias), [shape]
    if kind < 6:
        groups = int(rng.choice([g for g in (1, 1, 2, 3) if n % g == 0]))
        m = groups * int(rng.integers(1, 3))
        pads = tuple(int(p) for p in rng.integers(0, 2, 2)) if rng.integers(2) else ()
        kernel = Constant(sparse(rng, (2, 1, n // groups, m), n // groups, m), 0)
        bias = Constant(rng.integers(-5, 6, m), 3) if rng.integers(2) else None
        return Convolution(kernel, bias, before=pads, after=pads, groups=groups), [(3, 2, n)]
    if kind == 6:
        one = tuple(1 if rng.integers(3) == 0 else size for size in shape)
        return (Add(), Multiply(), Maximum())[rng.integers(3)], [shape, one[rng.integers(rank) :]]
    if kind == 7:
        axis = int(rng.integers(-rank, rank))
        other = list(shape)
        other[axis] = int(rng.integers(1, 4))
        return Concatenate(axis), [shape, tuple(other)]
    if kind == 8:
        new = [(-1,), (*shape, 1), (*shape[:-1], 1, n), (1, -1), shape[::-1]][rng.integers(5)]
        return Reshape(new), [shape]
    if kind == 9:
        return Lookup(Constant(sparse(rng, (4, 3), 4, 3), 1)), [shape]
    if kind == 10:
        return Product(), [(2, 3, n), (2, n, 4)]
    if kind == 11:
        even = (*shape[:-1], 2 * n)
        return Half(int(rng.choice([-1, 0])) if rank > 1 and even[0] % 2 == 0 else -1, bool(rng.integers(2))), [even]
    if kind == 12:
        size = rng.integers(1, 5)
        index = rng.integers(-1, n, size)
        return Channels(Constant(index, 0), Constant(np.where(index < 0, rng.integers(-3, 4, size), 0), 3)), [shape]
    return random_op(rng, shape)[0], [shape]


@pytest.mark.parametrize("seed", range(400))
def test_an_op_of_fewer_channels_makes_the_same(seed):
    rng = np.random.default_rng(seed)
    op, sizes = ops_of_channels(rng)
    types = [random_types(rng, shape) for shape in sizes]
    if isinstance(op, Lookup):
        types = [TensorType(np.zeros(sizes[0]), np.full(sizes[0], 3), 0)]
    kind = op.infer(*types)
    # A channel that is known is never wanted where that saves something.
    wanted = (rng.random(kind.channels) < 0.5) & (kind.low != kind.high).reshape(-1, kind.channels).any(0)
    if not wanted.any():
        return
    needs = op.needs(wanted, *types)
    assert not (wanted & ~needs.made).any()
    raws = [rng.integers(x.low, x.high, (20, *x.shape), endpoint=True) for x in types]
    made = op.bind(*types)(*raws)[..., needs.made] * 2.0**-kind.frac

    def some(array, channels):
        return array[..., channels]

    fewer = op.pruned(needs.made, needs.inputs, *types)
    for given in (needs.inputs, [np.ones_like(channels) for channels in needs.inputs]):
        taken = fewer if given is needs.inputs else op.pruned(needs.made, given, *types)
        if given is needs.inputs:
            assert taken is not None
        if taken is None:
            continue
        there = [i for i, channels in enumerate(given) if channels.any()]
        kinds = [
            TensorType(*(some(part, given[i]) for part in (types[i].low, types[i].high)), types[i].frac) for i in there
        ]
        found = taken.infer(*kinds)
        answer = taken.bind(*kinds)(*(some(raws[i], given[i]) for i in there)) * 2.0**-found.frac
        assert np.array_equal(answer, made)


def test_ops_that_can_lose_channels_do():
    """Where the axis of channels isn't touched; elsewhere nothing is lost."""
    x = port((4, 5, 3)).infer()
    wanted = np.array([True, False, True])
    strided = Slice((1, 0, None), (None, None, None), (1, 2, 1))
    for op in (ReLU(), Pool("sum", 0, 2, 2), Pad((1, 0, 0), (0, 2, 0)), Permute((1, 0, 2)), strided):
        assert [channels.tolist() for channels in op.needs(wanted, x).inputs] == [wanted.tolist()]
        assert op.pruned(wanted, [wanted], x) is not None
    some = np.array([True, False, True, False, False])
    for op in (Permute((0, 2, 1)), Pad((0, 0, 1), (0, 0, 1))):
        needs = op.needs(some, x)
        assert needs.made.all() and needs.inputs[0].all()


# -- random networks


@pytest.mark.parametrize("seed", range(150))
def test_random_networks_answer_the_same(seed):
    before = random_network(seed)
    after = drop_dead_channels(before)
    assert_same_answers(before, after, seed=seed)
    assert drop_dead_channels(after) is after
    # Nothing costs more than before.
    assert lut(after) <= lut(before)


def test_random_networks_lose_many():
    lost = 0
    for seed in range(150):
        before = random_network(seed)
        after = drop_dead_channels(before)
        lost += sum(after.types[n.name].size < before.types[n.name].size for n in after if n.name in before.types)
    assert lost > 100


@pytest.mark.parametrize("seed", range(60))
def test_places_are_true(seed):
    read = everywhere(random_network(seed))
    assert_true_places(read, drop_dead_channels(read))


def test_a_layer_is_seen_without_its_dead_channels():
    read = everywhere(
        graph(
            ("a", Dense(constant(*np.ones((4, 3), int).tolist())), "x"),
            ("q", cast(4, 0, 4), "a"),
            ("dead", ReLU(), "x"),
            ("b", Dense(constant([1], [1], [1])), "q"),
            outputs=["b"],
            inputs=[("x", (4,))],
        )
    )
    after = drop_dead_channels(read)
    assert after.places["a"].channels == (0, 2) and after.places["q"].channels == (0, 2)
    assert after.places["dead"] is None and after.places["b"].channels == ()
    assert_true_places(read, after)


def test_cpp(tmp_path):
    assert_same_in_cpp([drop_dead_channels(random_network(seed)) for seed in range(25)], tmp_path)


def test_the_same_graph_gives_the_same_graph():
    before = random_network(3)
    assert to_json(drop_dead_channels(before)) == to_json(drop_dead_channels(replace(before)))


def test_numbers_without_axes():
    """Samples that are one number each have one channel."""
    fixed = Fixed(True, 5, 3)
    network = Graph(
        (
            Node("x", Input((), Formats.of(fixed), fixed)),
            Node("q", Quantize(Formats.of(Fixed(False, 3, 2))), ("x",)),
            Node("a", Add(), ("q", "x")),
        ),
        ("a",),
        ("a",),
    )
    assert drop_dead_channels(network) is network
