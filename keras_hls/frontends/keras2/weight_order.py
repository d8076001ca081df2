"""Which weights each layer class of Keras 2 has, in the order in which Keras keeps and writes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keras_hls.frontends.keras2.saved import SavedLayer


@dataclass(frozen=True)
class Weight:
    """A weight of a layer.

    Attributes
    ----------
    name : str
        As readers ask for it.
    trained : bool
        Whether training changes it; others are written behind those.
    """

    name: str
    trained: bool = True


#: By class: names in order. "name?key" is there only if the config's key is true, "name!" isn't trained.
_KERNEL_BIAS = "kernel bias?use_bias"
_STATISTICS = "gamma?scale beta?center moving_mean! moving_variance!"
_ORDER = {
    **dict.fromkeys(("Dense", "BinaryDense", "TernaryDense", "QDense"), _KERNEL_BIAS),
    **{f"{q}Conv{n}D{t}": _KERNEL_BIAS for q in ("", "Q") for n in (1, 2, 3) for t in ("", "Transpose")},
    **{f"{q}DepthwiseConv{n}D": _KERNEL_BIAS for q in ("", "Q") for n in (1, 2)},
    **{f"{q}SeparableConv{n}D": "depthwise_kernel pointwise_kernel bias?use_bias" for q in ("", "Q") for n in (1, 2)},
    **dict.fromkeys(("BatchNormalization", "QBatchNormalization"), _STATISTICS),
    **dict.fromkeys(("LayerNormalization", "GroupNormalization"), "gamma?scale beta?center"),
    "EinsumDense": "kernel bias?bias_axes",
    "Embedding": "embeddings",
    "PReLU": "alpha",
    "Normalization": "mean!?~mean variance!?~mean count!?~mean",
}
#: What a key is where an early version didn't write it down.
_DEFAULTS: Mapping[str, Any] = {"use_bias": True, "scale": True, "center": True}


def known(kind: str) -> bool:
    """Whether the order of a class's weights is known."""
    return kind in _ORDER


def takes(layer: SavedLayer) -> tuple[Weight, ...]:
    """Return the weights that a layer has."""
    found = []
    for entry in _ORDER.get(layer.kind, "").split():
        name, _, key = entry.partition("?")
        there = layer.config.get(key.removeprefix("~"), _DEFAULTS.get(key)) if key else True
        if bool(there) != key.startswith("~"):
            found.append(Weight(name.rstrip("!"), not name.endswith("!")))
    return tuple(found)
