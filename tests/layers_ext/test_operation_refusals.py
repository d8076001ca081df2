"""Operations of keras.ops that aren't covered, or reach across the batch, are refused by name."""

from __future__ import annotations

import numpy as np
import pytest

keras = pytest.importorskip("keras")
pytest.importorskip("hgq")

from keras import ops
from operation_models import answers, f32, model_of, refused, samples_of
from plain_models import quantizer

import keras_hls
from keras_hls.frontends.keras3 import live_model
from keras_hls.layers_ext import READERS

pytestmark = pytest.mark.keras3


BATCH = "samples are computed one by one"
REFUSED = [
    (
        lambda x: ops.sort(x),
        (4,),
        r"'sort\w*' \(keras.ops.Sort\): no op reads this operation\..* docs/layers\.md lists those",
    ),
    (lambda x: ops.where(x > 0, x, 0.0), (4,), r"'greater\w*' \(keras.ops.Greater\): no op reads this operation\."),
    (lambda x: x / 0.0, (4,), "it divides by 0$"),
    (
        lambda x, y: x / y,
        (4,),
        (4,),
        "it is called with another tensor or array, and only a number can be beside its tensor$",
    ),
    (lambda x: ops.divide(f32(1, 2), x), (2,), "it is called with another tensor or array, and only a number"),
    (lambda x, y: x**y, (4,), (4,), "it is called with another tensor or array"),
    (lambda x: x * float("nan"), (4,), "it is called with NaN or infinite constants, which no fixed-point type holds$"),
    (lambda x: x @ f32(1, np.inf), (2,), "it multiplies by NaN or infinite constants"),
    (lambda x: ops.clip(x, 2, 1), (4,), r"x_min=2 must not be above x_max=1$"),
    (lambda x: ops.cast(x, "int32"), (4,), "it has a tensor of int32, and only float32"),
    (
        lambda x: x + ops.ones((5, 4)),
        (4,),
        rf"it returns a tensor of shape \(5, 4\); {BATCH}, so the first axis must be",
    ),
    (lambda x: x * ops.ones((2, 3, 4)), (4,), rf"it returns a tensor of shape .*; {BATCH}"),
    (
        lambda x, y: x + y,
        (4,),
        (2, 4),
        "samples of shapes .* have different numbers of axes, so that the batch of one meets",
    ),
    (lambda x: x[0], (4,), rf"it returns a tensor of shape \(4,\); {BATCH}"),
    (
        lambda x: ops.reshape(x, (-1, 2)),
        (4,),
        r"samples of shape \(2,\) of samples of shape \(4,\): .* across the batch, and",
    ),
    (lambda x: ops.transpose(x), (4,), rf"it returns a tensor of shape \(4, None\); {BATCH}"),
    (lambda x: ops.sum(x), (4,), rf"it returns a tensor of shape \(\); {BATCH}"),
    (lambda x: ops.sum(x, axis=0), (4,), rf"it returns a tensor of shape \(4,\); {BATCH}"),
    (lambda x: ops.concatenate([x, x], 0), (4,), rf"{BATCH}, and it reaches across the batch \(axis 0 of 0\)"),
    (lambda x: ops.concatenate([x, ops.ones((1, 4))], 1), (4,), "it joins tensors with a constant, which no op does"),
    (lambda x: ops.flip(x), (4,), "axis=None reverses the batch too; give the axes of a sample$"),
    (lambda x: ops.flip(x, 0), (4,), "axis 0 of 0"),
    (lambda x: ops.roll(x, 1), (4,), "only a shift by one number along one axis of a sample can be read$"),
    (lambda x: ops.repeat(x, 2), (4,), "only one number of repeats along one axis of a sample can be read$"),
    (lambda x: ops.tile(x, (2, 1)), (4,), rf"repeats=\(2, 1\) repeats the batch; {BATCH}$"),
    (lambda x: ops.pad(x, 1), (4,), r"pad_width=1 pads the batch; begin it with \(0, 0\)$"),
    (
        lambda x: ops.pad(x, ((0, 0), (1, 1)), constant_values=2),
        (4,),
        "only zeros can be padded: mode='constant' without",
    ),
    (lambda x: ops.pad(x, ((0, 0), (1, 1)), mode="reflect"), (4,), "only zeros can be padded"),
    (lambda x: ops.broadcast_to(x, (7, 4)), (4,), rf"it returns a tensor of shape \(7, 4\); {BATCH}"),
    (
        lambda x: ops.matmul(f32([1, 2], [3, 4]), x),
        (2, 3),
        "only a tensor times a constant vector or matrix, in this order, can be read",
    ),
    (
        lambda x: ops.matmul(x, ops.ones((3, 2, 2))),
        (3, 4, 2),
        "only a tensor times a constant vector or matrix, in this order",
    ),
    (lambda x, y: ops.einsum("bi,bj->ij", x, y), (2,), (2,), r"it returns a tensor of shape \(2, 2\)"),
    (
        lambda x: ops.einsum("bi,ij->bj", x, f32([1, 2], [3, 4])),
        (2,),
        "only an einsum of tensors can be read; use EinsumDense",
    ),
    (lambda x: ops.hard_shrink(x, -1.0), (4,), "threshold must not be negative, not -1$"),
]


@pytest.mark.parametrize(("function", "shapes", "sentence"), [(case[0], case[1:-1], case[-1]) for case in REFUSED])
def test_what_is_refused(function, shapes, sentence):
    refused(model_of(function, *shapes), sentence)


def test_constants_of_another_precision():
    model = model_of(lambda x: x * np.full(4, 0.5), (4,))
    if model.outputs[0].dtype == "float64":
        refused(model, "it has a tensor of float64, and only float32 can be exported; give constants as float32$")
    else:
        x = samples_of(model)
        assert np.array_equal(keras_hls.snapshot(model).predict(x), answers(model, x)[0])


def test_axes_of_a_batch_of_fixed_size():
    x = keras.Input(batch_shape=(4, 4))
    cast = quantizer(i=2, f=3)(x)
    for function, sentence in [
        (lambda x: ops.transpose(x), r"it moves the batch, which must stay axis 0, but the axes become \(1, 0\)$"),
        (lambda x: ops.swapaxes(x, 0, 1), r"it moves the batch"),
        (lambda x: ops.moveaxis(x, 0, 1), r"it moves the batch"),
        (
            lambda x: ops.mean(x, axis=(0, 1), keepdims=True),
            rf"{BATCH}, and it reaches across the batch \(axis 0 of \(0, 1\)\)",
        ),
        (lambda x: ops.sum(x, axis=None, keepdims=True), "axis=None reduces the batch too; give the axes of a sample$"),
        (
            lambda x: x[1:3],
            r"it picks slice\(1, 3, None\) of the batch; samples are computed one by one, so begin with ':'$",
        ),
        (lambda x: ops.reshape(x, (2, 8)), "it reaches across the batch"),
    ]:
        try:
            y = function(cast)
        except (ValueError, TypeError):
            continue
        refused(keras.Model(x, y), sentence)
    assert live_model.read(keras.Model(x, ops.reshape(cast, (4, 2, 2))), READERS)
