"""Samples in files, that all tools are given alike."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

#: Bytes of samples that a run takes at most.
_MOST = 1 << 30


def room(path: str) -> int:
    """Return how many samples of a file's kind are few enough for the memory."""
    x = np.load(path, mmap_mode="r")
    return max(_MOST // max(x[:1].nbytes, 1), 1)


def repeated(path: str, count: int) -> npt.NDArray[np.float32]:
    """Return so many samples of a file; from its beginning again when it ends."""
    x = np.load(path)
    times = -(-count // len(x))
    return np.ascontiguousarray((x if times == 1 else np.concatenate([x] * times))[:count])
