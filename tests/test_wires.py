"""The ops that passes put in: known numbers and picked channels."""

from __future__ import annotations

import numpy as np
import pytest

from keras_hls.errors import TooWide
from keras_hls.fixed import Constant, Fixed, TensorType
from keras_hls.op import Plan, Work
from keras_hls.testing import Case, check_ops
from keras_hls.wires import Channels, Known


def some_type(rng, shape):
    low = rng.integers(-20, 20, shape)
    return TensorType(low * 2, (low + rng.integers(0, 9, shape)) * 2, int(rng.integers(-1, 4)), np.ones(shape, int))


def picked(rng, n):
    size = int(rng.integers(1, 6))
    index = rng.integers(-1, n, size)
    return Channels(
        Constant(index, 0), Constant(np.where(index < 0, rng.integers(-9, 9, size), 0), int(rng.integers(4)))
    )


def test_channels():
    rng = np.random.default_rng(0)
    cases = []
    for _ in range(30):
        shape = tuple(int(n) for n in rng.integers(1, 5, rng.integers(1, 4)))
        op, x = picked(rng, shape[-1]), some_type(rng, shape)

        def reference(values, op=op):
            filled = op.fill.raw * 2.0**-op.fill.frac
            return np.where(op.index.raw < 0, filled, values[..., op.index.raw])

        cases.append(Case(op, (x,), reference))
        assert op.work(x, plan=Plan()) == Work()
    check_ops(cases)


def test_between_tensors_with_fewer_channels():
    given, wanted = np.array([True, False, True, False, True]), np.array([False, True, True, True, True])
    known = np.array([False, True, False, True, False])
    op = Channels.between(given, wanted, known, Constant(np.array([7, 6, 5, 0, 9]), 2))
    assert op.index.raw.tolist() == [-1, 1, -1, 2] and op.fill.raw.tolist() == [6, 0, 0, 0] and op.fill.frac == 2
    zeros = Channels.between(given, wanted, known, Constant(np.zeros(5, int), 9))
    assert zeros.fill.frac == 0 and zeros.moves and not op.moves


def test_all_channels_in_order_are_the_tensor_itself():
    x = TensorType.of(Fixed(True, 4, 2), (2, 3))
    fill = Constant(np.zeros(3, int), 0)
    assert Channels(Constant(np.arange(3), 0), fill).identity(x)
    assert not Channels(Constant(np.array([0, 2, 1]), 0), fill).identity(x)
    assert not Channels(Constant(np.array([0, 1]), 0), Constant(np.zeros(2, int), 0)).identity(x)


@pytest.mark.parametrize(
    ("index", "shape", "sentence"),
    [
        ([0, 3], (2, 3), r"^an input of shape \(2, 3\) hasn't the channels \[0, 3\]$"),
        ([], (2, 3), "hasn't the channels"),
        ([0, 1], (), "^channels are picked by one number each"),
    ],
)
def test_what_does_not_suit_is_refused(index, shape, sentence):
    op = Channels(Constant(np.array(index, int), 0), Constant(np.zeros(len(index), int), 0))
    with pytest.raises(ValueError, match=sentence):
        op.infer(TensorType.of(Fixed(True, 4, 2), shape))


def test_a_fill_that_is_too_fine():
    op = Channels(Constant(np.array([-1, 0]), 0), Constant(np.array([1, 0]), 60))
    with pytest.raises(TooWide):
        op.infer(TensorType.of(Fixed(True, 8, 8), (1,)))


def test_known_numbers():
    known = Known(Constant(np.array([[1, -2], [3, 4]]), 1))
    assert known.infer().low.tolist() == known.infer().high.tolist() == [[1, -2], [3, 4]]
    assert known.channelwise(np.array([False, True])).value.raw.tolist() == [[-2], [4]]
    assert known.work(plan=Plan()) == Work() and known.reuse_factors() == (1,)
    kernel = known.hls(plan=Plan())
    assert (kernel.name, kernel.header, dict(kernel.sizes)) == ("known", "channels", {"size": 4})
    assert kernel.tables["values"].raw.tolist() == [1, -2, 3, 4]
