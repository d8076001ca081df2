"""Models of HGQ (the first) with random bit widths and weights, read layer by layer: for tests against the library itself."""

from __future__ import annotations

import HGQ
import numpy as np
import tensorflow as tf
from HGQ.layers import HQuantize
from tensorflow import keras

import keras_hls.layers_ext.hgq_layers  # noqa: F401
from keras_hls.frontends.keras2.hgq import HGQView
from keras_hls.frontends.keras2.hgq_live import function_of, ranges, unsaid
from keras_hls.frontends.keras2.hgq_proxy import PROXY_CLASSES, ExactView, ProxyView
from keras_hls.frontends.view import Builder, LayerView, Ref
from keras_hls.graph import Input
from keras_hls.layers_ext import READERS
from keras_hls.passes import prepare
from keras_hls.sim.emulator import predict

# The libraries know these functions by identity, and a string may be found in another Keras that QKeras brings along.
RELU, SOFTMAX = tf.keras.activations.relu, tf.keras.activations.softmax


def short_names(names, values):
    """A layer's weights by the last part of the names that Keras stores: "h_dense/kernel:0" is "kernel"."""
    short = [name.rsplit("/", 1)[-1].rsplit(":", 1)[0] for name in names]
    # What HGQ leaves without a name is never trained and says nothing.
    return {name: value for name, value in zip(short, values, strict=True) if name != "Variable"}


def quantizer(rounding="standard_round", skip=(0,), activation=True, **more):
    """A config of an activation quantizer, or of a kernel quantizer."""
    default = HGQ.get_default_paq_conf() if activation else HGQ.get_default_kq_conf()
    return {**default, "rnd_strategy": rounding, "skip_dims": skip, **more}


def kernel_quantizer(rounding="standard_round", skip=None, **more):
    return quantizer(rounding, skip, activation=False, **more)


def randomize(model, seed=0, *, bits=(0, 5)):
    """Random weights, bit widths and statistics, in place; bit widths are no whole numbers, as trained ones aren't."""
    rng = np.random.default_rng(seed)
    for variable in model.variables:
        shape, name = variable.shape, variable.name.rsplit("/", 1)[-1]
        if name in ("kernel_bw:0", "activation_bw:0"):
            variable.assign(rng.uniform(bits[0] - 0.5, bits[1] + 0.5, shape))
        elif name == "moving_variance:0":
            variable.assign(rng.uniform(0.1, 2, shape))
        elif name in ("kernel:0", "bias:0", "bn_beta:0", "bn_gamma:0", "moving_mean:0"):
            variable.assign(rng.normal(size=shape))
    return model


def samples(shape, count=200, seed=1, scale=2.0):
    return (np.random.default_rng(seed).normal(size=(count, *shape)) * scale).astype("float32")


def trace(model, x):
    """Let the library trace the model itself, and return it."""
    HGQ.trace_minmax(model, x, verbose=False, no_bops_computation=True)
    return model


def chain(shape, *layers, first=None):
    """A model of one layer after the other, behind a quantizer of its input."""
    x = given = keras.Input(shape)
    for layer in (first or HQuantize(paq_conf=quantizer(), name="given"), *layers):
        x = layer(x)
    return keras.Model(given, x)


def view_of(layer, traced=None, overflow="WRAP") -> LayerView:
    """A layer as a reader sees it, from what Keras 2 would save of it."""
    given = layer.input_shape if isinstance(layer.input_shape, list) else [layer.input_shape]
    shapes = tuple(tuple(shape[1:]) for shape in given)
    name, config = type(layer).__name__, {**layer.get_config(), **unsaid(layer)}
    weights = short_names([w.name for w in layer.weights], [w.numpy() for w in layer.weights])
    if name in PROXY_CLASSES:
        return ProxyView(layer.name, name, config, weights, shapes)
    if type(layer).__module__.startswith("HGQ."):
        return HGQView(
            layer.name,
            name,
            config,
            weights,
            shapes,
            traced=traced,
            overflow=overflow,
            functions=lambda value: function_of(layer),
        )
    return ExactView(_Plain(layer, config, weights, shapes))


class _Plain(HGQView):
    """A layer of Keras 2 itself."""

    def __init__(self, layer, config, weights, shapes):
        super().__init__(layer.name, type(layer).__name__, config, weights, shapes)
        self.path = f"keras.layers.{self.class_name}"
        self.layer = layer
        if self.class_name == "ReLU":
            self.config = {**config, "negative_slope": float(config["negative_slope"])}

    def weight(self, name):
        from keras_hls.fixed import Real

        return Real(self.weights[name]) if name in self.weights else None

    def function(self, argument):
        call = self.layer if argument is None else getattr(self.layer, argument)
        return lambda x: call(tf.constant(np.asarray(x, "float32"))).numpy()


def graph_of(model, found=None, overflow="WRAP"):
    """The model as it is to be built: of HGQ's layers with these ranges, or of a proxy model's."""
    found = ranges(model) if found is None else found
    build, made = Builder(), {}
    for layer in model.layers:
        tensor = id(layer.output)
        if isinstance(layer, keras.layers.InputLayer):
            made[tensor] = build.add(Input(tuple(layer.output.shape[1:])), name=layer.name, layer=layer.name)
            continue
        given = layer.input if isinstance(layer.input, list) else [layer.input]
        view = view_of(layer, found.get(layer.name), overflow)
        read = READERS.get(view.path) or READERS[f"keras.layers.{type(layer).__name__[1:]}"]
        made[tensor] = read(view, build, *(made[id(t)] for t in given))
    outputs: list[Ref] = [made[id(t)] for t in model.outputs]
    return prepare(build.graph(outputs, [t.node.layer.name for t in model.outputs]))


def answers(model, x):
    """What the model itself answers."""
    found = model(x, training=False)
    return [np.asarray(a) for a in found] if isinstance(found, list) else np.asarray(found)


def differing(model, x, found=None, overflow="WRAP", than=None):
    """How many of the values that the emulator answers aren't those of the model, or of another one."""
    ours = predict(graph_of(model, found, overflow), x)
    theirs = answers(than if than is not None else model, x)
    assert np.shape(ours) == np.shape(theirs)
    return int((np.asarray(ours) != theirs).sum())


__all__ = [
    "RELU",
    "SOFTMAX",
    "answers",
    "chain",
    "differing",
    "graph_of",
    "kernel_quantizer",
    "quantizer",
    "randomize",
    "ranges",
    "samples",
    "trace",
    "view_of",
]
