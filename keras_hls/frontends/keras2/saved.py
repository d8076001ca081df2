"""A Keras 2 model as it is written down: layers, calls and arrays, whatever file they come from. Nothing of it is code."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from keras_hls.errors import InvalidModel
from keras_hls.frontends.keras2.weight_order import takes

Arrays = Sequence[npt.NDArray[Any]]

#: Classes that are models, whatever their year calls them.
SEQUENTIAL, FUNCTIONAL = frozenset({"Sequential"}), frozenset({"Model", "Functional"})


@dataclass(frozen=True)
class SavedLayer:
    """One layer as a config has it.

    Attributes
    ----------
    kind : str
        The class's own name, as "Dense".
    name : str
    config : mapping
        Its constructor arguments.
    calls : sequence
        The config's inbound nodes; empty in a Sequential model.
    module : str
        Where the class is from, if the file says so.
    """

    kind: str
    name: str
    config: Mapping[str, Any]
    calls: Sequence[Any] = ()
    module: str = ""

    @classmethod
    def of(cls, entry: Any, where: str) -> SavedLayer:
        """Return the layer of a config's entry.

        Raises
        ------
        InvalidModel
            If it is no such entry.
        """
        try:
            kind, config = str(entry["class_name"]), entry["config"]
            # A registered class has its package in front: "Package>Name".
            kind = kind.rpartition(">")[2]
            # A Sequential model's config was once no more than the list of its layers.
            config = {"layers": config} if isinstance(config, list) else dict(config)
            name = str(entry.get("name") or config.get("name") or kind.lower())
            calls = entry.get("inbound_nodes") or ()
            return cls(kind, name, config, calls, str(entry.get("module") or ""))
        except (KeyError, TypeError, AttributeError, ValueError):
            raise InvalidModel(f"{where} isn't a Keras 2 model: it has a layer without class_name and config") from None

    @property
    def is_model(self) -> bool:
        """Whether it is made of layers."""
        return self.kind in SEQUENTIAL | FUNCTIONAL and isinstance(self.config.get("layers"), list)

    def layers(self, where: str) -> tuple[SavedLayer, ...]:
        """Return the layers of a model, in the config's order."""
        return tuple(SavedLayer.of(entry, where) for entry in self.config["layers"])


@dataclass(frozen=True)
class SavedModel:
    """A whole model.

    Attributes
    ----------
    where : str
        What errors call it, such as its file.
    model : SavedLayer
        The outermost one.
    weights : mapping
        By layer, as "outer/inner", its arrays in Keras's order.
    beyond : mapping
        By layer, what a live model knows and no file holds, in the words of the library's adapter.
    """

    where: str
    model: SavedLayer
    weights: Mapping[str, Arrays]
    beyond: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The model's own name."""
        return self.model.name


def leaves(model: SavedLayer, where: str, scope: str = "") -> Iterator[tuple[str, SavedLayer]]:
    """Yield every layer of a model that isn't one itself, in the config's order, by its full name."""
    for layer in model.layers(where):
        if layer.is_model:
            yield from leaves(layer, where, f"{scope}{layer.name}/")
        else:
            yield f"{scope}{layer.name}", layer


def shared_out(model: SavedLayer, groups: Mapping[str, Arrays], where: str) -> dict[str, Arrays]:
    """Return every layer's arrays, from those of the outermost layers.

    Keras writes an inner model's weights as one list: first all that are trained, then all others, each in the order of its
    layers.

    Parameters
    ----------
    model : SavedLayer
    groups : mapping
        By outermost layer.
    where : str

    Raises
    ------
    InvalidModel
        If there are more or fewer arrays than the layers take.
    """
    found: dict[str, Arrays] = {}
    for layer in model.layers(where):
        arrays = list(groups.get(layer.name, ()))
        if not layer.is_model:
            found[layer.name] = arrays
            continue
        inner = [(name, leaf, takes(leaf)) for name, leaf in leaves(layer, where, f"{layer.name}/")]
        wanted = sum(len(names) for _, _, names in inner)
        if wanted != len(arrays):
            raise InvalidModel(
                f"Weights don't fit the architecture: in {where}, the layers of model {layer.name!r} take {wanted} arrays, and"
                f" the weights have {len(arrays)}"
            )
        parts: dict[str, dict[int, npt.NDArray[Any]]] = {name: {} for name, _, _ in inner}
        for trained in (True, False):
            for name, leaf, names in inner:
                for place, weight in enumerate(names):
                    if (weight.trained and leaf.config.get("trainable", True)) == trained:
                        parts[name][place] = arrays.pop(0)
        for name, by_place in parts.items():
            found[name] = [np.asarray(by_place[place]) for place in sorted(by_place)]
    return found
