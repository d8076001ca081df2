"""What Keras answers after every call of a layer, beside the node of the graph that computes the same."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

keras = pytest.importorskip("keras")
pytest.importorskip("hgq")

from hgq.layers import QAdd

from keras_hls.frontends.keras3 import live_model
from keras_hls.layers_ext import READERS
from keras_hls.passes import prepare
from keras_hls.sim.emulator import Emulator, to_raw

sys.path.insert(0, str(Path(__file__).parent))
from small_models import conf, dense, inputs, quantizer, values

pytestmark = pytest.mark.keras3


class Mixed(keras.Model):
    def __init__(self):
        super().__init__(name="mixed")
        self.shared = dense(4, "shared", activation="relu")
        self.inner = keras.Sequential([dense(4, "d"), keras.layers.Dropout(0.5, name="drop")], name="inner")
        self.add = QAdd(iq_confs=conf(), name="sum")

    def call(self, inputs):
        x = self.shared(inputs)
        left, right = keras.ops.split(self.inner(self.shared(x)), 2, axis=-1)
        return self.add([keras.ops.concatenate([right, left], -1), x])


def functional():
    x, y = inputs("x", "y")
    pair = keras.Model([x, y], [dense(3, "low")(y), QAdd(iq_confs=conf(), name="sum")([x, y])], name="pair")
    low, total = pair([quantizer("cut")(x), y])
    return keras.Model([x, y], [pair([total, y])[1], low])


def mixed():
    model = Mixed()
    model(values())
    return model


@pytest.mark.parametrize("build", [functional, mixed])
def test_every_call_has_its_node(build):
    model = build()
    graph = live_model.read(model, READERS)
    samples = [values(30, seed=n) for n in range(len(graph.inputs))]
    found = live_model.layer_outputs(model, READERS)(samples)
    assert list(found) == list(graph.places)
    ready = prepare(graph)
    kept = {label: place.node for label, place in ready.places.items() if place is not None}
    emulated = Emulator(ready).run(to_raw(ready, samples if len(samples) > 1 else samples[0]), keep=list(kept.values()))
    assert len(kept) > len(found) / 2
    for (label, node), mine in zip(kept.items(), emulated):
        assert np.array_equal(ready.types[node].to_float(mine), found[label]), label


def test_calls_are_named_by_their_layers_in_the_models_order():
    model = mixed()
    found = live_model.layer_outputs(model, READERS)([values(5)])
    assert list(found) == [
        "shared",
        "shared#2",
        "inner/d",
        "inner/drop",
        "split",
        "split[1]",
        "concatenate",
        "sum",
    ]
    places = live_model.read(model, READERS).places
    # What changes nothing has the node of what it takes.
    assert places["inner/drop"] == places["inner/d"]
    assert np.array_equal(found["inner/drop"], found["inner/d"])
    assert np.array_equal(np.concatenate([found["split"], found["split[1]"]], -1), found["inner/d"])


def test_more_samples_than_one_call_takes():
    model = mixed()
    x = values(4100)
    found = list(live_model.layer_outputs(model, READERS)([x]).values())
    assert all(len(array) == 4100 for array in found)
    assert np.array_equal(found[-1], model(x))


def test_float_models_have_outputs_too():
    (x,) = inputs("x")
    model = keras.Model(x, keras.layers.Dense(3, name="d")(x))
    found = live_model.layer_outputs(model, READERS)([values(5)])
    assert np.array_equal(found["d"], model(values(5)))


def test_shapes_that_a_trace_leaves_open():
    class Folds(keras.Model):
        def call(self, inputs):
            rows = keras.ops.reshape(inputs, (keras.ops.shape(inputs)[0], 2, 2))
            return keras.ops.softmax(keras.ops.broadcast_to(rows[:, :1], (keras.ops.shape(rows)[0], 3, 2)))

    model = Folds()
    model(values())
    found = live_model.layer_outputs(model, READERS)([values(7)])
    assert found["broadcast_to"].shape == (7, 3, 2)
    (before,) = live_model.reference(model, [True])([values(7)])
    assert np.array_equal(before, found["broadcast_to"])
