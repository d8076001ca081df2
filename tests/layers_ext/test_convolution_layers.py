"""Convolutional layers of Keras and HGQ2, every argument of each: computed as the layer computes them, or refused."""

from dataclasses import fields, replace
from itertools import product

import numpy as np
import pytest

keras = pytest.importorskip("keras")
pytest.importorskip("hgq")

from hgq.config import QuantizerConfig
from hgq.layers import QConv1D, QConv2D, QConv3D
from quantized_models import assert_equal, config, randomize

import keras_hls
from keras_hls.errors import InvalidModel, UnsupportedModel
from keras_hls.fixed import Constant, Fixed, Formats, Real
from keras_hls.frontends.asking import called
from keras_hls.frontends.keras3 import live_model
from keras_hls.graph import Input
from keras_hls.layers_ext import READERS
from keras_hls.layers_ext.convolution import Convolution
from keras_hls.sim.emulator import Emulator

pytestmark = pytest.mark.keras3

layers = keras.layers
FORMATS = ("channels_last", "channels_first")
PORT = Fixed(True, 8, 6)


# With TensorFlow, Keras (3.15) adds a bias to the last axis wherever that is as long, channels first or not. So outputs have
# more channels here than elements along any axis.


def shaped(data_format, *sizes, channels):
    return (*sizes, channels) if data_format == "channels_last" else (channels, *sizes)


def exactly(graph):
    """The graph with weights as they are, and an input of few bits: what a model without quantizers really computes."""
    ops = {}
    for node in graph:
        if isinstance(node.op, Input):
            ops[node.name] = replace(node.op, formats=Formats.of(PORT), port=PORT)
            continue
        held = {f.name: getattr(node.op, f.name) for f in fields(node.op)}
        real = {name: Constant.exactly(value.values) for name, value in held.items() if isinstance(value, Real)}
        ops[node.name] = replace(node.op, **real)
    return graph.with_ops(ops)


def check(layer, shape, seed=0):
    """Hold a layer with dyadic weights against what it becomes."""
    rng = np.random.default_rng(seed)
    x = keras.Input(shape)
    model = keras.Model(x, layer(x))
    for weight in layer.weights:
        weight.assign(rng.integers(-8, 9, weight.shape) / 4)
    samples = (rng.integers(-32, 32, (3, *shape)) / 4).astype("float32")
    wanted = keras.ops.convert_to_numpy(called("the model", model, samples))
    graph = exactly(live_model.read(model, READERS))
    (raw,) = Emulator(graph).run([(samples * 4).astype(np.int64)])
    got = graph.types[graph.outputs[0]].to_float(raw)
    assert got.shape == wanted.shape
    assert np.array_equal(got, wanted), f"{int((got != wanted).sum())} of {wanted.size} values differ"
    assert np.unique(wanted).size > 2
    return graph


def possible(strides, dilation):
    """Keras takes not both above 1."""
    return np.max(strides) == 1 or np.max(dilation) == 1


@pytest.mark.parametrize("padding", ["valid", "same", "causal"])
@pytest.mark.parametrize("data_format", FORMATS)
def test_conv1d(padding, data_format):
    for size, kernel, strides, dilation in product((9, 10), (1, 2, 3), (1, 2, 3), (1, 2, 3)):
        if possible(strides, dilation):
            layer = layers.Conv1D(
                12, kernel, strides=strides, padding=padding, dilation_rate=dilation, groups=2, data_format=data_format
            )
            check(layer, shaped(data_format, size, channels=4))


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("data_format", FORMATS)
def test_conv2d(padding, data_format):
    for kernel, strides, dilation in product((1, 3, (2, 3)), (1, 2, (2, 3), (1, 2)), (1, 2, (1, 3))):
        if possible(strides, dilation):
            layer = layers.Conv2D(
                12, kernel, strides=strides, padding=padding, dilation_rate=dilation, data_format=data_format
            )
            check(layer, shaped(data_format, 9, 11, channels=3))


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("data_format", FORMATS)
def test_conv3d(padding, data_format):
    for kernel, strides, groups in product((2, (1, 2, 3)), (1, (2, 1, 1)), (1, 2)):
        layer = layers.Conv3D(8, kernel, strides=strides, padding=padding, groups=groups, data_format=data_format)
        check(layer, shaped(data_format, 3, 4, 5, channels=2))


@pytest.mark.parametrize("data_format", FORMATS)
@pytest.mark.parametrize("kind", ["Depthwise", "Separable"])
def test_depthwise_and_separable(kind, data_format):
    # These take strides and dilation at once.
    more = {"filters": 17} if kind == "Separable" else {}
    for padding, kernel, strides, dilation in product(("valid", "same"), (1, 3), (1, 2), (1, 2)):
        given = {"padding": padding, "strides": strides, "dilation_rate": dilation, "data_format": data_format, **more}
        layer = getattr(layers, f"{kind}Conv1D")(kernel_size=kernel, depth_multiplier=4, **given)
        check(layer, shaped(data_format, 12, channels=4))
        layer = getattr(layers, f"{kind}Conv2D")(kernel_size=(kernel, 2), depth_multiplier=3, **given)
        check(layer, shaped(data_format, 9, 11, channels=4))


def test_separable_rounds_nothing_between():
    graph = check(layers.SeparableConv2D(4, 3, depth_multiplier=2, name="sep"), (6, 6, 3))
    assert [node.name for node in graph][1:] == ["sep_depthwise", "sep"]
    assert all(isinstance(node.op, Convolution) for node in graph.nodes[1:])


@pytest.mark.parametrize("padding", ["valid", "same"])
def test_conv1d_transpose(padding):
    # (1, 0) makes no output at all where the kernel's span is even.
    for size, kernel, strides, dilation, more in product((1, 4), (1, 2, 3, 4), (1, 2, 3), (1, 2), (None, 0, 1, 2)):
        if possible(strides, dilation) and (more is None or (0 < more < strides) or (more == 0 and kernel % 2)):
            layer = layers.Conv1DTranspose(
                3, kernel, strides=strides, padding=padding, dilation_rate=dilation, output_padding=more
            )
            check(layer, (size, 2))


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("data_format", FORMATS)
def test_conv2d_and_3d_transpose(padding, data_format):
    for kernel, strides, more in ((3, 1, None), ((2, 3), 2, None), (3, (2, 1), 0), (3, (3, 2), (2, 1)), (2, 2, 1)):
        layer = layers.Conv2DTranspose(
            20, kernel, strides=strides, padding=padding, output_padding=more, data_format=data_format
        )
        check(layer, shaped(data_format, 4, 5, channels=2))
    layer = layers.Conv3DTranspose(20, (1, 2, 3), strides=(2, 1, 2), padding=padding, data_format=data_format)
    check(layer, shaped(data_format, 2, 3, 4, channels=2))


def test_a_transposed_convolution_without_outputs_is_refused():
    x = keras.Input((1, 2))
    model = keras.Model(x, layers.Conv1DTranspose(3, 2, padding="same", output_padding=0)(x))
    with pytest.raises(InvalidModel, match="doesn't fit an axis"):
        assert exactly(live_model.read(model, READERS)).types


@pytest.mark.parametrize("data_format", FORMATS)
def test_bias_and_activation(data_format):
    shape = shaped(data_format, 5, 6, channels=3)
    for cls in (layers.Conv2D, layers.SeparableConv2D, layers.Conv2DTranspose):
        check(cls(9, 3, use_bias=False, activation="relu", data_format=data_format), shape)
    check(layers.DepthwiseConv2D(3, use_bias=False, activation="relu", data_format=data_format), shape)


def test_lora_is_part_of_the_kernel():
    layer = layers.Conv2D(4, 3)
    layer.build((None, 5, 5, 2))
    layer.enable_lora(2, lora_alpha=4)
    check(layer, (5, 5, 2))


# -- HGQ2


@pytest.mark.parametrize(
    ("cls", "sizes", "given"),
    [
        (QConv1D, (9,), {"kernel_size": 3, "strides": 2, "padding": "same"}),
        (QConv1D, (9,), {"kernel_size": 2, "dilation_rate": 3, "groups": 3, "activation": "relu"}),
        (QConv2D, (6, 7), {"kernel_size": 3, "padding": "same"}),
        (QConv2D, (6, 7), {"kernel_size": (2, 3), "strides": (2, 1), "use_bias": False, "bq_conf": None}),
        (QConv2D, (6, 7), {"kernel_size": 2, "dilation_rate": (1, 2), "padding": "same", "groups": 3}),
        (QConv3D, (3, 4, 3), {"kernel_size": (1, 2, 2), "strides": (1, 2, 1), "padding": "same"}),
    ],
)
@pytest.mark.parametrize("data_format", FORMATS)
def test_hgq2(cls, sizes, given, data_format):
    x = keras.Input(shaped(data_format, *sizes, channels=3))
    confs = {"iq_conf": config(), "kq_conf": config("weight"), "bq_conf": config("bias")}
    layer = cls(12, data_format=data_format, **{**confs, **given}, enable_oq=True, oq_conf=config())
    assert_equal(randomize(keras.Model(x, layer(x)), 3))


def causal(quantizer, shape=(6, 3), **given):
    x = keras.Input(shape)
    confs = {"iq_conf": quantizer, "kq_conf": config("weight"), "bq_conf": config("bias")}
    layer = QConv1D(4, given.pop("kernel_size", 3), padding="causal", name="conv", **confs, **given)
    return randomize(keras.Model(x, layer(x)), 1)


def test_hgq2_causal_with_one_type_for_all_steps():
    # HGQ2 pads before it casts: zeros stay zeros.
    channels = QuantizerConfig("kif", "datalane", k0=1, i0=3, f0=2, overflow_mode="SAT", homogeneous_axis=(0, 1))
    tensor = QuantizerConfig("kif", "datalane", k0=1, i0=3, f0=2, overflow_mode="SAT", heterogeneous_axis=())
    for quantizer, strides, dilation in product((channels, tensor), (1, 2), (1, 2)):
        if possible(strides, dilation):
            assert_equal(causal(quantizer, strides=strides, dilation_rate=dilation))
    # With one step, or nothing to pad, there is no other type.
    assert_equal(causal(config(), shape=(1, 3)))
    assert_equal(causal(config(), kernel_size=1))


def test_hgq2_causal_with_a_type_a_step_is_refused():
    with pytest.raises(UnsupportedModel, match="has a type for each of 6 steps, but casts them after causal padding"):
        keras_hls.snapshot(causal(config()))
    time_last = QuantizerConfig("kif", "datalane", k0=1, i0=3, f0=2, overflow_mode="SAT", homogeneous_axis=(0, 1))
    with pytest.raises(UnsupportedModel, match="has a type for each of 5 steps"):
        keras_hls.snapshot(causal(time_last, shape=(3, 5), data_format="channels_first"))


@pytest.mark.parametrize("strategy", [{}, {"strategy": "Resource", "reuse_factor": 2}])
def test_a_network_of_them_in_c_simulation(tmp_path, strategy):
    x = keras.Input((8, 8, 2))
    confs = {"iq_conf": config(), "kq_conf": config("weight"), "bq_conf": config("bias")}
    y = QConv2D(4, 3, padding="same", activation="relu", **confs)(x)
    y = QConv2D(6, 2, strides=2, groups=2, data_format="channels_last", **confs)(y)
    model = randomize(keras.Model(x, QConv2D(4, 3, **confs)(y)), 5)
    snapshot = keras_hls.snapshot(model, **strategy)
    samples = (np.random.default_rng(0).integers(-64, 64, (50, 8, 8, 2)) / 8).astype("float32")
    project = snapshot.export(tmp_path / "net", verify=samples, model=model)
    assert project.verification.ok
