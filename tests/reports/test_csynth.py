"""Reports of C synthesis: text, XML and tree, of Vivado HLS 2018 to Vitis HLS 2025."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_hls.errors import HLSError
from keras_hls.reports import Instance, parse, recognise

VERSIONS = [
    ("Vivado HLS", "2018.2", 2018.2),
    ("Vivado HLS", "2019.1", 2019.1),
    ("Vivado HLS", "2019.2", 2019.2),
    ("Vivado HLS", "2020.1", 2020.1),
    ("Vitis HLS", "2021.1", 2021.1),
    ("Vitis HLS", "2023.2", 2023.2),
    ("Vitis HLS", "2025.2", 2025.2),
]

counts = st.integers(0, 10**6)
cycle = st.none() | st.integers(0, 10**7)


@st.composite
def modules(draw, inside=True):
    tool, version, _ = draw(st.sampled_from(VERSIONS))
    uram = draw(st.none() | counts)
    names = draw(st.lists(st.from_regex(r"[a-z]\w{0,30}", fullmatch=True), max_size=4, unique=True)) if inside else []
    from keras_hls.reports import ModuleReport

    def amounts():
        return {"lut": draw(counts), "ff": draw(counts), "dsp": draw(counts), "bram18": draw(counts)}

    def times():
        return {key: draw(cycle) for key in ("latency_min", "latency_max", "ii_min", "ii_max")}

    # A row of this name is the sum of all.
    rows = [n for n in names if n != "Total"]
    below = {} if uram is None else {"uram": 0}
    instances = tuple(Instance(f"grp_{n}_fu_{i}", n, **amounts(), **times(), **below) for i, n in enumerate(rows))
    return ModuleReport(
        name=draw(st.from_regex(r"[a-z]\w{0,20}", fullmatch=True)),
        tool=tool,
        version=version,
        stage="csynth",
        part="xc7z020-clg400-1",
        clock_target_ns=draw(st.integers(100, 2000)) / 100,
        clock_estimated_ns=draw(st.integers(100, 20000)) / 1000,
        uram=uram,
        instances=instances,
        **amounts(),
        **times(),
    )


def era(module):
    return next(when for tool, version, when in VERSIONS if version == module.version)


@settings(max_examples=60)
@given(module=modules())
def test_a_text_is_read_as_what_it_was_drawn_from(draw, module):
    text = draw.text(module, era(module))
    assert recognise(text) == "csynth text"
    report = parse(text, "x.rpt")
    assert report.modules == (module,)
    assert report.modules[0].source == "x.rpt"


@settings(max_examples=60)
@given(module=modules(inside=False))
def test_an_xml_is_read_as_what_it_was_drawn_from(draw, module):
    text = draw.xml(module)
    assert recognise(text) == "csynth XML"
    assert parse(text, "x_csynth.xml").modules == (module,)


@pytest.mark.parametrize(("tool", "version", "when"), VERSIONS)
def test_a_text_that_is_cut_off_has_the_same_figures_or_none(draw, beginnings, tool, version, when):
    inside = (draw.instance("dense"), draw.instance("relu", latency_max=None))
    whole = draw.module(tool=tool, version=version, instances=inside)
    answers = list(beginnings(draw.text(whole, when)))
    assert all(report is None or report.modules == (whole,) for _, report in answers)
    # All figures stand before the ports.
    assert all((report is None) == ("    N/A\n\n    * Register" not in text) for text, report in answers[-30:])
    assert sum(report is not None for _, report in answers) > 5


def test_an_xml_that_is_cut_off_is_refused(draw, beginnings):
    text = draw.xml(draw.module(), [draw.module("inner")]).strip()
    for begun, report in beginnings(text):
        assert report is None or begun.rstrip() == text


def test_a_project_in_one_xml(draw):
    inner = draw.module("dense_s", lut=5, ii_min=4, ii_max=9, latency_min=None, latency_max=None)
    whole = draw.module(instances=(Instance("dense_U0", "dense_s"),))
    report = parse(draw.xml(whole, [inner, whole]), "syn/csynth.xml")
    assert report.modules == (whole, inner)
    assert report.whole
    assert not parse(draw.xml(whole), "syn/net_csynth.xml").whole
    assert parse(draw.xml(whole), "syn/csynth.xml").whole


def test_an_xml_of_vivado_hls_2018(draw):
    text = draw.xml(draw.module(tool="Vivado HLS", version="2018.2"))
    old = text.replace("<ReportVersion>\n", "").replace("</ReportVersion>\n", "")
    assert parse(old, "x.xml") == parse(text, "x.xml")
    assert parse(old, "x.xml").modules[0].tool == "Vivado HLS"


ROWS = [
    (0, "+", "net*", 143, 144, 5, 0, 1751, 2496, 0),
    (1, "+", "dense_s", 20, 1, 1, 3, 643, 1285, 2),
    (2, "o", "loop_1", 7, 1, 0, 0, 0, 0, 0),
    (3, "+", "dense_s_Pipeline_loop", None, None, 0, 0, 326, 439, 0),
    (1, "+", "relu_s", 0, 0, 0, 0, 3, 12, 0),
]


@pytest.mark.parametrize("new", [False, True])
def test_a_tree(draw, beginnings, new):
    text = draw.tree(ROWS, version="2025.2" if new else "2020.2", new=new)
    assert recognise(text) == "csynth tree"
    report = parse(text, "csynth.rpt")
    net, dense, pipeline, relu = report.modules
    assert report.whole
    assert (net.name, net.tool, net.version, net.part) == ("net", "Vitis HLS", "2025.2" if new else "2020.2", draw.part)
    assert (net.lut, net.ff, net.dsp, net.bram18, net.uram) == (2496, 1751, 0, 5, 0)
    assert (net.latency_min, net.latency_max, net.ii_max) == (None, 143, 144)
    assert [row.module for row in net.instances] == ["dense_s", "relu_s"]
    assert net.instances[0] == Instance("dense_s", "dense_s", 1285, 643, 3, 1, 2, None, 20, None, 1)
    assert [row.module for row in dense.instances] == ["dense_s_Pipeline_loop"]
    assert (pipeline.latency_max, pipeline.ii_max, pipeline.lut) == (None, None, 439)
    assert relu.latency_max == 0 and not relu.instances
    answers = [other for _, other in beginnings(text)]
    assert all(other is None or other.modules == report.modules for other in answers)


def test_a_tree_with_two_roots_is_refused(draw):
    with pytest.raises(HLSError, match="two top functions, 'net' and 'other'"):
        parse(draw.tree([ROWS[0], (0, "+", "other", 1, 1, 0, 0, 1, 1, 0)]), "csynth.rpt")
    with pytest.raises(HLSError, match="doesn't start with its top function 'else'"):
        parse(draw.tree(ROWS, top="else"), "csynth.rpt")


@pytest.mark.parametrize(
    "kind",
    [
        '<!DOCTYPE profile [<!ENTITY x SYSTEM "file:///etc/hostname">]>',
        "<!DOCTYPE profile SYSTEM 'http://localhost/x.dtd'>",
    ],
)
def test_document_types_are_refused_before_they_are_parsed(draw, kind):
    text = draw.xml(draw.module("&x;"))
    for bad in (kind + "\n" + text, '<?xml version="1.0"?><!-- x -->' + kind + text, text + kind):
        assert recognise(bad) == "csynth XML"
        with pytest.raises(HLSError, match=r"'x\.xml' has a document type or entities"):
            parse(bad, "x.xml")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (("4711", "some"), "'some' where the number of LUT should be"),
        (("4711", "-711"), "'-711' where the number of LUT should be"),
        (("5.00 ns", "5.00 km"), "'5.00 km' where the target clock should be"),
        (("5.00 ns", "5.00   "), "'5.00' where the target clock should be"),
        (("  23 |", " 2e1 |"), "'2e1' where the greatest latency in clock cycles should be"),
        (("LUT", "LUX"), "no column for LUT"),
        (("* Version:", "* Edition:"), "no line 'Version'"),
        (("|Total", "|Totel"), "has no total"),
    ],
)
def test_what_cannot_be_a_figure_is_refused(draw, change, sentence):
    text = draw.text(draw.module())
    assert change[0] in text
    text = text.replace(*change)
    with pytest.raises(HLSError, match=f"Report 'bad.rpt' .*{sentence}"):
        parse(text, "bad.rpt")


@pytest.mark.parametrize("path", ["LUT", "FF", "BRAM_18K", "Part", "TopModelName", "Worst-caseLatency", "Resources"])
def test_an_xml_without_something_is_refused(draw, path):
    text = draw.xml(draw.module())
    assert f"<{path}>" in text
    for other in (f"<{path}x>", f"<{path}/><{path}x>"):
        bad = text.replace(f"<{path}>", other).replace(f"</{path}>", f"</{path}x>")
        with pytest.raises(HLSError, match=f"'x.xml' has no .*{path}|isn't|has no LUT"):
            parse(bad, "x.xml")


def test_units_and_windows_line_ends(draw):
    text = draw.text(draw.module()).replace("5.00 ns", "5000 ps").replace("\n", "\r\n")
    assert parse(text, "x.rpt").modules == (draw.module(),)


def test_reports_are_equal_wherever_they_stand(draw):
    text = draw.text(draw.module())
    assert parse(text, "a.rpt") == parse(text, "b.rpt")
    assert parse(text, "a.rpt").modules[0] != replace(draw.module(), lut=1)
