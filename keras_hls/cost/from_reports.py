"""What the vendor's reports say of a project, in the form of an estimate."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from keras_hls.cost.devices import RESOURCES, Device, device
from keras_hls.cost.resources import LayerEstimate, ResourceEstimate, Resources
from keras_hls.errors import HLSError, InvalidOption
from keras_hls.folder import MANIFEST
from keras_hls.reports import LayerNames, ModuleReport, StageReports, SynthesisReports, read_folder
from keras_hls.reports.model import Instance

#: Reports lie up to so many folders below their project.
_LEVELS = 5


def read_reports(folder: str | os.PathLike[str]) -> ResourceEstimate:
    """Return what the synthesis reports of a project say, by layer and in all.

    Reports of C synthesis (csynth.rpt, csynth.xml) and of Vivado (utilisation, timing), of the versions 2018 to 2025.

    Parameters
    ----------
    folder : path
        A project of keras_hls or hls4ml that was synthesised, or a folder of the tool's own.

    Returns
    -------
    ResourceEstimate
        Its stages are those that there are reports of: "csynth", "synth" (after logic synthesis), "impl" (placed); the last
        one is shown. No figure has an interval. Modules are mapped to layers by the project's sources; what belongs to no layer
        is in a row of its own, and what the top function has beside its modules in the row "rest of" it.

    Raises
    ------
    HLSError
        If there is no such folder or no report of resources in it; if a report is cut off, damaged or foreign, contradicts
        another, or names an unknown part. Each names the file.
    """
    place = Path(folder)
    reports = read_folder(place)
    stages = {str(stage): found for stage, found in reports.stages.items()}
    if not stages:
        raise HLSError(
            f"Folder {str(place)!r} has reports of timing alone; add those of utilisation, or of C synthesis"
        )
    names = LayerNames.of(place)
    rows = _rows(stages, names)
    estimated = _estimate_beside(place)
    order = {row.name: number for number, row in enumerate(estimated)}
    known = {row.name: row for row in estimated}
    last = list(stages)[-1]
    layers = [
        _layer(name, row, known.get(name), last)
        for name, row in sorted(rows.items(), key=lambda item: order.get(item[0], len(order)))
    ]
    tops = [found.top for found in stages.values()]
    first = tops[0]
    period, delay, budget = _clock(reports)
    latency = (first.latency_min, first.latency_max)
    return ResourceEstimate(
        layers=tuple(layers),
        device=_device(first),
        clock_period=period,
        stages={stage: _resources(found.top) for stage, found in stages.items()},
        stage=last,
        latency_cycles=first.latency_max,
        latency_interval=None if None in latency else (int(latency[0] or 0), int(latency[1] or 0)),
        ii=first.ii_max,
        clock_ns=delay,
        clock_budget_ns=budget,
        source=f"Reports of {' and '.join(dict.fromkeys(f'{top.tool} {top.version}' for top in tops))}",
    )


@dataclass
class _Row:
    """What is added up for one layer."""

    stages: dict[str, Resources] = field(default_factory=dict)
    latency: int | None = None
    ii: int | None = None

    def add(self, stage: str, figures: Resources) -> None:
        before = self.stages.get(stage, Resources())
        self.stages[stage] = Resources(*(getattr(before, n) + getattr(figures, n) for n in RESOURCES))

    def timed(self, module: ModuleReport | Instance) -> None:
        self.latency = _larger(self.latency, module.latency_max)
        self.ii = _larger(self.ii, module.ii_max)


def _larger(first: int | None, second: int | None) -> int | None:
    return second if first is None else first if second is None else max(first, second)


def _rows(stages: Mapping[str, StageReports], names: LayerNames) -> dict[str, _Row]:
    rows: dict[str, _Row] = {}
    for stage, found in stages.items():
        rest = _resources(found.top)
        for name, module in _parts(found, names):
            figures = _resources(module)
            row = rows.setdefault(name, _Row())
            row.add(stage, figures)
            row.timed(module)
            rest = Resources(*(getattr(rest, n) - getattr(figures, n) for n in RESOURCES))
        # Reports round, and C synthesis may count what modules share once: no layer has less than nothing.
        rest = Resources(*(max(getattr(rest, n), 0) for n in RESOURCES))
        if rest != Resources() and rest != _resources(found.top):
            rows.setdefault(f"rest of {found.top.name}", _Row()).add(stage, rest)
    return rows


def _parts(found: StageReports, names: LayerNames) -> Iterator[tuple[str, ModuleReport | Instance]]:
    """The parts of a top function, by layer: each module that is a layer's as a whole, others where they stand."""
    for instance in found.top.instances:
        yield from _inside(instance, found, names)


def _inside(
    instance: Instance, found: StageReports, names: LayerNames, above: tuple[str, ...] = ()
) -> Iterator[tuple[str, ModuleReport | Instance]]:
    module = found.module(instance.module)
    layer = names.layer_of(instance.module)
    figures = instance if instance.lut is not None else module
    if figures is None:
        return
    inner = module.instances if module is not None and instance.module not in above else ()
    wraps = layer == instance.module and any(_holds_layers(each, found, names, above) for each in inner)
    if not wraps:
        yield layer, figures
        return
    for each in inner:
        yield from _inside(each, found, names, (*above, instance.module))


def _holds_layers(instance: Instance, found: StageReports, names: LayerNames, above: tuple[str, ...]) -> bool:
    """Whether a module is a layer's, or one inside it is."""
    if instance.module in above:
        return False
    if names.layer_of(instance.module) != instance.module:
        return True
    module = found.module(instance.module)
    inner = () if module is None else module.instances
    return any(_holds_layers(each, found, names, (*above, instance.module)) for each in inner)


def _resources(module: ModuleReport | Instance) -> Resources:
    return Resources(
        lut=module.lut or 0,
        ff=module.ff or 0,
        dsp=module.dsp or 0,
        bram=module.bram18 or 0,
        uram=module.uram or 0,
    )


def _layer(name: str, row: _Row, known: LayerEstimate | None, last: str) -> LayerEstimate:
    stage = last if last in row.stages else list(row.stages)[-1]
    found = LayerEstimate(
        name=name,
        layer=name,
        op="",
        shape=(),
        type="",
        stages=row.stages,
        stage=stage,
        latency_cycles=row.latency,
        ii=row.ii,
        clock_ns=None,
        strategy="",
        reuse_factor=1,
    )
    if known is None:
        return found
    return replace(
        found,
        layer=known.layer,
        op=known.op,
        shape=known.shape,
        type=known.type,
        strategy=known.strategy,
        reuse_factor=known.reuse_factor,
    )


def _estimate_beside(place: Path) -> tuple[LayerEstimate, ...]:
    """The rows of the estimate that a project of keras_hls holds; none for other projects."""
    place = place.absolute()
    for root in [place, *place.parents][:_LEVELS]:
        if (root / MANIFEST).is_file():
            try:
                return ResourceEstimate.from_dict(json.loads((root / "estimate.json").read_text())).layers
            except (OSError, ValueError, HLSError):
                raise HLSError(
                    f"Project {str(root)!r} is damaged: estimate.json can't be read; export it again"
                ) from None
    return ()


def _device(module: ModuleReport) -> Device:
    try:
        return device(module.part)
    except InvalidOption as error:
        raise HLSError(f"Report {module.source!r}: {error}") from None


def _clock(reports: SynthesisReports) -> tuple[float | None, float | None, float | None]:
    """The clock period; the longest path, and the time that it may take: of the placed design if it was timed."""
    target = estimated = None
    if reports.csynth is not None:
        target, estimated = reports.csynth.top.clock_target_ns, reports.csynth.top.clock_estimated_ns
    for found in (reports.impl, reports.synth):
        timing = None if found is None else found.timing
        if timing is not None and timing.clock is not None:
            return target or timing.clock.period_ns, timing.achieved_ns, timing.clock.period_ns
    return target, estimated, target
