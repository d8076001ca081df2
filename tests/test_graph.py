"""The graph's own rules, and what it says when an operation can't take its inputs."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from keras_hls.errors import HLSError, InvalidModel, InvalidOption, TooWide
from keras_hls.fixed import Constant, Fixed, Formats, TensorType
from keras_hls.graph import Graph, Input, Names, Node, check_plan, infer
from keras_hls.layers_ext.activation import ReLU
from keras_hls.layers_ext.dense import Dense
from keras_hls.layers_ext.merge import Add
from keras_hls.layers_ext.quantize import Quantize
from keras_hls.layers_ext.reshape import Reshape
from keras_hls.op import Op, Plan, op_fields

PORT = Fixed(True, 8, 3)


def source(name="x", shape=(4,), port=PORT):
    return Node(name, Input(shape, Formats.of(port), port), (), name)


def dense(name, of, n_in=4, n_out=3, weight=3):
    return Node(name, Dense(Constant(np.full((n_in, n_out), weight), 2)), (of,), f"layer_{name}")


def graph(*nodes, outputs):
    return Graph(tuple(nodes), tuple(outputs), tuple(outputs))


@pytest.fixture
def diamond():
    return graph(
        source(),
        dense("a", "x"),
        Node("b", ReLU(), ("a",), "b"),
        Node("c", Add(), ("a", "b"), "c"),
        Node("d", Add(), ("c", "c"), "d"),
        outputs=["d", "b", "d"],
    )


def test_a_graph_knows_its_nodes(diamond):
    assert diamond.verify() is diamond
    assert len(diamond) == 5
    assert [node.name for node in diamond] == list("xabcd")
    assert diamond["c"].inputs == ("a", "b")
    assert [node.name for node in diamond.inputs] == ["x"]
    # Without repetition, though d takes c twice.
    assert {name: [r.name for r in readers] for name, readers in diamond.readers.items()} == {
        "x": ["a"], "a": ["b", "c"], "b": ["c"], "c": ["d"], "d": [],
    }  # fmt: skip


def test_types_follow_the_operations(diamond):
    x = TensorType.of(PORT, (4,))
    a = diamond["a"].op.infer(x)
    assert diamond.types["a"].low.tolist() == a.low.tolist() == [-128 * 12] * 3
    assert diamond.types["d"].high.tolist() == [4 * 127 * 12] * 3
    assert [t.shape for t in diamond.input_types(diamond["c"])] == [(3,), (3,)]
    assert diamond.input_types(diamond["c"])[1].low.tolist() == [0] * 3


@pytest.mark.parametrize(
    ("nodes", "outputs", "text"),
    [
        ([source(), dense("a-b", "x")], ["a-b"], "must be an identifier"),
        ([source(), dense("", "x")], [""], "must be an identifier"),
        ([source(), dense("a", "x"), dense("a", "x")], ["a"], "must be unique"),
        ([source(), dense("a", "b"), dense("b", "x")], ["a"], "doesn't come before it"),
        ([source(), dense("a", "a")], ["a"], "doesn't come before it"),
        ([source(), dense("a", "y")], ["a"], "doesn't come before it"),
        ([source(), dense("a", "x")], ["a", "c"], "must be a node"),
    ],
)
def test_broken_graphs_are_refused(nodes, outputs, text):
    with pytest.raises(HLSError, match=text):
        graph(*nodes, outputs=outputs).verify()


def test_free_names():
    names = Names(["a", "a_1", "b"])
    assert [names.free(wish) for wish in ("a", "a", "b", "c", "c", "a_1")] == ["a_2", "a_3", "b_1", "c", "c_1", "a_1_1"]


def test_every_output_has_a_name():
    with pytest.raises(HLSError, match="as many names"):
        Graph((source(),), ("x",), ()).verify()


def test_an_input_without_a_type_is_named():
    with pytest.raises(InvalidModel, match="'pixels' has no fixed-point type"):
        graph(Node("x", Input((3,)), (), "pixels"), outputs=["x"]).verify()


@pytest.mark.parametrize(
    ("nodes", "error", "text"),
    [
        ([source(), dense("a", "x", n_in=5)], InvalidModel, r"'layer_a' \(Dense\): kernel takes 5 inputs"),
        (
            [source(), dense("a", "x", weight=1 << 58)],
            TooWide,
            r"'layer_a' \(Dense\) can't be computed in 63-bit integers",
        ),
        ([source(), Node("a", Reshape((5,)), ("x",), "flat")], InvalidModel, r"'flat' \(Reshape\): an input of shape"),
        (
            [source(), source("y", (3,)), Node("a", Add(), ("x", "y"), "sum")],
            InvalidModel,
            r"'sum' \(Add\): inputs of shapes \(4,\) and \(3,\) don't broadcast",
        ),
        ([source(), Node("a", Quantize(Formats(True, [4, 4], 2)), ("x",), "q")], InvalidModel, r"'q' \(Quantize\)"),
        ([source(), Node("a", Quantize(Formats(True, 4, 99)), ("x",), "")], TooWide, r"'a' \(Quantize\)"),
    ],
)
def test_errors_name_the_layer(nodes, error, text):
    with pytest.raises(error, match=text):
        graph(*nodes, outputs=["a"]).verify()


def test_infer_alone():
    assert infer(dense("a", "x"), [TensorType.of(PORT, (4,))]).shape == (3,)


def test_with_ops(diamond):
    changed = diamond.with_ops({"b": Reshape((3,)), "x": diamond["x"].op})
    assert isinstance(changed["b"].op, Reshape)
    assert changed["b"].inputs == ("a",)
    assert isinstance(diamond["b"].op, ReLU)
    assert [node.op for node in changed if node.name != "b"] == [node.op for node in diamond if node.name != "b"]


def test_without_leads_readers_and_outputs_to_what_is_left(diamond):
    less = diamond.without({"d": "c", "c": "b"}).verify()
    assert [node.name for node in less] == list("xab")
    assert less.outputs == ("b", "b", "b")
    less = diamond.without({"b": "a"}).verify()
    assert less["c"].inputs == ("a", "a")
    assert less.outputs == ("d", "a", "d")


def test_caches_do_not_outlive_a_change(diamond):
    assert diamond.types["b"].low.min() == 0
    changed = diamond.with_ops({"b": Reshape((3,))})
    assert changed.types["b"].low.min() < 0
    assert len(replace(diamond, outputs=("a",), output_names=("a",)).verify().outputs) == 1


# --- plans ---------------------------------------------------------------------------------------------------------

X = [TensorType.of(PORT, (4,))]


@pytest.mark.parametrize("factor", [1, 2, 4, 12])
def test_plans_that_fit(factor):
    plan = Plan("Resource", factor)
    assert check_plan(dense("a", "x"), plan, X) == plan


@pytest.mark.parametrize(("factor", "near"), [(3, "2 or 4"), (5, "4 or 12"), (11, "4 or 12"), (13, "12"), (9999, "12")])
def test_plans_that_do_not_fit_name_the_nearest(factor, near):
    with pytest.raises(InvalidOption, match=rf"'layer_a': reuse_factor must be {near} \(the nearest\), not {factor}"):
        check_plan(dense("a", "x"), Plan("Resource", factor), X)


def test_latency_shares_nothing():
    assert check_plan(dense("a", "x"), Plan("Latency", 1), X) == Plan("Latency", 1)
    with pytest.raises(InvalidOption, match="reuse_factor must be 1 with strategy 'Latency'"):
        check_plan(dense("a", "x"), Plan("Latency", 2), X)


@pytest.mark.parametrize("node", [Node("r", ReLU(), ("x",)), dense("a", "x", 1, 1)])
def test_what_has_nothing_to_share_takes_any_plan(node):
    kinds = [TensorType.of(PORT, (1,))]
    assert check_plan(node, Plan("Resource", 64), kinds).reuse_factor == 1


# --- the registry of ops -------------------------------------------------------------------------------------------


def test_two_ops_of_one_name_are_refused():
    with pytest.raises(TypeError, match=r"'ReLU' exists already, in keras_hls\.layers_ext\.activation"):
        type("ReLU", (Op,), {})
    assert Op.registry["ReLU"] is ReLU


def test_a_module_may_be_reloaded():
    def define():
        @dataclass(frozen=True, eq=False)
        class ReloadedForGraphTest(Op):
            pass

        return ReloadedForGraphTest

    first, second = define(), define()
    assert first is not second
    assert Op.registry["ReloadedForGraphTest"].__qualname__ == second.__qualname__


def test_the_contract_has_no_defaults():
    """An op that forgets its cost, its type, its meaning or its kernel can't be made."""
    with pytest.raises(TypeError, match=r"bind.*hls.*infer.*reuse_factors.*work"):
        type("EmptyForGraphTest", (Op,), {})()


def test_op_fields():
    assert op_fields(Reshape((2, -1))) == {"shape": (2, -1)}
    assert list(op_fields(Dense(Constant(np.ones((1, 1)), 0)))) == ["kernel", "bias"]
