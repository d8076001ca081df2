"""QKeras: layers of Keras 2 whose weights, and what they hand on, are quantized."""

from __future__ import annotations

from keras_hls.fixed import Constant, Real
from keras_hls.frontends.keras2.layer_views import SavedView
from keras_hls.frontends.view import ReadError
from keras_hls.quantizers import QUANTIZERS, Quantizer, QuantizerError

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
#: Layers that quantize their kernels as those of an image of one row, which have an axis more: a scale_axis counts it.
_ALONG_IMAGES = frozenset({"qkeras.QSeparableConv1D"})
#: What says only how a layer is trained.
_TRAINING = frozenset({"kernel_range", "bias_range", "depthwise_range", "pointwise_range", "gamma_range", "beta_range"})


class QKerasView(SavedView):
    """A layer of QKeras; a weight without a quantizer is one whose type a pass chooses."""

    def weight(self, name: str) -> Constant | None:
        values = self.values(name)
        if values is None:
            return None
        quantizer = None if self.path in _FOLDED else self._quantizer(self._key(name))
        if quantizer is None:
            return Real(values)
        try:
            if self.path in _ALONG_IMAGES and values.ndim > 1:
                return quantizer.weights(values[None]).map(lambda a: a[0])
            return quantizer.weights(values)
        except QuantizerError as error:
            raise ReadError(f"its {name}: {error}") from None

    def _key(self, name: str) -> str:
        # The one kernel of a depthwise convolution.
        if name == "kernel" and "depthwise_quantizer" in self.config:
            return "depthwise_quantizer"
        return _KEYS.get(name, f"{name}_quantizer")

    def _quantizer(self, key: str) -> Quantizer | None:
        quantizer = self.parsed(key)
        return quantizer.kernel() if quantizer is not None and key in _KERNELS else quantizer

    def quantizer(self, argument: str) -> Quantizer | None:
        value = self.config.get(argument)
        if value is None or (argument not in self.live and isinstance(value, str) and not _is_quantizer(value)):
            return None
        return self._quantizer(argument)

    @property
    def understood(self) -> frozenset[str]:
        quantizers = {key for key in self.config if key.endswith("_quantizer")}
        return super().understood | quantizers | _TRAINING


def _is_quantizer(text: str) -> bool:
    """Whether a text is for a quantizer; Keras's and QKeras's functions are known by their plain names."""
    return "(" in text or text in QUANTIZERS or text.startswith("quantized_")
