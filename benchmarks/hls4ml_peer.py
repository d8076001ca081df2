"""hls4ml, as it is measured: the same methods as `benchmarks.ours.Ours`.

Every method that times something returns seconds.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from benchmarks.samples import repeated

#: The version that the figures to reach were set against.
VERSION = "1.3.0"

# Said to hls4ml unless the case says otherwise; keras_hls has the same defaults.
_PART, _CLOCK = "xcvu13p-flga2577-2-e", 5


class Hls4ml:
    """One process with hls4ml."""

    def open(self, model: str) -> None:
        """Load a .keras file, with all that loading it imports."""
        import hgq.layers  # noqa: F401  (makes its layers known to Keras)
        import keras

        self.model = keras.models.load_model(model, compile=False)

    def convert(self, directory: str, options: Mapping[str, Any], calibration: str | None) -> float:
        """Convert the model and write the project into a fresh folder; hls4ml takes no samples for its types."""
        import hls4ml

        model_config = {"Precision": "fixed<16,6>", "ReuseFactor": options.get("reuse_factor", 1)}
        if "strategy" in options:
            model_config["Strategy"] = options["strategy"]
        shutil.rmtree(directory, ignore_errors=True)
        begin = time.perf_counter()
        converted = hls4ml.converters.convert_from_keras_model(
            self.model,
            output_dir=directory,
            project_name="network",
            backend=options.get("backend", "Vitis"),
            io_type=options.get("io_type", "io_parallel"),
            part=options.get("part", _PART),
            clock_period=options.get("clock_period", _CLOCK),
            hls_config={"Model": model_config},
        )
        converted.write()
        return time.perf_counter() - begin

    def build(self, directory: str) -> float:
        """Compile the written project's C-simulation: what `compile` does after writing, its own build_lib.sh."""
        project = _linked(directory)
        begin = time.perf_counter()
        project.compile()
        return time.perf_counter() - begin

    def attach(self, directory: str) -> None:
        """Make the project ready to run; that is to compile it again."""
        self.project = _linked(directory)
        self.project.compile()

    def answer(self, samples: str, output: str, count: int) -> None:
        """Save what the C-simulation answers to the first samples of a file."""
        np.save(output, self.project.predict(np.load(samples)[:count]))

    def simulate(self, samples: str, count: int) -> float:
        """Run the C-simulation, floats in and floats out; it knows no threads."""
        x = repeated(samples, count)
        begin = time.perf_counter()
        self.project.predict(x)
        return time.perf_counter() - begin


def _linked(directory: str) -> Any:
    import hls4ml

    return hls4ml.converters.link_existing_project(directory)
