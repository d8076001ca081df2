"""What a synthesis report says, whichever tool and version wrote it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

#: "csynth": estimates of C synthesis; "synth": the netlist after logic synthesis; "impl": placed or routed.
Stage = Literal["csynth", "synth", "impl"]

STAGES: tuple[Stage, ...] = ("csynth", "synth", "impl")


@dataclass(frozen=True)
class Instance:
    """One use of a module inside another: a row of the instance tables.

    Attributes
    ----------
    name : str
        Of the instance.
    module : str
        Which module it is.
    lut, ff, dsp, bram18, uram : int or None
        None where the report lists the instance without its resources.
    latency_min, latency_max : int or None
        In clock cycles.
    ii_min, ii_max : int or None
        Initiation interval, in clock cycles.
    """

    name: str
    module: str
    lut: int | None = None
    ff: int | None = None
    dsp: int | None = None
    bram18: int | None = None
    uram: int | None = None
    latency_min: int | None = None
    latency_max: int | None = None
    ii_min: int | None = None
    ii_max: int | None = None


@dataclass(frozen=True)
class ModuleReport:
    """The figures of one module, which include those of all that it instantiates.

    Attributes
    ----------
    name : str
        Of the module: a C function, or a design in Vivado.
    tool : str
        "Vivado HLS", "Vitis HLS" or "Vivado".
    version : str
        Of the tool, such as "2023.2".
    stage : {"csynth", "synth", "impl"}
    part : str
        As the report spells it; the tools differ in prefix and dashes.
    lut, ff, dsp : int
    bram18 : int
        Block RAMs of 18 kbit; one of 36 kbit is two.
    uram : int or None
        None where the report doesn't mention them.
    clock_target_ns, clock_estimated_ns : float or None
        Clock periods in nanoseconds; C synthesis only.
    latency_min, latency_max : int or None
        In clock cycles; None where the report can't tell ("?", "undef"), and for Vivado.
    ii_min, ii_max : int or None
        Initiation interval in clock cycles, likewise.
    instances : tuple of Instance
        What it instantiates directly, where the report lists it.
    black_boxes : tuple of str
        Designs inside that the figures leave out; Vivado lists those that it has synthesised apart.
    state : str
        Vivado's design state, such as "Routed".
    source : str
        The file; two reports are equal if they say the same, wherever they stand.
    """

    name: str
    tool: str
    version: str
    stage: Stage
    part: str
    lut: int
    ff: int
    dsp: int
    bram18: int
    uram: int | None = None
    clock_target_ns: float | None = None
    clock_estimated_ns: float | None = None
    latency_min: int | None = None
    latency_max: int | None = None
    ii_min: int | None = None
    ii_max: int | None = None
    instances: tuple[Instance, ...] = ()
    black_boxes: tuple[str, ...] = ()
    state: str = ""
    source: str = field(default="", compare=False)


@dataclass(frozen=True)
class ClockTiming:
    """One clock of a timing report.

    Attributes
    ----------
    name : str
    period_ns : float
        What the constraints ask for.
    wns_ns : float or None
        Worst slack of the paths inside this clock; None if it has none.
    """

    name: str
    period_ns: float
    wns_ns: float | None


@dataclass(frozen=True)
class TimingReport:
    """What static timing analysis found.

    Attributes
    ----------
    name : str
        The design.
    tool, version, part : str
    stage : {"synth", "impl"} or None
        None where neither the report nor the name that it was written under says it.
    wns_ns : float or None
        Worst negative slack in nanoseconds, positive where timing is met; None without constraints.
    tns_ns : float or None
        Total negative slack.
    failing : int or None
        Endpoints whose setup fails.
    clocks : tuple of ClockTiming
    state : str
        The design state.
    source : str
    """

    name: str
    tool: str
    version: str
    part: str
    stage: Stage | None
    wns_ns: float | None
    tns_ns: float | None
    failing: int | None
    clocks: tuple[ClockTiming, ...] = ()
    state: str = ""
    source: str = field(default="", compare=False)

    @property
    def met(self) -> bool | None:
        """Whether every setup constraint is met; None without constraints."""
        return None if self.wns_ns is None else self.wns_ns >= 0

    @property
    def clock(self) -> ClockTiming | None:
        """The clock that has the worst slack; None if the worst path runs between clocks, or without constraints."""
        worst = [clock for clock in self.clocks if clock.wns_ns is not None and clock.wns_ns == self.wns_ns]
        return worst[0] if worst else None

    @property
    def achieved_ns(self) -> float | None:
        """The shortest period that the worst clock would have met, in nanoseconds: its period less its slack."""
        clock = self.clock
        if clock is None or clock.wns_ns is None:
            return None
        # Reports have three decimals; the difference of two such numbers has no more.
        return round(clock.period_ns - clock.wns_ns, 6)


@dataclass(frozen=True)
class ReportFile:
    """All that one file says.

    Attributes
    ----------
    kind : str
        Which format it is; see `keras_hls.reports.recognition`.
    modules : tuple of ModuleReport
        First the one that the report is about, then others that it has figures for.
    timing : TimingReport or None
    whole : bool
        Whether the report is about a whole project, so that its first module is the top function.
    source : str
        The file.
    """

    kind: str
    modules: tuple[ModuleReport, ...] = ()
    timing: TimingReport | None = None
    whole: bool = False
    source: str = field(default="", compare=False)
