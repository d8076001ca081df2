"""Vivado's ``report_utilization``: what a synthesised, placed or routed design takes of the device.

Rows have other names in each architecture: 7 series, UltraScale and Versal. Tables repeat them by region, under other
headings; only what is "Used" in all counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from keras_hls.reports.figures import count, cut_off, problem
from keras_hls.reports.model import Instance, ModuleReport, ReportFile
from keras_hls.reports.text_tables import Table, is_drawn, read_table, tables
from keras_hls.reports.vivado_header import command, read_header, stage_of

KIND = "Vivado utilization"

_LUT = ("Slice LUTs", "CLB LUTs")
_FF = ("Slice Registers", "CLB Registers", "Registers")
_DSP = ("DSPs", "DSP Slices", "DSP58")
_TILE = ("Block RAM Tile",)
_RAMB36 = ("RAMB36/FIFO", "RAMB36E5")
_RAMB18 = ("RAMB18", "RAMB18E5")


def recognises(head: str) -> bool:
    """Return whether a file that starts so is such a report."""
    words = command(head).split()
    return words[:1] == ["report_utilization"] and "-hierarchical" not in words


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
        One module, the design; its instances are other designs, without figures.

    Raises
    ------
    HLSError
        If it isn't such a report, isn't whole, or is of an unknown design state.
    """
    if not recognises(text):
        raise problem(where, "isn't a utilization report of Vivado")
    header = read_header(text, where)
    lines = text.splitlines()
    used = dict(_used(lines, where))
    black, netlists = (tuple(_netlists(lines, where, title)) for title in ("Black Boxes", "Instantiated Netlists"))
    module = ModuleReport(
        name=header.design,
        tool="Vivado",
        version=header.version,
        stage=stage_of(header.state, where),
        part=header.part,
        lut=_number(used, _LUT, where),
        ff=_number(used, _FF, where),
        dsp=_number(used, _DSP, where),
        bram18=_bram18(used, where),
        uram=count(used["URAM"], where, "URAM") if "URAM" in used else None,
        instances=tuple(Instance(name, name) for name in dict.fromkeys(black + netlists)),
        black_boxes=black,
        state=header.state,
        source=where,
    )
    return ReportFile(KIND, (module,), source=where)


def _used(lines: list[str], where: str) -> Iterator[tuple[str, str]]:
    """Names and figures of all tables of used sites; only those are read, so nothing else can be in the way."""
    seen: set[str] = set()
    for start, end in tables(lines):
        if end - start < 2 or not re.match(r"\|\s*Site Type\s*\|\s*Used\s*\|", lines[start + 1].strip()):
            continue
        table = read_table(lines[start:end], where, "table of used sites")
        name, figure = table.column("Site Type", "sites"), table.column("Used", "used sites")
        for row in table.rows:
            site = row[name].rstrip("*")
            if site not in seen:
                seen.add(site)
                yield site, row[figure]


def _row(used: Mapping[str, str], names: tuple[str, ...]) -> str | None:
    return next((used[name] for name in names if name in used), None)


def _number(used: Mapping[str, str], names: tuple[str, ...], where: str) -> int:
    cell = _row(used, names)
    if cell is None:
        raise cut_off(where, f"it has no row {' or '.join(repr(name) for name in names)}")
    return count(cell, where, names[0])


def _bram18(used: Mapping[str, str], where: str) -> int:
    """Block RAMs by their primitives, or by the tiles, of which one of 18 kbit takes half."""
    whole, half = _row(used, _RAMB36), _row(used, _RAMB18)
    if whole is not None and half is not None:
        return 2 * count(whole, where, "RAMB36") + count(half, where, "RAMB18")
    tiles = _row(used, _TILE)
    if tiles is None:
        raise cut_off(where, "it has no rows of block RAMs")
    match = re.fullmatch(r"(\d+)(\.[05]0*)?", tiles)
    if match is None:
        raise problem(where, f"has {tiles!r} where the number of block RAM tiles should be")
    return 2 * int(match[1]) + ((match[2] or "").startswith(".5"))


def _netlists(lines: list[str], where: str, title: str) -> Iterator[str]:
    """The designs inside, from a section at the end that the table of contents announces."""
    numbered = [i for i, line in enumerate(lines) if re.fullmatch(rf"\d+\. {title}", line.strip())]
    if len(numbered) == 1:
        raise cut_off(where, f"its section {title!r} is missing")
    if numbered:
        for row in _section(lines[numbered[-1] + 1 :], where, title).rows:
            yield row[0]


def _section(lines: list[str], where: str, title: str) -> Table:
    start = next((i for i, line in enumerate(lines) if is_drawn(line)), None)
    if start is None:
        raise cut_off(where, f"its section {title!r} is missing")
    return read_table(lines[start:], where, f"section {title!r}")
