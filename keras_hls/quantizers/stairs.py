"""Functions that are constant between thresholds: signs, ternary numbers and powers of two."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from keras_hls.fixed import FloatArray


@dataclass(frozen=True)
class Stairs:
    """A function with one value below the first threshold, another up to the second, and so on.

    Parameters
    ----------
    bounds : tuple of float
        The k thresholds, in order.
    above : tuple of bool
        For each, whether the threshold itself still has the value below it.
    values : tuple of float
        The k + 1 values.
    """

    bounds: tuple[float, ...]
    above: tuple[bool, ...]
    values: tuple[float, ...]

    def __call__(self, x: FloatArray) -> FloatArray:
        """Return the values at numbers, as float64."""
        y = np.full(np.shape(x), self.values[0], np.float64)
        for bound, above, value in zip(self.bounds, self.above, self.values[1:]):
            y = np.where(x > bound if above else x >= bound, value, y)
        return y

    @classmethod
    def of(cls, *steps: tuple[float, bool, float], start: float) -> Stairs:
        """Return the function that starts with a value and then takes steps (bound, above, value); equal ones are one."""
        kept: list[tuple[float, bool, float]] = []
        last = start
        for bound, above, value in steps:
            if value != last:
                kept.append((bound, above, value))
                last = value
        bounds, aboves, values = (tuple(column) for column in zip(*kept)) if kept else ((), (), ())
        return cls(bounds, aboves, (start, *values))
