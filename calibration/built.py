"""Published designs as the cost model sees them: the ingredients of each layer and of the whole, with the truth beside."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from calibration.hls4ml_kernels import handed_bits, queues, works
from calibration.records import Design
from keras_hls.cost.coefficient_files import Coefficients, coefficients
from keras_hls.cost.devices import device
from keras_hls.cost.schedule import Scheduled, scheduled, start_to_start
from keras_hls.cost.silicon import Technology, together
from keras_hls.op import Work

#: hls4ml's projects keep this share of the period for routing.
CLOCK_UNCERTAINTY = 0.125


@dataclass(frozen=True, eq=False)
class Built:
    """One design.

    Attributes
    ----------
    design : Design
    layers : mapping of str to Scheduled
        By name.
    amounts : mapping of str to float
        Ingredients of the whole.
    latency, interval : int
        Cycles of the whole.
    whole : bool
        Whether every layer that is hardware could be told.
    """

    design: Design
    layers: Mapping[str, Scheduled]
    amounts: Mapping[str, float]
    latency: int
    interval: int
    whole: bool

    @property
    def plain(self) -> bool:
        """Whether it is neither a stream nor recurrent: those are modelled coarsely so far."""
        return not self.design.streams and all(layer["fn"] != "gru_stack" for layer in self.design.layers)


def built(design: Design) -> Built:
    """Return what the cost model makes of a design."""
    chosen = multipliers_as(coefficients(design.tool), design.record.get("mult_impl"))
    technology = Technology.of(device(design.part), design.record["clock_ns"], chosen, CLOCK_UNCERTAINTY)
    layers = {name: scheduled(work, technology) for name, work in works(design).items()}
    between = scheduled(Work(beside=tuple(queues(design))), technology)
    every = (layer.amounts for layer in (*layers.values(), between))
    amounts = together([{"handed": handed_bits(design, set(layers))}, *every])
    interval = max((layer.interval for layer in layers.values()), default=1)
    starts = [start_to_start(layer.cycles, interval, technology) for layer in layers.values()] or [0]
    handover = int(technology.rule("handover_cycles"))
    # Layers that hand on streams run at the same time.
    latency = sum(starts) - handover
    if design.streams:
        latency = max(layer.cycles for layer in layers.values()) + handover * (len(layers) - 1) if layers else 0
    whole = bool(layers) and all(layer["name"] in layers for layer in design.layers)
    return Built(design, layers, amounts, latency, interval, whole)


def multipliers_as(chosen: Coefficients, how: str | None) -> Coefficients:
    """Return the coefficients of a design whose pragmas put every multiplier in a DSP, or none."""
    if how == "dsp":
        return chosen.ruled(dsp_narrowest=0, dsp_constant_bits=0, dsp_variable_bits=0)
    if how == "fabric":
        return chosen.ruled(dsp_narrowest=float("inf"))
    return chosen
