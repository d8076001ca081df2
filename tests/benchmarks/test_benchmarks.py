"""The benchmark itself runs, and its table and file have their form. What it measures is no test's business."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.keras3
@pytest.mark.skipif(importlib.util.find_spec("hgq") is None, reason="needs Keras 3 with HGQ2")
def test_quick_run_of_our_side(tmp_path: Path) -> None:
    output = tmp_path / "result.json"
    command = ["-m", "benchmarks", "--quick", "--no-peer", "--models", "jet_hgq2", "--output", str(output)]
    done = subprocess.run([sys.executable, *command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(output.read_text())
    assert result["models"]["jet_hgq2"]["notes"] == []
    measures = {**result["models"]["jet_hgq2"]["measures"], **result["import"]}
    expected = {
        "equal_keras",
        "emulator_csim_bits",
        "emulator_keras_bits",
        "simulation",
        "build",
        "convert",
        "emulator",
    }
    assert expected | {"epoch", "import", "import_heavy"} <= set(measures)
    for row in measures.values():
        assert {"ours", "peer", "ratio", "target", "reached", "unit", "details"} <= set(row)
        assert row["label"] in done.stdout
    assert measures["equal_keras"]["ours"] == 100
    assert measures["emulator_csim_bits"]["ours"] == 0
    assert measures["emulator_keras_bits"]["ours"] == 0
    assert measures["import_heavy"]["details"]["packages"] == []
