"""What a network costs on a device, by layer and in all: estimated, or read from reports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

from keras_hls.cost.devices import RESOURCES, Device
from keras_hls.errors import HLSError, InvalidOption
from keras_hls.reports.model import STAGES

if TYPE_CHECKING:
    from pandas import DataFrame

Interval = tuple[int, int]


@dataclass(frozen=True)
class Resources:
    """What is used of a device at one stage.

    Parameters
    ----------
    lut, ff, dsp, bram, uram : int
        `bram` in blocks of 18 kbit.
    intervals : mapping of str to (int, int)
        For each of these, between what the truth is expected in 8 of 10 cases; empty for figures that were measured.
    """

    lut: int = 0
    ff: int = 0
    dsp: int = 0
    bram: int = 0
    uram: int = 0
    intervals: Mapping[str, Interval] = field(default_factory=dict)

    def interval(self, name: str) -> Interval:
        """Return the ends of a figure's interval: twice the figure if it was measured."""
        return self.intervals.get(name, (getattr(self, name),) * 2)

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON holds it."""
        found: dict[str, Any] = {name: getattr(self, name) for name in RESOURCES}
        if self.intervals:
            found["intervals"] = {name: list(ends) for name, ends in self.intervals.items()}
        return found

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Resources:
        """Return what `to_dict` was asked for."""
        ends = {name: (int(low), int(high)) for name, (low, high) in data.get("intervals", {}).items()}
        return cls(**{**data, "intervals": ends})


class Staged:
    """What layers and networks have in common: resources by stage, of which one is shown."""

    stages: Mapping[str, Resources]
    stage: str

    @property
    def resources(self) -> Resources:
        """Those of this stage."""
        return self.stages[self.stage]

    @property
    def lut(self) -> int:
        """Look-up tables."""
        return self.resources.lut

    @property
    def ff(self) -> int:
        """Flip-flops."""
        return self.resources.ff

    @property
    def dsp(self) -> int:
        """DSP blocks."""
        return self.resources.dsp

    @property
    def bram(self) -> int:
        """Block RAMs of 18 kbit."""
        return self.resources.bram

    @property
    def uram(self) -> int:
        """UltraRAMs."""
        return self.resources.uram


@dataclass(frozen=True)
class LayerEstimate(Staged):
    """What one operation of the network costs.

    `lut`, `ff`, `dsp`, `bram` (of 18 kbit) and `uram` are those of `stage`.

    Parameters
    ----------
    name : str
        The operation's name in the graph.
    layer : str
        The model's layer that it comes from.
    op : str
        What it does.
    shape : tuple of int
        Shape of its output for one sample.
    type : str
        The narrowest fixed-point type that holds every element of its output.
    stages : mapping of str to Resources
        "csynth": what the report of C synthesis says; "impl": what is placed on the device.
    stage : str
        Which of them the figures are of.
    latency_cycles : int or None
        Clock cycles from its inputs to its output.
    ii : int or None
        Initiation interval: clock cycles until it takes the next sample.
    clock_ns : float or None
        The longest path between two clock edges.
    strategy : str
    reuse_factor : int
    calibrated : bool
        Whether published reports say something of what it is made of.
    """

    name: str
    layer: str
    op: str
    shape: tuple[int, ...]
    type: str
    stages: Mapping[str, Resources]
    stage: str
    latency_cycles: int | None
    ii: int | None
    clock_ns: float | None
    strategy: str
    reuse_factor: int
    calibrated: bool = True


@dataclass(frozen=True)
class ResourceEstimate(Staged):
    """What a network costs on a device: an estimate, or what reports say.

    `lut`, `ff`, `dsp`, `bram` (of 18 kbit) and `uram` are those of all layers at `stage`; `at` gives the other stage.
    ``print`` it for a table.

    Parameters
    ----------
    layers : tuple of LayerEstimate
        In the graph's order; the inputs have no row.
    device : Device
    clock_period : float or None
        In nanoseconds; None where no report says it.
    stages : mapping of str to Resources
        Of the whole, with intervals: "csynth", what the report of C synthesis says; "impl", what must fit.
    stage : str
        Which of them the figures are of.
    latency_cycles : int or None
        Clock cycles from the inputs to the last output, along the longest path: parallel branches don't add up.
    latency_interval : (int, int) or None
        Between what the latency is expected in 8 of 10 cases.
    ii : int or None
        Initiation interval: clock cycles between samples, as the slowest layer sets them.
    clock_ns : float or None
        The longest path between two clock edges, by the tool's own delays.
    clock_budget_ns : float or None
        What of the period the tool lets logic fill.
    source : str
        Which model, with which coefficients; or which reports.
    """

    layers: tuple[LayerEstimate, ...]
    device: Device
    clock_period: float | None
    stages: Mapping[str, Resources]
    stage: str
    latency_cycles: int | None
    latency_interval: Interval | None
    ii: int | None
    clock_ns: float | None
    clock_budget_ns: float | None
    source: str

    def at(self, stage: str) -> ResourceEstimate:
        """Return the same with the figures of another stage.

        Parameters
        ----------
        stage : str
            "csynth" or "impl"; of reports also "synth".

        Raises
        ------
        InvalidOption
            If it says nothing of that stage.
        """
        if stage not in self.stages:
            raise InvalidOption(f"stage must be one of {', '.join(map(repr, self.stages))} here, not {stage!r}")
        rows = tuple(replace(row, stage=stage) if stage in row.stages else row for row in self.layers)
        return replace(self, stage=stage, layers=rows)

    @property
    def calibrated(self) -> bool:
        """Whether published reports say something of what every layer is made of."""
        return all(row.calibrated for row in self.layers)

    @property
    def clock_met(self) -> bool | None:
        """Whether the clock is likely met; None where nothing tells."""
        if self.clock_ns is None or self.clock_budget_ns is None:
            return None
        return self.clock_ns <= self.clock_budget_ns

    @property
    def used(self) -> dict[str, float]:
        """The share of the device that is used, by resource; above 1 where it doesn't fit."""
        return {key: _share(getattr(self, key), has) for key, has in self.device.resources.items()}

    @property
    def fits(self) -> bool:
        """Whether the device holds it, as far as the figures of this stage can tell."""
        return all(share <= 1 for share in self.used.values())

    def metrics(self) -> dict[str, float]:
        """Return the totals as plain floats, under the names that callbacks log; what isn't known isn't there."""
        values = {"latency_cycles": self.latency_cycles, "ii": self.ii}
        found = {f"hls_{name}": float(getattr(self, name)) for name in ("lut", "ff", "dsp", "bram")}
        return found | {f"hls_{name}": float(value) for name, value in values.items() if value is not None}

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as JSON holds it; `from_dict` takes it back."""
        found = {each.name: getattr(self, each.name) for each in fields(self)}
        return {
            **found,
            "device": asdict(self.device),
            "stages": _stages_dict(self.stages),
            "latency_interval": None if self.latency_interval is None else list(self.latency_interval),
            "layers": [
                {
                    **{each.name: getattr(row, each.name) for each in fields(row)},
                    "shape": list(row.shape),
                    "stages": _stages_dict(row.stages),
                }
                for row in self.layers
            ],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ResourceEstimate:
        """Return the estimate that `to_dict` was asked for.

        Raises
        ------
        HLSError
            If something is missing or unknown in it.
        """
        try:
            rows, ends = data["layers"], data["latency_interval"]
            return cls(
                **{
                    **data,
                    "layers": tuple(
                        LayerEstimate(**{**row, "shape": tuple(row["shape"]), "stages": _stages_from(row["stages"])})
                        for row in rows
                    ),
                    "device": Device(**data["device"]),
                    "stages": _stages_from(data["stages"]),
                    "latency_interval": None if ends is None else (int(ends[0]), int(ends[1])),
                }
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise HLSError(f"An estimate must be what ResourceEstimate.to_dict returns, but: {error}") from None

    def to_pandas(self) -> DataFrame:
        """Return a table with a row for each layer; needs pandas."""
        import pandas

        return pandas.DataFrame([_plain(row) for row in self.layers], columns=list(_COLUMNS))

    def __str__(self) -> str:
        from keras_hls.cost.show import as_text

        return as_text(self)

    def _repr_html_(self) -> str:
        from keras_hls.cost.show import as_html

        return as_html(self)


#: Columns of the table of layers for pandas: those of the stage that is shown, then those of each stage.
_COLUMNS = (
    *("name", "layer", "op", "shape", "type", *RESOURCES, "latency_cycles", "ii", "clock_ns", "strategy"),
    *("reuse_factor", "calibrated"),
    *(f"{name}_{stage}" for stage in ("csynth", "impl") for name in RESOURCES),
)


def _plain(row: LayerEstimate) -> dict[str, Any]:
    known = {f"{name}_{stage}": getattr(figures, name) for stage, figures in row.stages.items() for name in RESOURCES}
    return {name: known.get(name) if name not in dir(row) else getattr(row, name) for name in _COLUMNS}


def _share(need: int, has: int) -> float:
    return need / has if has else float("inf") if need else 0.0


def _stages_dict(stages: Mapping[str, Resources]) -> dict[str, Any]:
    return {stage: figures.to_dict() for stage, figures in stages.items()}


def _stages_from(data: Mapping[str, Any]) -> dict[str, Resources]:
    unknown = set(data) - set(STAGES)
    if unknown or not data:
        raise ValueError(f"unknown stages {sorted(unknown)}" if unknown else "it has no stage")
    return {stage: Resources.from_dict(figures) for stage, figures in data.items()}
