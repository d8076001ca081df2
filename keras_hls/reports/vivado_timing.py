"""Vivado's ``report_timing_summary``: worst slack, and the periods that were asked for."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from keras_hls.reports.figures import cut_off, problem
from keras_hls.reports.model import ClockTiming, ReportFile, TimingReport
from keras_hls.reports.vivado_header import command, progress, read_header, stage_of, state_by_name

KIND = "Vivado timing"

_CLOCK = re.compile(r"\s*(\S+)\s+\{[^}]*\}\s+(\d+(?:\.\d+)?)\s+\d+(?:\.\d+)?\s*")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


def recognises(head: str) -> bool:
    """Return whether a file that starts so is such a report."""
    return command(head).split()[:1] == ["report_timing_summary"]


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
        With `timing`.

    Raises
    ------
    HLSError
        If it isn't such a report, or isn't whole.
    """
    if not recognises(text):
        raise problem(where, "isn't a timing summary of Vivado")
    header = read_header(text, where)
    sections = _sections(text)
    # What follows the last table that is read shows that none of its rows is missing.
    for title in ("Design Timing Summary", "Clock Summary", "Intra Clock Table", "Inter Clock Table"):
        if title not in sections:
            raise cut_off(where, f"its section {title!r} is missing")
    rows = _columns(sections["Design Timing Summary"], where)
    if len(rows) != 1:
        raise cut_off(where, "its design timing summary has no figures")
    design = rows[0]
    slacks = {row.get("Clock", ""): row for row in _columns(sections["Intra Clock Table"], where)}
    clocks = []
    for line in sections["Clock Summary"]:
        match = _CLOCK.fullmatch(line)
        if match is None and "{" in line:
            raise problem(where, f"has a line in its clock summary that can't be read: {line.strip()!r}")
        if match is not None:
            own = slacks.get(match[1], {}).get("WNS(ns)")
            clocks.append(ClockTiming(match[1], float(match[2]), None if own is None else _slack(own, where)))
    failing = design.get("TNS Failing Endpoints")
    state = header.state or state_by_name(header.command)
    timing = TimingReport(
        name=header.design,
        tool="Vivado",
        version=header.version,
        part=header.part,
        stage=stage_of(state, where) if progress(state) >= 0 else None,
        wns_ns=_slack(design.get("WNS(ns)"), where),
        tns_ns=_slack(design.get("TNS(ns)"), where),
        failing=int(failing) if failing is not None and failing.isdigit() else None,
        clocks=tuple(clocks),
        state=state,
        source=where,
    )
    return ReportFile(KIND, timing=timing, source=where)


def _sections(text: str) -> Mapping[str, list[str]]:
    """The lines below each title, which stands between two rules with one of its own below it."""
    found: dict[str, list[str]] = {}
    lines = text.splitlines()
    title = ""
    for number, line in enumerate(lines):
        below = lines[number + 1] if number + 1 < len(lines) else ""
        if line.startswith("| ") and re.fullmatch(r"\| -+\s*", below):
            title = line[2:].strip()
            found.setdefault(title, [])
        elif title and not re.fullmatch(r"(?:\| )?-+\s*", line):
            found[title].append(line)
    return found


def _columns(lines: Sequence[str], where: str) -> list[Mapping[str, str]]:
    """Rows of a table whose columns are where the dashes below its headings are; cells may be missing."""
    rules = [i for i, line in enumerate(lines) if re.fullmatch(r"\s*-+(?:\s+-+)+\s*", line)]
    if not rules or rules[0] == 0:
        raise cut_off(where, "a table of slacks has no headings")
    spans = [match.span() for match in re.finditer("-+", lines[rules[0]])]
    names = [lines[rules[0] - 1][a:b].strip() for a, b in spans]
    rows: list[Mapping[str, str]] = []
    for line in lines[rules[0] + 1 :]:
        if not line.strip():
            if rows:
                break
            continue
        words = list(re.finditer(r"\S+", line))
        row: dict[str, str] = {}
        for word in words:
            # A name may be set in, or longer than the dashes above it; the numbers stay below theirs.
            at = [i for i, (a, b) in enumerate(spans) if word.start() < b and word.end() > a]
            at = at or [0] * (word.end() <= spans[1][0])
            if len(at) != 1 or names[at[0]] in row:
                raise problem(where, f"has a line with other columns than its heading: {line.strip()!r}")
            row[names[at[0]]] = word[0]
        rows.append(row)
    return rows


def _slack(cell: str | None, where: str) -> float | None:
    if cell is None or cell == "NA":
        return None
    if _NUMBER.fullmatch(cell) is None:
        raise problem(where, f"has {cell!r} where a slack should be")
    return float(cell)
