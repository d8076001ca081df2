"""How an HLS tool cuts work into clock cycles, and what the cuts hold: from `Work` to the ingredients of one operation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from keras_hls.cost.silicon import Amounts, Technology, silicon
from keras_hls.op import Step, Unit, Work


@dataclass(frozen=True)
class Scheduled:
    """One operation in hardware.

    Parameters
    ----------
    amounts : mapping of str to float
        Of each ingredient, the registers of pipeline stages as well.
    cycles : int
        Latency: the clock edges along the longest path; for work that is repeated for one sample, with every repetition.
    interval : int
        Cycles until the next sample can start.
    clock_ns : float
        The longest path between two clock edges, in nanoseconds.
    """

    amounts: Amounts
    cycles: int
    interval: int
    clock_ns: float


def scheduled(work: Work, technology: Technology) -> Scheduled:
    """Return what some work is in hardware on one device at one clock."""
    amounts: dict[str, float] = {}
    for step in work.steps:
        _gather(amounts, step.units, technology)
    _gather(amounts, work.beside, technology)
    stages = [_stage(step, technology) for step in work.steps]
    edges, clock = _cut(stages, technology)
    turns = max((step.repeats for step in work.steps), default=1)
    if work.interval == 1 or work.loops:
        for stage, cuts in zip(stages, edges):
            _hold(amounts, stage, cuts)
    else:
        # Nothing new comes before the next sample, so that one register holds each result for all who take it. Where
        # multipliers take turns, each of the sums is made in another cycle.
        _more(amounts, "kept", sum(s.made for s, cuts in zip(stages, edges) if turns > len(stages) or any(cuts)))
    cycles = _latency(work, edges)
    interval = work.interval
    if turns > 1 and not work.loops:
        # What is ready earlier takes the next sample earlier.
        interval = min(interval, cycles + 1)
    if interval > 1:
        _more(amounts, "state", cycles + 1)
    return Scheduled(amounts, cycles, interval, clock)


def start_to_start(cycles: int, interval: int, technology: Technology) -> int:
    """Return how long after its own start a function's readers start.

    Parameters
    ----------
    cycles : int
        Its latency.
    interval : int
        Of the whole network.
    technology : Technology
    """
    more = technology.rule("pipeline_cycles") if interval == 1 and cycles > 1 else 0
    return cycles + int(more + technology.rule("handover_cycles"))


def _latency(work: Work, edges: Sequence[tuple[int, int]]) -> int:
    """Clock edges along the path; units that take turns hand on their results one by one, and later steps don't wait."""
    cycles, last = 0, len(work.steps)
    for place in reversed(range(last)):
        inside, behind = edges[place]
        turns = work.steps[place].repeats
        after = cycles + behind
        if turns > 1:
            after = max(after, turns - 1 + min(after, 2))
        cycles = inside + after
    return cycles


def _gather(amounts: dict[str, float], units: Sequence[Unit], technology: Technology) -> None:
    for unit in units:
        times = 1 if unit.kind == "memory" else unit.count
        for name, amount in silicon(unit, technology).amounts.items():
            # A block RAM has two ports, so two look-ups share those that hold a table.
            shared = unit.kind == "table" and name in ("bram", "shallow")
            amounts[name] = amounts.get(name, 0) + (ceil(times / 2) if shared else times) * amount


def _more(amounts: dict[str, float], name: str, amount: float) -> None:
    if amount:
        amounts[name] = amounts.get(name, 0) + amount


@dataclass(frozen=True)
class _Stage:
    """What a step of a path is to the schedule.

    Parameters
    ----------
    delay : float
        Nanoseconds through the slowest of its units; through the last part of it, where that has registers inside.
    cycles : int
        Clock edges inside the slowest.
    made : int
        Bits of its units' results.
    passing : int
        Bits that pass it by.
    waiting : int
        What a clock edge inside has to hold: what isn't made by units with registers of their own.
    """

    delay: float
    cycles: int
    made: int
    passing: int
    waiting: int


def _stage(step: Step, technology: Technology) -> _Stage:
    delay, cycles, made, own = 0.0, 0, 0, 0
    for unit in step.units:
        one = silicon(unit, technology)
        times = 1 if unit.kind == "memory" else unit.count
        made += times * one.bits
        own += times * one.bits if one.cycles else 0
        cycles, delay = max((cycles, delay), (one.cycles, one.delay))
    return _Stage(delay, cycles, made, step.passing, made - own + step.passing)


def _cut(steps: Sequence[_Stage], technology: Technology) -> tuple[list[tuple[int, int]], float]:
    """Cut a path into clock cycles as HLS chains operations: each cycle takes steps as long as their delays fit.

    What alone is longer than a cycle stays one, and breaks the clock. Returns the clock edges inside each step and those
    behind it, and the longest cycle.
    """
    edges: list[tuple[int, int]] = []
    time, longest, budget = 0.0, 0.0, technology.budget
    for step in steps:
        late = False
        if step.cycles:
            time = step.delay
        elif time + step.delay <= budget:
            time += step.delay
        else:
            late = time > 0
            time = step.delay
        longest = max(longest, time)
        if late:
            edges[-1] = edges[-1][0], 1
        edges.append((step.cycles, 0))
    return edges, longest


def _hold(amounts: dict[str, float], step: _Stage, edges: tuple[int, int]) -> None:
    """Registers at the clock edges of a step, in a pipeline that takes a sample each cycle."""
    inside, behind = edges
    _more(amounts, "held", behind * (step.made + step.passing))
    if inside > 1:
        # What waits more than one cycle is in shift registers of LUTs, with registers at both ends.
        _more(amounts, "waiting", step.waiting)
    else:
        _more(amounts, "held", inside * (step.waiting if step.cycles else step.made + step.passing))
