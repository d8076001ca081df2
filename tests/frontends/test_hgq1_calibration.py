"""HGQ (the first): ranges of a live model come from a copy, and the model in training stays as it is."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("HGQ")

import HGQ
from HGQ.layers import HActivation, HAdd, HConv2DBatchNorm, HDense, HDenseBatchNorm, HQuantize, PDropout, PFlatten
from HGQ.layers.batchnorm_base import HBatchNormalization
from tensorflow import keras

sys.path.insert(0, str(Path(__file__).parent))
from hgq1_models import RELU, SOFTMAX, chain, differing, quantizer, randomize, ranges, samples, trace

from keras_hls.errors import InvalidData
from keras_hls.frontends.keras2.hgq_calibration import copy, traced_ranges
from keras_hls.frontends.keras2.hgq_live import unsaid


def assert_same_ranges(found, expected):
    assert found.keys() == expected.keys() and found
    for name, own in expected.items():
        np.testing.assert_array_equal(found[name].low, own.low)
        np.testing.assert_array_equal(found[name].high, own.high)


def several():
    """One layer of each kind whose config says less than it should."""
    layers = [
        HConv2DBatchNorm(3, 2, activation=RELU, epsilon=0.2),
        PFlatten(),
        HDenseBatchNorm(4, scale=False, paq_conf=quantizer("auto")),
        HDenseBatchNorm(4, center=False, epsilon=0.4),
        HBatchNormalization(epsilon=0.3),
        HActivation("tanh"),
        HDense(3, use_bias=False),
        HActivation(SOFTMAX),
    ]
    return randomize(chain((4, 4, 2), *layers))


def test_a_copy_finds_what_the_library_finds_and_the_model_sees_nothing():
    model, x = several(), samples((4, 4, 2))
    before = {name: (own.low.copy(), own.high.copy()) for name, own in ranges(model).items()}
    weights = [w.copy() for w in model.get_weights()]
    found = traced_ranges(model, x, batch_size=64)
    assert all(np.isinf(own.low).all() for own in ranges(model).values())
    for name, own in ranges(model).items():
        np.testing.assert_array_equal((own.low, own.high), before[name])
    for old, new in zip(weights, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert not any(layer.record_minmax for layer in model.layers if hasattr(layer, "record_minmax"))
    assert differing(model, x, found) == 0
    assert_same_ranges(found, ranges(trace(model, x)))


def test_a_copy_answers_what_the_model_answers():
    model, x = several(), samples((4, 4, 2), scale=5.0)
    copied = copy(model)
    np.testing.assert_array_equal(model(x), copied(x))
    assert not {id(v) for v in model.variables} & {id(v) for v in copied.variables}


def test_layers_that_stopped_training_are_copied_by_name():
    model, x = several(), samples((4, 4, 2))
    for layer in model.layers:
        layer.trainable = False
    np.testing.assert_array_equal(model(x), copy(model)(x))


def test_a_model_inside_a_model():
    # HGQ itself asks each layer for the bits of the one before, which a model has not: so it comes last.
    inner = chain((6,), HDense(4, name="in_d"), HActivation(SOFTMAX, name="in_s"), first=HQuantize(name="in_q"))
    given = keras.Input((6,))
    middle = HDense(6, name="d")(HQuantize(name="q", paq_conf=quantizer())(given))
    model = randomize(keras.Model(given, inner(middle)))
    data = samples((6,))
    found = traced_ranges(model, data)
    assert set(found) == {"q", "d", "in_q", "in_d", "in_s"}
    # What the model inside sees, by itself.
    between = np.asarray(keras.Model(given, middle)(data))
    expected = {**ranges(trace(inner, between)), **ranges(trace(keras.Model(given, middle), data))}
    assert_same_ranges(found, expected)
    assert (found["in_s"].low == 0).all() and (found["in_s"].high == 1).all()


def test_several_inputs():
    a, b = keras.Input((3,)), keras.Input((3,))
    total = HAdd(name="sum")([HQuantize(name="a")(a), HQuantize(name="b")(b)])
    model = randomize(keras.Model([a, b], HDense(2)(total)))
    data = [samples((3,)), samples((3,), seed=5)]
    found = traced_ranges(model, data)
    assert_same_ranges(found, ranges(trace(model, data)))
    assert not np.array_equal(found["a"].low, found["b"].low)


def test_training_goes_on_as_if_nothing_had_been():
    def fitted(calls):
        keras.utils.set_random_seed(3)
        layers = [HDense(6, activation=RELU, name="d"), PDropout(0.3), HDenseBatchNorm(3, name="n")]
        model = chain((4,), *layers)
        model.compile("sgd", "mse")
        x, y = samples((4,), count=64), samples((3,), count=64, seed=4)
        for _ in range(2):
            model.fit(x, y, batch_size=16, verbose=0)
            if calls:
                traced_ranges(model, x)
        return model

    plain, watched = fitted(False), fitted(True)
    for old, new in zip(plain.get_weights(), watched.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert_same_ranges(ranges(watched), ranges(plain))


def test_what_configs_leave_out():
    model = several()
    found = {type(layer).__name__: unsaid(layer) for layer in model.layers}
    assert found["HConv2DBatchNorm"]["epsilon"] == pytest.approx(0.2)
    assert "epsilon" not in HDenseBatchNorm(3).get_config() and not found["HDense"] and not found["HActivation"]

    def relu(x):
        return x * 2

    # Its config says "relu".
    assert unsaid(HDense(3, activation=relu))["activation"].endswith("test_what_configs_leave_out.<locals>.relu")


@pytest.mark.parametrize(
    ("data", "match"), [(np.zeros((0, 4)), "at least one sample"), (np.full((3, 4), np.nan), "holds NaN or infinite")]
)
def test_samples_that_say_nothing_are_refused(data, match):
    model = chain((4,), HDense(2))
    with pytest.raises(InvalidData, match=match):
        traced_ranges(model, data)


def test_the_library_is_only_asked_for_when_it_is_there():
    source = Path(sys.modules["keras_hls.frontends.keras2.hgq_calibration"].__file__).read_text()
    assert "\nimport HGQ" not in source and HGQ is not None
