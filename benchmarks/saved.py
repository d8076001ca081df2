"""Trained networks in files: one process saves them, and every tool opens them for itself."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.libraries import HGQ
from benchmarks.models import CASES, Case

# Samples that HGQ is shown at a time.
_SLICE = 4096


def file_name(case: Case, stem: str) -> str:
    """Return what a case's file is called."""
    return f"{stem}.keras" if case.library.keras == 3 else f"{stem}.h5"


def save(model: Any, path: str) -> None:
    """Save a model: as .keras all of it, as .h5 its weights."""
    if path.endswith(".keras"):
        model.save(path)
    else:
        model.save_weights(path)


def opened(name: str, path: str) -> Any:
    """Return the model of a case's file, with all that its layers import.

    A .h5 holds weights alone, and the network is made anew for them: where tf_keras is installed, and QKeras brings it, Keras 2
    reads its own architectures with layers of the other Keras, and fails.
    """
    case = CASES[name]
    if path.endswith(".keras"):
        import keras

        if case.library.module is not None:
            importlib.import_module(case.library.module)
        return keras.models.load_model(path, compile=False)
    model = case.network()
    model.load_weights(path)
    return model


def show(case: Case, model: Any, samples: str) -> None:
    """Let a model that needs it see the samples of a file: HGQ's take the ranges of their values from there."""
    if case.library is HGQ:
        import HGQ as hgq

        hgq.trace_minmax(model, np.load(samples), bsz=_SLICE, verbose=False, no_bops_computation=True)


def save_for_reading(case: Case, model: Any, samples: str, path: str) -> None:
    """Save a model of Keras 2 as a .json, and its weights beside it as .h5: files that say all that hardware needs.

    Those of HGQ's layers lack the ranges, which its proxy models have.
    """
    show(case, model, samples)
    if case.library is HGQ:
        import HGQ as hgq

        model = hgq.to_proxy_model(model)
    Path(path).write_text(model.to_json())
    model.save_weights(str(Path(path).with_suffix(".h5")))
