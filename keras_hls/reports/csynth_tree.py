"""The text report of a whole project by Vitis HLS: ``csynth.rpt``, a tree of modules and loops."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from keras_hls.reports.figures import count, cut_off, cycles, problem
from keras_hls.reports.model import Instance, ModuleReport, ReportFile
from keras_hls.reports.text_tables import Table, is_drawn, read_table

KIND = "csynth tree"

_TITLE = re.compile(r"^== Synthesis Summary Report of '([^']+)'", re.MULTILINE)
_HEADING = re.compile(r"^[+*] Performance & Resource Estimates:[ \t]*$", re.MULTILINE)
_ROW = re.compile(r"([+o]) (.*?)(\*?)")


def recognises(head: str) -> bool:
    """Return whether a file that starts so is such a report."""
    return _TITLE.search(head) is not None


@dataclass
class _Branch:
    """A module of the tree, while it is read."""

    depth: int
    row: Instance
    children: list[Instance] = field(default_factory=list)


def parse(text: str, where: str) -> ReportFile:
    """Read a report.

    A tree knows one latency and one interval of a module, its greatest, and no name of an instance but its module's.

    Parameters
    ----------
    text : str
    where : str
        The file, for errors.

    Returns
    -------
    ReportFile
        The top function, then every module below it.

    Raises
    ------
    HLSError
        If it isn't such a report, or isn't whole.
    """
    title = _TITLE.search(text)
    if title is None:
        raise problem(where, "isn't a summary of Vitis HLS")
    branches = _branches(_table(text, where))
    if not branches or branches[0].row.module != title[1]:
        raise problem(where, f"has a tree that doesn't start with its top function {title[1]!r}")
    version, part = _field(text, "Version", where).split()[0], _field(text, "Target device", where)
    modules = dict.fromkeys(_module(branch, version, part, where) for branch in branches)
    return ReportFile(KIND, tuple(modules), whole=True, source=where)


def _table(text: str, where: str) -> Table:
    heading = _HEADING.search(text)
    if heading is None:
        raise cut_off(where, "it has no table of modules")
    lines = text[heading.end() :].splitlines()
    # Between heading and table some versions explain the signs.
    start = next((i for i, line in enumerate(lines) if is_drawn(line) or line.startswith("==")), len(lines))
    if start == len(lines) or not is_drawn(lines[start]):
        raise cut_off(where, "it has no table of modules")
    return read_table(lines[start:], where, "table of modules")


def _branches(table: Table) -> list[_Branch]:
    """Every module in order; loops have rows too, and modules may stand below them."""
    where = table.where
    latency = table.column(r"Latency \(cycles\)", "latencies")
    interval = table.column("Interval", "intervals")
    places = {
        "lut": table.column("LUT", "LUT"),
        "ff": table.column("FF", "FF"),
        "dsp": table.column("DSP", "DSP"),
        "bram18": table.column("BRAM", "BRAM"),
    }
    uram = table.find("URAM")
    branches: list[_Branch] = []
    above: list[_Branch] = []
    for depth, row in zip(table.depths, table.rows):
        match = _ROW.fullmatch(row[0])
        if match is None:
            raise problem(where, f"has a row in its tree that is neither module nor loop: {row[0]!r}")
        if match[1] == "o":
            continue
        cycle = cycles(row[latency], where, "a latency")
        apart = cycles(row[interval], where, "an interval")
        figures = {name: count(row[place], where, name) for name, place in places.items()}
        below = None if uram is None else count(row[uram], where, "URAM")
        name = match[2]
        instance = Instance(
            name, name, uram=below, latency_max=cycle, latency_min=None, ii_max=apart, ii_min=None, **figures
        )
        while above and above[-1].depth >= depth:
            above.pop()
        if above:
            above[-1].children.append(instance)
        elif branches:
            raise problem(where, f"has two top functions, {branches[0].row.name!r} and {name!r}")
        branches.append(_Branch(depth, instance))
        above.append(branches[-1])
    return branches


def _module(branch: _Branch, version: str, part: str, where: str) -> ModuleReport:
    row = branch.row
    assert row.lut is not None and row.ff is not None and row.dsp is not None and row.bram18 is not None
    return ModuleReport(
        name=row.module,
        tool="Vitis HLS",
        version=version,
        stage="csynth",
        part=part,
        lut=row.lut,
        ff=row.ff,
        dsp=row.dsp,
        bram18=row.bram18,
        uram=row.uram,
        latency_max=row.latency_max,
        ii_max=row.ii_max,
        instances=tuple(branch.children),
        source=where,
    )


def _field(text: str, name: str, where: str) -> str:
    match = re.search(rf"^ +\* {name}:[ \t]*(\S.*?)[ \t]*$", text, re.MULTILINE)
    if match is None:
        raise cut_off(where, f"it has no line {name!r}")
    return match[1]
