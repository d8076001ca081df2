"""Reports of made-up designs in the form of each tool and version, drawn from the figures that they must be read as."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from keras_hls.reports import Instance, ModuleReport

PART = "xcvu3p-ffvc1517-2-e"


def a_module(name="net", **figures) -> ModuleReport:
    base = ModuleReport(
        name=name,
        tool="Vitis HLS",
        version="2021.1",
        stage="csynth",
        part=PART,
        lut=4711,
        ff=1234,
        dsp=17,
        bram18=5,
        uram=0,
        clock_target_ns=5.0,
        clock_estimated_ns=4.125,
        latency_min=11,
        latency_max=23,
        ii_min=2,
        ii_max=3,
    )
    return replace(base, **figures)


def an_instance(module, **figures) -> Instance:
    base = Instance(f"grp_{module}_fu_7", module, 100, 20, 1, 0, 0, 3, 4, 1, 2)
    return replace(base, **figures)


def table(head, rows, *, indent="", left=1, right=1, rules=()):
    """A table; heads are lists of (text, columns that it spans), `rules` the rows behind which one is drawn."""
    count = sum(span for _, span in head[0])
    widths = [1] * count
    for row in rows:
        widths = [max(w, len(str(cell)) + left + right) for w, cell in zip(widths, row)]
    for line in head:
        at = 0
        for text, span in line:
            short = len(text) + left + right - sum(widths[at : at + span]) - (span - 1)
            widths[at] += max(short, 0)
            at += span
    rule = "+" + "+".join("-" * w for w in widths) + "+"
    lines = [rule]
    for line in head:
        at, cells = 0, []
        for text, span in line:
            cells.append(text.center(sum(widths[at : at + span]) + span - 1))
            at += span
        lines.append("|" + "|".join(cells) + "|")
    lines.append(rule)
    for number, row in enumerate(rows):
        cells = [(" " * left + str(c)).ljust(w) for c, w in zip(row[:1], widths)]
        cells += [(str(c) + " " * right).rjust(w) for c, w in zip(row[1:], widths[1:])]
        lines.append("|" + "|".join(cells) + "|")
        if number in rules:
            lines.append(rule)
    # The tools close an empty table with the rule below its headings.
    lines += [rule] if rows else []
    return "\n".join(indent + line for line in lines)


def _cycles(value):
    return "?" if value is None else str(value)


def _head(era, names):
    """Two lines of headings: latency, in newer reports absolute as well, interval, pipeline."""
    cycles = "Latency (cycles)" if era >= 2019.2 else "Latency"
    absolute = [("Latency (absolute)", 2)] if era >= 2019.2 else []
    first = [("", 1) for _ in names] + [(cycles, 2), *absolute, ("Interval", 2), ("Pipeline", 1)]
    second = [(name, 1) for name in names] + [("min", 1), ("max", 1)] * (2 + bool(absolute)) + [("Type", 1)]
    return [first, second]


def _latency(era, each):
    absolute = ["0.1 us", "0.2 us"] if era >= 2019.2 else []
    ends = [_cycles(each.latency_min), _cycles(each.latency_max)]
    return [*ends, *absolute, _cycles(each.ii_min), _cycles(each.ii_max), "none"]


def csynth_text(module: ModuleReport, era: float = 2021.1) -> str:
    """A function's report as Vivado HLS 2018 and 2019, or Vitis HLS from 2020 on, write it."""
    tool, _, _ = module.tool.partition(" ")
    dsp = "DSP" if tool == "Vitis" else "DSP48E"
    unit = " ns" if era >= 2019.2 else ""
    clocks = [
        ["ap_clk", f"{module.clock_target_ns:.2f}{unit}", f"{module.clock_estimated_ns:.3f}{unit}", f"0.62{unit}"]
    ]
    uram = [] if module.uram is None else [("URAM", 1)]

    def amounts(each):
        return [each.bram18, each.dsp, each.ff, each.lut, *([] if module.uram is None else [each.uram])]

    nothing = ["-", "-", "-", "-", "-"][: 4 + len(uram)]
    used = [["DSP", *nothing], ["Instance", *amounts(module)], ["Total", *amounts(module)]]
    used += [["Available", *[10**6] * len(nothing)], ["Utilization (%)", *["~0"] * len(nothing)]]
    resources = [("BRAM_18K", 1), (dsp, 1), ("FF", 1), ("LUT", 1), *uram]
    timed = sized = "N/A"
    if module.instances:
        rows = [[each.name, each.module, *_latency(era, each)] for each in module.instances]
        timed = table(_head(era, ["Instance", "Module"]), rows, indent=" " * 8, left=0).lstrip()
        rows = [[each.name, each.module, *amounts(each)] for each in module.instances]
        total = ["Total", "", *[sum(column) for column in zip(*(row[2:] for row in rows))]]
        sized = table(
            [[("Instance", 1), ("Module", 1), *resources]],
            [*rows, total],
            indent=" " * 4,
            left=0,
            rules=[len(rows) - 1],
        ).lstrip()
    line = "=" * 64
    text = f"""

{line}
== {tool} HLS Report for '{module.name}'
{line}
* Date:           Mon Jan  1 00:00:00 2024

* Version:        {module.version} (Build 1 on Mon Jan 01 00:00:00 MDT 2024)
* Project:        net_prj
* Solution:       solution1
* Product family: virtexuplus
* Target device:  {module.part}


{line}
== Performance Estimates
{line}
+ Timing{"" if unit else " (ns)"}:
    * Summary:
{table([[("Clock", 1), ("Target", 1), ("Estimated", 1), ("Uncertainty", 1)]], clocks, indent="    ", left=0)}

+ Latency{"" if unit else " (clock cycles)"}:
    * Summary:
{table(_head(era, []), [_latency(era, module)], indent="    ", left=3)}

    + Detail:
        * Instance:
        {timed}

        * Loop:
        N/A



{line}
== Utilization Estimates
{line}
* Summary:
{table([[("Name", 1), *resources]], used, left=0, rules=[1, 2, 3])}

+ Detail:
    * Instance:
    {sized}

    * {dsp}:
    N/A

    * Register:
    N/A



{line}
== Interface
{line}
* Summary:
{table([[("RTL Ports", 1), ("Dir", 1), ("Bits", 1)]], [["ap_clk", "in", 1]], left=0)}

"""
    # The tools leave blanks behind their headings.
    return text.replace(":\n", ": \n")


def _xml_figures(module, dsp):
    uram = "" if module.uram is None else f"<URAM>{module.uram}</URAM>"
    return (
        f"<BRAM_18K>{module.bram18}</BRAM_18K><{dsp}>{module.dsp}</{dsp}>"
        f"<FF>{module.ff}</FF><LUT>{module.lut}</LUT>{uram}"
    )


def csynth_xml(module: ModuleReport, listed=()) -> str:
    """A function's XML; with other modules, that of a whole project."""

    def cycles(value):
        return "undef" if value is None else value

    vitis = module.tool == "Vitis HLS"
    dsp = "DSP" if vitis else "DSP48E"
    inner = ""
    for each in listed:
        least, greatest = cycles(each.ii_min), cycles(each.ii_max)
        inner += f"""<Module><Name>{each.name}</Name>
<PerformanceEstimates><SummaryOfTimingAnalysis><EstimatedClockPeriod>{each.clock_estimated_ns:.3f}</EstimatedClockPeriod>
</SummaryOfTimingAnalysis><SummaryOfOverallLatency><Best-caseLatency>{cycles(each.latency_min)}</Best-caseLatency>
<Worst-caseLatency>{cycles(each.latency_max)}</Worst-caseLatency>
<PipelineInitiationInterval>{least if least == greatest else f"{least} ~ {greatest}"}</PipelineInitiationInterval>
</SummaryOfOverallLatency></PerformanceEstimates>
<AreaEstimates><Resources>{_xml_figures(each, dsp)}<UTIL_LUT>~0</UTIL_LUT></Resources></AreaEstimates></Module>
"""
    rows = "".join(
        f"<Instance><InstName>{row.name}</InstName><ModuleName>{row.module}</ModuleName></Instance>"
        for row in module.instances
    )
    design = f"""<RTLDesignHierarchy><TopModule><ModuleName>{module.name}</ModuleName>
<InstancesList>{rows}</InstancesList></TopModule></RTLDesignHierarchy>"""
    project = f"{design}\n<ModuleInformation>{inner}</ModuleInformation>" if listed else ""
    return f"""<profile>
<ReportVersion>
<Version>{module.version}</Version>
</ReportVersion>
<UserAssignments>
<unit>ns</unit>
<ProductFamily>virtexuplus</ProductFamily>
<Part>{module.part}</Part>
<TopModelName>{module.name}</TopModelName>
<TargetClockPeriod>{module.clock_target_ns:.2f}</TargetClockPeriod>
<ClockUncertainty>0.62</ClockUncertainty>
{"<FlowTarget>vivado</FlowTarget>" if vitis else ""}
</UserAssignments>
<PerformanceEstimates>
<SummaryOfTimingAnalysis><unit>ns</unit>
<EstimatedClockPeriod>{module.clock_estimated_ns:.3f}</EstimatedClockPeriod>
</SummaryOfTimingAnalysis>
<SummaryOfOverallLatency>
<Best-caseLatency>{cycles(module.latency_min)}</Best-caseLatency>
<Worst-caseLatency>{cycles(module.latency_max)}</Worst-caseLatency>
<Interval-min>{cycles(module.ii_min)}</Interval-min>
<Interval-max>{cycles(module.ii_max)}</Interval-max>
</SummaryOfOverallLatency>
</PerformanceEstimates>
<AreaEstimates>
<Resources>{_xml_figures(module, dsp)}</Resources>
<AvailableResources><LUT>999999</LUT><FF>999999</FF></AvailableResources>
</AreaEstimates>
{project}
</profile>
"""


def csynth_tree(rows, *, top="net", version="2023.2", new=False) -> str:
    """A project's summary; rows are (depth, "+" or "o", name, latency, interval, bram, dsp, ff, lut, uram)."""

    def amount(value):
        return f"{value} (~0%)" if value else "-"

    body = []
    for depth, sign, name, latency, interval, *amounts in rows:
        cycles = ["-" if value is None else value for value in (latency, interval)]
        cells = [" " * depth + f"{sign} {name}", "-"]
        times = [cycles[0], "1.2e+03"]
        if new:
            cells += ["-", "-", cycles[1], "-", "no", *times, "0.28"]
        else:
            cells += ["0.28", *times, "-", cycles[1], "-", "no"]
        body.append(cells + [amount(value) for value in amounts])
    sizes = [("BRAM", 1), ("DSP", 1), ("FF", 1), ("LUT", 1), ("URAM", 1)]
    blank = [("", 1)] * 5
    if new:
        first = [("Modules", 1), ("Issue", 1), ("", 1), ("Iteration", 1), ("", 1), ("Trip", 1), ("", 1)]
        first += [("Latency", 2), ("", 1), *blank]
        second = [("& Loops", 1), ("Type", 1), ("Violation Type", 1), ("Latency", 1), ("Interval", 1), ("Count", 1)]
        second += [("Pipelined", 1), ("(cycles)", 1), ("(ns)", 1), ("Slack", 1), *sizes]
    else:
        first = [("Modules", 1), ("Issue", 1), ("", 1), ("Latency", 1), ("Latency", 1), ("Iteration", 1), ("", 1)]
        first += [("Trip", 1), ("", 1), *blank]
        second = [("& Loops", 1), ("Type", 1), ("Slack", 1), ("(cycles)", 1), ("(ns)", 1), ("Latency", 1)]
        second += [("Interval", 1), ("Count", 1), ("Pipelined", 1), *sizes]
    drawn = table([first, second], body, indent="" if new else "    ", left=0)
    line = "=" * 64
    start = (
        "* Performance & Resource Estimates: \n"
        if new
        else "+ Performance & Resource Estimates: \n    \n    PS: signs\n"
    )
    text = f"""

{line}
== Synthesis Summary Report of '{top}'
{line}
+ General Information:
    * Date:           Mon Jan  1 00:00:00 2024
    * Version:        {version} (Build 1 on Jan 1 2024)
    * Project:        net_prj
    * Solution:       solution1 (Vivado IP Flow Target)
    * Product family: virtexuplus
    * Target device:  {PART}


{start}{drawn}


{line}
== HW Interfaces
{line}
* TOP LEVEL CONTROL
{table([[("Interface", 1), ("Type", 1)]], [["ap_clk", "clock"]])}

"""
    return text.replace(":\n", ": \n")


def vivado_head(command, design="net", state="Synthesized", part="xcvu3p-ffvc1517-2", version="2022.1") -> str:
    states = f"| Design State : {state}\n" if state else ""
    return f"""Made up for a test.
--------------------------------------------------
| Tool Version : Vivado v.{version} (lin64) Build 1 Mon Jan  1 00:00:00 MDT 2024
| Date         : Mon Jan  1 00:00:00 2024
| Host         : somewhere
| Command      : {command}
| Design       : {design}
| Device       : {part}
{states}--------------------------------------------------

"""


#: Sites by architecture: names of look-up tables, registers, DSP blocks and block RAMs.
FAMILIES = {
    "7-series": ("Slice LUTs*", "Slice Registers", "DSPs", "RAMB36/FIFO*", "RAMB18", None),
    "UltraScale": ("CLB LUTs", "CLB Registers", "DSPs", "RAMB36/FIFO*", "RAMB18", "URAM"),
    "Versal": ("CLB LUTs", "Registers", "DSP Slices", "RAMB36E5", "RAMB18E5*", "URAM"),
}


def utilization(
    family="UltraScale",
    *,
    lut=900,
    ff=800,
    dsp=7,
    ramb36=3,
    ramb18=5,
    uram=2,
    black=(),
    netlists=(),
    tiles=None,
    **head,
) -> str:
    luts, ffs, dsps, big, small, ultra = FAMILIES[family]
    columns = [[("Site Type", 1), ("Used", 1), ("Fixed", 1), ("Prohibited", 1), ("Available", 1), ("Util%", 1)]]

    def sites(*rows):
        return table(columns, [[*row, 0, 0, 999999, "<0.01"] for row in rows])

    tiles = ramb36 + ramb18 / 2 if tiles is None else tiles
    rams = [("Block RAM Tile", f"{tiles:g}"), (f"  {big}", ramb36), (f"  {small}", ramb18)]
    rams += [(ultra, uram)] if ultra else []
    regions = table(
        [[("Site Type", 1), ("SLR0", 1), ("SLR1", 1)]], [[luts.rstrip("*"), 1, 2], [ffs, 3, 4], ["DSPs", 5, 6]]
    )

    def names(every):
        return table([[("Ref Name", 1), ("Used", 1)]], [[name, 1] for name in every])

    return (
        vivado_head("report_utilization -file util.rpt", **head)
        + f"""Utilization Design Information

Table of Contents
-----------------
1. Logic
2. Memory
3. DSP
4. Primitives
5. Black Boxes
6. Instantiated Netlists
7. Regions

1. Logic
--------

{sites((luts, lut), ("  LUT as Logic", lut), (ffs, ff), ("  Register as Latch", 0))}
* Warning! A note.


2. Memory
---------

{sites(*rams)}

3. DSP
------

{sites((dsps, dsp), ("  DSP48E2 only", dsp))}


4. Primitives
-------------

{table([[("Ref Name", 1), ("Used", 1), ("Functional Category", 1)]], [["LUT6", lut, "CLB"]])}


5. Black Boxes
--------------

{names(black)}


6. Instantiated Netlists
------------------------

{names(netlists)}


7. Regions
----------

{regions}


"""
    )


def hierarchy(rows, *, percent=False, **head) -> str:
    """A list of instances; rows are (depth, instance, module, lut, ff, ramb36, ramb18, uram, dsp)."""
    columns = ["Instance", "Module", "Total LUTs", "Logic LUTs", "LUTRAMs", "SRLs", "FFs", "RAMB36", "RAMB18", "URAM"]
    body = []
    for depth, name, module, lut, ff, *rest in rows:
        figures = [lut, lut, 0, 0, ff, *rest]
        cells = [f"{figure}(0.01%)" for figure in figures] if percent else figures
        body.append(["  " * depth + name, module, *cells])
    drawn = table([[(name, 1) for name in [*columns, "DSP Blocks"]]], body)
    return (
        vivado_head("report_utilization -hierarchical -file util.rpt", **head)
        + f"""Utilization Design Information

Table of Contents
-----------------
1. Utilization by Hierarchy

1. Utilization by Hierarchy
---------------------------

{drawn}


"""
    )


def timing(
    wns="0.123", clocks=(("ap_clk", 5.0, "0.123"),), failing=0, file="net_timing_summary_routed.rpt", **head
) -> str:
    wide = max([len(name) for name, *_ in clocks], default=5)
    rule = "-" * 96
    slacks = "WNS(ns)      TNS(ns)  TNS Failing Endpoints  TNS Total Endpoints      WHS(ns)"
    dashes = "-------      -------  ---------------------  -------------------      -------"

    def row(slack):
        if slack is None:
            return " " * 71 + "0.010".rjust(7)
        return slack.rjust(7) + "-1.5".rjust(13) + str(failing).rjust(23) + "4321".rjust(21) + "0.010".rjust(13)

    def section(title, body):
        return f"{rule}\n| {title}\n| {'-' * len(title)}\n{rule}\n\n{body}\n\n"

    names = "\n".join(
        f"{n.ljust(wide)}  {{0.000 {p / 2:.3f}}}        {p:.3f}           {1e3 / p:.3f}" for n, p, _ in clocks
    )
    inner = "\n".join(f"{n.ljust(wide)}      {row(s)}" for n, _, s in clocks)
    return (
        vivado_head(f"report_timing_summary -max_paths 10 -file {file}", **{"state": "", **head})
        + "Timing Summary Report\n\n"
        + section("Timer Settings", "  Enable Multi Corner Analysis               :  Yes")
        + section("Design Timing Summary", f"    {slacks}\n    {dashes}\n    {row(wns)}\n\n\nA sentence.\n")
        + section(
            "Clock Summary",
            f"{'Clock'.ljust(wide)}  Waveform(ns)         Period(ns)      Frequency(MHz)\n"
            f"{'-----'.ljust(wide)}  ------------         ----------      --------------\n{names}",
        )
        + section(
            "Intra Clock Table", f"{'Clock'.ljust(wide)}      {slacks}\n{'-----'.ljust(wide)}      {dashes}\n{inner}"
        )
        + section(
            "Inter Clock Table", f"From Clock    To Clock          {slacks}\n----------    --------          {dashes}"
        )
        + section("Timing Details", "Max Delay Paths")
    )


@pytest.fixture(scope="session")
def draw():
    return SimpleNamespace(
        module=a_module,
        instance=an_instance,
        table=table,
        text=csynth_text,
        xml=csynth_xml,
        tree=csynth_tree,
        utilization=utilization,
        hierarchy=hierarchy,
        timing=timing,
        families=FAMILIES,
        part=PART,
    )


def cut(text, where="cut.rpt"):
    """What is read from every beginning of a text, by lines and in the middle of lines; None where it is refused."""
    from keras_hls.errors import HLSError
    from keras_hls.reports import parse

    lines = text.splitlines(keepends=True)
    for number, line in enumerate(lines):
        for part in ("", line[: len(line) // 2], line[:-2]):
            begun = "".join(lines[:number]) + part
            try:
                yield begun, parse(begun, where)
            except HLSError as error:
                # An error that doesn't name the file is no answer.
                yield begun, None if where in str(error) else error


@pytest.fixture(scope="session")
def beginnings():
    return cut
