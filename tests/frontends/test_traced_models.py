"""Call methods of users' own: models, layers and Lambdas are traced, and are as they were before."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

keras = pytest.importorskip("keras")
pytest.importorskip("hgq")

from hgq.layers import QAdd, QDense

import keras_hls
from keras_hls.errors import InvalidModel
from keras_hls.frontends.keras3 import live_model
from keras_hls.layers_ext import READERS
from keras_hls.project import reference

sys.path.insert(0, str(Path(__file__).parent))
from small_models import assert_equal, conf, dense, inputs, quantizer, refused, values
from traced_classes import Block, Net, state

pytestmark = pytest.mark.keras3


SAMPLES = {"left": values(), "right": values(seed=1)}


@pytest.fixture
def net():
    model = Net(name="net")
    model(SAMPLES)
    return model


def test_a_subclassed_model_is_what_it_calls(net, tmp_path):
    snapshot = keras_hls.snapshot(net)
    layers = list(dict.fromkeys(node.layer for node in live_model.read(net, READERS)))
    blocks = [f"block{n}/{part}" for n in range(2) for part in ("multiply", "multiply_1", "add", "cut", "core", "relu")]
    rest = ["inner/deep", "inner/cut", "b", "sum", "head", "reshape", "out", "get_item"]
    assert layers == ["left", "right", "a", *blocks, *rest]
    assert snapshot.graph.output_names == ("head", "get_item", "block1")
    assert snapshot.graph.host == ("softmax", "", "")
    project = snapshot.export(tmp_path / "net", model=net, verify=SAMPLES)
    assert project.verification.keras_different == project.verification.csim_different == 0


def test_a_trace_leaves_nothing_behind(net, tmp_path):
    before, name = state(net), keras.layers.Dense(1).name
    keras_hls.snapshot(net)
    live_model.layer_outputs(net, READERS)(list(SAMPLES.values()))
    after = state(net)
    assert all(np.array_equal(a, b) for a, b in zip(before[0], after[0], strict=True))
    assert before[1:] == after[1:]
    number, later = (int(text.rsplit("_", 1)[1]) for text in (name, keras.layers.Dense(1).name))
    # Two more were made here, and none by the trace.
    assert later == number + 2
    net.compile("sgd", "mse")
    y = {"class": np.zeros((20, 4)), "rest": (np.zeros((20, 2, 2)), np.zeros((20, 4)))}
    net.fit(SAMPLES, y, epochs=1, verbose=0)
    net.save(tmp_path / "net.keras")
    loaded = keras.saving.load_model(tmp_path / "net.keras")
    assert not keras_hls.snapshot(loaded, precision="fixed<24, 8>").diff(
        keras_hls.snapshot(net, precision="fixed<24, 8>")
    )


def test_a_trace_gives_the_same_each_time(net):
    first = keras_hls.snapshot(net)
    keras.layers.ReLU()
    assert not keras_hls.snapshot(net).diff(first)
    assert [node.name for node in keras_hls.snapshot(net).graph] == [node.name for node in first.graph]


def test_weights_without_quantizers_get_types_from_samples(net):
    net.blocks[0].factor.assign(np.full(4, 1 / 3))
    refused(net, r"^1 layer can't be exported: 'block0/multiply': its scale ha(s|ve) no quantizer; pass calibration=")
    snapshot = keras_hls.snapshot(net, calibration=SAMPLES, bits=20)
    wanted = reference(net, snapshot.graph)(SAMPLES)
    assert np.abs(snapshot.predict(SAMPLES)[1] - wanted[1]).max() < 0.5


def test_a_saved_subclassed_model(net, tmp_path):
    net.save(tmp_path / "net.keras")
    assert not keras_hls.snapshot(tmp_path / "net.keras").diff(keras_hls.snapshot(net))


def test_a_custom_layer_in_a_functional_model(tmp_path):
    x, y = inputs("x", "y")
    block = Block(4, name="block")
    model = keras.Model([x, y], [dense(2, "d")(block(quantizer()(x), training=False)), block(block(quantizer()(y)))])
    samples = [values(), values(seed=1)]
    snapshot = assert_equal(model, samples)
    raw = live_model.read(model, READERS)
    assert [node.name for node in raw if node.layer == "block/cut"] == [
        "block_cut_oq",
        "block_cut_oq_1",
        "block_cut_oq_2",
    ]
    model.save(tmp_path / "model.keras")
    assert not keras_hls.snapshot(tmp_path / "model.keras").diff(snapshot)
    refused(
        keras.Model(x, block(x, training=True)),
        r"'block' \(.*Block\): it is called with \{'training': True\}, which no",
    )


class Doubling(QDense):
    """A layer of a library with something added: its quantizers are calls of layers, its weights are constants."""

    def call(self, inputs, training=None):
        return super().call(inputs, training=training) * 2


class FloatDoubling(keras.layers.Dense):
    def call(self, inputs, training=None):
        return super().call(inputs) * 2


def test_subclasses_of_library_layers():
    (x,) = inputs("x")
    assert_equal(keras.Model(x, dense(3, "d", cls=Doubling, activation="relu", enable_oq=True, oq_conf=conf(f=1))(x)))
    model = keras.Model(x, FloatDoubling(3, name="d")(x))
    refused(model, "'d/matmul': its kernel and bias have no quantizer")
    snapshot = keras_hls.snapshot(model, calibration=values(), bits=20)
    assert np.allclose(snapshot.predict(values()), model(values()), atol=1e-2)


class Noisy(keras.layers.Layer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.drop = keras.layers.Dropout(0.5, name="drop")

    def call(self, x):
        return self.drop(x, training=True)


def test_training_inside_of_a_trace_is_refused():
    (x,) = inputs("x")
    refused(
        keras.Model(x, Noisy(name="noisy")(quantizer()(x))),
        r"^1 layer can't be exported: 'noisy/drop' \(keras.layers.Dropout\): it is called with \{'training': True\}, which no",
    )


class Twice(keras.Model):
    """Functional, but with something added."""

    def call(self, *args, **kwargs):
        return super().call(*args, **kwargs) * 2


class TwiceInSequence(keras.Sequential):
    def call(self, *args, **kwargs):
        return super().call(*args, **kwargs) * 2


def test_a_model_that_computes_more_than_its_graph():
    a, b = inputs("zeta", "alpha")
    add = QAdd(iq_confs=[conf(), conf(f=1)], name="s")
    snapshot = assert_equal(Twice({"zeta": a, "alpha": b}, dense(2, "d")(add([a, b])), name="net"))
    assert [node.layer for node in snapshot.graph.inputs] == ["alpha", "zeta"]
    assert {"s", "multiply"} <= {node.layer for node in live_model.read(Twice([a, b], add([a, b])), READERS)}
    assert_equal(TwiceInSequence([keras.Input((4,), name="x"), dense(2)]))
    x = keras.Input((4,), name="x")
    assert_equal(keras.Model(x, Twice(a, dense(2, "d")(a), name="inner")(x)))


def test_a_model_of_several_arguments():
    class Pair(keras.Model):
        def __init__(self):
            super().__init__(name="pair")
            self.one, self.two = dense(3, "one"), dense(3, "two")

        def build(self, left_shape, right_shape):
            self.one.build(left_shape)
            self.two.build(right_shape["x"])

        def call(self, left, right):
            return self.one(left) - self.two(right["x"])

    class Kept(Pair):
        """As most are written: then Keras keeps the shape of the first argument alone."""

        def build(self, shape):
            super().build(shape, {"x": shape})

    model = Pair()
    model(values(), {"x": values(seed=1)})
    snapshot = keras_hls.snapshot(model)
    assert [node.layer for node in snapshot.graph.inputs] == ["left", "right_x"]
    samples = [values(), values(seed=1)]
    assert np.array_equal(snapshot.predict(samples), model(samples[0], {"x": samples[1]}))
    assert np.array_equal(snapshot.predict(samples), reference(model, snapshot.graph)(samples)[0])
    model = Kept()
    model.build((None, 4))
    refused(
        model,
        r"^Model 'pair' takes left, right, and Keras has kept shapes of left alone; let its call take all of its inputs as one"
        " list or dict$",
        InvalidModel,
    )


@pytest.mark.parametrize(
    ("shape", "names"),
    [([(2, 4), (2, 4)], ["inputs_0", "inputs_1"]), ({"u": (2, 4), "t": [(2, 4)]}, ["t_0", "u"])],
)
def test_names_of_inputs_that_keras_has_no_names_for(shape, names):
    class Sum(keras.Model):
        def __init__(self):
            super().__init__()
            self.cuts = [quantizer(), quantizer()]

        def call(self, inputs):
            a, b = keras.tree.flatten(inputs)
            return self.cuts[0](a) - self.cuts[1](b)

    model = Sum()
    model(keras.tree.map_shape_structure(keras.ops.zeros, shape))
    snapshot = keras_hls.snapshot(model)
    assert [node.layer for node in snapshot.graph.inputs] == names
    samples = {name: values(seed=n) for n, name in enumerate(names)}
    got = snapshot.predict(samples)
    assert np.array_equal(got, reference(model, snapshot.graph)(samples)[0])
    assert got.any()


# -- names


class Repeats(keras.Model):
    """Layers of one name, and of those that operations and inputs have."""

    def __init__(self):
        super().__init__()
        self.last, self.first = dense(3, "add"), quantizer("d")
        self.other, self.entry = dense(3, "d"), quantizer("inputs")

    def call(self, inputs):
        x = self.other(self.first(inputs) + 0.5)
        return self.last(keras.layers.ReLU()(x + 0.25)), self.entry(inputs)


def test_names_of_layers_that_a_model_keeps_come_first():
    model = Repeats()
    model(values())
    names = [node.layer for node in live_model.read(model, READERS)]
    assert list(dict.fromkeys(names)) == ["inputs", "d", "add_1", "d_1", "add_2", "re_lu", "add", "inputs_1"]
    assert live_model.read(model, READERS).output_names == ("add", "inputs_1")


# -- Lambdas


def test_a_lambda_of_a_live_model(tmp_path):
    (x,) = inputs("x")
    y = keras.layers.Lambda(lambda v, by: keras.ops.concatenate([v * by, -v], -1), arguments={"by": 2.0}, name="own")(
        quantizer()(x)
    )
    model = keras.Model(x, dense(2, "d")(y))
    assert {"own/multiply", "own/negative", "own/concatenate"} <= {
        node.layer for node in live_model.read(model, READERS)
    }
    assert_equal(model)
    model.save(tmp_path / "model.keras")
    refused(tmp_path / "model.keras", "can't be loaded: .*(safe|unsafe|arbitrary)", InvalidModel)
