"""Samples to raw integers as fast as memory is read: numpy's casts take longer than many networks do.

`Feed.into` says what is right. Here the same is done by a small C++ function of our own, built once on a machine, wherever
plain floating-point arithmetic is exact; what isn't, or what it finds odd, numpy does.
"""

from __future__ import annotations

import ctypes
import functools
from concurrent.futures import ThreadPoolExecutor
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from keras_hls.errors import HLSError
from keras_hls.fixed import Fixed, FloatCast, FloatSteps, Formats
from keras_hls.graph import Input
from keras_hls.sim.compiler import build_source
from keras_hls.sim.emulator import Feed

#: Samples' types and rounding modes by the numbers that the C++ knows them by.
_KINDS = {np.dtype(name): i for i, name in enumerate(("f4", "f8", "i1", "u1", "i2", "u2", "i4", "u4"))}
_ROUNDINGS = {"TRN": 0, "RND": 1, "RND_CONV": 2}
#: What it answers: a sample isn't finite once it is scaled, one is outside of its type.
_NOT_FINITE, _OUTSIDE = 1, 2
#: Types whose numbers all are single floats.
_SINGLE = {np.dtype(name) for name in ("f4", "i1", "u1", "i2", "u2")}
#: Entries that a table has at least, so that the C++ works on long runs.
_PERIOD = 1024
#: Values that one call casts, about; what is odd in one of them has numpy do as many again.
_CALL = 1 << 18
#: Fewer values than these numpy casts sooner than a compiler starts.
_WORTH = 1 << 20


class QuickCast:
    """The samples of a feed as raw integers, part by part.

    Parameters
    ----------
    feed : Feed
    raw : dtype
        Of the integers, which must hold every value of the input's port.
    threads : int
    """

    def __init__(self, feed: Feed, raw: npt.DTypeLike, threads: int = 1):
        self.feed = feed
        # One for all parts: a thread starts in the time that some of them take.
        self._pool = ThreadPoolExecutor(threads) if threads > 1 else None
        function = _function() if feed.samples.size >= _WORTH else None
        self._call = None if function is None else _call(function, feed, np.dtype(raw))

    def into(self, start: int, out: npt.NDArray[Any]) -> None:
        """Fill an array with the samples from number `start` on.

        Raises
        ------
        InvalidData
            If one of them is NaN or infinite.
        """
        call, feed = self._call, self.feed[start : start + len(out)]
        if call is None or not out.flags.c_contiguous or not out.flags.aligned:
            feed.into(out)
            return
        step = max(_CALL // max(prod(out.shape[1:]), 1), 1)
        parts = [slice(i, i + step) for i in range(0, len(out), step)]

        def cast(part: slice) -> None:
            # What doesn't lie in a row is copied into one, as numpy does too.
            samples, place = np.require(feed.samples[part], requirements=("C", "A")), out[part]
            if not call(samples, place):
                feed[part].into(place)

        # ctypes releases the lock.
        list(map(cast, parts) if self._pool is None else self._pool.map(cast, parts))


class _Call:
    """The C++ function with all that it is told for a feed's samples and a type of integers."""

    def __init__(self, function: Any, feed: Feed, raw: np.dtype[Any], steps: FloatSteps, dtype: np.dtype[Any]):
        op = feed.op
        assert op.formats is not None
        assert op.port is not None
        self._function = function
        unit = np.ldexp(1.0, steps.finer + (op.port.frac - op.formats.frac))
        together = np.broadcast_arrays(steps.scale, steps.low, steps.high, unit)
        self._tables = [_repeated(array.astype(dtype), op.shape) for array in together]
        places = (ctypes.c_void_p * len(self._tables))(*(table.ctypes.data for table in self._tables))
        self._before = (
            _KINDS[feed.samples.dtype],
            op.samples == "float32",
            _ROUNDINGS[op.formats.rounding],
            raw.itemsize,
        )
        self._after = (dtype == np.float64, places, len(self._tables[0]))
        self._bad = _NOT_FINITE | (_OUTSIDE if op.formats.overflow == "WRAP" else 0)

    def __call__(self, samples: npt.NDArray[Any], raw: npt.NDArray[Any]) -> bool:
        """Cast samples that lie in a row, and return whether all are right."""
        found = self._function(samples.ctypes.data, raw.ctypes.data, samples.size, *self._before, *self._after)
        return not found & self._bad


def _call(function: Any, feed: Feed, raw: np.dtype[Any]) -> _Call | None:
    """Return how the C++ casts samples as the feed's are; None if it doesn't."""
    single = feed.op.samples == "float32" or feed.samples.dtype in _SINGLE
    if feed.samples.dtype in _KINDS and prod(feed.op.shape) > 0:
        for dtype in map(np.dtype, ("f4", "f8") if single else ("f8",)):
            if (steps := feed.cast.steps(dtype)) is not None:
                return _Call(function, feed, raw, steps, dtype)
    return None


def _repeated(array: npt.NDArray[Any], shape: tuple[int, ...]) -> npt.NDArray[Any]:
    """Return numbers that broadcast against a sample in a row: as many as repeat, and that so often that it is long."""
    given = array.reshape((1,) * (len(shape) - array.ndim) + array.shape)
    first = next((axis for axis in range(len(shape)) if given.shape[axis] > 1), len(shape))
    row = np.broadcast_to(given[(0,) * first], shape[first:]).reshape(-1)
    return np.tile(row, -(-_PERIOD // row.size))


@functools.cache
def _function() -> Any:
    """The C++ function; None if it can't be had, or doesn't do what numpy does."""
    try:
        library = ctypes.CDLL(str(build_source(Path(__file__).with_suffix(".cpp"))))
        function = library.keras_hls_cast
    except (HLSError, OSError, AttributeError):
        return None
    pointer, number, whole = ctypes.c_void_p, ctypes.c_int, ctypes.c_int64
    function.argtypes = [pointer, pointer, whole, *[number] * 5, ctypes.POINTER(pointer), whole]
    function.restype = ctypes.c_uint
    return function if _agrees(function) else None


def _agrees(function: Any) -> bool:
    """Whether it does what numpy does; a compiler may have been told to be inexact."""
    grid = np.arange(-40, 40) / 16
    near = np.concatenate([grid, np.nextafter(grid, -9), np.nextafter(grid, 9), [-0.0, 1e30, -1e30, 1e-310, -1e-310]])
    for rounding in _ROUNDINGS:
        for dtype in (np.float32, np.float64):
            samples = np.append(near, np.zeros(-len(near) % 5)).astype(dtype).reshape(-1, 5)
            width, integer = np.array([4, 3, 6, 9, 0]), np.array([2, 3, 3, 2, 0])
            formats = Formats(np.asarray(True), width, integer, rounding, "SAT")
            feed = Feed(samples, Input((5,), formats, Fixed(True, 16, 4)), FloatCast(formats))
            call = _call(function, feed, np.dtype(np.int16))
            out = np.empty(samples.shape, np.int16)
            if call is None or not call(samples, out) or not np.array_equal(out, feed.into(np.empty_like(out))):
                return False
            for odd in (np.nan, np.inf, -np.inf):
                if call(np.full_like(samples, odd), out):
                    return False
    return True
