"""Dense layers by an einsum equation: products of matrices by constants, whatever the axes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

import numpy as np

from keras_hls.fixed import Constant
from keras_hls.layers_ext.activation import activate
from keras_hls.layers_ext.convolution import Convolution
from keras_hls.layers_ext.dense import Dense
from keras_hls.layers_ext.einsum import Equation, Labelled, Labels, Steps
from keras_hls.layers_ext.reading import Builder, LayerView, ReadError, Ref, reads
from keras_hls.layers_ext.scale import Scale
from keras_hls.op import Op


@dataclass(frozen=True)
class _Axes:
    """The axes of a dense layer, by label.

    Attributes
    ----------
    places : tuple of str
        In input and output: the same weights for each.
    groups : tuple of str
        In input, kernel and output: weights of its own for each.
    terms : tuple of str
        In input and kernel: summed over.
    results : tuple of str
        In kernel and output.
    output : tuple of str
        Places, groups and results in the layer's own order.
    sizes : mapping
        Of all of them.
    """

    places: Labels
    groups: Labels
    terms: Labels
    results: Labels
    output: Labels
    sizes: Mapping[str, int]

    @classmethod
    def of(cls, x: Labelled, weights: Labels, shape: tuple[int, ...], output: Labels) -> _Axes:
        """Sort the axes of an input and of a kernel of that shape."""
        shared = [label for label in x.labels if label in weights]
        return cls(
            tuple(label for label in x.labels if label not in weights),
            tuple(label for label in shared if label in output),
            tuple(label for label in shared if label not in output),
            tuple(label for label in weights if label not in x.labels),
            output,
            dict(zip((*weights, *x.labels), (*shape, *x.sizes))),
        )

    def shape(self, labels: Labels) -> tuple[int, ...]:
        return tuple(self.sizes[label] for label in labels)

    def size(self, labels: Labels) -> int:
        return prod(self.shape(labels))

    def matrices(self, kernel: Constant, weights: Labels) -> Constant:
        """Return the kernel as [groups, terms, results]."""
        order = [weights.index(label) for label in (*self.groups, *self.terms, *self.results)]
        shape = [self.size(part) for part in (self.groups, self.terms, self.results)]
        return kernel.map(lambda a: a.transpose(order).reshape(shape))

    def row(self, bias: Constant) -> Constant | None:
        """Return a bias that broadcasts to the output as one number a result of each group; None if it varies by place."""
        sizes = dict(zip(self.output, (1,) * (len(self.output) - len(bias.shape)) + bias.shape))
        if any(sizes[label] > 1 for label in self.places):
            return None
        own = (*self.groups, *self.results)
        order = [self.output.index(label) for label in (*self.places, *own)]
        full, left = [sizes[label] for label in self.output], [sizes[label] for label in own]
        return bias.map(
            lambda a: np.broadcast_to(a.reshape(full).transpose(order).reshape(left), self.shape(own)).reshape(-1)
        )

    def op(self, matrices: Constant, row: Constant | None) -> tuple[Op, tuple[int, ...], tuple[int, ...]]:
        """Return the op that multiplies by the kernel, and the shapes that it takes and returns."""
        groups, terms, results = matrices.shape
        places = self.shape(self.places)
        if groups == 1:
            return Dense(matrices.map(lambda a: a[0]), row), (*places, terms), (*places, results)
        if not self.terms and not self.results:
            shape = (*places, groups)
            return Scale(matrices.map(lambda a: a.reshape(-1)), row), shape, shape
        # A convolution over places whose kernel is one tap, in groups of channels.
        kernel = matrices.map(lambda a: a.transpose(1, 0, 2).reshape(1, terms, groups * results))
        count = prod(places)
        return Convolution(kernel, row, groups=groups), (count, groups * terms), (count, groups * results)


@reads(
    "keras.layers.EinsumDense",
    "hgq.layers.QEinsumDense",
    "hgq.layers.QEinsumDenseBatchnorm",
    # Normalisation is part of the weights that the layer itself multiplies by.
    consumes="equation output_shape bias_axes activation normalize_axes momentum epsilon center scale synchronized",
    neutral={"lora_alpha": None},
)
def read_einsum_dense(layer: LayerView, build: Builder, x: Ref) -> Ref:
    """Any equation without diagonals; the batch comes first and is no axis of the kernel."""
    kernel, bias, text = layer.weight("kernel"), layer.weight("bias"), layer.config["equation"]
    if kernel is None:
        raise ReadError("it has no kernel; build the model first")
    whole = Equation.parse(text, [len(layer.shapes[0]) + 1, len(kernel.shape)])
    sample, weights = Equation(whole.inputs[:1], whole.output).without_batch(text), whole.inputs[1]
    (taken,), output = sample.inputs, sample.output
    if whole.output[0] in weights or not set(weights) <= {*taken, *output}:
        raise ReadError(
            f"equation {text!r} must have each axis of the kernel in the input or the output, and not the batch"
        )
    steps = Steps(build, layer.name, layer.name)
    left = steps.summed(Labelled(x, taken, layer.shapes[0]), (*weights, *output))
    axes = _Axes.of(left, weights, kernel.shape, output)
    row = None if bias is None else axes.row(bias)
    op, takes, returns = axes.op(axes.matrices(kernel, weights), row)
    y = build.add(
        op, steps.arranged(left, (*axes.places, *axes.groups, *axes.terms), takes), name=layer.name, layer=layer.name
    )
    order = (*axes.places, *axes.groups, *axes.results)
    y = steps.arranged(Labelled(steps.shaped(y, returns, axes.shape(order)), order, axes.shape(order)), output)
    if bias is not None and row is None:
        y = build.add(Scale(Constant(np.ones((), np.int64), 0), bias), y, name=f"{layer.name}_bias", layer=layer.name)
    return activate(layer, build, y)
