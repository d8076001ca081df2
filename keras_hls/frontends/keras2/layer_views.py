"""Layers of Keras 2 as readers see them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy.typing as npt

from keras_hls.fixed import Constant, Formats, Real
from keras_hls.frontends.keras2.functions import Floats, function_of
from keras_hls.frontends.keras2.saved import Arrays, SavedLayer
from keras_hls.frontends.keras2.weight_order import takes
from keras_hls.frontends.keras2.words import class_path, translated
from keras_hls.frontends.numbers import finite
from keras_hls.frontends.view import LayerView, ReadError


class SavedView(LayerView):
    """A layer of Keras itself: it has no quantizers, so the types of its weights are chosen by a pass.

    Parameters
    ----------
    layer : SavedLayer
    name : str
        The layer's name in the whole model.
    arrays : sequence of arrays
        Its weights, in Keras's order.
    shapes : tuple of tuples of int
        Shape of one sample of each of its inputs.

    Raises
    ------
    ReadError
        If the arrays aren't those that the layer has.
    """

    def __init__(self, layer: SavedLayer, name: str, arrays: Arrays, shapes: tuple[tuple[int, ...], ...]):
        self.name, self.path, self.shapes = name, class_path(layer), shapes
        self.config = translated(layer)
        _check_precision(self.config.pop("dtype", None))
        order = takes(layer)
        if len(arrays) != len(order):
            names = ", ".join(weight.name for weight in order) or "no weights"
            raise ReadError(f"it takes {names}, but the weights hold {len(arrays)} arrays for it")
        self.arrays = {weight.name: array for weight, array in zip(order, arrays)}

    def weight(self, name: str) -> Constant | None:
        values = self.values(name)
        return None if values is None else Real(values)

    def values(self, name: str) -> npt.NDArray[Any] | None:
        """Return a weight's array as it was saved; None if the layer has none of that name."""
        return finite(self.arrays[name], name) if name in self.arrays else None

    def function(self, argument: str | None) -> Callable[[Floats], Floats]:
        return function_of(self.path, self.config, argument)

    def part(self, name: str, *shapes: tuple[int, ...]) -> LayerView:
        raise ReadError(f"its {name} isn't a layer of its own in a file")

    def input_formats(self, count: int) -> tuple[Formats | None, ...]:
        return (None,) * count

    def output_formats(self) -> Formats | None:
        return None

    @property
    def understood(self) -> frozenset[str]:
        return frozenset({"trainable"})


def _check_precision(dtype: Any) -> None:
    """Refuse layers that compute in another precision, where even small integers are rounded."""
    if isinstance(dtype, dict):
        dtype = dtype.get("config", {}).get("name")
    if dtype not in (None, "float32"):
        raise ReadError(f"it computes in {dtype}, and only float32 can be exported; make the model with that policy")
