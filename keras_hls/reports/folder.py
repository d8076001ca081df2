"""A project's folder: which reports it holds, what they say together, and whether they agree."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from keras_hls.errors import HLSError
from keras_hls.reports import csynth_text, csynth_tree, csynth_xml, vivado_hierarchy, vivado_utilization
from keras_hls.reports.figures import problem
from keras_hls.reports.files import read_head, read_text, report_paths
from keras_hls.reports.model import STAGES, Instance, ModuleReport, ReportFile, Stage, TimingReport
from keras_hls.reports.recognition import parse, recognise
from keras_hls.reports.vivado_header import progress

#: Names that only the tools' own reports have: one that is empty or binary is a report that was lost.
_OWN_NAMES = re.compile(r".*csynth\.(rpt|xml)|vivado_synth\.rpt|.*_(utilization|timing_summary)_\w+\.rpt")

#: What is believed of a module: its own XML, its own text, a line in a list of all modules, a line in a tree of them.
_OWN_XML, _OWN_TEXT, _LISTED, _TREE = range(4)


@dataclass(frozen=True)
class StageReports:
    """What the reports of one stage say.

    Attributes
    ----------
    top : ModuleReport
    modules : tuple of ModuleReport
        The others, by name.
    timing : TimingReport or None
        Of the top.
    """

    top: ModuleReport
    modules: tuple[ModuleReport, ...] = ()
    timing: TimingReport | None = None

    def module(self, name: str) -> ModuleReport | None:
        """Return the report of a module, the top's as well; None if there is none."""
        return next((module for module in (self.top, *self.modules) if module.name == name), None)


@dataclass(frozen=True)
class SynthesisReports:
    """All reports of a project.

    Attributes
    ----------
    folder : Path
    csynth, synth, impl : StageReports or None
        None where the folder has no report of that stage.
    timing : tuple of TimingReport
        Every timing summary, also those that don't say of which stage they are.
    ignored : tuple of Path
        Files named like reports that are none.
    """

    folder: Path
    csynth: StageReports | None = None
    synth: StageReports | None = None
    impl: StageReports | None = None
    timing: tuple[TimingReport, ...] = ()
    ignored: tuple[Path, ...] = ()

    @property
    def stages(self) -> Mapping[Stage, StageReports]:
        """The stages that there are reports of, in order."""
        every: Mapping[Stage, StageReports | None] = {"csynth": self.csynth, "synth": self.synth, "impl": self.impl}
        return {stage: reports for stage, reports in every.items() if reports is not None}

    @property
    def name(self) -> str:
        """The top function, or the design if there is no report of C synthesis."""
        for reports in self.stages.values():
            return reports.top.name
        return self.timing[0].name


def read_report(path: str | Path) -> ReportFile:
    """Read one report.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    ReportFile

    Raises
    ------
    HLSError
        If it can't be read, is empty, binary, too large or cut off, or is no report that keras_hls knows.
    """
    path = Path(path)
    if not path.exists():
        raise HLSError(f"There is no report {str(path)!r}; synthesise first")
    if path.is_dir():
        raise HLSError(f"{str(path)!r} is a folder, not a report; read it with read_folder")
    return parse(read_text(path), str(path))


def read_folder(folder: str | Path) -> SynthesisReports:
    """Read every report below a folder.

    Parameters
    ----------
    folder : str or Path
        Of one project: an hls4ml or keras_hls project, a project or a solution of the HLS tool, a run of Vivado.

    Returns
    -------
    SynthesisReports
        Figures of a module from its XML rather than from its text, and from either rather than from a list of all
        modules; of a design from the latest state of each stage.

    Raises
    ------
    HLSError
        If there is no such folder or no report in it, if a report is cut off or damaged, or if two of them contradict
        each other; then both are named.
    """
    folder = Path(folder)
    if not folder.is_dir():
        what = "is a file, not a folder; read it with read_report" if folder.exists() else "doesn't exist"
        raise HLSError(f"Folder {str(folder)!r} {what}; name the folder that the project was synthesised in")
    files, ignored = [], []
    for path in report_paths(folder):
        if recognise(read_head(path)) is not None:
            files.append(parse(read_text(path), str(path)))
            continue
        if _OWN_NAMES.fullmatch(path.name):
            read_text(path)
        ignored.append(path)
    if not files:
        seen = f" ({len(ignored)} files named like one are none, {str(ignored[0])!r} among them)" if ignored else ""
        raise HLSError(f"Folder {str(folder)!r} holds no synthesis report{seen}; synthesise the project first")
    return _together(folder, files, tuple(ignored))


def _together(folder: Path, files: Sequence[ReportFile], ignored: tuple[Path, ...]) -> SynthesisReports:
    csynth = _csynth([file for file in files if file.modules and file.modules[0].stage == "csynth"])
    name = csynth.top.name if csynth else None
    timing = _unique_timing(file.timing for file in files if file.timing is not None)
    stages: dict[Stage, StageReports | None] = {"csynth": csynth}
    for stage in STAGES[1:]:
        designs = [file for file in files if file.modules and file.modules[0].stage == stage]
        stages[stage] = _design(designs, name, [each for each in timing if each.stage == stage])
    _same_part([reports.top for reports in stages.values() if reports is not None])
    return SynthesisReports(folder, stages["csynth"], stages["synth"], stages["impl"], timing, ignored)


# -- C synthesis -------------------------------------------------------------------------------------------------------


def _csynth(files: Sequence[ReportFile]) -> StageReports | None:
    """The modules of C synthesis, each from the file that says it best."""
    if not files:
        return None
    _one_run([file.modules[0] for file in files])
    said: dict[str, dict[int, ModuleReport]] = {}
    for file in files:
        for place, module in enumerate(file.modules):
            best = said.setdefault(module.name, {})
            level = _level(file, place)
            if level in best:
                _agree(best[level], module)
            best.setdefault(level, module)
    modules = {name: _merged(levels) for name, levels in said.items()}
    modules = {name: _filled(module, modules) for name, module in modules.items()}
    top = _top_function(files, modules)
    others = tuple(modules[name] for name in sorted(modules) if name != top)
    return StageReports(modules[top], others)


def _level(file: ReportFile, place: int) -> int:
    if file.kind == csynth_tree.KIND:
        return _TREE
    if file.kind == csynth_text.KIND:
        return _OWN_TEXT
    assert file.kind == csynth_xml.KIND
    return _LISTED if place else _OWN_XML


def _one_run(modules: Sequence[ModuleReport]) -> None:
    """Refuse reports of different runs: another version, part or clock."""
    first = modules[0]
    timed = next((module for module in modules if module.clock_target_ns is not None), None)
    for module in modules[1:]:
        if module.version != first.version:
            raise _contradiction(first, module, f"are of versions {first.version} and {module.version}")
        if _plain_part(module.part) != _plain_part(first.part):
            raise _contradiction(first, module, f"are for parts {first.part!r} and {module.part!r}")
        if timed and module.clock_target_ns is not None and module.clock_target_ns != timed.clock_target_ns:
            clocks = f"{timed.clock_target_ns:g} ns and {module.clock_target_ns:g} ns"
            raise _contradiction(timed, module, f"are for clocks of {clocks}")


def _agree(first: ModuleReport, second: ModuleReport) -> None:
    """Refuse two reports of the same kind about one module that say different things; copies may be there."""
    if replace(first, instances=()) != replace(second, instances=()):
        raise _contradiction(first, second, f"say different things of {first.name!r}")


def _merged(levels: Mapping[int, ModuleReport]) -> ModuleReport:
    best = levels[min(levels)]
    if _OWN_XML in levels and _OWN_TEXT in levels:
        _same_figures(levels[_OWN_XML], levels[_OWN_TEXT])
    # XML knows at most the names of instances, which the text has figures of.
    order = [_OWN_TEXT, _OWN_XML, _LISTED, _TREE]
    instances = next((levels[each].instances for each in order if each in levels and levels[each].instances), ())
    return replace(best, instances=instances)


def _same_figures(xml: ModuleReport, text: ModuleReport) -> None:
    """Refuse an XML and a text that aren't of one run.

    Their intervals may differ: of functions without a pipeline, Vivado HLS writes the latency to the text, and one cycle
    more to the XML.
    """
    for name in ("lut", "ff", "dsp", "bram18", "latency_min", "latency_max", "clock_estimated_ns"):
        one, other = getattr(xml, name), getattr(text, name)
        if one != other:
            raise _contradiction(xml, text, f"say different things of {xml.name!r}: {name} {one} and {other}")


def _filled(module: ModuleReport, modules: Mapping[str, ModuleReport]) -> ModuleReport:
    """A module's instances with the figures of their modules, where it has only their names."""
    return replace(module, instances=tuple(_with_figures(each, modules) for each in module.instances))


def _with_figures(instance: Instance, modules: Mapping[str, ModuleReport]) -> Instance:
    known = modules.get(instance.module)
    if instance.lut is not None or known is None:
        return instance
    return Instance(
        instance.name,
        instance.module,
        known.lut,
        known.ff,
        known.dsp,
        known.bram18,
        known.uram,
        known.latency_min,
        known.latency_max,
        known.ii_min,
        known.ii_max,
    )


def _top_function(files: Sequence[ReportFile], modules: Mapping[str, ModuleReport]) -> str:
    """The function that a report of the whole project is about, or the one that no other instantiates."""
    whole = {file.modules[0].name: file.modules[0] for file in files if file.whole}
    if len(whole) > 1:
        first, second, *_ = whole.values()
        raise _contradiction(first, second, f"have the top functions {first.name!r} and {second.name!r}")
    if whole:
        return next(iter(whole))
    roots = _roots(modules)
    if len(roots) > 1:
        first, second = (modules[name] for name in roots[:2])
        raise _contradiction(
            first, second, f"are of {first.name!r} and {second.name!r}, and no report says which of them is used where"
        )
    return roots[0]


def _roots(modules: Mapping[str, ModuleReport]) -> list[str]:
    inner = {row.module for module in modules.values() for row in module.instances if row.module != module.name}
    return [name for name in modules if name not in inner] or [next(iter(modules))]


# -- Vivado ------------------------------------------------------------------------------------------------------------


def _design(files: Sequence[ReportFile], function: str | None, timing: Sequence[TimingReport]) -> StageReports | None:
    """The designs of one stage, each in its latest state; a list by hierarchy tells what is inside."""
    if not files:
        return None
    flat, tree, inner = (_latest(modules) for modules in _sorted_modules(files))
    designs = dict(tree)
    for name, module in flat.items():
        parts = tree[name].instances if name in tree and not module.instances else module.instances
        designs[name] = replace(module, instances=parts)
    roots = _of_function(function, designs) or _roots(designs)
    if len(roots) > 1:
        first, second = (designs[name] for name in roots[:2])
        raise _contradiction(first, second, f"are of the designs {first.name!r} and {second.name!r}")
    top = designs[roots[0]]
    if top.black_boxes:
        raise problem(
            top.source,
            f"leaves out {len(top.black_boxes)} designs inside {top.name!r}, {top.black_boxes[0]!r} among them",
            "read the folder of that design's run, or implement the whole",
        )
    every = {**inner, **designs}
    own = [each for each in timing if each.name == top.name]
    last = max(own, key=lambda each: progress(each.state), default=None)
    others = tuple(_filled(every[name], every) for name in sorted(every) if name != top.name)
    return StageReports(_filled(top, every), others, last)


def _of_function(function: str | None, designs: Mapping[str, ModuleReport]) -> list[str]:
    """The designs that are the top function: under its own name, or as Vivado names it in a block design."""
    if function is None or function in designs:
        return [function] if function else []
    return [name for name in designs if re.fullmatch(rf"\w+_{re.escape(function)}_\d+_\d+", name)]


def _sorted_modules(
    files: Sequence[ReportFile],
) -> tuple[list[ModuleReport], list[ModuleReport], list[ModuleReport]]:
    flat = [file.modules[0] for file in files if file.kind == vivado_utilization.KIND]
    trees = [file for file in files if file.kind == vivado_hierarchy.KIND]
    return flat, [file.modules[0] for file in trees], [module for file in trees for module in file.modules[1:]]


def _latest(modules: Iterable[ModuleReport]) -> dict[str, ModuleReport]:
    """By name the module of the latest state; two different ones of the same state contradict each other."""
    latest: dict[str, ModuleReport] = {}
    for module in modules:
        known = latest.get(module.name)
        if known is not None and known.state == module.state and known != module:
            raise _contradiction(known, module, f"say different things of {module.name!r}")
        if known is None or progress(module.state) > progress(known.state):
            latest[module.name] = module
    return latest


def _unique_timing(reports: Iterable[TimingReport]) -> tuple[TimingReport, ...]:
    seen: dict[tuple[str, str], TimingReport] = {}
    for report in reports:
        known = seen.setdefault((report.name, report.state), report)
        if report.state and known != report:
            raise _contradiction(known, report, f"say different things of the timing of {report.name!r}")
    return tuple(seen.values())


def _same_part(tops: Sequence[ModuleReport]) -> None:
    for module in tops[1:]:
        one, other = _plain_part(tops[0].part), _plain_part(module.part)
        # Vivado may leave the temperature grade out.
        if not one.startswith(other) and not other.startswith(one):
            raise _contradiction(tops[0], module, f"are for parts {tops[0].part!r} and {module.part!r}")


def _plain_part(part: str) -> str:
    """A part as all tools would spell it: without the makers' letters and without dashes."""
    return re.sub(r"^xc", "", part.lower()).replace("-", "")


def _contradiction(first: ModuleReport | TimingReport, second: ModuleReport | TimingReport, what: str) -> HLSError:
    return HLSError(
        f"Reports {first.source!r} and {second.source!r} {what}; they are of different projects or runs: read the folder"
        " of one of them, or remove the other"
    )
