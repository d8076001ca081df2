"""Einstein sums: what an equation means, and how sums of products of variables become operations."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import prod

from keras_hls.layers_ext.contraction import Product
from keras_hls.layers_ext.merge import Multiply
from keras_hls.layers_ext.movement import Permute
from keras_hls.layers_ext.pool import reduce
from keras_hls.layers_ext.reading import Builder, LayerView, ReadError, Ref, reads
from keras_hls.layers_ext.reshape import Reshape

Labels = tuple[str, ...]


@dataclass(frozen=True)
class Equation:
    """An einsum equation with a label for every axis, those under an ellipsis among them.

    Attributes
    ----------
    inputs : tuple of tuples of str
        Labels of each operand's axes.
    output : tuple of str
    """

    inputs: tuple[Labels, ...]
    output: Labels

    @classmethod
    def parse(cls, text: str, ranks: Sequence[int]) -> Equation:
        """Return the equation for operands of so many axes.

        Raises
        ------
        ReadError
            If it isn't one, doesn't suit the operands, or takes a diagonal.
        """
        match = re.fullmatch(r"([^>]*?)(?:->(.*))?", text.replace(" ", ""))
        terms = match[1].split(",") if match else []
        if len(terms) != len(ranks) or not all(map(_is_term, [*terms, (match and match[2]) or ""])):
            raise ReadError(f"equation {text!r} isn't one for {len(ranks)} tensors")
        inputs = tuple(_labels(term, rank, text) for term, rank in zip(terms, ranks))
        hidden = sorted(
            {label for labels in inputs for label in labels if len(label) > 1}, key=lambda label: -int(label[2:])
        )
        return cls(inputs, _output(match[2] if match else None, inputs, hidden, text))

    def without_batch(self, text: str) -> Equation:
        """Return the equation of one sample.

        Raises
        ------
        ReadError
            If the first axis of some operand, or of the output, isn't the batch.
        """
        firsts = {labels[:1] for labels in (*self.inputs, self.output)}
        rest = Equation(tuple(labels[1:] for labels in self.inputs), self.output[1:])
        (first,) = firsts if len(firsts) == 1 else ((),)
        if not first or any(first[0] in labels for labels in (*rest.inputs, rest.output)):
            raise ReadError(
                f"equation {text!r} must have the batch as the first axis of every tensor and of the output, and nowhere"
                " else; samples are computed one by one"
            )
        return rest


def _is_term(term: str) -> bool:
    return re.fullmatch(r"[a-zA-Z]*(\.\.\.)?[a-zA-Z]*", term) is not None


def _labels(term: str, rank: int, text: str) -> Labels:
    """One label an axis; those under an ellipsis are counted from its end, as they are where shapes broadcast."""
    before, dots, after = term.partition("...")
    hidden = rank - len(before) - len(after)
    if hidden < 0 or (hidden and not dots):
        raise ReadError(f"equation {text!r} has {term!r} for a tensor of {rank} axes, its batch among them")
    labels = (*before, *(f"..{n}" for n in range(hidden, 0, -1)), *after)
    if len(set(labels)) < len(labels):
        raise ReadError(f"equation {text!r} takes a diagonal ({term!r}), which no op does")
    return labels


def _output(term: str | None, inputs: Sequence[Labels], hidden: Sequence[str], text: str) -> Labels:
    every = [label for labels in inputs for label in labels]
    if term is None:
        # As numpy has it: what is under an ellipsis, then what stands once, in alphabetical order.
        return (*hidden, *sorted(label for label in set(every) if len(label) == 1 and every.count(label) == 1))
    before, dots, after = term.partition("...")
    labels = (*before, *(hidden if dots else ()), *after)
    if len(set(labels)) < len(labels) or not set(labels) <= set(every):
        raise ReadError(f"equation {text!r} has an output, {term!r}, that doesn't take each axis from the tensors once")
    return labels


@dataclass(frozen=True)
class Labelled:
    """A tensor of the graph, with a label for each axis of a sample."""

    ref: Ref
    labels: Labels
    sizes: tuple[int, ...]

    def sizes_of(self, labels: Iterable[str]) -> tuple[int, ...]:
        """Return the sizes of some axes."""
        return tuple(self.sizes[self.labels.index(label)] for label in labels)


@dataclass(frozen=True)
class Steps:
    """Appends what an einsum is made of.

    Parameters
    ----------
    build : Builder
    name, layer : str
        Of the nodes.
    """

    build: Builder
    name: str
    layer: str

    def summed(self, x: Labelled, kept: Iterable[str]) -> Labelled:
        """Sum over the axes whose labels aren't to be kept."""
        axes = [axis for axis, label in enumerate(x.labels) if label not in set(kept)]
        if not axes:
            return x
        y = reduce(self.build, x.ref, x.sizes, "sum", axes, keepdims=False, name=f"{self.name}_sum", layer=self.layer)
        left = tuple(label for label in x.labels if label in set(kept))
        return Labelled(y, left, x.sizes_of(left))

    def arranged(self, x: Labelled, labels: Labels, shape: tuple[int, ...] | None = None) -> Ref:
        """Put the axes in another order and, where a shape is given, the result into that."""
        ref = x.ref
        if labels != x.labels:
            order = Permute(tuple(map(x.labels.index, labels)))
            ref = self.build.add(order, ref, name=f"{self.name}_order", layer=self.layer)
        return ref if shape is None else self.shaped(ref, x.sizes_of(labels), shape)

    def shaped(self, ref: Ref, before: tuple[int, ...], after: tuple[int, ...]) -> Ref:
        """Put the elements of a tensor of one shape into another."""
        if before == after:
            return ref
        return self.build.add(Reshape(after), ref, name=f"{self.name}_shape", layer=self.layer)

    def product(self, a: Labelled, b: Labelled, kept: Iterable[str]) -> Labelled:
        """Multiply two tensors, and sum over the axes whose labels aren't to be kept."""
        kept = set(kept)
        a, b = self.summed(a, kept | set(b.labels)), self.summed(b, kept | set(a.labels))
        groups = tuple(label for label in a.labels if label in b.labels and label in kept)
        terms = tuple(label for label in a.labels if label in b.labels and label not in kept)
        rows = tuple(label for label in a.labels if label not in b.labels)
        columns = tuple(label for label in b.labels if label not in a.labels)
        g, m, k, n = (prod(x.sizes_of(part)) for x, part in ((a, groups), (a, rows), (a, terms), (b, columns)))
        first = self.arranged(a, (*groups, *rows, *terms), (g, m, k))
        second = self.arranged(b, (*groups, *terms, *columns), (g, k, n))
        # Without a sum, it is a product by element, of one column by one row.
        y = self.build.add(Product() if terms else Multiply(), first, second, name=self.name, layer=self.layer)
        labels, sizes = (*groups, *rows, *columns), (*a.sizes_of((*groups, *rows)), *b.sizes_of(columns))
        return Labelled(self.shaped(y, (g, m, n), sizes), labels, sizes)


def einsum(
    build: Builder,
    equation: Equation,
    inputs: Sequence[Ref],
    shapes: Sequence[tuple[int, ...]],
    *,
    name: str,
    layer: str,
) -> Ref:
    """Append an einsum of variables: products of two tensors at a time, from the left.

    Parameters
    ----------
    build : Builder
    equation : Equation
        Of one sample, without the batch.
    inputs : sequence of Ref
    shapes : sequence of tuples of int
        Of one sample of each input.
    name, layer : str
        Of the nodes.

    Raises
    ------
    ReadError
        If the axes of one label have different sizes.
    """
    steps, sizes = Steps(build, name, layer), _sizes(equation, shapes)
    tensors = [_without_ones(steps, *operand) for operand in zip(inputs, equation.inputs, shapes)]
    whole = tensors[0]
    for i, other in enumerate(tensors[1:], 2):
        later = [label for tensor in tensors[i:] for label in tensor.labels]
        whole = steps.product(whole, other, [*later, *equation.output])
    whole = steps.summed(whole, equation.output)
    left = tuple(label for label in equation.output if label in whole.labels)
    y = steps.arranged(whole, left)
    return steps.shaped(y, whole.sizes_of(left), tuple(sizes[label] for label in equation.output))


def _sizes(equation: Equation, shapes: Sequence[tuple[int, ...]]) -> Mapping[str, int]:
    """The size of each label's axes, of which some may be 1."""
    sizes: dict[str, int] = {}
    for labels, shape in zip(equation.inputs, shapes):
        for label, size in zip(labels, shape):
            if 1 not in (size, sizes.get(label, 1)) and size != sizes[label]:
                raise ReadError(f"axes of one label, {label!r}, have {sizes[label]} and {size} elements")
            sizes[label] = max(size, sizes.get(label, 1))
    return sizes


def _without_ones(steps: Steps, x: Ref, labels: Labels, shape: tuple[int, ...]) -> Labelled:
    """An operand without its axes of one element, which repeat along, or vanish beside, those of other operands."""
    left = [(label, size) for label, size in zip(labels, shape) if size > 1]
    sizes = tuple(size for _, size in left)
    return Labelled(steps.shaped(x, shape, sizes), tuple(label for label, _ in left), sizes)


@reads("hgq.layers.QEinsum", consumes="equation")
def read_einsum(layer: LayerView, build: Builder, *inputs: Ref) -> Ref:
    """Any equation without diagonals, of any number of tensors; the batch comes first everywhere."""
    text = layer.config["equation"]
    equation = Equation.parse(text, [len(shape) + 1 for shape in layer.shapes]).without_batch(text)
    return einsum(build, equation, inputs, layer.shapes, name=layer.name, layer=layer.name)


@reads("keras.layers.Dot", "hgq.layers.QDot", consumes="axes", neutral={"normalize": False})
def read_dot(layer: LayerView, build: Builder, first: Ref, second: Ref) -> Ref:
    """Over one axis of each of two tensors of any rank."""
    axes = layer.config["axes"]
    pair = [axes, axes] if isinstance(axes, int) else axes
    labels = [[f"{side}{axis}" for axis in range(len(shape))] for side, shape in zip("ab", layer.shapes)]
    for own, axis in zip(labels, pair):
        at = axis % (len(own) + 1)
        own[at - 1] = "sum"
    rest = tuple(label for own in labels for label in own if label != "sum")
    equation = Equation((tuple(labels[0]), tuple(labels[1])), rest)
    y = einsum(build, equation, (first, second), layer.shapes, name=layer.name, layer=layer.name)
    return y if rest else Steps(build, layer.name, layer.name).shaped(y, (), (1,))
