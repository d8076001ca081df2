"""Reports in the form of an estimate, and what the coefficients learn from them."""

import json
from pathlib import Path

import numpy as np
import pytest

import keras_hls
from keras_hls.cli import main
from keras_hls.cost import ResourceEstimate
from keras_hls.errors import HLSError, InvalidOption
from keras_hls.fixed import Constant, Fixed, Formats
from keras_hls.graph import Graph, Input, Node
from keras_hls.layers_ext.dense import Dense
from keras_hls.layers_ext.quantize import Quantize
from keras_hls.options import Options
from keras_hls.project import Project
from keras_hls.reports import LayerNames
from keras_hls.snapshots import Snapshot

RESOURCES = ("lut", "ff", "dsp", "bram", "uram")
PART = "xcvu3p-ffvc1517-2-e"
SHARED = Path(__file__).parents[3] / "shared" / "synthesis" / "reports"


def network(seed: int, size: int = 24) -> Graph:
    random = np.random.default_rng(seed)
    kernels = [Constant(random.integers(-60, 60, shape), 4) for shape in ((16, size), (size, 5))]
    cast = Quantize(Formats.of(Fixed(False, 8, 4, "RND", "SAT")))
    x = Fixed(True, 10, 4)
    return Graph(
        (
            Node("x", Input((16,), Formats.of(x), x), (), "x"),
            Node("first", Dense(kernels[0]), ("x",), "first"),
            Node("cast", cast, ("first",), "first"),
            Node("second", Dense(kernels[1]), ("cast",), "second"),
        ),
        ("second",),
        ("y",),
    ).verify()


@pytest.fixture
def synthesised(tmp_path, draw):
    """Makes a project whose reports say so many times the LUTs and flip-flops that are estimated."""

    def make(name: str, seed: int, times: float = 1.0, size: int = 24, **tool: str) -> Path:
        folder = tmp_path / name
        Snapshot(network(seed, size), Options(part=PART)).export(folder, verify=False)
        estimate = Project(folder).estimate.at("csynth")
        functions = {node: function for function, node in LayerNames.of(folder).functions.items()}
        rows = [
            draw.instance(
                f"{functions[row.name]}_s",
                name=f"{row.name}_U0",
                lut=round(row.lut * times),
                ff=round(row.ff * times),
                dsp=row.dsp,
                latency_min=row.latency_cycles,
                latency_max=row.latency_cycles,
            )
            for row in estimate.layers
            if row.name in functions
        ]
        figures = {each: round(getattr(estimate, each) * times) + 7 for each in ("lut", "ff")}
        top = draw.module("top", dsp=estimate.dsp, bram18=0, instances=tuple(rows), **figures, **tool)
        report = folder / "top_prj" / "solution1" / "syn" / "report"
        report.mkdir(parents=True)
        (report / "top_csynth.rpt").write_text(draw.text(top))
        return folder

    return make


def test_a_project_of_ours(synthesised):
    folder = synthesised("net", 1, 1.5)
    found = keras_hls.read_reports(folder)
    estimate = Project(folder).estimate
    assert (found.stage, list(found.stages), found.clock_period) == ("csynth", ["csynth"], 5.0)
    assert found.device.name == "xcvu3p"
    assert [row.name for row in found.layers] == ["first", "cast", "second", "rest of top"]
    for row, expected in zip(found.layers, estimate.layers, strict=False):
        assert (row.layer, row.op, row.shape, row.type) == (expected.layer, expected.op, expected.shape, expected.type)
        assert row.lut == round(expected.stages["csynth"].lut * 1.5)
    assert sum(row.lut for row in found.layers) == found.lut
    assert (found.latency_cycles, found.latency_interval, found.ii) == (23, (11, 23), 3)
    assert (found.clock_ns, found.clock_budget_ns, found.clock_met) == (4.125, 5.0, True)
    assert found.resources.interval("lut") == (found.lut, found.lut)
    assert "Reports for xcvu3p" in str(found)
    assert "Reports of Vitis HLS 2021.1" in str(found)
    assert ResourceEstimate.from_dict(json.loads(json.dumps(found.to_dict()))) == found


def test_folders_of_the_tool_alone(tmp_path, draw):
    """Modules that belong to no layer keep their names; what wraps nothing known is one row."""
    inner = draw.module("inner_s", lut=40, ff=1, dsp=0, bram18=0)
    outer = draw.module("outer_s", lut=100, ff=20, dsp=1, bram18=0, instances=(draw.instance("inner_s", lut=40),))
    top = draw.module("net", instances=(draw.instance("outer_s", name="outer_U0", lut=100),))
    for module in (inner, outer, top):
        (tmp_path / f"{module.name}_csynth.rpt").write_text(draw.text(module))
    found = keras_hls.read_reports(tmp_path)
    assert [row.name for row in found.layers] == ["outer_s", "rest of net"]
    assert sum(row.lut for row in found.layers) == found.lut == 4711
    assert found.layers[0].op == ""


def test_layers_inside_of_a_wrapper(tmp_path, draw):
    """A module that only calls layers is not one itself."""
    parameters = "// fc1\nstruct config2 : nnet::dense_config {};\n// relu1\nstruct relu_config4 {};\n"
    (tmp_path / "firmware").mkdir()
    (tmp_path / "firmware" / "parameters.h").write_text(parameters)
    inside = (
        draw.instance("dense_config2_s", name="a", lut=60),
        draw.instance("relu_relu_config4_s", name="b", lut=30),
    )
    wrapper = draw.module("Block_proc", lut=99, ff=60, dsp=3, bram18=0, instances=inside)
    top = draw.module("net", instances=(draw.instance("Block_proc", name="w", lut=99),))
    for module in (wrapper, top):
        (tmp_path / f"{module.name}_csynth.rpt").write_text(draw.text(module))
    found = keras_hls.read_reports(tmp_path)
    assert {row.name: row.lut for row in found.layers} == {"fc1": 60, "relu1": 30, "rest of net": 4711 - 90}


def test_reports_of_vivado(tmp_path, draw):
    (tmp_path / "vivado_synth.rpt").write_text(draw.utilization())
    found = keras_hls.read_reports(tmp_path)
    assert (found.stage, found.lut, found.clock_period, found.latency_cycles) == ("synth", 900, None, None)
    assert found.clock_met is None
    assert str(found).startswith("Reports for ")
    assert "hls_ii" not in found.metrics()
    (tmp_path / "net_csynth.rpt").write_text(draw.text(draw.module("net", instances=(draw.instance("a_s", lut=11),))))
    both = keras_hls.read_reports(tmp_path)
    assert list(both.stages) == ["csynth", "synth"]
    assert both.clock_period == 5.0
    # Modules that only C synthesis tells of have no figure after logic synthesis.
    row = next(line for line in str(both).splitlines() if line.startswith("a_s"))
    assert "?" in row
    assert "11" in next(line for line in str(both.at("csynth")).splitlines() if line.startswith("a_s"))


def test_what_is_refused(tmp_path, draw):
    with pytest.raises(HLSError, match="doesn't exist"):
        keras_hls.read_reports(tmp_path / "none")
    with pytest.raises(HLSError, match="holds no synthesis report"):
        keras_hls.read_reports(tmp_path)
    strange = draw.module(part="xc9z999-2")
    place = tmp_path / "net_csynth.rpt"
    place.write_text(draw.text(strange))
    with pytest.raises(HLSError, match=r"net_csynth\.rpt.*xc9z999"):
        keras_hls.read_reports(tmp_path)
    place.write_text(draw.text(draw.module())[:900])
    with pytest.raises(HLSError, match=r"net_csynth\.rpt"):
        keras_hls.read_reports(tmp_path)


def test_a_damaged_project(synthesised):
    folder = synthesised("net", 1)
    (folder / "estimate.json").write_text("{}")
    with pytest.raises(HLSError, match=r"is damaged: estimate\.json can't be read; export it again"):
        keras_hls.read_reports(folder)


@pytest.mark.skipif(not SHARED.exists(), reason="needs the published reports")
def test_published_reports_add_up():
    for path in sorted(SHARED.glob("**/syn/report")):
        found = keras_hls.read_reports(path)
        for stage, whole in found.stages.items():
            rows = [row.stages[stage] for row in found.layers if stage in row.stages]
            assert {n: sum(getattr(row, n) for row in rows) for n in RESOURCES} == {
                n: getattr(whole, n) for n in RESOURCES
            }


def test_calibration_learns_a_factor(synthesised, tmp_path):
    folders = [synthesised(f"net{seed}", seed, 1.4, 8 * seed) for seed in (1, 2, 3, 4)]
    output = tmp_path / "mine.json"
    found = keras_hls.calibrate(folders, output=output)
    (name, many, before, after, apart), *_ = found.errors
    assert (name, many) == ("LUT, csynth", 16)
    assert after < before / 2
    assert apart < before
    assert "LUT, csynth" in str(found)
    snapshot = Snapshot(network(9, 20), Options(part=PART))
    plain, mine = (snapshot.estimate(**o).at("csynth") for o in ({}, {"coefficients": str(output)}))
    assert 1.2 < mine.lut / plain.lut < 1.45
    assert "calibrated on 4 projects" in mine.source
    # Nothing was said of what is placed.
    assert snapshot.estimate(coefficients=str(output)).lut == snapshot.estimate().lut
    assert keras_hls.load(folders[0]).estimate == Project(folders[0]).estimate


def test_calibration_of_one_project(synthesised):
    found = keras_hls.calibrate(synthesised("net", 3, 0.8))
    assert found.errors[0][-1] is None
    assert found.errors[0][3] < found.errors[0][2]


def test_calibration_refuses(synthesised, tmp_path, draw):
    with pytest.raises(InvalidOption, match="at least one project"):
        keras_hls.calibrate([])
    with pytest.raises(InvalidOption, match="calibrate takes folders of projects, not 3"):
        keras_hls.calibrate(3)
    (tmp_path / "net_csynth.rpt").write_text(draw.text(draw.module()))
    with pytest.raises(HLSError):
        keras_hls.calibrate([tmp_path])
    folder = synthesised("one", 1)
    other = synthesised("two", 2, tool="Vivado HLS", version="2019.2")
    with pytest.raises(HLSError, match="calibrate each tool with its own projects"):
        keras_hls.calibrate([folder, other])


def test_commands(synthesised, tmp_path, capsys):
    folder = str(synthesised("net", 1, 1.3))
    assert main(["reports", folder]) == 0
    assert "rest of top" in capsys.readouterr().out
    output = str(tmp_path / "mine.json")
    assert main(["calibrate", folder, "-o", output]) == 0
    assert "Project left out" in capsys.readouterr().out
    assert json.loads(Path(output).read_text())["calibrated on"] == ["net"]
    assert main(["reports", folder, "--stage", "impl"]) == 1
    assert "stage must be one of 'csynth' here" in capsys.readouterr().err
    assert main(["calibrate", str(tmp_path / "none"), "-o", output]) == 1
