"""Run the vendor's tool on a written project, and hold what it reports beside what was estimated."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from keras_hls import tracking
from keras_hls.cost import ResourceEstimate
from keras_hls.cost.devices import RESOURCES
from keras_hls.cost.from_reports import read_reports
from keras_hls.errors import HLSError, InvalidOption, ToolNotFound
from keras_hls.reports.files import report_paths
from keras_hls.text_table import text_table

SCRIPT = "build_prj.tcl"
LOG = "build.log"
#: What the script does for each stage; it reads them from this variable, since the unified tool hands on no arguments.
STEPS_VARIABLE = "KERAS_HLS_STEPS"
_STEPS = {"csynth": "synth", "impl": "synth impl"}
#: The commands of the tool, the newest first, with their arguments.
_TOOLS = (
    ("vitis-run", ("--mode", "hls", "--tcl", SCRIPT)),
    ("vitis_hls", ("-f", SCRIPT)),
    ("vivado_hls", ("-f", SCRIPT)),
)


@dataclass(frozen=True)
class Build:
    """What a synthesis came to.

    ``print`` it for estimate and truth side by side.

    Parameters
    ----------
    estimate : ResourceEstimate
        What was estimated when the project was written.
    reports : ResourceEstimate
        What the tool reports.
    log : Path
        Of the tool.
    """

    estimate: ResourceEstimate
    reports: ResourceEstimate
    log: Path

    def __str__(self) -> str:
        head = ("Stage", "", "Estimated", "80 %", "Reported", "Reported / estimated")
        return text_table(head, self._rows(), left=(0, 1))

    def _rows(self) -> list[tuple[str, ...]]:
        rows = []
        for stage in self.reports.stages:
            ours = self.estimate.stages.get(estimated_as(stage))
            if ours is None:
                continue
            for name in RESOURCES:
                ends = ours.interval(name)
                rows.append(
                    _row(stage, name.upper(), getattr(ours, name), ends, getattr(self.reports.stages[stage], name))
                )
        for name, span in (("latency_cycles", self.estimate.latency_interval), ("ii", None)):
            reported, guess = getattr(self.reports, name), getattr(self.estimate, name)
            if reported is not None and guess is not None:
                rows.append(_row("csynth", _WORDS[name], guess, span or (guess, guess), reported))
        for row in self.reports.layers:
            known = next((each for each in self.estimate.layers if each.name == row.name), None)
            found = row.stages.get("csynth")
            if known is not None and found is not None:
                ours = known.stages["csynth"]
                rows.append(_row("csynth", f"LUT of {row.name}", ours.lut, ours.interval("lut"), found.lut))
        return rows

    def metrics(self) -> dict[str, float]:
        """Return estimate and truth of each stage under the names that MLflow gets: "hls_csynth_lut", "..._reported"."""
        found: dict[str, float] = {}
        for stage, reported in self.reports.stages.items():
            ours = self.estimate.stages.get(estimated_as(stage))
            for name in RESOURCES if ours is not None else ():
                found[f"hls_{stage}_{name}"] = float(getattr(ours, name))
                found[f"hls_{stage}_{name}_reported"] = float(getattr(reported, name))
        for name in ("latency_cycles", "ii", "clock_ns"):
            values = {"": getattr(self.estimate, name), "_reported": getattr(self.reports, name)}
            found.update({f"hls_{name}{end}": float(value) for end, value in values.items() if value is not None})
        return found


_WORDS = {"latency_cycles": "Latency", "ii": "II"}


def estimated_as(stage: str) -> str:
    """Return the stage that is estimated for one that is reported: what is there after logic synthesis is to be placed."""
    return "impl" if stage == "synth" else stage


def _row(stage: str, what: str, guess: int, ends: tuple[int, int], truth: int) -> tuple[str, ...]:
    ratio = f"{truth / guess:.2f}" if guess else "" if truth else "1.00"
    return stage, what, f"{guess:,}", f"{ends[0]:,}-{ends[1]:,}", f"{truth:,}", ratio


def find_tool() -> list[str]:
    """Return the command that runs the script of a project.

    Raises
    ------
    ToolNotFound
        If none is on PATH.
    """
    for name, arguments in _TOOLS:
        path = shutil.which(name)
        if path is not None:
            return [path, *arguments]
    names = ", ".join(name for name, _ in _TOOLS)
    raise ToolNotFound(
        f"Synthesis needs Vitis HLS, and none of its commands ({names}) is on PATH: source the settings64.sh of its"
        " installation. project.predict, verify and estimate work without"
    )


def synthesise(folder: Path, estimate: ResourceEstimate, stage: str = "csynth", timeout: float | None = None) -> Build:
    """Synthesise a project in its folder; see `keras_hls.Project.build`."""
    if stage not in _STEPS:
        raise InvalidOption(f"stage must be one of {', '.join(map(repr, _STEPS))}, not {stage!r}")
    if timeout is not None and not (isinstance(timeout, (int, float)) and timeout > 0):
        raise InvalidOption(f"timeout must be a number of seconds above 0, or None, not {timeout!r}")
    if not (folder / SCRIPT).is_file():
        raise HLSError(f"Project {str(folder)!r} has no {SCRIPT} any more; export the model again")
    command, log = find_tool(), folder / LOG
    tool = Path(command[0]).name
    before = _reports(folder)
    try:
        code = _run(command, folder, log, {**os.environ, STEPS_VARIABLE: _STEPS[stage]}, timeout)
    except subprocess.TimeoutExpired:
        raise HLSError(f"{tool} took longer than {timeout:g} s and was ended; see {str(log)!r}") from None
    except OSError as error:
        raise HLSError(f"{command[0]!r} can't be run: {error}") from None
    if code:
        raise HLSError(f"{tool} failed with code {code}; see {str(log)!r}{_errors(log)}")
    if _reports(folder) <= before:
        # What an earlier run has left is no truth about this one.
        raise HLSError(f"{tool} wrote no report; see {str(log)!r}{_errors(log)}")
    found = Build(estimate, read_reports(folder), log)
    if stage not in found.reports.stages:
        raise HLSError(f"{tool} left no report of stage {stage!r}; see {str(log)!r}{_errors(log)}")
    _record(found)
    return found


def _reports(folder: Path) -> set[tuple[str, int, int]]:
    """The reports of a folder, each with when it was written."""
    return {(str(path), path.stat().st_mtime_ns, path.stat().st_ino) for path in report_paths(folder)}


def _run(command: list[str], folder: Path, log: Path, environment: dict[str, str], timeout: float | None) -> int:
    """Run a tool to its end, or end it with all that it has started."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        return process.wait(timeout)
    except BaseException:
        with suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise


def _errors(log: Path) -> str:
    """The last lines of a log that say what went wrong."""
    lines: list[str] = []
    with suppress(OSError):
        lines = log.read_text(errors="replace").splitlines()
    said = [line.strip() for line in lines if re.match(r"\s*(ERROR|CRITICAL WARNING)\b", line)][-3:]
    return "".join(f"\n  {line[:400]}" for line in said)


def _record(found: Build) -> None:
    """Log both to the run of MLflow that is active, if any; never raises for what MLflow does."""
    run = tracking.active_run_id()
    if run is None:
        return
    sink = tracking.MLflowSink()
    sink.join(run)
    sink.metrics(found.metrics(), 0)
    sink.text(f"{found}\n", "hls/synthesis.txt")
    sink.close()
    sink.warn()
