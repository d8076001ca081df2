"""QKeras's QAdaptiveActivation: a quantizer whose integer bits follow from averages of what it saw in training."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from keras_hls.fixed import IntArray
from keras_hls.frontends.keras2.qkeras_view import QKerasView
from keras_hls.frontends.view import ReadError
from keras_hls.quantizers import Quantizer, QuantizerError, integer_bits, parse

#: What a layer sets in its quantizer whenever it is called to answer, whatever training has left there.
_ANSWERING = {"qnoise_factor": 1.0}


class AdaptiveView(QKerasView):
    """A QAdaptiveActivation.

    A file holds its averages, and all arguments but ``relu_upper_bound``, which a live layer adds to the config. Its integer
    bits are in no file: QKeras computes them anew from the averages, each time when it has answered.
    """

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__(*args, **kwargs)
        live = self.live.get("activation")
        if live is not None and hasattr(live, "relu_upper_bound"):
            self.config = {**self.config, "relu_upper_bound": live.relu_upper_bound}

    def quantizer(self, argument: str) -> Quantizer | None:
        if argument != "activation":
            return super().quantizer(argument)
        self._check_frozen()
        signed, bits = self._signed, self._whole("total_bits")
        low, high = (self._averages(name) for name in ("ema_min", "ema_max"))
        integer = integer_bits(
            low,
            high,
            bits=bits,
            symmetric=self._symmetric,
            signed=signed,
            rounded=bool(self.config.get("po2_rounding", False)),
        )
        try:
            return self._from_live(integer) if "activation" in self.live else self._from_config(bits, integer)
        except QuantizerError as error:
            raise ReadError(f"its {error}") from None

    @property
    def _symmetric(self) -> bool:
        return bool(self.config.get("symmetric", True))

    @property
    def _slope(self) -> float:
        return float(self.config.get("relu_neg_slope", 0.0))

    @property
    def _signed(self) -> bool:
        return self.config.get("activation") == "quantized_bits" or self._slope != 0

    def _whole(self, key: str) -> int:
        value = self.config.get(key)
        if not isinstance(value, int) or isinstance(value, bool):
            raise ReadError(f"its {key} must be a whole number, not {value!r}")
        return value

    def _from_config(self, bits: int, integer: IntArray) -> Quantizer | None:
        kind = self.config.get("activation")
        own: dict[str, Any] = {"bits": bits, "integer": integer}
        if kind == "quantized_relu":
            own |= {"negative_slope": self._slope, "is_quantized_clip": False}
        elif kind == "quantized_bits":
            own |= {"symmetric": self._symmetric, "alpha": 1.0}
        else:
            raise ReadError(f"its activation must be 'quantized_bits' or 'quantized_relu', not {kind!r}")
        return parse({"class_name": kind, "config": own})

    def _from_live(self, integer: IntArray) -> Quantizer | None:
        found = parse(self.live["activation"], _ANSWERING)
        if not np.array_equal(np.broadcast_to(getattr(found, "integer", -1), integer.shape), integer):
            raise ReadError(
                "its integer bits aren't those of its averages, as nothing has called it since these changed, and QKeras's next"
                " answer will differ from all others; call the model once before you export it"
            )
        return found

    def _averages(self, name: str) -> npt.NDArray[Any]:
        values = self.values(name)
        channels = self.shapes[0][-1] if self.shapes[0] else 1
        if values is None or values.dtype.kind != "f" or values.ndim != 1 or values.size not in (1, channels):
            shape = None if values is None else values.shape
            raise ReadError(
                f"its {name} must be one number, or one for each of {channels} channels along the last axis, but is of shape"
                f" {shape}; the weights belong to another layer"
            )
        return values

    def _check_frozen(self) -> None:
        """Refuse a layer that goes on averaging at inference, so that it answers otherwise each time."""
        step, delay = self.values("step"), self.config.get("ema_freeze_delay")
        if step is None or step.shape != () or step.dtype.kind not in "iu":
            raise ReadError("its step must be one whole number among its weights; they belong to another layer")
        if delay and self.config.get("trainable", True) and int(step) <= delay:
            raise ReadError(
                f"with ema_freeze_delay={delay} QKeras moves its averages at inference as well, up to that step, and it is at step"
                f" {int(step)}, so that it answers otherwise each time; train on, or set the layer's trainable to False"
            )
