"""QAdaptiveActivation: its averages, live and from files; every answer is QKeras's, bit for bit."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from legacy_keras import keras_of_qkeras

keras = keras_of_qkeras()

from qkeras import QActivation, QAdaptiveActivation, QDense, quantized_bits

import keras_hls
from keras_hls.errors import UnsupportedModel

L = keras.layers


def bits(n=8, integer=2):
    return quantized_bits(n, integer, alpha=1)


def adaptive(activation="quantized_bits", total_bits=6, **options):
    # From the first step on, averages are what was seen, and not what nothing was before.
    return QAdaptiveActivation(activation, total_bits, **({"ema_decay": 0.5} | options))


def model_of(layer, shape=(5,)):
    """A model that has seen values of several sizes."""
    model = keras.Sequential([L.Input(shape), QActivation(bits(10, 5)), layer])
    x = samples(model)
    for _ in range(8):
        model(x, training=True)
    model(x[:1])
    return model


def samples(model, count=300):
    """Whose channels differ in size, beyond what they had in training."""
    rng = np.random.default_rng(0)
    x = rng.integers(-256, 256, (count, *model.input_shape[1:])) / 256
    return (x * 2.0 ** np.arange(x.shape[-1])).astype("float32")


LAYERS = {
    "bits": lambda: adaptive(),
    "bits, not symmetric": lambda: adaptive(symmetric=False),
    "bits, rounded": lambda: adaptive(po2_rounding=True),
    "bits, a channel": lambda: adaptive(per_channel=True),
    "bits, rounded, a channel": lambda: adaptive(per_channel=True, po2_rounding=True, symmetric=False),
    "delayed": lambda: adaptive(quantization_delay=100),
    "frozen averages": lambda: adaptive(ema_freeze_delay=3),
    "relu": lambda: adaptive("quantized_relu"),
    "relu, a channel": lambda: adaptive("quantized_relu", per_channel=True),
    "relu, slope": lambda: adaptive("quantized_relu", relu_neg_slope=0.25),
    "relu, slope, a channel": lambda: adaptive("quantized_relu", relu_neg_slope=0.5, per_channel=True),
    "few bits": lambda: adaptive("quantized_relu", 2),
}


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("shape", [(5,), (3, 2, 4)])
def test_equal_to_qkeras(name, shape, tmp_path):
    model = model_of(LAYERS[name](), shape)
    x = samples(model)
    wanted = np.asarray(model(x))
    assert len(np.unique(wanted)) > 2
    integer = model.layers[-1].quantizer.integer.numpy()
    assert integer.any() and (integer.size > 1) == ("channel" in name)
    if "channel" in name:
        assert len(np.unique(integer)) > 1
    model.save(tmp_path / "net.h5")
    model.save(tmp_path / "net.keras")
    model.save_weights(tmp_path / "weights.h5")
    (tmp_path / "net.json").write_text(model.to_json())
    for made in (
        keras_hls.snapshot(model),
        keras_hls.snapshot(tmp_path / "net.h5"),
        keras_hls.snapshot(tmp_path / "net.keras"),
        keras_hls.snapshot(tmp_path / "net.json", weights=tmp_path / "weights.h5"),
    ):
        assert np.count_nonzero(made.predict(x) != wanted) == 0


def test_an_upper_bound_is_known_of_a_live_layer_alone(tmp_path):
    model = model_of(adaptive("quantized_relu", relu_upper_bound=6.0))
    x = samples(model)
    wanted = np.asarray(model(x))
    live = keras_hls.snapshot(model)
    assert np.array_equal(live.predict(x), wanted)
    assert wanted.max() == 6 and not any("upper_bound" in note for note in live.graph.notes)
    model.save(tmp_path / "net.h5")
    found = keras_hls.snapshot(tmp_path / "net.h5")
    assert any("relu_upper_bound" in note and "export the live model" in note for note in found.graph.notes)
    # QKeras itself loads the file without the bound.
    known = {kind.__name__: kind for kind in (QActivation, QAdaptiveActivation, quantized_bits)}
    again = keras.models.load_model(tmp_path / "net.h5", custom_objects=known)
    again(x[:1])
    assert np.array_equal(found.predict(x), np.asarray(again(x)))


def test_training_in_graphs_and_layers_around(tmp_path):
    weights = {"kernel_quantizer": bits(6, 0), "bias_quantizer": bits(6, 0)}
    inner = keras.Sequential([L.Input((4,)), adaptive("quantized_relu"), QDense(3, **weights)])
    model = keras.Sequential([L.Input((5,)), QActivation(bits()), QDense(4, **weights), inner, adaptive(ema_decay=0.9)])
    x = samples(model)
    model.compile("sgd", "mse")
    model.fit(x, np.ones((len(x), 3)), epochs=2, verbose=0)
    model(x[:1])
    wanted = np.asarray(model(x))
    assert len(np.unique(wanted)) > 2
    assert np.array_equal(keras_hls.snapshot(model).predict(x), wanted)
    # Two layers' steps have one name, under which Keras can't write the optimizer's state.
    model.save(tmp_path / "net.h5", include_optimizer=False)
    assert np.array_equal(keras_hls.snapshot(tmp_path / "net.h5").predict(x), wanted)
    project = keras_hls.export_hls(model, tmp_path / "net", verify=x)
    assert (project.verification.csim_different, project.verification.keras_different) == (0, 0)


def test_the_optimizers_own_step(tmp_path):
    optimizer = keras.optimizers.SGD()
    model = model_of(adaptive(current_step=optimizer.iterations))
    x = samples(model)
    wanted = np.asarray(model(x))
    model.save(tmp_path / "net.h5")
    assert np.array_equal(keras_hls.snapshot(model).predict(x), wanted)
    assert np.array_equal(keras_hls.snapshot(tmp_path / "net.h5").predict(x), wanted)


def test_averages_that_move_at_inference_are_refused(tmp_path):
    model = model_of(adaptive(ema_freeze_delay=100))
    model.save(tmp_path / "net.h5")
    for given in (model, tmp_path / "net.h5"):
        with pytest.raises(UnsupportedModel, match=r"ema_freeze_delay=100 .* is at step 7, so that .*; train on, or"):
            keras_hls.snapshot(given)
    model.layers[-1].trainable = False
    x = samples(model)
    wanted = np.asarray(model(x))
    assert np.array_equal(keras_hls.snapshot(model).predict(x), wanted)
    assert np.array_equal(np.asarray(model(x)), wanted)


def test_averages_that_nothing_was_called_with_are_refused():
    model = model_of(adaptive())
    model.layers[-1].ema_min.assign([-0.5])
    model.layers[-1].ema_max.assign([0.5])
    with pytest.raises(UnsupportedModel, match="call the model once before you export it"):
        keras_hls.snapshot(model)
    x = samples(model)
    model(x)
    assert np.array_equal(keras_hls.snapshot(model).predict(x), np.asarray(model(x)))


def test_what_is_no_number_is_refused():
    model = model_of(adaptive())
    model.layers[-1].ema_max.assign([np.nan])
    with pytest.raises(UnsupportedModel, match="ema_max holds NaN"):
        keras_hls.snapshot(model)
    model = model_of(adaptive("quantized_relu", relu_neg_slope=0.3))
    with pytest.raises(UnsupportedModel, match="negative_slope must be 0 or a power of two"):
        keras_hls.snapshot(model)


def test_channels_that_are_not_the_last_axis_are_refused():
    model = model_of(adaptive(per_channel=True), (3, 5))
    layer = model.layers[-1]
    saved = keras_hls.frontends.models._keras2(model)
    saved.weights[layer.name][1:] = [np.ones(3, "float32")] * 2
    with pytest.raises(
        UnsupportedModel, match=r"one for each of 5 channels along the last axis, but is of shape \(3,\)"
    ):
        keras_hls.snapshot(saved)
