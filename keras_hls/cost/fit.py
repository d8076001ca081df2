"""From figures of reports to coefficients: what one of each ingredient counts, and how far estimates are off.

The laws are in the counting of ingredients; what is fitted is a factor on each coefficient, so that none can change its sign.
The factors are drawn to 1 like by so many more reports, so that a few reports change only what they tell about.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from keras_hls.cost.pricing import figure
from keras_hls.cost.silicon import Amounts

Floats = npt.NDArray[np.float64]

#: LUTs or flip-flops that are too few to count: errors are relative to the truth and so many.
SMALL = {"lut": 30.0, "ff": 30.0}
#: The figures that are fitted.
FITTED = tuple(SMALL)
#: The relative error from which a sample counts less than by its square.
FAR = 0.15


@dataclass(frozen=True)
class Sample:
    """What was built, and what a report said of it.

    Attributes
    ----------
    amounts : mapping of str to float
        Of each ingredient.
    truth : float
        LUTs or flip-flops.
    source : str
        Where the report comes from: what is left out together when errors are told.
    share : float
        How much it counts among the others.
    plain : bool
        Whether it is of the kind that intervals are told for.
    """

    amounts: Amounts
    truth: float
    source: str
    share: float = 1.0
    plain: bool = True


def fitted(samples: Sequence[Sample], start: Mapping[str, float], name: str, strength: float = 2.0) -> dict[str, float]:
    """Return the coefficients of a figure that suit the samples best.

    Least squares of the logarithms of truth over estimate by Gauss and Newton, robust as Huber's.

    Parameters
    ----------
    samples : sequence of Sample
    start : mapping of str to float
        The coefficients that they are drawn to.
    name : str
        "lut" or "ff".
    strength : float
        Like how many samples the start counts.
    """
    names = [key for key, value in start.items() if value > 0 and any(s.amounts.get(key) for s in samples)]
    if not names:
        return dict(start)
    small = SMALL[name]
    amounts = np.array([[s.amounts.get(key, 0.0) for key in names] for s in samples])
    rest = np.array([figure({k: v for k, v in s.amounts.items() if k not in names}, start) for s in samples])
    truth = np.array([s.truth for s in samples])
    share = np.sqrt(np.array([s.share for s in samples]))
    base = np.array([start[key] for key in names])
    factors = np.zeros(len(names))
    for _ in range(60):
        parts = amounts * (base * np.exp(factors))
        guess = parts.sum(1) + rest + small
        error = np.log(truth + small) - np.log(guess)
        slope = parts / guess[:, None]
        # What is far off has another cause, which no coefficient should make up for.
        trust = share / np.sqrt(np.maximum(np.abs(error) / FAR, 1))
        left = np.vstack([slope * trust[:, None], np.sqrt(strength) * np.eye(len(names))])
        right = np.concatenate([error * trust, -np.sqrt(strength) * factors])
        step = np.linalg.lstsq(left, right, rcond=None)[0]
        factors += np.clip(step, -0.5, 0.5)
        if np.abs(step).max() < 1e-6:
            break
    return {**start, **{key: float(v) for key, v in zip(names, base * np.exp(factors))}}


def left_out(samples: Sequence[Sample], start: Mapping[str, float], name: str, strength: float = 2.0) -> Floats:
    """Return an estimate of each sample by coefficients that were fitted without its source."""
    found = np.zeros(len(samples))
    for source in {s.source for s in samples}:
        weights = fitted([s for s in samples if s.source != source], start, name, strength)
        for place, sample in enumerate(samples):
            if sample.source == source:
                found[place] = figure(sample.amounts, weights)
    return found


def spread(estimates: Floats, truths: Floats, shares: Floats, small: float, inside: float = 0.8) -> tuple[float, float]:
    """Return truth over estimate at the ends of an interval that holds a share of the samples, and 1.

    As many are left out below as above. Each end is the next sample further out, so that a few samples give a wider interval.
    """
    ratios = (truths + small) / (estimates + small)
    order = np.argsort(ratios)
    place = (np.cumsum(shares[order]) - shares[order] / 2) / shares.sum()
    outside = (1 - inside) / 2
    low = ratios[order][max(int(np.searchsorted(place, outside)) - 1, 0)]
    high = ratios[order][min(int(np.searchsorted(place, 1 - outside)), len(order) - 1)]
    return float(min(low, 1.0)), float(max(high, 1.0))
