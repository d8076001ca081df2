"""The walk over Keras 3 models: names and order, and models from files."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

keras = pytest.importorskip("keras")
pytest.importorskip("hgq")

from hgq.layers import QBatchNormDense

import keras_hls
from keras_hls.errors import InvalidData, InvalidModel
from keras_hls.frontends.keras3 import live_model
from keras_hls.graph import Input
from keras_hls.layers_ext import READERS

sys.path.insert(0, str(Path(__file__).parent))
from small_models import assert_equal, dense, inputs, keras_answers, quantizer, refused, values

pytestmark = pytest.mark.keras3


# -- names and order


def test_inputs_and_outputs_keep_the_models_order():
    a, b, c = inputs("zeta", "alpha", "mid")
    outs = [dense(2, "w")(b), dense(3, "v")(c), dense(1, "u")(a)]
    model = keras.Model([a, b, c], outs)
    snapshot = assert_equal(model)
    assert [node.layer for node in snapshot.graph.inputs] == ["zeta", "alpha", "mid"]
    assert snapshot.graph.output_names == ("w", "v", "u")
    x = [values(seed=n) for n in range(3)]
    by_name = snapshot.predict({"mid": x[2], "zeta": x[0], "alpha": x[1]})
    assert all(np.array_equal(p, q) for p, q in zip(by_name, snapshot.predict(x)))
    with pytest.raises(InvalidData, match=r"^Samples must be given for inputs zeta, alpha, mid, not mid, zeta$"):
        snapshot.predict({"mid": x[2], "zeta": x[0]})


@pytest.mark.filterwarnings("ignore:When providing `inputs` as a dict")
def test_dicts_of_inputs_and_outputs(tmp_path):
    # Keras sorts their keys, and takes samples only as a dict if that changes the order.
    a, b = inputs("first", "second")
    model = keras.Model({"z": a, "y": b}, {"p": dense(2, "one")(a), "o": dense(3, "two")(b)})
    project = keras_hls.export_hls(model, tmp_path / "net", verify=[values(), values(seed=1)])
    assert [node.layer for node in project.graph.inputs] == ["second", "first"]
    assert project.graph.output_names == ("two", "one")
    assert project.verify({"first": values(), "second": values(seed=1)}).keras_different == 0


def test_duplicate_outputs(tmp_path):
    (x,) = inputs("x")
    y = dense(3, "d")(x)
    model = keras.Model(x, [y, keras.layers.ReLU(name="r")(y), y, y])
    snapshot = assert_equal(model)
    assert snapshot.graph.output_names == ("d", "r", "d_1", "d_2")
    project = snapshot.export(tmp_path / "net", model=model)
    assert all(np.array_equal(a, b) for a, b in zip(project.predict(values()), project.emulate(values())))


def test_the_output_of_a_call_not_of_a_layer():
    x, y = inputs("x", "y")
    shared = dense(4, "shared")
    once, twice = shared(x), shared(shared(y))
    snapshot = assert_equal(keras.Model([x, y], [twice, once]))
    assert snapshot.graph.output_names == ("shared", "shared_1")
    assert sum(node.layer == "shared" and "iq" not in node.name for node in snapshot.graph) == 3


UNKNOWN = "reads it without a quantizer, so its precision is unknown; pass calibration=samples or precision="


def test_an_input_that_is_an_output_needs_a_quantizer():
    (x,) = inputs("x")
    model = keras.Model(x, [dense(2)(x), x])
    refused(
        model,
        rf"^1 layer can't be exported: 'x' \(input\): an output {UNKNOWN}.*, or put a Quantizer layer behind the input$",
    )
    assert_equal(keras.Model(x, [quantizer()(x), quantizer()(x)]))


def test_an_input_that_only_wiring_makes_an_output_needs_a_quantizer():
    (x,) = inputs("x")
    model = keras.Model(x, [keras.layers.Reshape((2, 2), name="fold")(x), dense(2)(x)])
    refused(model, rf"'x' \(input\): (an output|'fold') {UNKNOWN}")


def test_every_input_without_a_quantizer_is_named():
    a, b, c = inputs("a", "b", "c")
    model = keras.Model([a, b, c], [keras.layers.ReLU(name="r")(a), keras.layers.Add(name="s")([b, quantizer()(c)])])
    error = refused(model, "^2 layers can't be exported: 'a' .*'r' reads it .*; 'b' .*'s' reads it")
    assert len(error.problems) == 2


def test_an_input_that_nobody_reads_is_a_port_still(tmp_path):
    used, unused = inputs("used", "unused")
    model = keras.Model([unused, used], dense(2)(used))
    snapshot = assert_equal(model)
    assert [node.layer for node in snapshot.graph.inputs] == ["unused", "used"]
    snapshot.export(tmp_path / "net", model=model)


def test_dead_branches_are_no_matter():
    (x,) = inputs("x")
    y = dense(3, "d")(x)
    keras.layers.LSTM(2, name="beside")(keras.layers.Reshape((1, 3))(y))
    snapshot = assert_equal(keras.Model(x, y))
    assert {node.layer for node in snapshot.graph} == {"x", "d"}


def test_a_part_of_a_larger_model():
    (x,) = inputs("x")
    hidden = dense(3, "hidden")(x)
    keras.Model(x, dense(2, "rest")(hidden))
    assert {node.layer for node in assert_equal(keras.Model(x, hidden)).graph} == {"x", "hidden"}
    # And from the middle on.
    tail = keras.Model(hidden, dense(2, "tail")(hidden))
    assert_equal(tail, [values(shape=(3,))])


def test_a_fixed_batch_size(tmp_path):
    x = keras.Input(batch_shape=(5, 4), name="x")
    project = keras_hls.export_hls(keras.Model(x, dense(2)(x)), tmp_path / "net", verify=values(50))
    assert project.predict(values(7)).shape == (7, 2)


def test_samples_of_no_dimension():
    x = keras.Input((), name="x")
    assert_equal(keras.Model(x, [quantizer()(x), keras.layers.Flatten()(quantizer()(x))]), [values(shape=())])


def test_sequential_and_functional_are_the_same():
    sequential = keras.Sequential([keras.Input((4,), name="x"), dense(3, "a", activation="relu"), dense(2, "b")])
    x = keras.Input((4,), name="x")
    functional = keras.Model(x, dense(2, "b")(dense(3, "a", activation="relu")(x)))
    functional.set_weights(sequential.get_weights())
    one, two = keras_hls.snapshot(sequential), keras_hls.snapshot(functional)
    assert not one.diff(two), str(one.diff(two))
    assert [n.name for n in one.graph] == [n.name for n in two.graph]
    assert_equal(sequential)


def test_a_sequential_model_that_was_built_by_a_call():
    model = keras.Sequential([dense(3), dense(2)])
    model(values())
    assert_equal(model)


# -- deep ones


def test_a_deep_model_needs_no_recursion(tmp_path):
    (x,) = inputs("x")
    y = quantizer()(x)
    for n in range(300):
        if n % 25 == 0:
            y = dense(4)(y)
        elif n % 4 == 0:
            y = keras.layers.Add()([y, y])
        else:
            y = keras.layers.Reshape((2, 2) if len(y.shape) == 2 else (4,))(y) if n % 2 else keras.layers.ReLU()(y)
            y = keras.layers.Flatten()(y) if n % 25 == 24 else y
    model = keras.Model(x, y)
    project = keras_hls.export_hls(model, tmp_path / "net", verify=False)
    assert len(model.layers) > 300
    assert len(project.graph) > 200
    assert np.array_equal(project.emulate(values()), keras_answers(model, [values()])[0])
    assert len(project.estimate.layers) > 50


# -- files


@pytest.fixture
def saved(tmp_path):
    model = keras.Sequential(
        [
            keras.Input((4,), name="x"),
            dense(6, "a", activation="relu"),
            dense(5, "b", cls=QBatchNormDense),
            keras.layers.Dropout(0.2),
            quantizer("c"),
            keras.layers.Activation("softmax", name="d"),
        ],
        name="net",
    )
    rng = np.random.default_rng(0)
    model.get_layer("b").moving_mean.assign(rng.normal(size=6))
    model.get_layer("b").moving_variance.assign(rng.uniform(0.5, 2, 6))
    path = tmp_path / "model.keras"
    model.save(path)
    return model, path


def test_a_saved_model_is_the_same_model(saved, tmp_path):
    model, path = saved
    assert not keras_hls.snapshot(model).diff(keras_hls.snapshot(path))
    project = keras_hls.export_hls(str(path), tmp_path / "net", verify=values(100))
    assert np.array_equal(project.predict(values()), keras_hls.snapshot(model).predict(values()))
    assert project.verify(values(), model=model).keras_different == 0
    assert keras_hls.estimate(path).to_dict() == keras_hls.estimate(model).to_dict()
    assert keras_hls.check(path).ok


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("none.keras", None, r"^There is no model file '.*none.keras'$"),
        ("old.h5", b"", r"^Model file must be a \.keras, \.h5 or \.json file of Keras, not 'old\.h5'$"),
        ("text.keras", b"no model", r"^Model file '.*text.keras' can't be loaded: "),
    ],
)
def test_files_that_are_no_models_are_refused(tmp_path, name, content, sentence):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    refused(tmp_path / name, sentence, InvalidModel)
    assert not keras_hls.check(tmp_path / name).ok


def test_code_in_a_file_is_never_run(tmp_path):
    (x,) = inputs("x")
    model = keras.Model(x, keras.layers.Lambda(lambda v: v)(x))
    model.save(tmp_path / "model.keras")
    refused(tmp_path / "model.keras", "can't be loaded: .*(safe|unsafe|arbitrary)", InvalidModel)


# -- the walk's own promises


def test_reading_changes_nothing(saved):
    model, _ = saved
    before = [np.array(v) for v in model.variables]
    config, nodes = model.to_json(), [len(layer._inbound_nodes) for layer in model.layers]
    snapshot = keras_hls.snapshot(model)
    snapshot.predict(values())
    assert all(np.array_equal(a, v) for a, v in zip(before, model.variables))
    assert (config, nodes) == (model.to_json(), [len(layer._inbound_nodes) for layer in model.layers])


@pytest.mark.parametrize("make", [keras.layers.Dense, dense])
def test_a_reference_follows_the_weights(make):
    """A callback asks for it once, and then in every epoch."""
    x = keras.Input((4,))
    model = keras.Model(x, make(3, name="d", activation="softmax")(quantizer("q")(x)))
    kernel = model.get_layer("d").kernel
    for before in (True, False):
        answer = live_model.reference(model, [before])
        first = answer([values()])[0]
        kernel.assign(-kernel)
        second = answer([values()])[0]
        assert np.array_equal(second, live_model.reference(model, [before])([values()])[0])
        assert not np.array_equal(first, second)


def test_the_raw_graph_has_a_node_for_every_call():
    (x,) = inputs("x")
    y = dense(3, "d", activation="relu")(x)
    graph = live_model.read(keras.Model(x, keras.layers.Activation("linear", name="same")(y)), READERS)
    assert [(n.name, type(n.op).__name__, n.inputs, n.layer) for n in graph] == [
        ("x", "Input", (), "x"),
        ("d_iq", "Quantize", ("x",), "d"),
        ("d", "Dense", ("d_iq",), "d"),
        ("d_relu", "ReLU", ("d",), "d"),
    ]
    assert isinstance(graph["x"].op, Input)
    assert (graph.outputs, graph.output_names) == (("d_relu",), ("same",))
