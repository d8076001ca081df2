"""Vivado's ``report_utilization -hierarchical``: what every module of a design takes."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass, field

from keras_hls.reports.figures import count, cut_off, problem
from keras_hls.reports.model import Instance, ModuleReport, ReportFile, Stage
from keras_hls.reports.text_tables import Table, is_drawn, read_table
from keras_hls.reports.vivado_header import Header, command, read_header, stage_of

KIND = "Vivado hierarchy"


def recognises(head: str) -> bool:
    """Return whether a file that starts so is such a report."""
    words = command(head).split()
    return words[:1] == ["report_utilization"] and "-hierarchical" in words


@dataclass
class _Branch:
    """An instance of the tree, while it is read."""

    depth: int
    row: Instance
    children: list[Instance] = field(default_factory=list)


def parse(text: str, where: str) -> ReportFile:
    """Read a report.

    Parameters
    ----------
    text : str
    where : str
        The file, for errors.

    Returns
    -------
    ReportFile
        First the design, with what it instantiates, then every module inside it. A module of which several instances
        take differently much has no figures of its own; it is found among the instances of others.

    Raises
    ------
    HLSError
        If it isn't such a report, isn't whole, or is of an unknown design state.
    """
    if not recognises(text):
        raise problem(where, "isn't a hierarchical utilization report of Vivado")
    header = read_header(text, where)
    stage = stage_of(header.state, where)
    branches = _branches(_table(text, where))
    top, *inner = (_module(branch, header, stage, where) for branch in branches)
    if top.name != header.design:
        raise problem(where, f"is about {header.design!r}, but its table starts with {top.name!r}")
    same: defaultdict[str, set[ModuleReport]] = defaultdict(set)
    for module in inner:
        same[module.name].add(module)
    alike = [next(iter(every)) for name, every in same.items() if len(every) == 1 and name != top.name]
    return ReportFile(KIND, (top, *alike), source=where)


def _table(text: str, where: str) -> Table:
    lines = text.splitlines()
    titles = [i for i, line in enumerate(lines) if line.strip() == "1. Utilization by Hierarchy"]
    if not titles:
        raise cut_off(where, "it has no table of instances")
    start = next((i for i in range(titles[-1], len(lines)) if is_drawn(lines[i])), None)
    if start is None:
        raise cut_off(where, "it has no table of instances")
    return read_table(lines[start:], where, "table of instances")


def _branches(table: Table) -> list[_Branch]:
    """Every instance in order; a name in brackets repeats the one above for what it takes beside its own instances."""
    places = {
        "lut": table.column("Total LUTs", "LUT"),
        "ff": table.column("FFs", "FF"),
        "dsp": table.column(r"DSP(?:48|58)? (?:Blocks|Slices)|DSPs", "DSP"),
    }
    module, uram = table.column("Module", "modules"), table.find("URAM")
    whole, half = table.column("RAMB36", "RAMB36"), table.column("RAMB18", "RAMB18")
    branches: list[_Branch] = []
    above: list[_Branch] = []
    for depth, row in zip(table.depths, table.rows):
        name = row[0]
        if re.fullmatch(r"\(.*\)", name):
            continue
        figures = {key: count(row[place], table.where, key) for key, place in places.items()}
        ram = 2 * count(row[whole], table.where, "RAMB36") + count(row[half], table.where, "RAMB18")
        below = None if uram is None else count(row[uram], table.where, "URAM")
        # The design's own module has no name but the design's.
        kind = name if row[module] == "(top)" else row[module]
        instance = Instance(name, kind, bram18=ram, uram=below, **figures)
        while above and above[-1].depth >= depth:
            above.pop()
        if above:
            above[-1].children.append(instance)
        elif branches:
            raise problem(table.where, f"has two designs, {branches[0].row.name!r} and {name!r}")
        branches.append(_Branch(depth, instance))
        above.append(branches[-1])
    if not branches:
        raise cut_off(table.where, "its table of instances is empty")
    return branches


def _module(branch: _Branch, header: Header, stage: Stage, where: str) -> ModuleReport:
    row = branch.row
    assert row.lut is not None and row.ff is not None and row.dsp is not None and row.bram18 is not None
    return ModuleReport(
        name=row.module,
        tool="Vivado",
        version=header.version,
        stage=stage,
        part=header.part,
        lut=row.lut,
        ff=row.ff,
        dsp=row.dsp,
        bram18=row.bram18,
        uram=row.uram,
        instances=tuple(branch.children),
        state=header.state,
        source=where,
    )
