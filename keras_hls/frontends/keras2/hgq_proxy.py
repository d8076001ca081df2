"""HGQ's proxy models: what ``HGQ.to_proxy_model`` makes of a model, and people publish.

Layers of Keras whose weights are exact, with quantizers as layers between them, and unary functions as tables. What their configs
say under ``overrides`` are types for hls4ml, which the model itself doesn't compute with.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from keras_hls.fixed import OVERFLOW, ROUNDING, Constant, FloatArray, Formats, Real
from keras_hls.frontends.keras2.hgq_numbers import Bits
from keras_hls.frontends.keras2.hgq_view import NamedWeightsView
from keras_hls.frontends.numbers import constant
from keras_hls.frontends.view import LayerView, ReadError
from keras_hls.quantizers import Quantizer

#: Classes of layers that are HGQ's own in a proxy model.
PROXY_CLASSES = frozenset({"FixedPointQuantizer", "UnaryLUT"})


class ProxyView(NamedWeightsView):
    """A `FixedPointQuantizer` or a `UnaryLUT`."""

    def weight(self, name: str) -> Constant | None:
        if name not in self.weights:
            return None
        values = np.asarray(self.weights[name])
        if name == "table" and values.shape != (1 << sum(self._kif("kif_in")),):
            raise ReadError(
                f"its table is of shape {values.shape}, and an input of {sum(self._kif('kif_in'))} bits"
                f" needs {1 << sum(self._kif('kif_in'))} entries; the weights belong to another model"
            )
        return constant(values, name)

    def function(self, argument: str | None) -> Callable[[FloatArray], FloatArray]:
        raise ReadError("it is known by its values, and not as a function")

    def part(self, name: str, *shapes: tuple[int, ...]) -> LayerView:
        raise ReadError(f"it has no {name}")

    def input_formats(self, count: int) -> tuple[Formats | None, ...]:
        """Return what indexes a table: the layer rounds its input to the nearest, halves to even, and wraps around."""
        if self.class_name != "UnaryLUT":
            return super().input_formats(count)
        sign, integer, frac = (np.asarray(part) for part in self._kif("kif_in"))
        return (Bits(sign, integer, frac).formats("RND_CONV", "WRAP"),) * count

    def output_formats(self) -> Formats | None:
        if self.class_name != "FixedPointQuantizer":
            return None
        rounding, overflow = (self.config.get(key) for key in ("RND", "SAT"))
        if rounding not in ROUNDING or overflow not in OVERFLOW:
            raise ReadError(
                f"it has modes {rounding}, {overflow}; rounding must be {', '.join(ROUNDING)} and overflow"
                f" {', '.join(OVERFLOW)}"
            )
        sign, bits, integer = (self._bits(name) for name in ("keep_negative", "bits", "integers"))
        if not np.isin(sign, (0, 1)).all() or (bits < 0).any():
            raise ReadError(
                "its bits aren't those of a type: keep_negative must be 0 or 1, and bits 0 or more; the weights weren't loaded"
            )
        live = bits > 0
        sign, integer = sign * live, integer * live
        return Bits(sign, integer - sign, bits - integer).formats(rounding, overflow)

    @property
    def understood(self) -> frozenset[str]:
        # Hints for hls4ml, and what the weights say themselves.
        return frozenset({"batch_input_shape", "RND", "SAT", "shape", "overrides", "fusible"})

    def _bits(self, name: str) -> npt.NDArray[np.int64]:
        if name not in self.weights:
            raise ReadError(f"it has no {name!r} among its weights ({', '.join(sorted(self.weights)) or 'none'})")
        values = np.asarray(self.weights[name])
        if not np.issubdtype(values.dtype, np.integer):
            raise ReadError(f"its {name} are {values.dtype}, and no whole numbers; the weights belong to another layer")
        rank = len(self.shapes[0])
        if values.ndim > rank:
            if values.ndim > rank + 1 or values.shape[0] != 1:
                raise ReadError(f"its {name} are of shape {values.shape}, and its input of {(None, *self.shapes[0])}")
            values = values[0]
        try:
            np.broadcast_to(values, self.shapes[0])
        except ValueError:
            raise ReadError(
                f"its {name} are of shape {values.shape}, and samples of its input of {self.shapes[0]}"
            ) from None
        return values.astype(np.int64)

    def _kif(self, key: str) -> tuple[int, int, int]:
        value = self.config.get(key)
        if (
            not isinstance(value, list | tuple)
            or len(value) != 3
            or not all(isinstance(n, int | np.integer) for n in value)
        ):
            raise ReadError(f"its {key} is {value!r}, and must be sign, integer and fractional bits")
        sign, integer, frac = (int(n) for n in value)
        if sign not in (0, 1) or not 0 < sign + integer + frac <= 20:
            raise ReadError(f"its {key} is {value!r}; a table has 1 to 20 bits of input")
        return sign, integer, frac


class ExactView(LayerView):
    """A layer of Keras in a proxy model, through another view of it: its weights are quantized already, and taken as they are.

    Parameters
    ----------
    view : LayerView
    """

    def __init__(self, view: LayerView):
        self._view = view
        self.name, self.path, self.config, self.shapes = view.name, view.path, view.config, view.shapes

    def weight(self, name: str) -> Constant | None:
        found = self._view.weight(name)
        return constant(found.values, name) if isinstance(found, Real) else found

    def function(self, argument: str | None) -> Callable[[FloatArray], FloatArray]:
        return self._view.function(argument)

    def part(self, name: str, *shapes: tuple[int, ...]) -> LayerView:
        return ExactView(self._view.part(name, *shapes))

    def input_formats(self, count: int) -> tuple[Formats | None, ...]:
        return self._view.input_formats(count)

    def output_formats(self) -> Formats | None:
        return self._view.output_formats()

    def quantizer(self, argument: str) -> Quantizer | None:
        return self._view.quantizer(argument)

    @property
    def understood(self) -> frozenset[str]:
        return self._view.understood
