"""Channels first: every op has its channels last, and a whole network turns once."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from keras_hls.fixed import Fixed, Formats
from keras_hls.frontends.view import Builder
from keras_hls.graph import Input
from keras_hls.layers_ext.activation import ReLU
from keras_hls.layers_ext.layout import by_axis, channels_first, channels_last_shape, in_channels_last
from keras_hls.layers_ext.movement import Slice
from keras_hls.layers_ext.reshape import Reshape
from keras_hls.sim.emulator import Emulator

keras = pytest.importorskip("keras")
pytest.importorskip("hgq")

sys.path.insert(0, str(Path(__file__).parent))
from plain_models import FIRST, LAST, L, quantizer, samples

import keras_hls

pytestmark = pytest.mark.keras3


class Layer:
    """As much of a layer as the helpers look at."""

    name = "layer"

    def __init__(self, shape, order=None):
        self.shapes, self.config = (shape,), {} if order is None else {"data_format": order}


@pytest.mark.parametrize("order", [None, LAST])
def test_channels_last_stay(order):
    layer, build = Layer((5, 6, 3), order), Builder()
    assert not channels_first(layer)
    assert channels_last_shape(layer) == (5, 6, 3)
    assert by_axis(layer, "hw", "c") == ("h", "w", "c")
    x = build.add(Input((5, 6, 3)), name="x")
    assert in_channels_last(layer, build, x, lambda ref: ref) == x


def built(shape, ops, rank=None):
    build = Builder()
    x = build.add(Input(shape, Formats.of(Fixed(True, 4, 4)), Fixed(True, 4, 4)), name="x")

    def compute(ref):
        for op in ops:
            ref = build.add(op, ref, name="y")
        return ref

    y = in_channels_last(Layer(shape, FIRST), build, x, compute, rank=rank)
    return build.graph([y], ["y"]).verify()


def test_channels_first_go_there_and_back():
    layer = Layer((3, 5, 6), FIRST)
    assert channels_first(layer)
    assert channels_last_shape(layer) == (5, 6, 3)
    assert by_axis(layer, "hw", "c") == ("c", "h", "w")
    graph = built((3, 5, 6), [Slice((0, 1, 2), (None,) * 3, (1, 1, 1))])
    assert [graph.types[node.name].shape for node in graph] == [(3, 5, 6), (5, 6, 3), (5, 5, 1), (1, 5, 5)]
    raw = np.random.default_rng(0).integers(-8, 8, (4, 3, 5, 6))
    (got,) = Emulator(graph).run([raw])
    assert np.array_equal(got, raw[:, 2:, :, 1:])


def test_what_has_no_spatial_axes_isnt_turned_back():
    graph = built((3, 2, 1), [Slice((0, 0, 0), (1, 1, None), (1, 1, 1)), Reshape((3,))], rank=1)
    assert [graph.types[node.name].shape for node in graph][-1] == (3,)
    graph = built((3, 4), [ReLU(), Reshape((2, 2, 3))], rank=3)
    assert [graph.types[node.name].shape for node in graph][-1] == (3, 2, 2)


def net(order):
    """Everything that has a data format, with a skip connection and a join."""
    axis = 1 if order == FIRST else -1
    x = keras.Input((2, 8, 8) if order == FIRST else (8, 8, 2))
    y = L.Conv2D(3, 3, padding="same", data_format=order, name="start")(quantizer()(x))
    y = L.ReLU()(L.BatchNormalization(axis=axis, name="norm")(y))
    z = L.Conv2D(3, 3, padding="same", data_format=order, name="branch")(y)
    y = L.MaxPooling2D(2, data_format=order)(L.ReLU()(L.Add()([y, L.SpatialDropout2D(0.1, data_format=order)(z)])))
    y = L.UpSampling2D(2, data_format=order, interpolation="bilinear")(y)
    z = L.ZeroPadding2D(((1, 0), (0, 1)), data_format=order)(L.Cropping2D(((0, 1), (1, 0)), data_format=order)(y))
    y = L.Flatten(data_format=order)(L.Concatenate(axis)([y, z]))
    return keras.Model(x, L.Dense(3, name="end")(y))


def test_a_network_with_channels_first_turns_once():
    keras.utils.set_random_seed(0)
    last, first = net(LAST), net(FIRST)
    first.set_weights(last.get_weights())
    x = samples(last, 20)[0]
    turned = np.ascontiguousarray(x.transpose(0, 3, 1, 2))
    wanted = keras_hls.snapshot(last, calibration=x)
    snapshot = keras_hls.snapshot(first, calibration=turned)
    assert np.array_equal(snapshot.predict(turned), wanted.predict(x))
    assert sum(node.op.permutation is not None for node in wanted.graph) == 0
    assert [node.inputs for node in snapshot.graph if node.op.permutation is not None] == [
        (snapshot.graph.inputs[0].name,)
    ]
    assert len(snapshot.graph) == len(wanted.graph) + 1
