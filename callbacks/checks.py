"""What is checked before a training begins: an hour later is too late to hear of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keras_hls.api import snapshot
from keras_hls.errors import InvalidData, TooWide, UnsupportedModel
from keras_hls.sim.emulator import Samples, to_raw


def check_model(
    model: Any, options: Mapping[str, Any], validation: Samples | None, calibration: Samples | None
) -> None:
    """Refuse a model that can't be exported whatever it learns, and samples that don't fit it.

    A model that isn't built yet can't be looked at, and passes.

    Raises
    ------
    UnsupportedModel, InvalidModel, InvalidOption, InvalidData
    """
    if not model.built:
        return
    try:
        graph = snapshot(model, calibration=calibration, **options).graph
    except TooWide:
        # Bit widths that are trained may shrink.
        return
    except UnsupportedModel as error:
        # What only waits for data is mended by the training itself.
        problems = [problem for problem in error.problems if problem not in error.untrained]
        if problems:
            raise UnsupportedModel(problems) from None
        return
    if validation is not None:
        try:
            to_raw(graph, validation)
        except ValueError as error:
            raise InvalidData(
                f"validation must be inputs of the network: {error}. Labels go beside them, in a tuple (x, y)"
            ) from None
