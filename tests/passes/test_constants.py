"""What is known before any sample is a number, and what is done with it is a constant of the next op."""

from __future__ import annotations

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
)

from keras_hls.fixed import Constant, Fixed, Formats
from keras_hls.layers_ext.activation import ReLU
from keras_hls.layers_ext.dense import Dense
from keras_hls.layers_ext.merge import Add, Maximum, Multiply, Subtract
from keras_hls.layers_ext.movement import Concatenate
from keras_hls.layers_ext.quantize import Quantize
from keras_hls.layers_ext.scale import Scale
from keras_hls.passes import prepare
from keras_hls.passes.constants import fold_constants
from keras_hls.wires import Known

#: Something of two samples' shapes that always is 1.5, -2, 0 and 4.
VALUES = [1.5, -2.0, 0.0, 4.0]
KNOWN = [
    ("none", Quantize(Formats(True, [0, 0, 0, 0], 1)), "x"),
    ("known", Dense(Constant(np.zeros((4, 4), int), 0), Constant(np.array([3, -4, 0, 8]), 1)), "none"),
]
INPUT = {"inputs": (("x", (4,)),)}


def folded(*nodes, outputs, **more):
    """The graph after the pass, which answers the same and has nothing more to fold."""
    before = graph(*nodes, outputs=outputs, **(INPUT | more))
    after = fold_constants(before)
    assert_same_answers(before, after)
    assert fold_constants(after) is after
    return after


def numbers(constants):
    return (constants.raw * 2.0**-constants.frac).tolist()


def test_what_is_known_is_a_number():
    after = folded(*KNOWN, ("r", ReLU(), "known"), ("c", Concatenate(0), "x", "r"), outputs=["c"])
    assert [node.name for node in after] == ["x", "r", "c"]
    assert isinstance(after["r"].op, Known) and numbers(after["r"].op.value) == [1.5, 0, 0, 4]


def test_an_output_may_be_known():
    after = folded(*KNOWN, outputs=["known", "x"])
    assert [node.name for node in after] == ["x", "known"] and numbers(after["known"].op.value) == VALUES


@pytest.mark.parametrize(
    ("op", "sources", "scale", "offset"),
    [
        (Add(), ("x", "known"), 1, VALUES),
        (Add(), ("known", "x"), 1, VALUES),
        (Subtract(), ("x", "known"), 1, [-v for v in VALUES]),
        (Subtract(), ("known", "x"), -1, VALUES),
        (Multiply(), ("x", "known"), VALUES, None),
        (Multiply(), ("known", "x"), VALUES, None),
    ],
)
def test_sums_and_products_with_numbers(op, sources, scale, offset):
    after = folded(*KNOWN, ("y", op, *sources), outputs=["y"])
    assert [node.name for node in after] == ["x", "y"] and after["y"].inputs == ("x",)
    scaled = after["y"].op
    assert isinstance(scaled, Scale) and numbers(scaled.scale) == scale
    assert (scaled.offset and numbers(scaled.offset)) == offset


@pytest.mark.parametrize("shape", [(4,), (3, 4), (2, 3, 4), (1,), (3, 1)])
@pytest.mark.parametrize("op", [Add(), Subtract(), Multiply(), Maximum()])
def test_numbers_that_repeat(op, shape):
    """One for each channel of an image; where a number would make a tensor larger, it stays a tensor of its own."""
    inputs = {"inputs": (("x", (4,)), ("image", shape))}
    after = folded(*KNOWN, ("y", op, "known", "image"), outputs=["y"], **inputs)
    takes = after["y"].inputs
    assert takes == (("known", "image") if shape[-1] == 1 or isinstance(op, Maximum) else ("image",))


def test_zeros_are_nothing_at_all():
    nodes = [("none", Quantize(Formats(True, [0, 0, 0, 0], 1)), "x"), ("s", Add(), "x", "none"), ("r", ReLU(), "s")]
    after = prepare(graph(*nodes, outputs=["r"], **INPUT))
    assert [(node.name, node.inputs) for node in after] == [("x", ()), ("r", ("x",))]


def test_numbers_are_drawn_into_the_weights_before_them():
    """A sum with a number is the bias of a dense layer."""
    kernel = Dense(Constant(np.arange(16).reshape(4, 4), 0), Constant(np.array([1, 2, 3, 4]), 0))
    after = prepare(graph(*KNOWN, ("d", kernel, "x"), ("s", Subtract(), "d", "known"), outputs=["s"], **INPUT))
    assert [node.name for node in after] == ["x", "d"]
    assert numbers(after["d"].op.bias) == [1 - 1.5, 2 + 2, 3, 4 - 4]


def test_a_pruned_branch_of_a_residual_network_is_gone():
    image = (("x", (4, 4, 3)),)
    dead = Dense(Constant(np.zeros((3, 3), int), 0), Constant(np.array([1, 0, 2]), 0))
    nodes = [
        ("q", Quantize(Formats.of(Fixed(True, 4, 3))), "x"),
        ("a", dead, "q"),
        ("r", ReLU(), "a"),
        ("b", dead, "r"),
        ("s", Add(), "q", "b"),
    ]
    after = prepare(graph(*nodes, outputs=["s"], inputs=image))
    assert [(node.name, type(node.op)) for node in after][2:] == [("s", Scale)]
    assert numbers(after["s"].op.offset)[0][0] == [1, 0, 2]


def test_layers_that_stay():
    nodes = [*KNOWN, ("y", Add(), "x", "known")]
    before = graph(*nodes, outputs=["y"], **INPUT)
    after = fold_constants(before, stays=lambda node: node.layer == "layer_known")
    assert [node.name for node in after] == ["x", "y"], "what nobody needs goes"
    after = fold_constants(before, stays=lambda node: node.layer in ("layer_known", "layer_y"))
    assert [node.name for node in after] == ["x", "none", "known", "y"]


def test_nothing_to_do():
    before = graph(("r", ReLU(), "x"), ("s", Add(), "r", "x"), outputs=["s"], **INPUT)
    assert fold_constants(before) is before


def test_places_stay_true():
    read = everywhere(graph(*KNOWN, ("r", ReLU(), "known"), ("y", Add(), "x", "r"), outputs=["y"], **INPUT))
    after = fold_constants(read)
    assert {label: place and place.node for label, place in after.places.items()} == {
        "none": None,
        "known": None,
        "r": None,
        "y": "y",
    }
    assert_true_places(read, after)


@pytest.mark.parametrize("seed", range(150))
def test_random_networks_answer_the_same(seed):
    before = everywhere(random_network(seed))
    after = fold_constants(before)
    assert_same_answers(before, after, seed=seed)
    assert_true_places(before, after, seed)
    assert fold_constants(after) is after
    assert lut(after) <= lut(before)


def test_random_networks_have_numbers_to_fold():
    networks = [fold_constants(random_network(seed)) for seed in range(60)]
    assert sum(any(isinstance(node.op, Known) for node in network) for network in networks) > 20


def test_cpp(tmp_path):
    pictures = [
        fold_constants(graph(*KNOWN, ("y", op, "x", "known"), ("r", ReLU(), "known"), outputs=["y", "r"], **INPUT))
        for op in (Add(), Subtract(), Multiply(), Maximum(), Concatenate(0))
    ]
    assert_same_in_cpp([*pictures, *(fold_constants(random_network(seed)) for seed in range(100, 120))], tmp_path)


def test_known_numbers_have_the_shape_that_they_had():
    x = port((2, 3)).infer()
    known = Known(Constant(np.arange(6).reshape(2, 3) - 3, 1))
    assert known.infer().shape == x.shape and known.infer().frac == 1
    assert known.bind()().tolist() == [[[-3, -2, -1], [0, 1, 2]]]
