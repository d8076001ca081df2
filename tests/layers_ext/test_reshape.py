"""Reshape: the same elements in the same order, and no hardware."""

import itertools
from math import prod

import numpy as np
import pytest

from keras_hls.fixed import Fixed, TensorType
from keras_hls.layers_ext.reshape import Reshape
from keras_hls.op import Plan, Work
from keras_hls.testing import Case, check_ops

SHAPES = [(12,), (3, 4), (2, 2, 3), (1, 12), (12, 1, 1), (-1,), (3, -1), (-1, 6), (2, -1, 3)]


@pytest.mark.parametrize(("shape", "target"), list(itertools.product(SHAPES[:5], SHAPES)))
def test_elements_stay_in_order(shape, target):
    rng = np.random.default_rng(0)
    low = rng.integers(-9, 9, shape)
    x = TensorType(low, low + rng.integers(0, 9, shape), 3)
    y = Reshape(target).infer(x)
    known = prod(n for n in target if n != -1)
    assert y.shape == tuple(12 // known if n == -1 else n for n in target)
    for before, after in ((x.low, y.low), (x.high, y.high), (x.zeros, y.zeros)):
        assert after.reshape(-1).tolist() == before.reshape(-1).tolist()
    raw = rng.integers(-9, 9, (5, *shape))
    assert Reshape(target).bind(x)(raw).shape == (5, *y.shape)
    assert (Reshape(target).bind(x)(raw).reshape(-1) == raw.reshape(-1)).all()
    assert Reshape(target).identity(x) == (y.shape == shape)


def test_cpp(random_type):
    rng = np.random.default_rng(0)
    check_ops([Case(Reshape(t), (random_type(rng, s, 9),)) for s, t in zip(itertools.cycle(SHAPES[:5]), SHAPES)])


@pytest.mark.parametrize(
    "target", [(5,), (3, 3), (-1, 5), (-1, -1), (0,), (0, -1), (-1, -2, -6), (-3, -4), (), (13, -1)]
)
def test_shapes_of_other_sizes_are_refused(target):
    with pytest.raises(ValueError, match="can't be reshaped"):
        Reshape(target).infer(TensorType.of(Fixed(True, 3, 3), (3, 4)))


def test_a_scalar_can_be_reshaped():
    x = TensorType.of(Fixed(True, 3, 3), (1, 1))
    assert Reshape(()).infer(x).shape == ()
    assert Reshape(()).bind(x)(np.ones((3, 1, 1), np.int64)).shape == (3,)


def test_it_is_wiring():
    op, x = Reshape((-1,)), TensorType.of(Fixed(True, 3, 3), (3, 4))
    assert op.wiring
    assert op.hls(x, plan=Plan()) is None
    assert op.work(x, plan=Plan()) == Work()
