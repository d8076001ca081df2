"""Names for what layers answer, one for each result of each call: the same for a graph's places and for Keras's own values."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from keras_hls.frontends.program import Step


def answer_names(steps: Iterable[Step[Any]]) -> dict[int, str]:
    """Return a name for every tensor that a call makes, by the tensor's number, in the order of the calls.

    The layer's own, as "outer/inner"; "shared#2" is the second call of a layer, "split[1]" the second result of a call.
    """
    found: dict[int, str] = {}
    taken: set[str] = set()
    for step in steps:
        for i, tensor in enumerate(step.makes):
            call = f"#{step.number + 1}" if step.number else ""
            name = f"{step.layer}{call}{f'[{i}]' if i else ''}"
            # Another layer may be called so.
            while name in taken:
                name += "'"
            taken.add(name)
            found[tensor] = name
    return found
