"""Give every input the type that the quantizers behind it ask for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from keras_hls.errors import TooWide, UnsupportedModel
from keras_hls.fixed import MAX_BITS, Fixed, Formats, TensorType
from keras_hls.graph import Graph, Input, Node, infer


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
    for node in graph.inputs:
        op = node.op
        if not isinstance(op, Input) or op.port is not None:
            continue
        try:
            formats = _asked(graph, node, problems)
            if formats is not None:
                typed[node.name] = replace(op, formats=formats, port=_hull(formats))
        except TooWide as error:
            raise TooWide(
                f"Input {node.layer!r} can't have one type that serves all of its quantizers: {error}. Give them fewer bits"
            ) from None
    if problems:
        raise UnsupportedModel(problems)
    return graph.with_ops(typed)


def _readers(graph: Graph, name: str, shape: tuple[int, ...]) -> list[tuple[Node, tuple[int, ...]]]:
    """The nodes that read a tensor's values, and in which shape; wiring on the way is passed through."""
    found = []
    # Without recursion, as wiring can be deep.
    waiting = [(reader, shape) for reader in reversed(graph.readers[name])]
    while waiting:
        reader, seen = waiting.pop()
        if not reader.op.wiring:
            found.append((reader, seen))
            continue
        after = infer(reader, [TensorType(np.zeros(seen), np.zeros(seen), 0)]).shape
        waiting += [(further, after) for further in reversed(graph.readers[reader.name])]
    return found


def _is_output(graph: Graph, name: str) -> bool:
    waiting = [name]
    while waiting:
        current = waiting.pop()
        if current in graph.outputs:
            return True
        waiting += [reader.name for reader in graph.readers[current] if reader.op.wiring]
    return False


def _asked(graph: Graph, node: Node, problems: list[str]) -> Formats | None:
    shape = node.op.shape if isinstance(node.op, Input) else ()
    readers = _readers(graph, node.name, shape)
    is_output = _is_output(graph, node.name)
    if not readers and not is_output:
        return Formats.of(Fixed(False, 1, 1))
    plain = [reader.layer for reader, _ in readers if reader.op.cast is None]
    if plain or is_output:
        who = ", ".join(map(repr, dict.fromkeys(plain))) or "an output"
        problems.append(
            f"{node.layer!r} (input): {who} reads it without a quantizer, so its precision is unknown; put a Quantizer layer"
            " behind the input"
        )
        return None
    wanted = [_broadcast(r.op.cast, seen, shape) for r, seen in readers if r.op.cast is not None]
    if all(w == wanted[0] for w in wanted):
        return wanted[0]
    return _common(wanted, node, problems)


def _broadcast(formats: Formats, seen: tuple[int, ...], shape: tuple[int, ...]) -> Formats:
    """Formats of a tensor that a reader sees in shape `seen`, for the input's own shape."""
    signed = np.broadcast_to(formats.signed, seen).reshape(shape)
    width, integer = (np.broadcast_to(a, seen).reshape(shape) for a in (formats.width, formats.integer))
    return Formats(signed, width, integer, formats.rounding, formats.overflow)


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
