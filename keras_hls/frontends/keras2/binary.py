"""Binary and ternary dense layers of Keras 2's early years, which users had as code of their own beside Keras."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from keras_hls.fixed import Constant, Real
from keras_hls.frontends.keras2.layer_views import SavedView
from keras_hls.frontends.numbers import constant
from keras_hls.frontends.view import ReadError


class BinaryView(SavedView):
    """A layer whose kernel is H or -H (BinaryDense), or one of H, 0 and -H (TernaryDense); its bias is as it is."""

    def weight(self, name: str) -> Constant | None:
        values = self.values(name)
        if values is None:
            return None
        if name != "kernel":
            return Real(values)
        height = self.config.get("H", 1.0)
        if height == "Glorot":
            height = np.sqrt(1.5 / sum(values.shape))
        if isinstance(height, str) or not np.isfinite(height) or height <= 0:
            raise ReadError(f"its H must be a positive number or 'Glorot', not {height!r}")
        scale = np.float32(height)
        signs = _signs(values.astype(np.float32) / scale, ternary=self.path.endswith("TernaryDense"))
        return constant(signs * scale, name)

    @property
    def understood(self) -> frozenset[str]:
        return super().understood | {"H", "kernel_lr_multiplier", "bias_lr_multiplier"}


def _signs(values: npt.NDArray[np.float32], *, ternary: bool) -> npt.NDArray[np.float32]:
    """1 and -1, by the sides of 0, which itself gives -1; or 1, 0 and -1, by the sides of 0.5 and -0.5.

    As these layers compute it: a hard sigmoid between 0 and 1 is rounded to even, in float32, so that next to 0 it is -1 too.
    """
    if ternary:
        return np.where(values > 0.5, 1, np.where(values <= -0.5, -1, 0)).astype(np.float32)
    half = np.clip((values + np.float32(1)) / np.float32(2), 0, 1)
    return 2 * np.rint(half) - 1
