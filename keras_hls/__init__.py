"""keras_hls: quantized Keras models to HLS C++ that computes bit for bit what the model computes.

Importing this package imports neither Keras nor MLflow nor numpy; each name is fetched when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "check": "keras_hls.api",
    "export_hls": "keras_hls.api",
    "load": "keras_hls.api",
    "snapshot": "keras_hls.api",
    "estimate": "keras_hls.api",
    "calibrate": "keras_hls.cost_calibration",
    "read_reports": "keras_hls.cost.from_reports",
    "Project": "keras_hls.project",
    "Snapshot": "keras_hls.snapshots",
    "HLSModelMixin": "keras_hls.mixin",
    "enable": "keras_hls.mixin",
    "HLSError": "keras_hls.errors",
    "HLSWarning": "keras_hls.errors",
}
_MODULES = ("callbacks", "emitters", "layers_ext")

__all__ = [
    "HLSError",
    "HLSModelMixin",
    "HLSWarning",
    "Project",
    "Snapshot",
    "calibrate",
    "callbacks",
    "check",
    "emitters",
    "enable",
    "estimate",
    "export_hls",
    "layers_ext",
    "load",
    "read_reports",
    "snapshot",
]

if TYPE_CHECKING:
    from keras_hls.api import check, estimate, export_hls, load, snapshot
    from keras_hls.cost.from_reports import read_reports
    from keras_hls.cost_calibration import calibrate
    from keras_hls.errors import HLSError, HLSWarning
    from keras_hls.mixin import HLSModelMixin, enable
    from keras_hls.project import Project
    from keras_hls.snapshots import Snapshot


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(f"keras_hls.{name}")
    if name in _HOMES:
        value = getattr(importlib.import_module(_HOMES[name]), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'keras_hls' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
