"""The text report of one function by C synthesis: ``<function>_csynth.rpt`` of Vivado HLS and Vitis HLS."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace

from keras_hls.reports.figures import count, cut_off, cycles, nanoseconds, problem
from keras_hls.reports.model import Instance, ModuleReport, ReportFile
from keras_hls.reports.text_tables import Table, is_drawn, read_table

KIND = "csynth text"

_TITLE = re.compile(r"^== (Vivado|Vitis) HLS Report for '([^']+)'", re.MULTILINE)
_HEADING = re.compile(r"\s*([+*]) ([A-Za-z][^|:]*?)\s*:\s*")
_SECTION = re.compile(r"== (.+?)\s*")

#: Sections and headings to what stands below them.
_Blocks = Mapping[tuple[str, str, str], list[str]]

_MIN, _MAX = r"Latency(?: \(cycles\))? min", r"Latency(?: \(cycles\))? max"
_II_MIN, _II_MAX = "Interval min", "Interval max"


def recognises(head: str) -> bool:
    """Return whether a file that starts so is such a report."""
    return _TITLE.search(head) is not None


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
        One module, with the instances that it lists.

    Raises
    ------
    HLSError
        If it isn't such a report, or isn't whole.
    """
    title = _TITLE.search(text)
    if title is None:
        raise problem(where, "isn't a report of Vivado HLS or Vitis HLS for a function")
    blocks = dict(_blocks(text))
    timing, unit = _timing(blocks, where)
    latency = _table(blocks, ("Performance Estimates", "Latency", "Summary"), where, "table of latencies")
    used = _table(blocks, ("Utilization Estimates", "", "Summary"), where, "table of resources")
    if timing is None or latency is None or used is None:
        raise problem(where, "has no figures in one of its summaries")
    clock = _only_row(timing)
    cells = _only_row(latency)
    total = _total(used)

    def cycle(pattern: str, meaning: str) -> int | None:
        return cycles(cells[latency.column(pattern, meaning)], where, meaning)

    module = ModuleReport(
        name=title[2],
        tool=f"{title[1]} HLS",
        version=_field(text, "Version", where).split()[0],
        stage="csynth",
        part=_field(text, "Target device", where),
        clock_target_ns=nanoseconds(
            clock[timing.column("Target", "the target clock")], unit, where, "the target clock"
        ),
        clock_estimated_ns=nanoseconds(
            clock[timing.column("Estimated", "the estimated clock")], unit, where, "the estimated clock"
        ),
        lut=_resource(used, total, "LUT"),
        ff=_resource(used, total, "FF"),
        dsp=_resource(used, total, "DSP(?:48E?)?"),
        bram18=_resource(used, total, "BRAM_18K"),
        uram=None if used.find("URAM") is None else _resource(used, total, "URAM"),
        latency_min=cycle(_MIN, "the least latency"),
        latency_max=cycle(_MAX, "the greatest latency"),
        ii_min=cycle(_II_MIN, "the least interval"),
        ii_max=cycle(_II_MAX, "the greatest interval"),
        instances=_instances(blocks, where),
        source=where,
    )
    return ReportFile(KIND, (module,), source=where)


def _blocks(text: str) -> Iterator[tuple[tuple[str, str, str], list[str]]]:
    """What stands below each heading, first come first served: the summary comes before what repeats its words."""
    seen = set()
    section = group = ""
    lines: list[str] = []
    for line in text.splitlines():
        if match := _SECTION.fullmatch(line):
            section, group, lines = match[1], "", []
        elif match := _HEADING.fullmatch(line):
            lines = []
            if match[1] == "+":
                group = match[2]
            elif (key := (section, _plain(group), _plain(match[2]))) not in seen:
                seen.add(key)
                yield key, lines
            if match[1] == "+" and match[2].startswith("Timing"):
                yield (section, "unit", "Timing"), [match[2]]
        else:
            lines.append(line)


def _plain(heading: str) -> str:
    """A heading without its unit, which older versions put there."""
    return re.sub(r"\s*\([^)]*\)$", "", heading)


def _table(blocks: _Blocks, key: tuple[str, str, str], where: str, what: str) -> Table | None:
    """The table below a heading; None where the tool wrote that there is none."""
    if key not in blocks:
        raise cut_off(where, f"it has no {what}")
    lines = [line for line in blocks[key] if line.strip()]
    if lines and lines[0].strip() == "N/A":
        return None
    if not lines or not is_drawn(lines[0]):
        raise cut_off(where, f"its {what} is missing")
    table = read_table(lines, where, what)
    if not table.rows:
        raise cut_off(where, f"its {what} is empty")
    return table


def _timing(blocks: _Blocks, where: str) -> tuple[Table | None, str | None]:
    heading = " ".join(blocks.get(("Performance Estimates", "unit", "Timing"), ()))
    unit = re.search(r"\(([a-z]+)\)", heading)
    key = ("Performance Estimates", "Timing", "Summary")
    return _table(blocks, key, where, "table of clocks"), unit[1] if unit else None


def _only_row(table: Table) -> tuple[str, ...]:
    if len(table.rows) != 1:
        raise problem(
            table.where, f"has {len(table.rows)} rows in its {table.what}, not one", "synthesise with one clock"
        )
    return table.rows[0]


def _total(table: Table) -> tuple[str, ...]:
    for row in table.rows:
        if row[0] == "Total":
            return row
    raise cut_off(table.where, f"its {table.what} has no total")


def _resource(table: Table, row: tuple[str, ...], name: str) -> int:
    plain = name.partition("(")[0]
    return count(row[table.column(name, plain)], table.where, plain)


def _field(text: str, name: str, where: str) -> str:
    match = re.search(rf"^\* {name}:[ \t]*(\S.*?)[ \t]*$", text, re.MULTILINE)
    if match is None:
        raise cut_off(where, f"it has no line {name!r}")
    return match[1]


def _instances(blocks: _Blocks, where: str) -> tuple[Instance, ...]:
    """The rows of both instance tables: latencies stand in one, resources in the other."""
    timed = _table(blocks, ("Performance Estimates", "Detail", "Instance"), where, "table of instances' latencies")
    sized = _table(blocks, ("Utilization Estimates", "Detail", "Instance"), where, "table of instances' resources")
    found: dict[str, Instance] = {}
    for table in filter(None, (timed, sized)):
        name, module = table.column("Instance", "instances"), table.column("Module", "modules")
        if table is sized:
            _total(table)
        for row in table.rows:
            if table is sized and row[name] == "Total":
                break
            instance = found.get(row[name]) or Instance(row[name], row[module])
            if instance.module != row[module]:
                raise problem(where, f"says of instance {instance.name!r} that it is of two modules")
            add = _latencies if table is timed else _resources
            found[instance.name] = add(instance, table, row)
    return tuple(found.values())


def _latencies(instance: Instance, table: Table, row: tuple[str, ...]) -> Instance:
    def cell(pattern: str, meaning: str) -> int | None:
        return cycles(row[table.column(pattern, meaning)], table.where, meaning)

    return replace(
        instance,
        latency_min=cell(_MIN, "the least latency"),
        latency_max=cell(_MAX, "the greatest latency"),
        ii_min=cell(_II_MIN, "the least interval"),
        ii_max=cell(_II_MAX, "the greatest interval"),
    )


def _resources(instance: Instance, table: Table, row: tuple[str, ...]) -> Instance:
    return replace(
        instance,
        lut=_resource(table, row, "LUT"),
        ff=_resource(table, row, "FF"),
        dsp=_resource(table, row, "DSP(?:48E?)?"),
        bram18=_resource(table, row, "BRAM_18K"),
        uram=None if table.find("URAM") is None else _resource(table, row, "URAM"),
    )
