"""The example that the README begins with, as a user runs it."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

import keras_hls

for needed in ("keras", "hgq", "sklearn"):
    pytest.importorskip(needed)

pytestmark = pytest.mark.keras3

SCRIPT = Path(__file__).parents[2] / "examples" / "digits.py"


def run(folder: Path, *arguments: str) -> str:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
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


def test_training_export_and_record(tmp_path: Path) -> None:
    pytest.importorskip("mlflow")
    out = run(tmp_path, "--epochs", "2")
    assert len(re.findall(r"accuracy: .* - val_loss: .* - hls_lut: \d+.* - hls_ii: \d", out)) == 2
    assert re.search(r"^Total impl +[\d,]+ ", out, re.MULTILINE)
    for layer in ("hidden_1", "hidden_2", "scores"):
        assert re.search(rf"^{layer} \(Dense\) ", out, re.MULTILINE)
    assert "Hardware answer equals Keras's, bit for bit: 360 of 360 test images" in out
    accuracy = re.search(r"Accuracy of the hardware: ([\d.]+)% of 360 test images", out)
    assert accuracy is not None
    assert float(accuracy[1]) > 70
    for name in ("digits", "digits-last"):
        project = keras_hls.load(tmp_path / "build" / name)
        assert isinstance(project, keras_hls.Project)
        assert project.estimate.lut > 0
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
    assert sorted(p.name for p in (tmp_path / "here").iterdir()) == ["net", "net-last", "net.khls"]
