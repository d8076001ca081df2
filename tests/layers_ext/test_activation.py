"""ReLU, and the names that activations go by."""

import numpy as np
import pytest

from keras_hls.fixed import Fixed, TensorType
from keras_hls.layers_ext.activation import ACTIVATIONS, ReLU, activation_name
from keras_hls.op import Plan, Unit, Work
from keras_hls.testing import Case, check_op, check_ops


@pytest.mark.parametrize("bits", [1, 4, 10, 24, 50])
def test_values_and_type_are_exact(random_type, on_grid, bits):
    rng = np.random.default_rng(bits)
    for _ in range(60):
        x = random_type(rng, tuple(rng.integers(1, 5, rng.integers(1, 4)).tolist()), bits)
        raw = np.concatenate([on_grid(rng, x, 30), x.low[None], x.high[None]])
        y = ReLU().infer(x)
        wanted = np.where(raw < 0, 0, raw)
        assert (ReLU().bind(x)(raw) == wanted).all()
        assert y.frac == x.frac
        # Both ends are the samples' own.
        assert (y.low == wanted.min(0)).all()
        assert (y.high == wanted.max(0)).all()
        assert (wanted % (np.int64(1) << np.where(y.low == y.high, 0, y.zeros)) == 0).all()
        assert ReLU().identity(x) == bool((wanted == raw).all())


def test_cpp(random_type):
    rng = np.random.default_rng(1)
    shapes = [(1,), (5,), (2, 3), (2, 2, 2)]
    cases = [Case(ReLU(), (random_type(rng, shapes[i % 4], 1 + i % 41),)) for i in range(45)]
    cases.append(Case(ReLU(), (TensorType([-5, -3], [-2, 0], 2),)))
    cases.append(Case(ReLU(), (TensorType.of(Fixed(True, 63, 70), (2,)),)))
    check_ops(cases, samples=40)


def test_equals_float_arithmetic():
    check_op(ReLU(), TensorType.of(Fixed(True, 12, 5), (3, 2)), reference=lambda x: np.maximum(x, 0))


def test_work():
    x = TensorType([-8, 0, -8, -16, 0], [7, 15, -1, 31, 0], 0)
    # Only what can have either sign is chosen, in the bits of the answer.
    assert ReLU().work(x, plan=Plan()).units == (Unit("select", 1, (3,)), Unit("select", 1, (5,)))
    free = ReLU().work(TensorType([0, -9], [5, -3], 0), plan=Plan())
    assert free == Work()


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (None, "linear"),
        ("relu", "relu"),
        ({"class_name": "function", "config": "relu"}, "relu"),
        ({"class_name": "LeakyReLU", "config": {"negative_slope": 0.1}}, "LeakyReLU"),
    ],
)
def test_activation_names(value, name):
    assert activation_name(value) == name


def test_known_activations():
    assert {"linear", "relu", "softmax"} <= set(ACTIVATIONS)
