"""The networks that are measured: one function each, and `CASES`, which names them.

A new one is a function that trains it, one that draws samples for it, and an entry of `CASES`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

#: Holds for every network: in percent, and in bits.
EXACT = {"equal_keras": 100.0, "emulator_csim_bits": 0.0, "emulator_keras_bits": 0.0}


@dataclass(frozen=True)
class Case:
    """A network, and how it is to be measured.

    Parameters
    ----------
    about : str
        What it is, in a few words.
    train : function
        Takes Keras callbacks, a number of epochs and a number of training samples; returns the trained ``keras.Model``.
    samples : function
        Takes a count and a seed; returns float32 samples, (count, *shape of the input), that the network may meet.
    epochs, training_samples : int
        Of a full run.
    options : mapping
        Of the export, in the words of `keras_hls.export_hls`; the peers are given the same.
    targets : mapping
        By the key of a measure, the figure to reach; see `benchmarks.table.MEASURES`.
    requires : tuple of str
        Packages that its data comes from; without them the case is left out.
    """

    about: str
    train: Callable[[Sequence[Any], int, int], Any]
    samples: Callable[[int, int], Floats]
    epochs: int = 8
    training_samples: int = 20_000
    options: Mapping[str, Any] = field(default_factory=dict)
    targets: Mapping[str, float] = field(default_factory=lambda: EXACT)
    requires: tuple[str, ...] = ()


def _jets(count: int, seed: int) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Return synthetic jets, 16 standardised features of 5 classes, and their labels."""
    world = np.random.default_rng(2024)
    centre, spread = world.normal(size=(5, 16)), world.normal(size=(5, 16, 16)) * 0.3
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 5, count)
    features = np.empty((count, 16), np.float32)
    for kind in range(5):
        here = label == kind
        features[here] = centre[kind] + rng.normal(size=(here.sum(), 16)) @ spread[kind]
    return ((features + rng.normal(size=(count, 16)) * 0.5) / 2).astype(np.float32), label


def _digits() -> tuple[Floats, npt.NDArray[np.int64]]:
    """Return scikit-learn's handwritten digits, 8 x 8 pixels from 0 to 1, and their labels."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    return (images / 16).astype(np.float32), labels


def _hgq2(inputs: int, hidden: Sequence[int], outputs: int) -> Any:
    """Return an untrained HGQ2 network of dense layers with a bit width of its own for every weight and value.

    The widths start spread out, as a long training leaves them: a short one only moves each a little.
    """
    import keras
    from hgq.config import LayerConfigScope, QuantizerConfigScope
    from hgq.layers import QDense

    def between(low: float, high: float) -> Any:
        return keras.initializers.RandomUniform(low, high)

    # One scope takes either the integer bits or a width: it would calculate with them.
    with (
        QuantizerConfigScope(place=("weight", "bias"), i0=0, overflow_mode="SAT_SYM"),
        QuantizerConfigScope(place="weight", b0=between(0, 7)),
        QuantizerConfigScope(place="bias", b0=between(3, 9)),
        QuantizerConfigScope(place="datalane", i0=2, overflow_mode="SAT"),
        QuantizerConfigScope(place="datalane", f0=between(1, 6)),
        LayerConfigScope(enable_ebops=True, beta0=3e-7),
    ):
        layers = [QDense(units, activation="relu", name=f"dense_{i}") for i, units in enumerate(hidden)]
        model = keras.Sequential([keras.Input((inputs,)), *layers, QDense(outputs, enable_oq=True, name="logits")])
    model.compile(
        keras.optimizers.Adam(3e-3),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model


def train_jet_hgq2(callbacks: Sequence[Any], epochs: int, samples: int) -> Any:
    """Train 16-64-32-32-5 on synthetic jets."""
    import keras

    keras.utils.set_random_seed(7)
    model = _hgq2(16, (64, 32, 32), 5)
    x, y = _jets(samples, 0)
    model.fit(x, y, batch_size=512, epochs=epochs, verbose=0, callbacks=list(callbacks))
    return model


def train_digits_hgq2(callbacks: Sequence[Any], epochs: int, samples: int) -> Any:
    """Train 64-32-16-10 on handwritten digits."""
    import keras

    keras.utils.set_random_seed(7)
    model = _hgq2(64, (32, 16), 10)
    x, y = _digits()
    model.fit(x[:samples], y[:samples], batch_size=64, epochs=epochs, verbose=0, callbacks=list(callbacks))
    return model


def jet_samples(count: int, seed: int) -> Floats:
    """Return jets, and among them one in ten that is four times too large, so that quantizers saturate."""
    x, _ = _jets(count, seed)
    x[::10] *= 4
    return x


def digit_samples(count: int, seed: int) -> Floats:
    """Return the digits' images over and over, with noise that leaves their range."""
    rng = np.random.default_rng(seed)
    images, _ = _digits()
    noise = rng.normal(size=(count, 64)) * 0.2
    return (images[rng.integers(0, len(images), count)] + noise).astype(np.float32)


CASES: dict[str, Case] = {
    "jet_hgq2": Case(
        "HGQ2, dense 16-64-32-32-5, a bit width for every weight and value (the size of a jet tagger)",
        train_jet_hgq2,
        jet_samples,
        epochs=15,
        targets={
            **EXACT,
            "simulation": 100.0,
            "build": 4.0,
            "convert": 1.0,
            "emulator": 1.0,
            "epoch": 50.0,
        },
    ),
    "digits_hgq2": Case(
        "HGQ2, dense 64-32-16-10, a bit width for every weight and value (handwritten digits)",
        train_digits_hgq2,
        digit_samples,
        epochs=20,
        requires=("sklearn",),
    ),
}
