"""Results that have no last bit get the precision that their readers need, and casts become part of tables."""

import numpy as np
import pytest

from keras_hls.fixed import Constant, Fixed, Formats
from keras_hls.graph import Graph, Input, Node
from keras_hls.layers_ext.activation import ReLU
from keras_hls.layers_ext.dense import Dense
from keras_hls.layers_ext.quantize import Quantize
from keras_hls.layers_ext.quotient import Quotient
from keras_hls.layers_ext.reshape import Reshape
from keras_hls.layers_ext.table import Function, Table
from keras_hls.passes.fused_casts import fuse_casts
from keras_hls.passes.settling import settle_precision
from keras_hls.sim.emulator import Emulator

PORT = Fixed(True, 7, 3)
TANH = Function(np.tanh, "tanh")
THIRD = Quotient(Constant(np.array(3), 0))


def cast(frac, rounding="RND_CONV", shape=()):
    bits = np.full(shape, frac + 3)
    return Quantize(Formats(np.full(shape, True), bits, np.full(shape, 3), rounding, "SAT"))


def graph(*nodes, outputs):
    port = Node("x", Input((4,), Formats.of(PORT), PORT))
    return Graph((port, *nodes), outputs, tuple(f"o{i}" for i in range(len(outputs))))


def frac(settled, name):
    return settled.types[name].frac


def test_a_cast_says_how_fine():
    settled = settle_precision(graph(Node("t", TANH, ("x",)), Node("q", cast(5), ("t",)), outputs=("q",)))
    assert isinstance(settled["t"].op, Table)
    assert frac(settled, "t") == 7
    assert settled["t"].op.error(settled.types["x"]) == 0.0


def test_the_finest_of_several_readers_says_it_also_through_ops_that_only_select():
    settled = settle_precision(
        graph(
            Node("d", THIRD, ("x",)),
            Node("a", cast(2), ("d",)),
            Node("r", ReLU(), ("d",)),
            Node("s", Reshape((2, 2)), ("r",)),
            Node("b", cast(9, shape=(2, 2)), ("s",)),
            outputs=("a", "b"),
        )
    )
    assert frac(settled, "d") == 11
    assert settled["d"].op.exact


@pytest.mark.parametrize("outputs", [("d", "a"), ("a", "m")])
def test_what_leaves_or_is_computed_with_uncut_is_its_own_choice(outputs):
    nodes = [Node("d", THIRD, ("x",)), Node("a", cast(2), ("d",))]
    if "m" in outputs:
        nodes.append(Node("m", Dense(Constant(np.ones((4, 2)), 0)), ("d",)))
    settled = settle_precision(graph(*nodes, outputs=outputs))
    assert frac(settled, "d") >= PORT.frac + 16
    assert not settled["d"].op.exact
    assert settled["d"].op.error(settled.types["x"]) == 2.0 ** -frac(settled, "d")


@pytest.mark.parametrize("rounding", ["TRN", "RND", "RND_CONV", "RND_ZERO", "RND_INF", "RND_MIN_INF", "TRN_ZERO"])
@pytest.mark.parametrize("op", [TANH, THIRD])
def test_relu_between_changes_no_bit(op, rounding):
    """However fine the result is: what a cast makes of it is the same."""
    coarse = settle_precision(
        graph(Node("f", op, ("x",)), Node("r", ReLU(), ("f",)), Node("q", cast(4, rounding), ("r",)), outputs=("q",))
    )
    fine = settle_precision(graph(Node("f", op, ("x",)), Node("r", ReLU(), ("f",)), outputs=("r",)))
    raw = np.arange(-64, 64)[:, None].repeat(4, 1)
    values = fine.types["r"].to_float(Emulator(fine).run([raw])[0])
    mine = coarse.types["q"].to_float(Emulator(coarse).run([raw])[0])
    again = graph(Node("q", cast(4, rounding), ("x",)), outputs=("q",))
    wide = Fixed(True, 40, 4)
    again = Graph((Node("x", Input((4,), Formats.of(wide), wide)), *again.nodes[1:]), ("q",), ("o",))
    exact = np.ldexp(values, wide.frac)
    assert np.array_equal(
        mine, again.types["q"].to_float(Emulator(again).run([np.floor(exact).astype(np.int64) | (exact % 1 != 0)])[0])
    )


def test_casts_become_part_of_tables():
    whole = settle_precision(
        graph(
            Node("t", TANH, ("x",)),
            Node("q", cast(5), ("t",)),
            Node("p", cast(3, "TRN"), ("q",)),
            Node("r", ReLU(), ("p",)),
            outputs=("r",),
        )
    )
    fused = fuse_casts(whole).verify()
    assert [node.name for node in fused] == ["x", "t", "r"]
    raw = np.arange(-64, 64)[:, None].repeat(4, 1)
    before, after = Emulator(whole).run([raw])[0], Emulator(fused).run([raw])[0]
    assert np.array_equal(whole.types["r"].to_float(before), fused.types["r"].to_float(after))
    assert fuse_casts(fused).nodes == fused.nodes


@pytest.mark.parametrize("kept", ["read twice", "an output", "a type an element", "no table"])
def test_casts_that_stay(kept):
    first = Node("t", ReLU() if kept == "no table" else TANH, ("x",))
    own = cast(5, shape=(4,))
    own.formats.width[0] += kept == "a type an element"
    nodes = [first, Node("q", own, ("t",))]
    if kept == "read twice":
        nodes.append(Node("other", ReLU(), ("t",)))
    outputs = ("q", "other") if kept == "read twice" else ("q", "t") if kept == "an output" else ("q",)
    whole = settle_precision(graph(*nodes, outputs=outputs))
    assert [node.name for node in fuse_casts(whole)] == [node.name for node in whole]
