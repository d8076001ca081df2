"""Which weights each layer class of Keras 2 has, in the order in which Keras keeps and writes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

if TYPE_CHECKING:
    from keras_hls.frontends.keras2.saved import SavedLayer

Array = npt.NDArray[Any]


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
    "QAdaptiveActivation": "step ema_min! ema_max!",
    **{f"LocallyConnected{n}D": _KERNEL_BIAS for n in (1, 2)},
    "EinsumDense": "kernel bias?bias_axes",
    "Embedding": "embeddings",
    "PReLU": "alpha",
    "Normalization": "mean!?~mean variance!?~mean count!?~mean",
}
#: Layers with a normalisation inside, as a tree of layers has them: first all of their own weights, and then those of that.
#: Keras writes them so too where the layer, or what is inside, isn't trainable.
_NESTED = dict.fromkeys(("QConv2DBatchnorm", "QDepthwiseConv2DBatchnorm"), f"{_KERNEL_BIAS} iteration! {_STATISTICS}")
#: The parts of a layer that are layers themselves.
_PARTS = dict.fromkeys(_NESTED, ("batchnorm",))
#: What a key is where an early version didn't write it down.
_DEFAULTS: Mapping[str, Any] = {"use_bias": True, "scale": True, "center": True}


def takes(layer: SavedLayer) -> tuple[Weight, ...]:
    """Return the weights that a layer has, in the order of a list of weights."""
    return _weights(layer, _ORDER if layer.config.get("trainable", True) else {**_ORDER, **_NESTED})


def parts(layer: SavedLayer) -> tuple[str, ...]:
    """Return the names of what is a layer inside of a layer."""
    return _PARTS.get(layer.kind, ())


def from_tree(layer: SavedLayer, arrays: Sequence[Array]) -> list[Array]:
    """Return a layer's arrays in the order of `takes`, from those of its own followed by those of its `parts`."""
    order, wanted = (_weights(layer, table) for table in ({**_ORDER, **_NESTED}, _ORDER))
    if len(arrays) != len(order) or not layer.config.get("trainable", True):
        return list(arrays)
    found = {weight.name: array for weight, array in zip(order, arrays)}
    return [found[weight.name] for weight in wanted]


def _weights(layer: SavedLayer, table: Mapping[str, str]) -> tuple[Weight, ...]:
    found = []
    for entry in table.get(layer.kind, "").split():
        name, _, key = entry.partition("?")
        there = layer.config.get(key.removeprefix("~"), _DEFAULTS.get(key)) if key else True
        if bool(there) != key.startswith("~"):
            found.append(Weight(name.rstrip("!"), not name.endswith("!")))
    return tuple(found)
