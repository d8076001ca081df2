"""hls4ml, as it is measured: the same methods as `benchmarks.ours.Ours`.

Every method that times something returns seconds.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from benchmarks.libraries import HGQ, QKERAS
from benchmarks.models import CASES
from benchmarks.samples import repeated
from benchmarks.saved import opened, show

#: The version that the figures to reach were set against.
VERSION = "1.3.0"

# Said to hls4ml unless the case says otherwise; keras_hls has the same defaults.
_PART, _CLOCK = "xcvu13p-flga2577-2-e", 5


class Hls4ml:
    """One process with hls4ml."""

    def open(self, case: str, model: str, samples: str) -> None:
        """Open a case's file, with all that this imports, and show the model samples if it needs some."""
        self.library = CASES[case].library
        self.model = opened(case, model)
        show(CASES[case], self.model, samples)

    def convert(self, directory: str, options: Mapping[str, Any], calibration: str | None) -> float:
        """Convert the model and write the project into a fresh folder; hls4ml takes no samples for its types."""
        import hls4ml

        backend = options.get("backend", "Vitis")
        shutil.rmtree(directory, ignore_errors=True)
        begin = time.perf_counter()
        model = self._proxy() if self.library is HGQ else self.model
        converted = hls4ml.converters.convert_from_keras_model(
            model,
            output_dir=directory,
            project_name="network",
            backend=backend,
            io_type=options.get("io_type", "io_parallel"),
            part=options.get("part", _PART),
            clock_period=options.get("clock_period", _CLOCK),
            hls_config=self._config(model, backend, options),
            # Networks of HGQ and HGQ2 ask for it by themselves.
            bit_exact=True if self.library is QKERAS else None,
        )
        converted.write()
        return time.perf_counter() - begin

    def _proxy(self) -> Any:
        """HGQ's model as hls4ml reads it."""
        from HGQ import to_proxy_model

        return to_proxy_model(self.model)

    def _config(self, model: Any, backend: str, options: Mapping[str, Any]) -> dict[str, Any]:
        import hls4ml

        precision, reuse = "fixed<16,6>", options.get("reuse_factor", 1)
        config: dict[str, Any] = {"Model": {"Precision": precision, "ReuseFactor": reuse}}
        if self.library is QKERAS:
            # Its quantizers are asked for the types, layer by layer.
            config = hls4ml.utils.config_from_keras_model(
                model, granularity="name", backend=backend, default_precision=precision, default_reuse_factor=reuse
            )
        if "strategy" in options:
            config["Model"]["Strategy"] = options["strategy"]
        return config

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
