"""Softmax and its relatives as layers, activations and operations: what Keras and HGQ2 answer, over any axes."""

import itertools
import re
import sys
from pathlib import Path

import numpy as np
import pytest

keras = pytest.importorskip("keras")
pytest.importorskip("hgq")

sys.path.insert(0, str(Path(__file__).parent))
from hgq.config import QuantizerConfig
from hgq.layers import QDense, QSoftmax, Quantizer
from quantized_models import assert_equal, cast, config, randomize, samples

import keras_hls
from keras_hls.errors import UnsupportedModel

pytestmark = pytest.mark.keras3
L, ops = keras.layers, keras.ops

SHAPE = (3, 4, 2)


def model_of(layer, shape=SHAPE, seed=2):
    x = keras.Input(shape)
    return randomize(keras.Model(x, layer(cast(x))), seed)


# -- left to the host, or computed

AT_THE_END = [
    (lambda x: L.Softmax()(x), "softmax"),
    (lambda x: L.Softmax(axis=3)(x), "softmax"),
    (lambda x: L.Softmax(axis=[-1])(x), "softmax"),
    (lambda x: L.Softmax(axis=1)(x), "softmax(axis=-3)"),
    (lambda x: L.Softmax(axis=[2])(x), "softmax(axis=-2)"),
    (lambda x: L.Softmax(axis=[1, 2])(x), "softmax(axis=(-3, -2))"),
    (lambda x: L.Softmax(axis=[-1, 1])(x), "softmax(axis=(-3, -1))"),
    (lambda x: L.Softmax(axis=[1, 2, 3])(x), "softmax(axis=(-3, -2, -1))"),
    (lambda x: L.Activation("softmax")(x), "softmax"),
    (lambda x: L.Activation("log_softmax")(x), "log_softmax"),
    (lambda x: ops.softmax(x), "softmax"),
    (lambda x: ops.softmax(x, axis=2), "softmax(axis=-2)"),
    (lambda x: ops.log_softmax(x), "log_softmax"),
    (lambda x: ops.log_softmax(x, axis=1), "log_softmax(axis=-3)"),
    (lambda x: L.Dense(3, activation="log_softmax")(x), "log_softmax"),
]
INSIDE = [make for make, _ in AT_THE_END[:-1]]


@pytest.mark.parametrize(("make", "host"), AT_THE_END)
def test_at_an_output_it_is_left_to_the_host(make, host):
    model = model_of(make)
    x = samples(model)[0]
    snapshot = keras_hls.snapshot(model, precision="fixed<16, 6>")
    assert snapshot.graph.host == (host,)
    (note,) = (note for note in snapshot.graph.notes if "host" in note)
    assert note.startswith(f"The {host} of layer ")
    assert note.endswith("whose argmax is the same. Pass softmax='hardware' to compute it.")
    # What whoever reads the answer has to do: exactly what the note says.
    name, _, axis = host.partition("(axis=")
    axes = [int(a) for a in re.findall("-?[0-9]+", axis)] or [-1]
    found = np.asarray(L.Softmax(axis=axes)(snapshot.predict(x)))
    found = np.log(found) if name == "log_softmax" else found
    wanted = ops.convert_to_numpy(model(x))
    tolerance = 0.2 if "chosen" in str(snapshot.graph.notes) else 1e-5
    assert np.abs(found - wanted).max() <= tolerance


def test_verification_compares_what_goes_in(tmp_path):
    x = keras.Input(SHAPE)
    y = cast(x)
    model = randomize(keras.Model(x, [make(y) for make in INSIDE]), 2)
    x = samples(model, count=40)[0]
    for softmax in ("host", "hardware"):
        project = keras_hls.export_hls(model, tmp_path / softmax, softmax=softmax, verify=x)
        found = project.verify(x)
        assert found.ok
        assert found.csim_different == 0
        # Left to the host it is exact; computed, it is within what each layer says.
        assert (found.keras_different == 0) == (softmax == "host")
        assert found.largest_difference < 5e-5


@pytest.mark.parametrize("make", INSIDE)
def test_inside_a_network_it_is_computed(make):
    graph = assert_equal(model_of(lambda x: cast(make(x))))
    # Behind a quantizer of few bits, differences of 2**-16 are rare enough for a test of a few thousand values.
    (note,) = graph.notes
    assert "stands inside the network, so the hardware computes it, off by at most" in note


@pytest.mark.parametrize("make", [L.Softmax(axis=0), L.Softmax(axis=[0, 1]), lambda x: ops.softmax(x, axis=None)])
def test_across_samples_it_is_refused(make):
    with pytest.raises(
        UnsupportedModel, match=r"axis must not hold the batch's, 0, but is .*; samples are computed one by one"
    ):
        keras_hls.snapshot(model_of(make))


def test_masks_are_refused():
    x = keras.Input((3, 4))
    for layer in (L.Softmax(), QSoftmax()):
        with pytest.raises(UnsupportedModel, match=r"(?i)mask"):
            keras_hls.snapshot(keras.Model(x, layer(L.Masking()(cast(x)))))
    mask = keras.Input((3, 4), dtype="bool")
    with pytest.raises(UnsupportedModel, match=r"(?i)mask|tensors|bool"):
        keras_hls.snapshot(keras.Model([x, mask], L.Softmax()(cast(x), mask=mask)))


# -- sparsemax and gated units


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("make", [L.Activation("sparsemax"), ops.sparsemax, lambda x: ops.sparsemax(x, axis=1)])
def test_sparsemax(make, seed):
    """Whatever this version of Keras takes for it: up to 3.15 that isn't sparsemax."""
    graph = assert_equal(model_of(lambda x: cast(make(x)), seed=seed))
    assert "Sparsemax" in {type(node.op).__name__ for node in graph}


def test_sparsemax_of_many():
    with pytest.raises(
        keras_hls.errors.InvalidModel, match=r"sparsemax of 65 elements .* is built for 64 at most: use a softmax"
    ):
        keras_hls.snapshot(model_of(lambda x: cast(ops.sparsemax(x)), (65,)))


@pytest.mark.parametrize("make", [L.Activation("glu"), ops.glu, lambda x: ops.glu(x, axis=2)])
def test_gated_units(make):
    # Keras doesn't know that the activation halves an axis: only a quantizer that asks no shape may stand behind it.
    for_all = QuantizerConfig("kif", "datalane", k0=1, i0=4, f0=5, overflow_mode="SAT", heterogeneous_axis=())
    model = model_of(lambda x: Quantizer(for_all)(make(x)))
    assert_equal(model, samples(model, 1, 400))


def test_gated_units_have_two_halves():
    with pytest.raises(ValueError, match="divisible by 2"):
        model_of(ops.glu, (3,))


# -- with quantizers of its own

AXES = [-1, 1, (1, 2), (1, 3), (-1, 1, 2)]


@pytest.mark.parametrize(("stable", "each"), list(itertools.product([True, False], [True, False])))
@pytest.mark.parametrize("axis", AXES, ids=str)
def test_quantized_softmax(stable, each, axis):
    """Tables with types of their own, of which some have no bits: one for all elements, or one for each."""
    options = {f"{part}_{side}_conf": config() for part in ("exp", "inv") for side in ("iq", "oq")}
    for seed, scaler in ((3, 1.0), (4, 0.25)):
        layer = QSoftmax(
            axis=axis, stable=stable, allow_heterogeneous_table=each, input_scaler=scaler, iq_conf=config(), enable_iq=True,
            parallelization_factor=2, **options,
        )  # fmt: skip
        x = keras.Input(SHAPE)
        model = randomize(keras.Model(x, layer(x)), seed, widest=7)
        graph = assert_equal(model)
        # It is exact, so nothing is left to anyone.
        assert graph.host == ("",)
        assert not graph.notes


@pytest.mark.parametrize("stable", [True, False])
def test_quantized_softmax_as_it_comes(stable, tmp_path):
    """Default quantizers, calibrated by data, behind a layer, with an output quantizer, down to C++."""
    from hgq.utils import trace_minmax

    keras.utils.set_random_seed(1)
    x = keras.Input((6,))
    y = QSoftmax(stable=stable, enable_oq=True)(QDense(5)(x))
    model = keras.Model(x, y)
    with pytest.raises(UnsupportedModel, match="trace_minmax"):
        keras_hls.snapshot(model)
    data = np.random.default_rng(0).normal(size=(500, 6)).astype("float32")
    trace_minmax(model, data)
    found = keras_hls.export_hls(model, tmp_path / "softmax", verify=data).verify(data)
    assert (found.keras_different, found.csim_different) == (0, 0)


def test_what_saturates_may_be_infinite():
    """exp(100) is no float32; Keras saturates it."""
    wide = QuantizerConfig("kif", "datalane", k0=1, i0=7, f0=2, overflow_mode="SAT", heterogeneous_axis=())
    x = keras.Input((4,))
    model = keras.Model(x, QSoftmax(stable=False, enable_iq=True, iq_conf=wide, inv_iq_conf=wide)(x))
    data = np.random.default_rng(0).normal(size=(200, 4)).astype("float32") * 60
    assert_equal(model, [data])


def test_a_part_that_cannot_be_read_is_named():
    x = keras.Input((4,))
    model = keras.Model(x, QSoftmax(exp_iq_conf=QuantizerConfig("kif", "datalane", scaler=0.3))(cast(x)))
    with pytest.raises(UnsupportedModel, match=r"in its exp_table, its input quantizer has scaler=0\.3"):
        keras_hls.snapshot(model)


def test_quantized_softmax_across_samples_is_refused():
    x = keras.Input((4,), batch_size=2)
    with pytest.raises(UnsupportedModel, match="axis must not hold the batch's"):
        keras_hls.snapshot(randomize(keras.Model(x, QSoftmax(axis=0)(cast(x)))))
