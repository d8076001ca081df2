"""The table of readers: which layer classes are known, by path, and which of their config keys each takes account of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

from keras_hls.frontends.view import Builder, LayerView, Reader, ReadError, Ref
from keras_hls.layers_ext.quantize import Quantize

__all__ = ["READERS", "Builder", "LayerView", "ReadError", "Ref", "reads"]

READERS: dict[str, Reader] = {}

# Arguments that say how a layer is trained or called, and nothing about what a trained layer computes.
_TRAINING_ONLY = frozenset({"name", "trainable", "dtype", "seed", "activity_regularizer"})
_TRAINING_SUFFIXES = ("_initializer", "_regularizer", "_constraint")


def reads(
    *paths: str, consumes: str = "", neutral: Mapping[str, Any] | None = None
) -> Callable[[Callable[..., Ref]], Callable[..., Ref]]:
    """Register a reader for layer classes.

    The decorated function takes the layer, the builder and one `Ref` an input, already cast by the layer's own input
    quantizers; what it returns is cast by the layer's output quantizer.

    Parameters
    ----------
    *paths : str
        Layer classes, as "keras.layers.Dense".
    consumes : str
        The config keys that the reader takes account of, separated by blanks.
    neutral : mapping, optional
        Values of other keys that change nothing. Any other value of a key that isn't consumed refuses the layer.

    Raises
    ------
    TypeError
        If a class has a reader already.
    """

    def register(read: Callable[..., Ref]) -> Callable[..., Ref]:
        @wraps(read)
        def whole(layer: LayerView, build: Builder, *inputs: Ref) -> Ref:
            check_config(layer, consumes.split(), neutral or {})
            formats = layer.input_formats(len(inputs))
            inputs = tuple(
                _cast(build, x, to, layer, f"iq{i}" if len(inputs) > 1 else "iq")
                for i, (x, to) in enumerate(zip(inputs, formats))
            )
            return _cast(build, read(layer, build, *inputs), layer.output_formats(), layer, "oq")

        for path in paths:
            if path in READERS:
                raise TypeError(f"Layer class {path!r} has a reader already: {READERS[path].__module__}")
            READERS[path] = whole
        return read

    return register


def _cast(build: Builder, x: Ref, formats: Any, layer: LayerView, suffix: str) -> Ref:
    if formats is None:
        return x
    return build.add(Quantize(formats), x, name=f"{layer.name}_{suffix}", layer=layer.name)


def check_config(layer: LayerView, consumes: list[str], neutral: Mapping[str, Any]) -> None:
    """Refuse a layer with an argument that nobody takes account of, unless it stands at its neutral value.

    Raises
    ------
    ReadError
        Names every such argument and its value.
    """
    unknown = []
    for key, value in layer.config.items():
        if key in consumes or key in layer.understood or key in _TRAINING_ONLY or key.endswith(_TRAINING_SUFFIXES):
            continue
        if value is None or (key in neutral and neutral[key] == value):
            continue
        unknown.append(f"{key}={value!r}" + (f" (only {neutral[key]!r} can be exported)" if key in neutral else ""))
    if unknown:
        raise ReadError(f"no reader takes account of {', '.join(unknown)}; leave it at its default")
