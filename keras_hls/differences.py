"""What changed from one snapshot to another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_hls import storage
from keras_hls.fixed import Constant
from keras_hls.graph import Graph, Input
from keras_hls.op import op_fields


@dataclass(frozen=True)
class Difference:
    """What changed between two graphs, by layer."""

    before: Graph
    after: Graph

    @property
    def layers(self) -> dict[str, tuple[str, ...]]:
        """For each layer that changed, what did, one phrase each."""
        old, new = ({n.name: n for n in graph} for graph in (self.before, self.after))
        found: dict[str, list[str]] = {}
        for name in {**old, **new}:
            if name not in new:
                found.setdefault(old[name].layer, []).append(f"{name} is gone")
            elif name not in old:
                found.setdefault(new[name].layer, []).append(f"{name} is new")
            else:
                found.setdefault(new[name].layer, []).extend(self._node(name))
        return {layer: tuple(phrases) for layer, phrases in found.items() if phrases}

    def _node(self, name: str) -> list[str]:
        a, b = self.before, self.after
        phrases = []
        if str(a.types[name].hull) != str(b.types[name].hull):
            phrases.append(f"{name}: {a.types[name].hull} became {b.types[name].hull}")
        first, second = a[name].op, b[name].op
        if type(first) is not type(second):
            return [*phrases, f"{name}: {type(first).__name__} became {type(second).__name__}"]
        if isinstance(first, Input):
            return phrases
        ours, theirs = op_fields(first), op_fields(second)
        for field, value in ours.items():
            if (count := _changed(value, theirs[field])) is not None:
                phrases.append(f"{name}.{field}: {count} changed")
        return phrases

    def __bool__(self) -> bool:
        return bool(self.layers)

    def __str__(self) -> str:
        lines = [f"{layer}: {'; '.join(phrases)}" for layer, phrases in self.layers.items()]
        return "\n".join(lines) or "No difference."


def _changed(a: Any, b: Any) -> str | None:
    """How much of a field changed, in words; None if nothing did."""
    if isinstance(a, Constant) and isinstance(b, Constant) and a.shape == b.shape:
        count = int((np.ldexp(a.raw.astype(float), -a.frac) != np.ldexp(b.raw.astype(float), -b.frac)).sum())
        return f"{count:,} of {a.raw.size:,} numbers" if count else None
    return None if storage.equal(a, b) else "its value"
