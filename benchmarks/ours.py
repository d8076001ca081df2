"""This project, as it is measured. Every method that times something returns seconds."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.models import CASES
from benchmarks.samples import repeated
from benchmarks.saved import opened, show


class Ours:
    """One process with keras_hls."""

    def open(self, case: str, model: str, samples: str) -> None:
        """Open a case's file, with all that this imports, and show the model samples if it needs some."""
        self.model = opened(case, model)
        show(CASES[case], self.model, samples)

    def convert(self, directory: str, options: Mapping[str, Any], calibration: str | None) -> float:
        """Convert the model and write the project into a fresh folder, without proving it.

        `calibration` is a file of samples, for a network without quantizers.
        """
        from keras_hls import export_hls

        samples = None if calibration is None else np.load(calibration)
        shutil.rmtree(directory, ignore_errors=True)
        begin = time.perf_counter()
        export_hls(self.model, directory, calibration=samples, verify=False, **options)
        return time.perf_counter() - begin

    def build(self, directory: str) -> float:
        """Compile the written project's C-simulation from nothing."""
        project = self._project(directory)
        shutil.rmtree(_cache(directory), ignore_errors=True)
        begin = time.perf_counter()
        project.simulation.build()
        return time.perf_counter() - begin

    def attach(self, directory: str) -> None:
        """Make the built project ready to run."""
        self.project = self._project(directory)
        self.project.simulation.build()

    def answer(self, samples: str, output: str, count: int) -> None:
        """Save what the C-simulation answers to the first samples of a file."""
        np.save(output, self.project.predict(np.load(samples)[:count], threads=1))

    def simulate(self, samples: str, count: int, threads: int | None = 1) -> float:
        """Run the C-simulation in so many threads, None for one a core; floats in and floats out."""
        return _timed(lambda x: self.project.predict(x, threads=threads), repeated(samples, count))

    def simulate_integers(self, samples: str, count: int) -> float:
        """Run the C-simulation in one thread, integers in and out: no conversion from and to floats."""
        from keras_hls.sim.emulator import to_raw

        raw = to_raw(self.project.graph, repeated(samples, count))
        return _timed(lambda values: self.project.simulation.run(values, 1), raw)

    def emulate(self, samples: str, count: int) -> float:
        """Run the emulator, floats in and floats out."""
        return _timed(self.project.emulate, repeated(samples, count))

    def emulator_answer(self, samples: str, output: str) -> None:
        """Save what the emulator answers to all samples of a file."""
        np.save(output, self.project.emulate(np.load(samples)))

    def _project(self, directory: str) -> Any:
        from keras_hls import load

        os.environ["KERAS_HLS_CACHE"] = str(_cache(directory))
        project = load(directory)
        assert project.graph is not None
        return project


def _cache(directory: str) -> Path:
    return Path(f"{directory}.cache")


def _timed(run: Callable[[Any], Any], x: Any) -> float:
    begin = time.perf_counter()
    run(x)
    return time.perf_counter() - begin


def epoch_callback(options: Mapping[str, Any], milliseconds: list[float]) -> Any:
    """Return a Keras callback that takes a snapshot and its estimate after every epoch, and notes the time."""
    import keras

    from keras_hls.api import snapshot

    class EpochCost(keras.callbacks.Callback):  # type: ignore[misc]
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            begin = time.perf_counter()
            snapshot(self.model, **options).estimate()
            milliseconds.append((time.perf_counter() - begin) * 1e3)

    return EpochCost()
