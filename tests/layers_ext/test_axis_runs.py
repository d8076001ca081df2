"""Axes of a tensor as up to two places in memory, and transposes around an op where there are more."""

from itertools import combinations
from types import SimpleNamespace

import numpy as np
import pytest

from keras_hls.fixed import Fixed, Formats
from keras_hls.frontends.view import Builder, ReadError
from keras_hls.graph import Input
from keras_hls.layers_ext.axis_runs import TAKEN, Runs, over_axes, permuted_axes, places, sample_axes
from keras_hls.layers_ext.quantized_softmax import Distance
from keras_hls.sim.emulator import Emulator

SHAPE = (2, 3, 1, 4, 2)


def all_axes(rank):
    return [axes for count in range(1, rank + 1) for axes in combinations(range(rank), count)]


@pytest.mark.parametrize("axes", [a for a in all_axes(5) if places(a, 5) <= 2], ids=str)
def test_runs(axes):
    runs = Runs.of(SHAPE, axes)
    assert runs == Runs.of(SHAPE, tuple(a - 5 for a in axes))
    assert runs.count * runs.groups == np.prod(SHAPE)
    x = np.random.default_rng(0).integers(-99, 99, (7, *SHAPE))
    numpy_axes = tuple(a + 1 for a in axes)
    assert np.array_equal(runs.spread(x).sum(TAKEN).ravel(), x.sum(numpy_axes).ravel())
    assert np.array_equal(runs.rows(x).sum(-1).ravel(), x.sum(numpy_axes).ravel())
    assert np.array_equal(runs.back(runs.rows(x), x.shape), x)
    for few in (x[:0], x[:1]):
        assert runs.rows(few).shape == (len(few), runs.groups, runs.count)
        assert np.array_equal(runs.back(runs.rows(few), few.shape), few)


@pytest.mark.parametrize("axes", [(), (5,), (-6,), (1, 1), (1, -4)], ids=str)
def test_what_are_no_axes(axes):
    with pytest.raises(
        ValueError, match=r"axes must be some of the 5 axes of an input of shape \(2, 3, 1, 4, 2\), not"
    ):
        Runs.of(SHAPE, axes)


def test_three_places():
    with pytest.raises(ValueError, match="lie in more than two places; permute it"):
        Runs.of(SHAPE, (0, 2, 4))


def test_axes_of_a_sample():
    layer = SimpleNamespace(shapes=(SHAPE,))
    for axis, found in ((-1, (-1,)), (5, (-1,)), ([2, 1], (-5, -4)), ((-1, 3), (-3, -1)), ([4], (-2,))):
        assert sample_axes(layer, axis) == found
    for axis in (0, [0, 1], -6, None):
        with pytest.raises(ReadError, match="axis must not hold the batch's, 0, but is"):
            sample_axes(layer, axis)


@pytest.mark.parametrize("axes", all_axes(5), ids=str)
def test_transposes_around_an_op(axes):
    """Only where its axes lie in more than two places, and then without a trace in the answer."""
    layer = SimpleNamespace(shapes=(SHAPE,), name="y")
    build = Builder()
    port = Fixed(True, 8, 4)
    x = build.add(Input(SHAPE, Formats.of(port), port), name="x")
    y = over_axes(layer, build, x, tuple(a - 5 for a in axes), Distance, name="y")
    graph = build.graph([y], ["y"]).verify()
    permutes = [node for node in graph if node.op.permutation is not None]
    assert len(permutes) == (2 if axes == (0, 2, 4) else 0)
    raw = np.random.default_rng(1).integers(-128, 128, (5, *SHAPE))
    (answer,) = Emulator(graph).run([raw])
    assert np.array_equal(answer, raw.max(tuple(a + 1 for a in axes), keepdims=True) - raw)


def test_axes_in_another_order():
    for axes in all_axes(4):
        for order in ((0, 1, 2, 3), (3, 0, 1, 2), (2, 0, 3, 1)):
            found = permuted_axes(tuple(a - 4 for a in axes), order)
            assert found is not None
            assert sorted(order[a] for a in found) == sorted(axes)
    assert permuted_axes((0, 1, 2), (0, 3, 1, 4, 2)) is None
