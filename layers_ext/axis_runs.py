"""Functions over one or several axes of a tensor: how its elements lie in memory, and what stands around such an op."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from keras_hls.layers_ext.movement import Permute
from keras_hls.layers_ext.reading import Builder, LayerView, ReadError, Ref
from keras_hls.op import Op


@dataclass(frozen=True)
class Runs:
    """A tensor's shape as five numbers: a function over `first` and `second` is done for each of the other three.

    Neighbouring axes are one, so that axes in up to two places need no transpose.
    """

    outer: int
    first: int
    middle: int
    second: int
    inner: int

    @classmethod
    def of(cls, shape: Sequence[int], axes: Sequence[int]) -> Runs:
        """Return how a function over some axes goes through a tensor of that shape.

        Raises
        ------
        ValueError
            If these aren't axes of it, each once, or lie in more than two places.
        """
        rank = len(shape)
        taken = {axis % rank for axis in axes if -rank <= axis < rank}
        if not axes or len(taken) < len(axes):
            raise ValueError(
                f"axes must be some of the {rank} axes of an input of shape {tuple(shape)}, not {tuple(axes)}"
            )
        runs = [(key, prod(n for _, n in run)) for key, run in groupby(enumerate(shape), lambda item: item[0] in taken)]
        sizes = [n for _, n in runs]
        if not runs[0][0]:
            sizes = sizes[1:]
        sizes += [1] * (len(sizes) % 2)
        if len(sizes) > 4:
            raise ValueError(
                f"axes {tuple(axes)} of an input of shape {tuple(shape)} lie in more than two places; permute it"
            )
        outer = 1 if runs[0][0] else runs[0][1]
        if len(sizes) == 2:
            return cls(outer, 1, 1, sizes[0], sizes[1])
        return cls(outer, sizes[0], sizes[1], sizes[2], sizes[3])

    @property
    def count(self) -> int:
        """Elements that the function takes together."""
        return self.first * self.second

    @property
    def groups(self) -> int:
        """How often it is done."""
        return self.outer * self.middle * self.inner

    @property
    def sizes(self) -> dict[str, int]:
        """The five numbers, by name, as a kernel takes them."""
        names = ("outer", "first", "middle", "second", "inner")
        return {name: getattr(self, name) for name in names}

    def spread(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return samples, or one, with the axes (batch, outer, first, middle, second, inner); `TAKEN` are those of the function."""
        return array.reshape(-1, self.outer, self.first, self.middle, self.second, self.inner)

    def rows(self, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Return samples, or one, as (batch, groups, count)."""
        return self.spread(array).transpose(0, 1, 3, 5, 2, 4).reshape(-1, self.groups, self.count)

    def back(self, rows: npt.NDArray[Any], shape: tuple[int, ...]) -> npt.NDArray[Any]:
        """Return what `rows` made of an array of that shape."""
        six = rows.reshape(-1, self.outer, self.middle, self.inner, self.first, self.second)
        return np.ascontiguousarray(six.transpose(0, 1, 4, 2, 5, 3)).reshape(shape)


#: Axes of what `Runs.spread` returns that the function is over.
TAKEN = (2, 4)


def sample_axes(layer: LayerView, axis: Any) -> tuple[int, ...]:
    """Return Keras's axis or axes, the batch's among them, as those of a sample, counted from its end.

    Raises
    ------
    ReadError
        If one is the batch's.
    """
    rank = len(layer.shapes[0]) + 1
    given = range(rank) if axis is None else axis if isinstance(axis, (list, tuple)) else (axis,)
    axes = {int(a) % rank for a in given}
    if 0 in axes:
        raise ReadError(f"axis must not hold the batch's, 0, but is {axis!r}; samples are computed one by one")
    return tuple(sorted(a - rank for a in axes))


def places(taken: Sequence[int], rank: int) -> int:
    """Return in how many places some axes, from 0, lie among all."""
    return sum(1 for among, _ in groupby(range(rank), taken.__contains__) if among)


def permuted_axes(taken: Sequence[int], order: Sequence[int]) -> tuple[int, ...] | None:
    """Return where axes are when all are in another order, as numpy's transpose takes it; None if in too many places."""
    rank = len(order)
    own = {axis % rank for axis in taken}
    now = [at for at, axis in enumerate(order) if axis in own]
    return tuple(at - rank for at in now) if places(now, rank) <= 2 else None


def over_axes(
    layer: LayerView, build: Builder, x: Ref, axes: tuple[int, ...], op: Callable[[tuple[int, ...]], Op], *, name: str
) -> Ref:
    """Append an op over some axes of the layer's input, with transposes around it if they lie in too many places.

    Parameters
    ----------
    layer : LayerView
    build : Builder
    x : Ref
        Of the shape of the layer's first input.
    axes : tuple of int
        Of a sample, counted from its end.
    op : function
        Takes the axes that it is over, and returns the op.
    name : str
        Of the node.
    """
    rank = len(layer.shapes[0])
    taken = [axis + rank for axis in axes]
    if places(taken, rank) <= 2:
        return build.add(op(axes), x, name=name, layer=layer.name)
    order = (*(a for a in range(rank) if a not in taken), *taken)
    x = build.add(Permute(order), x, name=f"{name}_together", layer=layer.name)
    y = build.add(op(tuple(range(-len(taken), 0))), x, name=name, layer=layer.name)
    back = Permute(tuple(order.index(a) for a in range(rank)))
    return build.add(back, y, name=f"{name}_apart", layer=layer.name)
