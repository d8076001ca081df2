"""Keras 3's .keras files, loaded by Keras itself: configs and weights, never code."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

from keras_hls.errors import InvalidModel


def load(path: Path) -> Any:
    """Return the model of a .keras file.

    Raises
    ------
    InvalidModel
        If Keras 3 isn't installed, or can't load it.
    """
    try:
        import keras
    except ImportError:
        keras = None
    if keras is None or not keras.__version__.startswith("3"):
        here = "no Keras" if keras is None else f"Keras {keras.__version__}"
        raise InvalidModel(
            f"Model file {str(path)!r} needs Keras 3 to be loaded, and this environment has {here}; models of Keras 2 are read"
            " without any"
        )
    # Importing it makes HGQ2's layers known to Keras; a model without them needs it not.
    with contextlib.suppress(ImportError):
        import hgq.layers  # noqa: F401
    try:
        # Never anything but configs and weights: Lambdas with code in the file are refused.
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:
        raise InvalidModel(f"Model file {str(path)!r} can't be loaded: {error}") from error
