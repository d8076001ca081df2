"""Operations of keras.ops: what they become equals what Keras computes, and what isn't covered is refused by name."""

from __future__ import annotations

import re

import numpy as np
import pytest

keras = pytest.importorskip("keras")
pytest.importorskip("hgq")

from keras import ops
from operation_models import answers, cut, f32, model_of, refused, samples_of, variable
from plain_models import quantizer

import keras_hls
from keras_hls.fixed import Fixed, TensorType
from keras_hls.layers_ext import READERS
from keras_hls.layers_ext.operations import PowerProduct
from keras_hls.layers_ext.reading import OPERATIONS
from keras_hls.project import reference
from keras_hls.testing import Case, check_ops

pytestmark = pytest.mark.keras3


EXACT = {
    "add": [
        (lambda x: x + 1, (4,)),
        (lambda x: 0.75 + x, (2, 4)),
        (lambda x: x + f32(1, 2, 3, 0.25), (2, 4)),
        (lambda x: x + variable(1, 2, 3, 0.25), (2, 4)),
        (lambda x: x + ops.ones((1, 2, 4)), (2, 4)),
        (lambda x: x + ops.ones((3, 1, 4)) / 2, (3, 2, 4)),
        (lambda x: ops.add(x, f32([1], [2], [3])), (1, 4)),
        (lambda x, y: x + y, (3, 1), (2,) * 0 + (3, 4)),
        (lambda x: x + x, ()),
    ],
    "subtract": [
        (lambda x: x - 1.5, (4,)),
        (lambda x: 2 - x, (4,)),
        (lambda x: ops.subtract(f32(1, 2), x), (3, 2)),
        (lambda x, y: x - y, (1, 4), (3, 1)),
    ],
    "multiply": [
        (lambda x: x * 0.5, (4,)),
        (lambda x: -3 * x, (4,)),
        (lambda x: x * f32([1, -2], [0, 0.5]), (2, 2)),
        (lambda x: x * True, (2,)),
        (lambda x, y: x * y, (1, 4), (3, 1)),
    ],
    "divide": [
        (lambda x: x / 4, (4,)),
        (lambda x: x / 0.25, (4,)),
        (lambda x: x / f32(1, 2, -0.5, -8), (3, 4)),
        (lambda x: cut(ops.divide(x, 3)), (4,)),
        (lambda x: cut(x / f32(3, -5, 0.75)), (2, 3)),
    ],
    "maximum minimum": [
        (lambda x: ops.maximum(x, 0.5), (4,)),
        (lambda x: ops.maximum(f32(1, -1), x), (3, 2)),
        (lambda x: ops.minimum(-0.25, x), (4,)),
        (lambda x: ops.minimum(x, variable(1, -1)), (3, 2)),
        (lambda x, y: ops.maximum(x, y), (1, 4), (3, 1)),
        (lambda x, y: ops.minimum(x, y), (4,), (4,)),
        (lambda x: ops.clip(x, -1, 1.5), (4,)),
        (lambda x: ops.clip(x, 0.5, 0.5) + x, (4,)),
        (lambda x: ops.clip(x, -float("inf"), 1.5), (4,)),
        (lambda x: ops.clip(x, -1, float("inf")), (4,)),
        (lambda x: ops.clip(x, -float("inf"), float("inf")), (4,)),
    ],
    "negative absolute square power": [
        (lambda x: -x, (4,)),
        (lambda x: abs(x), (4,)),
        (lambda x: ops.absolute(x) + ops.fabs(x), (4,)),
        (lambda x: ops.square(x), (4,)),
        (lambda x: cut(x**3), (4,)),
        (lambda x: cut(2**x), (4,)),
        (lambda x: cut(ops.abs(x) ** 0.5), (4,)),
        (lambda x: x // 0.75, (4,)),
        (lambda x: x % 2, (4,)),
    ],
    "pieces": [
        (lambda x: ops.relu(x), (4,)),
        (lambda x: ops.relu6(x), (4,)),
        (lambda x: ops.leaky_relu(x, 0.25), (4,)),
        (lambda x: ops.hard_tanh(x), (4,)),
        (lambda x: ops.hard_shrink(x, 0.25), (4,)),
        (lambda x: ops.soft_shrink(x, 0.25), (4,)),
        (lambda x: ops.sparse_sigmoid(x), (4,)),
        (lambda x: ops.threshold(x, 0.5, 2.0), (4,)),
        (lambda x: keras.activations.relu(x, 0.5, 2, 0.25), (4,)),
        (lambda x: keras.activations.leaky_relu(keras.activations.linear(x), 0.5), (4,)),
    ],
    "tables": [
        (lambda x: cut(ops.sigmoid(x)), (4,)),
        (lambda x: cut(ops.tanh(x) + ops.softplus(x)), (4,)),
        (lambda x: cut(ops.gelu(x, approximate=False)), (4,)),
        (lambda x: cut(ops.elu(x, 0.5)), (4,)),
        (lambda x: cut(ops.celu(x, 2.0)), (4,)),
        (lambda x: cut(ops.squareplus(x, 2)), (4,)),
        (lambda x: cut(keras.activations.silu(x) * keras.activations.hard_sigmoid(x)), (4,)),
        (lambda x: cut(ops.exp(x / 4)), (4,)),
        (lambda x: cut(ops.log1p(ops.abs(x))), (4,)),
        (lambda x: cut(ops.sqrt(ops.relu(x))), (4,)),
        (lambda x: ops.floor(x) + ops.ceil(x) + ops.sign(x), (4,)),
        (lambda x: cut(ops.round(x, 0)), (4,)),
        (lambda x: cut(ops.erf(x)), (4,)),
    ],
    "reshape": [
        (lambda x: ops.reshape(x, (-1, 2, 2)), (4,)),
        (lambda x: x.reshape((-1, 8)), (2, 4)),
        (lambda x: ops.expand_dims(x, 1), (4,)),
        (lambda x: ops.expand_dims(x, (1, -1)), (4, 2)),
        (lambda x: ops.squeeze(x, 1), (1, 4)),
        (lambda x: ops.squeeze(x), (1, 4, 1)),
    ],
    "transpose": [
        (lambda x: ops.transpose(x, (0, 2, 1)), (2, 4)),
        (lambda x: ops.transpose(x, (0, -1, 1, 2)), (2, 3, 4)),
        (lambda x: ops.moveaxis(x, 1, -1), (2, 3, 4)),
        (lambda x: ops.moveaxis(x, (-1, 1), (1, 2)), (2, 3, 4)),
        (lambda x: ops.swapaxes(x, 1, -1), (2, 3, 4)),
    ],
    "getitem": [
        (lambda x: x[:, ::-1], (4,)),
        (lambda x: x[:, 1], (4, 3)),
        (lambda x: x[:, -1], (4, 3)),
        (lambda x: x[..., -2], (4, 3)),
        (lambda x: x[:, None, 1:3], (4, 3)),
        (lambda x: x[:, -2, ..., ::2], (4, 3, 5)),
        (lambda x: x[:, 1:-1, :, None], (4, 2)),
        (lambda x: x[:, 3::-2], (5,)),
        (lambda x: x[:, :], (4,)),
        (lambda x: x[:, 0], (4,)),
        (lambda x: x[:, None], ()),
        (lambda x: x[:, :2] + x[:, 2:], (4, 3)),
    ],
    "joins and splits": [
        (lambda x, y: ops.concatenate([x, y * 2, x], axis=-1), (2, 4), (2, 1)),
        (lambda x: ops.concatenate([x, x * 2], axis=1), (2, 4)),
        (lambda x, y: ops.hstack([x, y]), (3, 2), (1, 2)),
        (lambda x: ops.stack([x, x * 2, -x], axis=1), (4,)),
        (lambda x: ops.stack([x, x * 2], axis=-1), (2, 3)),
        (lambda x: ops.split(x, 2, axis=-1), (4,)),
        (lambda x: ops.split(x, [1, 3], axis=1)[1:], (4, 2)),
        (lambda x: ops.unstack(x, axis=1)[::2], (3, 2)),
        (lambda x: ops.unstack(x, 2, axis=-1), (3, 2)),
        (lambda x: ops.flip(x, axis=1), (3, 2)),
        (lambda x: ops.flip(x, axis=(1, -1)), (3, 2, 2)),
        (lambda x: ops.roll(x, 1, axis=1), (3, 2)),
        (lambda x: ops.roll(x, -4, axis=-1), (3, 5)),
        (lambda x: ops.roll(x, 3, axis=1), (3,)),
        (lambda x: ops.repeat(x, 2, axis=1), (3, 2)),
        (lambda x: ops.tile(x, (1, 2, 3)), (3, 2)),
        (lambda x: ops.tile(x, 3), (2, 2)),
        (lambda x: ops.pad(x, [[0, 0], [1, 0], [0, 2]]), (3, 2)),
        (lambda x: ops.pad(x, ((0, 0), (2, 1))), (3,)),
    ],
    "sums": [
        (lambda x: ops.sum(x, axis=1), (3, 2)),
        (lambda x: ops.sum(x, axis=(1, -1)), (3, 2, 2)),
        (lambda x: ops.max(x, axis=-1, keepdims=True), (3, 2)),
        (lambda x: ops.min(x, axis=1) + ops.amin(x, axis=1), (3, 2)),
        (lambda x: ops.amax(x, axis=(1, 2)), (3, 2)),
        (lambda x: ops.mean(x, axis=1), (4, 2)),
        (lambda x: cut(ops.mean(x, axis=(1, 2), keepdims=True)), (3, 2)),
    ],
    "products": [
        (lambda x: ops.matmul(x, f32([1, 2, 3], [0.5, -4, 0])), (4, 2)),
        (lambda x: x @ variable([1, 2], [3, 0.5]), (2,)),
        (lambda x: ops.dot(x, f32(1, -2)), (4, 2)),
        (lambda x: ops.dot(x, f32([1, -2], [0.5, 1])), (2, 2)),
        (lambda x, y: x @ y, (2, 3), (3, 4)),
        (lambda x, y: ops.matmul(x, y), (2, 2, 3), (1, 3, 4)),
        (lambda x, y: ops.einsum("bij,bkj->bik", x, y), (2, 3), (4, 3)),
        (lambda x: ops.einsum("b...j->b...", x), (2, 3)),
    ],
    "nothing": [
        (lambda x: ops.stop_gradient(x) * 2, (4,)),
        (lambda x: ops.copy(ops.cast(x, "float32")) * 2, (4,)),
        (lambda x: ops.convert_to_tensor(x, "float32") * 2, (4,)),
    ],
}


@pytest.mark.parametrize("family", EXACT)
def test_operations_are_exact(family):
    for number, (function, *shapes) in enumerate(EXACT[family]):
        model = model_of(function, *shapes)
        x = samples_of(model)
        got = keras_hls.snapshot(model).predict(x if len(x) > 1 else x[0])
        for mine, theirs in zip(got if isinstance(got, list) else [got], answers(model, x), strict=True):
            assert mine.shape == theirs.shape, f"{family} {number}"
            assert np.array_equal(mine, theirs), (
                f"{family} {number}: {int((mine != theirs).sum())} of {mine.size} differ"
            )
            assert np.unique(theirs).size > 1, f"{family} {number} must answer something"


def test_cpp(tmp_path):
    shapes = [(2, 4), (2, 4)]
    functions = [function for cases in EXACT.values() for function, *own in cases if own in ([(2, 4)], shapes)]

    def every(x, y):
        takes = [function.__code__.co_argcount for function in functions]
        return [function(*([x, y][:count])) for function, count in zip(functions, takes)]

    model = model_of(every, *shapes)
    project = keras_hls.export_hls(model, tmp_path / "net", verify=samples_of(model))
    assert len(functions) > 6
    assert project.verification.csim_different == project.verification.keras_different == 0


def test_every_function_by_table():
    # A table has an entry for 0, where some aren't finite.
    infinite = {f"keras.ops.{name}" for name in ("Log", "Log2", "Log10", "Rsqrt", "Reciprocal")}
    names = [path for path in OPERATIONS if OPERATIONS[path].note.startswith("A table") and path not in infinite]
    assert len(names) > 30
    x = keras.Input((3,))
    inside = ops.sigmoid(quantizer(i=2, f=3)(x))
    inside = quantizer(i=1, f=5)(inside) * 0.5 + 0.25
    model = keras.Model(x, [cut(getattr(ops, snake(path))(inside)) for path in names])
    samples = samples_of(model)
    for path, mine, theirs in zip(
        names, keras_hls.snapshot(model).predict(samples), answers(model, samples), strict=True
    ):
        assert np.array_equal(mine, theirs), path


def snake(path):
    name = path.rsplit(".", 1)[-1]
    return re.sub("(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def test_every_reader_is_of_an_operation():
    for path in OPERATIONS:
        place, name = path.rsplit(".", 1)
        home = {"keras.ops": ("keras.src.ops.numpy", "keras.src.ops.nn", "keras.src.ops.core", "keras.src.ops.math")}
        modules = home.get(place, ("keras.src.activations.activations",))
        import importlib

        assert any(hasattr(importlib.import_module(module), name) for module in modules), path
        assert path in READERS
        assert OPERATIONS[path].note


def test_a_softmax_is_left_to_the_host():
    model = model_of(lambda x: ops.softmax(x * 2), (4,))
    snapshot = keras_hls.snapshot(model)
    assert snapshot.graph.host == ("softmax",)
    x = samples_of(model)
    assert np.array_equal(snapshot.predict(x), reference(model, snapshot.graph)(x)[0])


# -- squares


def test_a_square_is_never_negative():
    model = model_of(lambda x: ops.square(x), (2,))
    graph = keras_hls.snapshot(model).graph
    assert (graph.types[graph.outputs[0]].low == 0).all()
    assert (graph.types[graph.outputs[0]].high == 32**2).all()


def test_a_power_of_two_is_exact_where_keras_rounds(tmp_path):
    model = model_of(lambda x: cut(x**2), (4,))
    x = samples_of(model)
    snapshot = keras_hls.snapshot(model)
    again = keras_hls.snapshot(model_of(lambda x: cut(ops.square(x)), (4,)))
    assert np.array_equal(snapshot.predict(x), again.predict(x))
    # Some backends are off in the last bit of a power: no reason to refuse, and told.
    project = snapshot.export(tmp_path / "net", model=model, verify=x)
    assert project.verification.ok
    assert [name.rstrip("_0123456789") for name in project.verification.approximations] == ["power"]


def test_power_product(random_type):
    rng = np.random.default_rng(0)
    cases = []
    for _ in range(6):
        shape = tuple(rng.integers(1, 4, 2).tolist())
        cases.append(Case(PowerProduct(), (random_type(rng, shape, 10), random_type(rng, shape, 10))))
    check_ops(cases, samples=40)
    wide = TensorType.of(Fixed(True, 8, 4), (3,))
    assert PowerProduct().error(wide, wide) == 64 * 2.0**-20


# -- constants


def test_arrays_of_many_bits_are_weights_whose_type_is_to_be_chosen():
    third = f32(1 / 3, 2 / 3, 1, 2)
    for function in (lambda x: x * third, lambda x: x + variable(*third), lambda x: x / third, lambda x: x @ third):
        model = model_of(function, (4,))
        refused(model, r"no quantizer; pass calibration=")
        x = samples_of(model)
        got = keras_hls.snapshot(model, calibration=x, bits=16).predict(x)
        assert np.abs(got - answers(model, x)[0]).max() < 0.01
    # A number is what it is.
    model = model_of(lambda x: x * 0.1, (4,))
    x = samples_of(model)
    assert np.allclose(keras_hls.snapshot(model).predict(x), answers(model, x)[0], rtol=1e-6, atol=0)
