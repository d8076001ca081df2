"""Operations of ``keras.ops`` that sum: reductions over axes, and products of matrices."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from keras_hls.frontends.view import OperationView
from keras_hls.layers_ext.dense import Dense
from keras_hls.layers_ext.einsum import Equation, einsum
from keras_hls.layers_ext.operation_arguments import constant, sample_axes
from keras_hls.layers_ext.pool import reduce
from keras_hls.layers_ext.quotient import divide
from keras_hls.layers_ext.reading import Builder, ReadError, Ref, reads_operation
from keras_hls.layers_ext.reshape import Reshape

_KINDS = {"Sum": "sum", "Max": "max", "Amax": "max", "Min": "min", "Amin": "min", "Mean": "sum"}


@reads_operation(*(f"keras.ops.{name}" for name in _KINDS), consumes="axis keepdims")
def read_reduction(layer: OperationView, build: Builder, x: Ref) -> Ref:
    """Over any axes but the batch's."""
    kind = layer.path.rsplit(".", 1)[-1]
    shape, axis = layer.shapes[0], layer.config["axis"]
    if axis is None:
        raise ReadError("axis=None reduces the batch too; give the axes of a sample")
    axes = sample_axes(axis, len(shape))
    mean = kind == "Mean"
    y = reduce(
        build,
        x,
        shape,
        _KINDS[kind],
        axes,
        keepdims=bool(layer.config["keepdims"]),
        name=f"{layer.name}_sum" if mean else layer.name,
        layer=layer.name,
    )
    return divide(build, y, prod(shape[a] for a in axes), name=layer.name, layer=layer.name) if mean else y


@reads_operation("keras.ops.Matmul", "keras.ops.Dot")
def read_matmul(layer: OperationView, build: Builder, a: Any, b: Any) -> Ref:
    """A tensor times a constant vector or matrix; `matmul` also of two tensors of as many axes."""
    if isinstance(a, Ref) and isinstance(b, Ref):
        return _product(layer, build, a, b)
    if not isinstance(a, Ref) or np.ndim(b) not in (1, 2):
        raise ReadError("only a tensor times a constant vector or matrix, in this order, can be read; use EinsumDense")
    kernel = np.asarray(b, np.float32).astype(np.float64)
    if not np.isfinite(kernel).all():
        raise ReadError("it multiplies by NaN or infinite constants, which no fixed-point type holds")
    y = build.add(Dense(constant(kernel.reshape(len(kernel), -1))), a, name=layer.name, layer=layer.name)
    return (
        y if kernel.ndim == 2 else build.add(Reshape(layer.results[0]), y, name=f"{layer.name}_row", layer=layer.name)
    )


def _product(layer: OperationView, build: Builder, a: Ref, b: Ref) -> Ref:
    """Append products of the matrices in the last two axes; the axes before them broadcast."""
    first, second = layer.shapes
    if layer.path.endswith("Dot") or len(first) != len(second) or len(first) < 2:
        raise ReadError(
            f"samples of shapes {first} and {second} are multiplied across the batch; give both matrices as many axes, and use"
            " keras.ops.matmul"
        )
    groups = tuple(f"group {axis}" for axis in range(len(first) - 2))
    equation = Equation(((*groups, "row", "term"), (*groups, "term", "column")), (*groups, "row", "column"))
    return einsum(build, equation, (a, b), layer.shapes, name=layer.name, layer=layer.name)


@reads_operation("keras.ops.Einsum", consumes="subscripts")
def read_einsum(layer: OperationView, build: Builder, *operands: Any) -> Ref:
    """Any equation of tensors without diagonals, in which the batch comes first everywhere."""
    if not all(isinstance(operand, Ref) for operand in operands):
        raise ReadError("only an einsum of tensors can be read; use EinsumDense for one with weights")
    text = layer.config["subscripts"]
    equation = Equation.parse(text, [len(shape) + 1 for shape in layer.shapes]).without_batch(text)
    return einsum(build, equation, operands, layer.shapes, name=layer.name, layer=layer.name)
