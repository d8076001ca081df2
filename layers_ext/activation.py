"""Activations, as layers and as arguments of other layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_hls.fixed import IntArray, TensorType
from keras_hls.graph import Kernel, Op, Plan, Unit, Work
from keras_hls.layers_ext.counting import units
from keras_hls.layers_ext.reading import Builder, LayerView, ReadError, Ref, reads


@dataclass(frozen=True, eq=False)
class ReLU(Op):
    """y = max(x, 0)."""

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        return TensorType(np.maximum(x.low, 0), np.maximum(x.high, 0), x.frac, x.zeros)

    def bind(self, *inputs: TensorType) -> Callable[..., IntArray]:
        return lambda raw: np.maximum(raw, 0)

    def identity(self, *inputs: TensorType) -> bool:
        return bool((inputs[0].low >= 0).all())

    def reuse_factors(self, *inputs: TensorType) -> tuple[int, ...]:
        return (1,)

    def work(self, *inputs: TensorType, plan: Plan) -> Work:
        (x,) = inputs
        # The sign bit decides, so nothing is compared; what is never negative, or always, needs nothing.
        chosen = self.infer(x).widths[(x.low < 0) & (x.high > 0)]
        found = units("select", chosen)
        return Work(tuple(found), (Unit("select", 1, (int(chosen.max()),)),) if chosen.size else ())

    def hls(self, *inputs: TensorType, plan: Plan) -> Kernel:
        return Kernel("relu", "relu", {"size": inputs[0].size})


#: What an activation's name becomes: takes builder, input, node name and layer name.
Activation = Callable[[Builder, Ref, str, str], Ref]
ACTIVATIONS: dict[str, Activation] = {
    "linear": lambda build, x, name, layer: x,
    "relu": lambda build, x, name, layer: build.add(ReLU(), x, name=name, layer=layer),
}


def activate(layer: LayerView, build: Builder, x: Ref) -> Ref:
    """Append what the layer's ``activation`` argument says.

    Raises
    ------
    ReadError
        If no op computes that function.
    """
    name = activation_name(layer.config.get("activation"))
    if name not in ACTIVATIONS:
        raise ReadError(f"activation must be {' or '.join(map(repr, ACTIVATIONS))}, not {name!r}")
    return ACTIVATIONS[name](build, x, f"{layer.name}_{name}", layer.name)


def activation_name(value: Any) -> str:
    """Return the name of a serialized activation: a string, or a mapping with its class or function name."""
    if value is None:
        return "linear"
    if isinstance(value, Mapping):
        config = value.get("config")
        return str(config if isinstance(config, str) else value.get("class_name"))
    return str(value)


@reads("keras.layers.Activation", consumes="activation")
def read_activation(layer: LayerView, build: Builder, x: Ref) -> Ref:
    """An activation by name."""
    return activate(layer, build, x)


@reads("keras.layers.ReLU", neutral={"max_value": None, "negative_slope": 0.0, "threshold": 0.0})
def read_relu(layer: LayerView, build: Builder, x: Ref) -> Ref:
    """ReLU without ceiling, slope or threshold."""
    return build.add(ReLU(), x, name=layer.name, layer=layer.name)
