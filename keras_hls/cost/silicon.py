"""What units of work are on one device: ingredients to be priced, bits to be held, nanoseconds and clock cycles.

Every number that isn't arithmetic stands in the folder ``coefficients`` beside this file, with its source; the formulas
that use them stand here. Nothing here knows an operation, only kinds of `Unit`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from math import ceil

from keras_hls.cost.coefficient_files import Coefficients, device_families
from keras_hls.cost.devices import Device
from keras_hls.op import Unit, UnitKind

#: How much there is of each ingredient; see `INGREDIENTS`.
Amounts = Mapping[str, float]


def together(parts: Iterable[Amounts]) -> dict[str, float]:
    """Return how much there is of each ingredient in all."""
    found: dict[str, float] = {}
    for amounts in parts:
        for name, amount in amounts.items():
            found[name] = found.get(name, 0) + amount
    return found


@dataclass(frozen=True, eq=False)
class Technology:
    """One device at one clock, built by one tool; `Technology.of` makes each but once, so that costs are remembered.

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

    def rule(self, name: str) -> float:
        """Return a threshold or a time of the tool."""
        return self.coefficients.rules[name]

    @staticmethod
    def of(
        device: Device, clock_period: float, coefficients: Coefficients, clock_uncertainty: float | None = None
    ) -> Technology:
        """Return the technology of a device at a clock period in nanoseconds.

        A part without a speed grade is taken for the slowest. The share of the period that the tool keeps for routing is its
        default if none is given.
        """
        kept = coefficients.rules["clock_uncertainty"] if clock_uncertainty is None else clock_uncertainty
        return _technology(device.family, device.speed_grade or 1, clock_period * (1 - kept), _Same(coefficients))


@dataclass(frozen=True, eq=False)
class _Same:
    """Coefficients by identity: they are large, and each file is read once."""

    coefficients: Coefficients

    def __hash__(self) -> int:
        return id(self.coefficients)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and other.coefficients is self.coefficients


@lru_cache(maxsize=64)
def _technology(family_name: str, speed_grade: int, budget: float, coefficients: _Same) -> Technology:
    data = device_families()
    family = data["families"][family_name]
    grade = data["speed_grades"][str(speed_grade)]["value"]
    return Technology(
        coefficients.coefficients,
        family["dsp_wide"],
        family["dsp_narrow"],
        family["logic"] * grade,
        family["dsp_delay"] * grade,
        family["memory_delay"] * grade,
        budget,
    )


@dataclass(frozen=True)
class Silicon:
    """What one unit is made of.

    Parameters
    ----------
    amounts : mapping of str to float
        Of each ingredient; without the registers of pipeline stages.
    bits : int
        Bits of its result: what a clock edge after it has to hold.
    delay : float
        Nanoseconds through it; through its last stage, if it has registers inside.
    cycles : int
        Clock edges inside.
    """

    amounts: Amounts
    bits: int = 0
    delay: float = 0.0
    cycles: int = 0


_NOTHING = Silicon({})


def silicon(unit: Unit, technology: Technology) -> Silicon:
    """Return what one of the units is made of, whatever its count; of a memory, all its words."""
    widths = unit.widths
    if unit.kind == "memory":
        # Its count is the words of one memory.
        widths = (unit.count, *widths)
    return _one(unit.kind, widths, unit.digits, technology)


def _multiply(widths: tuple[int, ...], digits: int, tech: Technology) -> Silicon:
    return _product(widths, tech.rule("dsp_variable_bits"), tech)


def _constant_multiply(widths: tuple[int, ...], digits: int, tech: Technology) -> Silicon:
    """A power of two is wiring, a constant of two digits one adder; HLS leaves more digits to a multiplier.

    The constant's width is that of its bits as HLS writes it: a sign only if negative, trailing zeros included.
    """
    if digits < 2:
        return _NOTHING
    if digits == 2:
        return _add((sum(widths),), 0, tech)
    product = _product(widths, tech.rule("dsp_constant_bits"), tech)
    if product.amounts.get("dsp", 0) < 2:
        return product
    # Logic synthesis makes a constant that doesn't fit one DSP of shifted sums instead.
    amounts = {"split": product.amounts["dsp"], "shifted": (digits - 1) * product.bits}
    return replace(product, amounts=amounts)


def _product(widths: tuple[int, ...], dsp_bits: float, tech: Technology) -> Silicon:
    """A full multiplier: in DSPs from `dsp_bits` bits of both factors on, else in LUTs."""
    narrow, wide = sorted(widths)
    bits = narrow + wide
    if narrow < tech.rule("dsp_narrowest") or bits < dsp_bits:
        delay = (tech.rule("multiply_delay") + tech.rule("multiply_delay_bit") * bits) * tech.logic
        return Silicon({"product": narrow * wide}, bits, delay)
    dsp = min(
        _across(wide, tech.dsp_wide) * _across(narrow, tech.dsp_narrow),
        _across(wide, tech.dsp_narrow) * _across(narrow, tech.dsp_wide),
    )
    # A DSP that is too slow for one cycle has registers of its own at its input, inside and at its output.
    stages = 1 if tech.dsp_delay <= tech.budget else int(tech.rule("dsp_stages"))
    return Silicon({"dsp": dsp}, bits, tech.dsp_delay / stages, stages - 1)


def _across(width: int, port: int) -> int:
    """DSPs side by side for a factor of `width` bits: all but the top one hold no sign, so take one bit less."""
    return 1 + ceil(max(width - port, 0) / (port - 1))


def _add(widths: tuple[int, ...], digits: int, tech: Technology) -> Silicon:
    (width,) = widths
    return Silicon({"add": width}, width, (tech.rule("add_delay") + tech.rule("add_delay_bit") * width) * tech.logic)


def _compare(widths: tuple[int, ...], digits: int, tech: Technology) -> Silicon:
    return Silicon({"compare": widths[0]}, 1, tech.rule("compare_delay") * tech.logic)


def _select(widths: tuple[int, ...], digits: int, tech: Technology) -> Silicon:
    return Silicon({"select": widths[0]}, widths[0], tech.rule("select_delay") * tech.logic)


def _multiplex(widths: tuple[int, ...], digits: int, tech: Technology) -> Silicon:
    """Two values are chosen of in one look-up table a bit, and four in the next."""
    inputs, width = widths
    levels = ceil((inputs - 1).bit_length() / 2)
    return Silicon({"multiplex": (inputs - 1) * width}, width, levels * tech.rule("select_delay") * tech.logic)


def _round(widths: tuple[int, ...], digits: int, tech: Technology) -> Silicon:
    one = _add(widths, 0, tech)
    return Silicon({**one.amounts, "round": 1}, one.bits, one.delay)


def _saturate(widths: tuple[int, ...], digits: int, tech: Technology) -> Silicon:
    """Whether the value before is out of range, and the choice between the value and the end of the range."""
    _, after = widths
    return Silicon({"saturate": after}, after, tech.rule("saturate_delay") * tech.logic)


def _divide(widths: tuple[int, ...], digits: int, tech: Technology) -> Silicon:
    """A pipelined restoring divider: a subtraction, a choice and a row of registers for each bit of the quotient."""
    dividend, divisor = widths
    amounts = {"divide": dividend * (divisor + 1), "held": dividend * (dividend + divisor)}
    delay = tech.rule("select_delay") * tech.logic
    return Silicon(amounts, dividend, delay, dividend + int(tech.rule("divide_cycles")))


def _table(widths: tuple[int, ...], digits: int, tech: Technology) -> Silicon:
    index, entry = widths
    return _memory((1 << index, entry), 0, tech)


def _memory(widths: tuple[int, ...], digits: int, tech: Technology) -> Silicon:
    """Words and their width; read synchronously, so with one clock edge inside."""
    words, width = widths
    if words * width <= tech.rule("lutram_bits"):
        amounts = {"lutram": ceil(words * width / tech.rule("lutram_depth")), "held": width}
        return Silicon(amounts, width, tech.rule("select_delay") * tech.logic, 1)
    # An output that comes late in the cycle gets a register of its own.
    cycles = 2 if tech.memory_delay > tech.rule("memory_share") * tech.budget else 1
    kind = "shallow" if words <= tech.rule("shallow_words") else "bram"
    return Silicon({kind: _block_rams(words, width)}, width, tech.memory_delay if cycles == 1 else 0.0, cycles)


def _fifo(widths: tuple[int, ...], digits: int, tech: Technology) -> Silicon:
    """A queue between two functions, in shift registers as long as it is short."""
    words, width = widths
    if words <= tech.rule("fifo_words"):
        return Silicon({"waiting": width}, width, tech.rule("select_delay") * tech.logic, 1)
    # Read and written at once, so that a block RAM has one port of 18 bits for each as HLS counts. That one port only writes and
    # the other only reads is what logic synthesis sees: then each has 36 bits.
    counted, made = ceil(words / 1024) * ceil(width / 18), ceil(words / 512) * ceil(width / 36)
    shallow = words * width <= tech.rule("lutram_bits")
    amounts = {"shallow": counted} if shallow else {"queue": counted, "queue_wide": made}
    return Silicon(amounts, width, tech.memory_delay, 1)


def _block_rams(words: int, width: int) -> int:
    """Blocks of 18 kbit, in the shape that takes fewest of them."""
    return min(ceil(words / depth) * ceil(width / port) for depth, port in _BRAM18_SHAPES)


#: Words and bits a word of one block RAM of 18 kbit (AMD UG473, UG573).
_BRAM18_SHAPES = ((512, 36), (1024, 18), (2048, 9), (4096, 4), (8192, 2), (16384, 1))


def _register(widths: tuple[int, ...], digits: int, tech: Technology) -> Silicon:
    return Silicon({"held": widths[0]}, cycles=1)


#: What one unit of each kind is: takes its widths, its digits and the technology.
_RULES: Mapping[UnitKind, Callable[[tuple[int, ...], int, Technology], Silicon]] = {
    "multiply": _multiply,
    "constant_multiply": _constant_multiply,
    "add": _add,
    "compare": _compare,
    "select": _select,
    "multiplex": _multiplex,
    "divide": _divide,
    "round": _round,
    "saturate": _saturate,
    "table": _table,
    "memory": _memory,
    "fifo": _fifo,
    "register": _register,
}


@lru_cache(maxsize=1 << 16)
def _one(kind: UnitKind, widths: tuple[int, ...], digits: int, tech: Technology) -> Silicon:
    return _RULES[kind](widths, digits, tech)
