"""Choose the types that a float model doesn't say: of its weights, its inputs and what its layers hand on.

Values are followed through the network as the hardware will compute them: a layer's range is what its integers were for
the given samples, after everything before it was rounded. So on those samples nothing overflows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from keras_hls.errors import InvalidOption, TooWide, did_you_mean
from keras_hls.fixed import (
    Constant,
    Fixed,
    FloatCast,
    Formats,
    IntArray,
    Real,
    TensorType,
)
from keras_hls.graph import Graph, Input, Names, Node, Place, infer, named, settle
from keras_hls.op import Op, op_fields, reals, with_weights
from keras_hls.passes.fitting_types import constant, holding, significant
from keras_hls.passes.input_casts import Caster, cast_inputs
from keras_hls.passes.unquantized import refuse_unquantized, unquantized
from keras_hls.precision import EVERY, Precision

#: Values of samples that are worked on at a time.
_CHUNK = 1 << 22
#: Bits that a table may be looked up with where a user says so.
_MOST_INDEX = 20
#: More fractional bits than any type has, and how many fewer are tried at a time where a layer has too many.
_FINEST, _COARSER = 1 << 10, 4
#: How many bits finer what is lost then must be than the last bit that a result keeps.
_SPARE = 8


#: A node with its weights as integers, its op as settled, and the type of its result.
_Settled = tuple[Node, Op, TensorType]


def calibrate(
    graph: Graph, precision: Precision, samples: Sequence[npt.NDArray[Any]] | None, *, caster: Caster
) -> Graph:
    """Return the graph with a type for every weight, and casts where layers hand on more bits than they should.

    Layers with quantizers of their own stay as they are.

    Parameters
    ----------
    graph : Graph
        As a frontend made it.
    precision : Precision
    samples : sequence of arrays, optional
        One an input, (n, ...). Without them, `precision` must say the type of every layer that has none.
    caster : function
        Makes the op that casts to formats.

    Raises
    ------
    InvalidOption
        If `precision` names a layer that isn't there, or that has quantizers of its own, or a weight doesn't fit.
    UnsupportedModel
        If a type can be had neither from samples nor from `precision`.
    """
    _check_names(graph, precision)
    precision = precision if samples is not None else precision.given()
    if samples is None and not all(precision.of(name, "result") for name in unquantized(graph)):
        refuse_unquantized(graph)
    whole, casts = cast_inputs(graph, precision, samples, caster)
    return _Calibration(whole, casts, precision, samples, caster).graph


def _check_names(graph: Graph, precision: Precision) -> None:
    known = {node.layer for node in graph} | {node.name for node in graph}
    own = {node.layer for node in graph if node.op.cast is not None}
    for name in sorted(set(precision.layers) - {EVERY}):
        # What says nothing may be of another tool's layers.
        if precision.layers[name] and not any(precision.layers[name].values()):
            continue
        if name not in known:
            raise InvalidOption(
                f"precision names {name!r}, which isn't a layer of the model.{did_you_mean(name, known)} Known:"
                f" {', '.join(sorted({node.layer for node in graph}))}"
            )
        if name in own:
            raise InvalidOption(f"precision names {name!r}, but that layer has quantizers of its own; leave it out")


class _Calibration:
    """One walk through the network, types and values side by side."""

    def __init__(
        self,
        graph: Graph,
        casts: set[str],
        precision: Precision,
        samples: Sequence[npt.NDArray[Any]] | None,
        caster: Caster,
    ):
        self.source, self.precision, self.caster = graph, precision, caster
        self.nodes: list[Node] = []
        self.names = Names(node.name for node in graph)
        self.types: dict[str, TensorType] = {}
        #: Raw integers of the samples at each node that is still read, as narrow as they fit; no entries without samples.
        self.values: dict[str, npt.NDArray[Any]] = {}
        self.follows = samples is not None
        self.count = len(samples[0]) if samples else 0
        self.renamed: dict[str, str] = {}
        #: Nodes whose values differ from the model's own floats.
        self.floats: set[str] = set(casts)
        self.source_casts = frozenset(casts)
        #: Nodes with values of a type that the user gave.
        self.given = {name for name in casts if precision.of(graph[name].layer, "result") is not None}
        #: Layers with such values, and those of them where a type was chosen.
        self.layers: dict[str, None] = {}
        self.typed: dict[str, None] = {}
        last_reader = {name: node.name for node in graph for name in node.inputs}
        inputs = {node.name: i for i, node in enumerate(graph.inputs)}
        for node in graph:
            if node.name in inputs:
                self._input(node, None if samples is None else samples[inputs[node.name]])
            else:
                self._node(node)
            for name in {n for n in node.inputs if last_reader[n] == node.name}:
                self.values.pop(self._now(name), None)
        chosen = tuple(self.layers)
        note = (
            f"The model has no quantizers at {', '.join(map(repr, self.typed))}: types were chosen there, and the hardware"
            " approximates the model's floats."
        )
        self.graph = replace(
            graph.moved({name: Place(to) for name, to in self.renamed.items()}),
            nodes=tuple(self.nodes),
            outputs=tuple(map(self._now, graph.outputs)),
            notes=(*graph.notes, *([note] if chosen else [])),
            chosen=chosen,
        )

    def _now(self, name: str) -> str:
        return self.renamed.get(name, name)

    def _input(self, node: Node, samples: npt.NDArray[Any] | None) -> None:
        op = node.op
        assert isinstance(op, Input)
        assert op.formats is not None
        assert op.port is not None
        self.nodes.append(node)
        self.types[node.name] = op.infer()
        if samples is not None:
            taken = np.asarray(samples, np.float32) if op.samples == "float32" else samples
            raw = FloatCast(op.formats)(taken) << (op.port.frac - op.formats.frac)
            self.values[node.name] = _narrow(raw)

    def _node(self, node: Node) -> None:
        inputs = [self._now(name) for name in node.inputs]
        if (kind := node.op.narrow) is not None and any(name in self.floats for name in inputs):
            inputs = [self._narrowed(node, i, name, kind) for i, name in enumerate(inputs)]
        own = list(reals(node.op))
        node, op, self.types[node.name] = self._fitting(replace(node, inputs=tuple(inputs)), own)
        self.nodes.append(node)
        self._follow(node, op, [self.types[name] for name in node.inputs])
        is_cast = node.op.cast is not None
        if own or node.name in self.floats or any(name in self.floats for name in inputs):
            self.floats.add(node.name)
            self.layers[node.layer] = None
        if own or node.name in self.source_casts:
            self.typed[node.layer] = None
        if node.op.selects and inputs and all(name in self.given for name in node.inputs):
            self.given.add(node.name)
        given = self._given(node)
        too_wide = self.types[node.name].hull.width > self.precision.bits
        if given is not None or (node.name in self.floats and too_wide and not is_cast and self._leaves(node)):
            self._cast(node, given)

    def _leaves(self, node: Node) -> bool:
        """Whether the layer hands the node's value on; what the host may compute is no value of the hardware's."""
        readers = self.source.readers[node.name]
        if node.op.host is not None and not readers:
            return False
        if node.name not in self.source.outputs and all(r.op.cast is not None for r in readers):
            return False
        return node.name in self.source.outputs or any(r.layer != node.layer for r in readers)

    def _given(self, node: Node) -> Fixed | None:
        """The type that a user gave a node: by its own name, or as the last of its layer's."""
        layers = self.precision.layers
        if node.op.cast is not None:
            return None
        if node.name in layers and node.name != node.layer:
            return layers[node.name].get("result")
        if node.layer in layers and "result" in layers[node.layer]:
            after = [r for r in self.source.readers[node.name] if r.layer == node.layer and r.name not in layers]
            return None if after else layers[node.layer]["result"]
        handed_on = self._leaves(node) and node.name in self.floats and not node.op.wiring
        return layers.get(EVERY, {}).get("result") if handed_on else None

    def _fitting(self, node: Node, own: list[tuple[str, Real]]) -> _Settled:
        """Return a node with its weights as integers, its op as settled, and the type of its result.

        Where what it computes leaves 63 bits, because some of it is far smaller than the rest, the finest of what has types of
        our choice is made coarser until it fits.
        """
        try:
            return self._settled(node, own, _FINEST)
        except TooWide:
            found = self._coarsened(node, own) if self.follows else None
            if found is None:
                raise
        casts, settled = found
        for cast in casts:
            self._add(cast)
        return settled

    def _coarsened(self, node: Node, own: list[tuple[str, Real]]) -> tuple[list[Node], _Settled] | None:
        """Return casts that make what a node reads coarser until the result fits, and the node then; None if none do."""
        fields = op_fields(self._with_constants(node, _FINEST)).values()
        constants = [c for value in fields for c in (value if isinstance(value, tuple) else (value,)) if _known(c)]
        kinds = [*(c.type for c in constants), *(self.types[name] for name in node.inputs)]
        most = max((kind.frac for kind in kinds), default=0)
        # By how many bits a factor beside it may make what is lost larger.
        larger = max((kind.hull.integer for kind in kinds), default=0)
        for finest in range(most - 1, most - _FINEST, -_COARSER):
            casts = {name: self._coarser(node, i, finest) for i, name in enumerate(node.inputs)}
            made = [cast for cast in casts.values() if cast is not None]
            for cast in made:
                self.types[cast.name] = infer(cast, [self.types[cast.inputs[0]]])
            places = {cast.inputs[0]: cast.name for cast in made}
            inputs = tuple(places.get(name, name) for name in node.inputs)
            with suppress(TooWide):
                settled = self._settled(replace(node, inputs=inputs), own, finest)
                result = settled[2].hull
                # What is lost must be far less than what anything takes of the result.
                little = finest - max(larger, 0) >= self.precision.bits + _SPARE - result.integer
                return (made, settled) if little else None
        return None

    def _settled(self, node: Node, own: list[tuple[str, Real]], finest: int) -> _Settled:
        node = replace(node, op=self._with_constants(node, finest))
        types = [self.types[name] for name in node.inputs]
        op = settle(node, types, None)
        return node, op, infer(node, types, op)

    def _coarser(self, node: Node, i: int, finest: int) -> Node | None:
        """Return the cast that takes the finest bits from what a node reads, if they are ours to choose; else None."""
        name = node.inputs[i]
        kind = self.types[name].hull
        if name not in self.floats or name in self.given or kind.frac <= finest:
            return None
        # Of what is finer than that altogether, nothing is left.
        width = max(kind.width - kind.frac + finest, 0)
        formats = Formats(np.asarray(kind.signed), np.asarray(width), np.asarray(width - finest), "RND", "SAT")
        return Node(self.names.free(f"{node.name}_coarser{i}"), self.caster(formats), (name,), node.layer)

    def _with_constants(self, node: Node, finest: int) -> Op:
        def chosen(name: str, real: Real) -> Constant:
            kind = "bias" if name in ("bias", "offset") else "weight"
            given = self.precision.of(node.layer, kind)
            bits = self.precision.bits
            if given is None and node.op.scaling is not None and kind == "weight":
                return significant(real, bits, finest)
            to = given or holding(float(np.abs(real.values).max(initial=0)), True, bits)
            if given is None and to.frac > finest:
                width = max(to.width - to.frac + finest, 2)
                to = replace(to, width=width, integer=width - finest)
            return constant(real, to, f"Layer {node.layer!r}: its {name}", given is not None)

        return with_weights(node.op, chosen)

    def _narrowed(self, node: Node, i: int, name: str, kind: str) -> str:
        """Cast what an op takes in few bits only, where it has more."""
        bits = min(self.precision.index_bits, self.precision.bits) if kind == "index" else self.precision.bits
        kept = self.types[name]
        if name in self.given and (kind == "value" or kept.hull.width <= _MOST_INDEX):
            return name
        # Where each element has its own factor, each has its own type.
        if (int(kept.widths.max(initial=0)) if node.op.scaling is not None else kept.hull.width) <= bits:
            return name
        to = self._observed(name, bits) if self.follows else self.precision.of(node.layer, "result")
        if to is None:
            return name
        place = "input" if len(node.inputs) == 1 else f"input{i}"
        cast = Node(self.names.free(f"{node.name}_{place}"), self.caster(Formats.of(to)), (name,), node.layer)
        self._add(cast)
        return cast.name

    def _cast(self, node: Node, given: Fixed | None) -> None:
        if given is None and not self.follows:
            return
        formats = Formats.of(given or self._observed(node.name, self.precision.bits))
        cast = Node(self.names.free(f"{node.name}_result"), self.caster(formats), (node.name,), node.layer)
        self._add(cast)
        if given is not None:
            self.given.add(cast.name)
        self.values.pop(node.name, None)
        self.renamed[node.name] = cast.name

    def _add(self, cast: Node) -> None:
        types = [self.types[cast.inputs[0]]]
        self.nodes.append(cast)
        self.types[cast.name] = infer(cast, types)
        self._follow(cast, cast.op, types)
        self.floats.add(cast.name)
        self.layers[cast.layer] = self.typed[cast.layer] = None

    def _observed(self, name: str, bits: int) -> Fixed:
        kind, values = self.types[name], self.values[name]
        low, high = (int(values.min()), int(values.max())) if values.size else (0, 0)
        signed = bool((kind.low < 0).any())
        return holding(float(np.ldexp(float(max(high, -low)), -kind.frac)), signed, bits)

    def _follow(self, node: Node, op: Op, types: Sequence[TensorType]) -> None:
        if not self.follows:
            return
        kind = self.types[node.name]
        with named(node):
            run: Callable[..., IntArray] = op.bind(*types)
        sources = [self.values[name] for name in node.inputs]
        sizes = [prod(t.shape) for t in (*types, kind)]
        step = max(_CHUNK // max(*sizes, 1), 1)
        parts = [
            _narrow(run(*(v[i : i + step].astype(np.int64) for v in sources)), kind) for i in range(0, self.count, step)
        ]
        self.values[node.name] = np.concatenate(parts) if parts else np.zeros((0, *kind.shape), np.int64)


def _narrow(raw: IntArray, kind: TensorType | None = None) -> npt.NDArray[Any]:
    """Return integers in as few bytes as hold them, or all of a type."""
    low, high = (
        (raw.min(initial=0), raw.max(initial=0))
        if kind is None
        else (kind.low.min(initial=0), kind.high.max(initial=0))
    )
    return raw.astype(np.promote_types(np.min_scalar_type(int(low)), np.min_scalar_type(int(-high - 1))))


def _known(value: Any) -> bool:
    return isinstance(value, Constant) and not isinstance(value, Real)
