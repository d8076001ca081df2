"""Whether the weights of a saved layer are as large as its arguments say: an edited file may hold either of two truths."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy.typing as npt

from keras_hls.frontends.view import ReadError

#: By weight: which argument says how long an axis is. The first that a layer has counts.
_LENGTHS: Mapping[str, Mapping[int, tuple[str, ...]]] = {
    "kernel": {-1: ("units", "filters", "depth_multiplier")},
    "depthwise_kernel": {-1: ("depth_multiplier",)},
    "pointwise_kernel": {-1: ("filters",)},
    "bias": {-1: ("units", "filters")},
    "embeddings": {0: ("input_dim",), 1: ("output_dim",)},
}
#: Those that begin with the axes of the window.
_WINDOWS = ("kernel", "depthwise_kernel")


def check_shapes(kind: str, config: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    """Refuse weights that don't have the sizes that a layer's arguments name.

    Parameters
    ----------
    kind : str
        The layer's class.
    config : mapping
        Its arguments.
    arrays : mapping
        Its weights by name.

    Raises
    ------
    ReadError
    """
    if kind.startswith("LocallyConnected"):
        # They keep kernels in three ways, which their reader tells apart.
        return
    for name, array in arrays.items():
        # The kernel of a transposed convolution has its outputs before its inputs.
        moved = kind.endswith("Transpose") and name == "kernel"
        wanted = {axis - moved: key for axis, keys in _LENGTHS.get(name, {}).items() if (key := _first(keys, config))}
        lengths = {axis: _whole(key, config[key]) for axis, key in wanted.items()}
        if name in _WINDOWS and "kernel_size" in config:
            size = config["kernel_size"]
            lengths |= {
                axis: _whole("kernel_size", length)
                for axis, length in enumerate(size if isinstance(size, (list, tuple)) else [size] * (array.ndim - 2))
            }
        if any(not -array.ndim <= axis < array.ndim or array.shape[axis] != n for axis, n in lengths.items()):
            said = ", ".join(
                f"{key}={config[key]}" for key in dict.fromkeys([*wanted.values(), "kernel_size"]) if key in config
            )
            raise ReadError(f"its {name} is of shape {array.shape}, which doesn't fit its arguments {said}")


def _first(keys: tuple[str, ...], config: Mapping[str, Any]) -> str:
    return next((key for key in keys if config.get(key) is not None), "")


def _whole(key: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise ReadError(f"its {key} must be whole numbers, not {value!r}")
    return value
