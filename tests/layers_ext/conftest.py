"""Random tensor types that look like those of real networks, and like none."""

from collections.abc import Callable

import numpy as np
import pytest

from keras_hls.fixed import Fixed, TensorType

RandomType = Callable[..., TensorType]


def _random_type(rng: np.random.Generator, shape: tuple[int, ...], bits: int = 10, fracs: tuple[int, int] = (-4, 12)):
    """A type of at most `bits` bits: one for all elements, or an interval, a grid or a constant an element."""
    frac = int(rng.integers(*fracs, endpoint=True))
    signed = bool(rng.integers(3))
    width = int(rng.integers(1, bits, endpoint=True))
    if rng.integers(3) == 0:
        fixed = Fixed(signed, width, width - frac)
        return TensorType.of(fixed, shape)
    widths = rng.integers(0, width, shape, endpoint=True)
    zeros = rng.integers(0, 1 + widths // 2)
    reach = np.int64(1) << (widths - zeros)
    ends = np.sort([rng.integers(-reach if signed else 0, reach), rng.integers(-reach if signed else 0, reach)], axis=0)
    kind = rng.integers(0, 8, shape)
    low = np.where(kind == 0, -reach if signed else 0, np.where(kind == 1, 0, ends[0]))
    high = np.where(kind == 0, reach - 1, np.where(kind == 1, 0, np.where(kind == 2, low, np.maximum(ends[1], low))))
    return TensorType(low << zeros, high << zeros, frac, zeros)


@pytest.fixture(scope="session")
def random_type() -> RandomType:
    return _random_type


def _on_grid(rng: np.random.Generator, kind: TensorType, count: int) -> np.ndarray:
    step = np.int64(1) << np.minimum(kind.zeros, 50)
    raw = rng.integers(kind.low // step, kind.high // step, (count, *kind.shape), endpoint=True) * step
    pick = rng.integers(0, 6, raw.shape)
    return np.where(pick == 0, kind.low, np.where(pick == 1, kind.high, raw))


@pytest.fixture(scope="session")
def on_grid() -> Callable[..., np.ndarray]:
    """Raw integers of a type: any of them, and its ends more often."""
    return _on_grid
