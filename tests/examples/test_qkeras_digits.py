"""The example with QKeras, as a user runs it: on Keras 2, or with tf_keras beside Keras 3."""

from __future__ import annotations

import importlib.util
import os
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

import keras_hls

sys.path.insert(0, str(Path(__file__).parents[1] / "frontends"))
from legacy_keras import keras2, keras_of_qkeras

keras_of_qkeras()
pytest.importorskip("sklearn")

SCRIPT = Path(__file__).parents[2] / "examples" / "qkeras_digits.py"


def run(folder: Path, *arguments: str) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    # QKeras sets it for whatever is imported later; a user's shell does where Keras 2 is tf_keras.
    environment.pop("TF_USE_LEGACY_KERAS", None)
    if keras2().__name__ == "tf_keras":
        environment["TF_USE_LEGACY_KERAS"] = "1"
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *arguments],
        cwd=folder,
        env={**environment, "KERAS_HLS_CACHE": str(folder / "cache")},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-5000:]
    assert "HLSWarning" not in done.stderr
    return done.stdout


def test_training_export_record_and_files(tmp_path: Path) -> None:
    recorded = importlib.util.find_spec("mlflow") is not None
    out = run(tmp_path, "--epochs", "2", *([] if recorded else ["--no-mlflow"]))
    assert len(re.findall(r"accuracy: .* - val_loss: .* - hls_lut: \d+.* - hls_ii: \d", out)) == 2
    assert "Hardware answer equals Keras's, bit for bit: 360 of 360 test images" in out
    accuracy = re.search(r"Accuracy of the hardware: ([\d.]+)% of 360 test images", out)
    assert accuracy is not None
    assert float(accuracy[1]) > 70
    build = tmp_path / "build"
    project = keras_hls.load(build / "qkeras_digits")
    assert isinstance(project, keras_hls.Project)
    assert project.estimate.lut > 0
    from_files = keras_hls.snapshot(build / "qkeras_digits.json", weights=build / "qkeras_digits.h5")
    assert [
        node.layer for node in from_files.graph if node.op.reuse_factors(*from_files.graph.input_types(node)) != (1,)
    ]
    if recorded:
        # MLflow's default store, where its UI looks without being told.
        with sqlite3.connect(tmp_path / "mlflow.db") as store:
            points = dict(store.execute("select key, count(*) from metrics group by key").fetchall())
            (status,) = store.execute("select status from runs").fetchall()
        assert points["hls_lut"] == points["val_accuracy"] == points["hls/scores/lut"] == 2
        assert status == ("FINISHED",)
        assert list((tmp_path / "mlruns").rglob("hls/project/keras_hls.json"))


def test_without_mlflow_and_in_another_folder(tmp_path: Path) -> None:
    out = run(tmp_path, "--epochs", "1", "--no-mlflow", "--directory", "here/net")
    assert "MLflow" not in out
    assert sorted(p.name for p in tmp_path.iterdir()) == ["cache", "here"]
    assert sorted(p.name for p in (tmp_path / "here").iterdir()) == ["net", "net.h5", "net.json", "net.khls"]
