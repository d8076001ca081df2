"""What no output needs is dropped, and nothing else."""

from keras_hls.fixed import Fixed, Formats
from keras_hls.graph import Graph, Input, Node
from keras_hls.layers_ext.activation import ReLU
from keras_hls.layers_ext.merge import Add
from keras_hls.passes.dead_nodes import drop_dead_nodes

PORT = Fixed(True, 8, 3)


def graph(outputs):
    nodes = (
        Node("x", Input((2,), Formats.of(PORT), PORT)),
        Node("y", Input((2,), Formats.of(PORT), PORT)),
        Node("a", ReLU(), ("x",)),
        Node("b", ReLU(), ("a",)),
        Node("c", Add(), ("a", "y")),
        Node("d", Add(), ("c", "c")),
        Node("e", ReLU(), ("d",)),
    )
    return Graph(nodes, outputs, tuple(f"o{i}" for i in range(len(outputs))), ("A note.",), ("",) * len(outputs))


def left(*outputs):
    kept = drop_dead_nodes(graph(outputs)).verify()
    assert kept.outputs == outputs
    assert (kept.notes, kept.output_names) == (graph(outputs).notes, graph(outputs).output_names)
    return "".join(node.name for node in kept)


def test_what_is_needed_stays():
    assert left("e") == "xyacde"
    assert left("b", "e") == "xyabcde"


def test_what_nobody_needs_goes():
    assert left("b") == "xyab"
    assert left("a", "a") == "xya"


def test_inputs_stay_as_they_are_the_models_signature():
    assert left("x") == "xy"


def test_the_order_stays():
    assert left("d", "b") == "xyabcd"
