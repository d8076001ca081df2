"""Layers that make an image, a sequence or a volume larger."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod

import numpy as np

from keras_hls.errors import TooWide
from keras_hls.fixed import MAX_BITS, BoolArray, IntArray, TensorType, trailing_zeros
from keras_hls.layers_ext.counting import constant_bits, csd_digits, in_turn, sum_steps, units
from keras_hls.layers_ext.layout import by_axis, channels_first
from keras_hls.layers_ext.movement import Repeat
from keras_hls.layers_ext.quotient import divide
from keras_hls.layers_ext.reading import Builder, LayerView, ReadError, Ref, reads
from keras_hls.op import Kernel, Op, Plan, Work


@dataclass(frozen=True)
class Places:
    """Where `size` evenly spread points lie between the centres of `n` elements, and how near to each of two.

    Point o lies at ``(o + 1/2) * n / size - 1/2`` (half-pixel centres), points before the first and behind the last centre
    on these.

    Attributes
    ----------
    low, high : integer array of `size`
        The elements before and behind each point; equal at an end.
    weight : integer array of `size`
        How far behind `low` it lies, in units of ``1 / whole``; 0 at an end.
    whole : int
        The common denominator of all weights.
    """

    low: IntArray
    high: IntArray
    weight: IntArray
    whole: int

    @classmethod
    def of(cls, n: int, size: int) -> Places:
        """Return the places of `size` points along `n` elements."""
        numerator = (2 * np.arange(size, dtype=np.int64) + 1) * n - size
        below, rest = np.divmod(numerator, 2 * size)
        low, high = np.maximum(below, 0), np.minimum(below + 1, n - 1)
        rest = np.where(low == high, 0, rest)
        common = int(np.gcd.reduce(rest, initial=2 * size))
        return cls(low, high, rest // common, 2 * size // common)


@dataclass(frozen=True, eq=False)
class Interpolate(Op):
    """y = x at other places along one axis, between the two nearest elements, times a whole number.

    Weights are multiples of ``1 / d``, where d depends on the sizes alone (`denominator`); y is d times the interpolation, so
    that it is a sum of products of integers.

    Parameters
    ----------
    axis : int
        Of a sample, from 0.
    size : int
        Elements of y along it.
    """

    axis: int
    size: int

    def denominator(self, shape: tuple[int, ...]) -> int:
        """Return how many times the interpolation y is, for an input of this shape."""
        return self._places(shape).whole

    def _places(self, shape: tuple[int, ...]) -> Places:
        if not 0 <= self.axis < len(shape) or self.size < 1:
            raise ValueError(f"axis {self.axis} of an input of shape {shape} can't be given {self.size} elements")
        return Places.of(shape[self.axis], self.size)

    def _weights(self, shape: tuple[int, ...]) -> tuple[IntArray, IntArray]:
        """Of the lower and of the higher element, shaped so that they broadcast to the output."""
        places = self._places(shape)
        column = (-1, *[1] * (len(shape) - 1 - self.axis))
        return (places.whole - places.weight).reshape(column), places.weight.reshape(column)

    def infer(self, *inputs: TensorType) -> TensorType:
        (x,) = inputs
        places = self._places(x.shape)
        if x.size and max(-int(x.low.min()), int(x.high.max())) * places.whole >= 1 << (MAX_BITS - 1):
            raise TooWide(f"a weighted sum needs more than {MAX_BITS} bits")
        run = self.bind(x)
        low, high = (run(end[None])[0] for end in (x.low, x.high))
        terms = [
            np.where(weight == 0, MAX_BITS, x.zeros.take(index, self.axis) + trailing_zeros(weight))
            for weight, index in zip(self._weights(x.shape), (places.low, places.high))
        ]
        return TensorType(low, high, x.frac, np.minimum(np.minimum(*terms), MAX_BITS))

    def bind(self, *inputs: TensorType) -> Callable[..., IntArray]:
        (x,) = inputs
        places, axis = self._places(x.shape), self.axis + 1
        first, second = self._weights(x.shape)
        return lambda raw: raw.take(places.low, axis) * first + raw.take(places.high, axis) * second

    def permuted(self, axes: tuple[int, ...]) -> Op:
        return Interpolate(axes.index(self.axis), self.size)

    def channelwise(self, kept: BoolArray, *inputs: TensorType) -> Op | None:
        return self if self.axis < len(inputs[0].shape) - 1 else None

    @property
    def wraps(self) -> bool:
        return True

    def low_bits(self, bits: int, *inputs: TensorType) -> tuple[int, ...]:
        return (bits,)

    def reuse_factors(self, *inputs: TensorType) -> tuple[int, ...]:
        return (1,)

    def work(self, *inputs: TensorType, plan: Plan) -> Work:
        (x,) = inputs
        y = self.infer(x)
        places = self._places(x.shape)
        first, second = places.whole - places.weight, places.weight
        # One multiplier serves all points that take the same multiple of an element.
        pairs = np.unique(np.stack([[*places.low, *places.high], [*first, *second]], 1), axis=0)
        pairs = pairs[csd_digits(pairs[:, 1]) > 1]
        widths = np.moveaxis(x.widths, self.axis, -1)
        multiplies = units(
            "constant_multiply", widths[..., pairs[:, 0]], constant_bits(pairs[:, 1]), digits=csd_digits(pairs[:, 1])
        )
        multiplies = [unit for unit in multiplies if unit.widths[0]]
        terms = sum(
            (widths[..., index] > 0) & (weight != 0) for index, weight in ((places.low, first), (places.high, second))
        )
        known = sum(
            np.where(widths[..., index] > 0, 0, np.moveaxis(x.low, self.axis, -1)[..., index]) * weight
            for index, weight in ((places.low, first), (places.high, second))
        )
        terms = np.where(terms > 0, terms + (known != 0), terms)
        sums = np.moveaxis(y.widths, self.axis, -1)
        return Work((*in_turn(multiplies).steps, *sum_steps(terms, sums)))

    def hls(self, *inputs: TensorType, plan: Plan) -> Kernel:
        shape = inputs[0].shape
        sizes = {
            "outer": prod(shape[: self.axis]),
            "n": shape[self.axis],
            "size": self.size,
            "inner": prod(shape[self.axis + 1 :]),
            "whole": self.denominator(shape),
            "weight_bits": self.denominator(shape).bit_length(),
        }
        return Kernel("interpolate", "interpolate", sizes)


def _nearest(layer: LayerView, build: Builder, x: Ref, factors: tuple[int, ...]) -> Ref:
    return build.add(Repeat(by_axis(layer, factors, 1)), x, name=layer.name, layer=layer.name)


def interpolate(layer: LayerView, build: Builder, x: Ref, size: tuple[int, ...]) -> Ref:
    """Append the linear interpolation of an image's spatial axes to the given sizes."""
    shape = list(layer.shapes[0])
    start = 1 if channels_first(layer) else 0
    whole = 1
    # The last axis first: the fewest elements are computed twice.
    for axis, wanted in reversed(list(enumerate(size, start))):
        if wanted == shape[axis]:
            continue
        op = Interpolate(axis, wanted)
        whole *= op.denominator(tuple(shape))
        shape[axis] = wanted
        x = build.add(op, x, name=f"{layer.name}_sum", layer=layer.name)
    return divide(build, x, whole, name=layer.name, layer=layer.name)


@reads("keras.layers.UpSampling1D", consumes="size")
def read_upsampling1d(layer: LayerView, build: Builder, x: Ref) -> Ref:
    """Every time step several times."""
    return _nearest(layer, build, x, (int(layer.config["size"]),))


@reads(
    "keras.layers.UpSampling2D",
    consumes="size data_format interpolation",
    conditions={"interpolation": '"nearest" or "bilinear"'},
)
def read_upsampling2d(layer: LayerView, build: Builder, x: Ref) -> Ref:
    """Both data formats. Bilinear is exact for factors that are powers of two; others divide, and Keras's own float32 rounds."""
    factors = tuple(int(n) for n in layer.config["size"])
    kind = layer.config["interpolation"]
    if kind == "nearest":
        return _nearest(layer, build, x, factors)
    if kind != "bilinear":
        raise ReadError(f"its interpolation is {kind!r}, whose weights no op has; use 'nearest' or 'bilinear'")
    shape = layer.shapes[0]
    spatial = shape[1:] if channels_first(layer) else shape[:-1]
    return interpolate(layer, build, x, tuple(n * f for n, f in zip(spatial, factors)))


@reads("keras.layers.UpSampling3D", consumes="size data_format")
def read_upsampling3d(layer: LayerView, build: Builder, x: Ref) -> Ref:
    """Every voxel several times along each axis; both data formats."""
    return _nearest(layer, build, x, tuple(int(n) for n in layer.config["size"]))
