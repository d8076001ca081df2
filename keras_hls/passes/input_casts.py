"""Casts behind the inputs of a float model, of types that hold the samples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from keras_hls.fixed import FloatArray, Formats, Real
from keras_hls.graph import Graph, Input, Names, Node, Place
from keras_hls.op import Op
from keras_hls.passes.fitting_types import holding
from keras_hls.passes.input_types import type_inputs
from keras_hls.passes.moved_inputs import MovedInputs
from keras_hls.precision import Precision

#: Makes the op that casts to formats; passes know none by name.
Caster = Callable[[Formats], Op]

#: How large a normalised element may usually be.
_USUAL = 8.0


def cast_inputs(
    graph: Graph, precision: Precision, samples: Sequence[npt.NDArray[Any]] | None, caster: Caster
) -> tuple[Graph, set[str]]:
    """Put a cast behind each input that is read without one, and type all inputs; return the casts' names as well."""
    moved = MovedInputs(graph)
    #: For each input, the cast's name and who reads it instead; "" for an output.
    instead: dict[str, tuple[str, set[str]]] = {}
    nodes = []
    names = Names(node.name for node in graph)
    for i, node in enumerate(graph.inputs):
        if not moved.plain[node.name] or getattr(node.op, "port", None) is not None:
            continue
        given = precision.of(node.layer, "result")
        readers = moved.plain_readers(node.name)
        if given is None:
            assert samples is not None
            formats = _ranges(samples[i], precision.bits, _factors(graph, readers))
        else:
            formats = Formats.of(given)
        cast = Node(names.free(f"{node.name}_cast"), caster(formats), (node.name,), node.layer)
        instead[node.name] = (cast.name, readers)
        nodes.append(cast)
    rest = []
    for node in graph:
        inputs = tuple(instead[n][0] if n in instead and node.name in instead[n][1] else n for n in node.inputs)
        rest.append(replace(node, inputs=inputs))
    outputs = tuple(instead[n][0] if n in instead and "" in instead[n][1] else n for n in graph.outputs)
    first = [node for node in rest if isinstance(node.op, Input)]
    others = [node for node in rest if not isinstance(node.op, Input)]
    moved_on = graph.moved({name: Place(to) for name, (to, _) in instead.items()})
    whole = type_inputs(replace(moved_on, nodes=(*first, *nodes, *others), outputs=outputs))
    return whole, {name for name, _ in instead.values()}


def _factors(graph: Graph, readers: set[str]) -> FloatArray | None:
    """Return the factors that bring an input's elements to one scale, if that is what its one reader does; else None."""
    if len(readers) != 1 or "" in readers:
        return None
    scaling = graph[next(iter(readers))].op.scaling
    return scaling[0].values if scaling is not None and isinstance(scaling[0], Real) else None


def _ranges(samples: npt.NDArray[Any], bits: int, factors: FloatArray | None) -> Formats:
    """Return types of so many bits that hold samples without overflow: one for all, or one for each of some factors.

    Elements that a model brings to one scale may differ by orders of magnitude before, and each needs its own last bit.
    """
    values = np.asarray(samples, np.float64)
    signed = bool(values.min(initial=0) < 0)
    largest = np.abs(values).max(0, initial=0)
    whole = float(largest.max(initial=0))
    if factors is None or factors.ndim > largest.ndim or not largest.size:
        return Formats.of(holding(whole, signed, bits))
    shape = (1,) * (largest.ndim - factors.ndim) + factors.shape
    alike = tuple(i for i, size in enumerate(shape) if size == 1)
    with np.errstate(divide="ignore"):
        # A normalised element that hardly varies in these samples may elsewhere.
        usual = np.minimum(_USUAL / np.abs(factors.reshape(shape)), whole)
    held = np.maximum(largest.max(alike, keepdims=True), usual)
    integer = [holding(float(one), signed, bits).integer for one in held.reshape(-1)]
    return Formats(np.asarray(signed), np.asarray(bits), np.asarray(integer).reshape(held.shape), "RND", "SAT")
