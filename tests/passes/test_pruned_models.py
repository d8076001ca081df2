"""Models of HGQ2 with pruned neurons and channels without bits: smaller than before, and equal to Keras as before."""

from __future__ import annotations

import numpy as np
import pytest

keras = pytest.importorskip("keras")
pytest.importorskip("hgq")

from hgq.layers import QAdd, QConv2D, QDense
from quantized_models import assert_equal, config, randomize, samples

import keras_hls
from keras_hls import passes
from keras_hls.errors import InvalidOption
from keras_hls.wires import Known

pytestmark = pytest.mark.keras3


def quantizers(overflow="SAT"):
    weights = {name: config(place) for name, place in (("kq_conf", "weight"), ("bq_conf", "bias"))}
    return {"iq_conf": config(overflow=overflow), **weights}


def prune(layer, *units):
    """Take a layer's outputs away."""
    for weights in (layer._kernel, layer.bias):
        values = keras.ops.convert_to_numpy(weights).copy()
        values[..., list(units)] = 0
        weights.assign(values)


def bitless(layer, *channels):
    """Give channels of a layer's input no bits."""
    quantizer = layer.iq.quantizer
    whole, bits = (keras.ops.convert_to_numpy(part).copy() for part in (quantizer._i, quantizer._f))
    bits[..., list(channels)] = -whole[..., list(channels)] - 1
    quantizer._f.assign(bits)


def mlp(overflow="SAT"):
    x = keras.Input((6,))
    y = QDense(8, activation="relu", name="first", **quantizers(overflow))(x)
    y = QDense(7, activation="relu", name="second", **quantizers(overflow))(y)
    return randomize(keras.Model(x, QDense(3, name="last", **quantizers(overflow))(y)))


def cnn(overflow="SAT"):
    x = keras.Input((6, 5, 2))
    y = QConv2D(4, 3, padding="same", activation="relu", name="stem", **quantizers(overflow))(x)
    z = QConv2D(4, 3, padding="same", activation="relu", name="branch", **quantizers(overflow))(y)
    y = QAdd(iq_confs=(config(overflow=overflow), config(overflow=overflow)), name="sum")([y, z])
    y = keras.layers.MaxPooling2D(2, name="pool")(y)
    y = keras.layers.Flatten(name="flat")(y)
    return randomize(keras.Model(x, QDense(3, name="last", **quantizers(overflow))(y)))


def without_passes(model):
    """What the model costs if only dead weights are free."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("drop_dead_channels", "fold_constants", "narrow"):
            patch.setattr(passes, name, lambda graph, **more: graph)
        return keras_hls.estimate(model)


def assert_smaller(model):
    """Equal to Keras, no larger than before, and every layer is seen as Keras answers it; return the graph."""
    network = assert_equal(model)
    before, after = without_passes(model), keras_hls.estimate(model)
    assert after.lut <= before.lut and after.ff <= before.ff and after.dsp <= before.dsp
    trace = keras_hls.snapshot(model).trace(samples(model), model=model).compare()
    assert trace.ok, str(trace)
    return network


@pytest.mark.parametrize("overflow", ["SAT", "WRAP"])
def test_pruned_neurons(overflow):
    model = mlp(overflow)
    prune(model.get_layer("first"), 1, 4, 5)
    bitless(model.get_layer("last"), 0, 6)
    network = assert_smaller(model)
    assert network.types["first"].shape[-1] <= 5
    assert network["second"].op.kernel.shape[0] == network.types["first"].shape[-1]
    assert network.types["second"].shape[-1] <= 5
    # What is left is listed with what it was.
    places = network.places["first"].channels, network.places["second"].channels
    assert not {1, 4, 5} & set(places[0]) and not {0, 6} & set(places[1])


@pytest.mark.parametrize("overflow", ["SAT", "WRAP"])
def test_pruned_filters(overflow):
    model = cnn(overflow)
    prune(model.get_layer("stem"), 0)
    prune(model.get_layer("branch"), 0, 2)
    network = assert_smaller(model)
    assert network.types["branch"].shape[-1] <= 2 and network.types["stem"].shape[-1] <= 3
    assert network["last"].op.kernel.shape[0] < 3 * 2 * 4


def test_random_bits():
    """Some elements and channels have none, wherever that falls."""
    for seed in range(4):
        for make in (mlp, cnn):
            model = randomize(make("WRAP" if seed % 2 else "SAT"), seed, widest=3)
            if np.unique(np.asarray(model(samples(model)[0]))).size > 2:
                assert_smaller(model)


def test_a_pruned_layer_is_a_number():
    model = mlp()
    prune(model.get_layer("second"), *range(7))
    network = keras_hls.snapshot(model).graph
    assert [type(node.op) for node in network][1:] == [Known]
    x = samples(model)[0]
    assert np.array_equal(keras_hls.snapshot(model).predict(x), np.asarray(model(x)))


def test_factors_of_reuse_are_those_of_the_model():
    """Which neurons a training prunes must not decide which options are valid."""
    model = mlp()
    prune(model.get_layer("first"), 1, 4, 5)
    bitless(model.get_layer("last"), 0, 6)
    options = {"layers": {"second": {"strategy": "Resource", "reuse_factor": 8}}}
    shared = keras_hls.snapshot(model, **options)
    assert shared.graph["second"].op.kernel.shape == (8, 7)
    assert {row.name: row.reuse_factor for row in shared.estimate().layers}["second"] == 8
    assert shared.graph.types["first"].shape[-1] <= 5
    x = samples(model)[0]
    assert np.array_equal(shared.predict(x), np.asarray(model(x)))
    everywhere = keras_hls.snapshot(model, strategy="Resource", reuse_factor=1)
    assert everywhere.graph["second"].op.kernel.shape[0] <= 5


def test_options_of_a_layer_that_is_gone():
    model = mlp()
    prune(model.get_layer("second"), *range(7))
    keras_hls.snapshot(model, layers={"first": {"strategy": "Resource"}})
    with pytest.raises(InvalidOption, match="'fisrt', which isn't a layer"):
        keras_hls.snapshot(model, layers={"fisrt": {"strategy": "Resource"}})


def test_what_is_written_answers_the_same(tmp_path):
    """C-simulation of pruned models, layer by layer."""
    for i, (make, overflow) in enumerate([(mlp, "WRAP"), (cnn, "SAT")]):
        model = make(overflow)
        prune(next(layer for layer in model.layers if layer.name in ("first", "stem")), 1, 3)
        x = samples(model, count=100)[0]
        project = keras_hls.export_hls(model, tmp_path / str(i), verify=x)
        assert project.verification.keras_different == project.verification.csim_different == 0
        found = project.compare(x)
        assert found.ok and any("without dead channels" in layer.note for layer in found.layers), str(found)
