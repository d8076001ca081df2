"""Quantizers of QKeras as graphs, and how many of them there are: for tests with QKeras and without it."""

from __future__ import annotations

import itertools

import numpy as np

from keras_hls.fixed import Fixed, Formats
from keras_hls.frontends.view import Builder
from keras_hls.graph import Graph, Input
from keras_hls.layers_ext.qkeras_quantizer import quantized
from keras_hls.passes import prepare
from keras_hls.passes.settling import settle_precision
from keras_hls.sim.emulator import Emulator


def combinations(**choices):
    """Every choice of options, as dicts."""
    names = list(choices)
    return [dict(zip(names, values)) for values in itertools.product(*choices.values())]


def network(quantizer, fixed: Fixed, shape=(1,)) -> Graph:
    """An input of a type, and the quantizer's ops, as a frontend leaves them."""
    build = Builder()
    x = build.add(Input(shape, Formats.of(fixed), fixed), name="x", layer="x")
    return build.graph([quantized("layer", build, x, quantizer, "layer")], ["y"])


def emulated(quantizer, fixed: Fixed, raw, shape=(1,), *, passes=False):
    """The values of raw integers, one sample each (or rows of a shape), as hardware computes them."""
    graph = network(quantizer, fixed, shape)
    graph = prepare(graph) if passes else settle_precision(graph).verify()
    samples = np.asarray(raw, np.int64).reshape(-1, *shape)
    (answer,) = Emulator(graph).run([samples])
    return graph.types[graph.outputs[0]].to_float(answer).reshape(np.shape(raw))


#: Options of every quantizer whose ops differ by them.
OPTIONS = {
    "quantized_bits": [
        *combinations(
            bits=[1, 2, 3, 6],
            integer=[0, 2],
            symmetric=[0, 1],
            keep_negative=[True, False],
            alpha=[None, 0.5, 0.3, -3.7],
        ),
        *combinations(bits=[20], integer=[5, -1]),
    ],
    "quantized_linear": combinations(
        bits=[1, 2, 6], integer=[0, 2], symmetric=[0, 1], keep_negative=[True, False], alpha=[None, 0.5, 4.0]
    ),
    "quantized_relu": [
        *combinations(
            bits=[1, 2, 3, 6],
            integer=[0, 1, 3],
            use_sigmoid=[0, 1],
            negative_slope=[0.0, 0.25, 1.0, 2.0, 2.0**-5],
        ),
        *combinations(
            bits=[4],
            integer=[2],
            relu_upper_bound=[None, 0.0, 1.0, 1.3, 7.7],
            is_quantized_clip=[True, False],
            negative_slope=[0.0, 0.125],
            use_sigmoid=[0, 1],
        ),
    ],
    "quantized_tanh": combinations(bits=[1, 2, 5, 8], symmetric=[False, True], use_real_tanh=[False, True]),
    "quantized_sigmoid": combinations(bits=[1, 2, 5, 8], symmetric=[False, True], use_real_sigmoid=[False, True]),
    "quantized_hswish": combinations(
        bits=[4, 8], integer=[0, 3], symmetric=[0, 1], alpha=[None, 0.3], relu_shift=[3, 2], relu_upper_bound=[6, 4]
    ),
    "quantized_ulaw": combinations(bits=[1, 2, 5, 8], integer=[0, 2], symmetric=[0, 1], u=[255.0, 15.0]),
    "quantized_po2": combinations(
        bits=[3, 4, 6],
        max_value=[None, 1.0, 0.7, 3.0, 8.0],
        quadratic_approximation=[False, True],
        log2_rounding=["rnd", "floor"],
    ),
    "quantized_relu_po2": combinations(
        bits=[2, 4, 8],
        max_value=[None, 1.0, 0.7],
        negative_slope=[0, 0.25, 1.0],
        quadratic_approximation=[False, True],
    ),
    "binary": combinations(use_01=[False, True], alpha=[None, 0.5, 0.3, -2.0]),
    "stochastic_binary": combinations(alpha=[None, 0.3]),
    "ternary": combinations(alpha=[None, 0.3], threshold=[None, 0.5, 0.1, 0.0, 2.0]),
    "stochastic_ternary": combinations(alpha=[None, 0.3], threshold=[None, 0.5]),
}
