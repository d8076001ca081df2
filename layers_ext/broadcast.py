"""Constants that repeat over a tensor: how they lie in memory, so that C++ needs each number once."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import numpy as np

from keras_hls.fixed import IntArray


@dataclass(frozen=True)
class Repeated:
    """How constants of one shape, broadcast to a tensor's, repeat: element i has number ``i // inner % count``.

    Parameters
    ----------
    count : int
        Numbers that differ by place.
    inner : int
        Neighbouring elements that share one.
    """

    count: int
    inner: int

    @classmethod
    def of(cls, constant: tuple[int, ...], tensor: tuple[int, ...]) -> Repeated:
        """Return how constants of shape `constant` repeat over a tensor.

        Raises
        ------
        ValueError
            If the one doesn't broadcast to the other.
        """
        try:
            suits = np.broadcast_shapes(constant, tensor) == tensor
        except ValueError:
            suits = False
        if not suits:
            raise ValueError(f"constants of shape {constant} don't suit an input of shape {tensor}")
        full = (1,) * (len(tensor) - len(constant)) + constant
        varying = [axis for axis, n in enumerate(full) if n > 1]
        if not varying:
            return cls(1, 1)
        return cls(prod(tensor[varying[0] : varying[-1] + 1]), prod(tensor[varying[-1] + 1 :]))

    def pick(self, values: IntArray, tensor: tuple[int, ...]) -> IntArray:
        """Return the `count` numbers in order."""
        whole = np.broadcast_to(values, tensor).reshape(-1)
        return np.ascontiguousarray(whole[: self.count * self.inner : self.inner])
