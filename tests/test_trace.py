"""Every layer's answers side by side: they are what they are said to be, and a wrong layer is found and named."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import keras_hls
from keras_hls.errors import HLSError, HLSWarning, InvalidData, InvalidModel, VerificationError
from keras_hls.fixed import Fixed, TensorType
from keras_hls.layer_traces import LayerTrace
from keras_hls.layers_ext.dense import Dense
from keras_hls.project import Project

keras = pytest.importorskip("keras")
pytest.importorskip("hgq")

from hgq.layers import QAdd, QConv2D

sys.path.insert(0, str(Path(__file__).parent / "frontends"))
from small_models import conf, dense, inputs, quantizer, values

pytestmark = pytest.mark.keras3

L = keras.layers


def mixed():
    """A shared layer, a nested model, two inputs and two outputs of which one has its softmax left to the host."""
    x, y = inputs("x", "y")
    shared = dense(4, "shared", activation="relu")
    block = keras.Sequential([keras.Input((4,)), dense(5, "one", activation="tanh"), dense(4, "two")], name="block")
    total = QAdd(iq_confs=conf(), name="total")([shared(x), block(shared(y))])
    return keras.Model([x, y], [dense(3, "class", activation="softmax")(total), L.Dropout(0.5, name="drop")(total)])


NAMES = ["shared", "shared#2", "block/one", "block/two", "total", "class", "drop"]


def samples(count=60):
    return {"x": values(count), "y": values(count, seed=1)}


def tree(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def model():
    return mixed()


@pytest.fixture(scope="module")
def project(model, tmp_path_factory):
    return keras_hls.export_hls(model, tmp_path_factory.mktemp("trace") / "net", verify=samples())


# -- what it holds


def test_every_layer_is_there_three_times(model, project):
    before = tree(project.directory)
    trace = project.trace(samples())
    assert list(trace) == sorted(trace, key=NAMES.index) and set(trace) == set(NAMES)
    assert trace.samples == 60
    for name, layer in trace.items():
        assert layer.layer == name
        assert layer.emulator.dtype == layer.csim.dtype == np.float64
        assert layer.emulator.shape == layer.csim.shape == layer.keras.shape == (60, *layer.shape)
        assert np.array_equal(layer.emulator, layer.csim)
        if name != "block/one":
            assert np.array_equal(layer.emulator, layer.keras)
        (low, high), (least, most) = layer.range, layer.observed
        assert low <= least <= most <= high
        assert (least, most) == (layer.emulator.min(), layer.emulator.max())
        assert Fixed.parse(layer.type).width == layer.kind.hull.width
    assert tree(project.directory) == before, "the project stays as it is"


def test_keras_answers_are_those_of_its_layers(model, project):
    trace, x = project.trace(samples()), samples()
    shared, block = model.get_layer("shared"), model.get_layer("block")
    second = shared(x["y"])
    for name, wanted in {
        "shared": shared(x["x"]),
        "shared#2": second,
        "block/one": block.layers[0](second),
        "block/two": block(second),
        "total": model([x["x"], x["y"]])[1],
        "drop": model([x["x"], x["y"]])[1],
    }.items():
        assert np.array_equal(trace[name].keras, keras.ops.convert_to_numpy(wanted)), name


def test_what_a_next_layer_casts_is_seen_as_it_reads_it(project):
    layer = project.trace(samples())["block/one"]
    assert layer.note == "as read"
    # A tanh, to three fractional bits.
    assert np.array_equal(layer.emulator, np.clip(np.floor(layer.keras * 8 + 0.5) / 8, -4, 4 - 1 / 8))
    assert (layer.difference.keras_different, layer.difference.name) == (0, "block/one (as read)")


@pytest.mark.parametrize("softmax", ["host", "hardware"])
def test_softmax(softmax, tmp_path):
    x = keras.Input((4,), name="x")
    made = keras.Model(x, L.Softmax(name="s")(dense(3, "d")(x)))
    project = keras_hls.export_hls(made, tmp_path / "net", verify=values(), softmax=softmax)
    trace = project.trace(values())
    assert project.compare(values()).ok
    if softmax == "host":
        assert trace["s"].note == "before softmax"
        assert np.array_equal(trace["s"].keras, trace["d"].keras)
    else:
        assert trace["s"].note == ""
        assert np.array_equal(trace["s"].keras, made(values()))
        assert 0 < trace["s"].difference.keras_largest < 1e-4


def test_a_loaded_project_needs_no_keras(project):
    code = (
        "import sys, json, numpy as np, keras_hls\n"
        "x = {k: np.array(v, 'float32') for k, v in json.loads(sys.argv[2]).items()}\n"
        "project = keras_hls.load(sys.argv[1])\n"
        "trace = project.trace(x)\n"
        "assert all(layer.keras is None for layer in trace.values())\n"
        'assert project.compare(x).ok and "Keras wasn\'t asked." in str(project.compare(x))\n'
        "assert not {'keras', 'tensorflow', 'jax', 'torch', 'hgq'} & set(sys.modules), 'Keras was imported'\n"
        "print(json.dumps({name: layer.csim.tolist() for name, layer in trace.items()}))"
    )
    x = samples(3)
    done = subprocess.run(
        [sys.executable, "-c", code, str(project.directory), json.dumps({k: v.tolist() for k, v in x.items()})],
        env=dict(os.environ),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    trace = project.trace(x)
    assert json.loads(done.stdout) == {name: layer.csim.tolist() for name, layer in trace.items()}


def test_a_snapshot_has_no_c_simulation(model):
    snapshot = keras_hls.snapshot(model)
    alone, beside = snapshot.trace(samples()), snapshot.trace(samples(), model=model)
    for name in NAMES:
        assert alone[name].csim is beside[name].csim is alone[name].keras is None
        assert np.array_equal(alone[name].emulator, beside[name].emulator)
        assert beside[name].difference.unexplained == beside[name].difference.keras_different == 0


def test_large_batches_are_run_in_pieces(model, project, monkeypatch):
    import keras_hls.tracer as module

    whole, compared = project.trace(samples(20)), project.compare(samples(20))
    monkeypatch.setattr(module, "_CHUNK", 1)
    for name, layer in project.trace(samples(20)).items():
        for what in ("keras", "emulator", "csim"):
            assert np.array_equal(getattr(layer, what), getattr(whole[name], what))
    assert project.compare(samples(20)) == compared


def test_shared_multipliers_are_traced_as_they_are(tmp_path):
    x = keras.Input((4,), name="x")
    y = dense(4, "a", activation="relu")(x)
    made = keras.Model(x, dense(3, "c")(QAdd(iq_confs=conf(), name="b")([y, dense(4, "d")(y)])))
    options = {"strategy": "Resource", "layers": {"a": {"reuse_factor": 4}, "d": {"reuse_factor": 4}}}
    project = keras_hls.export_hls(made, tmp_path / "net", verify=False, **options)
    compared = project.compare(values(100))
    assert compared.ok
    assert [(layer.csim_different, layer.keras_different) for layer in compared.layers] == [(0, 0)] * 4


def test_channels_first_is_seen_as_the_layer_has_it(tmp_path):
    x = keras.Input((2, 5, 6), name="x")
    first = {"data_format": "channels_first"}
    # Weights that are large enough for no channel to be all zero.
    large = keras.initializers.RandomUniform(-2, 2, seed=1)
    conv = {"iq_conf": conf(), "kq_conf": conf(place="weight"), "bq_conf": conf(place="bias")}
    y = QConv2D(3, 3, name="a", activation="relu", kernel_initializer=large, **conv, **first)(x)
    y = QConv2D(4, 2, name="b", kernel_initializer=large, **conv, **first)(L.ReLU(name="r")(y))
    made = keras.Model(x, y)
    x = values(20, shape=(2, 5, 6))
    trace = keras_hls.snapshot(made).trace(x, model=made)
    assert [layer.shape for layer in trace.values()] == [(3, 3, 4), (3, 3, 4), (4, 2, 3)]
    for layer in trace.values():
        assert np.array_equal(layer.emulator, layer.keras)
    assert len(np.unique(trace["b"].emulator)) > 5


def test_layers_without_a_value_of_their_own():
    x = keras.Input((2, 2), name="x")
    y = L.BatchNormalization(name="norm")(L.Dense(3, name="float")(L.Flatten(name="flat")(x)))
    made = keras.Model(x, y)
    made.get_layer("norm").moving_mean.assign([0.5, -1, 2])
    x = np.random.default_rng(0).normal(size=(200, 2, 2)).astype("float32")
    snapshot = keras_hls.snapshot(made, calibration=x, bits=20)
    trace = snapshot.trace(x, model=made)
    gone = trace["float"]
    assert gone.emulator is gone.csim is gone.range is None
    assert (gone.type, gone.shape) == ("", (3,))
    assert gone.observed == (gone.keras.min(), gone.keras.max())
    for name in ("flat", "norm"):
        assert 0 < np.abs(trace[name].emulator - trace[name].keras).max() < 1e-4
    assert trace["flat"].shape == (4,)
    assert snapshot.trace(x)["float"].observed is None
    # A quantizer behind an input casts samples before anything moves them.
    z = keras.Input((2, 2))
    quantized = keras_hls.snapshot(keras.Model(z, dense(3, "d")(L.Flatten(name="flat")(z))))
    assert quantized.trace(x)["flat"].emulator is None


def test_float_models_differ_for_reasons(tmp_path):
    rng = np.random.default_rng(0)
    x = keras.Input((6,), name="x")
    y = L.Dense(8, activation="tanh", name="a")(x)
    y = L.Dense(8, activation="relu", name="b")(y)
    made = keras.Model(x, L.Dense(2, name="c")(y))
    x = rng.normal(size=(300, 6)).astype("float32")
    project = keras_hls.export_hls(made, tmp_path / "net", calibration=x, bits=12)
    trace, compared = project.trace(x), project.compare(x)
    for layer in trace.values():
        assert np.array_equal(layer.emulator, layer.csim)
        assert 0 < layer.difference.keras_largest < 0.05
    assert compared.ok and compared.first is None
    assert "3 of them differ from Keras, for known reasons alone" in str(compared)


# -- how it reads


def small(name="b"):
    x = keras.Input((4,), name="x")
    return keras.Model(x, dense(2, name, kernel_initializer="ones")(quantizer("a")(x)))


def test_it_prints_as_a_table():
    trace = keras_hls.snapshot(small()).trace(np.array([[1, 2, -1, 0.5], [1, 1, 1, 1]]), model=small())
    assert str(trace) == (
        "2 layers, 2 samples\n"
        "\n"
        "Layer  Shape  Type               Range      Seen  Keras differs  by  C-sim differs  by  of\n"
        "------------------------------------------------------------------------------------------\n"
        "a      (4,)   fixed<6, 3>  -4 to 3.875   -1 to 2              0   0              -   -   8\n"
        "b      (2,)   fixed<8, 5>  -16 to 15.5  2.5 to 4              0   0              -   -   4"
    )
    assert str(trace.compare()).startswith("2 layers, 2 samples.\nC-simulation didn't run.\nNo layer differs.\n\nLayer")


def test_pandas(project):
    pytest.importorskip("pandas")
    table = project.compare(samples()).to_pandas()
    assert list(table["layer"]) == list(project.graph.places)
    assert table["csim_different"].sum() == 0
    assert list(project.trace(samples()).to_pandas()["values"]) == [
        layer.values for layer in project.compare(samples()).layers
    ]


def test_a_layer_that_is_not_there(project):
    trace = project.trace(samples(2))
    assert "total" in trace and "totl" not in trace
    with pytest.raises(HLSError, match=r"^There is no layer 'totl'\. Did you mean 'total'\?$"):
        trace["totl"]


# -- what can't be


def test_samples_that_do_not_suit_are_refused_as_by_predict(project):
    for bad in (
        samples()["x"],
        {"x": values()},
        {**samples(), "y": values(shape=(3,))},
        {**samples(), "y": values(7)},
        {"x": values(2), "y": np.full((2, 4), np.nan)},
    ):
        with pytest.raises(InvalidData) as wanted:
            project.predict(bad)
        for run in (project.trace, project.compare):
            with pytest.raises(InvalidData) as caught:
                run(bad)
            assert str(caught.value) == str(wanted.value)
    with pytest.raises(InvalidData, match=r"^Samples to trace must be at least one$"):
        project.trace({"x": values(0), "y": values(0)})


def test_another_model_is_refused(tmp_path):
    project = keras_hls.export_hls(small(), tmp_path / "net", verify=False)
    assert project.compare(values(), model=small()).ok
    with pytest.raises(
        InvalidModel,
        match=r"^The model must be the one that the network was made from, but layer 'b' is in one of them alone$",
    ):
        project.trace(values(), model=small("c"))
    x = keras.Input((4,))
    wider = keras.Model(x, dense(3, "b")(quantizer("a")(x)))
    with pytest.raises(InvalidModel, match=r"but its layer 'b' answers in shape \(3,\), not \(2,\)$"):
        project.compare(values(), model=wider)
    x = keras.Input((5,))
    other = keras.Model(x, dense(2, "b")(quantizer("a")(x)))
    for ask in (project.compare, project.verify):
        with pytest.raises(InvalidModel, match=r"was made from, but its inputs have shapes \(5,\), not \(4,\)$"):
            ask(values(), model=other)


def test_without_a_compiler_there_is_a_warning(project, monkeypatch):
    monkeypatch.setenv("CXX", "/no/such/compiler")
    with pytest.warns(HLSWarning, match="CXX names") as caught:
        trace = project.trace(samples())
    assert [w.filename for w in caught if w.category is HLSWarning] == [__file__]
    assert all(layer.csim is None for layer in trace.values())
    with pytest.warns(HLSWarning, match="CXX names"):
        assert "C-simulation didn't run." in str(project.compare(samples()))


# -- what is wrong is found


def three():
    x = keras.Input((4,), name="x")
    y = dense(5, "b", activation="relu")(dense(6, "a", activation="relu")(x))
    return keras.Model(x, dense(3, "c", activation="softmax")(y))


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    return keras_hls.export_hls(three(), tmp_path_factory.mktemp("three") / "net", verify=values())


@pytest.fixture
def copied(exported, tmp_path):
    """A project to spoil."""
    return keras_hls.load(shutil.copytree(exported.directory, tmp_path / "net"))


def edit(project, path, old, new):
    file = project.directory / path
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


@pytest.mark.parametrize("layer", ["a", "b", "c"])
def test_a_wrong_weight_in_the_project_is_found(copied, layer):
    weights = copied.directory / "firmware/weights.h"
    before, after = weights.read_text().split(f" {layer}_kernel[")
    size, numbers = after.split("{\n", 1)
    weights.write_text(f"{before} {layer}_kernel[{size}{{\n-16,{numbers.split(',', 1)[1]}")
    compared = copied.compare(values(200))
    first = compared.first
    assert not compared.ok and first.layer == layer
    assert 0 < first.csim_different < first.values and first.csim_largest > 0
    assert all(row.ok for row in compared.layers if row.layer < layer)
    assert f"The first layer that differs is {first.name!r} ({first.type}, range " in str(compared)
    assert f"C-simulation and emulator differ in {first.csim_different:,} of {first.values:,} values" in str(compared)


def test_a_wrong_kernel_in_the_project_is_found(copied):
    edit(copied, "firmware/kernels/relu.h", "Y(x[i]) : Y(0)", "Y(x[i]) : Y(x[i])")
    assert copied.compare(values()).first.layer == "a"


def test_a_wrong_top_function_in_the_project_is_found_at_its_outputs(copied):
    edit(copied, "firmware/net.cpp", "\n}\n", "\n    c_out[0] = 0;\n}\n")
    assert copied.compare(values()).first.layer == "c"


def test_weights_that_changed_after_the_export_are_found(exported):
    changed = three()
    layer = changed.get_layer("b")
    layer.kernel.assign(layer.kernel + 0.25)
    trace = exported.trace(values(), model=changed)
    first = trace.compare().first
    assert (first.layer, first.csim_different) == ("b", 0)
    assert first.keras_different == first.unexplained > 0
    assert "Keras and emulator differ" in str(first)
    assert np.array_equal(trace["a"].keras, trace["a"].csim)
    assert np.array_equal(trace["b"].emulator, trace["b"].csim)


def break_emulator(monkeypatch, units):
    """Let the integer meaning of one layer be wrong."""
    right = Dense.bind

    def bind(self, *types):
        run = right(self, *types)
        wrong = self.kernel.shape[-1] == units
        return (lambda raw: run(raw) - (run(raw) > 9)) if wrong else run

    monkeypatch.setattr(Dense, "bind", bind)


def test_an_export_that_fails_names_the_first_layer(tmp_path, monkeypatch):
    break_emulator(monkeypatch, 5)
    with pytest.raises(VerificationError) as caught:
        keras_hls.export_hls(three(), tmp_path / "net", verify=values())
    lines = str(caught.value).splitlines()
    assert lines[-1].startswith("The first layer that differs is 'b' (ufixed<")
    assert "C-simulation and emulator differ in" in lines[-1]
    assert "Keras and emulator differ in" in lines[-1]


def test_an_export_that_fails_says_so_whatever_happens_then(tmp_path, monkeypatch):
    break_emulator(monkeypatch, 5)
    monkeypatch.setattr(Project, "compare", lambda *args, **kwargs: 1 / 0)
    with pytest.raises(VerificationError) as caught:
        keras_hls.export_hls(three(), tmp_path / "net", verify=values())
    assert "first layer" not in str(caught.value)


def test_wrong_expectations_alone_name_no_layer(tmp_path):
    snapshot = keras_hls.snapshot(small())
    x = values(30)
    wrong = snapshot.predict(x)
    wrong[7, 1] += 0.5
    with pytest.raises(VerificationError) as caught:
        snapshot.export(tmp_path / "net", verify=x, expected=[wrong])
    assert "1 of 60 values differ" in str(caught.value)
    assert "first layer" not in str(caught.value)
    assert keras_hls.load(tmp_path / "net").verify(x, expected=[wrong]).examples == (7,)


def test_raw_integers_are_compared_where_floats_can_not_tell():
    kind = TensorType.of(Fixed(True, 60, 2), (1,))
    raw = np.array([[(1 << 57) + 1], [5]])
    layer = LayerTrace("d", "", kind, 0.0, (), None, raw, raw - [[1], [0]])
    assert np.array_equal(layer.emulator, layer.csim)
    assert layer.difference.csim_different == 1


def test_comparing_leaves_the_model_alone(model, project):
    before = [np.array(keras.ops.convert_to_numpy(v)) for v in model.variables]
    project.compare(samples())
    assert all(np.array_equal(a, keras.ops.convert_to_numpy(v)) for a, v in zip(before, model.variables))
