"""The package itself, and what the figures were taken on and with."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.measure import imported, interleaved, median, start_seconds
from benchmarks.table import Row

_PACKAGES = (
    "keras-hls",
    "hls4ml",
    "keras",
    "tensorflow",
    "jax",
    "torch",
    "hgq2",
    "da4ml",
    "qkeras",
    "HGQ",
    "tf_keras",
    "numpy",
    "jinja2",
)
#: What importing keras_hls must not load.
_HEAVY = ("keras", "tensorflow", "jax", "torch", "mlflow", "hgq", "qkeras", "HGQ", "tf_keras")
_IMPORT_SECONDS = 0.3


def measure_import(repetitions: int) -> list[Row]:
    """Return how long importing keras_hls takes in a fresh interpreter, beyond the interpreter, and what it loads."""
    statements = ["pass", "import keras_hls", "from keras_hls import export_hls, snapshot"]
    # An empty folder, so that what is installed is what is imported.
    with tempfile.TemporaryDirectory() as folder:
        for statement in statements:
            start_seconds(statement, folder)
        bare, plain, used = interleaved(
            repetitions, [partial(start_seconds, statement, folder) for statement in statements]
        )
        heavy = [name for name in imported("import keras_hls", folder) if name in _HEAVY]
    return [
        Row("import", median(plain) - median(bare), None, _IMPORT_SECONDS, {"seconds": plain, "bare": bare}),
        Row("import_used", median(used) - median(bare), None, None, {"seconds": used}),
        Row("import_heavy", len(heavy), None, 0, {"packages": heavy}),
    ]


def software() -> dict[str, str]:
    """Return the versions of what takes part."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    try:
        done = subprocess.run(["g++", "--version"], capture_output=True, text=True, check=True)
        found["g++"] = done.stdout.splitlines()[0]
    except (OSError, subprocess.CalledProcessError):
        pass
    return found


def machine() -> dict[str, Any]:
    """Return what the figures were taken on, and how busy it was."""
    name = platform.processor()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), name)
    except OSError:
        pass
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    return {"system": platform.platform(), "processor": name, "cores": os.cpu_count(), "load_before": load}
