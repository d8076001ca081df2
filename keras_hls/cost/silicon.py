"""What work costs on one device: LUT, FF, DSP, block RAM and clock cycles, as the report of C synthesis would say.

Every number stands in ``coefficients.json`` beside this file, with its source; the formulas that use them stand here.
They are first-order: few, physical, and not fitted. Nothing here knows an operation, only kinds of `Unit`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache, lru_cache
from importlib.resources import files
from math import ceil
from typing import Any

from keras_hls.cost.devices import Device
from keras_hls.op import Step, Unit, UnitKind, Work


@dataclass(frozen=True)
class Coefficients:
    """The figures that hold for every device; unit and source of each are in ``coefficients.json``."""

    clock_uncertainty: float
    handover_cycles: int
    dsp_narrowest: int
    dsp_constant_bits: int
    dsp_variable_bits: int
    dsp_lut: int
    multiply_lut: float
    add_lut: float
    compare_lut: float
    select_lut: float
    round_lut: int
    divide_lut: float
    divide_cycles: int
    lutram_bits: int
    lutram_depth: int
    add_delay: float
    add_delay_bit: float
    multiply_delay: float
    multiply_delay_bit: float
    compare_delay: float
    select_delay: float
    dsp_stages: int


@dataclass(frozen=True, eq=False)
class Technology:
    """One device at one clock; `Technology.of` makes each but once, so that costs are remembered between estimates.

    Parameters
    ----------
    coefficients : Coefficients
    dsp_wide, dsp_narrow : int
        Bits of the two signed factors that one DSP multiplies.
    logic : float
        Delay of logic on this device, relative to the device of the coefficients.
    dsp_delay, memory_delay : float
        Nanoseconds through a DSP's multiplier, and from the clock edge to a block RAM's output.
    budget : float
        Nanoseconds of a clock cycle that logic may fill.
    """

    coefficients: Coefficients
    dsp_wide: int
    dsp_narrow: int
    logic: float
    dsp_delay: float
    memory_delay: float
    budget: float

    @staticmethod
    def of(device: Device, clock_period: float) -> Technology:
        """Return the technology of a device at a clock period in nanoseconds.

        A part without a speed grade is taken for the slowest.
        """
        return _technology(device.family, device.speed_grade or 1, clock_period)


@lru_cache(maxsize=64)
def _technology(family_name: str, speed_grade: int, clock_period: float) -> Technology:
    data = _data()
    coefficients = Coefficients(**{f.name: data["values"][f.name]["value"] for f in fields(Coefficients)})
    family = data["families"][family_name]
    grade = data["speed_grades"][str(speed_grade)]["value"]
    return Technology(
        coefficients,
        family["dsp_wide"],
        family["dsp_narrow"],
        family["logic"] * grade,
        family["dsp_delay"] * grade,
        family["memory_delay"] * grade,
        clock_period * (1 - coefficients.clock_uncertainty),
    )


@dataclass(frozen=True)
class Silicon:
    """What units cost.

    Parameters
    ----------
    lut, ff, dsp, bram : int
        Of all of them together; `bram` in blocks of 18 kbit, `ff` without the registers of pipeline stages.
    bits : int
        Bits of all their results: what a pipeline stage after them would hold.
    delay : float
        Nanoseconds through one of them; through its last stage, if it has registers inside.
    cycles : int
        Clock edges inside one of them.
    """

    lut: int = 0
    ff: int = 0
    dsp: int = 0
    bram: int = 0
    bits: int = 0
    delay: float = 0.0
    cycles: int = 0


def version() -> str:
    """Return which model, with which coefficients, makes the figures."""
    return str(_data()["version"])


def stage() -> str:
    """Return whose figures are predicted: those of "csynth", the report of C synthesis."""
    return str(_data()["stage"])


def silicon(unit: Unit, technology: Technology) -> Silicon:
    """Return what `unit.count` equal units cost together, and how long one of them takes.

    Parameters
    ----------
    unit : Unit
    technology : Technology

    Returns
    -------
    Silicon
        Whole LUT, FF, DSP and block RAM; nanoseconds.
    """
    count, widths = unit.count, unit.widths
    if unit.kind == "memory":
        # Its count is the words of one memory.
        count, widths = min(count, 1), (count, *widths)
    one = _one(unit.kind, widths, unit.digits, technology)
    # A block RAM has two ports, so two look-ups share one that holds a table.
    brams = -(-count // 2) if unit.kind == "table" else count
    return Silicon(
        count * one.lut, count * one.ff, count * one.dsp, brams * one.bram, count * one.bits, one.delay, one.cycles
    )


def work_silicon(work: Work, technology: Technology) -> Silicon:
    """Return what all units of some work cost together, and how long it takes.

    Parameters
    ----------
    work : Work
    technology : Technology

    Returns
    -------
    Silicon
        `ff` includes the registers of pipeline stages; `cycles` is the latency: the clock edges along the longest path,
        and for work that is repeated for one sample, one more for every repetition but the first.
    """
    every = _parts(work.units, technology)
    steps = [_stage(step, technology) for step in work.steps]
    edges = _schedule(steps, technology)
    return Silicon(
        lut=sum(part.lut for part in every),
        ff=sum(part.ff for part in every) + sum(map(_held, steps, edges)),
        dsp=sum(part.dsp for part in every),
        bram=sum(part.bram for part in every),
        cycles=sum(inside + behind for inside, behind in edges) + work.interval - 1,
    )


def _parts(units: Sequence[Unit], technology: Technology) -> list[Silicon]:
    """What units cost; equal units are counted first, since some share blocks."""
    counts: Counter[tuple[UnitKind, tuple[int, ...], int]] = Counter()
    # Their count is their words: two memories are not one of twice the words.
    parts = [silicon(unit, technology) for unit in units if unit.kind == "memory"]
    for unit in units:
        if unit.kind != "memory":
            counts[unit.kind, unit.widths, unit.digits] += unit.count
    return parts + [
        silicon(Unit(kind, count, widths, digits), technology) for (kind, widths, digits), count in counts.items()
    ]


@dataclass(frozen=True)
class _Stage:
    """What a step of a path is to the schedule.

    Parameters
    ----------
    delay : float
        Nanoseconds through the slowest of its units; through the last part of it, where that has registers inside.
    cycles : int
        Clock edges inside the slowest.
    bits : int
        What a clock edge behind it has to hold.
    waiting : int
        What a clock edge inside has to hold: what isn't made by units with registers of their own.
    """

    delay: float
    cycles: int
    bits: int
    waiting: int


def _stage(step: Step, technology: Technology) -> _Stage:
    parts = [silicon(unit, technology) for unit in step.units]
    slowest = max(parts, key=lambda part: (part.cycles, part.delay))
    waiting = sum(part.bits for part in parts if not part.cycles) + step.passing
    return _Stage(slowest.delay, slowest.cycles, sum(part.bits for part in parts) + step.passing, waiting)


def _schedule(steps: Sequence[_Stage], technology: Technology) -> list[tuple[int, int]]:
    """Cut a path into clock cycles as HLS chains operations: each cycle takes steps as long as their delays fit.

    Returns the clock edges inside each step, and those behind it.
    """
    edges: list[tuple[int, int]] = []
    time, budget = 0.0, technology.budget
    for step in steps:
        inside, late = step.cycles, False
        if inside:
            time = step.delay
        elif time + step.delay <= budget:
            time += step.delay
        else:
            # What doesn't fit into an empty cycle either is taken to spread over several.
            late, inside = time > 0, ceil(step.delay / budget) - 1
            time = budget if inside else step.delay
        if late:
            edges[-1] = edges[-1][0], 1
        edges.append((inside, 0))
    return edges


def _held(step: _Stage, edges: tuple[int, int]) -> int:
    """Flip-flops at the clock edges of a step."""
    inside, behind = edges
    return inside * (step.waiting if step.cycles else step.bits) + behind * step.bits


def _multiply(widths: tuple[int, ...], digits: int, tech: Technology) -> Silicon:
    return _product(widths, tech.coefficients.dsp_variable_bits, tech)


def _constant_multiply(widths: tuple[int, ...], digits: int, tech: Technology) -> Silicon:
    """A power of two is wiring, a constant of two digits one adder; HLS leaves more digits to a multiplier.

    The constant's width is that of its bits as HLS writes it: a sign only if negative, trailing zeros included.
    """
    if digits < 2:
        return Silicon()
    if digits == 2:
        return _add((sum(widths),), 0, tech)
    return _product(widths, tech.coefficients.dsp_constant_bits, tech)


def _product(widths: tuple[int, ...], dsp_bits: int, tech: Technology) -> Silicon:
    """A full multiplier: in DSPs from `dsp_bits` bits of both factors on, else in LUTs."""
    narrow, wide = sorted(widths)
    c, bits = tech.coefficients, narrow + wide
    if narrow < c.dsp_narrowest or bits < dsp_bits:
        delay = (c.multiply_delay + c.multiply_delay_bit * bits) * tech.logic
        return Silicon(lut=ceil(c.multiply_lut * narrow * wide), bits=bits, delay=delay)
    dsp = min(
        _across(wide, tech.dsp_wide) * _across(narrow, tech.dsp_narrow),
        _across(wide, tech.dsp_narrow) * _across(narrow, tech.dsp_wide),
    )
    # A DSP that is too slow for one cycle has registers of its own at its input, inside and at its output.
    stages = 1 if tech.dsp_delay <= tech.budget else c.dsp_stages
    return Silicon(lut=c.dsp_lut * dsp, dsp=dsp, bits=bits, delay=tech.dsp_delay / stages, cycles=stages - 1)


def _across(width: int, port: int) -> int:
    """DSPs side by side for a factor of `width` bits: all but the top one hold no sign, so take one bit less."""
    return 1 + ceil(max(width - port, 0) / (port - 1))


def _add(widths: tuple[int, ...], digits: int, tech: Technology) -> Silicon:
    c, (width,) = tech.coefficients, widths
    return Silicon(lut=ceil(c.add_lut * width), bits=width, delay=(c.add_delay + c.add_delay_bit * width) * tech.logic)


def _compare(widths: tuple[int, ...], digits: int, tech: Technology) -> Silicon:
    c, (width,) = tech.coefficients, widths
    return Silicon(lut=ceil(c.compare_lut * width), bits=1, delay=c.compare_delay * tech.logic)


def _select(widths: tuple[int, ...], digits: int, tech: Technology) -> Silicon:
    c, (width,) = tech.coefficients, widths
    return Silicon(lut=ceil(c.select_lut * width), bits=width, delay=c.select_delay * tech.logic)


def _round(widths: tuple[int, ...], digits: int, tech: Technology) -> Silicon:
    one = _add(widths, 0, tech)
    return replace(one, lut=one.lut + tech.coefficients.round_lut)


def _saturate(widths: tuple[int, ...], digits: int, tech: Technology) -> Silicon:
    """Whether the value before is out of range, and the choice between the value and the end of the range."""
    c, (before, after) = tech.coefficients, widths
    lut = ceil(c.compare_lut * before) + ceil(c.select_lut * after)
    # The compare runs beside the rounding before it, so that only the choice adds to the path.
    return Silicon(lut=lut, bits=after, delay=c.select_delay * tech.logic)


def _divide(widths: tuple[int, ...], digits: int, tech: Technology) -> Silicon:
    """A pipelined restoring divider: a subtraction, a choice and a row of registers for each bit of the quotient."""
    c, (dividend, divisor) = tech.coefficients, widths
    return Silicon(
        lut=ceil(c.divide_lut * dividend * (divisor + 1)),
        ff=dividend * (dividend + divisor),
        bits=dividend,
        delay=c.select_delay * tech.logic,
        cycles=dividend + c.divide_cycles,
    )


def _table(widths: tuple[int, ...], digits: int, tech: Technology) -> Silicon:
    index, entry = widths
    return _memory((1 << index, entry), 0, tech)


def _memory(widths: tuple[int, ...], digits: int, tech: Technology) -> Silicon:
    """Words and their width; read synchronously, so with one clock edge inside."""
    c, (words, width) = tech.coefficients, widths
    if words * width <= c.lutram_bits:
        delay = c.select_delay * tech.logic
        return Silicon(lut=ceil(words * width / c.lutram_depth), ff=width, bits=width, delay=delay, cycles=1)
    return Silicon(bram=_block_rams(words, width), bits=width, delay=tech.memory_delay, cycles=1)


def _block_rams(words: int, width: int) -> int:
    """Blocks of 18 kbit, in the shape that takes fewest of them."""
    return min(ceil(words / depth) * ceil(width / port) for depth, port in _BRAM18_SHAPES)


#: Words and bits a word of one block RAM of 18 kbit (AMD UG473, UG573).
_BRAM18_SHAPES = ((512, 36), (1024, 18), (2048, 9), (4096, 4), (8192, 2), (16384, 1))


def _register(widths: tuple[int, ...], digits: int, tech: Technology) -> Silicon:
    return Silicon(ff=widths[0], cycles=1)


#: What one unit of each kind costs: takes its widths, its digits and the technology.
_RULES: Mapping[UnitKind, Callable[[tuple[int, ...], int, Technology], Silicon]] = {
    "multiply": _multiply,
    "constant_multiply": _constant_multiply,
    "add": _add,
    "compare": _compare,
    "select": _select,
    "divide": _divide,
    "round": _round,
    "saturate": _saturate,
    "table": _table,
    "memory": _memory,
    "register": _register,
}


@lru_cache(maxsize=1 << 16)
def _one(kind: UnitKind, widths: tuple[int, ...], digits: int, tech: Technology) -> Silicon:
    return _RULES[kind](widths, digits, tech)


@cache
def _data() -> Mapping[str, Any]:
    """The content of coefficients.json."""
    text = files("keras_hls.cost").joinpath("coefficients.json").read_text(encoding="utf-8")
    return dict(json.loads(text))
