"""The benchmark itself runs, and its table and file have their form. What it measures is no test's business."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT))

from benchmarks import cost, data, libraries
from benchmarks.measure import Worker, WorkerError, interleaved
from benchmarks.models import CASES
from benchmarks.run import main
from benchmarks.table import MEASURES, Row, table

SPEED = {"build", "convert", "convert_memory", "emulator", "simulation", "simulation_cores"}
EXPECTED = {
    "jet_hgq2": SPEED | {"epoch"},
    "series_float": set(),
    "jet_qkeras": SPEED | {"epoch", "read_files"},
    "jet_hgq": SPEED | {"epoch", "read_files"},
    "mlp_keras2": SPEED | {"read_files"},
}
HERE = [name for name in EXPECTED if not CASES[name].lacks]


@pytest.mark.skipif(not HERE, reason="needs Keras")
def test_quick_run_of_our_side(tmp_path: Path) -> None:
    output = tmp_path / "result.json"
    command = ["-m", "benchmarks", "--quick", "--no-peer", "--models", *HERE, "--output", str(output)]
    # Importing QKeras, as another test may have, sets it for all later processes.
    environment = {name: value for name, value in os.environ.items() if name != "TF_USE_LEGACY_KERAS"}
    done = subprocess.run(
        [sys.executable, *command], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    result = json.loads(output.read_text())
    always = {"equal_keras", "argmax_keras", "largest_difference", "emulator_csim_bits", "emulator_keras_bits"}
    for name in HERE:
        expected = EXPECTED[name]
        assert result["models"][name]["notes"] == []
        measures = {**result["models"][name]["measures"], **result["import"]}
        assert always | expected | {"import", "import_heavy"} <= set(measures)
        for row in measures.values():
            assert {"ours", "peer", "ratio", "target", "reached", "unit", "details"} <= set(row)
            assert row["label"] in done.stdout
        assert measures["emulator_csim_bits"]["ours"] == 0
        if not CASES[name].calibration:
            assert measures["equal_keras"]["ours"] == 100
            assert measures["emulator_keras_bits"]["ours"] == 0
        assert measures["import_heavy"]["details"]["packages"] == []


def test_targets_and_limits_are_of_measures_that_are_known() -> None:
    for case in CASES.values():
        assert {*case.targets, *case.limits} <= set(MEASURES)
        assert case.peer_answers <= case.answers


@pytest.mark.parametrize(
    ("version", "needs"), [(2, "Keras 3 with HGQ2"), (3, "Keras 2 with QKeras"), (None, "Keras 2")]
)
def test_a_network_that_this_environment_cannot_make_is_named_with_what_it_needs(
    monkeypatch, capsys, version, needs
) -> None:
    monkeypatch.setattr(libraries, "keras_version", lambda: version)
    monkeypatch.setattr(libraries, "installed", lambda package: True)
    names = [name for name, case in CASES.items() if str(case.library) == needs]
    assert names
    with pytest.raises(SystemExit):
        main(["--models", *names])
    said = capsys.readouterr().err
    assert f"{', '.join(names)} need" in said and f"{needs}, which this environment lacks" in said


def test_a_package_of_the_name_is_not_enough(monkeypatch) -> None:
    monkeypatch.setattr(libraries, "installed", lambda package: True)
    monkeypatch.setattr(libraries, "keras_version", lambda: 3)
    # HGQ2 brings a package named qkeras along.
    assert libraries.HGQ2.here and not libraries.QKERAS.here and not libraries.KERAS2.here
    monkeypatch.setattr(libraries, "installed", lambda package: package != "qkeras")
    monkeypatch.setattr(libraries, "keras_version", lambda: 2)
    assert libraries.HGQ.here and libraries.KERAS2.here and not libraries.QKERAS.here and not libraries.KERAS3.here


@pytest.mark.parametrize("draw", [data.jets, data.clouds, data.pictures, data.waves])
def test_data(draw) -> None:
    x, label = draw(50, 3)
    assert x.dtype == np.float32 and len(x) == len(label) == 50
    again, _ = draw(50, 3)
    other, _ = draw(50, 4)
    assert np.array_equal(x, again) and not np.array_equal(x, other)


def test_ours_beside_a_learned_estimator() -> None:
    pairs = [
        cost.Pair(f"d{i}", "s", "latency", stage, "lut", True, truth, 0.0, ours, True)
        for stage, ours in (("csynth", 110.0), ("impl", 500.0))
        for i, truth in enumerate((100.0, 100.0, 200.0))
    ]
    lines = cost.beside(pairs, {"d0": {"lut": 50.0}, "d2": {"lut": 200.0}}).splitlines()
    # The design that the other can't tell is in neither's figures: 10 and 45 % off, and 50 and 0 %.
    assert lines[-1].split()[:6] == ["lut", "2", "27.5%", "25.0%", "27.5%", "25.0%"]
    assert lines[-1].split()[-2:] == ["nan", "1.000"]


def test_rows() -> None:
    rows = [
        Row("simulation", 500.0, 4.0, 100.0),
        Row("build", 2.0, 5.0, 4.0),
        Row("convert_first", 12.0, None, 10.0, rule="at most"),
        Row("equal_keras", 100.0, 99.0, 100.0),
        Row("convert", 2.0, None, 1.0),
    ]
    assert [row.ratio for row in rows] == [125.0, 2.5, None, None, None]
    assert [row.reached for row in rows] == [True, False, False, True, None]
    assert "<= 10" in table(rows, "peer") and ">= 100x" in table(rows, "peer")


def test_nothing_is_repeated_beyond_the_budget() -> None:
    calls = []
    assert interleaved(5, [lambda: calls.append("a") or 1.0, lambda: calls.append("b") or 2.0]) == [
        [1.0] * 5,
        [2.0] * 5,
    ]
    assert calls == ["a", "b", "b", "a"] * 2 + ["a", "b"]
    assert interleaved(5, [lambda: time.sleep(0.01) or 3.0], 0.0) == [[3.0]]


TOOL = """
import os, subprocess, time
class Tool:
    def add(self, a, b): return a + b
    def fail(self): raise ValueError("no such luck")
    def end(self): os._exit(3)
    def sleep(self, file):
        child = subprocess.Popen(["sleep", "100"])
        open(file, "w").write(str(child.pid))
        child.wait()
"""


@pytest.fixture
def tool(tmp_path, monkeypatch):
    (tmp_path / "a_tool.py").write_text(TOOL)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return "a_tool:Tool"


def test_a_worker_answers_and_fails(tool, tmp_path) -> None:
    with Worker(tool, tmp_path) as worker:
        assert worker.call("add", a=1, b=2) == 3
        with pytest.raises(WorkerError, match="no such luck"):
            worker.call("fail")
        assert worker.call("add", a=3, b=4) == 7
        with pytest.raises(WorkerError, match="the process ended"):
            worker.call("end")


def test_what_takes_too_long_is_ended_with_all_that_it_started(tool, tmp_path) -> None:
    note = tmp_path / "child"
    with Worker(tool, tmp_path, limit=1.5) as worker:
        with pytest.raises(WorkerError, match=r"sleep: it took longer than 1\.5 seconds, and was ended"):
            worker.call("sleep", file=str(note))
        child = int(note.read_text())
        for _ in range(100):
            if not _lives(child):
                break
            time.sleep(0.05)
        assert not _lives(child)
        with pytest.raises(WorkerError):
            worker.call("add", a=1, b=2)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
        # One that has ended, and that nobody has asked about, is a zombie.
        return ") Z" not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
