"""Operations of ``keras.ops`` that compute element by element: with constants, with other tensors, and functions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from keras_hls.fixed import Constant, Real, TensorType
from keras_hls.frontends.view import OperationView
from keras_hls.layers_ext.activation import ReLU, relu, tabulate
from keras_hls.layers_ext.merge import Add, Maximum, Minimum, Multiply, Subtract
from keras_hls.layers_ext.movement import Repeat
from keras_hls.layers_ext.operation_arguments import constant, numbers
from keras_hls.layers_ext.piecewise import Piecewise
from keras_hls.layers_ext.quotient import divide
from keras_hls.layers_ext.reading import Builder, ReadError, Ref, reads_operation
from keras_hls.layers_ext.scale import Scale
from keras_hls.op import Op

Floats = npt.NDArray[np.float64]


class _Calls:
    """Appends ops under the operation's own name."""

    def __init__(self, layer: OperationView, build: Builder):
        self.layer, self.build = layer, build

    def __call__(self, op: Op, *inputs: Ref) -> Ref:
        return self.build.add(op, *inputs, name=self.layer.name, layer=self.layer.name)

    def spread(self, x: Ref) -> Ref:
        """Repeat the one tensor `x` along the axes that a constant has more of, to the result's shape."""
        shape, wanted = self.layer.shapes[0], self.layer.results[0]
        if shape == wanted:
            return x
        if len(shape) != len(wanted):
            raise ReadError(
                f"its constant has more axes than a sample of its tensor, of shape {shape}; reshape that before"
            )
        repeats = tuple(n // m for n, m in zip(wanted, shape))
        return self.build.add(Repeat(repeats), x, name=f"{self.layer.name}_repeated", layer=self.layer.name)

    def scale(self, x: Ref, scale: npt.ArrayLike, offset: Floats | None = None) -> Ref:
        """Append x * scale + offset."""
        return self(Scale(constant(np.asarray(scale, np.float64)), None if offset is None else constant(offset)), x)


def _both(layer: OperationView, build: Builder, op: Op, a: Ref, b: Ref) -> Ref:
    if len(layer.shapes[0]) != len(layer.shapes[1]):
        raise ReadError(
            f"samples of shapes {layer.shapes[0]} and {layer.shapes[1]} have different numbers of axes, so that the batch of"
            " one meets an axis of the other; reshape one of them"
        )
    return _Calls(layer, build)(op, a, b)


def _beside(layer: OperationView, build: Builder, a: Any, b: Any) -> tuple[_Calls, Ref, Floats]:
    """What an operation of a tensor and a constant, in either order, works with: the tensor in the result's shape."""
    calls = _Calls(layer, build)
    x, value = (a, b) if isinstance(a, Ref) else (b, a)
    values = numbers(value, len(layer.shapes[0]))
    return calls, calls.spread(x), values


@reads_operation("keras.ops.Add")
def read_add(layer: OperationView, build: Builder, a: Any, b: Any) -> Ref:
    """Tensors of as many axes, or a tensor and a constant."""
    if isinstance(a, Ref) and isinstance(b, Ref):
        return _both(layer, build, Add(), a, b)
    calls, x, values = _beside(layer, build, a, b)
    return calls.scale(x, 1.0, values)


@reads_operation("keras.ops.Subtract")
def read_subtract(layer: OperationView, build: Builder, a: Any, b: Any) -> Ref:
    """Tensors of as many axes, or a tensor and a constant."""
    if isinstance(a, Ref) and isinstance(b, Ref):
        return _both(layer, build, Subtract(), a, b)
    calls, x, values = _beside(layer, build, a, b)
    return calls.scale(x, 1.0, -values) if isinstance(a, Ref) else calls.scale(x, -1.0, values)


@reads_operation("keras.ops.Multiply")
def read_multiply(layer: OperationView, build: Builder, a: Any, b: Any) -> Ref:
    """Tensors of as many axes, or a tensor and a constant."""
    if isinstance(a, Ref) and isinstance(b, Ref):
        return _both(layer, build, Multiply(), a, b)
    calls, x, values = _beside(layer, build, a, b)
    return calls.scale(x, values)


@reads_operation("keras.ops.Divide", "keras.ops.TrueDivide")
def read_divide(layer: OperationView, build: Builder, a: Any, b: Any) -> Ref:
    """By a number, or an array of few bits, exactly; a number over a tensor is a table over every value of the tensor."""
    if isinstance(b, Ref):
        return _by_table(layer, build, a, b)
    calls, x, values = _beside(layer, build, a, b)
    if not values.all():
        raise ReadError("it divides by 0")
    if isinstance(constant(values), Real):
        return calls.scale(x, 1.0 / values)
    whole = Constant.exactly(values)
    # The divisor's fractional bits move the point of the dividend; its sign goes along.
    moved = np.ldexp(np.sign(values), whole.frac)
    if (moved != 1).any():
        x = build.add(Scale(Constant.exactly(moved)), x, name=f"{layer.name}_moved", layer=layer.name)
    return divide(build, x, np.abs(whole.raw), name=layer.name, layer=layer.name)


@reads_operation("keras.ops.Maximum")
def read_maximum(layer: OperationView, build: Builder, a: Any, b: Any) -> Ref:
    """Tensors of as many axes, or a tensor and a constant."""
    if isinstance(a, Ref) and isinstance(b, Ref):
        return _both(layer, build, Maximum(), a, b)
    calls, x, values = _beside(layer, build, a, b)
    if values.ndim == 0:
        return calls(Piecewise.of((0, float(values)), (1, 0), bounds=(float(values),)), x)
    return calls.scale(calls(ReLU(), calls.scale(x, 1.0, -values)), 1.0, values)


@reads_operation("keras.ops.Minimum")
def read_minimum(layer: OperationView, build: Builder, a: Any, b: Any) -> Ref:
    """Tensors of as many axes, or a tensor and a constant."""
    if isinstance(a, Ref) and isinstance(b, Ref):
        return _both(layer, build, Minimum(), a, b)
    calls, x, values = _beside(layer, build, a, b)
    if values.ndim == 0:
        return calls(Piecewise.of((1, 0), (0, float(values)), bounds=(float(values),)), x)
    return calls.scale(calls(ReLU(), calls.scale(x, -1.0, values)), -1.0, values)


@reads_operation("keras.ops.Negative")
def read_negative(layer: OperationView, build: Builder, x: Ref) -> Ref:
    """-x."""
    return _Calls(layer, build).scale(x, -1.0)


_MAGNITUDE = Piecewise.of((-1, 0), (1, 0), bounds=(0,))


@reads_operation("keras.ops.Absolute", "keras.ops.Abs", "keras.ops.Fabs")
def read_absolute(layer: OperationView, build: Builder, x: Ref) -> Ref:
    """|x|."""
    return _Calls(layer, build)(_MAGNITUDE, x)


@reads_operation("keras.ops.Square")
def read_square(layer: OperationView, build: Builder, x: Ref) -> Ref:
    """x * x."""
    return _square(layer, build, x, Multiply())


def _square(layer: OperationView, build: Builder, x: Ref, product: Op) -> Ref:
    # Of magnitudes, so that the type knows that no square is negative.
    magnitude = build.add(_MAGNITUDE, x, name=f"{layer.name}_magnitude", layer=layer.name)
    return _Calls(layer, build)(product, magnitude, magnitude)


@dataclass(frozen=True, eq=False)
class PowerProduct(Multiply):
    """y = a * b, exact, where Keras computes a power, of which some backends get the last bits wrong."""

    def error(self, *inputs: TensorType) -> float:
        y = self.infer(*inputs)
        largest = float(np.abs(y.to_float(np.stack([y.low, y.high]))).max(initial=0))
        return largest * _POWER_NOISE


#: What a backend's power is off, relative to the largest value: a few units in the last place of float32.
_POWER_NOISE = 2.0**-20


@reads_operation("keras.ops.Power")
def read_power(layer: OperationView, build: Builder, a: Any, b: Any) -> Ref:
    """Exponent 2 is exact, where Keras may be off in the last bit; another number makes a table over the tensor's values."""
    if isinstance(a, Ref) and not isinstance(b, Ref) and np.ndim(b) == 0 and b == 2:
        return _square(layer, build, a, PowerProduct())
    return _by_table(layer, build, a, b)


@reads_operation("keras.ops.FloorDivide", "keras.ops.Mod")
def read_whole_division(layer: OperationView, build: Builder, a: Any, b: Any) -> Ref:
    """With a number, a table over every value of the tensor."""
    return _by_table(layer, build, a, b)


def _by_table(layer: OperationView, build: Builder, a: Any, b: Any) -> Ref:
    x, other = (a, b) if isinstance(a, Ref) else (b, a)
    if isinstance(other, Ref) or np.ndim(other):
        raise ReadError("it is called with another tensor or array, and only a number can be beside its tensor")
    return _table(layer, build, x)


@reads_operation("keras.ops.Clip", consumes="x_min x_max")
def read_clip(layer: OperationView, build: Builder, x: Ref) -> Ref:
    """Between two numbers."""
    low, high = (float(np.float32(layer.config[key])) for key in ("x_min", "x_max"))
    if low > high:
        raise ReadError(f"x_min={low:g} must not be above x_max={high:g}")
    # An infinite end bounds nothing.
    ends = ([] if low == -np.inf else [low]), ([] if high == np.inf else [high])
    below, above = ([(0, end) for end in side] for side in ends)
    return _Calls(layer, build)(Piecewise.of(*below, (1, 0), *above, bounds=(*ends[0], *ends[1])), x)


# -- functions of straight pieces

_Pieces = Callable[[Any], Op]
_PIECES: dict[str, tuple[str, _Pieces]] = {
    "keras.ops.Relu": ("", lambda config: relu()),
    "keras.ops.Relu6": ("", lambda config: relu(6.0)),
    "keras.ops.LeakyRelu": ("negative_slope", lambda config: relu(negative_slope=config["negative_slope"])),
    "keras.activations.ReLU": (
        "negative_slope max_value threshold",
        lambda c: relu(c["max_value"], c["negative_slope"], c["threshold"]),
    ),
    "keras.ops.HardTanh": ("", lambda config: Piecewise.of((0, -1), (1, 0), (0, 1), bounds=(-1, 1))),
    "keras.ops.SparseSigmoid": ("", lambda config: Piecewise.of((0, 0), (0.5, 0.5), (0, 1), bounds=(-1, 1))),
    "keras.ops.HardShrink": ("threshold", lambda config: _shrink(config["threshold"], 0)),
    "keras.ops.SoftShrink": ("threshold", lambda config: _shrink(config["threshold"], config["threshold"])),
    "keras.ops.Threshold": (
        "threshold default_value",
        lambda c: Piecewise.of(
            (0, _single(c["default_value"])), (1, 0), bounds=(_single(c["threshold"]),), above=(True,)
        ),
    ),
}


def _single(value: Any) -> float:
    return float(np.float32(value))


def _shrink(threshold: Any, by: Any) -> Op:
    edge, by = _single(threshold), _single(by)
    if edge < 0:
        raise ReadError(f"threshold must not be negative, not {edge:g}")
    return Piecewise.of((1, by), (0, 0), (1, -by), bounds=(-edge, edge), above=(False, True))


def _register_pieces(path: str, consumes: str, pieces: _Pieces) -> None:
    @reads_operation(path, consumes=consumes)
    def read(layer: OperationView, build: Builder, x: Ref) -> Ref:
        """Straight pieces, exactly."""
        return _Calls(layer, build)(pieces(layer.config), x)


for _path, (_consumes, _pieces) in _PIECES.items():
    _register_pieces(_path, _consumes, _pieces)


# -- functions by table

_TABLES = """
    Sigmoid Silu Softplus Softsign Squareplus LogSigmoid HardSigmoid HardSilu Elu Selu Gelu Celu TanhShrink SparsePlus
    Tanh Sinh Cosh Arctan Arcsinh Sin Cos Tan Sinc Exp Exp2 Expm1 Log Log1p Log2 Log10 Sqrt Rsqrt Cbrt Reciprocal Erf Erfc
    Floor Ceil Trunc Round Sign
"""


@reads_operation(*(f"keras.ops.{name}" for name in _TABLES.split()), consumes="alpha b approximate decimals")
def _table(layer: OperationView, build: Builder, x: Ref) -> Ref:
    """A table over every value of its input, of 20 bits at most."""
    return tabulate(layer, build, x, None, layer.path.rsplit(".", 1)[-1].lower())


# -- what changes no value


@reads_operation("keras.ops.StopGradient", "keras.ops.Copy")
def read_nothing(layer: OperationView, build: Builder, x: Ref) -> Ref:
    """Nothing at inference."""
    return x


@reads_operation("keras.ops.Cast", "keras.ops.ConvertToTensor", consumes="dtype sparse ragged")
def read_cast(layer: OperationView, build: Builder, x: Ref) -> Ref:
    """To float32 alone, which everything is already."""
    return x
