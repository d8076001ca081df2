"""Quantizers with steps of one size: quantized_bits and quantized_linear."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from keras_hls.fixed import FloatArray
from keras_hls.quantizers.base import MOST_BITS, Alpha, Quantizer, QuantizerError
from keras_hls.quantizers.scales import Axes, Scaling, power_of_two
from keras_hls.quantizers.tensorflow_floats import EPSILON, Float32

# QKeras raises two to the integer bits in 32-bit integers, which wrap around beyond.
_MOST_INTEGER = 30

#: Integer bits: of all elements, or one number a channel.
Integer = int | npt.NDArray[np.int64]


def checked_integer(quantizer: Quantizer, value: Any) -> Integer:
    """Return integer bits as an int, or as an int array."""
    array = np.asarray(value)
    whole = array.dtype.kind in "iuf" and bool((array == np.floor(array)).all())
    if not whole or not array.size or (array < -60).any() or (array > _MOST_INTEGER).any():
        raise QuantizerError(
            f"{quantizer.name}: integer must be a whole number from -60 to {_MOST_INTEGER}, not {value!r}"
        )
    ints = array.astype(np.int64)
    return int(ints.reshape(())) if ints.size == 1 and ints.ndim <= 1 else ints


@dataclass(frozen=True, eq=False)
class QuantizedBits(Quantizer):
    """Fixed point of `bits` bits, `integer` of them left of the point beside the sign, rounded half to even.

    A scale stands beside it: alpha, or one found in the weights. A single bit with a sign is -1 or 1.

    Parameters
    ----------
    newer : bool
        Whether it is of QKeras after 0.9 on PyPI, which rounds once more with the last scale it found; its config has
        ``post_training_scale``.
    """

    name: ClassVar[str] = "quantized_bits"

    bits: int = 8
    integer: Integer = 0
    symmetric: bool = False
    keep_negative: bool = True
    alpha: Alpha = None
    use_stochastic_rounding: bool = False
    scale_axis: Axes | None = None
    qnoise_factor: float = 1.0
    var_name: str | None = None
    use_ste: bool = True
    use_variables: bool = False
    elements_per_scale: Axes | None = None
    min_po2_exponent: int | None = None
    max_po2_exponent: int | None = None
    post_training_scale: npt.NDArray[np.float32] | None = None
    newer: bool = False

    def __post_init__(self) -> None:
        self._whole("bits", 1, 32)
        object.__setattr__(self, "integer", checked_integer(self, self.integer))
        self._flags("symmetric", "keep_negative", "use_stochastic_rounding", "use_ste")
        self._alpha()
        self._finished()
        self._axes(("scale_axis", "elements_per_scale", "min_po2_exponent", "max_po2_exponent"))
        if self.post_training_scale is not None:
            if not self.automatic:
                raise QuantizerError(f"{self.name}: post_training_scale needs alpha='auto' or 'auto_po2'")
            object.__setattr__(self, "post_training_scale", np.asarray(self.post_training_scale, np.float32))
        for key in ("elements_per_scale", "min_po2_exponent", "max_po2_exponent"):
            if getattr(self, key) is not None:
                if self.alpha != "auto_po2":
                    raise QuantizerError(f"{self.name}: {key} needs alpha='auto_po2'")
                object.__setattr__(self, "newer", True)
        if self.automatic:
            object.__setattr__(self, "symmetric", True)
            if self.bits == 1:
                raise QuantizerError(
                    f"{self.name}: one bit leaves no level for alpha={self.alpha!r} but 0, by which QKeras divides; take"
                    " binary(alpha=...) instead"
                )

    @property
    def magnitude(self) -> int:
        """Bits beside the sign; 0 for those that are a sign alone."""
        return self.bits - self.keep_negative

    def kernel(self) -> Quantizer:
        return replace(self, alpha="auto_po2", symmetric=True) if self.alpha is None else self

    def check_activation(self) -> None:
        super().check_activation()
        if self.magnitude > MOST_BITS:
            raise QuantizerError(
                f"{self.name} of {self.bits} bits saturates where float32, in which it is trained, has no such number; give"
                f" it {MOST_BITS + self.keep_negative} bits or fewer"
            )

    def levels(self, x: FloatArray) -> FloatArray:
        f = x.dtype.type
        if not self.magnitude:
            sign = np.where(x >= 0, f(1), f(-1))
            return sign if self.keep_negative else (sign + f(1)) / f(2)
        m, one = f(2.0**self.magnitude), np.ldexp(f(1), self.integer)
        low = -m + f(self.symmetric) if self.keep_negative else f(0)
        return one * np.clip(np.rint(x * m / one), low, m - f(1)) / m

    def scaled(self, x: Float32) -> tuple[FloatArray, FloatArray]:
        if not self.automatic:
            return super().scaled(x)
        f = np.float32
        one = np.ldexp(f(1), self.integer).astype(np.float32)
        x = x / one
        most = f(2 ** (self.bits - 1) - 1)
        scaling = Scaling(self.scale_axis, self.elements_per_scale, self.min_po2_exponent, self.max_po2_exponent)

        def rounded(scale: Float32) -> Float32:
            whole = np.floor(np.abs(x) / scale + f(0.5))
            return np.sign(x) * np.where(whole < most, whole, most)

        if self.post_training_scale is not None:
            scale = self.post_training_scale / f(2.0**self.magnitude)
            return rounded(scale) * one, scale
        axes = tuple(scaling.reduced(x.ndim)) if x.ndim > 1 else (0,)
        scale = np.max(np.abs(x), axis=axes, keepdims=True) * f(2) / f(2 * (2 ** (self.bits - 1) - 1))
        if self.alpha == "auto":
            return rounded(scale) * one, scale
        scale = power_of_two(scale)
        for _ in range(5):
            z = rounded(scale)
            scale = scaling.least_squares(x, z, po2=True)
        # QKeras 0.9 multiplies the last scale by what it rounded with the one before.
        return (rounded(scale) if self.newer else z) * one, scale


@dataclass(frozen=True, eq=False)
class QuantizedLinear(Quantizer):
    """Fixed point whose step is multiplied by alpha before anything is rounded; of QKeras after 0.9 on PyPI.

    A single bit with a sign is half a step above or below zero.
    """

    name: ClassVar[str] = "quantized_linear"

    bits: int = 8
    integer: int = 0
    symmetric: bool = True
    keep_negative: bool = True
    alpha: Alpha = None
    use_stochastic_rounding: bool = False
    scale_axis: Axes | None = None
    qnoise_factor: float = 1.0
    var_name: str | None = None
    use_variables: bool = False

    def __post_init__(self) -> None:
        self._whole("bits", 1, 32)
        self._whole("integer", -60, 60)
        self._flags("symmetric", "keep_negative", "use_stochastic_rounding")
        self._alpha()
        self._finished()
        self._axes(("scale_axis",))
        factor = None if self.automatic else self.factor
        if factor is not None and (factor <= 0).any():
            raise QuantizerError(f"{self.name}: alpha must be positive, not {self.alpha!r}")

    def kernel(self) -> Quantizer:
        return replace(self, alpha="auto_po2", symmetric=True) if self.alpha is None else self

    def check_activation(self) -> None:
        super().check_activation()
        if self.bits - self.keep_negative > MOST_BITS:
            raise QuantizerError(
                f"{self.name} of {self.bits} bits saturates where float32, in which it is trained, has no such number; give"
                f" it {MOST_BITS + self.keep_negative} bits or fewer"
            )

    @property
    def sign_only(self) -> bool:
        """Whether it has one bit, which is the sign."""
        return self.bits == 1 and self.keep_negative

    @property
    def step(self) -> npt.NDArray[np.float32]:
        """What it rounds to multiples of, if that isn't found in the weights."""
        own = np.float32(2.0 ** (self.integer - self.bits + self.keep_negative))
        return np.asarray(own if self.alpha is None else np.asarray(self.alpha, np.float32) * own)

    @property
    def factor(self) -> npt.NDArray[np.float32] | None:
        return None if self.automatic else self.step

    @property
    def ends(self) -> tuple[float, float]:
        """The least and the largest number of steps."""
        if self.sign_only:
            return -0.5, 0.5
        m = 2.0 ** (self.bits - self.keep_negative)
        return -m + self.symmetric if self.keep_negative else 0.0, m - 1

    def levels(self, x: FloatArray) -> FloatArray:
        return self._steps(x, self.step.astype(x.dtype))

    def _steps(self, x: FloatArray, step: FloatArray) -> FloatArray:
        f = x.dtype.type
        low, high = (f(end) for end in self.ends)
        shift = f(0.5 * self.sign_only)
        return np.rint(np.clip(x / step, low, high) - shift) + shift

    def scaled(self, x: Float32) -> tuple[FloatArray, FloatArray]:
        if not self.automatic:
            return super().scaled(x)
        f = np.float32
        scaling = Scaling(self.scale_axis)
        # Here each element of a vector is a channel from the start.
        axes = tuple(scaling.reduced(x.ndim)) if x.ndim > 1 else ()
        low, high = (f(end) for end in self.ends)
        span = high - low
        if self.keep_negative:
            step = np.max(np.abs(x), axis=axes, keepdims=True) * f(2) / span
        else:
            step = np.max(x, axis=axes, keepdims=True) / span
        step = np.maximum(step, EPSILON)
        if self.alpha == "auto_po2":
            step = power_of_two(step)
            for _ in range(1 if self.sign_only else 5):
                step = scaling.least_squares(x, self._steps(x, step), po2=True)
        return self._steps(x, step), step
