"""One type for an input that serves every quantizer behind it as the float itself would."""

import itertools

import numpy as np
import pytest

from keras_hls.errors import TooWide, UnsupportedModel
from keras_hls.fixed import OVERFLOW, ROUNDING, Fixed, Formats, from_float
from keras_hls.graph import Graph, Input, Node
from keras_hls.layers_ext.activation import ReLU
from keras_hls.layers_ext.movement import Concatenate, Crop, Pad, Permute, Repeat
from keras_hls.layers_ext.quantize import Quantize
from keras_hls.layers_ext.reshape import Reshape
from keras_hls.passes import prepare
from keras_hls.passes.input_types import type_inputs
from keras_hls.sim.emulator import Emulator, to_floats, to_raw

SHAPE = (2, 3)


def graph(*readers: Formats, wired: tuple[int, ...] = ()) -> Graph:
    """An input with a quantizer for each of `readers`, behind a reshape where it stands in `wired`."""
    nodes = [Node("x", Input(SHAPE), (), "pixels")]
    for i, formats in enumerate(readers):
        source = "x"
        if i in wired:
            nodes.append(Node(f"w{i}", Reshape((6,)), ("x",), f"w{i}"))
            source = f"w{i}"
        nodes.append(Node(f"q{i}", Quantize(formats), (source,), f"q{i}"))
    names = tuple(f"q{i}" for i in range(len(readers)))
    return Graph(tuple(nodes), names, names)


def samples(readers, seed=0) -> np.ndarray:
    """Floats around every range, on and beside every tie, and far outside."""
    rng = np.random.default_rng(seed)
    values = [rng.normal(size=60) * scale for scale in (0.05, 0.5, 4, 60, 1e6)]
    for formats in readers:
        live = formats.live
        if not live.any():
            continue
        for frac, integer in {(int(w - i), int(i)) for w, i in zip(formats.width[live], formats.integer[live])}:
            grid = np.ldexp(rng.integers(-40, 41, 40) / 2, -frac)
            edge = np.ldexp([1.0, -1.0, 0.5, -0.5, 2.0, -2.0], integer)
            lsb = np.ldexp(1.0, -frac)
            values += [grid, np.nextafter(grid, np.inf), np.nextafter(grid, -np.inf), edge, edge - lsb / 2, edge - lsb]
            values += [edge + lsb / 4, edge - lsb / 4]
    flat = np.concatenate(values)
    return rng.permutation(np.resize(flat, (len(flat) + 6) // 6 * 6 * 3)).reshape(-1, *SHAPE)


def check(*readers: Formats, wired=()) -> Graph:
    """Whatever is accepted answers as each quantizer does for the float itself."""
    ready = prepare(graph(*readers, wired=wired))
    x = samples(readers)
    answers = to_floats(ready, Emulator(ready).run(to_raw(ready, x)))
    for i, (formats, answer) in enumerate(zip(readers, answers if len(readers) > 1 else [answers])):
        seen = x.reshape(len(x), 6) if i in wired else x
        wanted = np.ldexp(from_float(seen, formats).astype(float), -formats.frac)
        assert np.array_equal(answer, wanted), f"{formats} among {', '.join(map(str, readers))}"
    return ready


def one(signed, width, integer, rounding="TRN", overflow="WRAP"):
    return Formats.of(Fixed(signed, width, integer, rounding, overflow))


def elements(seed, rounding, overflow, shape=SHAPE):
    rng = np.random.default_rng(seed)
    return Formats(rng.random(shape) < 0.6, rng.integers(-1, 7, shape), rng.integers(-2, 4, shape), rounding, overflow)


def serves(a: Formats, b: Formats) -> bool:
    """Whether the documented rules let one type serve both."""
    if a == b:
        return True
    modes = {a.overflow, b.overflow}
    return {a.rounding, b.rounding} <= {"TRN", "RND"} and (modes == {"WRAP"} or modes <= {"SAT", "SAT_SYM"})


@pytest.mark.parametrize(("rounding", "overflow"), list(itertools.product(ROUNDING, OVERFLOW)))
def test_one_reader_of_any_kind(rounding, overflow):
    for formats in (
        one(True, 6, 3, rounding, overflow),
        one(False, 5, -1, rounding, overflow),
        one(True, 4, 9, rounding, overflow),
        one(True, 1, 1, rounding, overflow),
        elements(3, rounding, overflow),
    ):
        check(formats)
        check(formats, formats)
        check(formats, formats, formats)


SHAPES = [(True, 6, 3), (False, 6, 3), (True, 9, 2), (False, 3, 3), (True, 2, -1), (True, 5, 8), (True, 1, 1)]
POOL = [
    *(
        one(*shape, rounding, overflow)
        for shape in SHAPES
        for rounding in ("TRN", "RND")
        for overflow in ("WRAP", "SAT")
    ),
    *(one(*shape, "RND", "SAT_SYM") for shape in SHAPES[::2]),
    *(
        elements(seed, r, o)
        for seed, (r, o) in enumerate(itertools.product(("TRN", "RND"), ("WRAP", "SAT", "SAT_SYM")))
    ),
    Formats(True, np.zeros(SHAPE, int), 3, "RND", "SAT"),
    Formats(True, [0, 3, 0], 3, "TRN", "WRAP"),
    one(True, 6, 3, "RND_CONV", "SAT"),
    one(True, 6, 3, "TRN_ZERO", "WRAP"),
    one(True, 6, 3, "RND", "SAT_ZERO"),
]


@pytest.mark.parametrize("first", range(len(POOL)))
def test_every_pair_of_readers(first):
    for second in POOL[first:]:
        if serves(POOL[first], second):
            check(POOL[first], second)
        else:
            with pytest.raises(UnsupportedModel, match="'pixels'"):
                prepare(graph(POOL[first], second))


@pytest.mark.parametrize("overflow", ["WRAP", "SAT"])
def test_three_readers(overflow):
    pool = [f for f in POOL if f.rounding in ("TRN", "RND") and (f.overflow == "WRAP") == (overflow == "WRAP")]
    pool = [f for f in pool if f.overflow != "SAT_ZERO"]
    rng = np.random.default_rng(0)
    for _ in range(40):
        check(*(pool[i] for i in rng.integers(0, len(pool), 3)))


def test_readers_behind_a_reshape():
    flat = elements(5, "RND", "SAT", (6,))
    check(flat, wired=(0,))
    check(flat, elements(6, "TRN", "SAT"), wired=(0,))
    check(
        flat,
        Formats(flat.signed.reshape(SHAPE), flat.width.reshape(SHAPE), flat.integer.reshape(SHAPE), "RND", "SAT"),
        wired=(0,),
    )
    check(Formats(True, [3, 4, 5, 6, 2, 1], 2, "TRN", "WRAP"), one(True, 6, 3), wired=(0,))


def test_what_the_input_does_already_is_done_once():
    """Equal quantizers are the input's own: no hardware is left of them but where an output must be computed."""
    formats = one(True, 6, 3, "RND", "SAT")
    whole = graph(formats, formats)
    nodes = (*whole.nodes, Node("a", ReLU(), ("q0",)), Node("b", ReLU(), ("q1",)))
    ready = prepare(Graph(nodes, ("a", "b"), ("a", "b")))
    assert [node.name for node in ready] == ["x", "a", "b"]
    assert ready["x"].op.formats == Formats(np.full(SHAPE, True), 6, 3, "RND", "SAT")
    assert str(ready["x"].op.port) == "fixed<6, 3>"


def test_a_type_that_is_there_already_stays():
    port = Fixed(True, 5, 2)
    nodes = (Node("x", Input(SHAPE, Formats.of(port), port), (), "x"), Node("r", ReLU(), ("x",)))
    assert type_inputs(Graph(nodes, ("r",), ("r",)))["x"].op.port == port


def test_an_input_that_nobody_reads_still_has_a_port():
    whole = graph(one(True, 6, 3))
    ready = prepare(Graph((*whole.nodes, Node("y", Input((5,)), (), "spare")), whole.outputs, whole.output_names))
    assert ready["y"].op.port is not None
    x = samples([one(True, 6, 3)])
    answers = Emulator(ready).run(to_raw(ready, {"pixels": x, "spare": np.ones((len(x), 5))}))
    assert len(answers) == 1


def test_readers_without_a_quantizer_are_named():
    plain = Node("r", ReLU(), ("x",), "first"), Node("s", ReLU(), ("x",), "second")
    whole = graph(one(True, 6, 3))
    with pytest.raises(UnsupportedModel, match=r"'pixels' \(input\): 'first', 'second' reads it without a quantizer"):
        prepare(Graph((*whole.nodes, *plain), ("q0", "r", "s"), ("q0", "r", "s")))


@pytest.mark.parametrize("outputs", [("x", "q0"), ("w", "q0")])
def test_an_input_that_is_an_output_has_no_type(outputs):
    whole = graph(one(True, 6, 3))
    with pytest.raises(UnsupportedModel, match=r"(an output|'w') reads it without a quantizer"):
        prepare(Graph((*whole.nodes, Node("w", Reshape((3, 2)), ("x",), "w")), outputs, outputs))


def test_all_problems_are_named_at_once():
    nodes = []
    for i in range(3):
        nodes += [Node(f"x{i}", Input(SHAPE), (), f"in{i}"), Node(f"r{i}", ReLU(), (f"x{i}",), f"layer{i}")]
    with pytest.raises(UnsupportedModel) as caught:
        prepare(Graph(tuple(nodes), ("r0", "r1", "r2"), ("r0", "r1", "r2")))
    assert len(caught.value.problems) == 3


@pytest.mark.parametrize(
    "readers",
    [
        # One tensor whose elements together span more than 63 bits.
        [Formats(np.full(SHAPE, True), [40, 30, 4], [40, 0, 2], "TRN", "SAT")],
        # Two quantizers that do.
        [one(True, 40, 40, "TRN", "SAT"), one(True, 30, 0, "TRN", "SAT")],
        [one(True, 50, 50), one(False, 14, 0, "RND")],
    ],
)
def test_inputs_that_need_more_than_63_bits_are_named(readers):
    with pytest.raises(TooWide, match="'pixels'"):
        prepare(graph(*readers))


def test_the_widest_inputs():
    check(one(True, 63, 40, "TRN", "SAT"))
    check(one(False, 62, 40, "TRN", "WRAP"))
    check(one(True, 40, 30, "TRN", "SAT"), one(True, 20, -12, "TRN", "SAT"))


@pytest.mark.parametrize(
    ("first", "second", "port"),
    [
        (one(True, 6, 3), one(False, 6, 3), "fixed<7, 4>"),
        (one(False, 6, 3), one(False, 3, 5), "ufixed<8, 5>"),
        (one(True, 6, 3, "RND"), one(True, 5, 3), "fixed<7, 3>"),
        (one(True, 6, 3, "RND"), one(True, 8, 3), "fixed<8, 3>"),
        (one(True, 6, 3, "RND"), one(True, 8, 2, "RND"), "fixed<10, 3>"),
        (one(True, 4, -1, "TRN", "SAT"), one(True, 2, 9, "TRN", "SAT_SYM"), "fixed<14, 9>"),
        (Formats([True, True, False], [0, 3, 5], [50, 2, 4]), one(True, 3, 3), "fixed<6, 5>"),
    ],
)
def test_common_types_are_no_wider_than_needed(first, second, port):
    assert str(type_inputs(graph(first, second))["x"].op.port) == port


def moved(op, *formats, shape=(2, 3), more=()):
    """An input behind an op that moves its elements, then a quantizer for each of `formats`."""
    nodes = [Node("x", Input(shape), (), "pixels"), Node("m", op, ("x",), "m"), *more]
    nodes += [Node(f"q{i}", Quantize(own), ("m",), f"q{i}") for i, own in enumerate(formats)]
    names = tuple(f"q{i}" for i in range(len(formats)))
    return Graph(tuple(nodes), names, names)


def answers_as_floats_would(whole, x, wanted):
    ready = prepare(whole)
    answers = to_floats(ready, Emulator(ready).run(to_raw(ready, x)))
    assert np.array_equal(
        answers, np.ldexp(from_float(wanted, whole["q0"].op.cast).astype(float), -whole["q0"].op.cast.frac)
    )
    return ready


@pytest.mark.parametrize("rounding", ["TRN", "RND", "RND_CONV"])
@pytest.mark.parametrize("overflow", ["WRAP", "SAT"])
def test_a_type_an_element_behind_what_moves_them(rounding, overflow):
    """Zero padding, transposition and cropping before the first quantizer, as in front of many a convolution."""
    rng = np.random.default_rng(0)
    x = rng.normal(0, 3, (300, 2, 3))

    def each(shape):
        return Formats(
            rng.integers(0, 2, shape) > 0, rng.integers(0, 7, shape), rng.integers(-1, 4, shape), rounding, overflow
        )

    answers_as_floats_would(moved(Permute((1, 0)), each((3, 2))), x, x.transpose(0, 2, 1))
    answers_as_floats_would(moved(Pad((1, 0), (0, 2)), each((3, 5))), x, np.pad(x, ((0, 0), (1, 0), (0, 2))))
    ready = answers_as_floats_would(moved(Crop((0, 1), (1, 0)), each((1, 2))), x, x[:, :1, 1:])
    # What is cut off needs no bits.
    assert (ready["x"].op.formats.width[1] == 0).all()


def test_elements_that_are_read_twice_need_one_type():
    same = Formats.of(Fixed(True, 5, 2, "RND", "SAT"))
    x = np.random.default_rng(0).normal(0, 3, (300, 2, 3))
    ready = answers_as_floats_would(moved(Repeat((1, 2)), same), x, np.repeat(x, 2, 2))
    assert ready["x"].op.formats == Formats(np.full((2, 3), True), 5, 2, "RND", "SAT")
    differing = Formats(np.full((2, 6), True), np.arange(3, 15).reshape(2, 6), np.full((2, 6), 2), "RND", "SAT")
    answers_as_floats_would(moved(Repeat((1, 2)), differing), x, np.repeat(x, 2, 2))


def test_two_inputs_that_are_joined_first():
    rng = np.random.default_rng(0)
    each = Formats(np.full(5, True), np.arange(2, 7), np.arange(5), "RND_CONV", "SAT")
    whole = Graph(
        (
            Node("a", Input((2,)), (), "a"),
            Node("b", Input((3,)), (), "b"),
            Node("c", Concatenate(0), ("a", "b"), "c"),
            Node("q0", Quantize(each), ("c",), "q"),
        ),
        ("q0",),
        ("q0",),
    )
    x = [rng.normal(0, 3, (300, 2)), rng.normal(0, 3, (300, 3))]
    ready = answers_as_floats_would(whole, x, np.concatenate(x, 1))
    assert ready["a"].op.formats.width.tolist() == [2, 3]
    assert ready["b"].op.formats.width.tolist() == [4, 5, 6]


def test_an_input_joined_with_something_computed():
    own = Formats.of(Fixed(True, 6, 3, "RND", "SAT"))
    whole = Graph(
        (
            Node("x", Input((2,)), (), "x"),
            Node("q", Quantize(own), ("x",), "q"),
            Node("r", ReLU(), ("q",), "r"),
            Node("c", Concatenate(0), ("r", "x"), "c"),
            Node("q0", Quantize(own), ("c",), "q0"),
        ),
        ("q0",),
        ("q0",),
    )
    x = np.random.default_rng(0).normal(0, 3, (300, 2))
    answers_as_floats_would(whole, x, np.concatenate([np.maximum(x, 0), x], 1))


def test_relu_before_the_first_quantizer_is_no_movement():
    """A value that wraps around may change its sign, so the quantizer can't be asked before the relu."""
    whole = graph(one(True, 6, 3))
    relu = (*whole.nodes[:1], Node("m", ReLU(), ("x",), "m"), Node("q0", whole["q0"].op, ("m",), "q0"))
    with pytest.raises(UnsupportedModel, match="'m' reads it without a quantizer"):
        prepare(Graph(relu, ("q0",), ("q0",)))
