"""Layers of Keras 2 as readers see them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy.typing as npt

from keras_hls.fixed import Constant, Formats, Real
from keras_hls.frontends.keras2.functions import Floats, function_of
from keras_hls.frontends.keras2.saved import Arrays, SavedLayer
from keras_hls.frontends.keras2.weight_order import takes
from keras_hls.frontends.keras2.weight_shapes import check_shapes
from keras_hls.frontends.keras2.words import class_path, translated
from keras_hls.frontends.numbers import finite
from keras_hls.frontends.view import LayerView, ReadError
from keras_hls.quantizers import QUANTIZERS, Quantizer, QuantizerError, parse


class SavedView(LayerView):
    """A layer of Keras itself: its weights have no quantizers, so their types are chosen by a pass.

    Its activation may be a quantizer of QKeras.

    Parameters
    ----------
    layer : SavedLayer
    name : str
        The layer's name in the whole model.
    arrays : sequence of arrays
        Its weights, in Keras's order.
    shapes : tuple of tuples of int
        Shape of one sample of each of its inputs.
    quantizers : mapping, optional
        Live quantizers by the config's keys: their configs leave out some of what they compute.
    activation : str, optional
        The whole name of a live layer's function, where the config has its last part alone.

    Raises
    ------
    ReadError
        If the arrays aren't those that the layer has.
    """

    def __init__(
        self,
        layer: SavedLayer,
        name: str,
        arrays: Arrays,
        shapes: tuple[tuple[int, ...], ...],
        quantizers: Mapping[str, Any] | None = None,
        activation: str | None = None,
    ):
        self.name, self.path, self.shapes = name, class_path(layer), shapes
        self.config = translated(layer)
        if activation is not None:
            self.config["activation"] = activation
        self.live = quantizers or {}
        check_precision(self.config.pop("dtype", None))
        order = takes(layer)
        if len(arrays) != len(order):
            names = ", ".join(weight.name for weight in order) or "no weights"
            raise ReadError(f"it takes {names}, but the weights hold {len(arrays)} arrays for it")
        self.arrays = {weight.name: array for weight, array in zip(order, arrays)}
        check_shapes(layer.kind, layer.config, self.arrays)

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

    def quantizer(self, argument: str) -> Quantizer | None:
        value = self.config.get(argument)
        if argument in self.live or (isinstance(value, Mapping) and value.get("class_name") in QUANTIZERS):
            return self.parsed(argument)
        return None

    def parsed(self, key: str) -> Quantizer | None:
        """Return the quantizer that stands under a key of the config.

        Raises
        ------
        ReadError
            If it is none that is known, or none that is exact.
        """
        try:
            return parse(self.live.get(key, self.config.get(key)))
        except QuantizerError as error:
            raise ReadError(f"its {key}: {error}") from None

    @property
    def understood(self) -> frozenset[str]:
        return frozenset({"trainable"})


def check_precision(dtype: Any) -> None:
    """Refuse layers that compute in another precision, where even small integers are rounded.

    Parameters
    ----------
    dtype : str, mapping or None
        What stands in a layer's config: a name, or a policy as late years write it down.

    Raises
    ------
    ReadError
    """
    if isinstance(dtype, Mapping):
        policy = dtype.get("config")
        dtype = policy.get("name", dtype) if isinstance(policy, Mapping) else dtype
    if dtype not in (None, "float32"):
        raise ReadError(f"it computes in {dtype}, and only float32 can be exported; make the model with that policy")
