"""The example with QKeras, as a user runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import keras_hls

for needed in ("keras", "qkeras", "sklearn"):
    pytest.importorskip(needed)
if sys.modules["keras"].__version__.startswith("3"):
    pytest.skip("QKeras needs Keras 2; HGQ2 brings a package of its name", allow_module_level=True)

SCRIPT = Path(__file__).parents[2] / "examples" / "qkeras_digits.py"


def test_training_export_and_files(tmp_path: Path) -> None:
    # QKeras sets it for whatever is imported later in this process, a user's shell doesn't.
    environment = {name: value for name, value in os.environ.items() if name != "TF_USE_LEGACY_KERAS"}
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--epochs", "2", "--no-mlflow"],
        cwd=tmp_path,
        env={**environment, "KERAS_HLS_CACHE": str(tmp_path / "cache")},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-5000:]
    assert "Hardware answer equals Keras's, bit for bit: 360 of 360 test images" in done.stdout
    build = tmp_path / "build"
    assert keras_hls.load(build / "qkeras_digits").estimate.lut > 0
    from_files = keras_hls.snapshot(build / "qkeras_digits.json", weights=build / "qkeras_digits.h5")
    assert [
        node.layer for node in from_files.graph if node.op.reuse_factors(*from_files.graph.input_types(node)) != (1,)
    ]
