"""Powers of two: quantized_po2 and quantized_relu_po2."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from keras_hls.fixed import FloatArray
from keras_hls.quantizers.base import Quantizer, QuantizerError
from keras_hls.quantizers.relu import check_slope
from keras_hls.quantizers.stairs import Stairs
from keras_hls.quantizers.tensorflow_floats import EPSILON, LOG2, Float32, log

# Exponents of normal float32 numbers.
_LEAST, _MOST = -126, 127
# Floats on either side of a threshold among which the first that is rounded up is sought.
_NEAR = 256


@dataclass(frozen=True)
class Exponents:
    """Which power of two a magnitude becomes: by its logarithm, as float32 rounds it.

    Parameters
    ----------
    bits : int
        Of the exponent, its sign included.
    maximum : float, optional
        Larger magnitudes are taken for it. The exponents have a sign if it is above 1, or there is none.
    quadratic : bool
        Whether exponents are those of square roots, doubled.
    floor : bool
        Whether logarithms are rounded down, not to nearest.
    """

    bits: int
    maximum: float | None
    quadratic: bool
    floor: bool

    @property
    def ends(self) -> tuple[int, int]:
        """Least and largest exponent, before they are doubled."""
        reach = self.bits - (self.maximum is None or self.maximum > 1)
        most = 2**reach - 1
        return -(2**reach), most // 2 * 2 if self.quadratic else most

    @property
    def _twice(self) -> int:
        return 2 if self.quadratic else 1

    def _unclipped(self, x: Float32, *, lanes: bool) -> Float32:
        """Exponents of positive numbers, neither doubled nor brought into their range."""
        with np.errstate(all="ignore"):
            logs = log(np.sqrt(x) if self.quadratic else x, lanes=lanes) / LOG2
        return np.floor(logs) if self.floor else np.rint(logs)

    def of(self, magnitude: Float32, *, lanes: bool = False) -> FloatArray:
        """Return the powers of two of magnitudes; `lanes` says that none of them is left over at a tensor's end."""
        low, high = self.ends
        x = np.where(magnitude < EPSILON, EPSILON, magnitude)
        if self.maximum is not None:
            x = np.minimum(x, np.float32(self.maximum))
        found = np.clip(self._unclipped(x, lanes=lanes), np.float32(low), np.float32(high)) * self._twice
        # What is too small for a logarithm has the least exponent, which isn't doubled.
        return _power(np.where(magnitude < EPSILON, low, found.astype(np.int64)))

    @property
    def steps(self) -> list[tuple[float, float]]:
        """From which magnitudes on, in order, which powers of two; the first from 0."""
        low, high = self.ends
        starts = [EPSILON]
        # No exponent below is that of a number from epsilon on.
        for exponent in range(max(low + 1, -30), min(high, _MOST // self._twice) + 1):
            near = np.float32(2.0 ** min(self._twice * (exponent - (0.0 if self.floor else 0.5)), _MOST))
            if near > EPSILON:
                starts.append(self._first(near, exponent))
        if self.maximum is not None:
            starts = [start for start in starts if start <= self.maximum or start == EPSILON]
        powers = self.of(np.array(starts, np.float32), lanes=True)
        return [(0.0, float(_power(np.array(low)))), *zip(map(float, starts), powers.tolist())]

    def _first(self, near: np.float32, exponent: int) -> np.float32:
        """The least float32 about a threshold that has the exponent."""
        place = int(np.asarray(near, np.float32).view(np.int32))
        around = np.arange(place - _NEAR, place + _NEAR + 1, dtype=np.int32).view(np.float32)
        return around[int(np.argmax(self._unclipped(around, lanes=True) >= exponent))]


def _power(exponent: npt.NDArray[np.int64]) -> FloatArray:
    """Powers of two; what is no normal float32 is 0, as in TensorFlow's arithmetic."""
    return np.where(exponent < _LEAST, 0.0, np.ldexp(1.0, np.clip(exponent, -1000, 1000)))


def _checked(quantizer: QuantizedPo2 | QuantizedReLUPo2, sign: int) -> Exponents:
    """Check what both have in common; `sign` is the number of bits beside the exponent's own."""
    quantizer._whole("bits", 1, 32)
    quantizer._flags("use_stochastic_rounding", "quadratic_approximation", "use_ste")
    quantizer._number("max_value", none=True)
    quantizer._finished()
    if quantizer.max_value is not None and quantizer.max_value < 0:
        raise QuantizerError(f"{quantizer.name}: max_value must not be negative")
    if quantizer.log2_rounding not in ("rnd", "floor"):
        raise QuantizerError(f"{quantizer.name}: log2_rounding must be 'rnd' or 'floor'")
    found = Exponents(
        quantizer.bits - sign,
        quantizer.max_value,
        quantizer.quadratic_approximation,
        quantizer.log2_rounding == "floor",
    )
    if found.bits < (quantizer.max_value is None or quantizer.max_value > 1):
        raise QuantizerError(f"{quantizer.name}: its bits leave none for the exponent; give it more")
    return found


@dataclass(frozen=True, eq=False)
class QuantizedPo2(Quantizer):
    """The sign of x times the power of two nearest to its magnitude; 0 becomes the least of them."""

    name: ClassVar[str] = "quantized_po2"

    bits: int = 8
    max_value: float | None = None
    use_stochastic_rounding: bool = False
    quadratic_approximation: bool = False
    log2_rounding: str = "rnd"
    qnoise_factor: float = 1.0
    var_name: str | None = None
    use_ste: bool = True
    use_variables: bool = False

    def __post_init__(self) -> None:
        _checked(self, 1)

    @property
    def stairs(self) -> Stairs:
        """The function as thresholds and values."""
        up = _checked(self, 1).steps
        down = [(-bound, True, -before) for (_, before), (bound, _) in zip(up, up[1:])]
        return Stairs.of(*reversed(down), *((bound, False, value) for bound, value in up), start=-up[-1][1])

    def levels(self, x: FloatArray) -> FloatArray:
        return self.stairs(x).astype(x.dtype)

    def scaled(self, x: Float32) -> tuple[FloatArray, FloatArray]:
        return np.where(x >= 0, 1.0, -1.0) * _checked(self, 1).of(np.abs(x)), np.ones((), np.float32)


@dataclass(frozen=True, eq=False)
class QuantizedReLUPo2(Quantizer):
    """The power of two nearest to x, or to slope * x below zero; without a slope all below zero becomes the least."""

    name: ClassVar[str] = "quantized_relu_po2"

    bits: int = 8
    max_value: float | None = None
    negative_slope: float = 0.0
    use_stochastic_rounding: bool = False
    quadratic_approximation: bool = False
    log2_rounding: str = "rnd"
    qnoise_factor: float = 1.0
    var_name: str | None = None
    use_ste: bool = True
    use_variables: bool = False

    def __post_init__(self) -> None:
        self._number("negative_slope")
        check_slope(self.name, self.negative_slope)
        _checked(self, 0)

    @property
    def stairs(self) -> Stairs:
        """The function as thresholds and values."""
        up = _checked(self, 0).steps
        if not self.negative_slope:
            return Stairs.of(*((bound, False, value) for bound, value in up[1:]), start=up[0][1])
        down = [(-bound / self.negative_slope, True, -before) for (_, before), (bound, _) in zip(up, up[1:])]
        return Stairs.of(*reversed(down), *((bound, False, value) for bound, value in up), start=-up[-1][1])

    def levels(self, x: FloatArray) -> FloatArray:
        return self.stairs(x).astype(x.dtype)

    def scaled(self, x: Float32) -> tuple[FloatArray, FloatArray]:
        exponents, zero = _checked(self, 0), np.float32(0)
        positive = exponents.of(np.maximum(x, zero))
        negative = exponents.of(np.maximum(-x, zero) * np.float32(self.negative_slope))
        return np.where((x >= 0) | (self.negative_slope == 0), positive, -negative), np.ones((), np.float32)
