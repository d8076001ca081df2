"""Data that networks can learn from: synthetic, or what scikit-learn carries; nothing is downloaded.

Every function takes a count and a seed and returns float32 samples and their labels. What the classes are never changes.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]
Data = tuple[Floats, Labels]

_WORLD = 2024


def jets(count: int, seed: int) -> Data:
    """Return synthetic jets, 16 standardised features of 5 classes."""
    world = np.random.default_rng(_WORLD)
    centre, spread = world.normal(size=(5, 16)), world.normal(size=(5, 16, 16)) * 0.3
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 5, count)
    features = np.empty((count, 16), np.float32)
    for kind in range(5):
        here = label == kind
        features[here] = centre[kind] + rng.normal(size=(here.sum(), 16)) @ spread[kind]
    return ((features + rng.normal(size=(count, 16)) * 0.5) / 2).astype(np.float32), label


def clouds(count: int, seed: int) -> Data:
    """Return points with 512 features around the centres of 10 classes."""
    centre = np.random.default_rng(_WORLD).normal(size=(10, 512)).astype(np.float32)
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 10, count)
    return centre[label] + 2 * rng.standard_normal((count, 512), np.float32), label


def _digits(count: int, seed: int) -> Data:
    """Return scikit-learn's handwritten digits, (8, 8) from 0 to 1, in any order and again and again."""
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    chosen = np.random.default_rng(seed).integers(0, len(images), count)
    return (images[chosen] / 16).astype(np.float32).reshape(count, 8, 8), labels[chosen]


def flat_digits(count: int, seed: int) -> Data:
    """Return handwritten digits as 64 numbers."""
    x, label = _digits(count, seed)
    return x.reshape(count, 64), label


def large_digits(count: int, seed: int) -> Data:
    """Return handwritten digits as images (28, 28, 1): each pixel threefold, somewhere in the frame, with some noise."""
    x, label = _digits(count, seed)
    rng = np.random.default_rng(seed)
    noise = 0.1 * np.abs(rng.standard_normal((count, 28, 28, 1), np.float32))
    tops, lefts = rng.integers(0, 5, (2, count))
    for image, digit, top, left in zip(noise, x.repeat(3, axis=1).repeat(3, axis=2), tops, lefts):
        image[top : top + 24, left : left + 24, 0] += digit
    return np.minimum(noise, 1, out=noise), label


def pictures(count: int, seed: int) -> Data:
    """Return pictures, (32, 32, 3) from 0 to 1, of 10 coarse patterns in strong noise."""
    coarse = np.random.default_rng(_WORLD).normal(size=(10, 8, 8, 3)).astype(np.float32)
    pattern = 0.5 + 0.15 * coarse.repeat(4, axis=1).repeat(4, axis=2)
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 10, count)
    x = rng.standard_normal((count, 32, 32, 3), np.float32)
    for picture, kind in zip(x, label):
        picture *= 0.25
        picture += pattern[kind]
    return np.clip(x, 0, 1, out=x), label


def waves(count: int, seed: int) -> Data:
    """Return pairs of waves, (64, 2), of 6 classes: how fast they are and how they lie to each other."""
    world = np.random.default_rng(_WORLD)
    frequency, lag = world.uniform(1, 9, (6, 2)), world.uniform(0, 6, (6, 2))
    rng = np.random.default_rng(seed)
    label = rng.integers(0, 6, count)
    time = np.linspace(0, 1, 64)[None, :, None]
    x = np.sin(2 * np.pi * frequency[label][:, None] * time + lag[label][:, None] + rng.uniform(0, 6, (count, 1, 1)))
    return (x + rng.normal(size=x.shape) * 0.3).astype(np.float32), label
