"""The table of readers: which layer classes are known, by path, and which of their config keys each takes account of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any

from keras_hls.frontends.view import Builder, LayerView, Reader, ReadError, Ref
from keras_hls.layers_ext.quantize import Quantize

__all__ = ["READERS", "Builder", "LayerView", "ReadError", "Ref", "reads", "reads_operation"]

READERS: dict[str, Reader] = {}


@dataclass(frozen=True)
class Reading:
    """What a reader says of itself: the documentation's row, and the allow-list of a layer's arguments.

    Attributes
    ----------
    consumes : tuple of str
        Config keys that it takes account of, whatever their value but for `conditions`.
    neutral : mapping
        The one value that another key may have.
    conditions : mapping of str to str
        For a consumed key, which of its values can be read; others are refused.
    note : str
        What else to know of it.
    within : str
        How far the hardware may be from the layer's real values, if it isn't exact.
    """

    consumes: tuple[str, ...]
    neutral: Mapping[str, Any]
    conditions: Mapping[str, str]
    note: str
    within: str = ""


#: By layer class, as `READERS`.
READINGS: dict[str, Reading] = {}
#: The same for operations.
OPERATIONS: dict[str, Reading] = {}

# Arguments that say how a layer is trained or called, and nothing about what a trained layer computes.
_TRAINING_ONLY = frozenset({"name", "trainable", "dtype", "seed", "activity_regularizer"})
_TRAINING_SUFFIXES = ("_initializer", "_regularizer", "_constraint")


def reads(
    *paths: str,
    consumes: str = "",
    neutral: Mapping[str, Any] | None = None,
    conditions: Mapping[str, str] | None = None,
    within: str = "",
    integers: bool = False,
) -> Callable[[Callable[..., Ref]], Callable[..., Ref]]:
    """Register a reader for layer classes.

    The decorated function takes the layer, the builder and one `Ref` an input, already cast by the layer's own input
    quantizers; what it returns is cast by the layer's output quantizer. Its docstring stands in docs/layers.md.

    Parameters
    ----------
    *paths : str
        Layer classes, as "keras.layers.Dense".
    consumes : str
        The config keys that the reader takes account of, separated by blanks.
    neutral : mapping, optional
        Values of other keys that change nothing. Any other value of a key that isn't consumed refuses the layer.
    conditions : mapping, optional
        For consumed keys of which not every value can be read, which can: a phrase for docs/layers.md. The reader itself
        refuses the others.
    within : str, optional
        For a layer that isn't computed exactly, how far its values may be from the real ones: a phrase for docs/layers.md.
    integers : bool
        Whether the layer may take tensors of integers.

    Raises
    ------
    TypeError
        If a class has a reader already.
    """

    def register(read: Callable[..., Ref]) -> Callable[..., Ref]:
        @wraps(read)
        def whole(layer: LayerView, build: Builder, *inputs: Ref) -> Ref:
            check_config(layer, about.consumes, about.neutral)
            formats = layer.input_formats(len(inputs))
            inputs = tuple(
                _cast(build, x, to, layer, f"iq{i}" if len(inputs) > 1 else "iq")
                for i, (x, to) in enumerate(zip(inputs, formats))
            )
            return _cast(build, read(layer, build, *inputs), layer.output_formats(), layer, "oq")

        note = " ".join((read.__doc__ or "").split())
        about = Reading(tuple(consumes.split()), neutral or {}, conditions or {}, note, within)
        whole.integers = integers  # type: ignore[attr-defined]
        for path in paths:
            if path in READERS:
                raise TypeError(f"Layer class {path!r} has a reader already: {READERS[path].__module__}")
            READERS[path] = whole
            READINGS[path] = about
        return read

    return register


def reads_operation(*paths: str, consumes: str = "") -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Register a reader for operations, as "keras.ops.Add".

    The decorated function takes the operation (its config holds what the operation was made with), the builder and what it is
    called with, in order and by name: tensors as `Ref`, variables and arrays as numpy arrays, everything else as it is. It
    returns one `Ref`, or a sequence of them for an operation that returns several tensors.

    Parameters
    ----------
    *paths : str
        Operation classes.
    consumes : str
        The config keys that the reader takes account of, separated by blanks. Any other that isn't None refuses the operation.

    Raises
    ------
    TypeError
        If a class has a reader already.
    """

    def register(read: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(read)
        def whole(layer: LayerView, build: Builder, *args: Any, **kwargs: Any) -> Any:
            check_config(layer, about.consumes, about.neutral)
            return read(layer, build, *args, **kwargs)

        about = Reading(tuple(consumes.split()), {}, {}, " ".join((read.__doc__ or "").split()))
        for path in paths:
            if path in READERS:
                raise TypeError(f"Operation {path!r} has a reader already: {READERS[path].__module__}")
            READERS[path] = whole
            OPERATIONS[path] = about
        return read

    return register


def _cast(build: Builder, x: Ref, formats: Any, layer: LayerView, suffix: str) -> Ref:
    if formats is None:
        return x
    return build.add(Quantize(formats), x, name=f"{layer.name}_{suffix}", layer=layer.name)


def check_config(layer: LayerView, consumes: Sequence[str], neutral: Mapping[str, Any]) -> None:
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
