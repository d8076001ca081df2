"""Operations that change nothing go, and the answer stays the same."""

import numpy as np
import pytest

from keras_hls.fixed import Constant, Fixed, Formats
from keras_hls.graph import Graph, Input, Node
from keras_hls.layers_ext.activation import ReLU
from keras_hls.layers_ext.dense import Dense
from keras_hls.layers_ext.merge import Add
from keras_hls.layers_ext.quantize import Quantize
from keras_hls.layers_ext.reshape import Reshape
from keras_hls.passes.identities import drop_identities
from keras_hls.sim.emulator import Emulator

PORT = Fixed(True, 8, 3)
SAME = Quantize(Formats.of(Fixed(True, 8, 3, "RND", "SAT")))
WIDER = Quantize(Formats.of(Fixed(True, 12, 5)))
NARROWER = Quantize(Formats.of(Fixed(True, 6, 2, "RND", "SAT")))


def check(nodes, outputs, kept, new_outputs=None):
    graph = Graph(
        (Node("x", Input((4,), Formats.of(PORT), PORT)), *nodes), outputs, tuple(f"o{i}" for i in range(len(outputs)))
    ).verify()
    less = drop_identities(graph).verify()
    assert [node.name for node in less if node.name != "x"] == kept
    assert less.outputs == (new_outputs or outputs)
    raw = np.random.default_rng(0).integers(-128, 128, (200, 4))
    for name, new, before, after in zip(
        graph.outputs, less.outputs, Emulator(graph).run([raw]), Emulator(less).run([raw])
    ):
        values = graph.types[name].to_float(before), less.types[new].to_float(after)
        assert np.array_equal(*values)
    # There is nothing more to drop.
    assert [node.name for node in drop_identities(less)] == [node.name for node in less]
    return less


def test_a_quantizer_behind_one_as_narrow():
    less = check(
        [
            Node("q", NARROWER, ("x",)),
            Node("again", NARROWER, ("q",)),
            Node("wide", WIDER, ("again",)),
            Node("r", ReLU(), ("wide",)),
        ],
        ("r",),
        ["q", "r"],
    )
    assert less["r"].inputs == ("q",)


def test_a_relu_of_what_is_never_negative():
    check([Node("r", ReLU(), ("x",)), Node("s", ReLU(), ("r",)), Node("y", Add(), ("s", "r"))], ("y",), ["r", "y"])


def test_a_reshape_to_the_same_shape():
    check(
        [
            Node("a", Reshape((4,)), ("x",)),
            Node("b", Reshape((-1,)), ("a",)),
            Node("c", Reshape((2, 2)), ("b",)),
            Node("r", ReLU(), ("c",)),
        ],
        ("r",),
        ["c", "r"],
    )


def test_what_changes_something_stays():
    nodes = [
        Node("q", NARROWER, ("x",)),
        Node("w", WIDER, ("x",)),
        Node("r", ReLU(), ("w",)),
        Node("f", Reshape((4, 1)), ("q",)),
    ]
    check(nodes, ("f", "r"), ["q", "r", "f"])


def test_outputs_move_to_what_is_left():
    check([Node("q", NARROWER, ("x",)), Node("w", WIDER, ("q",))], ("w", "q", "w"), ["q"], ("q", "q", "q"))


def test_an_output_is_computed_by_something():
    """An input that would become an output keeps its last operation."""
    check([Node("q", SAME, ("x",))], ("q",), ["q"])
    check([Node("q", SAME, ("x",)), Node("w", WIDER, ("q",))], ("w",), ["w"])
    check(
        [Node("q", SAME, ("x",)), Node("w", WIDER, ("q",)), Node("r", ReLU(), ("q",))],
        ("q", "w", "r"),
        ["q", "r"],
        ("q", "q", "r"),
    )


@pytest.mark.parametrize("frac", [5, 9])
def test_another_grid_is_still_the_same_value(frac):
    """What is left may have more fractional bits than what goes: readers see the same values."""
    nodes = [
        Node("d", Dense(Constant(np.eye(4, dtype=int) * 16, 4)), ("x",)),
        Node("q", Quantize(Formats.of(Fixed(True, 3 + frac, 3))), ("d",)),
        Node("y", Add(), ("q", "x")),
    ]
    check(nodes, ("y",), ["d", "y"])
