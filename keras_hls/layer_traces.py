"""What every layer answers to the same samples: from Keras, the integer emulator and C-simulation, side by side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from keras_hls.errors import HLSError, did_you_mean
from keras_hls.fixed import Fixed, FloatArray, TensorType, from_float
from keras_hls.text_table import text_table
from keras_hls.verification import unexplained

if TYPE_CHECKING:
    from pandas import DataFrame

#: Lowest and highest of some values.
Span = tuple[float, float]


@dataclass(frozen=True, eq=False)
class LayerTrace:
    """What one call of a layer answers.

    Parameters
    ----------
    layer : str
        Name of the layer; "shared#2" is its second call, "outer/inner" one inside of another.
    note : str
        How the values are seen: "before softmax" where the host applies that; "as read" where they are cast already, as the
        next layer does it (those of Keras aren't, but are compared so); "without dead channels" where some don't matter.
    kind : TensorType or None
        What the hardware's values can be; None if it has none of this layer alone, as where a layer is part of another.
    tolerance : float
        How far Keras's values may be from the emulator's for a known reason: types that were chosen, or float32, which rounds.
    casts : tuple of Fixed
        What Keras's values are cast to before they are compared.
    keras : float array or None
        Keras's values, of shape (n, *shape of the layer's answer); None if it wasn't asked.
    emulated, simulated : integer array or None
        Raw integers of emulator and C-simulation, in as few bytes as hold them.
    """

    layer: str
    note: str
    kind: TensorType | None
    tolerance: float
    casts: tuple[Fixed, ...]
    keras: FloatArray | None
    emulated: npt.NDArray[Any] | None
    simulated: npt.NDArray[Any] | None

    @cached_property
    def emulator(self) -> npt.NDArray[np.float64] | None:
        """The emulator's values; None if the hardware has none of this layer alone."""
        return self._values(self.emulated)

    @cached_property
    def csim(self) -> npt.NDArray[np.float64] | None:
        """The values of C-simulation; None if it didn't run, or the hardware has none of this layer alone."""
        return self._values(self.simulated)

    def _values(self, raw: npt.NDArray[Any] | None) -> npt.NDArray[np.float64] | None:
        return None if raw is None or self.kind is None else self.kind.to_float(raw)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of what the layer answers to one sample."""
        return self.kind.shape if self.kind is not None else () if self.keras is None else self.keras.shape[1:]

    @property
    def type(self) -> str:
        """The narrowest fixed-point type that holds every element; "" if the hardware has no value of this layer alone."""
        return "" if self.kind is None else str(self.kind.hull)

    @property
    def range(self) -> Span | None:
        """The lowest and the highest value that can occur, for any sample."""
        if self.kind is None:
            return None
        ends = self.kind.to_float(np.stack([self.kind.low, self.kind.high]))
        return _span(ends)

    @property
    def observed(self) -> Span | None:
        """The lowest and the highest value that did occur: the emulator's, or else Keras's."""
        values = self.keras if self.emulated is None else self.emulator
        return None if values is None else _span(values)

    @cached_property
    def difference(self) -> LayerDifference:
        """In how many values they differ, and by how much."""
        mine, emulated, simulated = self.emulator, self.emulated, self.simulated
        keras: dict[str, Any] = {}
        csim: dict[str, Any] = {}
        if mine is not None and self.keras is not None:
            theirs = _cast(np.asarray(self.keras, np.float64), self.casts)
            keras = {
                "keras_different": int((mine != theirs).sum()),
                "keras_largest": _largest(mine, theirs),
                "unexplained": int(unexplained(mine, theirs, self.tolerance).sum()),
            }
        if mine is not None and emulated is not None and simulated is not None and self.csim is not None:
            # Raw integers: of more than 53 bits, floats could be equal where those aren't.
            csim = {
                "csim_different": int((emulated != simulated).sum()),
                "csim_largest": _largest(mine, self.csim),
            }
        values = 0 if mine is None else mine.size
        return LayerDifference(
            self.layer, self.note, self.shape, self.type, self.range, self.observed, values, **keras, **csim
        )

    @classmethod
    def joined(cls, parts: Sequence[LayerTrace]) -> LayerTrace:
        """Return what one layer answers to the samples of all parts."""
        arrays: dict[str, Any] = {}
        for name in ("keras", "emulated", "simulated"):
            found = [getattr(part, name) for part in parts]
            arrays[name] = found[0] if len(found) == 1 or found[0] is None else np.concatenate(found)
        return replace(parts[0], **arrays)


def _cast(values: npt.NDArray[np.float64], casts: Sequence[Fixed]) -> npt.NDArray[np.float64]:
    """Values as some casts leave them; those that are no numbers as they are."""
    finite = np.isfinite(values)
    for to in casts:
        values = np.where(finite, np.ldexp(from_float(np.where(finite, values, 0.0), to), -to.frac), values)
    return values


def _span(values: npt.NDArray[Any]) -> Span | None:
    return (float(values.min()), float(values.max())) if values.size else None


def _largest(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> float:
    with np.errstate(invalid="ignore"):
        return float(np.abs(a - b).max(initial=0))


@dataclass(frozen=True)
class LayerDifference:
    """In how many values of one layer's call Keras, emulator and C-simulation differ.

    Attributes
    ----------
    layer, note, shape, type, range, observed
        As those of `LayerTrace`.
    values : int
        How many values were compared: samples times elements.
    keras_different : int or None
        How many of them differ between Keras and emulator; None if there is nothing to compare.
    keras_largest : float
        By how much, at most.
    unexplained : int
        How many of them do without a known reason: see `keras_hls.verification.Verification`.
    csim_different : int or None
        How many differ between emulator and C-simulation; None if there is nothing to compare.
    csim_largest : float
    """

    layer: str
    note: str
    shape: tuple[int, ...]
    type: str
    range: Span | None
    observed: Span | None
    values: int
    keras_different: int | None = None
    keras_largest: float = 0.0
    unexplained: int = 0
    csim_different: int | None = None
    csim_largest: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether nothing differs, but for a known reason."""
        return not self.csim_different and not self.unexplained

    @property
    def name(self) -> str:
        """The layer's name, and how its values are seen."""
        return f"{self.layer} ({self.note})" if self.note else self.layer

    def __str__(self) -> str:
        parts = []
        if self.csim_different:
            count, most = self.csim_different, self.csim_largest
            parts.append(
                f"C-simulation and emulator differ in {count:,} of {self.values:,} values, by at most {most:g}"
            )
        if self.keras_different:
            parts.append(
                f"Keras and emulator differ in {self.keras_different:,} of {self.values:,} values, by at most"
                f" {self.keras_largest:g}"
            )
        about = [self.type or "no value of its own in the hardware"]
        about += [f"range {_text(self.range)}"] if self.range else []
        about += [f"seen {_text(self.observed)}"] if self.observed else []
        return f"{self.name!r} ({', '.join(about)}): {'; '.join(parts) or 'nothing differs'}"

    def and_then(self, more: LayerDifference) -> LayerDifference:
        """Return the difference for further samples as well."""

        def added(a: int | None, b: int | None) -> int | None:
            return None if a is None or b is None else a + b

        spans = [span for span in (self.observed, more.observed) if span is not None]
        return replace(
            self,
            observed=(min(low for low, _ in spans), max(high for _, high in spans)) if spans else None,
            values=self.values + more.values,
            keras_different=added(self.keras_different, more.keras_different),
            keras_largest=float(np.maximum(self.keras_largest, more.keras_largest)),
            unexplained=self.unexplained + more.unexplained,
            csim_different=added(self.csim_different, more.csim_different),
            csim_largest=float(np.maximum(self.csim_largest, more.csim_largest)),
        )


class Trace(Mapping[str, LayerTrace]):
    """What every layer answers to the same samples, by layer, in the network's order; ``print`` it for a table.

    Attributes
    ----------
    samples : int
        How many samples were run.
    """

    def __init__(self, samples: int, layers: Sequence[LayerTrace]):
        self.samples = samples
        self._layers = {layer.layer: layer for layer in layers}

    def __getitem__(self, layer: str) -> LayerTrace:
        try:
            return self._layers[layer]
        except KeyError:
            raise UnknownLayer(f"There is no layer {layer!r}.{did_you_mean(layer, self._layers)}") from None

    def __iter__(self) -> Iterator[str]:
        return iter(self._layers)

    def __len__(self) -> int:
        return len(self._layers)

    def compare(self) -> Comparison:
        """Return in how many values they differ, layer by layer."""
        return Comparison(self.samples, tuple(layer.difference for layer in self.values()))

    def to_pandas(self) -> DataFrame:
        """Return a table with a row for each layer; needs pandas."""
        return self.compare().to_pandas()

    def __str__(self) -> str:
        return f"{_count(len(self), 'layer')}, {_count(self.samples, 'sample')}\n\n{self.compare().table()}"

    @classmethod
    def joined(cls, parts: Sequence[Trace]) -> Trace:
        """Return what all layers answer to the samples of all parts."""
        layers = [LayerTrace.joined([part[name] for part in parts]) for name in parts[0]]
        return cls(sum(part.samples for part in parts), layers)


class UnknownLayer(HLSError, KeyError):
    """A trace has no layer of that name."""

    def __str__(self) -> str:
        return str(self.args[0])


@dataclass(frozen=True)
class Comparison:
    """In how many values Keras, emulator and C-simulation differ, layer by layer; ``print`` it for sentences and a table.

    Attributes
    ----------
    samples : int
        How many samples were run.
    layers : tuple of LayerDifference
        In the network's order.
    """

    samples: int
    layers: tuple[LayerDifference, ...]

    @property
    def first(self) -> LayerDifference | None:
        """The first layer, in the network's order, with values that differ without a known reason."""
        return next((layer for layer in self.layers if not layer.ok), None)

    @property
    def ok(self) -> bool:
        """Whether there is no such layer."""
        return self.first is None

    def to_pandas(self) -> DataFrame:
        """Return a table with a row for each layer; needs pandas."""
        import pandas

        columns = [field.name for field in fields(LayerDifference)]
        return pandas.DataFrame([asdict(layer) for layer in self.layers], columns=columns)

    def __str__(self) -> str:
        found = [layer for layer in self.layers if layer.type]
        lines = [f"{_count(len(found), 'layer')}, {_count(self.samples, 'sample')}."]
        if all(layer.csim_different is None for layer in found):
            lines.append("C-simulation didn't run.")
        if all(layer.keras_different is None for layer in found):
            lines.append("Keras wasn't asked.")
        lines.append(f"The first layer that differs is {self.first}." if self.first else "No layer differs.")
        if self.ok and (some := [layer for layer in found if layer.keras_different]):
            lines[-1] = (
                f"{len(some):,} of them {'differ' if len(some) > 1 else 'differs'} from Keras, for known reasons alone: types that"
                " were chosen, results to so many bits, and Keras's float32, which rounds."
            )
        return "\n".join([*lines, "", self.table()])

    def table(self) -> str:
        """Return a row for each layer, as text."""
        head = ("Layer", "Shape", "Type", "Range", "Seen", "Keras differs", "by", "C-sim differs", "by", "of")
        rows = [
            (
                layer.name,
                str(layer.shape) if layer.type or layer.observed else "-",
                layer.type or "-",
                _text(layer.range),
                _text(layer.observed),
                *_cells(layer.keras_different, layer.keras_largest),
                *_cells(layer.csim_different, layer.csim_largest),
                f"{layer.values:,}",
            )
            for layer in self.layers
        ]
        return text_table(head, rows, left=(0, 1, 2))

    def and_then(self, more: Comparison) -> Comparison:
        """Return the comparison for further samples as well."""
        layers = tuple(a.and_then(b) for a, b in zip(self.layers, more.layers, strict=True))
        return Comparison(self.samples + more.samples, layers)


def _text(span: Span | None) -> str:
    return "-" if span is None else f"{span[0]:g} to {span[1]:g}"


def _cells(different: int | None, largest: float) -> tuple[str, str]:
    return ("-", "-") if different is None else (f"{different:,}", f"{largest:g}")


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
