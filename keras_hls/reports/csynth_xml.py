"""The XML report of C synthesis: ``<function>_csynth.xml``, and ``csynth.xml``, which holds a whole project.

Its form has not changed from Vivado HLS 2018 to Vitis HLS 2025. A report never has a document type, so one that has is
refused before it is parsed: entities could otherwise read other files or fill the memory.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from xml.etree import ElementTree

from keras_hls.reports.figures import count, cycles, nanoseconds, problem
from keras_hls.reports.model import Instance, ModuleReport, ReportFile

KIND = "csynth XML"

#: What each module instantiates.
_Inner = Mapping[str, tuple[Instance, ...]]

_PROLOG = {"<?": "?>", "<!--": "-->"}
_DOCTYPE = re.compile(r"<!\s*(?:DOCTYPE|ENTITY)", re.IGNORECASE)


def recognises(head: str) -> bool:
    """Return whether a file that starts so is such a report, or one with a document type, which `parse` refuses."""
    return (_starts_with_profile(head) or _DOCTYPE.search(head) is not None) and (
        "<profile" in head and "<UserAssignments>" in head
    )


def _starts_with_profile(text: str) -> bool:
    """Whether the first element is that of these reports, behind what may stand before an element."""
    at = 0
    while True:
        while at < len(text) and text[at].isspace():
            at += 1
        opened = next((sign for sign in _PROLOG if text.startswith(sign, at)), None)
        if opened is None:
            return re.compile(r"<profile[\s>]").match(text, at) is not None
        closed = text.find(_PROLOG[opened], at)
        if closed < 0:
            return False
        at = closed + len(_PROLOG[opened])


def parse(text: str, where: str) -> ReportFile:
    """Read a report.

    Parameters
    ----------
    text : str
    where : str
        The file, for errors. A file of the name ``csynth.xml`` is about the whole project.

    Returns
    -------
    ReportFile
        The function of the report, then every module that it has figures for.

    Raises
    ------
    HLSError
        If it isn't such a report, isn't whole, or has a document type.
    """
    if _DOCTYPE.search(text):
        raise problem(
            where, "has a document type or entities, which no synthesis report has", "don't read it; remove the file"
        )
    if not _starts_with_profile(text):
        raise problem(where, "isn't an XML report of C synthesis")
    try:
        root = ElementTree.fromstring(text)
    except (ElementTree.ParseError, ValueError) as error:
        raise problem(where, f"is cut off or damaged ({error})", "copy it again, or synthesise again") from None
    inner = dict(_hierarchy(root, where))
    top = _top(root, inner, where)
    listed = root.find("ModuleInformation")
    modules = [top]
    if listed is not None:
        # The top function is listed as well, in less detail.
        every = [_listed(module, top, inner, where) for module in listed.findall("Module")]
        modules += [module for module in every if module.name != top.name]
    whole = listed is not None or PurePath(where).name == "csynth.xml"
    return ReportFile(KIND, tuple(modules), whole=whole, source=where)


def _text(element: ElementTree.Element, path: str, where: str) -> str:
    found = element.find(path)
    if found is None or not (found.text or "").strip():
        raise problem(where, f"has no {path}")
    return (found.text or "").strip()


def _top(root: ElementTree.Element, inner: _Inner, where: str) -> ModuleReport:
    assigned, latency = "UserAssignments", "PerformanceEstimates/SummaryOfOverallLatency"
    unit = _text(root, f"{assigned}/unit", where)
    version = _version(root, where)
    resources = root.find("AreaEstimates/Resources")
    if resources is None:
        raise problem(where, "has no AreaEstimates/Resources")
    dsp = "DSP" if resources.find("DSP") is not None else "DSP48E"
    name = _text(root, f"{assigned}/TopModelName", where)
    return ModuleReport(
        name=name,
        tool=_tool(root, version),
        version=version,
        stage="csynth",
        part=_text(root, f"{assigned}/Part", where),
        clock_target_ns=nanoseconds(_text(root, f"{assigned}/TargetClockPeriod", where), unit, where, "the clock"),
        clock_estimated_ns=nanoseconds(
            _text(root, "PerformanceEstimates/SummaryOfTimingAnalysis/EstimatedClockPeriod", where),
            unit,
            where,
            "the estimated clock",
        ),
        lut=count(_text(resources, "LUT", where), where, "LUT"),
        ff=count(_text(resources, "FF", where), where, "FF"),
        dsp=count(_text(resources, dsp, where), where, "DSP"),
        bram18=count(_text(resources, "BRAM_18K", where), where, "BRAM_18K"),
        uram=None if resources.find("URAM") is None else count(_text(resources, "URAM", where), where, "URAM"),
        latency_min=cycles(_text(root, f"{latency}/Best-caseLatency", where), where, "the least latency"),
        latency_max=cycles(_text(root, f"{latency}/Worst-caseLatency", where), where, "the greatest latency"),
        ii_min=cycles(_text(root, f"{latency}/Interval-min", where), where, "the least interval"),
        ii_max=cycles(_text(root, f"{latency}/Interval-max", where), where, "the greatest interval"),
        instances=inner.get(name, ()),
        source=where,
    )


def _version(root: ElementTree.Element, where: str) -> str:
    return _text(root, "ReportVersion/Version" if root.find("ReportVersion") is not None else "Version", where)


def _tool(root: ElementTree.Element, version: str) -> str:
    """Vivado HLS ended with 2020.1; a report of Vitis HLS 2020.1 differs by the flow that it is for."""
    vitis = root.find("UserAssignments/FlowTarget") is not None or version.split(".")[:2] >= ["2020", "2"]
    return "Vitis HLS" if vitis else "Vivado HLS"


def _listed(module: ElementTree.Element, top: ModuleReport, inner: _Inner, where: str) -> ModuleReport:
    """A module of the list, which leaves out what it shares with the top function, and resources that it has none of."""
    latency = "PerformanceEstimates/SummaryOfOverallLatency"
    name = _text(module, "Name", where)

    def resource(*names: str) -> int:
        for each in names:
            if module.find(f"AreaEstimates/Resources/{each}") is not None:
                return count(_text(module, f"AreaEstimates/Resources/{each}", where), where, each)
        return 0

    if module.find("AreaEstimates/Resources") is None:
        raise problem(where, f"lists module {name!r} without resources")
    least, greatest = _interval(_text(module, f"{latency}/PipelineInitiationInterval", where), where)
    estimated = _text(module, "PerformanceEstimates/SummaryOfTimingAnalysis/EstimatedClockPeriod", where)
    return ModuleReport(
        name=name,
        tool=top.tool,
        version=top.version,
        stage="csynth",
        part=top.part,
        clock_target_ns=top.clock_target_ns,
        clock_estimated_ns=nanoseconds(estimated, "ns", where, "the estimated clock"),
        lut=resource("LUT"),
        ff=resource("FF"),
        dsp=resource("DSP", "DSP48E"),
        bram18=resource("BRAM_18K"),
        uram=resource("URAM"),
        latency_min=cycles(_text(module, f"{latency}/Best-caseLatency", where), where, "the least latency"),
        latency_max=cycles(_text(module, f"{latency}/Worst-caseLatency", where), where, "the greatest latency"),
        ii_min=least,
        ii_max=greatest,
        instances=inner.get(name, ()),
        source=where,
    )


def _interval(text: str, where: str) -> tuple[int | None, int | None]:
    """One interval, or two with a tilde between."""
    ends = [end.strip() for end in text.split("~")]
    if len(ends) > 2:
        raise problem(where, f"has {text!r} where an interval in clock cycles should be")
    least, greatest = (cycles(end, where, "an interval") for end in (ends[0], ends[-1]))
    return least, greatest


def _hierarchy(root: ElementTree.Element, where: str) -> Iterator[tuple[str, tuple[Instance, ...]]]:
    """Every module that instantiates others, with those; names alone, as figures stand elsewhere."""
    top = root.find("RTLDesignHierarchy/TopModule")
    waiting = [] if top is None else [top]
    while waiting:
        module = waiting.pop()
        inner = module.findall("InstancesList/Instance")
        waiting += inner
        if inner:
            rows = [Instance(_text(row, "InstName", where), _text(row, "ModuleName", where)) for row in inner]
            yield _text(module, "ModuleName", where), tuple(rows)
