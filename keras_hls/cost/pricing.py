"""From the ingredients of hardware to the figures of each stage, with their intervals."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil, floor

from keras_hls.cost.coefficient_files import PREDICTED, Coefficients
from keras_hls.cost.devices import RESOURCES
from keras_hls.cost.resources import Interval, Resources
from keras_hls.cost.silicon import Amounts

#: The share of its LUTs and flip-flops that must be of known ingredients for a layer to be called calibrated.
_KNOWN = 0.9


def figure(amounts: Amounts, weights: Mapping[str, float]) -> float:
    """Return a figure: each ingredient times what one of it counts."""
    return sum(weights.get(name, 0.0) * amount for name, amount in amounts.items())


def staged(amounts: Amounts, coefficients: Coefficients) -> dict[str, Resources]:
    """Return the figures of a layer at each stage."""
    found = {}
    for stage in PREDICTED:
        weights, spread = coefficients.weights[stage], coefficients.spreads[stage]["layer"]
        values = {name: round(figure(amounts, weights[name])) for name in RESOURCES}
        found[stage] = _around(values, spread)
    return found


def total(stage: str, layers: list[Resources], coefficients: Coefficients) -> Resources:
    """Return the figures of a network at one stage: sums, whose intervals are narrower than those of layers."""
    spread = coefficients.spreads[stage]["total"]
    values = {name: sum(getattr(layer, name) for layer in layers) for name in RESOURCES}
    return _around(values, spread)


def _around(values: Mapping[str, int], spread: Mapping[str, tuple[float, float]]) -> Resources:
    return Resources(**values, intervals={n: interval(v, spread[n]) for n, v in values.items()})


def interval(value: float, spread: tuple[float, float]) -> Interval:
    """Return the ends of an interval around a figure, as whole numbers."""
    low, high = spread
    return floor(value * low), ceil(value * high)


def is_calibrated(amounts: Amounts, coefficients: Coefficients) -> bool:
    """Whether published reports say something of nearly all ingredients, at both stages."""
    for stage in PREDICTED:
        known = coefficients.known[stage]
        for name in ("lut", "ff"):
            weights = coefficients.weights[stage][name]
            whole = figure(amounts, weights)
            if figure({k: v for k, v in amounts.items() if k in known}, weights) < _KNOWN * whole:
                return False
    return True
