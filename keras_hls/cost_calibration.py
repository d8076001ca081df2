"""Coefficients that suit a user's own tool: refitted on projects that were synthesised there."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from keras_hls.cost.coefficient_files import PREDICTED, Coefficients, content, whose
from keras_hls.cost.devices import Device
from keras_hls.cost.estimate import in_hardware
from keras_hls.cost.fit import FITTED, SMALL, Sample, fitted, left_out, spread
from keras_hls.cost.from_reports import read_reports
from keras_hls.cost.pricing import figure
from keras_hls.cost.silicon import Amounts, Technology, together
from keras_hls.errors import HLSError, InvalidOption
from keras_hls.folder import write_file
from keras_hls.project import Project
from keras_hls.text_table import text_table

#: Like how many of the user's figures the coefficients that are shipped count.
STRENGTH = 4.0
#: From so many figures on, intervals are told from them instead of from those that are shipped.
ENOUGH = 8


@dataclass(frozen=True)
class Calibration:
    """What a calibration found.

    Parameters
    ----------
    content : mapping
        Of the file of coefficients.
    errors : tuple
        A row for each stage and figure: its name, how many were compared, and the mean relative error (a share) before, after,
        and with the project that is estimated left out (None for a single project).
    """

    content: Mapping[str, Any]
    errors: tuple[tuple[str, int, float, float, float | None], ...]

    def save(self, path: str | Path) -> Path:
        """Write the file that ``estimate(..., coefficients=path)`` reads.

        Raises
        ------
        OutputFolderError
            If it can't be written.
        """
        path = Path(path)
        write_file(path, (json.dumps(self.content, indent=1) + "\n").encode())
        return path

    def __str__(self) -> str:
        head = ("Mean relative error of", "Figures", "Before", "After", "Project left out")
        rows = [
            (name, str(many), f"{before:.1%}", f"{after:.1%}", "" if apart is None else f"{apart:.1%}")
            for name, many, before, after, apart in self.errors
        ]
        return text_table(head, rows)


def calibrate(
    projects: Iterable[str | os.PathLike[str]],
    *,
    output: str | os.PathLike[str] | None = None,
    start: str | None = None,
) -> Calibration:
    """Refit the coefficients of the cost model on one's own projects and their reports.

    Parameters
    ----------
    projects : iterable of path
        Folders of keras_hls projects that were synthesised where they stand; with reports of Vivado, the stage "impl" is
        refitted too.
    output : path, optional
        Where to write the coefficients, for ``estimate(..., coefficients=path)``.
    start : str, optional
        What to start from: "Vitis HLS", "Vivado HLS", or a file; by default the tool of the reports.

    Returns
    -------
    Calibration
        ``print`` it for the errors before and after.

    Raises
    ------
    HLSError
        If a folder is no project of keras_hls, has no reports, or reports of another tool than the others.
    """
    if not isinstance(projects, (str, os.PathLike, Iterable)):
        raise InvalidOption(f"calibrate takes folders of projects, not {projects!r}")
    folders = [projects] if isinstance(projects, (str, os.PathLike)) else list(projects)
    if not folders:
        raise InvalidOption("calibrate needs at least one project that was synthesised")
    read = [_Synthesised.of(Path(folder)) for folder in folders]
    tools = {each.tool for each in read}
    if start is None and len(tools) > 1:
        raise HLSError(f"The reports are of {' and '.join(sorted(tools))}: calibrate each tool with its own projects")
    data = deepcopy(dict(content(start or read[0].tool)))
    chosen = Coefficients.of(data)
    rows = []
    for stage in PREDICTED:
        for name in FITTED:
            samples = [sample for each in read for sample in each.samples(stage, name, chosen)]
            if samples:
                rows.append(_refit(data["stages"][stage], stage, name, samples, chosen))
    if not rows:
        raise HLSError("The reports hold no figure of a layer or a whole project that could be compared")
    data["version"] = f"{data['version']}, calibrated on {len(read)} project{'s' * (len(read) > 1)}"
    data["calibrated on"] = [each.project.name for each in read]
    found = Calibration(data, tuple(rows))
    if output is not None:
        found.save(Path(output))
    return found


def _refit(
    entry: dict[str, Any], stage: str, name: str, samples: Sequence[Sample], chosen: Coefficients
) -> tuple[str, int, float, float, float | None]:
    """Put new coefficients and intervals of one figure into the content of a file; return the row that tells of it."""
    start = chosen.weights[stage][name]
    new = fitted(samples, start, name, STRENGTH)
    for key, value in new.items():
        entry[name][key]["value"] = float(f"{value:.4g}")
    several = len({sample.source for sample in samples}) > 1
    apart = left_out(samples, start, name, STRENGTH) if several else None
    if apart is not None and len(samples) >= ENOUGH:
        truth, share = np.array([s.truth for s in samples]), np.ones(len(samples))
        for level in ("layer", "total"):
            entry["spread"][level][name] = list(spread(apart, truth, share, SMALL[name]))
    before, after = (_error(samples, [figure(s.amounts, weights) for s in samples]) for weights in (start, new))
    return f"{name.upper()}, {stage}", len(samples), before, after, None if apart is None else _error(samples, apart)


def _error(samples: Sequence[Sample], guesses: Iterable[float]) -> float:
    """Mean relative error of what isn't too small to be compared."""
    ratios = [abs(g / s.truth - 1) for g, s in zip(guesses, samples, strict=True) if s.truth > 0]
    return float(np.mean(ratios)) if ratios else 0.0


@dataclass(frozen=True, eq=False)
class _Synthesised:
    """A project and what its reports say."""

    folder: Path
    project: Project
    tool: str
    rows: Mapping[str, Mapping[str, Mapping[str, int]]]
    totals: Mapping[str, Mapping[str, int]]
    device: Device
    clock_period: float

    @classmethod
    def of(cls, folder: Path) -> _Synthesised:
        project = Project(folder)
        reports = read_reports(folder)
        named = {
            row.name: {stage: {k: getattr(r, k) for k in FITTED} for stage, r in row.stages.items()}
            for row in reports.layers
        }
        if reports.clock_period is None:
            raise HLSError(f"No report in {str(folder)!r} says the clock period; add that of C synthesis, or of timing")
        totals = {stage: {k: getattr(r, k) for k in FITTED} for stage, r in reports.stages.items()}
        # What wasn't placed is nearest to what would be after logic synthesis.
        if "synth" in totals:
            totals.setdefault("impl", totals["synth"])
        return cls(folder, project, whose(reports.source), named, totals, reports.device, reports.clock_period)

    def samples(self, stage: str, name: str, chosen: Coefficients) -> list[Sample]:
        """What can be compared: each layer after C synthesis, and the whole."""
        if stage not in self.totals:
            return []
        graph, plans = self.project.graph, self.project.options.plans(self.project.graph)
        technology = Technology.of(self.device, self.clock_period, chosen)
        source, found = str(self.folder), []
        parts: list[Amounts] = []
        for node in graph:
            if node in graph.inputs:
                continue
            built, amounts = in_hardware(graph, node, plans[node.name], technology)
            parts.append(amounts)
            truth = self.rows.get(node.name, {}).get(stage)
            # Logic synthesis moves hardware between modules, so that only the whole tells.
            if truth is not None and amounts and stage == "csynth":
                found.append(Sample(built.amounts, truth[name], source))
        return [*found, replace(Sample(together(parts), self.totals[stage][name], source), share=2.0)]
