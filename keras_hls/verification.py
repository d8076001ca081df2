"""Holding C-simulation, emulator and Keras side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from keras_hls.fixed import BoolArray, FloatArray, IntArray
from keras_hls.graph import Graph, Input

# Keras computes in float32: integers of more bits than its mantissa are rounded.
_FLOAT32_BITS = 24
# Share of values behind a quotient that may differ: Keras's float32 rounds such a result before a
# quantizer cuts it, some backends in more than the last bit, and then tips one that should have been, say, a whole number.
_TIPPED = 0.1
# What Keras itself is off, relative to values of 1 or more, where it computes what float32 can't hold.
_FLOAT32_NOISE = 1e-6
#: Samples that are named as examples, at most.
_EXAMPLES = 10


@dataclass(frozen=True)
class Verification:
    """What came of running the same samples through Keras, the integer emulator and the C-simulation.

    Attributes
    ----------
    samples, values : int
        How many samples were run, and how many output values that makes.
    csim_different : int or None
        Output values in which C-simulation and emulator differ in any bit; None if C-simulation didn't run.
    keras_different : int or None
        Output values in which emulator and Keras differ at all; None if there was no Keras model to ask.
    samples_different : int
        Samples with any such value.
    argmax_different : int
        Samples whose largest output is another one than Keras's.
    largest_difference : float
        Between emulator and Keras.
    inexact_layers : tuple of str
        Layers whose values need more bits than float32 has, so that Keras itself may round.
    approximations : dict of str to float
        Layers that aren't computed exactly, such as a softmax, and how far each may be off.
    chosen : tuple of str
        Layers at or before which there are no quantizers, so that types were chosen and the hardware approximates Keras's floats.
    unexplained : int
        Output values that differ from Keras's and have no such layer before them, or are further off than it may be.
    examples : tuple of int
        The first few samples with a value that is unexplained, or that differs in C-simulation.
    """

    samples: int
    values: int
    csim_different: int | None
    keras_different: int | None
    samples_different: int = 0
    argmax_different: int = 0
    largest_difference: float = 0.0
    inexact_layers: tuple[str, ...] = ()
    approximations: Mapping[str, float] = field(default_factory=dict)
    unexplained: int = 0
    chosen: tuple[str, ...] = ()
    examples: tuple[int, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether nothing that was compared differs, but where Keras's float32 rounds or a layer is no exact one."""
        return not self.csim_different and not self.unexplained

    def __str__(self) -> str:
        lines = []
        if self.csim_different is None:
            lines.append("C-simulation didn't run.")
        else:
            lines.append(f"C-simulation against emulator: {self.csim_different:,} of {self.values:,} values differ.")
        if self.keras_different is None:
            lines.append("Keras wasn't asked.")
        else:
            same = self.samples - self.samples_different
            lines.append(f"Hardware answer equals Keras's, every bit, in {same:,} of {self.samples:,} samples.")
        if self.keras_different:
            lines.append(
                f"{self.keras_different:,} of {self.values:,} values differ, by at most {self.largest_difference:g};"
                f" {self.argmax_different:,} samples have another argmax."
            )
            if inexact := [layer for layer in self.inexact_layers if layer not in self.chosen]:
                lines.append(
                    f"Keras's float32 can't hold every value of {', '.join(map(repr, inexact))}: there the"
                    " hardware is exact and Keras rounds."
                )
            if self.chosen:
                agree = 1 - self.argmax_different / max(self.samples, 1)
                lines.append(
                    f"At or before {', '.join(map(repr, self.chosen))} the model has no quantizers: types were chosen, and"
                    f" {agree:.2%} of the samples keep their argmax."
                )
            for layer, bound in self.approximations.items():
                lines.append(f"Layer {layer!r} is computed to so many bits, off by at most {bound:.2g}.")
            if self.unexplained:
                lines.append(f"{self.unexplained:,} of the values have no such reason to differ.")
        return "\n".join(lines)


def compare(
    graph: Graph,
    emulated: Sequence[IntArray],
    simulated: Sequence[IntArray] | None,
    expected: Sequence[npt.NDArray[Any]] | None,
) -> Verification:
    """Return how raw integers of emulator and C-simulation, and Keras's values, differ; each one array an output."""
    count = len(emulated[0])
    values = sum(a.size for a in emulated)
    wrong = [np.zeros(a.shape, bool) if simulated is None else a != b for a, b in zip(emulated, simulated or emulated)]
    csim = None if simulated is None else sum(int(w.sum()) for w in wrong)
    if expected is None:
        return Verification(count, values, csim, None, examples=_examples(wrong))
    floats = [graph.types[name].to_float(raw) for name, raw in zip(graph.outputs, emulated)]
    wanted = [np.asarray(e, np.float64).reshape(v.shape) for e, v in zip(expected, floats)]
    different = [v != e for v, e in zip(floats, wanted)]
    argmax = np.zeros(count, bool)
    for v, e in zip(floats, wanted):
        if v.ndim > 1 and v.shape[-1] > 1 and count:
            argmax |= (v.argmax(-1) != e.argmax(-1)).reshape(count, -1).any(1)
    largest = max((float(np.abs(v - e).max(initial=0)) for v, e in zip(floats, wanted)), default=0.0)
    inexact, errors = inexact_layers(graph), _errors(graph)
    allowed = _tolerances(graph, inexact, errors)
    odd = [unexplained(v, e, allowed[name]) for name, v, e in zip(graph.outputs, floats, wanted)]
    tipped = _behind_endless(graph)
    odd = [
        np.zeros_like(o) if o.size and name in tipped and o.mean() <= _TIPPED else o
        for name, o in zip(graph.outputs, odd)
    ]
    return Verification(
        count,
        values,
        csim,
        sum(int(d.sum()) for d in different),
        int(_any(different).sum()),
        int(argmax.sum()),
        largest,
        inexact,
        {graph[name].layer: error for name, error in errors.items()},
        sum(int(o.sum()) for o in odd),
        graph.chosen,
        _examples([*wrong, *odd]),
    )


def _any(marked: Sequence[BoolArray]) -> BoolArray:
    """For each sample, whether anything of it is marked."""
    found = np.zeros(len(marked[0]), bool)
    for array in marked:
        found |= array.any(axis=tuple(range(1, array.ndim)))
    return found


def _examples(marked: Sequence[BoolArray]) -> tuple[int, ...]:
    return tuple(map(int, np.flatnonzero(_any(marked))[:_EXAMPLES]))


def _errors(graph: Graph) -> dict[str, float]:
    """How far each node's values may be off, for those that aren't exact."""
    errors = {node.name: node.op.error(*graph.input_types(node)) for node in graph}
    return {name: error for name, error in errors.items() if error}


def tolerances(graph: Graph) -> dict[str, float]:
    """Return how far each node's values may be from Keras's: nothing, what an op may be off, or anything.

    Behind a value that Keras rounds, or that is no exact one, a quantizer can tip, and then no bound holds.
    """
    return _tolerances(graph, inexact_layers(graph), _errors(graph))


def _tolerances(graph: Graph, inexact: Sequence[str], errors: Mapping[str, float]) -> dict[str, float]:
    rounded = {*inexact, *graph.chosen}
    found: dict[str, float] = {}
    for node in graph:
        before = max((found[name] for name in node.inputs), default=0.0)
        if node.layer in rounded or (before and not node.op.selects):
            found[node.name] = np.inf
        else:
            found[node.name] = before + errors.get(node.name, 0.0)
    return found


def _behind_endless(graph: Graph) -> set[str]:
    """Nodes that a result without a last bit goes into."""
    found: set[str] = set()
    for node in graph:
        if node.op.endless or any(name in found for name in node.inputs):
            found.add(node.name)
    return found


def unexplained(values: FloatArray, expected: FloatArray, tolerance: float) -> BoolArray:
    """Return which values differ from Keras's by more than they may."""
    with np.errstate(invalid="ignore"):
        allowed = tolerance + _FLOAT32_NOISE * np.maximum(np.abs(expected), 1) if tolerance else 0.0
        return (values != expected) & ~(np.isfinite(expected) & (np.abs(values - expected) <= allowed))


def inexact_layers(graph: Graph) -> tuple[str, ...]:
    """Return the layers with a value of more significant bits than float32 has."""
    names = [
        node.layer
        for node in graph
        if not isinstance(node.op, Input)
        and max(int(graph.types[node.name].widths.max(initial=0)), node.width) > _FLOAT32_BITS
    ]
    return tuple(dict.fromkeys(names))


def sample_inputs(graph: Graph, count: int, seed: int = 0) -> list[npt.NDArray[np.float32]]:
    """Return random samples that use the whole range of every input and a little more, one array an input."""
    rng = np.random.default_rng(seed)
    samples = []
    for node in graph.inputs:
        assert isinstance(node.op, Input)
        kind = graph.types[node.name]
        if node.op.limits is not None:
            samples.append(rng.integers(*node.op.limits, (count, *kind.shape), endpoint=True).astype(np.float32))
            continue
        low, high = (float(np.ldexp(float(v), -kind.frac)) for v in (kind.hull.low, kind.hull.high))
        middle, reach = (low + high) / 2, (high - low) / 2
        spread = rng.uniform(-1.1, 1.1, (count, *kind.shape)) * rng.choice([1.0, 0.25, 0.05], (count, *kind.shape))
        samples.append((middle + reach * spread).astype(np.float32))
    return samples
