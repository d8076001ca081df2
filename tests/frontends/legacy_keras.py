"""Keras 2 by the name that it has here: TensorFlow 2.15 has it as ``keras``, current TensorFlow as ``tf_keras``, beside Keras 3."""

from __future__ import annotations

import importlib.metadata
import sys
from typing import Any

import pytest


def keras2() -> Any:
    """Return Keras 2; skip the module where there is none."""
    keras = pytest.importorskip("keras")
    return keras if keras.__version__.startswith("2") else pytest.importorskip("tf_keras")


def keras_of_qkeras() -> Any:
    """Return the Keras 2 that QKeras builds on; skip the module where there is no QKeras."""
    try:
        # HGQ2 brings a package of its name.
        importlib.metadata.version("qkeras")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("could not find QKeras", allow_module_level=True)
    qkeras = pytest.importorskip("qkeras")
    # With TF_USE_LEGACY_KERAS=1, which importing QKeras sets for later processes, it is tf_keras on TensorFlow 2.15 as well.
    keras = sys.modules[qkeras.QDense.__mro__[1].__module__.partition(".")[0]]
    if keras.__version__.startswith("3"):
        pytest.skip("QKeras needs TF_USE_LEGACY_KERAS=1 on this TensorFlow", allow_module_level=True)
    return keras
