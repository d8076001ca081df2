"""What is measured, in which unit, and the table of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

#: What a target is for: our own figure, at most or at least that much, or the ratio, at least that much.
Rule = Literal["at most", "at least", "ratio"]


@dataclass(frozen=True)
class Kind:
    """What one row of the table measures.

    Parameters
    ----------
    label, unit : str
    better : {"more", "less"}
        The ratio is made so that above 1 we are better.
    rule : {"at most", "at least", "ratio"}
        What a target means.
    """

    label: str
    unit: str
    better: Literal["more", "less"]
    rule: Rule = "ratio"


#: By key, in the table's order.
MEASURES: dict[str, Kind] = {
    "equal_keras": Kind("Outputs equal to Keras", "%", "more", "at least"),
    "argmax_keras": Kind("Samples whose largest output is Keras's", "%", "more", "at least"),
    "largest_difference": Kind("Largest difference from Keras", "", "less", "at most"),
    "emulator_csim_bits": Kind("Differing bits, emulator against C-simulation", "bits", "less", "at most"),
    "emulator_keras_bits": Kind("Differing bits, emulator against Keras", "bits", "less", "at most"),
    "simulation": Kind("C-simulation, one thread, floats in and out", "samples/s", "more"),
    "simulation_cores": Kind("C-simulation, all cores, floats in and out", "samples/s", "more"),
    "simulation_integers": Kind("C-simulation, one thread, integers in and out", "samples/s", "more"),
    "build": Kind("C-simulation build", "s", "less"),
    "convert": Kind("Convert and write", "s", "less"),
    "convert_first": Kind("Convert and write, first in a process", "s", "less"),
    "convert_growth": Kind("Convert and write: time per weight, by that of a quarter of them", "", "less", "at most"),
    "emulator": Kind("Emulator (peer: model.predict, best batch size)", "samples/s", "more"),
    "read_files": Kind("Read its .json and .h5 without TensorFlow, import included", "s", "less", "at most"),
    "epoch": Kind("Snapshot and estimate in an epoch", "ms", "less", "at most"),
    "convert_memory": Kind("Peak memory, convert and write (with Keras)", "MB", "less"),
    "build_memory": Kind("Peak memory, C-simulation build", "MB", "less"),
    "simulation_memory": Kind("Peak memory, C-simulation", "MB", "less"),
    "import": Kind("import keras_hls", "s", "less", "at most"),
    "import_used": Kind("import keras_hls, and fetch what exports", "s", "less"),
    "import_heavy": Kind("Heavy packages that import keras_hls loads", "", "less", "at most"),
}


@dataclass(frozen=True)
class Row:
    """One measure of one network.

    Parameters
    ----------
    key : str
        Of `MEASURES`.
    ours : float
        In the measure's unit; the median, where there are repetitions.
    peer : float, optional
        Likewise; None if there is no peer, or it couldn't.
    target : float, optional
        The figure to reach.
    details : mapping
        What the figures were made of: repetitions, counts of samples.
    rule : {"at most", "at least", "ratio"}, optional
        Of the target; by default the measure's own.
    """

    key: str
    ours: float
    peer: float | None = None
    target: float | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    rule: Rule | None = None

    @property
    def asks(self) -> Rule:
        """What the target means."""
        return self.rule or MEASURES[self.key].rule

    @property
    def ratio(self) -> float | None:
        """How many times better we are than the peer; None without one, or where a ratio has no meaning."""
        if self.peer is None or MEASURES[self.key].unit in ("%", "bits"):
            return None
        best, other = (self.ours, self.peer) if MEASURES[self.key].better == "more" else (self.peer, self.ours)
        return best / other if other else None

    @property
    def reached(self) -> bool | None:
        """Whether the target is reached; None without one, or without the peer that it needs."""
        if self.target is None:
            return None
        if self.asks == "ratio":
            return None if self.ratio is None else self.ratio >= self.target
        return self.ours <= self.target if self.asks == "at most" else self.ours >= self.target

    def to_dict(self) -> dict[str, Any]:
        """Return all of it, as JSON can hold it."""
        kind = MEASURES[self.key]
        return {
            **asdict(self),
            "label": kind.label,
            "unit": kind.unit,
            "rule": self.asks,
            "ratio": self.ratio,
            "reached": self.reached,
        }


def table(rows: Sequence[Row], peer: str) -> str:
    """Return rows as text, a line each."""
    lines = [("Measure", "Unit", "keras_hls", peer, "Ratio", "Target", "Reached")]
    for row in rows:
        kind = MEASURES[row.key]
        ratio = "" if row.ratio is None else f"{number(row.ratio)}x"
        reached = {None: "", True: "yes", False: "NO"}[row.reached]
        peers = "-" if row.peer is None else number(row.peer)
        lines.append((kind.label, kind.unit, number(row.ours), peers, ratio, _target(row), reached))
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    text = []
    for line in lines:
        left = [line[0].ljust(widths[0]), line[1].ljust(widths[1])]
        text.append("  ".join([*left, *(cell.rjust(width) for cell, width in zip(line[2:], widths[2:]))]).rstrip())
    text.insert(1, "-" * max(map(len, text)))
    return "\n".join(text)


def _target(row: Row) -> str:
    if row.target is None:
        return ""
    figure = number(row.target)
    return {"ratio": f">= {figure}x", "at most": f"<= {figure}", "at least": f">= {figure}"}[row.asks]


def number(value: float) -> str:
    """Return a figure with three digits that count, and all of those before the point."""
    if value == 0 or abs(value) >= 100 or value == int(value):
        return f"{value:,.0f}" if value == int(value) or abs(value) >= 1000 else f"{value:,.1f}"
    return f"{value:.3g}"
