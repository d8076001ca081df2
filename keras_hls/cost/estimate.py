"""The cost of a network: a row for each operation, totals, and the latency along its longest path."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from keras_hls.cost.coefficient_files import PREDICTED
from keras_hls.cost.coefficient_files import coefficients as read_coefficients
from keras_hls.cost.devices import device
from keras_hls.cost.pricing import interval as spread_around
from keras_hls.cost.pricing import is_calibrated, staged, total
from keras_hls.cost.resources import LayerEstimate, ResourceEstimate
from keras_hls.cost.schedule import Scheduled, scheduled, start_to_start
from keras_hls.cost.silicon import Amounts, Technology
from keras_hls.errors import InvalidOption
from keras_hls.graph import Graph, Node
from keras_hls.graph import work as node_work
from keras_hls.op import Plan

#: The stage that is shown unless another is asked for: what must fit.
STAGE = "impl"


def estimate(
    graph: Graph,
    *,
    part: str,
    clock_period: float,
    plans: Mapping[str, Plan],
    coefficients: str | Path | None = None,
) -> ResourceEstimate:
    """Return what a network costs on a device, after C synthesis and after placement.

    Every operation is a function of its own, which starts some clock cycles (``handover_cycles`` of the coefficients) after
    the last of those it reads from has ended. Parallel branches run at the same time.

    Parameters
    ----------
    graph : Graph
    part : str
        The device, as Vivado names it.
    clock_period : float
        In nanoseconds.
    plans : mapping of str to Plan
        By node name: how each is to be built.
    coefficients : str or Path, optional
        "Vitis HLS" (the default), "Vivado HLS", or a file that ``keras-hls calibrate`` has written.

    Returns
    -------
    ResourceEstimate
        With a row for every node but the inputs, in the graph's order.

    Raises
    ------
    InvalidOption
        If the part or the coefficients are unknown, or the clock period isn't positive.
    """
    if not 0 < clock_period < float("inf"):
        raise InvalidOption(f"clock_period must be a positive number of nanoseconds, not {clock_period!r}")
    target = device(part)
    technology = Technology.of(target, clock_period, read_coefficients(coefficients))
    inputs = {node.name for node in graph.inputs}
    built = {
        node.name: in_hardware(graph, node, plans[node.name], technology) for node in graph if node.name not in inputs
    }
    rows = [_row(graph, node, plans[node.name], technology, *built[node.name]) for node in graph if node.name in built]
    interval = max((hardware.interval for hardware, _ in built.values()), default=1)
    latency = _longest(graph, built, interval, technology)
    chosen = technology.coefficients
    return ResourceEstimate(
        layers=tuple(rows),
        device=target,
        clock_period=float(clock_period),
        stages={stage: total(stage, [row.stages[stage] for row in rows], chosen) for stage in PREDICTED},
        stage=STAGE,
        latency_cycles=latency,
        latency_interval=spread_around(latency, chosen.spreads["csynth"]["total"]["latency_cycles"]),
        ii=interval,
        clock_ns=max((row.clock_ns or 0.0 for row in rows), default=0.0),
        clock_budget_ns=technology.budget,
        source=f"Estimated for {chosen.tool}, coefficients {chosen.version}",
    )


def in_hardware(graph: Graph, node: Node, plan: Plan, technology: Technology) -> tuple[Scheduled, Amounts]:
    """Return a node's hardware, and its ingredients with the registers that hand its output on; none if it is wiring."""
    work = node_work(node, graph.input_types(node), plan)
    built = scheduled(work, technology)
    if not work.units:
        return built, {}
    return built, {**built.amounts, "handed": int(graph.types[node.name].widths.sum())}


def _longest(
    graph: Graph, built: Mapping[str, tuple[Scheduled, Amounts]], interval: int, technology: Technology
) -> int:
    """Clock cycles along the longest path of a graph whose hardware starts again after so many."""
    # The cycle in which what reads a node can start; None as long as nothing on the way to it takes hardware.
    ready: dict[str, int | None] = {}
    ends = 0
    for node in graph:
        before = [cycle for name in node.inputs if (cycle := ready[name]) is not None]
        hardware, amounts = built.get(node.name, (None, {}))
        if hardware is None or not amounts:
            ready[node.name] = max(before, default=None)
            continue
        starts = max(before, default=0)
        after = starts + start_to_start(hardware.cycles, interval, technology)
        ends = max(ends, after - int(technology.rule("handover_cycles")))
        ready[node.name] = after
    return ends


def _row(
    graph: Graph, node: Node, plan: Plan, technology: Technology, built: Scheduled, amounts: Amounts
) -> LayerEstimate:
    output = graph.types[node.name]
    return LayerEstimate(
        name=node.name,
        layer=node.layer,
        op=type(node.op).__name__,
        shape=output.shape,
        type=str(output.hull),
        stages=staged(amounts, technology.coefficients),
        stage=STAGE,
        latency_cycles=built.cycles,
        ii=built.interval,
        clock_ns=built.clock_ns,
        strategy=plan.strategy,
        reuse_factor=plan.reuse_factor,
        calibrated=is_calibrated(amounts, technology.coefficients),
    )
