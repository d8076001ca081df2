"""Two casts in a row as one, and what is known of numbers that wrap around: against all values of small types."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from keras_hls.fixed import OVERFLOW, ROUNDING, Fixed, Formats, Quantization, TensorType, composed, trailing_zeros
from keras_hls.graph import Graph, Input, Node
from keras_hls.layers_ext.activation import ReLU
from keras_hls.layers_ext.quantize import Quantize
from keras_hls.passes.fused_casts import fuse_casts
from keras_hls.sim.emulator import Emulator

#: Every type of up to three bits, from eighths to fours.
SMALL = [
    (signed, width, integer)
    for signed, width, integer in itertools.product((False, True), (1, 2, 3), range(-1, 5))
    if -1 <= width - integer <= 3
]
#: Intervals, fractional bits and trailing zeros of what is cast: wider and finer than all of them, or not.
SOURCES = [(-64, 63, 3, 0), (0, 60, 3, 2), (-9, 9, 2, 0), (-5, 21, 1, 0), (-40, 40, 3, 1), (-3, 4, 3, 0)]
MODES = list(itertools.product(ROUNDING, OVERFLOW))


def formats(kind, rounding, overflow):
    return Formats.of(Fixed(*kind, rounding, overflow))


def source(low, high, frac, zeros=0, shape=(1,)):
    return TensorType(np.full(shape, low), np.full(shape, high), frac, np.full(shape, zeros))


def values(kind):
    """All raw integers of a type, the same for all elements."""
    raw = np.arange(kind.low.min(), kind.high.max() + 1, 1 << min(int(kind.zeros.min()), 20))
    return np.broadcast_to(raw.reshape(-1, *[1] * kind.low.ndim), (len(raw), *kind.shape))


def twice(first, second, kind, raw):
    """What both casts make, and whether both change something."""
    one = Quantization(first, kind)
    two = Quantization(second, one.type)
    changes = [bool(cast.rounds.any() or cast.overflows.any()) for cast in (one, two)]
    return two(one(raw)) * 2.0**-two.type.frac, two.type, all(changes)


def check(first, second, kind):
    """The one cast, if there is one, does the same; return 1 if it saves something."""
    found = composed(first, second, kind)
    raw = values(kind)
    wanted, type_, both = twice(first, second, kind, raw)
    if found is None:
        return 0
    cast = Quantization(found, kind)
    assert np.array_equal(cast(raw) * 2.0**-cast.type.frac, wanted), (
        f"{first} then {second} of {kind.hull} isn't {found}"
    )
    for end in ("low", "high"):
        ends = [getattr(t, end) * 2.0**-t.frac for t in (cast.type, type_)]
        assert np.array_equal(*ends)
    return int(both)


@pytest.mark.parametrize("first", ROUNDING)
@pytest.mark.parametrize("second", ROUNDING)
def test_all_modes_and_small_types(first, second):
    rng = np.random.default_rng(ROUNDING.index(first) * 7 + ROUNDING.index(second))
    saved = 0
    for overflow1, overflow2 in itertools.product(OVERFLOW, OVERFLOW):
        for _ in range(25):
            a, b = (SMALL[i] for i in rng.integers(len(SMALL), size=2))
            kind = source(*SOURCES[rng.integers(len(SOURCES))])
            saved += check(formats(a, first, overflow1), formats(b, second, overflow2), kind)
    assert saved >= 5


@pytest.mark.parametrize("overflow", [("SAT", "SAT"), ("WRAP", "WRAP"), ("SAT_SYM", "SAT"), ("SAT", "WRAP")])
@pytest.mark.parametrize("rounding", [("TRN", "TRN"), ("TRN", "RND"), ("RND", "RND"), ("TRN_ZERO", "TRN_ZERO")])
def test_every_pair_of_small_types(rounding, overflow):
    """Without a gap where it matters most."""
    kind = source(*SOURCES[0])
    for a, b in itertools.product(SMALL[::2], SMALL[1::2]):
        check(formats(a, rounding[0], overflow[0]), formats(b, rounding[1], overflow[1]), kind)


@pytest.mark.parametrize("seed", range(60))
def test_types_that_differ_by_element(seed):
    """One for all, one a channel or one an element; some have no bits."""
    rng = np.random.default_rng(seed)
    rounding = [("TRN", "TRN"), ("TRN", "RND"), ("RND", "TRN"), ("TRN_ZERO", "TRN_ZERO")][rng.integers(4)]
    overflow = [("SAT", "SAT"), ("WRAP", "WRAP"), ("SAT_SYM", "SAT"), ("WRAP", "SAT")][rng.integers(4)]
    for _ in range(20):
        both = []
        for i in range(2):
            shape = [(), (3,), (2, 3), (2, 1)][rng.integers(4)]
            frac, integer = rng.integers(-1, 4, shape), rng.integers(-1, 5, shape)
            width = np.where(rng.random(shape) < 0.2, 0, np.maximum(integer + frac, 1))
            both.append(Formats(rng.random(shape) < 0.5, width, width - frac, rounding[i], overflow[i]))
        check(*both, source(*SOURCES[rng.integers(len(SOURCES))], shape=(2, 3)))


@pytest.mark.parametrize(
    ("first", "second", "one"),
    [
        ("fixed<8, 4, TRN, SAT>", "fixed<6, 3, TRN, SAT>", "fixed<6, 3, TRN, SAT>"),
        ("fixed<8, 4, TRN, SAT>", "fixed<6, 3, RND, SAT>", "fixed<6, 3, RND, SAT>"),
        ("fixed<8, 4, RND, SAT>", "fixed<7, 3, RND, SAT>", "fixed<7, 3, RND, SAT>"),
        ("fixed<8, 4, TRN, WRAP>", "fixed<5, 2, RND, WRAP>", "fixed<5, 2, RND, WRAP>"),
        # Narrower bounds first: the other cast cuts what is left.
        ("fixed<6, 2, TRN, SAT>", "fixed<6, 4, TRN, SAT>", "fixed<4, 2, TRN, SAT>"),
        # Rounded twice, saturated before it wraps, wrapped around at more bits than before, and bounds that cross.
        ("fixed<8, 4, RND, SAT>", "fixed<6, 3, RND, SAT>", None),
        ("fixed<8, 4, TRN, SAT>", "fixed<6, 3, TRN, WRAP>", None),
        ("fixed<6, 2, TRN, WRAP>", "ufixed<6, 3, TRN, WRAP>", None),
        ("fixed<6, 2, TRN, SAT>", "ufixed<6, 4, TRN, SAT>", None),
        # Rounding up may leave the first one's range, but not the second one's.
        ("fixed<6, 2, TRN, SAT>", "fixed<6, 4, RND, SAT>", None),
    ],
)
def test_examples(first, second, one):
    a, b = (Formats.of(Fixed.parse(text)) for text in (first, second))
    found = composed(a, b, source(-1 << 12, (1 << 12) - 1, 8))
    assert (found if found is None else str(found)) == one


PORT = Fixed(True, 12, 6)


def network(*casts, outputs=None):
    nodes = [Node("x", Input((3,), Formats.of(PORT), PORT))]
    for i, text in enumerate(casts):
        nodes.append(Node(f"q{i}", Quantize(Formats.of(Fixed.parse(text))), (nodes[-1].name,), f"q{i}"))
    outputs = outputs or (nodes[-1].name,)
    return Graph(tuple(nodes), outputs, outputs).verify()


def test_casts_in_a_row_become_one():
    before = network("fixed<9, 5, TRN, SAT>", "fixed<7, 4, TRN, SAT>", "fixed<5, 3, RND, SAT>")
    after = fuse_casts(before).verify()
    assert [node.name for node in after] == ["x", "q0"] and str(after["q0"].op.cast) == "fixed<5, 3, RND, SAT>"
    raw = np.arange(PORT.low, PORT.high + 1).reshape(-1, 1).repeat(3, 1)
    (a,), (b,) = Emulator(before).run([raw]), Emulator(after).run([raw])
    assert np.array_equal(a, b)


def test_casts_that_others_see_stay():
    read_twice = network("fixed<9, 5, TRN, SAT>", "fixed<7, 4, TRN, SAT>")
    nodes = (*read_twice.nodes, Node("r", ReLU(), ("q0",)))
    for graph in (
        network("fixed<9, 5, TRN, SAT>", "fixed<7, 4, TRN, SAT>", outputs=("q0", "q1")),
        Graph(nodes, ("q1", "r"), ("q1", "r")).verify(),
        network("fixed<9, 5, RND, SAT>", "fixed<7, 4, RND, SAT>"),
    ):
        assert fuse_casts(graph) is graph


# -- what is known of numbers that wrap around


@pytest.mark.parametrize("rounding", ROUNDING)
@pytest.mark.parametrize("zeros", [0, 1, 2, 4])
def test_what_wraps_around_is_known_as_well_as_can_be(rounding, zeros):
    """An interval that doesn't meet the end of the range stays one; any other may be any multiple in it."""
    split = 0
    for kind in SMALL:
        for low in range(-48, 48, max(1 << zeros, 9)):
            for length in (0, 1, 3, 9, 40):
                start, step = low >> zeros << zeros, 1 << zeros
                x = source(start, start + length * step, 3, zeros)
                cast = Quantization(formats(kind, rounding, "WRAP"), x)
                answers, found = cast(values(x)), cast.type
                own = TensorType(answers.min(0), answers.max(0), found.frac)
                assert (found.low <= own.low).all() and (found.high >= own.high).all()
                assert (trailing_zeros(answers) >= found.zeros).all()
                whole = answers[0, 0] <= answers[-1, 0] and (np.diff(answers[:, 0]) >= 0).all()
                if whole and own.high - own.low < (1 << kind[1]) - 1:
                    assert found.low == own.low and found.high == own.high
                split += not whole
    assert split > 50
