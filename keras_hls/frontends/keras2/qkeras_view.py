"""QKeras: layers of Keras 2 whose weights, and what they hand on, are quantized."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keras_hls.fixed import Constant, Real
from keras_hls.frontends.keras2.layer_views import SavedView
from keras_hls.frontends.keras2.saved import Arrays, SavedLayer
from keras_hls.frontends.view import ReadError
from keras_hls.quantizers import Quantizer, QuantizerError, parse

#: By weight, the config's key with its quantizer, where that isn't the weight's name with "_quantizer".
_KEYS = {
    "depthwise_kernel": "depthwise_quantizer",
    "pointwise_kernel": "pointwise_quantizer",
    "moving_mean": "mean_quantizer",
    "moving_variance": "variance_quantizer",
}
#: Which of them QKeras takes for quantizers of kernels, which get a scale of their own where they say none.
_KERNELS = frozenset(
    {"kernel_quantizer", "depthwise_quantizer", "pointwise_quantizer", "gamma_quantizer", "variance_quantizer"}
)
#: Layers that quantize what they compute from their weights, which their readers do.
_FOLDED = frozenset({"qkeras.QConv2DBatchnorm", "qkeras.QDepthwiseConv2DBatchnorm"})
#: What says only how a layer is trained.
_TRAINING = frozenset({"kernel_range", "bias_range", "depthwise_range", "pointwise_range", "gamma_range", "beta_range"})


class QKerasView(SavedView):
    """A layer of QKeras; a weight without a quantizer is one whose type a pass chooses.

    Parameters
    ----------
    layer, name, arrays, shapes
        As for `SavedView`.
    quantizers : mapping, optional
        Live quantizers by the config's keys: their configs leave out some of what they compute.
    """

    def __init__(
        self,
        layer: SavedLayer,
        name: str,
        arrays: Arrays,
        shapes: tuple[tuple[int, ...], ...],
        quantizers: Mapping[str, Any] | None = None,
    ):
        super().__init__(layer, name, arrays, shapes)
        self._live = quantizers or {}

    def weight(self, name: str) -> Constant | None:
        values = self.values(name)
        if values is None:
            return None
        quantizer = None if self.path in _FOLDED else self._quantizer(self._key(name))
        if quantizer is None:
            return Real(values)
        try:
            return quantizer.weights(values)
        except QuantizerError as error:
            raise ReadError(f"its {name}: {error}") from None

    def _key(self, name: str) -> str:
        # The one kernel of a depthwise convolution.
        if name == "kernel" and "depthwise_quantizer" in self.config:
            return "depthwise_quantizer"
        return _KEYS.get(name, f"{name}_quantizer")

    def _quantizer(self, key: str) -> Quantizer | None:
        try:
            quantizer = parse(self._live.get(key, self.config.get(key)))
            return quantizer.kernel() if quantizer is not None and key in _KERNELS else quantizer
        except QuantizerError as error:
            raise ReadError(f"its {key}: {error}") from None

    def quantizer(self, argument: str) -> Quantizer | None:
        value = self.config.get(argument)
        # Keras's own activations are known by their plain names.
        if value is None or (isinstance(value, str) and "(" not in value and not value.startswith("quantized_")):
            return None
        return self._quantizer(argument)

    @property
    def understood(self) -> frozenset[str]:
        quantizers = {key for key in self.config if key.endswith("_quantizer")}
        return super().understood | quantizers | _TRAINING
