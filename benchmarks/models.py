"""The networks that are measured, by name: `CASES`.

A new one is a function in the file of its library's networks, one in `data.py` that it can learn from, and an entry here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from benchmarks import data, float_networks, hgq2_networks, hgq_networks, libraries, qkeras_networks
from benchmarks.data import Data, Floats
from benchmarks.libraries import HGQ, HGQ2, KERAS2, KERAS3, QKERAS, Library

#: Holds for every network with quantizers: in percent, and in bits.
EXACT = {"equal_keras": 100.0, "emulator_csim_bits": 0.0, "emulator_keras_bits": 0.0}
#: Holds for every network without: in percent of the samples, and in bits.
NEAR = {"argmax_keras": 99.0, "emulator_csim_bits": 0.0}


@dataclass(frozen=True)
class Case:
    """A network, and how it is to be measured.

    Parameters
    ----------
    about : str
        What it is, in a few words.
    network : function
        Returns it untrained, a ``keras.Model`` whose last layer answers logits.
    library : Library
        What it is made of.
    data : function
        Takes a count and a seed; returns float32 samples, (count, *shape of the input), and their labels.
    samples : function, optional
        Takes and returns samples: makes of some of the data what the network may meet. By default they stay as they are.
    epochs, training_samples, batch : int
        Of a full run.
    answers : int
        Samples that answers are compared over.
    peer_answers : int
        How many of them hls4ml answers.
    calibration : int
        Samples that keras_hls is given as ``calibration=``, of those that the network was trained with; 0 for a network with
        quantizers.
    options : mapping
        Of the export, in the words of `keras_hls.export_hls`; the peers are given the same.
    targets, limits : mapping
        By the key of a measure, the figure to reach, and one that ours must not exceed; see `benchmarks.table.MEASURES`.
    smaller : tuple of functions
        Return the network with fewer weights, the fewest first, to see how conversion grows.
    speed : bool
        Whether times are measured, and not answers alone.
    requires : tuple of str
        Packages that its data comes from.
    """

    about: str
    network: Callable[[], Any]
    library: Library
    data: Callable[[int, int], Data]
    samples: Callable[[Floats], Floats] = lambda x: x
    epochs: int = 8
    training_samples: int = 20_000
    batch: int = 512
    answers: int = 100_000
    peer_answers: int = 100_000
    calibration: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)
    targets: Mapping[str, float] = field(default_factory=lambda: EXACT)
    limits: Mapping[str, float] = field(default_factory=dict)
    smaller: Sequence[Callable[[], Any]] = ()
    speed: bool = True
    requires: tuple[str, ...] = ()

    @property
    def lacks(self) -> str:
        """What it needs and this environment hasn't; empty if it can be measured here."""
        library = () if self.library.here else (str(self.library),)
        return " and ".join([*library, *(package for package in self.requires if not libraries.installed(package))])


def _some_too_large(x: Floats) -> Floats:
    """Make one in ten four times too large, so that quantizers saturate."""
    x[::10] *= 4
    return x


def _noisy(x: Floats) -> Floats:
    """Add noise that leaves the range of most."""
    return (x + np.random.default_rng(1).normal(size=x.shape) * 0.2).astype(np.float32)


#: Against hls4ml, of a network that both simulate.
_FASTER = {"simulation": 100.0, "build": 4.0}
_MLP = hgq2_networks.dense
_JET = (16, (64, 32, 32), 5)
_READ = {"read_files": 1.0}

CASES: dict[str, Case] = {
    "jet_hgq2": Case(
        "HGQ2, dense 16-64-32-32-5, a bit width for every weight and value (the size of a jet tagger)",
        partial(_MLP, *_JET),
        HGQ2,
        data.jets,
        _some_too_large,
        epochs=15,
        targets={**EXACT, **_FASTER, "convert": 1.0, "emulator": 1.0},
        limits={"epoch": 50.0},
    ),
    "digits_hgq2": Case(
        "HGQ2, dense 64-32-16-10, a bit width for every weight and value (handwritten digits)",
        partial(_MLP, 64, (32, 16), 10),
        HGQ2,
        data.flat_digits,
        _noisy,
        epochs=20,
        training_samples=1_800,
        batch=64,
        requires=("sklearn",),
    ),
    "cnn_hgq2": Case(
        "HGQ2, pictures of 32 x 32 x 3, two convolutions with pooling, two dense layers, a bit width for every weight",
        hgq2_networks.convolutional,
        HGQ2,
        data.pictures,
        _some_too_large,
        training_samples=8_000,
        batch=128,
        answers=20_000,
        peer_answers=5_000,
        targets={**EXACT, **_FASTER},
    ),
    "cnn_float": Case(
        "Keras without quantizers, digits of 28 x 28, two convolutions with pooling, a dense layer",
        float_networks.convolutional,
        KERAS3,
        data.large_digits,
        epochs=4,
        training_samples=8_000,
        batch=64,
        answers=20_000,
        peer_answers=2_000,
        calibration=1_000,
        targets={**NEAR, **_FASTER},
        requires=("sklearn",),
    ),
    "wide": Case(
        "HGQ2, dense 512-1024-448-10: a million weights, a bit width for each and for every value",
        partial(_MLP, 512, (1024, 448), 10),
        HGQ2,
        data.clouds,
        epochs=3,
        training_samples=4_000,
        answers=10_000,
        peer_answers=100,
        limits={"convert_first": 10.0, "convert_memory": 1500.0, "convert_growth": 1.5},
        smaller=(partial(_MLP, 256, (512, 224), 10), partial(_MLP, 512, (512, 448), 10)),
    ),
    "jet_qkeras": Case(
        "QKeras, dense 16-64-32-32-5, weights of 6 bits",
        partial(qkeras_networks.dense, *_JET),
        QKERAS,
        data.jets,
        _some_too_large,
        targets={**EXACT, **_FASTER},
        limits=_READ,
    ),
    "cnn_qkeras": Case(
        "QKeras, pictures of 32 x 32 x 3, two convolutions with pooling, two dense layers, weights of 6 bits",
        qkeras_networks.convolutional,
        QKERAS,
        data.pictures,
        _some_too_large,
        epochs=4,
        training_samples=8_000,
        batch=128,
        answers=20_000,
        peer_answers=5_000,
        targets={**EXACT, **_FASTER},
        limits=_READ,
    ),
    "jet_hgq": Case(
        "HGQ, dense 16-64-32-32-5, a bit width for every weight and value",
        partial(hgq_networks.dense, *_JET),
        HGQ,
        data.jets,
        targets={**EXACT, **_FASTER},
        limits=_READ,
    ),
    "cnn_hgq": Case(
        "HGQ, pictures of 32 x 32 x 3, two convolutions with pooling, two dense layers, a bit width for every weight",
        hgq_networks.convolutional,
        HGQ,
        data.pictures,
        epochs=4,
        training_samples=8_000,
        batch=128,
        answers=20_000,
        peer_answers=5_000,
        targets={**EXACT, **_FASTER},
        limits=_READ,
    ),
    "mlp_keras2": Case(
        "Keras 2 without quantizers, dense 16-64-32-32-5",
        float_networks.dense,
        KERAS2,
        data.jets,
        answers=20_000,
        peer_answers=20_000,
        calibration=1_000,
        targets={**NEAR, **_FASTER},
        limits=_READ,
    ),
    "cnn_keras2": Case(
        "Keras 2 without quantizers, digits of 28 x 28, two convolutions with pooling, a dense layer",
        float_networks.convolutional,
        KERAS2,
        data.large_digits,
        epochs=4,
        training_samples=8_000,
        batch=64,
        answers=20_000,
        peer_answers=2_000,
        calibration=1_000,
        targets={**NEAR, **_FASTER},
        limits=_READ,
        requires=("sklearn",),
    ),
    "mlp_float": Case(
        "Keras without quantizers, dense 16-64-32-32-5",
        float_networks.dense,
        KERAS3,
        data.jets,
        answers=20_000,
        peer_answers=20_000,
        calibration=1_000,
        targets=NEAR,
        speed=False,
    ),
    "residual_float": Case(
        "Keras without quantizers, digits of 28 x 28, convolutions with batch normalisation around a skip connection",
        float_networks.residual,
        KERAS3,
        data.large_digits,
        epochs=12,
        training_samples=8_000,
        batch=64,
        answers=10_000,
        peer_answers=2_000,
        calibration=1_000,
        targets=NEAR,
        speed=False,
        requires=("sklearn",),
    ),
    "series_float": Case(
        "Keras without quantizers, series of 64 x 2, two 1-D convolutions with pooling, two dense layers",
        float_networks.one_dimensional,
        KERAS3,
        data.waves,
        batch=128,
        answers=20_000,
        peer_answers=5_000,
        calibration=1_000,
        targets=NEAR,
        speed=False,
    ),
}
