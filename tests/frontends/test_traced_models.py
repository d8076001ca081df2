"""Call methods of users' own: models, layers and Lambdas are traced, and are as they were before."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

keras = pytest.importorskip("keras")
pytest.importorskip("hgq")

from hgq.layers import QAdd

import keras_hls
from keras_hls.errors import InvalidModel
from keras_hls.frontends import live_model
from keras_hls.layers_ext import READERS, Ref, reads
from keras_hls.layers_ext.activation import ReLU
from keras_hls.project import reference

sys.path.insert(0, str(Path(__file__).parent))
from small_models import assert_equal, conf, dense, inputs, quantizer, refused, values

pytestmark = pytest.mark.keras3


@keras.saving.register_keras_serializable(package="traced")
class Block(keras.layers.Layer):
    """A layer made of layers, weights and operations."""

    def __init__(self, units=3, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.cut = quantizer("cut")
        self.core = dense(units, "core")
        self.drop = keras.layers.Dropout(0.5)

    def build(self, shape):
        start = keras.initializers.RandomUniform(-2, 2, seed=3)
        self.factor = self.add_weight(
            shape=(shape[-1],), initializer=lambda s, dtype: keras.ops.round(start(s) * 4) / 4
        )
        self.cut.build(shape)
        self.core.build(shape)
        super().build(shape)

    def call(self, x, training=None):
        if training:
            self.add_loss(keras.ops.sum(x))
        y = self.core(self.cut(self.factor * x + x * 0.5))
        return self.drop(keras.ops.relu(y), training=training)

    def get_config(self):
        return {**super().get_config(), "units": self.units}


@keras.saving.register_keras_serializable(package="traced")
class Net(keras.Model):
    """Takes a dict, gives a dict, and calls its layers as it likes."""

    def __init__(self, units=4, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.entry = {"a": dense(units, "a"), "b": dense(units, "b")}
        self.blocks = [Block(units, name=f"block{n}") for n in range(2)]
        self.inner = keras.Sequential([dense(units, "deep"), keras.layers.ReLU(name="cut")], name="inner")
        self.sum = QAdd(iq_confs=conf(), name="sum")
        self.head = keras.layers.Activation("softmax", name="head")
        self.out = quantizer("out")

    def call(self, inputs, training=None):
        a, b = self.entry["a"](inputs["left"]), self.entry["b"](inputs["right"])
        for block in self.blocks:
            a = block(a, training=training)
        total = self.sum([self.inner(a), self.inner(b)], training=training)
        rows = keras.ops.reshape(total, (keras.ops.shape(total)[0], 2, self.units // 2))
        return {"class": self.head(total), "rest": (self.out(rows)[:, ::-1], a)}

    def get_config(self):
        return {**super().get_config(), "units": self.units}


SAMPLES = {"left": values(), "right": values(seed=1)}


@pytest.fixture
def net():
    model = Net(name="net")
    model(SAMPLES)
    return model


def state(model):
    """All that a trace could change."""
    parts = list(model._flatten_layers())
    return (
        [np.array(keras.ops.convert_to_numpy(v)) for v in model.variables],
        [(id(part), part.name, part.built, sorted(vars(part))) for part in parts],
        [(id(part._inbound_nodes), len(part._inbound_nodes), len(part._outbound_nodes)) for part in parts],
        keras.layers.Dense(1).name.rsplit("_", 1)[0],
    )


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


# -- what can't be traced


def layer_of(call, **attributes):
    layer = type("Own", (keras.layers.Layer,), {"call": call, "compute_output_shape": lambda self, shape: shape})(
        name="own"
    )
    for name, value in attributes.items():
        setattr(layer, name, value)
    return layer


HELP = r"\. Write it with layers and keras\.ops on its input tensors, or register a reader of its class$"


@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (
            lambda self, x: x if x[0, 0] > 0 else -x,
            r"its call can't be traced: TypeError: .*KerasTensor.* boolean" + HELP,
        ),
        (lambda self, x: np.tanh(x), r"its call can't be traced: \w+: .*" + HELP),
        (lambda self, x: {}["key"], r"its call can't be traced: KeyError: 'key'" + HELP),
        (lambda self, x: keras.ops.ones((2, 4)), r"Own.call returns .*, which isn't computed from its input tensors$"),
        (lambda self, x: None, r"Own.call returns None, which isn't computed from its input tensors$"),
        (
            lambda self, x: keras.layers.Dense(4, name="new")(x),
            r"Own.call calls layer 'new', which has weights and isn't kept in an attribute of 'own', so Keras neither trains nor"
            " saves it; make it one$",
        ),
        (
            lambda self, x: self.later(x),
            r"its layer 'later' isn't built, so it has no weights yet; call the model once on data$",
        ),
    ],
)
def test_what_can_not_be_traced_is_refused(call, reason):
    (x,) = inputs("x")
    layer = layer_of(call, later=keras.layers.Dense(4, name="later"))
    layer.built = True
    model = keras.Model(x, keras.layers.ReLU()(layer(quantizer()(x))))
    before = state(model)[1:]
    error = refused(model, rf"^1 layer can't be exported: 'own' \(.*Own\): {reason}")
    assert "\n" not in str(error)
    assert state(model)[1:] == before


def test_a_tensor_from_outside_is_refused():
    (x,) = inputs("x")
    cut = quantizer()(x)
    layer = layer_of(lambda self, v: v + cut)
    refused(keras.Model(x, layer(cut)), r"'own' .*: it takes tensor '.*', which isn't computed from its inputs$")


def test_untraceable_models_are_refused():
    class Own(keras.Model):
        def call(self, x):
            return x if x.shape[0] == 20 else keras.ops.sort(x)[0 / 0]

    model = Own(name="net")
    refused(model, "^Model 'net' isn't built: its shapes are unknown. Call it once, or fit it$", InvalidModel)
    model(values())
    refused(
        model,
        r"^Model 'net' \(.*Own\) can't be read: its call can't be traced: ZeroDivisionError: division by zero\. Write it",
        InvalidModel,
    )
    assert not keras_hls.check(model).ok


def test_a_model_whose_layers_have_no_weights_yet_is_refused():
    class Own(keras.Model):
        def __init__(self):
            super().__init__(name="net")
            self.d = dense(3, "d")

        def call(self, x):
            return self.d(x)

    model = Own()
    with pytest.warns(UserWarning, match="does not have a `build"):
        model.build((None, 4))
    refused(
        model,
        "^Model 'net' .* can't be read: its layer 'd' isn't built, so it has no weights yet; call the",
        InvalidModel,
    )
    assert not model.d.built
    model(values())
    assert np.array_equal(keras_hls.snapshot(model).predict(values()), model(values()))


def test_dimensions_of_subclassed_models_must_be_known():
    class Own(keras.Model):
        def call(self, x):
            return keras.ops.relu(x)

    model = Own(name="net")
    model.build((None, None, 4))
    refused(
        model, r"^Input 'x' of model 'net' has shape \(None, None, 4\): every dimension but the first", InvalidModel
    )


def test_layers_of_another_precision_are_not_traced():
    (x,) = inputs("x")
    layer = Block(3, name="block", dtype="mixed_bfloat16")
    refused(
        keras.Model(x, layer(quantizer()(x))), r"'block' .*: it computes in bfloat16, and only float32 can be exported"
    )


def test_a_model_that_does_something_else_each_time_is_found_out():
    class Own(keras.Model):
        def __init__(self):
            super().__init__(name="net")
            self.cut, self.calls = quantizer(), 0

        def call(self, x):
            self.calls += 1
            return keras.ops.softmax(self.cut(x) * self.calls)

    model = Own()
    model(values())
    snapshot = keras_hls.snapshot(model)
    with pytest.raises(
        InvalidModel, match=r"^Model 'net' doesn't answer as its traced call method does; its call must do the"
    ):
        reference(model, snapshot.graph)(values())


# -- readers of users' own


class Doubled(keras.layers.Layer):
    """With a call that nobody could trace."""

    def call(self, x):
        return keras.ops.convert_to_tensor(keras.ops.convert_to_numpy(x)) * 2

    def compute_output_spec(self, x):
        return keras.KerasTensor(x.shape)


def test_a_layer_with_a_reader_is_not_traced():
    path = f"{Doubled.__module__}.Doubled"

    @reads(path)
    def read(layer, build, x: Ref) -> Ref:
        return build.add(ReLU(), x, name=layer.name, layer=layer.name)

    try:
        (x,) = inputs("x")
        model = keras.Model(x, keras.layers.Softmax(name="s")(Doubled(name="own")(quantizer()(x))))
        snapshot = keras_hls.snapshot(model)
        assert "own" in [node.layer for node in live_model.read(model, READERS)]
        # What Keras answers comes from the layer itself.
        wanted = 2 * np.asarray(keras.Model(x, model.layers[1].output)(values()))
        assert np.array_equal(reference(model, snapshot.graph)(values())[0], wanted)
    finally:
        del READERS[path]
