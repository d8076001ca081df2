"""Activations, as layers and as arguments of other layers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from keras_hls.fixed import BoolArray, IntArray, TensorType
from keras_hls.layers_ext.counting import in_turn, units
from keras_hls.layers_ext.piecewise import Piecewise
from keras_hls.layers_ext.qkeras_quantizer import quantized
from keras_hls.layers_ext.reading import Builder, LayerView, ReadError, Ref, reads
from keras_hls.layers_ext.table import Function
from keras_hls.op import Kernel, Op, Plan, Work


@dataclass(frozen=True, eq=False)
class ReLU(Op):
    """y = max(x, 0)."""

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        return TensorType(np.maximum(x.low, 0), np.maximum(x.high, 0), x.frac, x.zeros)

    def bind(self, *inputs: TensorType) -> Callable[..., IntArray]:
        return lambda raw: np.maximum(raw, 0)

    def permuted(self, axes: tuple[int, ...]) -> Op:
        return self

    def channelwise(self, kept: BoolArray, *inputs: TensorType) -> Op:
        return self

    @property
    def wraps(self) -> bool:
        return True

    @property
    def selects(self) -> bool:
        return True

    def identity(self, *inputs: TensorType) -> bool:
        return bool((inputs[0].low >= 0).all())

    def reuse_factors(self, *inputs: TensorType) -> tuple[int, ...]:
        return (1,)

    def work(self, *inputs: TensorType, plan: Plan) -> Work:
        (x,) = inputs
        # The sign bit decides, so nothing is compared; what is never negative, or always, needs nothing.
        chosen = self.infer(x).widths[(x.low < 0) & (x.high > 0)]
        return in_turn(units("select", chosen))

    def hls(self, *inputs: TensorType, plan: Plan) -> Kernel:
        return Kernel("relu", "relu", {"size": inputs[0].size})


# Bits of a slope up to which products are short enough that Keras's float32 holds them.
_SHORT = 8

#: What an activation's name becomes: takes layer, builder, input and node name.
Activation = Callable[[LayerView, Builder, Ref, str], Ref]


def _op(op: Op) -> Activation:
    return lambda layer, build, x, name: pieces(layer, build, x, op, "activation", name)


def pieces(layer: LayerView, build: Builder, x: Ref, op: Op, argument: str | None, name: str) -> Ref:
    """Append a function of straight pieces: itself, or where Keras rounds its products, what Keras makes of them."""
    long = isinstance(op, Piecewise) and any(int(np.abs(s.raw).max()) >> _SHORT for s in op.slopes)
    return build.add(Function(layer.function(argument), name, op) if long else op, x, name=name, layer=layer.name)


def relu(max_value: float | None = None, negative_slope: npt.ArrayLike = 0.0, threshold: float = 0.0) -> Op:
    """Return ReLU with Keras's options: x above the threshold, up to a ceiling; a slope times (x - threshold) below.

    Numbers are taken as float32, as Keras takes them.
    """
    slope = np.asarray(negative_slope, np.float32).astype(np.float64)
    ceiling = None if max_value is None or max_value == np.inf else float(np.float32(max_value))
    start = float(np.float32(threshold))
    if ceiling is None and not slope.any() and not start:
        return ReLU()
    below = (slope, -float(slope) * start if start else 0.0)
    # Both pieces are 0 at 0, and then the sign bit decides.
    above = start != 0
    if ceiling is None:
        return Piecewise.of(below, (1.0, 0.0), bounds=(start,), above=(above,))
    if ceiling <= start:
        return Piecewise.of(below, (0.0, ceiling), bounds=(start,), above=(above or ceiling != 0,))
    return Piecewise.of(below, (1.0, 0.0), (0.0, ceiling), bounds=(start, ceiling), above=(above, False))


#: Those that are straight pieces; every other function of one element is a table.
ACTIVATIONS: dict[str, Activation] = {
    "linear": lambda layer, build, x, name: x,
    "relu": _op(relu()),
    "relu6": _op(relu(6.0)),
    "leaky_relu": _op(relu(negative_slope=0.2)),
    "hard_tanh": _op(Piecewise.of((0, -1), (1, 0), (0, 1), bounds=(-1, 1))),
    # Of binary networks: 0 itself is on the lower side, and halves are rounded to even.
    "binary_tanh": _op(Piecewise.of((0, -1), (0, 1), bounds=(0,), above=(True,))),
    "ternary_tanh": _op(Piecewise.of((0, -1), (0, 0), (0, 1), bounds=(-0.5, 0.5), above=(False, True))),
    "hard_shrink": _op(Piecewise.of((1, 0), (0, 0), (1, 0), bounds=(-0.5, 0.5), above=(False, True))),
    "soft_shrink": _op(Piecewise.of((1, 0.5), (0, 0), (1, -0.5), bounds=(-0.5, 0.5))),
    "sparse_sigmoid": _op(Piecewise.of((0, 0), (0.5, 0.5), (0, 1), bounds=(-1, 1))),
}


def activate(layer: LayerView, build: Builder, x: Ref) -> Ref:
    """Append what the layer's ``activation`` argument says.

    Raises
    ------
    ReadError
        If no op computes that function.
    """
    if (quantizer := layer.quantizer("activation")) is not None:
        return quantized(layer.name, build, x, quantizer, f"{layer.name}_{quantizer.name}")
    name = activation_name(layer.config.get("activation"))
    if name in ACTIVATIONS:
        return ACTIVATIONS[name](layer, build, x, f"{layer.name}_{name}")
    return tabulate(layer, build, x, "activation", name)


def tabulate(layer: LayerView, build: Builder, x: Ref, argument: str | None, name: str) -> Ref:
    """Append the function that an argument of the layer names, or the layer's own, as a table over all its input's values."""
    op = Function(layer.function(argument), name)
    return build.add(op, x, name=f"{layer.name}_{name.rsplit('.', 1)[-1]}", layer=layer.name)


def activation_name(value: Any) -> str:
    """Return the name of a serialized activation: a string, or a mapping with its class or function name."""
    if value is None:
        return "linear"
    if isinstance(value, Mapping):
        config = value.get("config")
        return str(config if isinstance(config, str) else value.get("class_name"))
    return str(value)


@reads("keras.layers.Activation", "qkeras.QActivation", consumes="activation")
def read_activation(layer: LayerView, build: Builder, x: Ref) -> Ref:
    """Straight pieces are computed; other functions of one element are tables over all values of an input of up to 20 bits."""
    return activate(layer, build, x)


@reads("hgq.layers.QUnaryFunctionLUT", consumes="activation allow_heterogeneous_table allow_heterogeneous_input")
def read_unary_function(layer: LayerView, build: Builder, x: Ref) -> Ref:
    """Any function of one element, as a table of the layer's own quantized values."""
    return activate(layer, build, x)


@reads("keras.layers.ReLU", consumes="max_value negative_slope threshold")
def read_relu(layer: LayerView, build: Builder, x: Ref) -> Ref:
    """ReLU with ceiling, slope and threshold."""
    options = {key: layer.config[key] for key in ("max_value", "negative_slope", "threshold")}
    return pieces(layer, build, x, relu(**options), None, layer.name)


@reads("keras.layers.ThresholdedReLU", consumes="theta")
def read_thresholded_relu(layer: LayerView, build: Builder, x: Ref) -> Ref:
    """Of Keras 2: what isn't above the threshold is 0. The threshold is taken as float32."""
    theta = float(np.float32(layer.config["theta"]))
    return build.add(Piecewise.of((0, 0), (1, 0), bounds=(theta,), above=(True,)), x, name=layer.name, layer=layer.name)


@reads("keras.layers.LeakyReLU", consumes="negative_slope")
def read_leaky_relu(layer: LayerView, build: Builder, x: Ref) -> Ref:
    """The slope is taken as float32, as Keras takes it."""
    return pieces(layer, build, x, relu(negative_slope=layer.config["negative_slope"]), None, layer.name)


@reads("keras.layers.PReLU", consumes="shared_axes")
def read_prelu(layer: LayerView, build: Builder, x: Ref) -> Ref:
    """A slope an element, or shared along axes."""
    alpha = layer.weight("alpha")
    if alpha is None:
        raise ReadError("it has no slopes; build the model first")
    op = Piecewise.of((alpha, 0.0), (1.0, 0.0), bounds=(0.0,))
    return build.add(op, x, name=layer.name, layer=layer.name)


@reads("keras.layers.ELU", consumes="alpha")
def read_elu(layer: LayerView, build: Builder, x: Ref) -> Ref:
    """A table over every value of its input, of 20 bits at most."""
    return tabulate(layer, build, x, None, "elu")
