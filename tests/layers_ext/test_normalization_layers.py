"""Layers that normalize by a sample's own elements: what Keras answers, with every argument, quantized and not."""

import sys
from pathlib import Path

import numpy as np
import pytest

keras = pytest.importorskip("keras")
pytest.importorskip("hgq")

sys.path.insert(0, str(Path(__file__).parent))
from hgq.config import QuantizerConfig
from hgq.layers import QDense, Quantizer
from quantized_models import cast, config, randomize, samples

import keras_hls
from keras_hls.errors import UnsupportedModel

pytestmark = [pytest.mark.keras3, pytest.mark.filterwarnings("ignore:You passed `rms_scaling")]
L = keras.layers

SHAPE = (3, 4, 6)
BARE = {"center": False, "scale": False}
LAYERS = [
    *[L.LayerNormalization(axis=axis, **BARE) for axis in (-1, 1, [1, 2], [1, 3], [-1, 2], [1, 2, 3])],
    *[L.LayerNormalization(epsilon=epsilon, **BARE) for epsilon in (1e-7, 1e-5, 0.5, 10.0)],
    *[L.UnitNormalization(axis=axis) for axis in (-1, 1, (1, 3), (1, 2, 3))],
    *[L.GroupNormalization(groups=groups, **BARE) for groups in (1, 2, 3, 6, -1)],
    *[L.GroupNormalization(groups=2, axis=axis, **BARE) for axis in (2, -2, 3)],
    L.GroupNormalization(groups=3, axis=1, epsilon=0.1, **BARE),
]
WITH_WEIGHTS = [
    *[L.LayerNormalization(axis=axis) for axis in (-1, 1, [1, 2], [1, 3], [-1, 1], [1, 2, 3])],
    L.LayerNormalization(center=False),
    L.LayerNormalization(scale=False),
    L.LayerNormalization(rms_scaling=True, epsilon=0.1),
    *[L.RMSNormalization(axis=axis) for axis in (-1, [2, 3], [1, 2, 3])],
    L.RMSNormalization(epsilon=0.5),
    *[L.GroupNormalization(groups=groups) for groups in (1, 2, -1)],
    L.GroupNormalization(groups=2, axis=2),
    L.GroupNormalization(groups=3, axis=1, center=False),
    L.GroupNormalization(groups=3, scale=False),
]


def name(layer):
    config = layer.get_config()
    kept = {key: config[key] for key in ("axis", "epsilon", "groups", "center", "scale") if key in config}
    return f"{type(layer).__name__}-{kept}"


def weighted(model, seed=0):
    """Weights of which none is what Keras begins with."""
    rng = np.random.default_rng(seed)
    for variable in model.trainable_variables:
        if variable.path.rsplit("/")[-1] in ("gamma", "beta", "scale"):
            variable.assign(rng.uniform(0.5, 2, variable.shape) * rng.choice([-1, 1], variable.shape))
    return model


@pytest.mark.parametrize("layer", LAYERS, ids=name)
def test_within_the_stated_bound(layer):
    x = keras.Input(SHAPE)
    model = randomize(keras.Model(x, layer.__class__.from_config(layer.get_config())(cast(x))), 1)
    data = samples(model, 1)[0]
    # A sample whose elements are all the same, and one that is all zero.
    data[0], data[1] = 0.5, 0
    snapshot = keras_hls.snapshot(model)
    (node,) = (node for node in snapshot.graph if type(node.op).__name__ == "Normalize")
    bound = node.op.error(*snapshot.graph.input_types(node))
    assert bound < 3e-5
    answer = keras.ops.convert_to_numpy(model(data))
    assert np.abs(snapshot.predict(data) - answer).max() <= bound + 1e-6
    assert not snapshot.predict(data)[1].any()
    assert snapshot.graph.outputs[0].startswith(layer.__class__.__name__.lower()[:4])


@pytest.mark.parametrize("layer", LAYERS, ids=name)
def test_before_a_quantizer(layer):
    """So precise that hardly any value of few bits is another than Keras's, and then by its last bit."""
    x = keras.Input(SHAPE)
    model = randomize(keras.Model(x, cast(layer.__class__.from_config(layer.get_config())(cast(x)))), 1)
    data = samples(model)[0]
    snapshot = keras_hls.snapshot(model)
    found, answer = snapshot.predict(data), keras.ops.convert_to_numpy(model(data))
    assert (found != answer).mean() < 1e-3
    (_, last) = (node.op.cast for node in snapshot.graph if node.op.cast is not None)
    step = np.exp2((last.integer - last.width).astype(float))
    assert (np.abs(found - answer) <= step).all()


@pytest.mark.parametrize("layer", WITH_WEIGHTS, ids=name)
def test_with_weights(layer):
    """They have no quantizers of their own, so their types are chosen, as are those of all that the layer hands on."""
    x = keras.Input(SHAPE)
    layer = layer.__class__.from_config(layer.get_config())
    model = weighted(keras.Model(x, layer(x)))
    data = np.random.default_rng(0).normal(size=(200, *SHAPE)).astype("float32")
    answer = keras.ops.convert_to_numpy(model(data))
    with pytest.raises(UnsupportedModel, match="no quantizer"):
        keras_hls.snapshot(model)
    found = keras_hls.snapshot(model, calibration=data, precision={"*": "fixed<20, 5>"}).predict(data)
    # Where little varies, the steps of the input are large beside it.
    assert np.abs(found - answer).mean() <= 1e-4
    assert np.abs(found - answer).max() <= 1e-2


def test_between_quantized_layers(tmp_path):
    """A block of a transformer without attention, down to C++."""
    x = keras.Input((4, 8))
    y = QDense(8, kq_conf=config("weight"), bq_conf=config("bias"), iq_conf=config())(x)
    y = L.LayerNormalization(**BARE)(Quantizer(config())(L.Add()([cast(x), y])))
    y = L.GroupNormalization(groups=2, **BARE)(cast(y))
    model = randomize(keras.Model(x, cast(L.UnitNormalization()(cast(y)))), 4)
    data = samples(model, 4, 300)[0]
    found = keras_hls.export_hls(model, tmp_path / "block", verify=data).verify(data)
    assert found.csim_different == 0
    assert found.ok
    # One in a thousand values may fall on the other side of a quantizer's step.
    assert found.keras_different <= found.values / 1000
    assert "off by at most" in str(found) or not found.keras_different


@pytest.mark.parametrize("bits", [4, 8, 12])
def test_quantizers_tip_rarely(bits):
    """Results are finer than what cuts them by eight bits: about one value in a thousand rounds otherwise than Keras's."""
    to = QuantizerConfig("kif", "datalane", k0=1, i0=3, f0=bits, overflow_mode="SAT", heterogeneous_axis=())
    x = keras.Input((16,))
    fine = QuantizerConfig("kif", "datalane", k0=1, i0=5, f0=10, overflow_mode="SAT", heterogeneous_axis=())
    model = keras.Model(x, Quantizer(to)(L.LayerNormalization(**BARE)(Quantizer(fine)(x))))
    data = np.random.default_rng(0).normal(size=(4000, 16)).astype("float32") * 4
    found, answer = keras_hls.snapshot(model).predict(data), keras.ops.convert_to_numpy(model(data))
    assert np.abs(found - answer).max() <= 2.0**-bits
    assert (found != answer).mean() < 4e-3


@pytest.mark.parametrize(
    ("layer", "sentence"),
    [
        (L.LayerNormalization(axis=0), "axis must not hold the batch's, 0"),
        (L.UnitNormalization(axis=[0, 1]), "axis must not hold the batch's, 0"),
        (
            L.LayerNormalization(epsilon=0.0, **BARE),
            "epsilon must be positive, or what doesn't vary is divided by zero",
        ),
        (L.RMSNormalization(epsilon=-1.0), "epsilon must be positive, or what doesn't vary is divided by zero"),
        (L.LayerNormalization(epsilon=1e-50, **BARE), "epsilon must be positive"),
    ],
)
def test_what_is_refused(layer, sentence):
    x = keras.Input((3, 4), batch_size=2)
    with pytest.raises(UnsupportedModel, match=sentence):
        keras_hls.snapshot(keras.Model(x, layer(cast(x))))
