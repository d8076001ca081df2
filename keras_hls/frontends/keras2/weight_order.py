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
    **dict.fromkeys(
        ("QConv2DBatchnorm", "QDepthwiseConv2DBatchnorm"),
        f"{_KERNEL_BIAS} gamma?scale beta?center iteration! moving_mean! moving_variance!",
    ),
    "EinsumDense": "kernel bias?bias_axes",
    "Embedding": "embeddings",
    "PReLU": "alpha",
    "Normalization": "mean!?~mean variance!?~mean count!?~mean",
}
#: The same where a layer, or what is folded into it, isn't trainable: Keras then writes the layer's own weights first.
_FROZEN = dict.fromkeys(("QConv2DBatchnorm", "QDepthwiseConv2DBatchnorm"), f"{_KERNEL_BIAS} iteration! {_STATISTICS}")
#: What a key is where an early version didn't write it down.
_DEFAULTS: Mapping[str, Any] = {"use_bias": True, "scale": True, "center": True}


def takes(layer: SavedLayer) -> tuple[Weight, ...]:
    """Return the weights that a layer has."""
    found = []
    order = _ORDER if layer.config.get("trainable", True) else {**_ORDER, **_FROZEN}
    for entry in order.get(layer.kind, "").split():
        name, _, key = entry.partition("?")
        there = layer.config.get(key.removeprefix("~"), _DEFAULTS.get(key)) if key else True
        if bool(there) != key.startswith("~"):
            found.append(Weight(name.rstrip("!"), not name.endswith("!")))
    return tuple(found)
