"""Samples that C++ casts become the integers that numpy makes of them, whatever they and their types are."""

import ctypes
import itertools
import shutil

import numpy as np
import pytest

from keras_hls.errors import CSimulationError, InvalidData
from keras_hls.fixed import OVERFLOW, ROUNDING, Fixed, FloatCast, Formats
from keras_hls.graph import Input
from keras_hls.sim import quick_cast
from keras_hls.sim.emulator import Feed
from keras_hls.sim.quick_cast import QuickCast

QUICK = [(r, o) for r, o in itertools.product(("TRN", "RND", "RND_CONV"), ("WRAP", "SAT", "SAT_SYM"))]
DTYPES = ("f4", "f8", "i1", "u1", "i2", "u2", "i4", "u4")

needs_compiler = pytest.mark.skipif(not (shutil.which("g++") or shutil.which("clang++")), reason="needs a compiler")


@pytest.fixture(autouse=True)
def few(monkeypatch):
    """A few samples are enough for the C++, and are cut into several calls."""
    monkeypatch.setattr(quick_cast, "_WORTH", 0)
    monkeypatch.setattr(quick_cast, "_CALL", 500)


def feed(samples: np.ndarray, formats: Formats, takes: str = "float64", finer: int = 0) -> Feed:
    """Samples for an input of such formats; its port is finer by some bits."""
    shape = samples.shape[1:]
    live = formats.live
    integer = int((formats.integer + ~formats.signed)[live].max()) if live.any() else 1
    frac = formats.frac + finer
    port = Fixed(True, max(integer + frac, 1), max(integer + frac, 1) - frac)
    return Feed(samples, Input(shape, formats, port, takes), FloatCast(formats))


def assert_alike(given: Feed, threads: int = 1, start: int = 0, quickly: bool | None = None) -> None:
    op = given.op
    out = np.empty((len(given) - start, *op.shape), op.port.native)
    quick = QuickCast(given, out.dtype, threads)
    if quickly is not None:
        assert (quick._call is not None) == quickly
    quick.into(start, out)
    wanted = given[start:].into(np.empty(out.shape, np.int64))
    assert out.dtype == op.port.native
    np.testing.assert_array_equal(out, wanted)


def values(rng: np.random.Generator, formats: Formats, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """Numbers of every kind: ties and their neighbours, ends of the range, huge, tiny, zeros of both signs."""
    kind = np.dtype(dtype)
    if kind.kind in "iu":
        few = rng.integers(-3 if kind.kind == "i" else 0, 4, shape).astype(kind)
        wide = rng.integers(np.iinfo(kind).min, np.iinfo(kind).max, shape, kind, endpoint=True)
        return np.where(rng.random(shape) < 0.5, few, wide)
    halves = np.ldexp(1.0, -np.broadcast_to(np.where(formats.live, formats.width - formats.integer, 0), shape[1:]) - 1)
    span = np.ldexp(1.0, np.broadcast_to(formats.width, shape[1:]) + 1)
    ties = rng.integers(-40, 41, shape) * halves
    ends = np.rint(rng.choice([-2, -1, -0.5, 0, 0.5, 1, 2], shape) * span + rng.integers(-2, 3, shape)) * halves
    special = rng.choice([0.0, -0.0, 5e-324, -5e-324, 1e-45, -1e-45, 3e38, -3e38, 1e-20, 16777217.0], shape)
    rest = rng.normal(size=shape) * span * halves
    with np.errstate(over="ignore", under="ignore"):
        found = np.choose(rng.integers(0, 4, shape), [ties, ends, special, rest]).astype(kind)
        to = np.array(rng.choice([-1, 1], shape), kind) * np.finfo(kind).max
        return np.where(rng.random(shape) < 0.4, np.nextafter(found, to), found)


@needs_compiler
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("rounding", "overflow"), QUICK)
def test_any_numbers_and_types(rounding, overflow, dtype):
    rng = np.random.default_rng(QUICK.index((rounding, overflow)))
    taken = 0
    for number in range(30):
        shape = ((3,), (4, 5), (1,), (2, 3, 4))[number % 4]
        grain = ((), shape, shape[-1:], (*shape[:1], *[1] * (len(shape) - 1)))[number // 4 % 4]
        widest = int(rng.choice([3, 9, 20, 23, 40, 46]))
        width = rng.integers(0 if number % 3 else 1, widest + 1, grain)
        integer = width - rng.integers(0, 12, grain)
        formats = Formats(rng.integers(0, 2, grain) > 0, width, integer, rounding, overflow)
        samples = values(rng, formats, (37, *shape), dtype)
        given = feed(samples, formats, ("float64", "float32")[number % 2], int(rng.integers(0, 4)))
        assert_alike(given)
        taken += QuickCast(given, given.op.port.native)._call is not None
    assert taken > 15


@needs_compiler
@pytest.mark.parametrize(("rounding", "overflow"), [m for m in itertools.product(ROUNDING, OVERFLOW) if m not in QUICK])
def test_other_modes_are_left_to_numpy(rounding, overflow):
    rng = np.random.default_rng(0)
    formats = Formats.of(Fixed(True, 9, 3, rounding, overflow))
    assert_alike(feed(values(rng, formats, (50, 7), "f4"), formats), quickly=False)


@needs_compiler
@pytest.mark.parametrize("formats", [Fixed(True, 8, 12), Fixed(True, 60, 8), Fixed(True, 8, -110)])
def test_other_types_are_left_to_numpy(formats):
    rng = np.random.default_rng(0)
    samples = values(rng, Formats.of(formats), (50, 7), "f8") / 1e30
    assert_alike(feed(samples, Formats.of(formats)), quickly=False)


@needs_compiler
@pytest.mark.parametrize("dtype", ["f2", ">f4", ">f8", "i8", "u8", ">i2", "bool", "longdouble"])
def test_other_numbers_are_left_to_numpy(dtype):
    samples = np.random.default_rng(0).integers(0, 2, (60, 7)).astype(dtype)
    assert_alike(feed(samples, Formats.of(Fixed(True, 8, 3, "RND", "SAT"))), quickly=False)


EIGHT = Formats(True, [8, 7, 6, 8, 5], 3, "RND", "SAT")


@needs_compiler
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_samples_of_any_layout(dtype):
    x = values(np.random.default_rng(0), EIGHT, (60, 4, 5), dtype)
    bytes_ = np.frombuffer(b"x" + x.tobytes(), np.uint8)
    unaligned = np.ndarray(x.shape, x.dtype, bytes_.data, 1)
    assert not unaligned.flags.aligned
    read_only = x.copy()
    read_only.flags.writeable = False
    others = [
        np.asfortranarray(x),
        np.repeat(x, 2, axis=0)[::2],
        x[:, ::-1, ::-1],
        x[::-1],
        np.broadcast_to(x[:1], x.shape),
        unaligned,
        read_only,
    ]
    for other in others:
        assert_alike(feed(other, EIGHT), quickly=True)


@needs_compiler
@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("size", [1, 5, 499, 500, 501, 3000])
def test_parts_and_threads_change_nothing(threads, size):
    formats = Formats(True, np.random.default_rng(0).integers(3, 9, size), 3, "RND_CONV", "SAT")
    given = feed(values(np.random.default_rng(1), formats, (23, size), "f4"), formats)
    for start in (0, 1, 22, 23):
        assert_alike(given, threads, start, quickly=True)


@needs_compiler
def test_a_place_that_does_not_lie_in_a_row():
    given = feed(values(np.random.default_rng(0), EIGHT, (30, 5), "f4"), EIGHT)
    wanted = given.into(np.empty((30, 5), np.int64))
    out = np.zeros((30, 10), np.int16)[:, ::2]
    QuickCast(given, out.dtype).into(0, out)
    np.testing.assert_array_equal(out, wanted)


@needs_compiler
@pytest.mark.parametrize("overflow", ["WRAP", "SAT", "SAT_SYM"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("place", [0, 700, -1])
def test_what_is_no_number_is_refused(value, dtype, overflow, place):
    formats = Formats.of(Fixed(True, 8, 3, "RND", overflow))
    samples = np.zeros((300, 5), dtype)
    samples.flat[place] = value
    quick = QuickCast(feed(samples, formats), np.int8)
    assert quick._call is not None
    with pytest.raises(InvalidData, match="NaN or infinite"):
        quick.into(0, np.empty(samples.shape, np.int8))


@needs_compiler
def test_few_samples_start_no_compiler(monkeypatch):
    monkeypatch.setattr(quick_cast, "_WORTH", 1 << 20)
    monkeypatch.setattr(quick_cast, "_function", lambda: pytest.fail("it was asked for"))
    assert_alike(feed(np.ones((30, 5), np.float32), EIGHT), quickly=False)


@pytest.mark.parametrize(
    "problem", [CSimulationError("no compiler"), OSError("no such file"), AttributeError("no name")]
)
def test_without_the_library_numpy_casts(monkeypatch, problem):
    def refuse(*args):
        raise problem

    monkeypatch.setattr(quick_cast, "build_source", lambda source: source)
    monkeypatch.setattr(ctypes, "CDLL", refuse)
    monkeypatch.setattr(quick_cast, "_function", quick_cast._function.__wrapped__)
    assert_alike(feed(np.ones((30, 5), np.float32), EIGHT), quickly=False)


@pytest.mark.parametrize("answer", [0, 1, 2])
def test_a_library_that_is_wrong_is_not_used(answer):
    assert not quick_cast._agrees(lambda *args: answer)


@needs_compiler
def test_told_to_be_inexact_the_compiler_is_exact_all_the_same(monkeypatch, tmp_path):
    monkeypatch.setenv(
        "CXX", f"{shutil.which('g++') or shutil.which('clang++')} -Ofast -ffast-math -fsanitize=undefined"
    )
    monkeypatch.setenv("KERAS_HLS_CACHE", str(tmp_path))
    function = quick_cast._function.__wrapped__()
    assert function is not None
    monkeypatch.setattr(quick_cast, "_function", lambda: function)
    tiny = np.full((40, 5), -1e-40, np.float32)
    assert_alike(feed(tiny, Formats.of(Fixed(True, 8, 3))), quickly=True)
    # Nor does loading it change how this process calculates.
    assert np.float32(1e-40) * np.float32(0.5) > 0
