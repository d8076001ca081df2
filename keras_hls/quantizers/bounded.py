"""Functions with a quantizer behind them: quantized_tanh, quantized_sigmoid, quantized_hswish, quantized_ulaw.

What QKeras calls a sigmoid is the hard one, ``clip(x / 2 + 1 / 2, 0, 1)``, unless a parameter asks for the real one, or
``set_internal_sigmoid`` has made it another one for all quantizers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from keras_hls.fixed import FloatArray
from keras_hls.quantizers import tensorflow_floats
from keras_hls.quantizers.base import MOST_BITS, Quantizer, QuantizerError
from keras_hls.quantizers.sigmoids import InternalSigmoid, internal_sigmoid
from keras_hls.quantizers.tensorflow_floats import Float32
from keras_hls.quantizers.uniform import QuantizedBits


@dataclass(frozen=True, eq=False)
class QuantizedTanh(Quantizer):
    """A hyperbolic tangent, hard or real, to signed fixed point."""

    name: ClassVar[str] = "quantized_tanh"
    neutral: ClassVar[dict[str, Any]] = {"integer": 0}

    bits: int = 8
    use_stochastic_rounding: bool = False
    symmetric: bool = False
    use_real_tanh: bool = False
    internal_sigmoid: InternalSigmoid = "hard"

    def __post_init__(self) -> None:
        self._whole("bits", 1, MOST_BITS)
        self._flags("use_stochastic_rounding", "symmetric", "use_real_tanh")

    def levels(self, x: FloatArray) -> FloatArray:
        f = x.dtype.type
        m = f(2.0 ** (self.bits - 1))
        p = tensorflow_floats.tanh(x.astype(np.float32)).astype(x.dtype) if self.use_real_tanh else self.doubled(x)
        return np.clip(np.rint(p * m) / m, f(-1) + f(self.symmetric) / m, f(1) - f(1) / m)

    def doubled(self, x: FloatArray) -> FloatArray:
        """Return twice the internal sigmoid, less one: what stands for the hyperbolic tangent."""
        p = internal_sigmoid(self.internal_sigmoid, x)
        if self.internal_sigmoid == "real":
            # It is float32's, and so is what follows from it.
            return (np.float32(2) * p.astype(np.float32) - np.float32(1)).astype(x.dtype)
        f = x.dtype.type
        return f(2) * p - f(1)


@dataclass(frozen=True, eq=False)
class QuantizedSigmoid(Quantizer):
    """A sigmoid, hard or real, to unsigned fixed point."""

    name: ClassVar[str] = "quantized_sigmoid"
    neutral: ClassVar[dict[str, Any]] = {"integer": 0}

    bits: int = 8
    symmetric: bool = False
    use_real_sigmoid: bool = False
    use_stochastic_rounding: bool = False
    internal_sigmoid: InternalSigmoid = "hard"

    def __post_init__(self) -> None:
        self._whole("bits", 1, MOST_BITS)
        self._flags("use_stochastic_rounding", "symmetric", "use_real_sigmoid")

    @property
    def sigmoid(self) -> InternalSigmoid:
        """Which sigmoid it computes."""
        return "real" if self.use_real_sigmoid else self.internal_sigmoid

    def levels(self, x: FloatArray) -> FloatArray:
        f = x.dtype.type
        m = f(2.0**self.bits)
        p = internal_sigmoid(self.sigmoid, x)
        return np.clip(np.rint(p * m) / m, f(self.symmetric) / m, f(1) - f(1) / m)


@dataclass(frozen=True, eq=False)
class QuantizedHSwish(Quantizer):
    """x * clip(x + relu_shift, 0, relu_upper_bound) / relu_upper_bound, quantized as quantized_bits does it."""

    name: ClassVar[str] = "quantized_hswish"
    # QKeras writes it into the config, and can't read it then.
    neutral: ClassVar[dict[str, Any]] = {"keep_negative": True}

    bits: int = 8
    integer: int = 0
    symmetric: bool = False
    alpha: Any = None
    use_stochastic_rounding: bool = False
    scale_axis: Any = None
    qnoise_factor: float = 1.0
    var_name: str | None = None
    use_ste: bool = True
    use_variables: bool = False
    relu_shift: float = 3.0
    relu_upper_bound: float = 6.0
    post_training_scale: npt.NDArray[np.float32] | None = None
    newer: bool = False

    def __post_init__(self) -> None:
        self._number("relu_shift")
        self._number("relu_upper_bound")
        if self.relu_shift <= 0 or self.relu_upper_bound <= 0:
            raise QuantizerError(f"{self.name}: relu_shift and relu_upper_bound must be positive")
        try:
            behind = self.behind
        except QuantizerError as error:
            raise QuantizerError(f"{self.name}: its {error}") from None
        for key in ("bits", "integer", "symmetric", "alpha"):
            object.__setattr__(self, key, getattr(behind, key))

    @property
    def behind(self) -> QuantizedBits:
        """The quantizer of its values."""
        return QuantizedBits(
            self.bits,
            self.integer,
            self.symmetric,
            alpha=self.alpha,
            use_stochastic_rounding=self.use_stochastic_rounding,
            scale_axis=self.scale_axis,
            qnoise_factor=self.qnoise_factor,
            post_training_scale=self.post_training_scale,
            newer=self.newer,
        )

    def check_activation(self) -> None:
        self.behind.check_activation()

    def _curve(self, x: FloatArray) -> FloatArray:
        f = x.dtype.type
        ceiling = f(self.relu_upper_bound)
        return x * np.clip(x + f(self.relu_shift), f(0), ceiling) / ceiling

    def levels(self, x: FloatArray) -> FloatArray:
        return self.behind.levels(self._curve(x))

    def scaled(self, x: Float32) -> tuple[FloatArray, FloatArray]:
        return self.behind.scaled(self._curve(x))

    def kernel(self) -> Quantizer:
        return replace(self, alpha="auto_po2") if self.alpha is None else self


@dataclass(frozen=True, eq=False)
class QuantizedULaw(Quantizer):
    """The u-law of a hard sigmoid of `bits` bits: 2**(bits - 1) + 1 values, which are logarithms."""

    name: ClassVar[str] = "quantized_ulaw"

    bits: int = 8
    integer: int = 0
    symmetric: bool = False
    u: float = 255.0
    internal_sigmoid: InternalSigmoid = "hard"

    def __post_init__(self) -> None:
        self._whole("bits", 1, 20)
        self._whole("integer", -60, 60)
        self._flags("symmetric")
        self._number("u")
        if self.u <= 0:
            raise QuantizerError(f"{self.name}: u must be positive, not {self.u!r}")

    def levels(self, x: FloatArray) -> FloatArray:
        f = x.dtype.type
        m, one = f(2.0 ** (self.bits - 1)), np.ldexp(f(1), self.integer)
        p = internal_sigmoid(self.internal_sigmoid, x / one) * m
        # What is behind the rounding has few values, and QKeras's own are their float32 ones.
        return self.law(np.rint(p), lanes=x.dtype == np.float64).astype(x.dtype)

    def law(self, index: npt.NDArray[Any], *, lanes: bool = True) -> Float32:
        """Return the values that follow from whole numbers from 0 to 2**(bits - 1); `lanes` as for logarithms."""
        f = np.float32
        m, one = f(2.0 ** (self.bits - 1)), np.ldexp(f(1), self.integer)
        r = f(2) * (index.astype(np.float32) / m) - f(1)
        bottom = f(np.log(1.0 + self.u))
        y = np.sign(r) * tensorflow_floats.log(f(1) + f(self.u) * np.abs(r), lanes=lanes) / bottom
        return one * np.clip(y, f(-1) + f(self.symmetric) / m, f(1) - f(1) / m)
