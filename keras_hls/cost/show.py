"""What a network costs, as text and as HTML."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from keras_hls.cost.resources import LayerEstimate, ResourceEstimate, Resources

_HEAD = ("Layer (op)", "Output shape", "Type", "LUT", "FF", "DSP", "BRAM18", "Cycles", "II", "Strategy", "Reuse")
#: Columns of the table that hold text, so start at the left.
_TEXT = frozenset((0, 1, 2, 9))
_SHOWN = ("lut", "ff", "dsp", "bram")
_SAYS = {
    "csynth": "the report of C synthesis",
    "synth": "the netlist after logic synthesis",
    "impl": "the placed design, which must fit",
}


def as_text(estimate: ResourceEstimate) -> str:
    """Return a table with a row for each layer, the totals of each stage, and what to know about them."""
    rows, totals = _rows(estimate), _totals(estimate)
    widths = [max(map(len, column)) for column in zip(_HEAD, *rows, *totals, strict=True)]
    rule = "-" * len(_line(["-" * width for width in widths], widths))
    body = [rule, *(_line(cells, widths) for cells in rows), rule, *(_line(cells, widths) for cells in totals)]
    return "\n".join([_title(estimate), "", _line(_HEAD, widths), *body, "", *_notes(estimate)])


def as_html(estimate: ResourceEstimate) -> str:
    """Return the same as a table of HTML."""
    head = "".join(f"<th>{escape(cell)}</th>" for cell in _HEAD)
    every = [*_rows(estimate), *_totals(estimate)]
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>" for cells in every)
    notes = "<br>".join(map(escape, _notes(estimate)))
    return (
        f"<table><caption>{escape(_title(estimate))}</caption><thead><tr>{head}</tr></thead>"
        f"<tbody>{body}</tbody></table><p>{notes}</p>"
    )


def _rows(estimate: ResourceEstimate) -> list[tuple[str, ...]]:
    return [
        (
            f"{row.name} ({row.op}){'' if row.calibrated else ' *'}" if row.op else row.name,
            str(row.shape) if row.op else "",
            row.type,
            # Reports of one stage may have modules that those of another don't.
            *(_counts(row.resources) if row.stage == estimate.stage else ("?",) * len(_SHOWN)),
            *_cycles(row.latency_cycles, row.ii),
            row.strategy,
            str(row.reuse_factor) if row.op else "",
        )
        for row in estimate.layers
    ]


def _totals(estimate: ResourceEstimate) -> list[tuple[str, ...]]:
    """A total for each stage, the intervals of the one that is shown, and the device."""
    empty = ("", "", "", "")
    found = []
    for stage, figures in estimate.stages.items():
        shown = stage == estimate.stage
        cycles = _cycles(estimate.latency_cycles, estimate.ii) if shown else ("", "")
        found.append((f"Total {stage}", "", "", *_counts(figures), *cycles, "", ""))
        if figures.intervals:
            ends = (_span(figures.interval(name)) for name in _SHOWN)
            span = estimate.latency_interval
            found.append(("  80 %", "", "", *ends, _span(span) if shown and span else "", "", "", ""))
    chip, used = estimate.device, estimate.used
    holds = Resources(chip.lut, chip.ff, chip.dsp, chip.bram18)
    found.append((chip.name, "", "", *_counts(holds), *empty))
    found.append((f"Used ({estimate.stage})", "", "", *(f"{used[name]:.1%}" for name in _SHOWN), *empty))
    return found


def _title(estimate: ResourceEstimate) -> str:
    what = "Estimate" if estimate.stages[estimate.stage].intervals else "Reports"
    at = "" if estimate.clock_period is None else f" at {estimate.clock_period:g} ns"
    return f"{what} for {estimate.device.part}{at}"


def _notes(estimate: ResourceEstimate) -> list[str]:
    """What to know about the figures."""
    stage = estimate.stage
    notes = [f"Stage {stage}: {_SAYS[stage]}. {estimate.source}. Cycles of the total: longest path."]
    if estimate.clock_met is False:
        notes.insert(
            0,
            f"The clock is likely missed: a path of {estimate.clock_ns:.2f} ns, where {estimate.clock_budget_ns:.2f} ns"
            f" of {estimate.clock_period:g} are for logic.",
        )
    if not estimate.fits:
        over = ", ".join(key.upper() for key, share in estimate.used.items() if share > 1)
        notes.insert(0, f"Doesn't fit: more {over} than {estimate.device.name} has.")
    names = _uncalibrated(estimate.layers)
    if names:
        notes.append(f"* Uncalibrated, since no published report tells: {', '.join(names)}.")
    return notes


def _uncalibrated(rows: Sequence[LayerEstimate]) -> list[str]:
    return [row.name for row in rows if not row.calibrated]


def _counts(figures: Resources) -> tuple[str, ...]:
    return tuple(f"{getattr(figures, name):,}" for name in _SHOWN)


def _cycles(*values: int | None) -> tuple[str, ...]:
    return tuple("?" if value is None else f"{value:,}" for value in values)


def _span(ends: tuple[int, int]) -> str:
    low, high = ends
    return f"{low:,}-{high:,}"


def _line(cells: Sequence[str], widths: Iterable[int]) -> str:
    padded = (
        cell.ljust(width) if column in _TEXT else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )
    return "  ".join(padded).rstrip()
