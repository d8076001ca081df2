"""The figures behind the cost model: of a family of HLS tools, and of a family of devices.

They are data, in the folder ``coefficients`` beside this file: ``vivado_hls.json`` and ``vitis_hls.json``, and
``devices.json`` for what the silicon of each device family can do. Each figure says its unit and its source. A user's own
file, as ``keras-hls calibrate`` writes it, has the same form as those of the tools.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from keras_hls.cost.devices import RESOURCES
from keras_hls.errors import InvalidOption

#: Whose figures are predicted: the report of C synthesis, and the placed design.
PREDICTED = ("csynth", "impl")
#: What is predicted with an interval: resources at each stage, and the clock cycles.
SPREAD = (*RESOURCES, "latency_cycles", "ii")

#: What work is made of once it is hardware: the amounts that coefficients multiply.
INGREDIENTS = {
    "add": "bits of sums",
    "compare": "bits of compared values",
    "select": "bits of chosen values",
    "multiplex": "bits of the values that one of several is chosen of, but for one",
    "round": "values that are rounded",
    "saturate": "bits of values that saturate",
    "product": "bits of one factor times bits of the other, of products outside of DSPs",
    "divide": "bits of the dividend times bits of the divisor and one",
    "lutram": "LUTs that hold small tables and memories",
    "dsp": "DSP blocks",
    "split": "DSP blocks of products by constants that take several",
    "shifted": "bits of the sums that such a product is without DSPs",
    "bram": "block RAMs of 18 kbit",
    "queue": "block RAMs of queues with a port of 18 bits each way, as HLS counts them",
    "queue_wide": "block RAMs of queues with ports of 36 bits, as logic synthesis makes them",
    "shallow": "block RAMs of so few words that logic synthesis takes LUTs instead",
    "uram": "UltraRAMs",
    "held": "bits that cross clock edges",
    "kept": "bits of results where the interval is longer than a cycle",
    "waiting": "bits that wait several cycles for multipliers",
    "handed": "bits that a layer hands to the next",
    "state": "cycles that a controller tells apart",
}


@dataclass(frozen=True)
class Coefficients:
    """What one family of tools makes of hardware.

    Parameters
    ----------
    tool : str
        "Vivado HLS" or "Vitis HLS".
    version : str
        Of these figures.
    rules : mapping of str to float
        Thresholds and times: what is a DSP, what a block RAM, how long an addition takes.
    weights : mapping
        By stage and figure, what one of each ingredient counts.
    known : mapping
        By stage, the ingredients that published reports say something of.
    spreads : mapping
        By stage, "layer" or "total", and figure: the truth over the estimate, at the ends of an interval that holds 80 %.
    """

    tool: str
    version: str
    rules: Mapping[str, float]
    weights: Mapping[str, Mapping[str, Mapping[str, float]]]
    known: Mapping[str, frozenset[str]]
    spreads: Mapping[str, Mapping[str, Mapping[str, tuple[float, float]]]]

    def ruled(self, **rules: float) -> Coefficients:
        """Return the same with other rules."""
        return replace(self, rules={**self.rules, **rules})

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Coefficients:
        """Read the content of a file.

        Raises
        ------
        ValueError
            Says what is missing, unknown or impossible.
        """
        try:
            rules = {name: _number(name, entry["value"]) for name, entry in data["rules"].items()}
            stages = data["stages"]
            weights = {
                stage: {
                    figure: {name: _number(name, entry["value"]) for name, entry in stages[stage][figure].items()}
                    for figure in RESOURCES
                }
                for stage in PREDICTED
            }
            known = {stage: frozenset(stages[stage]["known"]) for stage in PREDICTED}
            spreads = {
                stage: {
                    level: {figure: _ends(figure, stages[stage]["spread"][level][figure]) for figure in SPREAD}
                    for level in ("layer", "total")
                }
                for stage in PREDICTED
            }
            missing = RULES - rules.keys()
            unknown = {name for each in weights.values() for entry in each.values() for name in entry} - set(
                INGREDIENTS
            )
            if missing or unknown:
                raise ValueError(", ".join([*(f"no {n!r}" for n in sorted(missing)), *map(repr, sorted(unknown))]))
            tool, version = (_text(name, data[name]) for name in ("tool", "version"))
            return cls(tool, version, rules, weights, known, spreads)
        except (KeyError, TypeError, AttributeError) as error:
            raise ValueError(f"{type(error).__name__}: {error}") from None


#: Every rule that formulas read.
RULES = {
    *("clock_uncertainty", "handover_cycles", "dsp_narrowest", "dsp_constant_bits", "dsp_variable_bits", "dsp_stages"),
    *("divide_cycles", "lutram_bits", "lutram_depth", "add_delay", "add_delay_bit", "multiply_delay"),
    *("multiply_delay_bit", "compare_delay", "select_delay", "saturate_delay", "memory_share"),
    *("pipeline_cycles", "fifo_words", "shallow_words"),
}


#: Beyond it no coefficient means anything, and estimates grow to figures that nothing can hold.
_LARGEST = 1e6


def _number(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= _LARGEST:
        raise ValueError(f"{name!r} is {value!r}, not a number from 0 to {_LARGEST:.0f}")
    return float(value)


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{name!r} is {value!r}, not a text")
    return value


def _ends(name: str, value: Any) -> tuple[float, float]:
    low, high = value
    low, high = _number(name, low), _number(name, high)
    if not low <= 1 <= high:
        raise ValueError(f"the interval of {name!r} must hold the estimate itself, not be {value!r}")
    return low, high


#: The tool whose projects we write.
DEFAULT = "Vitis HLS"
_SHIPPED = {"Vivado HLS": "vivado_hls.json", "Vitis HLS": "vitis_hls.json"}


def shipped(tool: str) -> Mapping[str, Any]:
    """Return the content of the file of a family of tools."""
    return _data(_SHIPPED[tool])


def coefficients(which: str | Path | None = None) -> Coefficients:
    """Return the figures of a tool, or of a file.

    Parameters
    ----------
    which : str or Path, optional
        "Vitis HLS" (the default), "Vivado HLS", or a file as `keras_hls.calibrate` writes it.

    Raises
    ------
    InvalidOption
        If there is no such tool or file, or the file isn't one of coefficients.
    """
    if which is None or which in _SHIPPED:
        return _of_tool(str(which or DEFAULT))
    data = content(which)
    try:
        return Coefficients.of(data)
    except ValueError as error:
        raise _no_coefficients(which, error) from None


def content(which: str | Path) -> Mapping[str, Any]:
    """Return what a tool's file, or a user's, holds; arguments and errors as for `coefficients`."""
    if which in _SHIPPED:
        return shipped(str(which))
    if not isinstance(which, (str, Path)):
        raise InvalidOption(f"coefficients must be a tool or a file, not {which!r}")
    try:
        found = json.loads(Path(which).read_text(encoding="utf-8"))
    except OSError:
        known = ", ".join(map(repr, _SHIPPED))
        raise InvalidOption(
            f"coefficients must be {known}, or a file that keras-hls calibrate has written: there is no {str(which)!r}"
        ) from None
    except ValueError as error:
        raise _no_coefficients(which, error) from None
    if not isinstance(found, dict):
        raise _no_coefficients(which, "it holds no object")
    return found


def _no_coefficients(which: str | Path, why: object) -> InvalidOption:
    return InvalidOption(f"coefficients: {str(which)!r} isn't a file that keras-hls calibrate has written: {why}")


def whose(text: str) -> str:
    """Return the tool that a phrase names; `DEFAULT` if it names none."""
    return next((tool for tool in _SHIPPED if tool in text), DEFAULT)


@cache
def _of_tool(tool: str) -> Coefficients:
    return Coefficients.of(shipped(tool))


def device_families() -> Mapping[str, Any]:
    """Return what the silicon of each device family can do, and how much slower or faster each speed grade is."""
    return _data("devices.json")


@cache
def _data(name: str) -> Mapping[str, Any]:
    text = files("keras_hls.cost").joinpath("coefficients", name).read_text(encoding="utf-8")
    return dict(json.loads(text))
