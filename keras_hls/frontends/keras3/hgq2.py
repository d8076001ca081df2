"""HGQ2: how its quantizers are read.

HGQ2 counts integer bits without the sign (k, i, f: sign, integer, fractional bits); ap_fixed counts it. An element
whose bits sum to zero or less is the constant 0. Values of weights come from the layer itself, so that whatever it
trains with (batch-norm fusion, bit widths by element) is what is exported.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import frexp
from typing import Any

import numpy as np

from keras_hls.errors import TooWide
from keras_hls.fixed import Constant, Formats
from keras_hls.frontends.keras3.layer_views import KerasView, to_numpy
from keras_hls.frontends.numbers import constant, finite
from keras_hls.frontends.view import ReadError, Untrained

_ROUNDING = {"TRN": "TRN", "RND": "RND", "RND_CONV": "RND_CONV", "S_RND": "RND", "S_RND_CONV": "RND_CONV"}
_OVERFLOW = {"WRAP": "WRAP", "SAT": "SAT", "SAT_SYM": "SAT_SYM"}
#: What a batch normalisation quantizes, in the layer's order.
_NORM = ("scaler", "offset")
# `trace_minmax` starts from -1e9 integer bits; one that still stands there has seen no data.
_UNTRACED = -1e8


class HGQ2View(KerasView):
    """A layer of HGQ2: its weights are quantized, its inputs and its output may be."""

    def weight(self, name: str) -> Constant | None:
        if (pair := getattr(self.layer, "qscaler_and_qoffset", None)) is not None and name in _NORM:
            return constant(to_numpy(pair[_NORM.index(name)]), name)
        value = getattr(self.layer, name, None)
        if value is None:
            return None
        # A quantizer that saturates would hide an infinite one behind its largest number.
        finite(to_numpy(value), name)
        return constant(to_numpy(getattr(self.layer, f"q{name}")), name)

    def input_formats(self, count: int) -> tuple[Formats | None, ...]:
        if not getattr(self.layer, "enable_iq", False):
            return (None,) * count
        own = self.layer.iq
        quantizers = list(own) if isinstance(own, Iterable) else [own]
        if len(quantizers) != count:
            raise ReadError(f"it has {len(quantizers)} input quantizers for {count} inputs")
        return tuple(
            self._formats(q, shape, "input quantizer") for q, shape in zip(quantizers, self.input_shapes, strict=True)
        )

    def output_formats(self) -> Formats | None:
        if self.path == "hgq.quantizer.Quantizer":
            return self._formats(self.layer, self.input_shapes[0], "quantizer")
        if not getattr(self.layer, "enable_oq", False):
            return None
        if not self.layer.oq.built:
            raise Untrained("its output quantizer isn't built; call the model once")
        shape = tuple(self.layer.compute_output_shape(self._shape_argument()))
        return self._formats(self.layer.oq, shape, "output quantizer")

    def _shape_argument(self) -> Any:
        return self.input_shapes[0] if len(self.input_shapes) == 1 else self.input_shapes

    @property
    def understood(self) -> frozenset[str]:
        quantizers = {"iq_conf", "iq_confs", "oq_conf", "kq_conf", "bq_conf", "enable_iq", "enable_oq", "config"}
        # How EBOPs are counted, and how the layer is shared in hls4ml, say nothing about what it computes.
        training = {"enable_ebops", "ebops_factor", "beta0", "parallelization_factor"}
        return super().understood | quantizers | training

    def _formats(self, wrapper: Any, shape: tuple[int | None, ...], what: str) -> Formats | None:
        own = wrapper.quantizer
        if wrapper.affine is not None:
            raise ReadError(f"its {what} has affine={wrapper.affine}, which no op computes; leave it out")
        shift = _power_of_two(wrapper.scaler, what)
        if getattr(own, "__dummy__", False):
            return None
        kind = type(own).__name__
        if kind not in ("FixedPointQuantizerKBI", "FixedPointQuantizerKIF"):
            raise ReadError(f"its {what} is a {kind}; only fixed-point quantizers (kbi, kif) can be exported")
        if own.overflow_mode == "WRAP" and own._is_weight and own.trainable:
            raise ReadError(
                f"its {what} is one for weights, which never wraps values of layers; give it place='datalane', or"
                " overflow_mode='SAT'"
            )
        if own.round_mode not in _ROUNDING or own.overflow_mode not in _OVERFLOW:
            raise ReadError(
                f"its {what} has modes {own.round_mode}, {own.overflow_mode}; rounding must be {', '.join(_ROUNDING)}"
                f" and overflow {', '.join(_OVERFLOW)}"
            )
        k, i, f = (_bits(part, own.bw_mapper, shape, what) for part in own.kif)
        self._check_calibrated(own, i, k + i + f, what)
        # A scaler s computes q(x / s) * s: the same bits, with the point moved.
        try:
            return Formats(
                k > 0, np.maximum(k + i + f, 0), k + i + shift, _ROUNDING[own.round_mode], _OVERFLOW[own.overflow_mode]
            )
        except TooWide as error:
            raise ReadError(f"its {what} has too many bits: {error}") from None

    def _check_calibrated(self, own: Any, i: Any, width: Any, what: str) -> None:
        if own.overflow_mode != "WRAP":
            return
        never = bool((i <= _UNTRACED).all()) or self._untouched(own)
        if never and not getattr(own, "_is_weight", False):
            raise Untrained(
                f"its {what} wraps and was never calibrated: its integer bits haven't seen data. Train the model, or"
                " run hgq.utils.trace_minmax(model, data)"
            )

    def _untouched(self, own: Any) -> bool:
        """Whether a layer neither trained nor traced: then its EBOPs, which every such call computes, are still 0.

        Those of a table are so few that they may be rounded to 0, and say nothing.
        """
        if "FunctionLUT" in self.path:
            return False
        if not getattr(self.layer, "enable_ebops", False) or getattr(self.layer, "_ebops", None) is None:
            return False
        start = getattr(own._i0, "value", None)
        same = start is not None and bool((to_numpy(own._i) == np.float32(start)).all())
        return same and float(to_numpy(self.layer._ebops)) == 0


def _power_of_two(scaler: float | None, what: str) -> int:
    if scaler is None:
        return 0
    mantissa, exponent = frexp(scaler)
    if mantissa != 0.5:
        raise ReadError(f"its {what} has scaler={scaler!r}; only a power of two can be exported")
    return exponent - 1


def _bits(part: Any, mapper: Any, shape: tuple[int | None, ...], what: str) -> Any:
    """Bits by element of one sample, from the quantizer's own array, which broadcasts over batch and shared axes."""
    values = to_numpy(part)
    if type(mapper).__name__ != "DefaultBitwidthMapper":
        values = to_numpy(mapper.bw_to_x(part, (1, *shape[1:])))
    if not np.isfinite(values).all():
        raise ReadError(f"its {what} has NaN or infinite bit widths; training diverged, or the weights weren't loaded")
    # A layer that is called with tensors of differing ranks has bits of the rank that it was built for.
    values = values.reshape((1,) * (len(shape) - values.ndim) + values.shape)
    if values.ndim != len(shape) or values.shape[0] != 1:
        raise ReadError(f"its {what} has bit widths of shape {values.shape}, which vary over the batch")
    # Far outside of any type that can be built; kept apart so that sums of bits don't leave int64.
    return np.clip(np.rint(values[0]), -1e12, 1e12).astype(np.int64)
