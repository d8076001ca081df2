"""Running the vendor's tool: with scripts in its place that leave reports, fail, hang, or aren't there."""

import os
import stat
import time
from pathlib import Path

import numpy as np
import pytest

import keras_hls
from keras_hls.errors import HLSError, InvalidOption, ToolNotFound
from keras_hls.fixed import Constant, Fixed, Formats
from keras_hls.graph import Graph, Input, Node
from keras_hls.layers_ext.dense import Dense
from keras_hls.options import Options
from keras_hls.project import Project
from keras_hls.reports import LayerNames
from keras_hls.snapshots import Snapshot

XML = """<profile><ReportVersion><Version>2023.2</Version></ReportVersion>
<UserAssignments><unit>ns</unit><ProductFamily>virtexuplus</ProductFamily><Part>xcvu13p-flga2577-2-e</Part>
<TopModelName>net</TopModelName><TargetClockPeriod>5.00</TargetClockPeriod></UserAssignments>
<PerformanceEstimates><SummaryOfTimingAnalysis><unit>ns</unit><EstimatedClockPeriod>3.500</EstimatedClockPeriod>
</SummaryOfTimingAnalysis><SummaryOfOverallLatency><unit>clock cycles</unit><Best-caseLatency>2</Best-caseLatency>
<Worst-caseLatency>2</Worst-caseLatency><Interval-min>1</Interval-min><Interval-max>1</Interval-max>
</SummaryOfOverallLatency></PerformanceEstimates><AreaEstimates><Resources><BRAM_18K>0</BRAM_18K><DSP>5</DSP><FF>77</FF>
<LUT>1234</LUT><URAM>0</URAM></Resources></AreaEstimates></profile>
"""


@pytest.fixture
def project(tmp_path) -> Project:
    kernel = Constant(np.random.default_rng(0).integers(-30, 30, (8, 4)), 3)
    x = Fixed(True, 12, 4)
    graph = Graph(
        (Node("x", Input((8,), Formats.of(x), x), (), "x"), Node("dense", Dense(kernel), ("x",), "dense")),
        ("dense",),
        ("y",),
    ).verify()
    return Snapshot(graph, Options()).export(tmp_path / "net", verify=False)


@pytest.fixture
def tool(tmp_path, monkeypatch):
    """Puts a script on PATH, alone but for what shells need."""

    def put(name: str, script: str) -> None:
        folder = tmp_path / "bin"
        folder.mkdir(exist_ok=True)
        path = folder / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}/bin{os.pathsep}/usr/bin")

    return put


def leaves(report: str, words: str = "") -> str:
    folder = "net_prj/solution1/syn/report"
    return f"mkdir -p {folder}; echo {words} steps $KERAS_HLS_STEPS arguments $@; cat > {folder}/csynth.xml <<'END'\n{report}END"


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("vitis-run", "--mode hls --tcl build_prj.tcl"),
        ("vitis_hls", "-f build_prj.tcl"),
        ("vivado_hls", "-f build_prj.tcl"),
    ],
)
def test_estimate_and_truth_side_by_side(project, tool, name, arguments):
    tool(name, leaves(XML))
    found = project.build()
    assert (found.reports.lut, found.reports.stage, found.reports.latency_cycles) == (1234, "csynth", 2)
    assert found.log.read_text() == f"steps synth arguments {arguments}\n"
    lines = str(found).splitlines()
    lut = next(line.split() for line in lines if line.startswith("csynth  LUT "))
    ours = found.estimate.stages["csynth"]
    low, high = ours.interval("lut")
    assert lut[2:] == [f"{ours.lut:,}", f"{low:,}-{high:,}", "1,234", f"{1234 / ours.lut:.2f}"]
    assert found.metrics()["hls_csynth_lut_reported"] == 1234.0
    assert found.metrics()["hls_csynth_lut"] == float(ours.lut)
    assert keras_hls.read_reports(project.directory) == found.reports


def test_without_a_tool(project, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(ToolNotFound, match=r"none of its commands .* is on PATH: source the settings64"):
        project.build()


def test_a_tool_that_fails(project, tool):
    tool("vitis_hls", "echo INFO: begins; echo 'ERROR: [HLS 200-101] no licence'; exit 3")
    with pytest.raises(
        HLSError, match=r"vitis_hls failed with code 3; see .*build\.log'\n  ERROR: \[HLS 200-101\] no licence$"
    ):
        project.build()


def test_a_tool_that_leaves_nothing(project, tool):
    tool("vitis_hls", "true")
    with pytest.raises(HLSError, match="vitis_hls wrote no report; see "):
        project.build()
    tool("vitis_hls", leaves(XML))
    with pytest.raises(HLSError, match="vitis_hls left no report of stage 'impl'"):
        project.build("impl")


def test_a_tool_that_hangs_is_ended_with_all_it_started(project, tool, tmp_path):
    tool("vitis_hls", f"(sleep 3; touch {tmp_path}/late) & sleep 60")
    with pytest.raises(HLSError, match=r"took longer than 0\.5 s and was ended"):
        project.build(timeout=0.5)
    time.sleep(3.2)
    assert not (tmp_path / "late").exists()


def test_reports_of_an_earlier_run_are_not_read_as_this_ones(project, tool):
    tool("vitis_hls", leaves(XML))
    project.build()
    tool("vitis_hls", "echo ERROR: no license")
    with pytest.raises(HLSError, match=r"vitis_hls wrote no report; see .*\n  ERROR: no license"):
        project.build()
    tool("vitis_hls", leaves(XML))
    assert project.build().reports.lut == 1234


@pytest.mark.parametrize("timeout", [0, -1, "60", float("nan")])
def test_no_time(project, timeout):
    with pytest.raises(InvalidOption, match="timeout must be a number of seconds above 0, or None, not "):
        project.build(timeout=timeout)


def test_a_project_that_is_gone(project, tool):
    tool("vitis_hls", leaves(XML))
    (project.directory / "build_prj.tcl").unlink()
    with pytest.raises(HLSError, match=r"^Project '.*net' has no build_prj.tcl any more; export the model again"):
        project.build()


def test_unknown_stage(project):
    with pytest.raises(InvalidOption, match="stage must be one of 'csynth', 'impl', not 'cosim'"):
        project.build("cosim")


def test_layers_beside_each_other(project, tool, draw):
    function = next(iter(LayerNames.of(project.directory).functions))
    rows = (draw.instance(f"{function}_s", name="dense_U0", lut=321),)
    report = draw.text(draw.module("net", instances=rows))
    tool("vitis_hls", leaves(report).replace("csynth.xml", "net_csynth.rpt"))
    ours = project.estimate.layers[0].stages["csynth"].lut
    line = next(line.split() for line in str(project.build()).splitlines() if "LUT of dense" in line)
    assert (line[4], line[-2], line[-1]) == (f"{ours:,}", "321", f"{321 / ours:.2f}")


def test_recorded_in_an_active_run(project, tool, tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/store.db")
    mlflow.set_tracking_uri(f"sqlite:///{tmp_path}/store.db")
    tool("vitis_hls", leaves(XML))
    with mlflow.start_run() as run:
        project.build()
        assert mlflow.active_run().info.run_id == run.info.run_id
    metrics = mlflow.get_run(run.info.run_id).data.metrics
    assert metrics["hls_csynth_lut_reported"] == 1234.0
    assert metrics["hls_csynth_lut"] == float(project.estimate.at("csynth").lut)


def test_folder_stays_a_project(project, tool):
    tool("vitis_hls", leaves(XML))
    project.build()
    assert isinstance(keras_hls.load(Path(project.directory)), Project)
