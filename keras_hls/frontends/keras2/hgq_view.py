"""HGQ (the first) and its proxy models: what every layer as a reader sees it begins with."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy.typing as npt

from keras_hls.fixed import Formats
from keras_hls.frontends.view import LayerView

Weights = Mapping[str, npt.NDArray[Any]]


class NamedWeightsView(LayerView):
    """A layer of HGQ's, or of its proxy models, by its config and its weights.

    Parameters
    ----------
    name : str
        The layer's name in the model.
    class_name : str
        Its class, as "HDense" or "HGQ>HDense".
    config : mapping
        Its config as Keras 2 serializes it.
    weights : mapping of str to arrays
        By the last part of their names, as `named_weights` gives them.
    shapes : tuple of tuples of int
        Shape of one sample of each input.
    """

    def __init__(
        self,
        name: str,
        class_name: str,
        config: Mapping[str, Any],
        weights: Weights,
        shapes: tuple[tuple[int, ...], ...],
    ):
        self.name = name
        self.class_name = class_name.rsplit(">", 1)[-1]
        self.path = f"HGQ.layers.{self.class_name}"
        self.config = config
        self.weights = weights
        self.shapes = shapes

    def input_formats(self, count: int) -> tuple[Formats | None, ...]:
        return (None,) * count
