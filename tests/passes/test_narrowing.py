"""Values are kept in as many bits as all their readers look at, and nobody answers otherwise."""

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
    random_network,
)

from keras_hls import storage
from keras_hls.fixed import MAX_BITS, ROUNDING, Constant, Fixed, Formats
from keras_hls.graph import Node, Place, work
from keras_hls.layers_ext.activation import ReLU
from keras_hls.layers_ext.contraction import Product
from keras_hls.layers_ext.convolution import Convolution
from keras_hls.layers_ext.dense import Dense
from keras_hls.layers_ext.merge import Add, Maximum, Minimum, Multiply, Subtract
from keras_hls.layers_ext.movement import Concatenate, Pad, Permute, Repeat, Slice
from keras_hls.layers_ext.piecewise import Piecewise
from keras_hls.layers_ext.pool import Pool
from keras_hls.layers_ext.quantize import Quantize
from keras_hls.layers_ext.reshape import Reshape
from keras_hls.layers_ext.scale import Scale
from keras_hls.layers_ext.upsampling import Interpolate
from keras_hls.op import Plan, Step, Unit, Work
from keras_hls.passes import prepare
from keras_hls.passes.narrowing import narrow
from keras_hls.verification import inexact_layers

#: Of four inputs from -4 to 3.75 in steps of a quarter: sums from -76 to 71.25 in eighths, 11 bits.
WEIGHTS = Constant(np.array([[9, 1], [10, 2], [10, 3], [9, 4]]), 1)
DENSE = Dense(WEIGHTS)


def wrap(width, integer, signed=True, rounding="TRN"):
    return Quantize(Formats.of(Fixed(signed, width, integer, rounding, "WRAP")))


SATURATE = Quantize(Formats.of(Fixed(True, 5, 3, "RND", "SAT")))


def narrowed(*nodes, outputs, inputs=(("x", (4,)),)):
    """The graph after the pass, which answers the same and is as narrow as it gets."""
    before = graph(*nodes, outputs=outputs, inputs=inputs)
    after = narrow(before)
    assert_same_answers(before, after, count=40)
    assert narrow(after) is after
    assert_true_places(everywhere(before), narrow(everywhere(before)))
    return after


def kept(network):
    return {node.name: str(node.keeps) for node in network if node.keeps is not None}


def test_a_sum_before_a_cast_that_wraps():
    """Three bits left of the point are kept; those right of it may round."""
    before = graph(("d", DENSE, "x"), ("q", wrap(4, 3), "d"), outputs=["q"], inputs=[("x", (4,))])
    assert str(before.types["d"].hull) == "fixed<11, 8>"
    after = narrowed(("d", DENSE, "x"), ("q", wrap(4, 3), "d"), outputs=["q"])
    assert kept(after) == {"d": "fixed<6, 3>"} and after["d"].width == 11
    assert str(after.types["d"].hull) == "fixed<6, 3>" and str(after.types["q"].hull) == "fixed<4, 3>"


def test_the_widest_reader_counts():
    nodes = [("d", DENSE, "x"), ("q", wrap(4, 3), "d"), ("p", wrap(7, 5, signed=False), "d")]
    assert kept(narrowed(*nodes, outputs=["q", "p"])) == {"d": "fixed<8, 5>"}


def test_the_widest_channel_counts():
    formats = Formats(True, [3, 0], [2, 9], "RND", "WRAP")
    assert kept(narrowed(("d", DENSE, "x"), ("q", Quantize(formats), "d"), outputs=["q"])) == {"d": "fixed<5, 2>"}


@pytest.mark.parametrize("why", ["an output", "a relu", "a cast that saturates", "a softmax of all bits"])
def test_what_is_needed_as_a_whole(why):
    other = {"a relu": ReLU(), "a cast that saturates": SATURATE, "a softmax of all bits": Maximum()}.get(why)
    nodes = [("d", DENSE, "x"), ("q", wrap(4, 3), "d")]
    if other is not None:
        nodes.append(("o", other, *["d"] * (2 if isinstance(other, Maximum) else 1)))
    after = narrowed(*nodes, outputs=["q", "o" if other is not None else "d"])
    assert kept(after) == {}


def test_a_relu_chooses_no_more_bits_than_are_kept():
    """It needs the sign of a sum, and so all of that, but answers its low bits."""
    after = narrowed(("d", DENSE, "x"), ("r", ReLU(), "d"), ("q", wrap(4, 3), "r"), outputs=["q"])
    assert kept(after) == {"r": "fixed<6, 3>"}


def test_sums_of_sums():
    """Down to what leaves a cast; what is finer is shifted up, and needs fewer bits."""
    after = narrowed(
        ("a", DENSE, "x"),
        ("b", Dense(Constant(WEIGHTS.raw, 3)), "x"),
        ("s", Add(), "a", "b"),
        ("f", Reshape((1, 2)), "s"),
        ("p", Pad((0, 1), (0, 0)), "f"),
        ("q", wrap(4, 3), "p"),
        outputs=["q"],
    )
    # 3 bits left of the point, and 3, 5 or again 5 right of it.
    assert kept(after) == {"a": "fixed<6, 3>", "b": "fixed<8, 3>", "s": "fixed<8, 3>"}


def test_products_by_even_numbers_need_fewer_bits():
    after = narrowed(
        ("a", DENSE, "x"), ("b", Dense(Constant(np.array([[4], [8]]), 0)), "a"), ("q", wrap(5, 5), "b"), outputs=["q"]
    )
    # 8 bits of the product, 3 of them right of the point, are made from 6 of its factor.
    assert kept(after) == {"a": "fixed<6, 3>", "b": "fixed<8, 5>"}


@pytest.mark.parametrize("rounding", ROUNDING)
def test_what_rounds_by_the_sign_needs_it(rounding):
    nodes = [("d", DENSE, "x"), ("q", wrap(4, 3, rounding=rounding), "d")]
    found = kept(narrowed(*nodes, outputs=["q"]))
    assert found == ({} if rounding in ("TRN_ZERO", "RND_ZERO", "RND_INF") else {"d": "fixed<6, 3>"})
    exactly = [("d", DENSE, "x"), ("q", wrap(6, 3, rounding=rounding), "d")]
    assert kept(narrowed(*exactly, outputs=["q"])) == {"d": "fixed<6, 3>"}


@pytest.mark.parametrize("signed", [True, False])
def test_a_cast_of_the_same_bits_is_gone(signed):
    nodes = [("d", DENSE, "x"), ("q", wrap(6, 3, signed), "d"), ("r", ReLU(), "q")]
    after = prepare(graph(*nodes, outputs=["q", "r"], inputs=[("x", (4,))]))
    names = [node.name for node in after]
    assert names == (["x", "d", "r"] if signed else ["x", "d"]) and after.outputs[0] == "d"
    assert str(after.types["d"].hull) == str(Fixed(signed, 6, 3))


def test_less_known_than_before_is_refused():
    """A number from 3 to 5 wraps around at 4; to its reader, which keeps 3 bits without a sign, it didn't."""
    nodes = [
        ("q", Quantize(Formats.of(Fixed(False, 1, 1, "TRN", "SAT"))), "x"),
        ("d", Dense(Constant(np.array([[2, 0], [0, 40], [0, 0], [0, 0]]), 0), Constant(np.array([3, 0]), 0)), "q"),
        ("p", Quantize(Formats([False, True], [3, 3], [3, 3], "TRN", "WRAP")), "d"),
    ]
    before = graph(*nodes, outputs=["p"], inputs=[("x", (4,))])
    after = narrowed(*nodes, outputs=["p"])
    assert (after.types["p"].low >= before.types["p"].low).all()
    assert (after.types["p"].high <= before.types["p"].high).all()


def test_work_counts_the_bits_that_are_made():
    nodes = [("d", DENSE, "x"), ("q", wrap(4, 3), "d")]
    before = graph(*nodes, outputs=["q"], inputs=[("x", (4,))])
    after = narrow(before)
    found = [work(g["d"], g.input_types(g["d"]), Plan()) for g in (before, after)]
    adders = [max(unit.widths[0] for unit in one.units if unit.kind == "add") for one in found]
    assert adders == [11, 6] and lut(after) < lut(before)


def test_work_modulo():
    units = (Unit("add", 3, (9,)), Unit("multiply", 2, (9, 8)), Unit("register", 1, (4,)), Unit("select", 1, (12,)))
    found = Work((Step(units[:2], 5),), 4, units[2:]).modulo(6)
    assert found == Work((Step((Unit("add", 3, (6,)), units[1]), 5),), 4, (units[2], Unit("select", 1, (6,))))


def test_places_say_what_is_kept():
    read = everywhere(graph(("d", DENSE, "x"), ("q", wrap(4, 3), "d"), outputs=["q"], inputs=[("x", (4,))]))
    after = narrow(read)
    assert after.places == {"d": Place("d", casts=(Fixed(True, 6, 3),)), "q": Place("q")}
    assert_true_places(read, after)


def test_what_is_near_enough_has_no_place_any_more():
    """Beyond the end of a range it would be far away."""
    read = graph(("d", DENSE, "x"), ("q", wrap(4, 3), "d"), outputs=["q"], inputs=[("x", (4,))])
    read = type(read)(read.nodes, read.outputs, read.output_names, places={"layer": Place("d", off=0.25)})
    assert narrow(read).places == {"layer": None}


def test_what_float32_cannot_hold_is_still_said():
    """Keras rounds the sum before it wraps, however few bits of it the hardware makes."""
    wide = Dense(Constant(np.full((4, 2), (1 << 22) + 1), 0))
    after = narrow(graph(("d", wide, "x"), ("q", wrap(8, 4), "d"), outputs=["q"], inputs=[("x", (4,))]))
    assert after["d"].keeps is not None and int(after.types["d"].widths.max()) < 24
    assert inexact_layers(after) == ("layer_d",)


def test_storage():
    after = narrow(graph(("d", DENSE, "x"), ("q", wrap(4, 3), "d"), outputs=["q"], inputs=[("x", (4,))]))
    again = storage.from_json(storage.to_json(after))
    assert again["d"].keeps == Fixed(True, 6, 3) and again["d"].width == 11
    assert str(again.types["d"].hull) == "fixed<6, 3>"


def test_a_node_keeps_all_its_bits_by_default():
    assert Node("x", ReLU()).keeps is None
    assert ReLU().low_bits(3, *graph(("r", ReLU(), "x"), outputs=["r"]).input_types(Node("r", ReLU(), ("x",)))) == (
        MAX_BITS,
    )


# -- every op that says that it wraps around


def wrapping_networks():
    """Each such op before casts of few bits, its own and those of its inputs."""
    rng = np.random.default_rng(0)
    image, kernel = (("x", (3, 4, 2)), ("z", (3, 4, 2))), Constant(rng.integers(-7, 8, (2, 2, 2, 3)), 2)
    ops = [
        (Dense(Constant(rng.integers(-7, 8, (2, 3)), 1), Constant(rng.integers(-99, 99, 3), 4)), 1),
        (Convolution(kernel, Constant(rng.integers(-99, 99, 3), 5), before=(1, 0), after=(1, 1)), 1),
        (Convolution(Constant(kernel.raw[:, :, :1, :2], 1), None, groups=2), 1),
        (Scale(Constant(np.array([[3], [-7], [6], [1]]), 1), Constant(np.array([50, -70]), 4)), 1),
        (Pool("sum", 1, 2, 3), 1),
        (Interpolate(0, 5), 1),
        (Permute((2, 0, 1)), 1),
        (Pad((1, 0, 0), (0, 0, 2)), 1),
        (Slice((None, 1, None), (None, None, None), (1, 1, -1)), 1),
        (Repeat((1, 2, 1)), 1),
        (ReLU(), 1),
        (Piecewise.of((np.float64(-3), 1.0), (2.5, -4.0), bounds=(0.5,)), 1),
        (Add(), 2),
        (Subtract(), 2),
        (Multiply(), 2),
        (Maximum(), 2),
        (Minimum(), 2),
        (Concatenate(1), 2),
    ]
    for op, count in ops:
        assert op.wraps
        for width in (1, 3, 5):
            for signed in (True, False):
                # What is wide is made from what may be narrow, by an op that wraps around as well.
                nodes = [(f"w{name}", Scale(Constant(np.array(37), 3)), name) for name in ("x", "z")[:count]]
                nodes.append(("y", op, *(f"w{name}" for name in ("x", "z")[:count])))
                yield graph(*nodes, ("q", wrap(width + 1, width - 1, signed), "y"), outputs=["q"], inputs=image[:count])
    pair = (("x", (2, 3, 4)), ("z", (2, 4, 2)))
    nodes = [(f"w{name}", Scale(Constant(np.array(36), 3)), name) for name in ("x", "z")]
    yield graph(*nodes, ("y", Product(), "wx", "wz"), ("q", wrap(5, 4), "y"), outputs=["q"], inputs=pair)


def test_every_op_that_wraps_is_narrowed():
    for before in wrapping_networks():
        after = narrow(before)
        assert after.types["y"].hull.width < before.types["y"].hull.width, type(before["y"].op)
        assert kept(after)
        assert_same_answers(before, after, count=60)


def test_every_op_that_wraps_does_in_cpp(tmp_path):
    assert_same_in_cpp([narrow(network) for network in wrapping_networks()], tmp_path)


# -- random networks


@pytest.mark.parametrize("overflows", [("WRAP",), ("WRAP", "SAT")])
@pytest.mark.parametrize("seed", range(100))
def test_random_networks_answer_the_same(seed, overflows):
    before = everywhere(random_network(seed, overflows))
    after = narrow(before)
    assert_same_answers(before, after, count=30, seed=seed)
    assert_true_places(before, after, seed)
    assert storage.to_json(narrow(after)) == storage.to_json(after)
    for node in after:
        assert (after.types[node.name].hull.width <= before.types[node.name].hull.width) or node.keeps is None
    assert lut(after) <= lut(before)


def test_random_networks_are_narrowed():
    networks = [narrow(random_network(seed, ("WRAP",))) for seed in range(60)]
    assert sum(bool(kept(network)) for network in networks) > 30


def test_cpp(tmp_path):
    assert_same_in_cpp([narrow(random_network(seed, ("WRAP",))) for seed in range(25)], tmp_path)
