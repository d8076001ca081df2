"""What stands above every report of Vivado, and what its design states mean."""

from __future__ import annotations

import re
from dataclasses import dataclass

from keras_hls.reports.figures import cut_off, problem
from keras_hls.reports.model import Stage

#: Design states in the order in which a run goes through them, by how they are spelled.
_STATES: tuple[tuple[str, Stage], ...] = (
    (r"synthesized", "synth"),
    (r"optimized", "synth"),
    (r"(partially |fully )?placed", "impl"),
    (r"physopt ?postplace", "impl"),
    (r"(partially |fully )?routed", "impl"),
    (r"physopt ?postroute", "impl"),
)
#: Timing reports of older versions don't say it, but runs write them under these names.
_NAMES = (r"_synth", r"_opted", r"_placed", r"_physopted", r"_routed", r"_postroute_physopted")


@dataclass(frozen=True)
class Header:
    """The lines above a report.

    Attributes
    ----------
    version, command, design, part : str
    state : str
        The design state, or "" if it isn't there.
    """

    version: str
    command: str
    design: str
    part: str
    state: str


def command(head: str) -> str:
    """Return the command that wrote a report, or "" if it isn't one of Vivado's."""
    return _lines(head).get("Command", "")


def _lines(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for match in re.finditer(r"^\| ([A-Z][A-Za-z ]*?) *: (.*?)[ \t]*$", text[:20_000], re.MULTILINE):
        found.setdefault(match[1], match[2].strip())
    return found


def read_header(text: str, where: str) -> Header:
    """Read the lines above a report.

    Raises
    ------
    HLSError
        If one of them is missing.
    """
    lines = _lines(text)
    for name in ("Tool Version", "Command", "Design", "Device"):
        if not lines.get(name):
            raise cut_off(where, f"it has no line {name!r}")
    version = re.search(r"\bv\.?(\d{4}\.\d\S*)", lines["Tool Version"])
    if version is None:
        raise problem(where, f"is of a version that can't be read: {lines['Tool Version']!r}")
    state = lines.get("Design State", "")
    return Header(version[1], lines["Command"], lines["Design"], lines["Device"], state)


def stage_of(state: str, where: str) -> Stage:
    """Return the stage of a design state.

    Raises
    ------
    HLSError
        If it is none that is known.
    """
    return _STATES[_place(state, where)][1]


def progress(state: str) -> int:
    """Return how far a run has come in a state: the later one replaces the earlier; -1 if it is unknown."""
    return next((i for i, (name, _) in enumerate(_STATES) if re.fullmatch(name, state.lower())), -1)


def _place(state: str, where: str) -> int:
    place = progress(state)
    if place < 0:
        what = f"is of an unknown design state {state!r}" if state else "doesn't say the design state"
        raise problem(where, what, "write it from a synthesised, placed or routed design")
    return place


def state_by_name(name: str) -> str:
    """Return the design state that the name of a run's report stands for, or ""."""
    states = ("Synthesized", "Optimized", "Placed", "Physopt postPlace", "Routed", "Physopt postRoute")
    found = [state for state, part in zip(states, _NAMES) if re.search(rf"{part}\.rpt\b", name)]
    return found[-1] if found else ""
