"""Types for a model that doesn't say them: from calibration samples, an error budget, or the user."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from keras_hls.errors import InvalidData, InvalidOption, TooWide
from keras_hls.graph import Graph
from keras_hls.options import MOST_BITS, Options
from keras_hls.passes import prepare
from keras_hls.passes.calibrate import calibrate
from keras_hls.passes.input_casts import Caster
from keras_hls.passes.unquantized import unquantized
from keras_hls.sim.emulator import Emulator, Samples, sample_arrays, to_floats, to_raw

#: Bits that a search for the fewest starts from.
_LEAST_BITS = 2

#: Bits that index a table, at most, while searching.
_MOST_INDEX = 18

#: The model's own answers to samples: takes one array an input and for each output whether it is wanted before its softmax.
Reference = Callable[[Sequence[npt.NDArray[Any]], Sequence[bool]], Sequence[npt.NDArray[Any]]]


def choose_types(
    graph: Graph, options: Options, samples: Samples | None, reference: Reference, *, caster: Caster
) -> Graph:
    """Return the graph with types for all that has none, ready for `prepare`.

    Parameters
    ----------
    graph : Graph
        As a frontend made it, without what no output needs.
    options : Options
        Its `precision`, `bits` and `max_error`.
    samples : samples, optional
        For calibration.
    reference : function
        Asked for the model's answers if there is a `max_error`.
    caster : function
        Makes the op that casts to formats.

    Raises
    ------
    InvalidOption
        If no number of bits keeps within `max_error`, or there are no samples to measure it with.
    InvalidData
        If the samples don't suit the inputs, or hold NaN or infinite values.
    """
    precision = options.precisions()
    if not precision.layers and not unquantized(graph):
        return graph
    arrays = None if samples is None else _checked(graph, samples)
    if options.max_error is None:
        return calibrate(graph, precision, arrays, caster=caster)
    if arrays is None:
        raise InvalidOption("max_error is measured on samples; pass calibration=samples as well")
    expected: dict[tuple[bool, ...], Sequence[npt.NDArray[Any]]] = {}

    def attempt(bits: int) -> tuple[Graph, float]:
        typed = calibrate(
            graph, replace(precision, bits=bits, index_bits=min(bits, _MOST_INDEX)), arrays, caster=caster
        )
        whole = prepare(typed, softmax=options.softmax)
        before = tuple(bool(function) for function in whole.host)
        if before not in expected:
            expected[before] = reference(arrays, before)
        answers = to_floats(whole, Emulator(whole).run(to_raw(whole, arrays)))
        answers = answers if isinstance(answers, list) else [answers]
        return typed, max(float(np.abs(a - e).max(initial=0)) for a, e in zip(answers, expected[before]))

    fewest = _LEAST_BITS
    best, error, most = _widest(attempt)
    if not error <= options.max_error:
        raise InvalidOption(
            f"max_error={options.max_error:g} can't be kept: with {most} bits the outputs are off by {error:.3g}; allow more"
        )
    while fewest < most:
        bits = (fewest + most) // 2
        typed, error = attempt(bits)
        if error <= options.max_error:
            best, most = typed, bits
        else:
            fewest = bits + 1
    return best


def _widest(attempt: Callable[[int], tuple[Graph, float]]) -> tuple[Graph, float, int]:
    """Return what the most bits give with which all sums still fit 63 bits."""
    for bits in range(MOST_BITS, _LEAST_BITS, -1):
        with suppress(TooWide):
            return *attempt(bits), bits
    return *attempt(_LEAST_BITS), _LEAST_BITS


def _checked(graph: Graph, samples: Samples) -> list[npt.NDArray[Any]]:
    arrays = sample_arrays(graph, samples)
    if not len(arrays[0]):
        raise InvalidData("calibration must hold at least one sample")
    for node, array in zip(graph.inputs, arrays):
        if not np.isfinite(array).all():
            raise InvalidData(f"Calibration samples of input {node.layer!r} hold NaN or infinite values")
    return arrays
