"""A call of Keras 3, for the walk over a program."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from keras_hls.frontends.keras3.checks import check_call, check_precision
from keras_hls.frontends.keras3.hgq2 import HGQ2View
from keras_hls.frontends.keras3.layer_views import KerasOperationView, KerasView, class_path
from keras_hls.frontends.program import Call
from keras_hls.frontends.view import Builder, LayerView, Reader, ReadError, Ref


@dataclass(frozen=True)
class KerasCall(Call):
    """One call of a layer or an operation.

    Attributes
    ----------
    node
        Keras's record of it: operation, arguments, outputs.
    """

    libraries = ("keras", "hgq")
    quantized = "hgq.layers.Q"

    node: Any

    @property
    def operation(self) -> Any:
        """The layer or operation that is called."""
        return self.node.operation

    @property
    def path(self) -> str:  # type: ignore[override]
        return class_path(type(self.operation))

    @property
    def is_layer(self) -> bool:  # type: ignore[override]
        import keras

        return isinstance(self.operation, keras.Layer)

    @property
    def owner(self) -> int:  # type: ignore[override]
        return id(self.operation)

    @property
    def knows_shapes(self) -> bool:  # type: ignore[override]
        return True

    def check(self, read: Reader) -> None:
        _check_shapes(self.node)
        if not self.is_layer:
            _check_floats(self.node)
            return
        check_call(self.node)
        _check_integers(self.node, read)
        layer = self.operation
        check_precision(layer._flatten_layers() if hasattr(layer, "_flatten_layers") else [])

    def view(self, name: str, build: Builder, inputs: Sequence[Ref]) -> LayerView:
        if not self.is_layer:
            return KerasOperationView(self.node, name)
        kind = HGQ2View if self.path.startswith("hgq.") else KerasView
        view = kind(self.operation, [tensor.shape for tensor in self.node.arguments.keras_tensors])
        view.name = name
        return view


def _check_shapes(node: Any) -> None:
    """Refuse a call that doesn't keep samples apart, or whose tensors could be of any size."""
    tensors = node.arguments.keras_tensors
    for what, found in (("takes", tensors), ("returns", node.outputs)):
        for tensor in found:
            shape = tuple(tensor.shape)
            if None in shape[1:] or not shape or (shape[0] is not None and tensors[0].shape[0] is None):
                raise ReadError(
                    f"it {what} a tensor of shape {shape}; samples are computed one by one, so the first axis must be the batch,"
                    " and every other one of known size"
                )


def _check_integers(node: Any, reader: Any) -> None:
    """Refuse a layer that is given integers and isn't one for them."""
    found = sorted({tensor.dtype for tensor in node.arguments.keras_tensors} - {"float32"})
    if found and not getattr(reader, "integers", False):
        raise ReadError(
            f"it is given {' and '.join(found)}, which no reader takes account of; make the input float32, or cast it"
        )


def _check_floats(node: Any) -> None:
    for tensor in (*node.arguments.keras_tensors, *node.outputs):
        if tensor.dtype != "float32":
            raise ReadError(
                f"it has a tensor of {tensor.dtype}, and only float32 can be exported; give constants as float32"
            )
