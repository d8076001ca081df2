"""Keras itself: trains the network, says what is right, and how fast it is."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from benchmarks.models import CASES
from benchmarks.ours import epoch_callback
from benchmarks.saved import opened, save, save_for_reading

# Samples that the model is called with at a time.
_SLICE = 4096


class KerasSide:
    """One process with Keras."""

    def train(self, case: str, epochs: int, training_samples: int, output: str, calibration: str) -> dict[str, Any]:
        """Train a case's network, save it in a file, and open that; save samples for calibration too, if it takes any.

        Returns
        -------
        dict
            "epoch_ms": milliseconds of snapshot and estimate after each epoch, none for a network that takes calibration
            samples; "weights": their number; "zero_weights": the share of them that is 0 after quantization; "accuracy":
            that of the last epoch.
        """
        import keras

        wanted = CASES[case]
        milliseconds: list[float] = []
        keras.utils.set_random_seed(7)
        model = wanted.network()
        model.compile(
            keras.optimizers.Adam(3e-3),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
        )
        x, y = wanted.data(training_samples, 0)
        if wanted.calibration:
            np.save(calibration, x[: wanted.calibration])
        callbacks = [] if wanted.calibration else [epoch_callback(wanted.options, milliseconds)]
        history = model.fit(x, y, batch_size=wanted.batch, epochs=epochs, verbose=0, callbacks=callbacks).history
        save(model, output)
        self.model = opened(case, output)
        return {
            "epoch_ms": milliseconds,
            "backend": keras.backend.backend(),
            "accuracy": float(history["accuracy"][-1]),
            **_weights(self.model),
        }

    def save_smaller(self, case: str, number: int, output: str) -> int:
        """Save one of a case's smaller networks, untrained, and return how many weights it has."""
        import keras

        keras.utils.set_random_seed(7)
        model = CASES[case].smaller[number]()
        save(model, output)
        return int(_weights(model)["weights"])

    def save_for_reading(self, case: str, samples: str, output: str) -> None:
        """Save the network as a .json with its .h5; its values may take their ranges from the samples of a file."""
        save_for_reading(CASES[case], self.model, samples, output)

    def samples(self, case: str, count: int, output: str) -> None:
        """Save so many samples for a case."""
        np.save(output, CASES[case].samples(CASES[case].data(count, 1)[0]))

    def answer(self, samples: str, output: str) -> None:
        """Save the model's float32 outputs for all samples of a file; it is called as it stands, ``model(x)``."""
        x = np.load(samples)
        parts = [self.model(x[i : i + _SLICE], training=False) for i in range(0, len(x), _SLICE)]
        np.save(output, np.concatenate([_array(part) for part in parts]))

    def predict(self, samples: str, batch_size: int) -> float:
        """Run ``model.predict`` over all samples of a file, in seconds."""
        x = np.load(samples)
        begin = time.perf_counter()
        self.model.predict(x, batch_size=batch_size, verbose=0)
        return time.perf_counter() - begin


def _weights(model: Any) -> dict[str, Any]:
    arrays = [_array(kernel) for kernel in map(_kernel, model.layers) if kernel is not None]
    total = sum(array.size for array in arrays)
    return {"weights": total, "zero_weights": sum(int((a == 0).sum()) for a in arrays) / max(total, 1)}


def _kernel(layer: Any) -> Any:
    """A layer's kernel as it is multiplied with, whatever the library; None if it has none."""
    if (quantizer := getattr(layer, "kernel_quantizer_internal", None)) is not None:
        return quantizer(layer.kernel)
    found = (getattr(layer, name, None) for name in ("qkernel", "fused_qkernel", "kernel"))
    return next((kernel for kernel in found if kernel is not None), None)


def _array(tensor: Any) -> np.ndarray[Any, Any]:
    import keras

    # Keras 2 has TensorFlow's tensors alone.
    return np.asarray(keras.ops.convert_to_numpy(tensor) if hasattr(keras, "ops") else tensor)
