"""Types for what a model leaves open: from samples, or as the user says."""

from dataclasses import replace

import numpy as np
import pytest

from keras_hls.errors import InvalidOption, TooWide, UnsupportedModel
from keras_hls.fixed import Constant, Fixed, Formats, Real
from keras_hls.graph import Graph, Input, Node
from keras_hls.layers_ext.activation import ReLU
from keras_hls.layers_ext.dense import Dense
from keras_hls.layers_ext.merge import Add
from keras_hls.layers_ext.quantize import Quantize
from keras_hls.layers_ext.reshape import Reshape
from keras_hls.layers_ext.scale import Scale
from keras_hls.layers_ext.table import Function
from keras_hls.passes import prepare
from keras_hls.passes.calibrate import calibrate
from keras_hls.passes.unquantized import refuse_unquantized, unquantized
from keras_hls.precision import EVERY, Precision
from keras_hls.sim.emulator import Emulator, to_floats, to_raw

RNG = np.random.default_rng(0)
KERNEL, BIAS, SECOND = RNG.normal(size=(3, 4)), RNG.normal(size=4), RNG.normal(size=(4, 2))
X = RNG.normal(0, 3, (500, 3)).astype(np.float32)
OWN = Formats.of(Fixed(True, 6, 3, "RND", "SAT"))


def graph(*nodes, outputs, shape=(3,)):
    return Graph(
        (Node("x", Input(shape, samples="float32"), (), "x"), *nodes), outputs, tuple(map(str, range(len(outputs))))
    )


def mlp():
    return graph(
        Node("a", Dense(Real(KERNEL), Real(BIAS)), ("x",), "first"),
        Node("a_relu", ReLU(), ("a",), "first"),
        Node("b", Dense(Real(SECOND)), ("a_relu",), "second"),
        outputs=("b",),
    )


def floats(x):
    return np.maximum(x.astype(np.float64) @ KERNEL + BIAS, 0) @ SECOND


def run(whole, x):
    whole = prepare(whole)
    return to_floats(whole, Emulator(whole).run(to_raw(whole, x)))


def calibrated(whole, samples=(X,), **precision):
    return calibrate(whole, Precision(**precision), samples, caster=Quantize)


@pytest.mark.parametrize(("bits", "off"), [(8, 0.5), (12, 0.03), (16, 0.002), (24, 1e-5)])
def test_more_bits_are_nearer(bits, off):
    typed = calibrated(mlp(), bits=bits)
    assert np.abs(run(typed, X) - floats(X)).max() < off
    for node in prepare(typed):
        if node.op.cast is not None:
            assert typed.types[node.name].hull.width <= bits
        for name in ("kernel", "bias"):
            if isinstance(constant := getattr(node.op, name, None), Constant):
                assert constant.type.hull.width <= bits


def test_layers_may_have_any_name():
    """Also those that casts would have; a Sequential model of Keras 2 calls its input by its first layer: "a_input"."""
    taken = [node.name for node in calibrated(mlp()) if node.name not in {n.name for n in mlp()}]
    for name in [*taken, "a_input", "b_input", "b_coarser0"]:
        whole = mlp()
        nodes = [replace(node, name=name if node.name == "a_relu" else node.name) for node in whole]
        nodes[-1] = replace(nodes[-1], inputs=(name,))
        renamed = calibrated(Graph(tuple(nodes), whole.outputs, whole.output_names)).verify()
        assert np.array_equal(run(renamed, X), run(calibrated(whole), X))


def test_it_says_which_layers_it_chose_types_for():
    typed = calibrated(mlp())
    assert typed.chosen == ("x", "first", "second")
    assert typed.notes == (
        "The model has no quantizers at 'x', 'first', 'second': types were chosen there, and the hardware approximates the"
        " model's floats.",
    )
    assert [n.name for n in typed] == ["x", "x_cast", "a", "a_relu", "a_relu_result", "b", "b_result"]


@pytest.mark.parametrize("scale", [1e-6, 0.3, 1.0, 1000.0])
def test_nothing_overflows_on_the_samples(scale):
    """Whatever the range, an answer is never further off than its own rounding."""
    x = (X * scale).astype(np.float32)
    typed = calibrated(graph(Node("r", ReLU(), ("x",), "r"), outputs=("r",)), (x,), bits=10)
    answers = run(typed, x)
    assert np.abs(answers - np.maximum(x, 0)).max() <= np.abs(x).max() / 2**9
    assert answers.max() >= x.max() * (1 - 2**-8)


SPREAD = np.array([1.0, 1e5, 1e-2])


def spread_out(x):
    """Columns of very different sizes, and what brings them to one, as a normalization layer does."""
    return x * SPREAD, (Node("n", Scale(Real(1 / SPREAD), Real(np.array([0.5, -0.5, 0.0]))), ("x",), "n"),)


def test_columns_that_a_scale_brings_to_one_size_have_their_own_last_bits():
    x, scale = spread_out(X)
    whole = graph(*scale, Node("b", Dense(Real(KERNEL)), ("n",), "second"), outputs=("b",))
    typed = calibrated(whole, (x,))
    assert len(set(typed["x_cast"].op.cast.integer.tolist())) == 3
    wanted = (x / SPREAD + [0.5, -0.5, 0.0]) @ KERNEL
    assert np.abs(run(typed, x) - wanted).max() < 0.01
    # Without such a scale, they have one type.
    assert calibrated(graph(Node("b", Dense(Real(KERNEL)), ("x",), "b"), outputs=("b",)), (x,))[
        "x_cast"
    ].op.cast.uniform


def test_a_column_that_is_hardly_seen_keeps_room_for_what_is_usual():
    x, scale = spread_out(X)
    seen = x * [1, 1, 0]
    typed = calibrated(graph(*scale, outputs=("n",)), (seen,))
    usual = np.clip(x, -8 * SPREAD, 8 * SPREAD)
    assert np.abs(run(typed, usual) - (usual / SPREAD + [0.5, -0.5, 0.0]))[:, 2].max() < 0.01


@pytest.mark.parametrize("tiny", [1e-8, 1e-16, 1e-30])
def test_weights_that_have_died_are_nothing_beside_the_others(tiny):
    dead = Dense(Real(RNG.normal(0, tiny, (4, 4))), Real(np.array([1.0, -0.5, 0.25, 0.1])))
    beside = Dense(Real(RNG.normal(0, tiny, (3, 4))))
    whole = graph(
        Node("a", Dense(Real(KERNEL), Real(BIAS)), ("x",), "a"),
        Node("d", dead, ("a",), "d"),
        Node("z", beside, ("x",), "z"),
        Node("s", Add(), ("d", "z"), "s"),
        Node("t", Add(), ("s", "a"), "t"),
        outputs=("t",),
    )
    wanted = X.astype(np.float64) @ KERNEL + BIAS + [1.0, -0.5, 0.25, 0.1]
    assert np.abs(run(calibrated(whole), X) - wanted).max() < 0.002


def test_values_too_large_for_their_weights_are_refused_as_ever():
    with pytest.raises(TooWide, match=r"'first' .*needs more than 63 bits"):
        calibrated(mlp(), (X * 1e25,))


def test_auto_is_what_the_samples_say():
    every = dict.fromkeys(("result", "weight", "bias"), Fixed(True, 8, 4))
    typed = calibrated(
        mlp(), layers={EVERY: every, "second": {"result": None, "weight": None}, "unknown": {"bias": None}}
    )
    assert typed["b_result"].op.cast.uniform.width == 16
    assert typed["b"].op.kernel.type.hull.width > 12
    assert typed["a"].op.kernel.type.hull.width <= 8
    # Without samples, it says nothing.
    alone = calibrated(mlp(), None, layers={EVERY: every, "second": {"result": None, "weight": None}})
    assert alone["b_result"].op.cast.uniform == Fixed(True, 8, 4)


def test_samples_of_zeros_and_of_one_sign():
    zeros = calibrated(mlp(), (X * 0,))
    assert np.isfinite(run(zeros, X)).all()
    positive = calibrated(graph(Node("r", ReLU(), ("x",), "r"), outputs=("r",)), (np.abs(X),), bits=8)
    assert not positive.types["x_cast"].hull.signed


def test_layers_with_quantizers_stay_as_they_are():
    dense = Dense(Constant(np.array([[300, -511, 77]] * 3), 9))
    quantized = graph(Node("q", Quantize(OWN), ("x",), "q"), Node("d", dense, ("q",), "d"), outputs=("d",))
    assert unquantized(quantized) == {}
    mixed = graph(
        *quantized.nodes[1:],
        Node("f", Dense(Real(RNG.normal(size=(3, 2)))), ("d",), "f"),
        outputs=("d", "f"),
    )
    typed = calibrated(mixed, bits=4)
    assert typed.chosen == ("f",)
    # The quantized layer's answer is as wide as ever.
    assert typed.types["d"].hull.width > 12
    assert np.array_equal(run(typed, X)[0], run(quantized, X))


def test_an_input_read_by_a_quantizer_and_without_one():
    whole = graph(
        Node("q", Quantize(OWN), ("x",), "q"),
        Node("f", Dense(Real(KERNEL)), ("x",), "f"),
        outputs=("q", "f"),
    )
    typed = calibrated(whole)
    alone = calibrated(graph(whole["f"], outputs=("f",)))
    only = prepare(graph(whole["q"], outputs=("q",)))
    assert np.array_equal(run(typed, X)[0], to_floats(only, Emulator(only).run(to_raw(only, X))))
    assert np.abs(run(typed, X)[1] - run(alone, X)).max() < 1e-2


def test_wiring_and_outputs_that_are_inputs():
    whole = graph(
        Node("s", Reshape((3, 2)), ("x",), "s"),
        Node("d", Dense(Real(np.array([[1.0], [-1.0]]))), ("s",), "d"),
        outputs=("d", "x"),
        shape=(2, 3),
    )
    x = RNG.normal(size=(50, 2, 3)).astype(np.float32)
    first, second = run(calibrated(whole, (x,)), x)
    assert np.abs(first[..., 0] - (x.reshape(-1, 3, 2) @ [1, -1])).max() < 1e-3
    assert np.abs(second - x).max() < 1e-3


def test_tables_are_looked_up_with_few_bits():
    whole = graph(
        Node("a", Dense(Real(KERNEL), Real(BIAS)), ("x",), "first"),
        Node("t", Function(np.tanh, "tanh"), ("a",), "first"),
        outputs=("t",),
    )
    typed = prepare(calibrated(whole))
    assert typed.types["t_input"].hull.width == 12
    assert np.abs(run(calibrated(whole), X) - np.tanh(X @ KERNEL + BIAS)).max() < 0.01


def test_two_inputs_in_the_models_order():
    whole = Graph(
        (
            Node("x", Input((2,), samples="float32"), (), "x"),
            Node("y", Input((2,), samples="float32"), (), "y"),
            Node("s", Add(), ("y", "x"), "s"),
        ),
        ("s",),
        ("s",),
    )
    a, b = RNG.normal(0, 100, (40, 2)).astype(np.float32), RNG.normal(0, 0.01, (40, 2)).astype(np.float32)
    typed = calibrated(whole, (a, b), bits=16)
    assert typed.types["x_cast"].hull.integer > 6
    assert typed.types["y_cast"].hull.integer < 0


def test_types_that_the_user_gives():
    typed = calibrated(
        mlp(),
        None,
        layers={
            EVERY: dict.fromkeys(("result", "weight", "bias"), Fixed(True, 16, 6)),
            "second": {"result": Fixed(True, 9, 5, "RND", "SAT"), "weight": Fixed(True, 5, 3)},
        },
    )
    assert typed["x_cast"].op.cast.uniform == Fixed(True, 16, 6)
    assert typed["a_relu_result"].op.cast.uniform == Fixed(True, 16, 6)
    assert typed["b_result"].op.cast.uniform == Fixed(True, 9, 5, "RND", "SAT")
    values = np.ldexp(typed["b"].op.kernel.raw.astype(float), -typed["b"].op.kernel.frac)
    assert np.array_equal(values, np.rint(SECOND * 4) / 4)
    assert np.abs(run(typed, X) - np.clip(floats(X), -16, 15.9375)).max() < 2


def test_types_that_the_user_gives_are_read_as_they_are():
    """Whatever the samples' types would be: no more bits than those are given up, nor fewer."""
    given = Fixed(True, 26, 8, "RND", "SAT")
    typed = calibrated(mlp(), layers={"first": {"result": given}, "x": {"result": Fixed(True, 20, 6)}})
    assert [typed["a"].inputs, typed["b"].inputs] == [("x_cast",), ("a_relu_result",)]
    assert typed["a_relu_result"].op.cast.uniform == given
    nodes = (Node("a", Dense(Real(KERNEL)), ("x",), "first"), Node("t", Function(np.tanh, "tanh"), ("a",), "first"))
    typed = calibrated(graph(*nodes, outputs=("t",)), layers={"a": {"result": Fixed(True, 14, 5)}})
    assert typed["t"].inputs == ("a_result",)
    # A table has no more than 2**20 entries.
    typed = calibrated(graph(*nodes, outputs=("t",)), layers={"a": {"result": given}})
    assert typed["t"].inputs == ("t_input",)


def test_a_type_by_a_nodes_own_name_is_that_before_the_activation():
    layers = {"first": {"result": Fixed(True, 10, 6)}, "a_relu": {"result": Fixed(False, 8, 5)}}
    typed = calibrated(mlp(), layers=layers)
    assert typed["a_result"].op.cast.uniform == Fixed(True, 10, 6)
    assert typed["a_relu_result"].op.cast.uniform == Fixed(False, 8, 5)
    last = calibrated(mlp(), layers={"first": {"result": Fixed(True, 10, 6)}})
    assert last["a_relu_result"].op.cast.uniform == Fixed(True, 10, 6)
    assert "a_result" not in [n.name for n in last]


def test_names_that_are_no_float_layers_are_refused():
    with pytest.raises(
        InvalidOption, match=r"precision names 'frist', which isn't a layer of the model. Did you mean 'first'"
    ):
        calibrated(mlp(), layers={"frist": {}})
    whole = graph(Node("q", Quantize(OWN), ("x",), "q"), Node("d", Dense(Real(KERNEL)), ("q",), "d"), outputs=("d",))
    with pytest.raises(InvalidOption, match="'q', but that layer has quantizers of its own"):
        calibrated(whole, layers={"q": {"result": Fixed(True, 4, 2)}})


def test_weights_that_do_not_fit_are_refused():
    with pytest.raises(
        InvalidOption, match=r"Layer 'first': its kernel must fit fixed<4, 1>, but one is .*more integer bits"
    ):
        calibrated(mlp(), layers={"first": {"weight": Fixed(True, 4, 1)}})


def test_without_samples_what_is_missing_is_named():
    with pytest.raises(UnsupportedModel) as caught:
        refuse_unquantized(mlp())
    assert [p.split(":")[0] for p in caught.value.problems] == ["'x' (input)", "'first'", "'second'"]
    assert "its kernel and bias have no quantizer; pass calibration=samples" in caught.value.problems[1]
    with pytest.raises(UnsupportedModel, match="'second'"):
        calibrated(mlp(), None, layers={name: {"result": Fixed(True, 16, 6)} for name in ("x", "first")})
    with pytest.raises(UnsupportedModel):
        prepare(mlp())


def test_large_samples_are_followed_in_pieces(monkeypatch):
    import keras_hls.passes.calibrate as module

    whole = calibrated(mlp())
    monkeypatch.setattr(module, "_CHUNK", 7)
    pieces = calibrated(mlp())
    assert [n.name for n in whole] == [n.name for n in pieces]
    for a, b in zip(whole, pieces):
        if a.op.cast is not None:
            assert a.op.cast == b.op.cast
