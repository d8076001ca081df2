"""Give every input the type that the quantizers behind it ask for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from keras_hls.errors import TooWide, UnsupportedModel
from keras_hls.fixed import MAX_BITS, BoolArray, Fixed, Formats
from keras_hls.graph import Graph, Input, Node
from keras_hls.passes.moved_inputs import MovedInputs


def type_inputs(graph: Graph) -> Graph:
    """Return the graph with `formats` and `port` in every input.

    One quantizer: samples enter in its formats. Several: samples enter in a type so fine and wide that each of the
    quantizers answers as it would for the sample itself. Truncation to a finer grid, and saturation or wrapping to a
    wider range, change nothing that comes after; rounding to nearest needs one more bit, the one that it looks at.

    Raises
    ------
    UnsupportedModel
        If an input is read without a quantizer, or by quantizers that no single type serves; names all such inputs.
    TooWide
        If such a type needs more than 63 bits.
    """
    problems: list[str] = []
    typed: dict[str, Input] = {}
    moved = MovedInputs(graph)
    for node in graph.inputs:
        op = node.op
        if not isinstance(op, Input) or op.port is not None:
            continue
        try:
            formats = _asked(moved, node, op, problems)
            if formats is not None:
                typed[node.name] = replace(op, formats=formats, port=_hull(formats))
        except TooWide as error:
            raise TooWide(
                f"Input {node.layer!r} can't have one type that serves all of its quantizers: {error}. Give them fewer bits"
            ) from None
    if problems:
        raise UnsupportedModel(problems)
    # What only moves samples before a quantizer reads them now moves those that are cast already.
    return graph.with_ops(typed).moved(dict.fromkeys(moved.holding(typed)))


def _asked(moved: MovedInputs, node: Node, op: Input, problems: list[str]) -> Formats | None:
    if moved.plain[node.name]:
        problems.append(moved.problem(node))
        return None
    count = int(np.prod(op.shape, dtype=int))
    asked = [one for reading in moved.readings for one in reading.formats(moved.starts[node.name], count)]
    if not asked:
        return Formats.of(Fixed(False, 1, 1))
    together = _joined(asked, op.shape)
    return _common([formats for formats, _ in asked], node, problems) if together is None else together


def _joined(asked: list[tuple[Formats, BoolArray]], shape: tuple[int, ...]) -> Formats | None:
    """The formats of all elements, if nobody asks for others of an element than somebody else does; else None."""
    first, read = asked[0]
    signed, width, integer = first.signed.copy(), first.width.copy(), first.integer.copy()
    for formats, own in asked[1:]:
        if (formats.rounding, formats.overflow) != (first.rounding, first.overflow):
            return None
        both = read & own
        pairs = (signed, formats.signed), (width, formats.width), (integer, formats.integer)
        if any((mine[both] != theirs[both]).any() for mine, theirs in pairs):
            return None
        for mine, theirs in pairs:
            mine[own] = theirs[own]
        read = read | own
    return Formats(signed.reshape(shape), width.reshape(shape), integer.reshape(shape), first.rounding, first.overflow)


def _common(wanted: list[Formats], node: Node, problems: list[str]) -> Formats | None:
    where = f"{node.layer!r} (input): the quantizers that read it"
    if {"WRAP"} < {w.overflow for w in wanted}:
        problems.append(
            f"{where} must all wrap or all saturate; put one Quantizer layer behind the input for all of them"
        )
        return None
    if any(w.overflow == "SAT_ZERO" for w in wanted):
        problems.append(f"{where} can't differ where one turns overflow into 0 (SAT_ZERO); give them one type")
        return None
    if any(w.rounding == "RND_CONV" for w in wanted):
        problems.append(
            f"{where} differ, and one rounds ties to even (RND_CONV), which needs every bit of a sample; put one Quantizer"
            " layer behind the input for all of them"
        )
        return None
    if any(w.rounding not in ("TRN", "RND") for w in wanted):
        problems.append(f"{where} must round with TRN or RND where they differ; give them one type")
        return None
    frac = max(w.frac + (w.rounding == "RND") for w in wanted)
    integer = max(int((w.integer - w.signed)[w.live].max(initial=-frac)) for w in wanted)
    signed = any(bool((w.signed & w.live).any()) for w in wanted)
    width = max(integer + frac + signed, 1)
    overflow = "WRAP" if wanted[0].overflow == "WRAP" else "SAT"
    return Formats.of(Fixed(signed, width, width - frac, "TRN", overflow))


def _hull(formats: Formats) -> Fixed:
    """The port's type: holds every element's format."""
    if (uniform := formats.uniform) is not None:
        return Fixed(uniform.signed, uniform.width, uniform.integer)
    low, high, finer = formats.bounds(formats.frac)
    if int((formats.width - formats.signed + finer)[formats.live].max(initial=0)) >= MAX_BITS:
        raise TooWide(f"its elements together span more than {MAX_BITS} bits")
    return Fixed.covering(int(low.min()), int(high.max()), formats.frac)
