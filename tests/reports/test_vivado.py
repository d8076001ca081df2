"""Reports of Vivado: utilization, flat and by hierarchy, and timing."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keras_hls.errors import HLSError
from keras_hls.reports import ClockTiming, Instance, parse, recognise

counts = st.integers(0, 10**6)


@settings(max_examples=60)
@given(data=st.data())
def test_a_utilization_is_read_as_what_it_was_drawn_from(draw, data):
    family = data.draw(st.sampled_from(sorted(draw.families)))
    figures = {key: data.draw(counts) for key in ("lut", "ff", "dsp", "ramb36", "ramb18", "uram")}
    text = draw.utilization(family, **figures, design="top_net", version="2019.2.1")
    assert recognise(text) == "Vivado utilization"
    (module,) = parse(text, "u.rpt").modules
    assert (module.name, module.tool, module.version, module.stage) == ("top_net", "Vivado", "2019.2.1", "synth")
    assert (module.lut, module.ff, module.dsp) == (figures["lut"], figures["ff"], figures["dsp"])
    assert module.bram18 == 2 * figures["ramb36"] + figures["ramb18"]
    assert module.uram == (None if family == "7-series" else figures["uram"])
    assert module.latency_max is None and module.clock_target_ns is None


@pytest.mark.parametrize("family", ["7-series", "UltraScale", "Versal"])
def test_a_utilization_that_is_cut_off_has_the_same_figures_or_none(draw, beginnings, family):
    text = draw.utilization(family, netlists=("ip_0", "ip_1"), black=())
    whole = parse(text, "u.rpt")
    assert whole.modules[0].instances == (Instance("ip_0", "ip_0"), Instance("ip_1", "ip_1"))
    answers = [report for _, report in beginnings(text)]
    assert all(report is None or report == whole for report in answers)
    assert sum(report is not None for report in answers) > 3


def test_tiles_where_their_kinds_are_not_listed(draw):
    text = draw.utilization(ramb36=0, ramb18=0, tiles=16.5)
    lines = [line for line in text.splitlines() if "RAMB" not in line]
    assert parse("\n".join(lines), "u.rpt").modules[0].bram18 == 33
    without = [line for line in lines if "Block RAM" not in line]
    with pytest.raises(HLSError, match="no rows of block RAMs"):
        parse("\n".join(without), "u.rpt")


@pytest.mark.parametrize(
    ("state", "stage"),
    [
        ("Synthesized", "synth"),
        ("Optimized", "synth"),
        ("Fully Placed", "impl"),
        ("Physopt postPlace", "impl"),
        ("Routed", "impl"),
        ("Fully Routed", "impl"),
        ("Physopt postRoute", "impl"),
    ],
)
def test_stages(draw, state, stage):
    (module,) = parse(draw.utilization(state=state), "u.rpt").modules
    assert (module.stage, module.state) == (stage, state)
    rows = [(0, "net", "(top)", 9, 8, 7, 6, 5, 4)]
    assert parse(draw.hierarchy(rows, state=state), "h.rpt").modules[0].stage == stage


@pytest.mark.parametrize(("state", "sentence"), [("Unplaced", "unknown design state 'Unplaced'"), ("", "doesn't say")])
def test_unknown_states_are_refused(draw, state, sentence):
    with pytest.raises(HLSError, match=sentence):
        parse(draw.utilization(state=state), "u.rpt")


TREE = [
    (0, "net", "(top)", 100, 90, 2, 1, 0, 9),
    (1, "(net)", "(top)", 7, 3, 0, 0, 0, 0),
    (1, "dense_U0", "net_dense_s", 60, 50, 1, 1, 0, 9),
    (2, "mult_U1", "mult", 11, 0, 0, 0, 0, 1),
    (2, "mult_U2", "mult", 12, 0, 0, 0, 0, 1),
    (1, "relu_U0", "net_relu_s", 33, 37, 1, 0, 0, 0),
    (2, "cmp_U1", "cmp", 4, 0, 0, 0, 0, 0),
    (2, "cmp_U2", "cmp", 4, 0, 0, 0, 0, 0),
]


@pytest.mark.parametrize("percent", [False, True])
def test_a_hierarchy(draw, beginnings, percent):
    text = draw.hierarchy(TREE, percent=percent)
    assert recognise(text) == "Vivado hierarchy"
    whole = parse(text, "h.rpt")
    net, *inner = whole.modules
    assert (net.name, net.lut, net.ff, net.dsp, net.bram18, net.uram) == ("net", 100, 90, 9, 5, 0)
    assert net.instances == (
        Instance("dense_U0", "net_dense_s", 60, 50, 9, 3, 0),
        Instance("relu_U0", "net_relu_s", 33, 37, 0, 2, 0),
    )
    # Two multipliers that take differently much are no module of one size.
    assert {module.name for module in inner} == {"net_dense_s", "net_relu_s", "cmp"}
    dense = next(module for module in inner if module.name == "net_dense_s")
    assert [(row.name, row.lut) for row in dense.instances] == [("mult_U1", 11), ("mult_U2", 12)]
    assert all(report in (None, whole) for _, report in beginnings(text))


def test_a_hierarchy_of_something_else_is_refused(draw):
    with pytest.raises(HLSError, match="about 'net', but its table starts with 'core'"):
        parse(draw.hierarchy([(0, "core", "(top)", 1, 1, 0, 0, 0, 0)]), "h.rpt")
    with pytest.raises(HLSError, match="two designs"):
        parse(draw.hierarchy([TREE[0], TREE[0]]), "h.rpt")


def test_timing(draw, beginnings):
    text = draw.timing("-0.155", [("ap_clk", 3.0, "-0.155")], failing=110)
    assert recognise(text) == "Vivado timing"
    whole = parse(text, "t.rpt")
    timing = whole.timing
    assert timing is not None and not whole.modules
    assert (timing.wns_ns, timing.tns_ns, timing.failing, timing.met) == (-0.155, -1.5, 110, False)
    assert timing.clocks == (ClockTiming("ap_clk", 3.0, -0.155),)
    assert timing.achieved_ns == 3.155
    assert (timing.stage, timing.state) == ("impl", "Routed")
    answers = [report for _, report in beginnings(text)]
    assert all(report is None or report == whole for report in answers)
    assert sum(report is not None for report in answers) > 3


def test_timing_of_several_clocks(draw):
    clocks = [("a_clock_of_a_long_name", 10.0, "1.25"), ("  inner", 2.5, "0.5"), ("      unused", 4.0, None)]
    timing = parse(draw.timing("0.5", clocks), "t.rpt").timing
    assert [(clock.name, clock.wns_ns) for clock in timing.clocks] == [
        ("a_clock_of_a_long_name", 1.25),
        ("inner", 0.5),
        ("unused", None),
    ]
    assert timing.clock.name == "inner" and timing.achieved_ns == 2.0
    # The worst path runs from one clock to another: no clock alone could be faster.
    assert parse(draw.timing("0.1", clocks), "t.rpt").timing.achieved_ns is None


def test_timing_without_constraints(draw):
    timing = parse(draw.timing("NA", ()), "t.rpt").timing
    assert timing.wns_ns is None and timing.met is None and timing.achieved_ns is None


@pytest.mark.parametrize(
    ("file", "state", "expected"),
    [
        ("x_timing_summary_routed.rpt", "", ("impl", "Routed")),
        ("x_timing_summary_postroute_physopted.rpt", "", ("impl", "Physopt postRoute")),
        ("timing_synth.rpt", "", ("synth", "Synthesized")),
        ("timing_routed.rpt", "Synthesized", ("synth", "Synthesized")),
        ("timing.rpt", "", (None, "")),
    ],
)
def test_the_stage_of_timing(draw, file, state, expected):
    timing = parse(draw.timing(file=file, state=state), "t.rpt").timing
    assert (timing.stage, timing.state) == expected


@pytest.mark.parametrize(
    ("change", "sentence"),
    [(("0.123", "0.l23"), "'0.l23' where a slack should be"), (("{0.000 2.500}", "{0.000 2.500"), "can't be read")],
)
def test_timing_that_cannot_be_read_is_refused(draw, change, sentence):
    with pytest.raises(HLSError, match=sentence):
        parse(draw.timing().replace(*change), "t.rpt")


@pytest.mark.parametrize("name", ["Tool Version", "Design", "Device"])
def test_heads_must_be_whole(draw, name):
    with pytest.raises(HLSError, match=f"no line '{name}'"):
        parse(draw.utilization().replace(f"| {name}", "| Else"), "u.rpt")


def test_other_reports_of_vivado_are_none_of_these(draw):
    for command in ("report_clock_utilization -file x.rpt", "report_power", "report_utilizations", ""):
        text = draw.utilization().replace("report_utilization -file util.rpt", command)
        assert recognise(text) is None
        with pytest.raises(HLSError, match="is no synthesis report that keras_hls can read"):
            parse(text, "x.rpt")
