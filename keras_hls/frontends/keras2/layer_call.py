"""A call of a layer of a saved model, for the walk over a program."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from keras_hls.frontends.keras2.binary import BinaryView
from keras_hls.frontends.keras2.hgq_proxy import ExactView
from keras_hls.frontends.keras2.hgq_saved import saved_view
from keras_hls.frontends.keras2.layer_views import SavedView
from keras_hls.frontends.keras2.qkeras_adaptive import AdaptiveView
from keras_hls.frontends.keras2.qkeras_view import QKerasView
from keras_hls.frontends.keras2.saved import Arrays, SavedLayer
from keras_hls.frontends.keras2.tf_operations import Operands, SavedOperationView, operation_path
from keras_hls.frontends.keras2.words import class_path
from keras_hls.frontends.program import Call
from keras_hls.frontends.view import Builder, LayerView, Reader, ReadError, Ref


@dataclass(frozen=True, eq=False)
class SavedCall(Call):
    """One call of a layer.

    Attributes
    ----------
    layer : SavedLayer
    arrays : sequence of arrays
        Its weights, in Keras's order.
    arguments : mapping
        What it is called with beside tensors.
    beyond : mapping
        What no file holds; see `SavedModel`.
    exact : bool
        Whether Keras's own layers have weights that are quantized already, as in a proxy model of HGQ.
    operands : Operands, optional
        What an operation is called with; None for a layer.
    results : int
        How many of its results are used.
    """

    libraries = ("keras", "qkeras", "HGQ", "binary")
    quantized = "qkeras.Q"
    checked = False

    layer: SavedLayer
    arrays: Arrays
    arguments: Mapping[str, Any]
    beyond: Mapping[str, Any]
    exact: bool
    operands: Operands | None = None
    results: int = 1

    @property
    def path(self) -> str:  # type: ignore[override]
        return class_path(self.layer) if self.is_layer else operation_path(self._function)

    @property
    def is_layer(self) -> bool:  # type: ignore[override]
        return self.operands is None

    @property
    def _function(self) -> str:
        return str(self.layer.config.get("function"))

    @property
    def owner(self) -> int:  # type: ignore[override]
        # All calls of a layer have its one sequence of arrays, or none at all.
        return id(self.arrays) if len(self.arrays) else id(self)

    @property
    def knows_shapes(self) -> bool:  # type: ignore[override]
        return False

    def check(self, read: Reader) -> None:
        extra = {k: v for k, v in self.arguments.items() if k not in _QUIET or v not in _QUIET[k]}
        if extra:
            raise ReadError(f"it is called with {extra}, which no reader takes account of; call it with tensors only")

    def view(self, name: str, build: Builder, inputs: Sequence[Ref]) -> LayerView:
        library, shapes = self.path.partition(".")[0], tuple(build.shape(x) for x in inputs)
        if self.operands is not None:
            return SavedOperationView(self._function, name, self.operands, shapes, self.results)
        if library == "HGQ":
            return saved_view(self.layer, name, self.arrays, shapes, **self.beyond)
        kind = _VIEWS.get(self.path, _VIEWS.get(library, SavedView))
        view = kind(self.layer, name, self.arrays, shapes, **self.beyond)
        return ExactView(view) if self.exact else view


#: By a class's path, or by the first word of it.
_VIEWS: Mapping[str, type[SavedView]] = {
    "qkeras": QKerasView,
    "qkeras.QAdaptiveActivation": AdaptiveView,
    "binary": BinaryView,
}
#: What a call may be told that changes nothing at inference.
_QUIET: Mapping[str, tuple[Any, ...]] = {"training": (None, False), "mask": (None,)}
