"""A project's folder: what its reports say together, and what is refused."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace

import pytest

from keras_hls.errors import HLSError
from keras_hls.reports import Instance, files, read_folder, read_report


def put(folder, path, text):
    place = folder / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(text if isinstance(text, bytes) else text.encode())
    return place


@pytest.fixture
def project(tmp_path, draw):
    """A project as Vitis HLS and Vivado leave it."""
    rows = (draw.instance("dense_s", name="dense_U0"), draw.instance("relu_s", name="relu_U0"))
    net = draw.module(instances=rows)
    inner = [draw.module("dense_s", lut=100), draw.module("relu_s", lut=30)]
    report = tmp_path / "net_prj" / "solution1" / "syn" / "report"
    for module in (net, *inner):
        put(report, f"{module.name}_csynth.rpt", draw.text(module))
        put(report, f"{module.name}_csynth.xml", draw.xml(replace(module, instances=())))
    put(tmp_path, "vivado_synth.rpt", draw.utilization())
    return tmp_path


def test_stages_and_modules(project, draw):
    reports = read_folder(project)
    assert reports.name == "net" and list(reports.stages) == ["csynth", "synth"]
    csynth, synth = reports.csynth, reports.synth
    assert (csynth.top.lut, csynth.top.latency_max, csynth.top.ii_max) == (4711, 23, 3)
    assert [row.name for row in csynth.top.instances] == ["dense_U0", "relu_U0"]
    assert csynth.top.source.endswith(".xml")
    assert [module.name for module in csynth.modules] == ["dense_s", "relu_s"]
    assert csynth.module("relu_s").lut == 30 and csynth.module("net") is csynth.top and csynth.module("x") is None
    assert (synth.top.name, synth.top.lut, synth.top.bram18) == ("net", 900, 11)
    assert reports.impl is None and reports.ignored == () and reports.timing == ()


def test_any_folder_of_the_project_will_do(project):
    assert read_folder(project / "net_prj").csynth == read_folder(str(project)).csynth
    assert read_folder(project / "net_prj" / "solution1" / "syn" / "report").csynth == read_folder(project).csynth


def test_xml_is_believed_where_both_may_differ(project, draw):
    # Vivado HLS counts the interval of functions without a pipeline in two ways.
    net = draw.module(ii_min=24, ii_max=24)
    put(project, "net_prj/solution1/syn/report/net_csynth.xml", draw.xml(net))
    assert read_folder(project).csynth.top.ii_max == 24


@pytest.mark.parametrize("figure", ["lut", "ff", "dsp", "bram18", "latency_min", "latency_max"])
def test_xml_and_text_of_different_runs_are_refused(project, draw, figure):
    put(project, "net_prj/solution1/syn/report/net_csynth.xml", draw.xml(draw.module(**{figure: 9})))
    with pytest.raises(HLSError, match=rf"net_csynth\.xml' and '.*net_csynth\.rpt' say .* of 'net': {figure} 9 and"):
        read_folder(project)


def test_a_whole_project_in_one_file(tmp_path, draw):
    """Figures of modules that have no report of their own come from the lists."""
    net = draw.module(instances=(Instance("dense_U0", "dense_s"), Instance("relu_U0", "relu_s")))
    put(tmp_path, "hls/syn/report/csynth.xml", draw.xml(net, [draw.module("dense_s", lut=100), net]))
    rows = [(0, "+", "net", 23, 3, 5, 17, 1234, 4715, 0), (1, "+", "dense_s", 5, 1, 0, 0, 1, 104, 0)]
    rows += [(1, "+", "relu_s", 7, 1, 0, 0, 2, 31, 0)]
    put(tmp_path, "hls/syn/report/csynth.rpt", draw.tree(rows, version="2021.1"))
    csynth = read_folder(tmp_path).csynth
    # The tree counts some look-up tables that the others don't.
    assert csynth.top.lut == 4711 and csynth.module("dense_s").lut == 100 and csynth.module("relu_s").lut == 31
    assert [(row.name, row.lut, row.latency_max) for row in csynth.top.instances] == [
        ("dense_U0", 100, 23),
        ("relu_U0", 31, 7),
    ]


def test_copies_are_one_report(project):
    shutil.copytree(project / "net_prj" / "solution1" / "syn", project / "impl" / "misc" / "hls_files" / "syn")
    assert read_folder(project).csynth == read_folder(project / "net_prj").csynth


def test_hidden_folders_are_working_copies(project, draw):
    put(project, "net_prj/solution1/.autopilot/db/net_csynth.xml", draw.xml(draw.module(lut=1)))
    put(project, "net_prj/.net_csynth.rpt", "")
    assert read_folder(project).csynth.top.lut == 4711


@pytest.mark.parametrize(
    ("figures", "sentence"),
    [
        ({"lut": 12}, "say different things of 'net'"),
        ({"version": "2022.2"}, "versions 2021.1 and 2022.2"),
        ({"part": "xc7z020-clg400-1"}, "parts '.*' and '.*'"),
        ({"clock_target_ns": 4.0}, "clocks of 5 ns and 4 ns"),
        ({"name": "other"}, "of 'net' and 'other', and no report says which"),
    ],
)
def test_two_solutions_in_one_folder_are_refused(project, draw, figures, sentence):
    put(project, "net_prj/solution2/syn/report/other_csynth.rpt", draw.text(draw.module(**figures)))
    with pytest.raises(HLSError, match=rf"Reports '.*solution1.*' and '.*other_csynth\.rpt' .*{sentence}"):
        read_folder(project)


def test_two_projects_in_one_folder_are_refused(tmp_path, draw):
    put(tmp_path, "a/csynth.xml", draw.xml(draw.module("a")))
    put(tmp_path, "b/csynth.xml", draw.xml(draw.module("b")))
    with pytest.raises(HLSError, match=r"a.csynth\.xml' and '.*b.csynth\.xml' have the top functions 'a' and 'b'"):
        read_folder(tmp_path)


def test_the_part_of_vivado_is_spelled_otherwise(project, draw):
    put(project, "vivado_synth.rpt", draw.utilization(part="vu3pffvc1517-2"))
    assert read_folder(project).synth.top.part == "vu3pffvc1517-2"
    put(project, "vivado_synth.rpt", draw.utilization(part="xcvu3p-ffvc1517-1"))
    with pytest.raises(HLSError, match=r"vivado_synth\.rpt' are for parts"):
        read_folder(project)


def test_the_latest_state_of_a_stage_counts(project, draw):
    put(project, "impl/b_utilization_routed.rpt", draw.utilization(lut=3, state="Routed"))
    put(project, "impl/a_utilization_placed.rpt", draw.utilization(lut=2, state="Fully Placed"))
    put(project, "impl/c_utilization_synth.rpt", draw.utilization(lut=1, state="Optimized"))
    reports = read_folder(project)
    assert (reports.synth.top.lut, reports.impl.top.lut) == (1, 3)
    put(project, "impl/d_utilization_routed.rpt", draw.utilization(lut=4, state="Routed"))
    with pytest.raises(HLSError, match=r"b_util.*' and '.*d_util.* say different things of 'net'"):
        read_folder(project)


def test_a_hierarchy_tells_what_is_inside(project, draw):
    rows = [(0, "net", "(top)", 901, 800, 3, 5, 2, 7), (1, "relu_U0", "net_relu_s", 33, 37, 1, 0, 0, 0)]
    put(project, "hierarchy.rpt", draw.hierarchy(rows))
    synth = read_folder(project).synth
    assert synth.top.lut == 900
    assert [(row.module, row.lut, row.bram18) for row in synth.top.instances] == [("net_relu_s", 33, 2)]
    assert synth.module("net_relu_s").ff == 37


def test_timing_is_found_by_stage(project, draw):
    put(project, "impl/u.rpt", draw.utilization(state="Routed"))
    put(project, "impl/t_routed.rpt", draw.timing("0.2", [("ap_clk", 5.0, "0.2")]))
    put(project, "impl/t_post.rpt", draw.timing("0.3", [("ap_clk", 5.0, "0.3")], state="Physopt postRoute"))
    put(project, "impl/t_any.rpt", draw.timing("0.4", [("ap_clk", 5.0, "0.4")], file="t.rpt"))
    put(project, "impl/t_else.rpt", draw.timing("0.5", [("ap_clk", 5.0, "0.5")], design="other"))
    reports = read_folder(project)
    assert reports.impl.timing.achieved_ns == 4.7
    assert reports.synth.timing is None
    assert sorted(timing.wns_ns for timing in reports.timing) == [0.2, 0.3, 0.4, 0.5]
    put(project, "impl/t_routed2.rpt", draw.timing("0.1", [("ap_clk", 5.0, "0.1")]))
    with pytest.raises(HLSError, match=r"t_routed\.rpt' and '.*t_routed2\.rpt' say different things of the timing"):
        read_folder(project)


def test_timing_alone(tmp_path, draw):
    put(tmp_path, "t.rpt", draw.timing(file="t.rpt"))
    assert read_folder(tmp_path).name == "net" and not read_folder(tmp_path).stages


def test_a_block_design(project, draw):
    """Vivado synthesises each part apart: the function's own counts, not the frame, which leaves it out."""
    parts = ("bd_net_0_0", "bd_dma_0_0")
    put(project, "vivado_synth.rpt", draw.utilization(lut=0, design="bd_wrapper", black=parts))
    put(project, "bd/net.rpt", draw.utilization(lut=77, design="bd_net_0_0"))
    put(project, "bd/dma.rpt", draw.utilization(lut=5, design="bd_dma_0_0"))
    put(project, "bd/placed.rpt", draw.utilization(lut=99, design="bd_wrapper", netlists=parts, state="Fully Placed"))
    reports = read_folder(project)
    assert (reports.synth.top.name, reports.synth.top.lut) == ("bd_net_0_0", 77)
    assert {module.name for module in reports.synth.modules} == {"bd_wrapper", "bd_dma_0_0"}
    assert (reports.impl.top.name, reports.impl.top.lut) == ("bd_wrapper", 99)
    (project / "bd/net.rpt").unlink()
    with pytest.raises(HLSError, match=r"vivado_synth\.rpt' leaves out 2 designs inside 'bd_wrapper'"):
        read_folder(project)


def test_unrelated_designs_are_refused(tmp_path, draw):
    put(tmp_path, "a.rpt", draw.utilization(design="a"))
    put(tmp_path, "b.rpt", draw.utilization(design="b"))
    with pytest.raises(HLSError, match=r"a\.rpt' and '.*b\.rpt' are of the designs 'a' and 'b'"):
        read_folder(tmp_path)


# -- bad files ---------------------------------------------------------------------------------------------------------


def test_foreign_files_are_left_out(project):
    put(project, "notes.rpt", "== my own report ==")
    put(project, "maven.xml", "<?xml version='1.0'?><!DOCTYPE project><project/>")
    put(project, "export.xml", "<profile><RunData/></profile>")
    put(project, "empty.rpt", "")
    put(project, "syn/report/csynth_design_size.rpt", "== Design Size Report\n")
    reports = read_folder(project)
    assert reports.csynth.top.lut == 4711
    names = ["empty.rpt", "export.xml", "maven.xml", "notes.rpt", "csynth_design_size.rpt"]
    assert [path.name for path in reports.ignored] == names


def test_nothing_left_is_an_error(tmp_path):
    with pytest.raises(HLSError, match="holds no synthesis report; synthesise"):
        read_folder(tmp_path)
    put(tmp_path, "notes.rpt", "a text")
    with pytest.raises(HLSError, match=r"holds no synthesis report \(1 files named like one are none, '.*notes\.rpt'"):
        read_folder(tmp_path)


def test_missing_places(tmp_path):
    with pytest.raises(HLSError, match="doesn't exist; name the folder"):
        read_folder(tmp_path / "no")
    file = put(tmp_path, "x.rpt", "x")
    with pytest.raises(HLSError, match="is a file, not a folder"):
        read_folder(file)
    with pytest.raises(HLSError, match="There is no report"):
        read_report(tmp_path / "no.rpt")
    with pytest.raises(HLSError, match="is a folder, not a report"):
        read_report(tmp_path)


@pytest.mark.parametrize("name", ["net_csynth.rpt", "csynth.xml", "vivado_synth.rpt", "net_utilization_placed.rpt"])
@pytest.mark.parametrize(("data", "sentence"), [(b"", "is empty"), (b" \n", "is empty"), (b"a\0b", "is binary")])
def test_a_report_that_was_lost_is_an_error(project, name, data, sentence):
    put(project, f"more/{name}", data)
    with pytest.raises(HLSError, match=f"{name}' {sentence}"):
        read_folder(project)
    with pytest.raises(HLSError, match=f"{name}' {sentence}"):
        read_report(project / "more" / name)


def test_a_report_that_is_cut_off_is_an_error(project, draw):
    text = draw.text(draw.module("soft_s"))
    put(project, "more/soft_s_csynth.rpt", text[: len(text) // 2])
    with pytest.raises(HLSError, match=r"soft_s_csynth\.rpt' is cut off: .*; copy it again"):
        read_folder(project)


def test_a_zero_byte_behind_the_head_is_binary(project, draw):
    text = draw.text(draw.module("soft_s")) + "\n" * 2**17 + "\0"
    put(project, "soft_s_csynth.rpt", text)
    with pytest.raises(HLSError, match="is binary"):
        read_folder(project)


def test_too_large_files(project, draw, monkeypatch):
    put(project, "large.rpt", "x" * 90_000)
    put(project, "soft_s_csynth.rpt", draw.text(draw.module("soft_s")) + " " * 90_000)
    assert len(read_folder(project / "net_prj").csynth.modules) == 2
    monkeypatch.setattr(files, "LARGEST", 80_000)
    with pytest.raises(HLSError, match=r"soft_s_csynth\.rpt' is larger than 0 MiB"):
        read_folder(project)
    (project / "soft_s_csynth.rpt").unlink()
    # What is none of ours may be of any size.
    assert [path.name for path in read_folder(project).ignored] == ["large.rpt"]


def test_bytes_that_are_no_text_stand_where_they_may(project, draw):
    text = draw.utilization().encode().replace(b"somewhere", "Büro".encode("latin-1"))
    put(project, "vivado_synth.rpt", b"\xef\xbb\xbf" + text)
    assert read_folder(project).synth.top.lut == 900


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes on this system")
def test_what_is_no_file_is_left_out(project, tmp_path):
    os.mkfifo(project / "pipe.rpt")
    (project / "folder.rpt").mkdir()
    (project / "dangling.rpt").symlink_to(project / "nowhere")
    assert read_folder(project).ignored == ()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the superuser may read everything")
def test_unreadable_files(project):
    place = project / "vivado_synth.rpt"
    place.chmod(0)
    with pytest.raises(HLSError, match=r"can't be read .*; check its permissions"):
        read_folder(project)
