"""Real reports that others have published, with their figures as read by hand; they aren't part of this repository."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from keras_hls.reports import LayerNames, read_folder, read_report

SYNTHESIS = Path(__file__).parents[3] / "shared" / "synthesis"

if not (SYNTHESIS / "designs.json").is_file():
    pytest.skip("needs the published reports in ../shared/synthesis", allow_module_level=True)

REPORTS = SYNTHESIS / "reports"


def place(source) -> Path:
    return REPORTS / source["repo"].replace("/", "+") / source["path"]


DESIGNS = [d for d in json.loads((SYNTHESIS / "designs.json").read_text())["designs"] if place(d["source"]).is_file()]
FILES = sorted(path for path in REPORTS.rglob("*") if path.suffix in (".rpt", ".xml"))


@pytest.mark.parametrize("design", DESIGNS, ids=lambda design: design["id"])
def test_figures(design):
    path = place(design["source"])
    for file in (path, path.with_suffix(".xml")):
        if not file.is_file():
            continue
        module = read_report(file).modules[0]
        bram = module.bram18 / (1 if design["bram_unit"] == "BRAM18" else 2)
        assert (module.lut, module.ff, module.dsp, bram) == (design["lut"], design["ff"], design["dsp"], design["bram"])
        assert module.stage == {"csynth": "csynth", "vsynth": "synth", "pnr": "impl"}[design["stage"]]
        assert design["tool"] in (module.tool, f"{module.tool} HLS") and module.version == design["tool_version"]
        if module.stage == "csynth":
            assert (module.latency_max, module.ii_max) == (design["latency_cycles"], design["ii"])
            assert (module.clock_target_ns, module.part, module.uram) == (
                design["clock_ns"],
                design["part"],
                design["uram"],
            )
    measured = design.get("layers_measured") or []
    rows = {row.module: row for row in read_report(path).modules[0].instances}
    for layer in measured:
        row = rows[layer["module"]]
        for name, key in (
            ("lut", "lut"),
            ("ff", "ff"),
            ("dsp", "dsp"),
            ("bram18", "bram18"),
            ("latency_max", "latency_max"),
        ):
            if layer.get(key) is not None:
                assert getattr(row, name) == layer[key]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(REPORTS)))
def test_every_report_is_read_and_none_of_its_beginnings_lies(path, beginnings):
    text = path.read_text(errors="replace")
    whole = read_report(path)
    assert whole.modules
    # All lines of the first screens, where the figures stand, and some of the rest.
    lines = text.splitlines(keepends=True)
    short = "".join(lines[:40])
    assert all(report is None or report.modules == whole.modules for _, report in beginnings(short, str(path)))


def test_projects():
    folders = [path for path in REPORTS.rglob("hls4ml_prj*") if (path / "myproject_prj").is_dir()]
    assert len(folders) > 3
    for folder in folders:
        reports = read_folder(folder)
        assert reports.csynth is not None and reports.name.startswith("myproject")
        assert reports.csynth.top.instances


def test_layers():
    folder = next(path for path in REPORTS.rglob("parameters.h")).parents[1]
    names = LayerNames.of(folder)
    found = {names.layer_of(row.module) for row in read_folder(folder).csynth.module("myproject").instances}
    assert {"relu1", "relu2", "relu3", "softmax", "output"} <= found
