"""What types to choose where a model says none: `Precision`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from keras_hls.fixed import Fixed

#: In a precision by layer: all that have no entry of their own.
EVERY = "*"
#: In place of a type: what the samples say.
AUTO = "auto"


@dataclass(frozen=True)
class Precision:
    """What types to choose where a model says none.

    Parameters
    ----------
    bits : int
        Of every type that follows from data: weights, inputs, and what layers hand on.
    index_bits : int
        Of what a table is looked up with, at most.
    layers : mapping
        By layer, types instead of what the data says: of its "result", "weight" and "bias". `EVERY` stands for all layers
        that it doesn't name. None is what the data says; without data, nothing.
    """

    bits: int = 16
    index_bits: int = 12
    layers: Mapping[str, Mapping[str, Fixed | None]] = field(default_factory=dict)

    def of(self, layer: str, what: str) -> Fixed | None:
        """Return the type that a user gave a layer's "result", "weight" or "bias"."""
        every = self.layers.get(EVERY, {})
        return self.layers.get(layer, {}).get(what, every.get(what))

    def given(self) -> Precision:
        """Return the types that a user gave alone."""
        return replace(
            self, layers={n: {k: to for k, to in entry.items() if to is not None} for n, entry in self.layers.items()}
        )
