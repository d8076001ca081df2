"""Keras itself: trains the network, says what is right, and how fast it is."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from benchmarks.models import CASES
from benchmarks.ours import epoch_callback

# Samples that the model is called with at a time.
_SLICE = 4096


class KerasSide:
    """One process with Keras."""

    def train(self, case: str, epochs: int, training_samples: int, output: str) -> dict[str, Any]:
        """Train a case's network, save it as a .keras file, and open that.

        Returns
        -------
        dict
            "epoch_ms": milliseconds of snapshot and estimate after each epoch; "weights": their number; "zero_weights":
            the share of them that is 0 after quantization.
        """
        import keras

        wanted = CASES[case]
        milliseconds: list[float] = []
        model = wanted.train([epoch_callback(wanted.options, milliseconds)], epochs, training_samples)
        model.save(output)
        self.model = keras.models.load_model(output, compile=False)
        return {"epoch_ms": milliseconds, "backend": keras.backend.backend(), **_weights(self.model)}

    def samples(self, case: str, count: int, output: str) -> None:
        """Save so many samples for a case."""
        np.save(output, CASES[case].samples(count, 1))

    def answer(self, samples: str, output: str) -> None:
        """Save the model's float32 outputs for all samples of a file; it is called as it stands, ``model(x)``."""
        import keras

        x = np.load(samples)
        parts = [self.model(x[i : i + _SLICE], training=False) for i in range(0, len(x), _SLICE)]
        np.save(output, np.concatenate([keras.ops.convert_to_numpy(part) for part in parts]))

    def predict(self, samples: str, batch_size: int) -> float:
        """Run ``model.predict`` over all samples of a file, in seconds."""
        x = np.load(samples)
        begin = time.perf_counter()
        self.model.predict(x, batch_size=batch_size, verbose=0)
        return time.perf_counter() - begin


def _weights(model: Any) -> dict[str, Any]:
    import keras

    kernels = [
        np.asarray(keras.ops.convert_to_numpy(layer.qkernel)) for layer in model.layers if hasattr(layer, "qkernel")
    ]
    total = sum(kernel.size for kernel in kernels)
    return {"weights": total, "zero_weights": sum(int((k == 0).sum()) for k in kernels) / max(total, 1)}
