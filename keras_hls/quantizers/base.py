"""What every quantizer of QKeras is asked, and what they share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from keras_hls.fixed import Constant, FloatArray
from keras_hls.quantizers.tensorflow_floats import Float32, flushed

#: A factor: none, a number, one a channel (anything that broadcasts), or found in the weights.
Alpha = float | str | npt.NDArray[np.float32] | None

AUTO = ("auto", "auto_po2")
# Bits of a magnitude up to which float32 holds it and its neighbours.
MOST_BITS = 24


class QuantizerError(ValueError):
    """A quantizer can't be read, or not be computed exactly: a sentence that says why and what to do."""


@dataclass(frozen=True, eq=False)
class Quantizer(ABC):
    """A quantizer of QKeras as it works at inference.

    Its fields are the parameters of QKeras's class, by their names and in their order. What says only how it is trained is
    kept, so that it can be read, and changes nothing.

    Raises
    ------
    QuantizerError
        If a parameter has a value that has no meaning, or none that is exact.
    """

    #: The name of QKeras's class.
    name: ClassVar[str]
    #: Values of arguments that it hasn't (any more), at which they change nothing.
    neutral: ClassVar[dict[str, Any]] = {}

    def weights(self, values: npt.ArrayLike) -> Constant:
        """Return what QKeras makes of a tensor of weights, without what float32 rounds off the products by a scale.

        Parameters
        ----------
        values : float array
            Taken as float32.

        Returns
        -------
        Constant
            Of the same shape: whole steps times the exact float32 scale.

        Raises
        ------
        QuantizerError
            If the result isn't finite, or isn't the same each time.
        TooWide
            If the numbers together span more than 63 bits.
        """
        x = flushed(values)
        if not np.isfinite(x).all():
            raise QuantizerError(f"{self.name} is given weights that are NaN or infinite; train the model again")
        if self.automatic and not (x.ndim and x.size):
            raise QuantizerError(f"{self.name} finds no scale in weights of shape {x.shape}; give it a number as alpha")
        with np.errstate(all="ignore"):
            levels, scale = self.scaled(x)
        product = np.asarray(levels, np.float64) * np.asarray(scale, np.float64)
        if not np.isfinite(product).all():
            raise QuantizerError(f"{self.name} makes NaN or infinite values of these weights; give it other parameters")
        return Constant.exactly(np.broadcast_to(product, x.shape))

    def activation(self, values: FloatArray) -> FloatArray:
        """Return the quantizer's values of numbers, element by element, as float64.

        Computed as float64 holds it, where QKeras's float32 may round on the way: what hardware answers.

        Raises
        ------
        QuantizerError
            If it isn't a function of each element alone.
        """
        self.check_activation()
        scale = self.factor
        with np.errstate(all="ignore"):
            levels = self.levels(np.asarray(values, np.float64))
        return levels if scale is None else levels * np.asarray(scale, np.float64)

    @abstractmethod
    def levels(self, x: FloatArray) -> FloatArray:
        """Return the values before they are multiplied by the factor, computed in the precision of `x`."""

    def scaled(self, x: Float32) -> tuple[FloatArray, FloatArray]:
        """Return a weight tensor's values before they are scaled, and the scales, which broadcast to them."""
        scale = self.factor
        return self.levels(x), np.ones((), np.float32) if scale is None else scale

    @property
    def factor(self) -> npt.NDArray[np.float32] | None:
        """The factor as float32, if there is one: a number, or an array that broadcasts."""
        alpha = getattr(self, "alpha", None)
        return None if alpha is None else np.asarray(alpha, np.float32)

    @property
    def automatic(self) -> bool:
        """Whether the scale is found in the values themselves."""
        return isinstance(getattr(self, "alpha", None), str)

    def check_activation(self) -> None:
        """Refuse what is no function of each element alone.

        Raises
        ------
        QuantizerError
        """
        if self.automatic:
            raise QuantizerError(
                f"{self.name} with alpha={getattr(self, 'alpha', None)!r} takes its scale from the whole batch, so no"
                " hardware can compute it as an activation; give it a number as alpha"
            )

    def kernel(self) -> Quantizer:
        """Return what QKeras's layers make of it as the quantizer of a kernel: most without alpha get 'auto_po2'."""
        return self

    # -- what constructors check

    def _whole(self, name: str, low: int, high: int) -> None:
        """Make a field an int between two ends."""
        value = getattr(self, name)
        if isinstance(value, np.generic):
            value = value.item()
        if isinstance(value, bool) or not isinstance(value, (int, float)) or value != int(value):
            raise QuantizerError(f"{self.name}: {name} must be a whole number, not {value!r}")
        if not low <= value <= high:
            raise QuantizerError(f"{self.name}: {name} must be from {low} to {high}, not {value!r}")
        object.__setattr__(self, name, int(value))

    def _flags(self, *names: str) -> None:
        """Make fields booleans."""
        for name in names:
            value = getattr(self, name)
            if isinstance(value, (str, bytes)) or np.ndim(value) or value not in (0, 1):
                raise QuantizerError(f"{self.name}: {name} must be True or False, not {value!r}")
            object.__setattr__(self, name, bool(value))

    def _number(self, name: str, *, none: bool = False) -> None:
        """Make a field a finite float, as float32 holds it."""
        value = getattr(self, name)
        if value is None and none:
            return
        if isinstance(value, (str, bytes, bool)) or np.ndim(value) or not np.isfinite(value):
            raise QuantizerError(f"{self.name}: {name} must be a number, not {value!r}")
        object.__setattr__(self, name, float(np.float32(value)))

    def _alpha(self) -> None:
        """Make alpha None, a float, a float32 array or a known word."""
        alpha: Any = getattr(self, "alpha", None)
        if alpha is None:
            return
        if isinstance(alpha, str):
            if alpha not in AUTO:
                raise QuantizerError(f"{self.name}: alpha must be a number, None, 'auto' or 'auto_po2', not {alpha!r}")
            return
        try:
            array = np.asarray(alpha, np.float32)
        except (TypeError, ValueError):
            raise QuantizerError(f"{self.name}: alpha must be numbers, not {alpha!r}") from None
        if not np.isfinite(array).all():
            raise QuantizerError(f"{self.name}: alpha must be finite, not {alpha!r}")
        object.__setattr__(self, "alpha", array if array.ndim else float(array))

    def _finished(self) -> None:
        """Refuse a quantizer that is still mixed with what it quantizes."""
        noise = getattr(self, "qnoise_factor", 1.0)
        if isinstance(noise, (str, bytes)) or np.size(noise) != 1 or float(np.asarray(noise).reshape(())) != 1.0:
            raise QuantizerError(
                f"{self.name}: qnoise_factor={noise!r} mixes quantized and unquantized values, which no hardware type"
                " holds; set it to 1.0, with update_qnoise_factor, before you export"
            )

    def _axes(self, names: Iterable[str]) -> None:
        """Make fields None, an int or a tuple of ints."""
        for name in names:
            value = getattr(self, name)
            if value is None:
                continue
            array = np.asarray(value)
            if array.dtype.kind not in "iu" or array.ndim > 1:
                raise QuantizerError(f"{self.name}: {name} must be whole numbers, not {value!r}")
            object.__setattr__(self, name, int(array) if not array.ndim else tuple(array.tolist()))

    def __str__(self) -> str:
        given = ", ".join(
            f"{f.name}={getattr(self, f.name)!r}"
            for f in fields(self)
            if f.name not in ("var_name", "use_variables", "use_ste", "newer", "internal_sigmoid")
        )
        return f"{self.name}({given})"
