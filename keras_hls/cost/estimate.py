"""The cost of a network: a row for each operation, totals, and the latency along its longest path."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from keras_hls.cost.coefficient_files import PREDICTED
from keras_hls.cost.coefficient_files import coefficients as read_coefficients
from keras_hls.cost.devices import device
from keras_hls.cost.pricing import interval, is_calibrated, staged, total
from keras_hls.cost.resources import LayerEstimate, ResourceEstimate
from keras_hls.cost.schedule import Scheduled, scheduled
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
    handover = int(technology.rule("handover_cycles"))
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
            ready[node.name] = max((cycle + handover for cycle in before), default=0) + (row.latency_cycles or 0)
    latency = max((cycle for cycle in ready.values() if cycle is not None), default=0)
    chosen = technology.coefficients
    return ResourceEstimate(
        layers=tuple(rows),
        device=target,
        clock_period=float(clock_period),
        stages={stage: total(stage, [row.stages[stage] for row in rows], chosen) for stage in PREDICTED},
        stage=STAGE,
        latency_cycles=latency,
        latency_interval=interval(latency, chosen.spreads["csynth"]["total"]["latency_cycles"]),
        ii=max((row.ii or 1 for row in rows), default=1),
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


def _row(graph: Graph, node: Node, plan: Plan, technology: Technology) -> tuple[LayerEstimate, bool]:
    """One node's row, and whether the node takes no hardware at all."""
    built, amounts = in_hardware(graph, node, plan, technology)
    output = graph.types[node.name]
    row = LayerEstimate(
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
    return row, not amounts
