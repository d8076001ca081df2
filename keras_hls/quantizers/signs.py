"""Two and three values: binary, ternary, their stochastic kin at inference, and bernoulli, which has no inference."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, NoReturn

import numpy as np
import numpy.typing as npt

from keras_hls.fixed import Constant, FloatArray
from keras_hls.quantizers.base import Alpha, Quantizer, QuantizerError
from keras_hls.quantizers.scales import Axes, Scaling, power_of_two
from keras_hls.quantizers.stairs import Stairs
from keras_hls.quantizers.tensorflow_floats import Float32


@dataclass(frozen=True, eq=False)
class Binary(Quantizer):
    """-1 below zero and 1 from zero on, or 0 and 1, times alpha."""

    name: ClassVar[str] = "binary"

    use_01: bool = False
    alpha: Alpha = None
    use_stochastic_rounding: bool = False
    scale_axis: Axes | None = None
    elements_per_scale: Axes | None = None
    min_po2_exponent: int | None = None
    max_po2_exponent: int | None = None

    def __post_init__(self) -> None:
        self._flags("use_01", "use_stochastic_rounding")
        self._alpha()
        self._axes(("scale_axis", "elements_per_scale", "min_po2_exponent", "max_po2_exponent"))
        if self.use_stochastic_rounding:
            raise QuantizerError(
                f"{self.name}: with use_stochastic_rounding QKeras adds one number an axis to every element at inference, which"
                " fails for most shapes and means nothing for others; set it to False"
            )

    def kernel(self) -> Quantizer:
        return replace(self, alpha="auto_po2") if self.alpha is None else self

    @property
    def stairs(self) -> Stairs:
        """The function as thresholds and values, without alpha."""
        return Stairs((0.0,), (False,), (0.0 if self.use_01 else -1.0, 1.0))

    def levels(self, x: FloatArray) -> FloatArray:
        return self.stairs(x).astype(x.dtype)

    def scaled(self, x: Float32) -> tuple[FloatArray, FloatArray]:
        if not self.automatic:
            return super().scaled(x)
        q = self.levels(x)
        scaling = Scaling(self.scale_axis, self.elements_per_scale, self.min_po2_exponent, self.max_po2_exponent)
        return q, scaling.least_squares(x, q, po2=self.alpha == "auto_po2")


@dataclass(frozen=True, eq=False)
class StochasticBinary(Quantizer):
    """At inference, binary; its samples are for training alone."""

    name: ClassVar[str] = "stochastic_binary"

    alpha: Alpha = None
    temperature: float = 6.0
    use_real_sigmoid: bool = True

    def __post_init__(self) -> None:
        self._alpha()

    def kernel(self) -> Quantizer:
        return replace(self, alpha="auto_po2") if self.alpha is None else self

    @property
    def stairs(self) -> Stairs:
        """The function as thresholds and values, without alpha."""
        return Binary().stairs

    def levels(self, x: FloatArray) -> FloatArray:
        return Binary().levels(x)

    def scaled(self, x: Float32) -> tuple[FloatArray, FloatArray]:
        return Binary(alpha=self.alpha).scaled(x)


@dataclass(frozen=True, eq=False)
class Ternary(Quantizer):
    """-1, 0 or 1 times alpha: 0 below a threshold, which with an automatic alpha is half of the scale."""

    name: ClassVar[str] = "ternary"

    alpha: Alpha = None
    threshold: float | None = None
    use_stochastic_rounding: bool = False
    number_of_unrolls: int = 5

    def __post_init__(self) -> None:
        self._flags("use_stochastic_rounding")
        self._alpha()
        self._whole("number_of_unrolls", 0, 1000)
        self._number("threshold", none=True)
        if self.automatic and self.threshold is not None:
            raise QuantizerError(f"{self.name}: alpha={self.alpha!r} finds its own threshold; leave threshold out")
        if not self.automatic and self.use_stochastic_rounding:
            raise QuantizerError(
                f"{self.name}: use_stochastic_rounding needs alpha='auto' or 'auto_po2' in QKeras; set it to False"
            )
        if self.automatic and not self.number_of_unrolls:
            raise QuantizerError(f"{self.name}: number_of_unrolls must be 1 or more with alpha={self.alpha!r}")

    def kernel(self) -> Quantizer:
        return replace(self, alpha="auto_po2") if self.alpha is None else self

    @property
    def stairs(self) -> Stairs:
        """The function as thresholds and values, without alpha."""
        limit = float(np.float32(0.33 if self.threshold is None else self.threshold))
        if limit <= 0:
            return Stairs((0.0, 0.0), (False, True), (-1.0, 0.0, 1.0))
        return Stairs((-limit, limit), (True, False), (-1.0, 0.0, 1.0))

    def levels(self, x: FloatArray) -> FloatArray:
        return self.stairs(x).astype(x.dtype)

    def scaled(self, x: Float32) -> tuple[FloatArray, FloatArray]:
        if not self.automatic:
            return super().scaled(x)
        f = np.float32
        po2 = self.alpha == "auto_po2"
        axes = tuple(range(x.ndim - 1)) if x.ndim > 1 else None
        scale: Any = f(2) * np.max(np.abs(x), axis=axes, keepdims=True) / f(3)
        if po2:
            scale = power_of_two(scale)
        for _ in range(self.number_of_unrolls):
            q = (np.abs(scale * np.rint(x / scale)) >= scale / f(2)) * np.sign(x)
            scale = Scaling().least_squares(x, q, po2=po2)
        return q, scale


@dataclass(frozen=True, eq=False)
class StochasticTernary(Quantizer):
    """At inference, ternary; its samples are for training alone."""

    name: ClassVar[str] = "stochastic_ternary"

    alpha: Alpha = None
    threshold: float | None = None
    temperature: float = 8.0
    use_real_sigmoid: bool = True
    number_of_unrolls: int = 5

    def __post_init__(self) -> None:
        try:
            plain = self.plain
        except QuantizerError as error:
            raise QuantizerError(f"{self.name}: as {error}") from None
        if self.threshold == 1.0:
            raise QuantizerError(f"{self.name}: threshold must not be 1")
        object.__setattr__(self, "alpha", plain.alpha)

    @property
    def plain(self) -> Ternary:
        """What it is at inference."""
        return Ternary(self.alpha, self.threshold, number_of_unrolls=self.number_of_unrolls)

    def kernel(self) -> Quantizer:
        return replace(self, alpha="auto_po2") if self.alpha is None else self

    @property
    def stairs(self) -> Stairs:
        """The function as thresholds and values, without alpha."""
        return self.plain.stairs

    def levels(self, x: FloatArray) -> FloatArray:
        return self.plain.levels(x)

    def scaled(self, x: Float32) -> tuple[FloatArray, FloatArray]:
        return self.plain.scaled(x)


@dataclass(frozen=True, eq=False)
class Bernoulli(Quantizer):
    """0 or 1 at random, at inference too: there are no values to export."""

    name: ClassVar[str] = "bernoulli"

    alpha: Alpha = None
    temperature: float = 6.0
    use_real_sigmoid: bool = True

    def _refuse(self) -> NoReturn:
        raise QuantizerError(
            "bernoulli draws its values at random, at inference too, so no hardware has the same ones; take"
            " binary(use_01=True) or stochastic_binary, which are fixed at inference"
        )

    def weights(self, values: npt.ArrayLike) -> Constant:
        self._refuse()

    def activation(self, values: FloatArray) -> FloatArray:
        self._refuse()

    def check_activation(self) -> None:
        self._refuse()

    def levels(self, x: FloatArray) -> FloatArray:
        self._refuse()
