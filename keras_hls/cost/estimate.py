"""What a network costs on a device: a row for each operation, totals, and the latency along its longest path.

This is the first version of the cost model: of first order, and not calibrated. It predicts the stage "csynth": what
the report of C synthesis would say. Logic synthesis and placement need fewer LUTs: over 53 pairs of published reports
they took 0.51 of those figures (median; 0.09 to 1.3), and about as many DSPs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from keras_hls.cost.devices import Device, device
from keras_hls.cost.silicon import Technology, stage, version, work_silicon
from keras_hls.errors import HLSError, InvalidOption
from keras_hls.graph import Graph, Node
from keras_hls.graph import work as node_work
from keras_hls.op import Plan

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True)
class LayerEstimate:
    """What one operation of the network costs.

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
    lut, ff, dsp, bram : int
        `bram` in blocks of 18 kbit.
    latency_cycles : int
        Clock cycles from its inputs to its output.
    ii : int
        Initiation interval: clock cycles until it takes the next sample.
    strategy : str
    reuse_factor : int
    """

    name: str
    layer: str
    op: str
    shape: tuple[int, ...]
    type: str
    lut: int
    ff: int
    dsp: int
    bram: int
    latency_cycles: int
    ii: int
    strategy: str
    reuse_factor: int


@dataclass(frozen=True)
class ResourceEstimate:
    """What a network costs on a device: figures of first order, from an uncalibrated model.

    ``print`` it for a table.

    Parameters
    ----------
    layers : tuple of LayerEstimate
        In the graph's order; the inputs have no row.
    device : Device
    clock_period : float
        In nanoseconds.
    latency_cycles : int
        Clock cycles from the inputs to the last output, along the longest path: parallel branches don't add up.
    stage : str
        Whose figures these are: "csynth", the report of C synthesis.
    version : str
        The model and its coefficients.
    """

    layers: tuple[LayerEstimate, ...]
    device: Device
    clock_period: float
    latency_cycles: int
    stage: str
    version: str

    @property
    def lut(self) -> int:
        """Look-up tables of all layers."""
        return sum(row.lut for row in self.layers)

    @property
    def ff(self) -> int:
        """Flip-flops of all layers."""
        return sum(row.ff for row in self.layers)

    @property
    def dsp(self) -> int:
        """DSP blocks of all layers."""
        return sum(row.dsp for row in self.layers)

    @property
    def bram(self) -> int:
        """Block RAMs of 18 kbit of all layers."""
        return sum(row.bram for row in self.layers)

    @property
    def ii(self) -> int:
        """Initiation interval: the clock cycles between samples, as the slowest layer sets them."""
        return max((row.ii for row in self.layers), default=1)

    @property
    def used(self) -> dict[str, float]:
        """The share of the device that is used, for "lut", "ff", "dsp" and "bram"; above 1 where it doesn't fit."""
        chip = self.device
        pairs = {
            "lut": (self.lut, chip.lut),
            "ff": (self.ff, chip.ff),
            "dsp": (self.dsp, chip.dsp),
            "bram": (self.bram, chip.bram18),
        }
        return {key: need / has if has else float("inf") if need else 0.0 for key, (need, has) in pairs.items()}

    @property
    def fits(self) -> bool:
        """Whether the device holds it, as far as the figures of this stage can tell."""
        return all(share <= 1 for share in self.used.values())

    def metrics(self) -> dict[str, float]:
        """Return the totals as plain floats, under the names that callbacks log."""
        return {
            "hls_lut": float(self.lut),
            "hls_ff": float(self.ff),
            "hls_dsp": float(self.dsp),
            "hls_bram": float(self.bram),
            "hls_latency_cycles": float(self.latency_cycles),
            "hls_ii": float(self.ii),
        }

    def to_dict(self) -> dict[str, Any]:
        """Return all of it as JSON holds it; `from_dict` takes it back."""
        return {
            "stage": self.stage,
            "version": self.version,
            "device": asdict(self.device),
            "clock_period": self.clock_period,
            "latency_cycles": self.latency_cycles,
            "layers": [{**asdict(row), "shape": list(row.shape)} for row in self.layers],
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
            return cls(
                layers=tuple(LayerEstimate(**{**row, "shape": tuple(row["shape"])}) for row in data["layers"]),
                device=Device(**data["device"]),
                clock_period=data["clock_period"],
                latency_cycles=data["latency_cycles"],
                stage=data["stage"],
                version=data["version"],
            )
        except (KeyError, TypeError) as error:
            raise HLSError(f"An estimate must be what ResourceEstimate.to_dict returns, but: {error}") from None

    def to_pandas(self) -> DataFrame:
        """Return a table with a row for each layer; needs pandas."""
        import pandas

        return pandas.DataFrame([asdict(row) for row in self.layers], columns=list(LayerEstimate.__annotations__))

    def _table(self) -> list[tuple[str, ...]]:
        """The cells of the table: head, layers, total, device, share."""
        head = ("Layer (op)", "Output shape", "Type", "LUT", "FF", "DSP", "BRAM18", "Cycles", "II", "Strategy", "Reuse")
        rows = [
            (
                f"{row.name} ({row.op})",
                str(row.shape),
                row.type,
                *_counts(row.lut, row.ff, row.dsp, row.bram, row.latency_cycles, row.ii),
                row.strategy,
                str(row.reuse_factor),
            )
            for row in self.layers
        ]
        chip, used = self.device, self.used
        total = _counts(self.lut, self.ff, self.dsp, self.bram, self.latency_cycles, self.ii)
        holds = _counts(chip.lut, chip.ff, chip.dsp, chip.bram18)
        shares = (f"{used[key]:.1%}" for key in ("lut", "ff", "dsp", "bram"))
        return [
            head,
            *rows,
            ("Total", "", "", *total, "", ""),
            (chip.name, "", "", *holds, "", "", "", ""),
            ("Used", "", "", *shares, "", "", "", ""),
        ]

    def _title(self) -> str:
        return f"Estimate for {self.device.part} at {self.clock_period:g} ns"

    def _notes(self) -> list[str]:
        """What to know about the figures."""
        notes = [
            f"Stage {self.stage}: what the report of C synthesis would say; placement usually needs fewer LUTs.",
            f"First-order figures, model version {self.version}. Cycles of the total: longest path.",
        ]
        if not self.fits:
            over = ", ".join(key.upper() for key, share in self.used.items() if share > 1)
            notes.insert(0, f"Doesn't fit: more {over} than {self.device.name} has.")
        return notes

    def __str__(self) -> str:
        table = self._table()
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = [_line(cells, widths) for cells in table]
        rule = "-" * len(_line(["-" * width for width in widths], widths))
        body = [lines[0], rule, *lines[1:-3], rule, *lines[-3:]]
        return "\n".join([self._title(), "", *body, "", *self._notes()])

    def _repr_html_(self) -> str:
        table = self._table()
        head = "".join(f"<th>{escape(cell)}</th>" for cell in table[0])
        body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>" for cells in table[1:])
        notes = "<br>".join(map(escape, self._notes()))
        return (
            f"<table><caption>{escape(self._title())}</caption><thead><tr>{head}</tr></thead>"
            f"<tbody>{body}</tbody></table><p>{notes}</p>"
        )


#: Columns of the table that hold text, so start at the left.
_TEXT = frozenset((0, 1, 2, 9))


def _counts(*values: int) -> tuple[str, ...]:
    return tuple(f"{value:,}" for value in values)


def _line(cells: Sequence[str], widths: Iterable[int]) -> str:
    padded = (
        cell.ljust(width) if column in _TEXT else cell.rjust(width)
        for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )
    return "  ".join(padded).rstrip()


def estimate(graph: Graph, *, part: str, clock_period: float, plans: Mapping[str, Plan]) -> ResourceEstimate:
    """Return what a network costs on a device, as the report of C synthesis would say.

    Every operation is a function of its own, which starts some clock cycles (``handover_cycles`` in
    ``coefficients.json``) after the last of those it reads from has ended. Parallel branches run at the same time.

    Parameters
    ----------
    graph : Graph
    part : str
        The device, as Vivado names it.
    clock_period : float
        In nanoseconds.
    plans : mapping of str to Plan
        By node name: how each is to be built.

    Returns
    -------
    ResourceEstimate
        With a row for every node but the inputs, in the graph's order.

    Raises
    ------
    InvalidOption
        If the part is unknown, or the clock period isn't positive.
    """
    if not 0 < clock_period < float("inf"):
        raise InvalidOption(f"clock_period must be a positive number of nanoseconds, not {clock_period!r}")
    target = device(part)
    technology = Technology.of(target, clock_period)
    handover = technology.coefficients.handover_cycles
    inputs = {node.name for node in graph.inputs}
    rows: list[LayerEstimate] = []
    # The cycle in which each node's output is there; None as long as nothing on the way to it takes hardware.
    ready: dict[str, int | None] = {}
    for node in graph:
        if node.name in inputs:
            ready[node.name] = None
            continue
        row, empty = _row(graph, node, plans[node.name], technology)
        rows.append(row)
        before = [cycle for name in node.inputs if (cycle := ready[name]) is not None]
        if empty:
            ready[node.name] = max(before, default=None)
        else:
            ready[node.name] = max((cycle + handover for cycle in before), default=0) + row.latency_cycles
    latency = max((cycle for cycle in ready.values() if cycle is not None), default=0)
    return ResourceEstimate(tuple(rows), target, float(clock_period), latency, stage(), version())


def _row(graph: Graph, node: Node, plan: Plan, technology: Technology) -> tuple[LayerEstimate, bool]:
    """One node's row, and whether the node takes no hardware at all."""
    work = node_work(node, graph.input_types(node), plan)
    cost = work_silicon(work, technology)
    output = graph.types[node.name]
    row = LayerEstimate(
        name=node.name,
        layer=node.layer,
        op=type(node.op).__name__,
        shape=output.shape,
        type=str(output.hull),
        lut=cost.lut,
        ff=cost.ff,
        dsp=cost.dsp,
        bram=cost.bram,
        latency_cycles=cost.cycles,
        ii=work.interval,
        strategy=plan.strategy,
        reuse_factor=plan.reuse_factor,
    )
    return row, not work.units
