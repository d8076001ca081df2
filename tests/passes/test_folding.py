"""Factors and offsets are drawn into the weights before them where nothing is lost."""

import numpy as np
import pytest

from keras_hls.fixed import Constant, Fixed, Formats, Real
from keras_hls.graph import Graph, Input, Node
from keras_hls.layers_ext.activation import ReLU
from keras_hls.layers_ext.dense import Dense
from keras_hls.layers_ext.scale import Scale
from keras_hls.passes.folding import fold_scales
from keras_hls.sim.emulator import Emulator

PORT = Fixed(True, 6, 3)


def graph(*nodes, outputs=("s",)):
    port = Node("x", Input((3,), Formats.of(PORT), PORT))
    return Graph((port, *nodes), outputs, tuple(f"o{i}" for i in range(len(outputs))))


def quantized(rng, shape, bits=4):
    return Constant(rng.integers(-(1 << bits), 1 << bits, shape), int(rng.integers(0, 6)))


def test_float_weights_take_up_everything():
    rng = np.random.default_rng(0)
    kernel, bias, scale, offset = (rng.normal(size=shape) for shape in ((3, 4), 4, 4, 4))
    folded = fold_scales(
        graph(
            Node("d", Dense(Real(kernel), Real(bias)), ("x",)),
            Node("s", Scale(Real(scale), Real(offset)), ("d",)),
            Node("t", Scale(Constant.exactly(3.0), None), ("s",)),
            outputs=("t",),
        )
    )
    assert [node.name for node in folded] == ["x", "d"]
    assert folded.outputs == ("d",)
    assert np.allclose(folded["d"].op.kernel.values, kernel * scale * 3)
    assert np.allclose(folded["d"].op.bias.values, (bias * scale + offset) * 3)


@pytest.mark.parametrize("seed", range(20))
def test_quantized_weights_take_up_powers_of_two_bit_for_bit(seed):
    rng = np.random.default_rng(seed)
    dense = Dense(quantized(rng, (3, 4)), quantized(rng, 4) if seed % 2 else None)
    factors = Constant(rng.choice([1, -1, 2, -4, 8], 4), int(rng.integers(-2, 5)))
    whole = graph(Node("d", dense, ("x",)), Node("s", Scale(factors, quantized(rng, 4)), ("d",)))
    folded = fold_scales(whole).verify()
    assert [node.name for node in folded] == ["x", "d"]
    raw = rng.integers(-32, 32, (100, 3))
    before, after = Emulator(whole).run([raw])[0], Emulator(folded).run([raw])[0]
    assert np.array_equal(whole.types["s"].to_float(before), folded.types["d"].to_float(after))


@pytest.mark.parametrize("why", ["wider", "read twice", "an output", "something between", "shared by rows", "zero"])
def test_what_stays_an_op_of_its_own(why):
    rng = np.random.default_rng(0)
    factors = {"wider": Constant(np.array([3, 1, 1, 1]), 1), "zero": Constant(np.array([0, 1, 1, 1]), 1)}.get(
        why, Constant(np.array([2, 1, 1, 1]), 1)
    )
    scale = Scale(factors, quantized(rng, 4))
    nodes = [Node("d", Dense(quantized(rng, (3, 4))), ("x",)), Node("s", scale, ("d",))]
    outputs = ("s",)
    if why == "read twice":
        nodes.append(Node("r", ReLU(), ("d",)))
        outputs = ("s", "r")
    if why == "an output":
        outputs = ("s", "d")
    if why == "something between":
        nodes[1:] = [Node("r", ReLU(), ("d",)), Node("s", scale, ("r",))]
    if why == "shared by rows":
        nodes[1] = Node("s", Scale(Constant(np.array([[2], [1]]), 0)), ("d",))
        port = Node("x", Input((2, 3), Formats.of(PORT), PORT))
        whole = Graph((port, *nodes), ("s",), ("o",))
    else:
        whole = graph(*nodes, outputs=outputs)
    assert [node.name for node in fold_scales(whole)] == [node.name for node in whole]
