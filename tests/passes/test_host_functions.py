"""A softmax at an output is left to whoever reads the answer; inside the network it isn't."""

import numpy as np

from keras_hls.fixed import Constant, Fixed, Formats
from keras_hls.graph import Graph, Input, Node
from keras_hls.layers_ext.activation import ReLU
from keras_hls.layers_ext.dense import Dense
from keras_hls.layers_ext.log_softmax import LogSoftmax
from keras_hls.layers_ext.reshape import Reshape
from keras_hls.layers_ext.softmax import Softmax
from keras_hls.passes import prepare
from keras_hls.passes.host_functions import leave_to_host
from keras_hls.sim.emulator import Emulator

PORT = Fixed(True, 8, 3)
BEFORE = (
    Node("x", Input((4,), Formats.of(PORT), PORT), (), "x"),
    Node("d", Dense(Constant(np.arange(12).reshape(4, 3) - 5, 3)), ("x",), "head"),
)


def graph(*nodes, outputs, **more):
    return Graph((*BEFORE, *nodes), outputs, tuple(f"o{i}" for i in range(len(outputs))), **more).verify()


SOFTMAX = Node("s", Softmax(), ("d",), "probabilities")


def test_a_softmax_at_an_output():
    whole = graph(SOFTMAX, outputs=("s",), notes=("A note.",))
    less = leave_to_host(whole).verify()
    assert [node.name for node in less] == ["x", "d"]
    assert less.outputs == ("d",)
    assert less.host == ("softmax",)
    assert less.notes[0] == "A note."
    assert "'probabilities' is left to the host" in less.notes[1]
    assert "softmax='hardware'" in less.notes[1]
    # The decision is the same.
    raw = np.random.default_rng(0).integers(-128, 128, (500, 4))
    (logits,), (computed,) = Emulator(less).run([raw]), Emulator(whole).run([raw])
    assert (np.take_along_axis(computed, logits.argmax(-1)[:, None], 1)[:, 0] == computed.max(-1)).all()


def test_among_other_outputs():
    less = leave_to_host(graph(SOFTMAX, Node("r", ReLU(), ("d",), "r"), outputs=("r", "s", "d", "s")))
    assert less.outputs == ("r", "d", "d", "d")
    assert less.host == ("", "softmax", "", "softmax")
    assert len(less.notes) == 1


def test_two_of_them():
    less = leave_to_host(graph(SOFTMAX, Node("t", Softmax(8), ("d",), "again"), outputs=("s", "t")))
    assert (less.outputs, less.host, len(less.notes)) == (("d", "d"), ("softmax", "softmax"), 2)


def test_what_the_host_has_to_apply():
    """By its name, over its axes."""
    nodes = (Node("s", LogSoftmax(16), ("d",), "log"), Node("t", Softmax(axes=(-2,)), ("e",), "over"))
    before = Node("e", Reshape((3, 1)), ("d",), "e")
    less = leave_to_host(graph(before, *nodes, outputs=("s", "t")))
    assert (less.outputs, less.host) == (("d", "e"), ("log_softmax", "softmax(axis=-2)"))
    assert less.notes[0].startswith("The log_softmax of layer 'log' is left to the host")
    assert less.notes[1].startswith("The softmax(axis=-2) of layer 'over' is left to the host")
    assert all(note.endswith("Pass softmax='hardware' to compute it.") for note in less.notes)


def test_without_any_nothing_changes():
    less = leave_to_host(graph(outputs=("d",)))
    assert [node.name for node in less] == ["x", "d"]
    assert (less.outputs, less.host, less.notes) == (("d",), ("",), ())


def test_inside_the_network_it_is_computed():
    inner = (
        SOFTMAX,
        Node("r", ReLU(), ("s",), "r"),
        Node("t", Softmax(), ("r",), "second"),
        Node("u", ReLU(), ("t",), "u"),
    )
    less = leave_to_host(graph(*inner, outputs=("u",)))
    assert [node.name for node in less] == ["x", "d", "s", "r", "t", "u"]
    assert less.host == ("",)
    assert len(less.notes) == 2
    for note, name in zip(less.notes, ("probabilities", "second")):
        assert note.startswith(
            f"The softmax of layer {name!r} stands inside the network, so the hardware computes it, off by"
        )


def test_an_output_that_is_read_as_well_is_computed():
    less = leave_to_host(graph(SOFTMAX, Node("r", ReLU(), ("s",), "r"), outputs=("s", "r")))
    assert (less.outputs, less.host) == (("s", "r"), ("", ""))
    assert leave_to_host(less).notes == less.notes


def test_what_the_host_does_is_not_forgotten():
    """A graph may be prepared again: after it was stored, say."""
    once = prepare(graph(SOFTMAX, Node("r", ReLU(), ("d",), "r"), outputs=("r", "s")))
    twice = prepare(once)
    assert once.host == twice.host == ("", "softmax")
    assert twice.notes == once.notes
    assert [node.name for node in twice] == [node.name for node in once]


def test_prepare_computes_it_where_asked():
    computed = prepare(graph(SOFTMAX, outputs=("s",)), softmax="hardware")
    assert computed.outputs == ("s",)
    assert computed.notes == ()
