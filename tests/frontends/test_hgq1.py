"""HGQ (the first): the emulator answers what its models and their proxy models answer, bit for bit.

Weights, bit widths and statistics are random; bits are few, so that the library's float32 is exact and every difference is ours.
On samples that ``trace_minmax`` saw, hardware, model and proxy agree; beyond them, hardware and proxy.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("HGQ")

import HGQ
from HGQ.layers import (
    HActivation,
    HAdd,
    HConv1D,
    HConv1DBatchNorm,
    HConv2D,
    HConv2DBatchNorm,
    HDense,
    HDenseBatchNorm,
    HQuantize,
    PAveragePooling1D,
    PAvgPool2D,
    PConcatenate,
    PDropout,
    PFlatten,
    PMaxPool1D,
    PMaxPool2D,
    PPermute,
    PReshape,
    Signature,
)
from HGQ.layers.batchnorm_base import HBatchNormalization
from tensorflow import keras

sys.path.insert(0, str(Path(__file__).parent))
from hgq1_models import (
    RELU,
    SOFTMAX,
    answers,
    chain,
    differing,
    graph_of,
    kernel_quantizer,
    quantizer,
    randomize,
    ranges,
    samples,
    short_names,
    trace,
    view_of,
)

from keras_hls.fixed import FloatCast
from keras_hls.frontends.keras2.hgq_proxy import PROXY_CLASSES, ProxyView
from keras_hls.frontends.keras2.hgq_saved import is_proxy, saved_view
from keras_hls.frontends.keras2.hgq_weights import named_weights
from keras_hls.frontends.keras2.saved import SavedLayer, SavedModel
from keras_hls.frontends.view import ReadError, Untrained
from keras_hls.layers_ext import READERS
from keras_hls.layers_ext.table import Table

ROUNDING = ("standard_round", "stochastic_round", "fast_uniform_noise_injection", "floor", "auto")


def traced(model, shape, seed=0, *, scale=2.0, bits=(0, 5)):
    """The model with random numbers, having seen samples; and those."""
    x = samples(shape, scale=scale)
    return trace(randomize(model, seed, bits=bits), x), x


def assert_equal(model, x, *, table=-1, far=5.0):
    """Hardware, model and both proxies agree where they must."""
    assert differing(model, x) == 0
    away = samples(x.shape[1:], seed=2, scale=float(np.abs(x).max()) * far / 3)
    for aggressive, overflow in ((True, "WRAP"), (False, "SAT")):
        proxy = HGQ.to_proxy_model(model, aggressive=aggressive, unary_lut_max_table_size=table)
        # The model's layers as hardware, then the proxy's own.
        assert differing(model, away, overflow=overflow, than=proxy) == 0
        assert differing(proxy, away) == 0
        assert differing(proxy, x, than=model) == 0


def weights_of(layer, found):
    view = view_of(layer, found[layer.name])
    constants = {name: view.weight(name) for name in ("kernel", "bias")}
    return {name: np.ldexp(c.raw.astype(float), -c.frac) for name, c in constants.items() if c is not None}


# -- numbers of layers


@pytest.mark.parametrize("use_bias", [True, False])
def test_weights_of_dense_layers(use_bias):
    layers = [
        HDense(8, use_bias=use_bias, activation=RELU),
        HDense(7, use_bias=use_bias, kq_conf=kernel_quantizer("floor")),
    ]
    layers += [HDense(6, use_bias=use_bias, kq_conf=kernel_quantizer(skip=skip)) for skip in ("all", (0,))]
    layers += [HDenseBatchNorm(5, use_bias=use_bias, epsilon=0.2), HDenseBatchNorm(5, use_bias=use_bias, scale=False)]
    layers += [HDenseBatchNorm(5, use_bias=use_bias, center=False)]
    model, _ = traced(chain((6,), *layers), (6,), bits=(-1, 6))
    for layer in layers:
        got = weights_of(layer, ranges(model))
        np.testing.assert_array_equal(got["kernel"], layer.fused_qkernel.numpy())
        assert ("bias" in got) == use_bias
        if use_bias:
            np.testing.assert_array_equal(got["bias"], layer.fused_qbias.numpy())


def test_weights_of_convolutions():
    layers = [HConv2D(4, 3, activation=RELU, paq_conf=quantizer(skip=(0, 1, 2))), HConv2DBatchNorm(3, 2)]
    model, _ = traced(chain((6, 6, 2), *layers), (6, 6, 2))
    for layer in layers:
        got = weights_of(layer, ranges(model))
        np.testing.assert_array_equal(got["kernel"], layer.fused_qkernel.numpy())
        np.testing.assert_array_equal(got["bias"], layer.fused_qbias.numpy())


def test_bits_are_those_of_the_proxy():
    layers = {
        "a_relu_quantizer": HDense(30, activation=RELU, name="a"),
        "b_quantizer": HDense(30, name="b"),
        "c_quantizer": HActivation("tanh", name="c"),
        "d_quantizer": HActivation("relu", name="d"),
    }
    model, _ = traced(chain((20,), *layers.values()), (20,), bits=(-3, 8))
    proxy = HGQ.to_proxy_model(model)
    dead = 0
    for name, layer in {"given": model.get_layer("given"), **layers}.items():
        ours, theirs = view_of(layer, ranges(model)[layer.name]).output_formats(), proxy.get_layer(name)
        live = theirs.bits.numpy()[0] > 0
        np.testing.assert_array_equal(ours.live, live)
        dead += int((~live).sum())
        for own, variable in ((ours.signed, "keep_negative"), (ours.width, "bits"), (ours.integer, "integers")):
            np.testing.assert_array_equal(own[live], getattr(theirs, variable).numpy()[0][live])
    assert dead > 5


# -- whole networks


@pytest.mark.parametrize("rounding", ROUNDING)
def test_roundings(rounding):
    same = {"paq_conf": quantizer(rounding), "kq_conf": kernel_quantizer(rounding)}
    layers = [
        HDense(6, activation=RELU, **same),
        HDense(5, use_bias=False, **same),
        HActivation("relu", paq_conf=quantizer(rounding)),
        HDense(4, paq_conf=quantizer(rounding, "all")),
    ]
    assert_equal(*traced(chain((6,), *layers, first=HQuantize(paq_conf=quantizer(rounding))), (6,)))


@pytest.mark.parametrize(
    ("skip", "padding"),
    [((0,), "valid"), ((0,), "same"), ((0, 1, 2), "same"), ("all", "valid"), ("except_last", "valid")],
)
def test_convolutional_networks(skip, padding):
    convolution = HConv2D(
        4, (3, 2), strides=(1, 2), padding=padding, activation=RELU, paq_conf=quantizer(skip=skip), parallel_factor=2
    )
    layers = [convolution, PMaxPool2D(padding=padding), HConv2DBatchNorm(3, 1), PFlatten(), HDense(3)]
    assert_equal(*traced(chain((5, 6, 2), *layers), (5, 6, 2)))


def test_one_dimension():
    layers = [
        HConv1D(4, 3, dilation_rate=2, padding="same", activation=RELU),
        PAveragePooling1D(2, strides=1),
        HConv1DBatchNorm(3, 2, strides=2, paq_conf=quantizer(skip=(0, 1))),
        PMaxPool1D(),
        PFlatten(),
        HDense(3),
    ]
    assert_equal(*traced(chain((9, 2), *layers), (9, 2)))


def test_groups_and_averages():
    layers = [HConv2D(4, 3, groups=2), PAvgPool2D(), HConv2D(2, 1, use_bias=False), PReshape((2,)), HDense(2)]
    assert_equal(*traced(chain((5, 5, 4), *layers), (5, 5, 4)))


def test_channels_first():
    # Neither does Keras's own convolution run so on a processor, which the proxy is made of.
    layers = [
        HConv2D(4, 3, data_format="channels_first", activation=RELU, paq_conf=quantizer(skip="all")),
        PFlatten(),
    ]
    model, x = traced(chain((2, 5, 5), *layers), (2, 5, 5))
    assert differing(model, x) == 0


def test_more_axes():
    layers = [
        HDense(5, activation=RELU),
        HDenseBatchNorm(5, paq_conf=quantizer(skip=(0, 1)), activation=RELU),
        PPermute((2, 1)),
        PReshape((20,)),
        PDropout(0.5),
        HDense(2),
    ]
    assert_equal(*traced(chain((4, 6), *layers), (4, 6)))


@pytest.mark.parametrize(("bits", "scale"), [((-3, 1), 2.0), ((-5, -1), 200.0), ((4, 7), 0.1)])
def test_elements_without_bits_and_coarse_or_fine_ones(bits, scale):
    layers = [HDense(8, activation=RELU), HDense(8, activation=RELU), HDense(5)]
    assert_equal(*traced(chain((6,), *layers), (6,), bits=bits, scale=scale))


def test_sums_and_concatenations():
    given = keras.Input((6,))
    x = HQuantize(paq_conf=quantizer())(given)
    a, b = HDense(4)(x), HDense(4, activation=RELU)(x)
    c = HAdd()([a, b, b])
    model = keras.Model(given, HDense(3)(PConcatenate()([a, c])))
    assert_equal(*traced(model, (6,)))


@pytest.mark.parametrize("function", ["linear", "relu6", "tanh", "sigmoid", "softplus", "elu", "swish", "hard_sigmoid"])
@pytest.mark.parametrize("rounding", ["standard_round", "floor"])
def test_activations(function, rounding):
    activation = HActivation(function, paq_conf=quantizer(rounding), name="a")
    model, x = traced(chain((60,), activation), (60,), bits=(0, 7))
    assert differing(model, x) == 0


@pytest.mark.parametrize("function", ["tanh", "sigmoid", "elu"])
def test_tables_of_proxies(function):
    layers = [HDense(4, paq_conf=quantizer(skip="all")), HActivation(function), HDense(3)]
    model, x = traced(chain((6,), *layers), (6,))
    proxy = HGQ.to_proxy_model(model, unary_lut_max_table_size=4096)
    assert "UnaryLUT" in {type(layer).__name__ for layer in proxy.layers}
    assert any(isinstance(node.op, Table) for node in graph_of(proxy).nodes)
    assert_equal(model, x, table=4096)


def test_softmax_inside():
    model, x = traced(chain((6,), HDense(4), HActivation(SOFTMAX)), (6,))
    assert differing(model, x) == 0


@pytest.mark.parametrize(("center", "scale"), [(True, True), (True, False), (False, True), (False, False)])
def test_normalisation_by_itself(center, scale):
    model, x = traced(chain((4, 3), HBatchNormalization(center=center, scale=scale, epsilon=0.3)), (4, 3))
    assert differing(model, x) == 0


def test_signatures():
    signs, bits, integers = [1] * 3 + [0] * 3, [4] * 6, [3] * 5 + [0]
    model = chain((6,), HDense(4, activation=RELU), first=Signature(signs, bits, integers))
    rng = np.random.default_rng(0)
    raw = np.where(signs, rng.integers(-8, 8, (200, 6)), rng.integers(0, 16, (200, 6)))
    x = (raw * 2.0 ** (np.array(integers) - bits)).astype("float32")
    trace(randomize(model), x)
    assert_equal(model, x)


def test_limits_of_bit_widths():
    clipped = quantizer(bw_clip=(1, 2))
    model, x = traced(
        chain((6,), HDense(5, paq_conf=clipped, kq_conf=kernel_quantizer(bw_clip=(0, 3)))), (6,), bits=(-3, 8)
    )
    # Variables are put within the limits by the first call, and sums are rounded by them as by ours.
    assert differing(model, x) == 0


# -- what is refused


def test_models_that_saw_nothing_say_what_to_do():
    model = randomize(chain((4,), HDense(3)))
    with pytest.raises(Untrained, match=r"has seen no samples; call HGQ\.trace_minmax"):
        graph_of(model)
    with pytest.raises(Untrained, match="HGQ saves no ranges with a model"):
        graph_of(model, found={})


def test_layers_that_differ_from_their_name_are_refused():
    layer = chain((4, 4), HConv1D(3, 2)).layers[-1]
    view = view_of(layer)
    view.config = {**view.config, "padding": "causal"}
    with pytest.raises(ReadError, match="'causal', which HGQ doesn't pad for"):
        READERS[view.path](view, None, None)
    model, _ = traced(chain((4,), HDense(3, name="d")), (4,))
    view = view_of(model.layers[-1], ranges(model)["d"])
    view.config = {**view.config, "gain": 2}
    with pytest.raises(ReadError, match="gain=2"):
        READERS[view.path](view, None, None)


def test_functions_of_a_user_are_not_taken_for_others():
    def relu(x):
        return x * 0.5 + 1

    model, x = traced(chain((4,), HActivation(relu, name="a")), (4,))
    assert differing(model, x) == 0
    assert differing(model, x, than=chain((4,), first=model.get_layer("given"))) > 0
    view = view_of(chain((4,), HDense(3, activation=relu)).layers[-1])
    with pytest.raises(ReadError, match=r"activation='.*relu', and HGQ knows linear and relu here"):
        READERS[view.path](view, None, None)


# -- quantizers of proxies


@pytest.mark.parametrize("overflow", ["SAT", "SAT_ZERO", "SAT_SYM", "WRAP"])
@pytest.mark.parametrize("rounding", ["TRN", "TRN_ZERO", "RND", "RND_ZERO", "RND_INF", "RND_MIN_INF", "RND_CONV"])
def test_modes_of_proxies(rounding, overflow):
    from HGQ.proxy import FixedPointQuantizer

    rng = np.random.default_rng(0)
    shape = (1, 400)
    sign, bits = rng.integers(0, 2, shape, "int8"), rng.integers(0, 7, shape, "int8")
    integers = rng.integers(-3, 8, shape, "int8")
    layer = FixedPointQuantizer(*(np.asarray(a) for a in (sign, bits, integers)), RND=rounding, SAT=overflow)
    given = keras.Input(shape[1:])
    model = keras.Model(given, layer(given))
    # Multiples of half and quarter of each last place, inside and outside of its range.
    raw = rng.integers(-1000, 1000, (300, *shape[1:]))
    x = (raw * 2.0 ** (integers - bits.astype(float) - 2)).astype("float32")
    formats = view_of(layer).output_formats()
    got = np.ldexp(FloatCast(formats)(x).astype(float), -formats.frac)
    np.testing.assert_array_equal(got, answers(model, x))


@pytest.mark.parametrize("name", ["hgq_jet_classifier", "hgq_mnist_heterogeneous"])
def test_published_proxies(name):
    from HGQ.proxy import FixedPointQuantizer

    path = Path(__file__).parents[3] / "shared" / "models" / f"{name}.h5"
    if not path.exists():
        pytest.skip(f"{path.name} isn't here")
    model = keras.models.load_model(path, {"FixedPointQuantizer": FixedPointQuantizer}, compile=False)
    shape = tuple(model.input_shape[1:])
    for scale in (0.5, 3.0, 40.0):
        assert differing(model, samples(shape, count=300, scale=scale)) == 0
    assert differing(model, np.abs(samples(shape, scale=0.5)).clip(0, 1)) == 0


def test_a_saved_proxy_holds_what_a_live_one_does(tmp_path):
    import h5py

    layers = [HDense(4, paq_conf=quantizer(skip="all")), HActivation("tanh"), HDense(3, activation=RELU)]
    model, _ = traced(chain((6,), *layers), (6,))
    proxy = HGQ.to_proxy_model(model, unary_lut_max_table_size=4096)
    proxy.save(tmp_path / "proxy.h5")
    with h5py.File(tmp_path / "proxy.h5") as file:
        configs = {c["name"]: c for c in json.loads(file.attrs["model_config"])["config"]["layers"]}
        for layer in proxy.layers:
            if type(layer).__name__ not in PROXY_CLASSES:
                continue
            group = file["model_weights"][layer.name]
            names = [str(name) for name in group.attrs["weight_names"]]
            weights = short_names(names, [group[name][()] for name in names])
            saved, live = configs[layer.name], view_of(layer)
            view = ProxyView(layer.name, saved["class_name"], saved["config"], weights, live.shapes)
            assert view.path == live.path
            assert view.output_formats() == live.output_formats() and view.input_formats(1) == live.input_formats(1)
            assert set(view.weights) == set(live.weights)
            if view.class_name == "UnaryLUT":
                np.testing.assert_array_equal(view.weight("table").raw, live.weight("table").raw)
    assert {"FixedPointQuantizer", "UnaryLUT"} <= {type(layer).__name__ for layer in proxy.layers}


@pytest.mark.parametrize("trained", [True, False])
@pytest.mark.parametrize("kernels", [True, False])
@pytest.mark.parametrize("sums", [True, False])
def test_arrays_are_known_by_their_order(kernels, sums, trained):
    own = {"paq_conf": quantizer(trainable=sums), "trainable": trained}
    both = {**own, "kq_conf": kernel_quantizer(trainable=kernels)}
    layers = [HDense(5, **both), HDense(4, use_bias=False, **both), HActivation("tanh", **own)]
    flags = [(center, scale) for center in (True, False) for scale in (True, False)]
    layers += [HDenseBatchNorm(4, center=center, scale=scale, **both) for center, scale in flags]
    layers += [HBatchNormalization(center=center, scale=scale, **both) for center, scale in flags]
    model = randomize(chain((5,), *layers, HDenseBatchNorm(4, use_bias=False, **both), first=HQuantize(**own)))
    for _ in range(2):
        for layer in model.layers[1:]:
            expected = short_names([w.name for w in layer.weights], layer.get_weights())
            got = named_weights(type(layer).__name__, layer.get_config(), layer.get_weights())
            assert got.keys() == expected.keys()
            for name, values in expected.items():
                np.testing.assert_array_equal(got[name], values)
            # What was made to train and doesn't any more, or the reverse.
            layer.trainable = not layer.trainable


def test_arrays_of_another_layer_are_refused():
    model = chain((5,), HDense(5, name="d"))
    layer = model.get_layer("d")
    with pytest.raises(
        ReadError, match=r"it takes kernel, bias, .* but the weights hold arrays of shapes \(5, 5\), \(5,\)"
    ):
        named_weights("HDense", layer.get_config(), layer.get_weights()[:2])
    with pytest.raises(ReadError, match="it takes no weights, but the weights hold arrays of shapes"):
        named_weights("PFlatten", {}, layer.get_weights())


def test_layers_as_a_frame_hands_them_over():
    model, _ = traced(chain((6,), HDenseBatchNorm(5, activation=RELU, epsilon=0.2), HActivation("tanh")), (6,))
    found = ranges(model)
    for layer, config in zip(model.layers, json.loads(model.to_json())["config"]["layers"], strict=True):
        if isinstance(layer, keras.layers.InputLayer):
            continue
        entry = SavedLayer.of(config, "model")
        given = (tuple(layer.input_shape[1:]),)
        saved = saved_view(entry, layer.name, layer.get_weights(), given, live=layer)
        file = saved_view(entry, layer.name, layer.get_weights(), given)
        with pytest.raises(Untrained, match="HGQ saves no ranges"):
            file.output_formats()
        elsewhere = saved_view(
            entry, layer.name, layer.get_weights(), given, live=layer, traced=found["given"], overflow="SAT"
        )
        assert elsewhere.traced is found["given"] and elsewhere.overflow == "SAT"
        live = view_of(layer, found[layer.name])
        assert saved.path == live.path and saved.output_formats() == live.output_formats()
        for name in ("kernel", "bias"):
            ours, theirs = saved.weight(name), live.weight(name)
            assert (ours is None) == (theirs is None)
            if ours is not None:
                assert ours.frac == theirs.frac
                np.testing.assert_array_equal(ours.raw, theirs.raw)
        if layer.name.startswith("h_activation"):
            points = np.linspace(-2, 2, 9)
            np.testing.assert_allclose(saved.function("activation")(points), np.tanh(points), rtol=1e-6)
            np.testing.assert_allclose(file.function("activation")(points), np.tanh(points), rtol=1e-6)
        half = SavedLayer(entry.kind, entry.name, {**entry.config, "dtype": "float16"})
        with pytest.raises(ReadError, match="computes in float16"):
            saved_view(half, layer.name, layer.get_weights(), given)


def test_a_proxy_is_told_from_other_models():
    model, _ = traced(chain((6,), HDense(5)), (6,))
    for made, expected in ((HGQ.to_proxy_model(model), True), (model, False)):
        entry = SavedLayer.of(json.loads(made.to_json()), "model")
        assert is_proxy(SavedModel("model", entry, {})) is expected
