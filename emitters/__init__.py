"""Backends: one folder each, and the headers for C-simulation that are copied into each project."""

from __future__ import annotations

from keras_hls.emitters.base import Backend
from keras_hls.emitters.vitis import Vitis
from keras_hls.errors import InvalidOption, did_you_mean

BACKENDS: dict[str, type[Backend]] = {"Vitis": Vitis}


def backend(name: str) -> Backend:
    """Return the backend of that name.

    Raises
    ------
    InvalidOption
        If there is none; names the nearest.
    """
    if name not in BACKENDS:
        known = " or ".join(map(repr, BACKENDS))
        # Users of hls4ml write backends in either case.
        near = did_you_mean(str(name).capitalize(), BACKENDS)
        raise InvalidOption(f"backend must be {known}, not {name!r}.{near}")
    return BACKENDS[name]()


__all__ = ["BACKENDS", "Backend", "backend"]
