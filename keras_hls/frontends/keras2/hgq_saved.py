"""HGQ (the first): layers of a saved model, or of a live one as it would be saved, as readers see them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from keras_hls.fixed import FloatArray
from keras_hls.frontends.keras2 import hgq_live
from keras_hls.frontends.keras2.functions import function_of
from keras_hls.frontends.keras2.hgq import HGQView
from keras_hls.frontends.keras2.hgq_numbers import Range
from keras_hls.frontends.keras2.hgq_proxy import PROXY_CLASSES, ProxyView
from keras_hls.frontends.keras2.hgq_weights import named_weights
from keras_hls.frontends.keras2.layer_views import check_precision
from keras_hls.frontends.keras2.saved import Arrays, SavedLayer, SavedModel, leaves
from keras_hls.frontends.keras2.weight_shapes import check_shapes
from keras_hls.frontends.keras2.words import translated
from keras_hls.frontends.view import LayerView


def is_proxy(saved: SavedModel) -> bool:
    """Whether a model is a proxy of HGQ: the weights of its Keras layers are quantized already (see `ExactView`)."""
    return any(layer.kind in PROXY_CLASSES for _, layer in leaves(saved.model, saved.where))


def saved_view(
    layer: SavedLayer,
    name: str,
    arrays: Arrays,
    shapes: tuple[tuple[int, ...], ...],
    *,
    live: Any = None,
    traced: Range | None = None,
    overflow: Literal["WRAP", "SAT"] = "WRAP",
) -> LayerView:
    """Return a layer of HGQ, or of its proxy models, as a reader sees it.

    Parameters
    ----------
    layer : SavedLayer
    name : str
        The layer's name in the whole model.
    arrays : sequence of arrays
        Its weights, in Keras's order.
    shapes : tuple of tuples of int
        Shape of one sample of each of its inputs.
    live : HGQ layer, optional
        The layer itself: it knows its ranges and functions, which no file holds.
    traced : Range, optional
        What ``trace_minmax`` found in a copy, in place of what the layer has seen.
    overflow : "WRAP" or "SAT"
        What values beyond the range become.

    Raises
    ------
    ReadError
        If the arrays aren't those of such a layer, or it computes in another precision.
    """
    config = translated(layer)
    check_precision(config.get("dtype"))
    weights = named_weights(layer.kind, config, arrays)
    check_shapes(layer.kind, config, weights)
    if layer.kind in PROXY_CLASSES:
        return ProxyView(name, layer.kind, config, weights, shapes)

    def find(value: Any) -> Callable[[FloatArray], FloatArray]:
        if live is not None:
            return hgq_live.function_of(live)
        return function_of(f"HGQ.layers.{layer.kind}", {"activation": value}, "activation")

    if live is not None:
        config |= hgq_live.unsaid(live)
        if traced is None and hasattr(live, "paq"):
            traced = hgq_live.range_of(live)
    return HGQView(name, layer.kind, config, weights, shapes, traced=traced, overflow=overflow, functions=find)
