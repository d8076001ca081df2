"""quantized_relu."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from keras_hls.fixed import FloatArray
from keras_hls.quantizers.base import MOST_BITS, Quantizer, QuantizerError
from keras_hls.quantizers.sigmoids import InternalSigmoid, internal_sigmoid
from keras_hls.quantizers.uniform import Integer, checked_integer


def check_slope(name: str, slope: float) -> None:
    """Refuse a negative_slope that isn't 0 or a power of two, as QKeras does."""
    if slope < 0 or (slope and np.frexp(slope)[0] != 0.5):
        raise QuantizerError(f"{name}: negative_slope must be 0 or a power of two, not {slope!r}")


@dataclass(frozen=True, eq=False)
class QuantizedReLU(Quantizer):
    """ReLU, or a hard sigmoid's upper half, to unsigned fixed point; below zero 0, or a slope times x."""

    name: ClassVar[str] = "quantized_relu"

    bits: int = 8
    integer: Integer = 0
    use_sigmoid: bool = False
    negative_slope: float = 0.0
    use_stochastic_rounding: bool = False
    relu_upper_bound: float | None = None
    is_quantized_clip: bool = True
    qnoise_factor: float = 1.0
    var_name: str | None = None
    use_ste: bool = True
    use_variables: bool = False
    enable_fast_inference: bool = False
    internal_sigmoid: InternalSigmoid = "hard"

    def __post_init__(self) -> None:
        self._whole("bits", 1, MOST_BITS)
        object.__setattr__(self, "integer", checked_integer(self, self.integer))
        self._flags("use_sigmoid", "use_stochastic_rounding", "is_quantized_clip", "use_ste", "enable_fast_inference")
        self._number("negative_slope")
        self._number("relu_upper_bound", none=True)
        self._finished()
        check_slope(self.name, self.negative_slope)
        if self.enable_fast_inference and (self.use_sigmoid or self.negative_slope or self.ceiling is not None):
            raise QuantizerError(
                f"{self.name}: enable_fast_inference leaves out slope, sigmoid and upper bound, so it isn't what was"
                " trained; set it to False"
            )

    @property
    def magnitude(self) -> int:
        """Bits above zero."""
        return self.bits - (self.negative_slope != 0)

    @property
    def ceiling(self) -> float | None:
        """The largest value, if it isn't that of the type: QKeras takes a bound of 0 for none."""
        return None if self.is_quantized_clip else self.relu_upper_bound or None

    def levels(self, x: FloatArray) -> FloatArray:
        f = x.dtype.type
        m, one, slope = f(2.0**self.magnitude), np.ldexp(f(1), self.integer), f(self.negative_slope)
        if self.use_sigmoid:
            p = internal_sigmoid(self.internal_sigmoid, x / one) * m
            y = one * np.clip(f(2) * (np.rint(p) / m) - f(1), f(0), f(1) - f(1) / m)
            if slope:
                y = y + one * slope * np.clip(f(2) * (np.rint(p * slope) / (slope * m)) - f(1), f(-1), f(0))
        else:
            p = x * m / one
            y = one * np.clip(np.rint(p) / m, f(0), f(1) - f(1) / m)
            if slope:
                y = y + one * slope * np.clip(np.rint(p * slope) / (slope * m), f(-1), f(0))
        return y if self.ceiling is None else np.minimum(y, f(self.ceiling))
