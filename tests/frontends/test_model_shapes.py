"""Models in all shapes: nested, shared, of several inputs and outputs, deep; they become what Keras computes, bit for bit."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

keras = pytest.importorskip("keras")
pytest.importorskip("hgq")

from hgq.layers import QAdd, QBatchNormDense, QDense

import keras_hls
from keras_hls.errors import InvalidModel
from keras_hls.frontends.keras3 import live_model
from keras_hls.layers_ext import READERS
from keras_hls.layers_ext.dense import Dense
from keras_hls.layers_ext.merge import Add
from keras_hls.project import reference

sys.path.insert(0, str(Path(__file__).parent))
from small_models import assert_equal, conf, dense, inputs, quantizer, refused, values

pytestmark = pytest.mark.keras3


def layers_of(snapshot):
    return list(dict.fromkeys(node.layer for node in snapshot.graph))


# -- models inside of models


@pytest.mark.parametrize("kind", ["sequential", "functional"])
def test_a_nested_model_is_its_layers(kind):
    inner = keras.Sequential([keras.Input((4,)), dense(3, "a", activation="relu"), dense(2, "b")], name="inner")
    if kind == "functional":
        inner = keras.Model(inner.inputs[0], inner.outputs[0], name="inner")
    (x,) = inputs("x")
    snapshot = assert_equal(keras.Model(x, dense(2, "last")(inner(x))))
    assert layers_of(snapshot) == ["x", "inner/a", "inner/b", "last"]
    assert all(node.name.isidentifier() for node in snapshot.graph)
    # The same as its layers one by one.
    y = x
    for layer in inner.layers:
        y = y if isinstance(layer, keras.layers.InputLayer) else layer(y)
    flat = keras_hls.snapshot(keras.Model(x, y))
    assert [type(node.op) for node in flat.graph] == [type(node.op) for node in snapshot.graph][: len(flat.graph)]


def test_models_nested_to_any_depth():
    model = keras.Sequential([keras.Input((4,)), dense(4, "core")], name="level0")
    for level in range(1, 12):
        x = keras.Input((4,))
        model = keras.Model(
            x, keras.layers.ReLU(name="cut")(QAdd(iq_confs=conf())([model(x), x])), name=f"level{level}"
        )
    (x,) = inputs("x")
    snapshot = assert_equal(keras.Model(x, model(x)))
    path = "/".join(f"level{level}" for level in range(11, -1, -1))
    assert f"{path}/core" in layers_of(snapshot)


def two_by_two(name="pair"):
    """A model of two inputs and three outputs, one of them an input, in an order of its own."""
    a, b = inputs("first", "second")
    hidden = dense(4, "hidden")(b)
    return keras.Model([a, b], [dense(3, "low")(hidden), b, QAdd(iq_confs=conf(), name="sum")([hidden, a])], name=name)


def test_a_nested_model_of_several_inputs_and_outputs_called_twice():
    pair = two_by_two()
    x, y = inputs("x", "y")
    low, same, total = pair([x, y])
    low2, same2, _ = pair([total, same])
    model = keras.Model([x, y], [low2, quantizer()(same2), low, pair([y, x])[2]])
    snapshot = assert_equal(model)
    assert [node.layer for node in snapshot.graph.inputs] == ["x", "y"]
    assert snapshot.graph.output_names == ("pair", model.outputs[1]._keras_history.operation.name, "pair_1", "pair_2")
    # Of the three calls, one sum is needed, two low layers and all hidden ones.
    found = [(node.layer, type(node.op)) for node in live_model.read(model, READERS)]
    parts = (("pair/sum", Add), ("pair/low", Dense), ("pair/hidden", Dense))
    assert [found.count(part) for part in parts] == [1, 2, 3]


def test_a_nested_model_takes_dicts():
    a, b = inputs("zeta", "alpha")
    inner = keras.Model({"zeta": a, "alpha": b}, {"up": dense(2, "u")(a), "down": dense(3, "d")(b)}, name="inner")
    x, y = inputs("x", "y")
    out = inner({"zeta": x, "alpha": y})
    assert_equal(keras.Model([x, y], [out["up"], out["down"]]))
    # By name to a model that takes a list: Keras puts them in its order.
    listed = keras.Model([a, b], dense(2, "m")(QAdd(iq_confs=[conf(f=1), conf(f=4)])([a, b])), name="listed")
    assert_equal(keras.Model([x, y], listed({"alpha": y, "zeta": x})))


def test_only_what_is_needed_of_a_nested_model_is_read():
    a = keras.Input((4,))
    memory = keras.layers.LSTM(2, name="memory")(keras.layers.Reshape((2, 2))(a))
    inner = keras.Model(a, [memory, dense(3, "d")(a)], name="inner")
    (x,) = inputs("x")
    assert layers_of(assert_equal(keras.Model(x, inner(x)[1]))) == ["x", "inner/d"]
    refused(
        keras.Model(x, inner(x)), r"^1 layer can't be exported: 'inner/memory' \(keras.layers.LSTM\): no op reads this"
    )


def test_a_nested_model_for_any_size_gets_that_of_its_call():
    a = keras.Input((None, 4), name="rows")
    inner = keras.Model(a, keras.layers.ReLU(name="r")(a * 0.5 - 0.25), name="inner")
    x, y = keras.Input((2, 4), name="x"), keras.Input((5, 4), name="y")
    model = keras.Model([x, y], [inner(quantizer()(x)), keras.layers.Flatten()(inner(quantizer()(y)))])
    snapshot = assert_equal(model)
    assert [snapshot.graph.types[name].shape for name in snapshot.graph.outputs] == [(2, 4), (20,)]
    assert "inner/r" in layers_of(snapshot)
    refused(
        inner,
        r"^Input 'rows' of model 'inner' has shape \(None, None, 4\): every dimension but the first",
        InvalidModel,
    )


def test_a_nested_model_that_adds_an_axis_to_what_it_is_called_with():
    a = keras.Input((4, 1), name="column")
    inner = keras.Model(a, dense(3, "d")(a), name="inner")
    x = keras.Input((4,), name="x")
    snapshot = assert_equal(keras.Model(x, inner(quantizer()(x))))
    assert snapshot.graph.types[snapshot.graph.outputs[0]].shape == (4, 3)


def test_how_a_nested_model_is_called():
    inner = keras.Sequential([keras.Input((4,)), dense(3)], name="inner")
    (x,) = inputs("x")
    assert_equal(keras.Model(x, inner(x, training=False)))
    refused(
        keras.Model(x, inner(x, training=True)),
        r"^1 layer can't be exported: 'inner' \(keras.models.Sequential\): it is called with \{'training': True\}, which no"
        " reader takes account of; call it with tensors only$",
    )
    mask = keras.Input((4,), name="mask")
    refused(
        keras.Model([x, mask], inner(x, mask=mask)), "'inner' .*: it is called with .*mask.*, which no reader takes"
    )


def test_masks_that_come_with_tensors_are_refused():
    x = keras.Input((3,), name="x")
    masked = keras.layers.Embedding(8, 4, mask_zero=True, name="table")(x)
    inner = keras.Sequential([keras.Input((3, 4)), keras.layers.ReLU()], name="inner")
    skip = keras.layers.Lambda(lambda v: v * 2, name="own")(masked)
    error = refused(
        keras.Model(x, [inner(masked), keras.layers.Softmax(name="s")(masked), skip]), "^5 layers can't be exported"
    )
    comes = "it is called with a mask, which no reader takes account of; call it without one"
    assert error.problems[2:] == (
        f"'inner' (keras.models.Sequential): {comes}",
        f"'s' (keras.layers.Softmax): {comes}",
        f"'own' (keras.layers.Lambda): {comes}",
    )


def test_inputs_of_nested_models_of_another_precision_are_refused():
    inner = keras.Sequential(
        [keras.Input((4,), dtype="int32", name="whole"), keras.layers.Reshape((2, 2))], name="inner"
    )
    (x,) = inputs("x")
    refused(
        keras.Model(x, inner(quantizer()(x))),
        r"'inner' .*: its input 'whole' takes int32, and only dense float32 can be",
    )


def test_a_function_as_an_operation():
    a, b = keras.KerasTensor((None, 4)), keras.KerasTensor((None, 4))
    function = keras.Function([a, b], keras.ops.relu(a - b * 2), name="mine")
    x, y = inputs("x", "y")
    snapshot = assert_equal(keras.Model([x, y], function([quantizer()(x), quantizer()(y)])))
    assert any(layer.startswith("mine/") for layer in layers_of(snapshot))


# -- shared layers


def test_calls_of_a_shared_layer_share_its_weights():
    x, y = inputs("x", "y")
    shared = QDense(4, kq_conf=conf(place="weight"), bq_conf=conf(place="bias"), iq_conf=conf(), name="shared")
    inner = keras.Sequential([keras.Input((4,)), shared], name="inner")
    model = keras.Model([x, y], [shared(x), inner(shared(y))])
    nodes = [node for node in live_model.read(model, READERS) if isinstance(node.op, Dense)]
    assert [node.layer for node in nodes] == ["shared", "shared", "inner/shared"]
    assert len({id(node.op.kernel) for node in nodes}) == len({id(node.op.bias) for node in nodes}) == 1
    assert_equal(model)


def test_a_shared_layer_for_inputs_of_several_shapes():
    x, y = keras.Input((5, 4), name="x"), keras.Input((3, 4), name="y")
    shared = dense(2, "shared")
    assert_equal(keras.Model([y, x], [shared(x), shared(y)]))


def test_options_of_a_shared_layer_hold_for_all_calls(tmp_path):
    x, y = inputs("x", "y")
    inner = keras.Sequential([keras.Input((4,)), dense(4, "d")], name="inner")
    model = keras.Model([x, y], [inner(x), inner(inner(y))])
    options = {"strategy": "Resource", "reuse_factor": 2}
    project = keras_hls.export_hls(
        model, tmp_path / "net", layers={"inner/d": options}, verify=[values(), values(seed=1)]
    )
    assert project.verification.keras_different == project.verification.csim_different == 0


# -- renaming


def test_renaming_changes_nothing():
    def build(rename):
        inner = keras.Sequential([keras.Input((4,)), dense(3, rename("a"))], name=rename("inner"))
        x = keras.Input((4,), name=rename("x"))
        return keras.Model(x, [inner(x), dense(2, rename("b"))(inner(x))], name=rename("net"))

    plain, renamed = build(lambda name: name), build(lambda name: f"{name} {name}!")
    renamed.set_weights(plain.get_weights())
    one, two = (keras_hls.snapshot(model).graph for model in (plain, renamed))
    assert [type(node.op) for node in one] == [type(node.op) for node in two]
    places = [{node.name: i for i, node in enumerate(graph)} for graph in (one, two)]
    assert [[places[0][n] for n in node.inputs] for node in one] == [
        [places[1][n] for n in node.inputs] for node in two
    ]
    assert all(
        np.array_equal(a, b) for a, b in zip(*(keras_hls.snapshot(m).predict(values()) for m in (plain, renamed)))
    )


# -- structures


@pytest.mark.filterwarnings("ignore:When providing `inputs` as a dict")
def test_nested_structures_of_inputs_and_outputs(tmp_path):
    a, b, c = inputs("a", "b", "c")
    outputs = {"q": [dense(2, "l")(c), dense(3, "m")(a)], "p": (dense(1, "n")(b),)}
    model = keras.Model({"two": [c, a], "one": {"b": b}}, outputs)
    snapshot = assert_equal(model)
    assert [node.layer for node in snapshot.graph.inputs] == ["b", "c", "a"]
    assert snapshot.graph.output_names == ("n", "l", "m")
    x = {name: values(seed=n) for n, name in enumerate("abc")}
    project = snapshot.export(tmp_path / "net", model=model, verify=x)
    assert project.verification.keras_different == project.verification.csim_different == 0


def test_one_tensor_in_a_list_or_a_dict():
    (x,) = inputs("x")
    for given in ([x], {"x": x}):
        snapshot = assert_equal(keras.Model(given, [dense(2)(x)]))
        assert np.array_equal(snapshot.predict({"x": values()}), snapshot.predict([values()]))


# -- a softmax at an output, wherever it stands


def test_a_softmax_inside_a_nested_model_is_left_to_the_host():
    inner = keras.Sequential([keras.Input((4,)), dense(3, "a"), keras.layers.Dropout(0.5)], name="inner")
    head = keras.Sequential(
        [keras.Input((3,)), dense(3, "b", activation="softmax"), keras.layers.Dropout(0.5)], name="head"
    )
    x, y = inputs("x", "y")
    hidden = inner(x)
    model = keras.Model([x, y], [head(hidden), dense(2, "c")(y), keras.ops.softmax(hidden), hidden])
    snapshot = keras_hls.snapshot(model)
    assert snapshot.graph.host == ("softmax", "", "softmax", "")
    samples = [values(), values(seed=1)]
    wanted = reference(model, snapshot.graph)(samples)
    assert all(np.array_equal(mine, theirs) for mine, theirs in zip(snapshot.predict(samples), wanted, strict=True))
    # They are what the model's own answers are made of.
    own = model(samples, training=False)
    for i in range(4):
        answer = keras.ops.softmax(wanted[i]) if snapshot.graph.host[i] else wanted[i]
        assert np.allclose(answer, own[i], atol=1e-6)


def test_an_output_and_the_softmax_of_it():
    (x,) = inputs("x")
    layer = dense(3, "d", activation="softmax")
    model = keras.Model(x, [layer(x), quantizer(i=1, f=6)(layer(x))])
    snapshot = keras_hls.snapshot(model, softmax="hardware")
    assert snapshot.graph.host in ((), ("", ""))
    host = keras_hls.snapshot(keras.Model(x, [layer(x), dense(2)(x)]))
    assert np.array_equal(
        host.predict(values())[0], reference(keras.Model(x, [layer(x), dense(2)(x)]), host.graph)(values())[0]
    )


# -- deep ones


def test_a_chain_of_2000_layers_needs_no_recursion():
    old = sys.getrecursionlimit()
    sys.setrecursionlimit(30000)
    try:
        (x,) = inputs("x")
        y = x
        for n in range(2000):
            # A long piece of wiring first, behind which the input's type is found.
            wiring = n < 500 or n % 3
            y = keras.layers.Reshape((2, 2) if n % 2 else (4,))(y) if wiring else keras.layers.ReLU()(y)
            y = quantizer()(y) if n == 500 else y
        model = keras.Model(x, y)
    finally:
        sys.setrecursionlimit(old)
    snapshot = keras_hls.snapshot(model)
    samples = values(3)
    # Keras itself can only run it with a high limit.
    wanted = np.clip(np.floor(np.maximum(samples, 0) * 8 + 0.5) / 8, 0, 4 - 1 / 8)
    assert np.array_equal(snapshot.predict(samples).reshape(3, 4), wanted)
    assert len(live_model.layer_outputs(model, READERS)([samples])) == 2001


def test_a_residual_network_of_two_inputs_and_outputs_saved_and_loaded(tmp_path):
    x, y = inputs("image", "extra")
    block = keras.Sequential([keras.Input((4,)), dense(4, "one", cls=QBatchNormDense, activation="relu")], name="block")
    z = QAdd(iq_confs=conf())([block(x), dense(4, "entry")(y)])
    z = QAdd(iq_confs=conf())([z, block(z)])
    model = keras.Model([x, y], [dense(3, "class", activation="softmax")(z), dense(1, "value")(z)])
    rng = np.random.default_rng(0)
    block.get_layer("one").moving_mean.assign(rng.normal(size=4))
    block.get_layer("one").moving_variance.assign(rng.uniform(0.5, 2, 4))
    model.save(tmp_path / "model.keras")
    samples = {"image": values(200), "extra": values(200, seed=1)}
    project = keras_hls.export_hls(tmp_path / "model.keras", tmp_path / "net", verify=samples)
    assert project.verification.keras_different == project.verification.csim_different == 0
    assert not keras_hls.snapshot(model).diff(keras_hls.snapshot(tmp_path / "model.keras"))
    assert project.graph.output_names == ("class", "value")
