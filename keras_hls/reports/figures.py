"""Numbers as the reports spell them, and the sentences that refuse anything else."""

from __future__ import annotations

import re

from keras_hls.errors import HLSError

#: How the tools write that a number of cycles depends on data, or that there is none.
_UNKNOWN = frozenset({"?", "undef", "-", "", "N/A", "n/a", "NA"})
_UNITS = {"ps": 1e-3, "ns": 1.0, "us": 1e3, "ms": 1e6}


def problem(where: str, what: str, advice: str = "synthesise again, or remove the file") -> HLSError:
    """Return the error that refuses a report: the file, what is wrong with it, what to do."""
    return HLSError(f"Report {where!r} {what}; {advice}")


def cut_off(where: str, what: str) -> HLSError:
    """Return the error for a report that ends too early."""
    return problem(where, f"is cut off: {what}", "copy it again, or synthesise again")


def count(cell: str, where: str, what: str) -> int:
    """Return a number of resources; a dash is none, and a share in brackets is left out: ``"4 (~0%)"`` is 4."""
    match = re.fullmatch(r"(\d+)(?:\s*\([^()]*\))?", cell)
    if match:
        return int(match[1])
    if cell == "-":
        return 0
    raise problem(where, f"has {cell!r} where the number of {what} should be")


def cycles(cell: str, where: str, what: str) -> int | None:
    """Return a number of clock cycles; None where the tool couldn't tell."""
    if cell.isascii() and cell.isdigit():
        return int(cell)
    if cell in _UNKNOWN:
        return None
    raise problem(where, f"has {cell!r} where {what} in clock cycles should be")


def nanoseconds(cell: str, unit: str | None, where: str, what: str) -> float:
    """Return a time in nanoseconds, from a cell with a unit of its own or in the unit of its table."""
    match = re.fullmatch(r"(\d+(?:\.\d*)?)\s*([a-z]+)?", cell)
    scale = _UNITS.get((match[2] or unit or "") if match else "")
    if not match or scale is None:
        raise problem(where, f"has {cell!r} where {what} should be")
    value = float(match[1])
    return value if scale == 1.0 else round(value * scale, 9)
