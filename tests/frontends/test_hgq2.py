"""HGQ2 models, as many shapes of them as can be thought of: the emulator answers what the model answers, bit for bit.

Bits are few, and samples lie on a grid, so that Keras's float32 is exact and every difference is ours.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from itertools import product
from math import prod

import hypothesis
import numpy as np
import pytest
from hypothesis import HealthCheck, assume, event, given, settings
from hypothesis import strategies as st

keras = pytest.importorskip("keras")
pytest.importorskip("hgq")

from hgq.config import QuantizerConfig
from hgq.layers import QAdd, QBatchNormDense, QDense, Quantizer
from hgq.quantizer.internal import FixedPointQuantizerKBI, FixedPointQuantizerKIF, FloatPointQuantizer

import keras_hls
from keras_hls.errors import TooWide, UnsupportedModel

# Keras draws seeds of its own while hypothesis draws a network.
pytestmark = [pytest.mark.keras3, pytest.mark.filterwarnings("ignore:Do not use the `random` module inside strategies")]

ROUND = ("TRN", "RND", "RND_CONV", "S_RND", "S_RND_CONV")
OVERFLOW = ("WRAP", "SAT", "SAT_SYM")
TYPES = ("kbi", "kif")
GRANULARITY = ("tensor", "channel", "element")
# Integer bits that no test assigns: a wrapping quantizer that still has them has seen no data.
_START = 9

# KERAS_HLS_FUZZ=20 looks twenty times as hard, elsewhere each time.
_FUZZ = int(os.environ.get("KERAS_HLS_FUZZ", "0"))


def fuzz(examples: int):
    """Settings of a test over random models: the same ones each time, unless more are asked for."""
    return settings(
        max_examples=examples * max(_FUZZ, 1),
        deadline=None,
        derandomize=not _FUZZ,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


# -- quantizers


def config(
    kind="kif", rounding="RND", overflow="SAT", grain="element", place="datalane", scaler=None, bits=None, **more
) -> QuantizerConfig:
    """A quantizer; `bits` is k, i, f."""
    k, i, f = bits or (1, _START, 0)
    shape = {"i0": i, "f0": f} if kind == "kif" else {"i0": i, "b0": max(i + f, 0)}
    if grain == "tensor":
        axes = {"heterogeneous_axis": ()}
    elif grain == "channel":
        axes = {"heterogeneous_axis": (-1,)}
    else:
        axes = {"homogeneous_axis": () if place in ("weight", "bias") else (0,)}
    return QuantizerConfig(
        kind, place, k0=k, round_mode=rounding, overflow_mode=overflow, scaler=scaler, **shape, **axes, **more
    )


def configs(place, rounding=ROUND, overflow=OVERFLOW):
    # Weights that wrap aren't wrapped by HGQ2 where it quantizes weights; whatever it does, the layer itself says.
    return st.builds(
        config,
        kind=st.sampled_from(TYPES),
        rounding=st.sampled_from(rounding),
        overflow=st.sampled_from(overflow),
        grain=st.sampled_from(GRANULARITY),
        place=st.just(place),
        scaler=st.sampled_from([None, None, 0.25, 1.0, 2.0]),
    )


def inner_quantizers(model):
    """The quantizers of a model's layers, with the layer that each stands in."""
    return [q for q in model._flatten_layers() if isinstance(q, (FixedPointQuantizerKBI, FixedPointQuantizerKIF))]


def set_bits(quantizer, rng, widest=6):
    """Random bits by element: negative integer bits, no bits at all and less than none among them."""
    shape = tuple(quantizer._i.shape)
    k = rng.integers(0, 2, shape)
    i = rng.integers(-2, 5, shape)
    width = rng.integers(-1, widest + 1, shape)
    # Trained bits are no integers; HGQ2 rounds them itself. Halves round to even, so none here.
    jitter = rng.uniform(-0.4, 0.4, shape)
    quantizer._k.assign(k.astype("uint8"))
    quantizer._i.assign((i + jitter).astype("float32"))
    if isinstance(quantizer, FixedPointQuantizerKBI):
        quantizer._b.assign((width + np.roll(jitter, 1)).astype("float32"))
    else:
        quantizer._f.assign((width - i + np.roll(jitter, 1)).astype("float32"))


def randomize(model, seed):
    """Weights, statistics and bits at random."""
    rng = np.random.default_rng(seed)
    for layer in model._flatten_layers():
        for name in ("_kernel", "bias", "bn_gamma", "moving_mean", "moving_variance"):
            variable = getattr(layer, name, None)
            if variable is None or not hasattr(variable, "assign"):
                continue
            values = rng.integers(-64, 65, variable.shape) / 32.0
            if name == "moving_variance":
                values = rng.uniform(0.1, 4.0, variable.shape)
            elif name in ("moving_mean", "bn_gamma"):
                values = rng.normal(size=variable.shape)
            variable.assign(values.astype("float32"))
    for quantizer in inner_quantizers(model):
        set_bits(quantizer, rng)
    return model


# -- samples and comparison


def samples(model, seed=0, count=48):
    """On grids from 1/8 to 1/1024, so that ties of every rounding occur, in range, far out of range, and extreme."""
    rng = np.random.default_rng(seed)
    arrays = []
    for tensor in model.inputs:
        shape = (count, *tensor.shape[1:])
        grid = 2.0 ** -rng.integers(3, 11, shape)
        reach = 2.0 ** rng.integers(-2, 8, shape)
        x = np.rint(rng.uniform(-1, 1, shape) * reach / grid) * grid
        x[0], x[1], x[2] = 0, 1023.0, -1024.0
        arrays.append(x.astype("float32"))
    return arrays


def answers(model, x):
    # In the structure that the model was made with, or Keras warns.
    structure = getattr(model, "_inputs_struct", 0)
    values = keras.tree.flatten(model(keras.tree.pack_sequence_as(structure, x), training=False))
    return [np.asarray(keras.ops.convert_to_numpy(v)) for v in values]


def emulated(graph, x):
    y = graph.predict(x if len(x) > 1 else x[0])
    return y if isinstance(y, list) else [y]


def exact_in_float32(snapshot) -> bool:
    return all(int(t.widths.max(initial=0)) <= 22 for t in snapshot.graph.types.values())


def assert_equal(model, x=None, seed=0):
    """Hold the emulator against the model; return the snapshot."""
    snapshot = keras_hls.snapshot(model)
    x = samples(model, seed) if x is None else x
    got, wanted = emulated(snapshot, x), answers(model, x)
    assert len(got) == len(wanted) == len(model.outputs)
    for name, a, b in zip(snapshot.graph.output_names, got, wanted):
        assert a.shape == b.shape, name
        assert np.array_equal(a, b), f"output {name}: {int((a != b).sum())} of {a.size} values differ"
    return snapshot


# -- every kind of quantizer, alone


def all_quantizers(shape=(3, 2), scaler=None):
    """One model with an input and a Quantizer layer for every kind there is."""
    inputs, outputs = [], []
    for n, (kind, rounding, overflow, grain) in enumerate(product(TYPES, ROUND, OVERFLOW, GRANULARITY)):
        inputs.append(keras.Input(shape, name=f"x{n}"))
        layer = Quantizer(config(kind, rounding, overflow, grain, scaler=scaler), name=f"q{n}")
        outputs.append(layer(inputs[-1]))
    return keras.Model(inputs, outputs)


@pytest.mark.parametrize(("seed", "scaler"), [(0, None), (1, None), (2, 0.5), (3, 4.0)])
def test_every_kind_of_quantizer_equals_its_layer(seed, scaler):
    model = randomize(all_quantizers(scaler=scaler), seed)
    live = [q for q in inner_quantizers(model) if (np.rint(np.asarray(q.bits)) > 0).any()]
    assert len(live) > 60, "most of them must do something"
    snapshot = assert_equal(model, samples(model, seed, 400))
    moved = [np.unique(y).size for y in emulated(snapshot, samples(model, seed, 400))]
    assert sum(n > 2 for n in moved) > 45


@pytest.mark.parametrize(("rounding", "overflow"), list(product(ROUND, ("SAT", "SAT_SYM"))))
def test_saturating_quantizers_take_floats_of_any_size(rounding, overflow):
    x = keras.Input((4,))
    model = keras.Model(x, Quantizer(config(rounding=rounding, overflow=overflow, bits=(1, 3, 4)))(x))
    values = np.array([[1e30, -1e30, 3.0e-30, 0.1], [3.4e38, -3.4e38, 7.96875, -8.03125]], "float32")
    assert_equal(model, [values])


@pytest.mark.parametrize("f", [-3, -1, 0, 2])
def test_quantizers_coarser_than_one(f):
    x = keras.Input((8,))
    model = keras.Model(x, Quantizer(config(bits=(1, 6, f)))(x))
    assert_equal(model, [np.arange(-128, 128, dtype="float32").reshape(-1, 8) / 2])


@pytest.mark.parametrize("i", [-1, -3, -6])
def test_quantizers_of_negative_integer_bits(i):
    x = keras.Input((8,))
    model = keras.Model(x, [Quantizer(config(kind=kind, bits=(1, i, 8)))(x) for kind in TYPES])
    assert_equal(model, [np.arange(-128, 128, dtype="float32").reshape(-1, 8) / 512])


def test_a_quantizer_without_bits_answers_zero():
    x = keras.Input((4,))
    model = keras.Model(x, Quantizer(config(bits=(0, 3, -3)))(x))
    snapshot = assert_equal(model)
    assert not snapshot.predict(samples(model)[0]).any()


@pytest.mark.parametrize("kind", TYPES)
def test_a_sign_bit_alone(kind):
    # One bit, the sign: -1 or 0 (SAT), only 0 (SAT_SYM).
    x = keras.Input((4,))
    layers = [Quantizer(config(kind, "TRN", overflow, bits=(1, 0, 0))) for overflow in ("SAT", "SAT_SYM")]
    model = keras.Model(x, [layer(x) for layer in layers])
    snapshot = assert_equal(model)
    assert set(np.unique(emulated(snapshot, samples(model))[0])) == {-1.0, 0.0}


# -- one layer


def dense(units, name=None, iq=None, **options):
    options.setdefault("bq_conf", config("kbi", overflow="SAT", place="bias"))
    options.setdefault("kq_conf", config("kbi", overflow="SAT_SYM", place="weight"))
    return QDense(units, iq_conf=iq or config(), name=name, **options)


@pytest.mark.parametrize("options", [{}, {"use_bias": False, "bq_conf": None}, {"activation": "relu"}])
@pytest.mark.parametrize("shape", [(5,), (3, 5), (2, 2, 5)])
def test_dense_over_the_last_axis(options, shape):
    x = keras.Input(shape)
    assert_equal(randomize(keras.Model(x, dense(3, **options)(x)), 5))


@pytest.mark.parametrize("oq", [("kif", "TRN", "WRAP"), ("kbi", "RND_CONV", "SAT"), ("kif", "S_RND", "SAT_SYM")])
def test_dense_with_an_output_quantizer(oq):
    x = keras.Input((5,))
    layer = dense(3, enable_oq=True, oq_conf=config(*oq), activation="relu")
    snapshot = assert_equal(randomize(keras.Model(x, layer(x)), 6))
    assert any("oq" in node.name for node in snapshot.graph)


def test_weights_are_read_from_the_layer_whatever_their_quantizer():
    # A quantizer for weights that wraps doesn't wrap in HGQ2; one for the bias does.
    for kind, rounding in product(TYPES, ROUND):
        x = keras.Input((4,))
        layer = dense(
            3,
            kq_conf=config(kind, rounding, "WRAP", place="weight"),
            bq_conf=config(kind, rounding, "WRAP", place="bias"),
        )
        model = randomize(keras.Model(x, layer(x)), 7)
        assert_equal(model)


@pytest.mark.parametrize("scale", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_batch_normalisation_with_statistics(scale, seed):
    x = keras.Input((5,))
    layer = QBatchNormDense(
        3,
        scale=scale,
        epsilon=0.01,
        iq_conf=config(),
        kq_conf=config("kbi", overflow="SAT_SYM", place="weight"),
        bq_conf=config("kif", overflow="SAT", place="bias"),
        activation="relu" if seed else None,
    )
    model = randomize(keras.Model(x, layer(x)), seed)
    snapshot = assert_equal(model)
    before = snapshot.predict(samples(model)[0])
    layer.moving_mean.assign(np.asarray(layer.moving_mean) + 1.5)
    layer.moving_variance.assign(np.asarray(layer.moving_variance) * 4)
    after = assert_equal(model).predict(samples(model)[0])
    assert not np.array_equal(before, after), "the statistics must matter"


def test_a_layer_without_input_quantizer_behind_a_quantizer():
    x = keras.Input((5,))
    y = QDense(
        3, enable_iq=False, kq_conf=config(place="weight"), bq_conf=config(overflow="SAT", place="bias"), name="bare"
    )(Quantizer(config(), name="q")(x))
    snapshot = assert_equal(randomize(keras.Model(x, y), 8))
    assert not any("bare_iq" in node.name for node in snapshot.graph)


def test_a_dummy_quantizer_changes_nothing():
    x = keras.Input((5,))
    y = dense(3, iq=QuantizerConfig("dummy"))(Quantizer(config())(x))
    assert_equal(randomize(keras.Model(x, y), 9))


def test_a_custom_bit_width_mapper():
    from hgq.quantizer.internal.base import BitwidthMapperBase

    class Halves(BitwidthMapperBase):
        """One bit width for each half of the last axis."""

        def inference_weight_shape(self, input_shape):
            return (1, 2)

        def bw_to_x(self, bw, x_shape):
            return keras.ops.repeat(bw, x_shape[-1] // 2, axis=-1)

        def x_to_bw_absmax(self, x):
            return keras.ops.max(keras.ops.abs(x))

        def get_config(self):
            return {}

    x = keras.Input((6,))
    layer = Quantizer(QuantizerConfig("kif", "datalane", overflow_mode="SAT", i0=2, f0=2, bw_mapper=Halves()))
    model = keras.Model(x, layer(x))
    layer.quantizer._f.assign(np.array([[0.0, 3.0]], "float32"))
    snapshot = assert_equal(model)
    got = snapshot.predict(np.full((1, 6), 1.375, "float32"))
    assert got.tolist() == [[1, 1, 1, 1.375, 1.375, 1.375]]


def test_one_tensor_read_by_several_quantizers():
    x = keras.Input((4,), name="x")
    readers = [
        Quantizer(config("kif", "TRN", "SAT", bits=(1, 2, 3)), name="a")(x),
        Quantizer(config("kif", "RND", "SAT", bits=(0, 4, 1)), name="b")(x),
        Quantizer(config("kbi", "S_RND", "SAT_SYM", bits=(1, 1, 5)), name="c")(x),
        dense(2, iq=config("kif", "RND", "SAT", bits=(1, 0, 2)), name="d")(x),
    ]
    model = keras.Model(x, readers)
    model.get_layer("d")._kernel.assign(np.arange(8, dtype="float32").reshape(4, 2) / 4)
    assert_equal(model, [samples(model, 1, 2000)[0]])


def test_one_quantizer_reads_tensors_of_other_ranks():
    a, b = keras.Input((4,), name="a"), keras.Input((2, 4), name="b")
    shared = Quantizer(config("kif", "RND", "SAT", grain="tensor", bits=(1, 1, 3)))
    model = keras.Model([a, b], [shared(a), shared(b)])
    assert_equal(model, samples(model, 1, 200))


def test_several_quantizers_that_wrap_read_one_input():
    x = keras.Input((4,), name="x")
    kinds = [("TRN", (1, 2, 3)), ("RND", (0, 4, 1)), ("S_RND", (1, 1, 5)), ("TRN", (0, 0, 2)), ("RND", (1, -1, 3))]
    readers = [Quantizer(config("kif", rounding, "WRAP", bits=bits))(x) for rounding, bits in kinds]
    model = keras.Model(x, readers)
    assert_equal(model, [samples(model, 2, 2000)[0]])


@pytest.mark.parametrize(
    ("kinds", "sentence"),
    [
        ([("TRN", "WRAP"), ("TRN", "SAT")], "must all wrap or all saturate"),
        ([("RND_CONV", "SAT"), ("TRN", "SAT")], r"rounds ties to even \(RND_CONV\)"),
    ],
)
def test_quantizers_that_no_type_of_input_serves_are_refused(kinds, sentence):
    x = keras.Input((4,), name="x")
    model = keras.Model(
        x, [Quantizer(config("kif", r, o, bits=(1, n, 3)))(x) for n, (r, o) in enumerate(kinds)], name="net"
    )
    with pytest.raises(UnsupportedModel, match=rf"^1 layer can't be exported: 'x' \(input\): .*{sentence}.*put one "):
        keras_hls.snapshot(model)


def test_two_equal_quantizers_of_any_mode_may_read_one_input():
    x = keras.Input((4,), name="x")
    pair = [Quantizer(config("kif", "RND_CONV", "WRAP", bits=(1, 2, 3)))(x) for _ in range(2)]
    assert_equal(keras.Model(x, pair))


# -- what can't be exact is refused


def refused(model, sentence, error=UnsupportedModel):
    with pytest.raises(error, match=sentence):
        keras_hls.snapshot(model)


def quantized(conf):
    x = keras.Input((4,), name="x")
    return keras.Model(x, Quantizer(conf, name="q")(x))


@pytest.mark.parametrize("mode", ["TRN_ZERO", "RND_ZERO", "RND_INF", "RND_MIN_INF"])
def test_unknown_rounding_is_refused(mode):
    refused(
        quantized(config(rounding=mode, bits=(1, 2, 3))),
        rf"^1 layer can't be exported: 'q' \(hgq.quantizer.Quantizer\): its quantizer has modes {mode}, SAT; rounding must be"
        " TRN, RND, RND_CONV, S_RND, S_RND_CONV and overflow WRAP, SAT, SAT_SYM$",
    )


def test_wrap_sm_is_refused():
    refused(quantized(config(overflow="WRAP_SM", bits=(1, 2, 3))), "'q' .* has modes RND, WRAP_SM; rounding must be")


def test_float_quantizers_are_refused():
    model = quantized(config(bits=(1, 2, 3)))
    # HGQ2 0.2 can't make one from a config.
    vars(model.get_layer("q"))["quantizer"] = FloatPointQuantizer(m0=2, e0=2, e00=0)
    refused(
        model,
        r"'q' .*: its quantizer is a FloatPointQuantizer; only fixed-point quantizers \(kbi, kif\) can be exported$",
    )


@pytest.mark.parametrize("kind", ["kif", "dummy"])
def test_affine_is_refused(kind):
    conf = QuantizerConfig(kind, affine=(2.0, 1.0)) if kind == "dummy" else config(affine=(2.0, 1.0), bits=(1, 2, 3))
    x = keras.Input((4,))
    model = keras.Model(x, Quantizer(conf, name="q")(Quantizer(config(bits=(1, 2, 3)))(x)))
    refused(model, r"'q' .*: its quantizer has affine=\(2.0, 1.0\), which no op computes; leave it out$")


@pytest.mark.parametrize("scaler", [3.0, 0.3, -2.0])
@pytest.mark.parametrize("kind", ["kif", "dummy"])
def test_a_scaler_that_is_no_power_of_two_is_refused(scaler, kind):
    conf = QuantizerConfig("dummy", scaler=scaler) if kind == "dummy" else config(scaler=scaler, bits=(1, 2, 3))
    x = keras.Input((4,))
    model = keras.Model(x, Quantizer(conf, name="q")(Quantizer(config(bits=(1, 2, 3)))(x)))
    refused(model, rf"'q' .*: its quantizer has scaler={scaler}; only a power of two can be exported$")


@pytest.mark.parametrize("kind", TYPES)
def test_a_quantizer_for_weights_that_reads_a_layer_is_refused(kind):
    # HGQ2 doesn't wrap there: `_is_weight` quantizers only round.
    conf = QuantizerConfig(kind, "weight", overflow_mode="WRAP", homogeneous_axis=(0,), i0=1)
    model = quantized(conf)
    far = np.full((1, 4), 100.0, "float32")
    assert answers(model, [far])[0].max() == 100
    refused(
        model,
        r"'q' .*: its quantizer is one for weights, which never wraps values of layers; give it place='datalane', or"
        r" overflow_mode='SAT'$",
    )
    # A frozen one wraps.
    model.get_layer("q").trainable = False
    assert_equal(model)


def test_bits_that_vary_over_the_batch_are_refused():
    x = keras.Input(batch_shape=(4, 3), name="x")
    conf = QuantizerConfig("kif", "datalane", homogeneous_axis=(), overflow_mode="SAT", i0=2, f0=2)
    refused(
        keras.Model(x, Quantizer(conf, name="q")(x)), r"'q' .* bit widths of shape \(4, 3\), which vary over the batch$"
    )


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_bits_that_are_no_numbers_are_refused(value):
    model = quantized(config(bits=(1, 2, 3)))
    model.get_layer("q").quantizer._f.assign(np.full((1, 4), value, "float32"))
    refused(
        model,
        r"'q' .*: its quantizer has NaN or infinite bit widths; training diverged, or the weights weren't loaded$",
    )


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("where", ["_kernel", "bias"])
def test_weights_that_are_no_numbers_are_refused(value, where):
    x = keras.Input((4,))
    layer = dense(3, name="d")
    model = randomize(keras.Model(x, layer(x)), 0)
    variable = getattr(layer, where)
    values = np.asarray(variable).copy()
    values.flat[0] = value
    variable.assign(values)
    refused(
        model,
        rf"'d' \(hgq.layers.QDense\): its {where.strip('_')} holds NaN or infinite values; training diverged, or the weights"
        " weren't loaded$",
    )


@pytest.mark.parametrize("where", ["moving_mean", "moving_variance", "bn_gamma"])
def test_statistics_that_are_no_numbers_are_refused(where):
    x = keras.Input((4,))
    layer = QBatchNormDense(3, name="d", iq_conf=config(), bq_conf=config(overflow="SAT", place="bias", bits=(1, 2, 3)))
    model = keras.Model(x, layer(x))
    getattr(layer, where).assign(np.array([1, np.nan, 1, 1], "float32"))
    refused(model, r"'d' .*: its (kernel|bias) holds NaN or infinite values")


@pytest.mark.parametrize("kind", TYPES)
def test_too_many_bits_are_refused(kind):
    refused(quantized(config(kind, bits=(1, 40, 30))), r"'q' .*: its quantizer has too many bits: .*63 bits.*71")


def test_too_wide_a_sum_names_the_layer():
    x = keras.Input((4,))
    wide = {"place": "weight", "kind": "dummy"}
    y = Quantizer(config(bits=(1, 20, 30)), name="q")(x)
    model = keras.Model(x, QDense(3, enable_iq=False, name="d", kq_conf=QuantizerConfig(wide["kind"]))(y))
    model.get_layer("d")._kernel.assign(np.full((4, 3), 1 + 2.0**-20, "float32"))
    refused(
        model, r"^Layer 'd' \(Dense\) can't be computed in 63-bit integers: .* Quantize its inputs or weights", TooWide
    )


def test_no_quantizer_behind_an_input_is_refused():
    x = keras.Input((4,), name="x")
    model = keras.Model(x, QDense(3, enable_iq=False, name="d")(x))
    refused(model, r"'x' \(input\): 'd' reads it without a quantizer, .*, or put a Quantizer layer behind the input$")


# -- calibration


def wrapping():
    """A model as HGQ2 makes it by default: it wraps."""
    x = keras.Input((4,), name="x")
    y = QDense(3, name="a", activation="relu")(x)
    return keras.Model(x, QDense(2, name="b")(y))


NEVER = "wraps and was never calibrated: its integer bits haven't seen data. Train the model, or run"


def test_a_wrapping_quantizer_that_saw_no_data_is_refused():
    refused(
        wrapping(),
        f"^2 layers can't be exported: 'a' .*: its input quantizer {NEVER}.*; 'b' .*: its input quantizer {NEVER}",
    )


def test_trained_is_calibrated():
    keras.utils.set_random_seed(0)
    model = wrapping()
    model.compile("sgd", "mse")
    x = np.random.default_rng(0).integers(-32, 32, (64, 4)) / 16.0
    model.fit(x, np.zeros((64, 2)), epochs=1, verbose=0)
    assert_equal(model, [x.astype("float32")])


def test_traced_is_calibrated():
    from hgq.utils import trace_minmax

    keras.utils.set_random_seed(0)
    model = wrapping()
    x = (np.random.default_rng(0).integers(-32, 32, (64, 4)) / 16.0).astype("float32")
    trace_minmax(model, x)
    # Out of the traced range it wraps, as Keras does.
    assert_equal(model, [np.concatenate([x, x * 64])])


def test_reset_and_not_traced_again_is_refused():
    from hgq.utils.minmax_trace import _reset_minmax, trace_minmax

    model = wrapping()
    trace_minmax(model, np.ones((4, 4), "float32"))
    _reset_minmax(model)
    refused(model, NEVER)


# -- random networks


@dataclass
class Net:
    """A network that grows: its tensors by whether their precision is known."""

    draw: object
    inputs: list = field(default_factory=list)
    #: Samples as they come, and what is only another view of them, with the way their quantizers overflow.
    raw: list = field(default_factory=list)
    known: list = field(default_factory=list)
    #: Layers with weights that can be called again, with the shape of their input.
    called: list = field(default_factory=list)

    def add_input(self):
        shape = self.draw(st.sampled_from([(4,), (4,), (2, 3), (6,), (2, 1, 2)]))
        tensor = keras.Input(shape, name=f"in{len(self.inputs)}")
        self.inputs.append(tensor)
        self.raw.append([tensor, self.draw(st.sampled_from(["any", "WRAP", "SAT"]))])

    def source(self, plain=False):
        """A tensor, and what its quantizer may be; `plain` asks for one that needs none."""
        entries = [] if plain else [("raw", n) for n in range(len(self.raw))]
        entries += [("known", n) for n in range(len(self.known))]
        kind, n = self.draw(st.sampled_from(entries))
        if kind == "known":
            return self.known[n], configs("datalane"), True
        tensor, style = self.raw[n]
        if style == "any":
            # One reader, which may be whatever it likes.
            del self.raw[n]
            return tensor, configs("datalane"), False
        overflow = ("WRAP",) if style == "WRAP" else ("SAT", "SAT_SYM")
        return tensor, configs("datalane", ("TRN", "RND", "S_RND"), overflow), False

    def step(self):
        kinds = ["dense", "dense", "batchnorm", "quantizer", "wiring"]
        if self.known:
            kinds += ["relu", "add", "shared"]
        getattr(self, self.draw(st.sampled_from(kinds)))()

    def _options(self, quantizer, may_skip):
        draw = self.draw
        options = {"kq_conf": draw(configs("weight")), "activation": draw(st.sampled_from([None, "linear", "relu"]))}
        options["enable_iq"] = not (may_skip and draw(st.integers(0, 3)) == 0)
        if options["enable_iq"]:
            options["iq_conf"] = draw(quantizer)
        if draw(st.integers(0, 2)) == 0:
            options |= {"enable_oq": True, "oq_conf": draw(configs("datalane"))}
        return options

    def dense(self):
        x, quantizer, may_skip = self.source()
        options = self._options(quantizer, may_skip)
        options["use_bias"] = self.draw(st.booleans())
        if options["use_bias"]:
            options["bq_conf"] = self.draw(configs("bias"))
        self._call(QDense(self.draw(st.integers(1, 4)), **options), x, may_skip)

    def batchnorm(self):
        x, quantizer, may_skip = self.source()
        options = self._options(quantizer, may_skip)
        layer = QBatchNormDense(
            self.draw(st.integers(1, 4)), bq_conf=self.draw(configs("bias")), scale=self.draw(st.booleans()), **options
        )
        self._call(layer, x, may_skip)

    def _call(self, layer, x, shareable):
        self.known.append(layer(x))
        if shareable:
            self.called.append((layer, tuple(x.shape)))

    def shared(self):
        choices = [(layer, t) for layer, shape in self.called for t in self.known if tuple(t.shape) == shape]
        if choices:
            layer, tensor = self.draw(st.sampled_from(choices))
            self.known.append(layer(tensor))

    def quantizer(self):
        x, quantizer, _ = self.source()
        self.known.append(Quantizer(self.draw(quantizer))(x))

    def relu(self):
        layer = self.draw(st.sampled_from([keras.layers.ReLU, lambda: keras.layers.Activation("relu")]))()
        self.known.append(layer(self.draw(st.sampled_from(self.known))))

    def wiring(self):
        places = [(self.known, n) for n in range(len(self.known))] + [(self.raw, n) for n in range(len(self.raw))]
        pool, n = self.draw(st.sampled_from(places))
        x = pool[n] if pool is self.known else pool[n][0]
        size = prod(x.shape[1:])
        shapes = [s for s in [(size,), (1, size), (size // 2, 2), (-1, 1), (2, -1)] if size % 2 == 0 or 2 not in s]
        layer = self.draw(
            st.sampled_from([keras.layers.Flatten(), keras.layers.Dropout(0.4), keras.layers.Activation("linear")])
            | st.sampled_from(shapes).map(lambda s: keras.layers.Reshape(s))
        )
        if pool is self.known:
            pool.append(layer(x))
        else:
            # Its readers count as readers of the input.
            pool[n][0] = layer(x)

    def add(self):
        first = self.draw(st.sampled_from(self.known))
        same = [t for t in self.known if t.shape == first.shape]
        terms = [first, *self.draw(st.lists(st.sampled_from(same), min_size=1, max_size=2))]
        if self.draw(st.integers(0, 2)) == 0:
            self.known.append(keras.layers.Add()(terms))
            return
        options = {"iq_confs": [self.draw(configs("datalane")) for _ in terms]}
        if self.draw(st.integers(0, 2)) == 0:
            options = {"enable_iq": False}
        if self.draw(st.integers(0, 2)) == 0:
            options |= {"enable_oq": True, "oq_conf": self.draw(configs("datalane"))}
        self.known.append(QAdd(**options)(terms))

    def finish(self, most_outputs=3):
        # An input that nobody reads is a part of the model all the same; one that is read by nobody but wiring too.
        if not self.known:
            self.quantizer()
        return self.known[-1:] + self.draw(st.lists(st.sampled_from(self.known), max_size=most_outputs - 1))


@st.composite
def networks(draw, parts=1, steps=7):
    """Functional models; with several parts, so many of them side by side in one model."""
    inputs, outputs = [], []
    for part in range(parts):
        net = Net(draw)
        for _ in range(draw(st.integers(1, 2))):
            net.add_input()
        for _ in range(draw(st.integers(1, steps))):
            if not net.raw and not net.known:
                break
            net.step()
        outputs += net.finish()
        for tensor in net.inputs:
            tensor._keras_history.operation.name = f"in{part}_{len(inputs)}"
            inputs.append(tensor)
    model = keras.Model(inputs, outputs)
    return randomize(model, draw(st.integers(0, 2**32)))


@given(networks(), st.integers(0, 2**32))
@fuzz(60)
def test_random_functional_networks(model, seed):
    snapshot = keras_hls.snapshot(model)
    event(f"exact in float32: {exact_in_float32(snapshot)}")
    assume(exact_in_float32(snapshot))
    assert_equal(model, samples(model, seed))


@st.composite
def stacks(draw):
    """Sequential models."""
    model = keras.Sequential([keras.Input(draw(st.sampled_from([(4,), (3, 2), (1, 5)])))])
    first = True
    for _ in range(draw(st.integers(1, 5))):
        kind = draw(st.sampled_from(["dense", "batchnorm", "quantizer", "dropout", "flatten", "relu"]))
        if kind == "relu" and first:
            kind = "quantizer"
        if kind in ("dense", "batchnorm"):
            options = {"activation": draw(st.sampled_from([None, "relu"]))}
            cls = QDense if kind == "dense" else QBatchNormDense
            model.add(
                cls(
                    draw(st.integers(1, 5)),
                    iq_conf=draw(configs("datalane")),
                    kq_conf=draw(configs("weight")),
                    bq_conf=draw(configs("bias")),
                    **options,
                )
            )
        elif kind == "quantizer":
            model.add(Quantizer(draw(configs("datalane"))))
        else:
            model.add(
                {"dropout": keras.layers.Dropout(0.3), "flatten": keras.layers.Flatten()}.get(kind)
                or keras.layers.ReLU()
            )
            continue
        first = False
    if first:
        model.add(Quantizer(draw(configs("datalane"))))
    return randomize(model, draw(st.integers(0, 2**32)))


@given(stacks(), st.integers(0, 2**32))
@fuzz(20)
def test_random_sequential_networks(model, seed):
    snapshot = keras_hls.snapshot(model)
    assume(exact_in_float32(snapshot))
    assert_equal(model, samples(model, seed))


@pytest.mark.parametrize("seed", range(2))
def test_random_networks_in_cpp(tmp_path, seed):
    found = []

    @hypothesis.seed(seed)
    @settings(max_examples=12, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(networks(parts=4, steps=5))
    def search(model):
        snapshot = keras_hls.snapshot(model)
        if exact_in_float32(snapshot):
            found.append((len(snapshot.graph), len(found), model))

    search()
    nodes, _, model = max(found)
    assert nodes > 20, "the largest of them is large enough"
    project = keras_hls.export_hls(model, tmp_path / "net", verify=samples(model, seed, 300))
    result = project.verify(samples(model, seed + 1, 300))
    assert (result.csim_different, result.keras_different, result.samples) == (0, 0, 300)


def test_every_kind_of_quantizer_in_cpp(tmp_path):
    model = randomize(all_quantizers(shape=(2, 2)), 11)
    result = keras_hls.export_hls(model, tmp_path / "net", verify=False).verify(samples(model, 3, 500))
    assert (result.csim_different, result.keras_different) == (0, 0)


def test_a_deep_chain_of_wiring():
    x = y = keras.Input((4,))
    for n in range(450):
        y = keras.layers.Reshape((2, 2) if n % 2 == 0 else (4,))(y)
        if n == 299:
            y = Quantizer(config(bits=(1, 2, 3)))(y)
    assert_equal(keras.Model(x, y))
