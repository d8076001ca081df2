"""rule4ml, a learned estimator: its figures for the published designs that it can describe.

It is told a network's layers with their sizes, the board, strategy, precision and reuse factor; never a weight. So two
networks of the same sizes are the same to it, pruned or not.
"""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Iterable, Mapping
from typing import Any

from calibration.records import Design

#: What it was trained on: a board by family of parts. Any UltraScale+ part that isn't listed is told as the largest of them.
_BOARDS = {"xc7": "pynq-z2", "7z": "pynq-z2", "xczu": "zcu102", "xcu200": "alveo-u200", "xcu250": "alveo-u250"}
_OTHER_BOARD = "alveo-u250"
#: Its columns by our names.
_COLUMNS = {"lut": "LUT", "ff": "FF", "dsp": "DSP", "bram": "BRAM", "latency_cycles": "CYCLES", "ii": "INTERVAL"}
_VERSIONS = {"hls4ml_versions": "0.8.1"}
#: The versions that its predictors know; a design made with another is told as the nearest.
_TOOLS = [f"{year}.{half}" for year in range(2019, 2025) for half in (1, 2)]


def is_installed() -> bool:
    """Return whether rule4ml can be imported."""
    try:
        import rule4ml  # noqa: F401
    except ImportError:
        return False
    return True


def figures(designs: Iterable[Design]) -> dict[str, dict[str, float]]:
    """Return rule4ml's figures by design and name.

    Designs with layers that it doesn't know (recurrent ones), and all stages but what HLS reports, which is what it was trained
    to tell, aren't there.
    """
    chosen = {each.name: each for each in designs if each.stage == "csynth" and _describable(each)}
    if not chosen:
        return {}
    from rule4ml.models.wrappers import MultiModelWrapper

    with contextlib.redirect_stdout(io.StringIO()):
        estimator = MultiModelWrapper()
        estimator.load_default_models()
        return {name: _predicted(estimator, design) for name, design in chosen.items()}


def _describable(design: Design) -> bool:
    return all(layer["fn"] in _LAYERS for layer in design.layers)


def _predicted(estimator: Any, design: Design) -> dict[str, float]:
    table = estimator.predict(
        _network(design), hls_configs=_settings(design), vivado_versions=_tool(design), round_digits=6, **_VERSIONS
    )
    (row,) = table.to_dict("records")
    return {ours: float(row[theirs]) for ours, theirs in _COLUMNS.items()}


def _tool(design: Design) -> str:
    version = float(re.match(r"\d+\.\d", str(design.record["tool_version"]))[0])  # type: ignore[index]
    return min(_TOOLS, key=lambda known: abs(float(known) - version))


def _settings(design: Design) -> dict[str, Any]:
    part = design.part
    board = next((board for start, board in _BOARDS.items() if part.startswith(start)), _OTHER_BOARD)
    dense = next(layer for layer in design.layers if layer["fn"] == "dense")
    reuse = design.record["reuse_factor"]
    return {
        "board": board,
        "model": {
            "strategy": design.record["strategy"],
            "precision": dense["weight_t"],
            "reuse_factor": max(reuse) if isinstance(reuse, list) else reuse,
        },
        "layer_name": {
            layer["name"]: {"reuse_factor": layer["reuse_factor"]}
            for layer in design.layers
            if layer.get("reuse_factor") and layer["fn"] in ("dense", "conv_1d_cl")
        },
    }


def _network(design: Design) -> Any:
    """The design as a Keras network, with weights of Keras's own choice."""
    import keras

    first = design.layers[0]
    convolution = next((each for each in design.layers if each["fn"].startswith("conv")), None)
    shape = (first["in_width"], first["n_chan"]) if convolution else (first["n_in"],)
    value = start = keras.Input(shape)
    for layer in design.layers:
        if layer["fn"] == "dense" and len(value.shape) > 2:
            value = keras.layers.Flatten()(value)
        value = _LAYERS[layer["fn"]](keras, layer)(value)
    network = keras.Model(start, value, name=re.sub(r"\W", "_", design.name))
    network.build((None, *shape))
    return network


def _dense(keras: Any, layer: Mapping[str, Any]) -> Any:
    return keras.layers.Dense(layer["n_out"], name=layer["name"])


def _conv(keras: Any, layer: Mapping[str, Any]) -> Any:
    return keras.layers.Conv1D(
        layer["n_filt"], layer["filt_width"], strides=layer["stride_width"], padding="same", name=layer["name"]
    )


def _batch_normalization(keras: Any, layer: Mapping[str, Any]) -> Any:
    return keras.layers.BatchNormalization(name=layer["name"])


def _nothing(keras: Any, layer: Mapping[str, Any]) -> Any:
    # Its description has no layer for it: padding is that of the convolution, and a linear activation none.
    return lambda value: value


def _activation(name: str) -> Any:
    return lambda keras, layer: keras.layers.Activation(name, name=layer["name"])


#: Kernels that it has words for.
_LAYERS: dict[str, Any] = {
    "dense": _dense,
    "conv_1d_cl": _conv,
    "zeropad1d_cl": _nothing,
    "normalize": _batch_normalization,
    "linear": _nothing,
    **{name: _activation(name) for name in ("relu", "softmax", "sigmoid")},
}
