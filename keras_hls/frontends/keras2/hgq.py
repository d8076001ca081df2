"""HGQ (the first, for Keras 2): a layer as a reader sees it, from its config and its weights alone.

A layer with a kernel quantizes its sums, and then applies a ReLU if it has one; every other layer quantizes last. Its hardware
is that of HGQ's own proxy model: equal to the model for every sample whose values stay in the ranges that ``trace_minmax`` saw.
Beyond them the hardware wraps around (or saturates, where that is asked for), and the model does neither.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from keras_hls.fixed import Constant, FloatArray, Formats
from keras_hls.frontends.keras2.hgq_numbers import (
    Bits,
    Float32,
    HeavyQuantizer,
    Range,
    channel_factors,
    covers_rounding,
    live_channels,
    minus_product,
)
from keras_hls.frontends.keras2.hgq_view import NamedWeightsView, Weights
from keras_hls.frontends.numbers import constant, finite
from keras_hls.frontends.view import LayerView, ReadError

#: Finds a function of a layer: takes the value of its config, or None for the layer's own function.
Functions = Callable[[Any], Callable[[FloatArray], FloatArray]]

# What a normalisation adds to a variance where its config doesn't say: HGQ writes none down, and loads it so.
_EPSILON = 1e-3
_NORMALIZATION = "HBatchNormalization"
_ACTIVATION = "HActivation"


class HGQView(NamedWeightsView):
    """A layer of HGQ.

    A batch normalisation's ``epsilon``, which HGQ doesn't put into its config, may be added there; where it isn't, it is HGQ's
    default, as when HGQ loads the file.

    Parameters
    ----------
    name, class_name, config, weights, shapes
        As for `NamedWeightsView`.
    traced : Range, optional
        What ``trace_minmax`` found for the layer's activation quantizer.
    overflow : "WRAP" or "SAT"
        What values beyond that range become, as HGQ's ``to_proxy_model(aggressive=True)`` or ``False``.
    functions : function, optional
        Finds the function of a serialized activation.
    """

    def __init__(
        self,
        name: str,
        class_name: str,
        config: Mapping[str, Any],
        weights: Weights,
        shapes: tuple[tuple[int, ...], ...],
        *,
        traced: Range | None = None,
        overflow: Literal["WRAP", "SAT"] = "WRAP",
        functions: Functions | None = None,
    ):
        super().__init__(name, class_name, config, weights, shapes)
        self.traced = traced
        self.overflow = overflow
        self.functions = functions

    def weight(self, name: str) -> Constant | None:
        """Return a weight as the layer multiplies by it or adds it.

        "kernel" and "bias" are those of a layer with a kernel, normalisation included; "scaler" and "offset" are what a batch
        normalisation multiplies by and adds, in a shape that broadcasts to a sample. Where every type of the activation
        quantizer has a bias of its own, half a last place is part of the bias, and the sums are only cut.
        """
        found: Float32 | None = None
        if self.class_name == _NORMALIZATION:
            if name in ("scaler", "offset"):
                found = getattr(self, f"_{name}")()
        elif name == "kernel" and "kernel" in self.weights:
            found = self._quantized(finite(self._fused_kernel(), name))
        elif name == "bias" and "bias" in self.weights and self.config.get("use_bias", True):
            found = self._bias()
        return None if found is None else constant(found, name)

    def function(self, argument: str | None) -> Callable[[FloatArray], FloatArray]:
        if self.functions is None:
            raise ReadError("its functions aren't known here; export the model itself")
        function = self.functions(None if argument is None else self.config.get(argument))
        if "activation_bw" not in self.weights:
            return function
        return lambda values: self.activation_quantizer.as_rounded(np.asarray(function(values), np.float32))

    def part(self, name: str, *shapes: tuple[int, ...]) -> LayerView:
        """Return "sums", the layer before its activation; there is no other part."""
        if name != "sums":
            raise ReadError(f"it has no {name}")
        return _Sums(self, shapes)

    def output_formats(self) -> Formats | None:
        if self.class_name == "Signature":
            return self._declared()
        if "activation_bw" not in self.weights:
            return None
        bits = self.activation_quantizer.bits(self.traced, positive=self.rectifies)
        return bits.formats(self.rounding, self.overflow)

    @property
    def understood(self) -> frozenset[str]:
        # How EBOPs are counted, and how hls4ml shares a layer, say nothing about what it computes.
        training = {"beta", "parallel_factor", "momentum"}
        return frozenset({"batch_input_shape", "kq_conf", "paq_conf", "epsilon", "center", "scale", *training})

    @property
    def rectifies(self) -> bool:
        """Whether what is quantized goes through a ReLU afterwards."""
        return self.class_name != _ACTIVATION and _function_name(self.config.get("activation")) == "relu"

    @property
    def rounding(self) -> str:
        """How the hardware rounds to the bits of the activation quantizer: it cuts what the bias has rounded."""
        return "TRN" if self.activation_quantizer.floors or self._covered else "RND"

    @property
    def activation_quantizer(self) -> HeavyQuantizer:
        """What quantizes the layer's sums, or what it hands on."""
        own = self._own_quantizer("activation")
        # No layer of HGQ changes the number of axes.
        if own.frac.ndim != len(self.shapes[0]) + 1:
            raise ReadError(
                f"it has bits of shape {own.frac.shape} for samples of {len(self.shapes[0])} axes; the weights belong to another"
                " layer"
            )
        if own.strategy >= 0:
            return own
        # "auto" rounds to the nearest where that costs nothing; a layer of its own always does.
        nearest = self.class_name == _ACTIVATION or self._covers(own)
        return replace(own, strategy=0 if nearest else 3)

    def bits(self) -> Bits:
        """Return the bits of the sums, with their sign."""
        return self.activation_quantizer.bits(self.traced)

    def _own_quantizer(self, what: str) -> HeavyQuantizer:
        config = self.config.get({"activation": "paq_conf", "kernel": "kq_conf"}[what])
        return HeavyQuantizer.of(self._weight(f"{what}_bw"), config or {}, f"{what} quantizer")

    @property
    def _covered(self) -> bool:
        return not self.activation_quantizer.floors and self._covers(self.activation_quantizer)

    def _covers(self, quantizer: HeavyQuantizer) -> bool:
        first = self.config.get("data_format") == "channels_first"
        bias = self.weights.get("bias") if self.config.get("use_bias", True) else None
        return covers_rounding(quantizer, bias, channels_first=first)

    def _weight(self, name: str) -> npt.NDArray[Any]:
        if name not in self.weights:
            raise ReadError(f"it has no {name!r} among its weights ({', '.join(sorted(self.weights)) or 'none'})")
        return self.weights[name]

    def _statistic(self, name: str, default: float) -> Float32:
        return finite(np.asarray(self.weights.get(name, default), np.float32), name)

    def _factors(self) -> Float32:
        gamma, variance = self._statistic("bn_gamma", 1.0), self._statistic("moving_variance", 1.0)
        epsilon = float(self.config.get("epsilon", _EPSILON))
        if not (variance + np.float32(epsilon) > 0).all():
            raise ReadError("its variance plus epsilon isn't positive; train it, or raise epsilon")
        return channel_factors(gamma, variance, epsilon)

    def _fused_kernel(self) -> Float32:
        kernel = finite(np.asarray(self._weight("kernel"), np.float32), "kernel")
        if "bn_gamma" not in self.weights:
            return kernel
        factors = self._factors()
        if factors.shape != kernel.shape[-1:]:
            raise ReadError(f"its normalisation has {factors.size} channels, and its kernel {kernel.shape[-1]}")
        return kernel * factors

    def _quantized(self, kernel: Float32) -> Float32:
        quantizer = self._own_quantizer("kernel")
        try:
            np.broadcast_to(quantizer.frac, kernel.shape)
        except ValueError:
            raise ReadError(
                f"its kernel of shape {kernel.shape} has bits of shape {quantizer.frac.shape}; the weights belong to another layer"
            ) from None
        return quantizer(kernel)

    def _fused_bias(self) -> Float32:
        bias = finite(np.asarray(self._weight("bias"), np.float32), "bias")
        if "bn_beta" not in self.weights:
            return bias
        return minus_product(bias, self._statistic("moving_mean", 0.0), self._factors()) + self._statistic(
            "bn_beta", 0.0
        )

    def _bias(self) -> Float32:
        quantizer, fused = self.activation_quantizer, finite(self._fused_bias(), "bias")
        # The layer takes the last axis for the channels, also where they are the first.
        frac = quantizer.channels()
        if frac.shape not in ((1,), fused.shape):
            raise ReadError(
                f"its bias of {fused.size} channels has {frac.size} bit widths, as HGQ takes them along the last axis; use"
                " data_format='channels_last', or one bit width for all"
            )
        bias = quantizer(fused, frac)
        if self._covered:
            bias = bias + np.exp2(-frac - 1).astype(np.float32)
        live = live_channels(quantizer.bits(self.traced, positive=self.rectifies))
        return np.where(live if live.size in (1, bias.size) else True, bias, np.float32(0))

    def _scaler(self) -> Float32:
        # Without gamma and a variance, one number for all channels.
        factors = self._factors()
        return self._quantized(factors if factors.shape else np.full(np.shape(self._weight("kernel_bw")), factors))[0]

    def _offset(self) -> Float32:
        with np.errstate(all="ignore"):
            # HGQ divides by the factor where a normalisation would multiply.
            bias = self._statistic("bn_beta", 0.0) - self._statistic("moving_mean", 0.0) / self._factors()
        whole = self.activation_quantizer(finite(bias, "offset"))
        return whole[0]

    def _declared(self) -> Formats:
        """What a Signature says of samples: they have these types already."""
        sign, bits, integer = (np.asarray(self.config[key], np.int64) for key in ("keep_negative", "bits", "int_bits"))
        shape = self.shapes[0]
        rows = [np.broadcast_to(part, (1, *shape))[0] for part in (sign, bits, integer)]
        rows[0], rows[2] = (np.where(rows[1] > 0, part, 0) for part in (rows[0], rows[2]))
        return Bits(rows[0], rows[2] - rows[0], rows[1] - rows[2]).formats("TRN", self.overflow)


class _Sums(HGQView):
    """The sums of a layer with a kernel: the layer without its activation, and what its sums are cut to before a ReLU."""

    def __init__(self, whole: HGQView, shapes: tuple[tuple[int, ...], ...]):
        super().__init__(
            whole.name,
            whole.class_name,
            {**whole.config, "activation": "linear"},
            whole.weights,
            shapes,
            traced=whole.traced,
            overflow=whole.overflow,
        )
        self._whole = whole

    def weight(self, name: str) -> Constant | None:
        return self._whole.weight(name)

    def output_formats(self) -> Formats | None:
        """Where sums wrap around, they do before the ReLU, so that it sees few bits; what saturates may as well do it after."""
        if not self._whole.rectifies or self.overflow != "WRAP":
            return None
        hull = self._whole.bits().hull
        # What is rounded after the ReLU needs one bit below.
        lower = 0 if self._whole.rounding == "TRN" else 1
        return replace(hull, frac=hull.frac + lower).formats("TRN", "WRAP")


def _function_name(value: Any) -> str:
    """The name of a serialized activation."""
    if isinstance(value, Mapping):
        config = value.get("config")
        return str(config if isinstance(config, str) else value.get("class_name"))
    return "linear" if value is None else str(value)
