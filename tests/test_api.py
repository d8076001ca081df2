"""The public face: what is promised of export, snapshot, estimate, check, load, diff and save, and the words of errors."""

from __future__ import annotations

import errno
import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import keras_hls
from keras_hls import folder as folder_module
from keras_hls.errors import (
    HLSError,
    HLSWarning,
    InvalidData,
    InvalidModel,
    InvalidOption,
    OutputFolderError,
    TooWide,
    UnsupportedModel,
    VerificationError,
)

keras = pytest.importorskip("keras")
pytest.importorskip("hgq")

from hgq.config import QuantizerConfig
from hgq.layers import QDense, Quantizer

pytestmark = pytest.mark.keras3


# -- importing


def python(code: str, *arguments: str, **environment: str) -> str:
    """Run code in a process of its own; returns what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", **environment},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


HEAVY = "{'keras', 'tensorflow', 'jax', 'torch', 'hgq', 'mlflow', 'pandas', 'sklearn', 'h5py', 'matplotlib'}"


def test_importing_the_package_imports_next_to_nothing():
    loaded = python(f"import sys, keras_hls; print(sorted(({HEAVY} | {{'numpy', 'jinja2'}}) & set(sys.modules)))")
    assert loaded.strip() == "[]"


def test_importing_everything_but_a_model_imports_no_keras():
    code = (
        "import sys, pkgutil, importlib, keras_hls\n"
        "for name in keras_hls.__all__:\n"
        "    if name != 'callbacks':\n"  # A Keras callback is a subclass of Keras's.
        "        getattr(keras_hls, name)\n"
        f"print(sorted({HEAVY} & set(sys.modules)))"
    )
    assert python(code).strip() == "[]"


@pytest.mark.parametrize("first", ["export_hls", "estimate", "Project", "Snapshot", "enable", "load"])
def test_a_name_of_the_face_is_what_it_is_whatever_is_used_first(first):
    # A submodule with the name of a function would stand in its place once it is imported.
    code = (
        f"import keras_hls, pkgutil; keras_hls.{first}\n"
        "modules = {m.name for m in pkgutil.iter_modules(keras_hls.__path__)}\n"
        "assert not modules & (set(keras_hls.__all__) - {'callbacks', 'emitters', 'layers_ext'})\n"
        "assert all(callable(getattr(keras_hls, n)) for n in ('check', 'export_hls', 'load', 'snapshot', 'estimate', 'enable'))\n"
        "try:\n    keras_hls.snapshot('none.keras')\n"
        "except keras_hls.HLSError as error:\n    print(error)"
    )
    assert python(code).strip() == "There is no model file 'none.keras'"


def test_the_face_says_what_it_has():
    assert set(keras_hls.__all__) <= set(dir(keras_hls))
    with pytest.raises(AttributeError, match=r"^module 'keras_hls' has no attribute 'exprot_hls'$"):
        keras_hls.exprot_hls  # noqa: B018


# -- models to export


def conf(i=2, f=3, place="datalane"):
    return QuantizerConfig("kif", place, k0=1, i0=i, f0=f, overflow_mode="SAT", heterogeneous_axis=())


def dense(units, name, activation=None):
    return QDense(
        units,
        name=name,
        activation=activation,
        iq_conf=conf(),
        kq_conf=conf(place="weight"),
        bq_conf=conf(place="bias"),
        kernel_initializer=keras.initializers.RandomUniform(-2, 2, seed=units),
    )


def network(name="net", last=None):
    x = keras.Input((4,), name="x")
    return keras.Model(x, dense(3, "b", last)(dense(6, "a", "relu")(x)), name=name)


def values(count=40, seed=0, shape=(4,)):
    return (np.random.default_rng(seed).integers(-64, 65, (count, *shape)) / 16.0).astype("float32")


def answers(model, x):
    return np.asarray(keras.ops.convert_to_numpy(model(x, training=False)))


@pytest.fixture(scope="module")
def model():
    return network()


def tree(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


# -- export


@pytest.fixture(scope="module")
def exported(model, tmp_path_factory):
    return keras_hls.export_hls(model, tmp_path_factory.mktemp("exported") / "build" / "jet", verify=values())


def test_export_answers_as_the_model(model, exported):
    x = values(100, seed=1)
    wanted = answers(model, x)
    for answer in (
        exported.predict(x),
        exported.emulate(x),
        exported.predict(x, threads=1),
        exported.predict({"x": x}),
    ):
        assert answer.dtype == np.float64
        assert np.array_equal(answer, wanted)
    result = exported.verify(x)
    assert (result.ok, result.samples, result.values) == (True, 100, 300)
    assert (result.csim_different, result.keras_different) == (0, 0)
    assert str(result) == (
        "C-simulation against emulator: 0 of 300 values differ.\n"
        "Hardware answer equals Keras's, every bit, in 100 of 100 samples."
    )


def test_a_project_is_named_after_its_folder(exported):
    assert (exported.name, exported.directory.name) == ("jet", "jet")
    assert {"firmware/jet.cpp", "tb/jet_tb.cpp", "keras_hls.json", "README.md"} <= set(tree(exported.directory))
    assert repr(exported) == f"Project({str(exported.directory)!r})"


@pytest.mark.parametrize(
    ("folder", "name"),
    [("jet-2", "jet_2"), ("2jets", "n2jets"), ("int", "int_"), ("é è", "x"), ("a.b", "a_b"), ("types", "types_net")],
)
def test_any_folder_gives_a_name_that_cpp_can_write(model, tmp_path, folder, name):
    assert keras_hls.export_hls(model, tmp_path / folder, verify=False).name == name


@pytest.mark.parametrize("folder", ["types", "Weights", "parameters", "bridge", "ap_ops", "inputs", "keras_hls_dense"])
def test_folders_with_names_of_our_own_files_compile(model, tmp_path, folder):
    project = keras_hls.export_hls(model, tmp_path / folder, verify=False)
    assert np.array_equal(project.predict(values(3)), answers(model, values(3)))


@pytest.mark.parametrize("verify", [values(10), [values(10)], {"x": values(10)}, values(10).tolist(), [[1, 2, 3, 4]]])
def test_samples_to_verify_with_come_in_many_forms(exported, verify):
    result = exported.verify(verify)
    assert result.keras_different == 0
    assert result.samples in (1, 10)


def test_export_without_verification_writes_the_same_project(model, exported, tmp_path):
    project = keras_hls.export_hls(model, tmp_path / "jet", verify=False)
    ours, theirs = tree(project.directory), tree(exported.directory)
    assert {p for p in ours if ours[p] != theirs[p]} == {
        "README.md",
        "keras_hls.json",
        "tb/inputs.dat",
        "tb/jet_tb.cpp",
        "tb/outputs.dat",
    }, "what says how many samples there are"


def test_exporting_twice_gives_the_same_bytes(model, tmp_path):
    first = tree(keras_hls.export_hls(model, tmp_path / "one" / "net", verify=False).directory)
    again = tree(keras_hls.export_hls(model, tmp_path / "one" / "net", verify=False).directory)
    elsewhere = tree(keras_hls.export_hls(model, tmp_path / "two" / "net", verify=False).directory)
    assert first == again == elsewhere


def test_a_project_of_ours_is_replaced_and_what_others_put_there_stays(model, tmp_path):
    folder = tmp_path / "net"
    keras_hls.export_hls(model, folder, verify=False, project_name="first")
    (folder / "net_prj" / "solution1").mkdir(parents=True)
    (folder / "net_prj" / "solution1" / "report.txt").write_text("ours took hours")
    project = keras_hls.export_hls(model, folder, verify=False, project_name="second")
    found = tree(folder)
    assert found["net_prj/solution1/report.txt"] == b"ours took hours"
    assert {p for p in found if "first" in p} == set()
    assert "firmware/second.cpp" in found
    assert project.name == "second"
    assert [p.name for p in tmp_path.iterdir()] == ["net"], "nothing is left beside it"


def test_export_makes_parent_folders_and_takes_an_empty_one(model, tmp_path, monkeypatch):
    (tmp_path / "empty").mkdir()
    assert keras_hls.export_hls(model, tmp_path / "empty", verify=False).name == "empty"
    monkeypatch.chdir(tmp_path)
    project = keras_hls.export_hls(model, "some/where/net", verify=False)
    monkeypatch.chdir("/")
    assert np.array_equal(project.emulate(values()), answers(model, values()))


def test_verification_that_fails_is_an_error_and_leaves_the_project(model, tmp_path):
    wrong = answers(model, values())
    wrong[3, 1] += 0.125
    with pytest.raises(
        VerificationError, match=r"^Project '.*net' doesn't answer as the model does\. C-simulation"
    ) as caught:
        keras_hls.snapshot(model).export(tmp_path / "net", verify=values(), expected=[wrong])
    assert "1 of 120 values differ, by at most 0.125" in str(caught.value)
    assert "every bit, in 39 of 40 samples" in str(caught.value)
    assert keras_hls.load(tmp_path / "net").emulate(values()).shape == (40, 3)


def test_without_a_compiler_everything_but_csimulation_works(model, tmp_path, monkeypatch):
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.warns(HLSWarning, match="CXX names 'no-such-compiler', which isn't there"):
        project = keras_hls.export_hls(model, tmp_path / "net", verify=values())
    with pytest.warns(HLSWarning, match="CXX"):
        result = project.verify(values())
    assert (result.csim_different, result.keras_different, result.ok) == (None, 0, True)
    assert np.array_equal(project.emulate(values()), answers(model, values()))
    with pytest.raises(HLSError, match="CXX"):
        project.predict(values())


# -- bad input: one clear error, and nothing is written


def wide():
    x = keras.Input((4,))
    layer = QDense(2, name="d", enable_iq=False, kq_conf=QuantizerConfig("dummy"), use_bias=False)
    model = keras.Model(x, layer(Quantizer(conf(20, 30))(x)))
    layer._kernel.assign(np.full((4, 2), 1 + 2.0**-20, "float32"))
    return model


def unsupported():
    x = keras.Input((4,), name="x")
    return keras.Model(x, keras.layers.Dense(2, name="float")(Quantizer(conf())(x)))


def broken():
    made = network()
    made.get_layer("a")._kernel.assign(np.full((4, 6), np.nan, "float32"))
    return made


def uncalibrated():
    x = keras.Input((4,), name="x")
    return keras.Model(x, QDense(2, name="d")(x))


def dynamic():
    x = keras.Input((None, 4), name="x")
    return keras.Model(x, Quantizer(conf())(x), name="net")


MODELS = [
    (
        lambda: keras.Sequential([dense(2, "a")], name="net"),
        InvalidModel,
        r"^Model 'net' isn't built: its shapes are unknown\. ",
    ),
    (
        dynamic,
        InvalidModel,
        r"^Input 'x' of model 'net' has shape \(None, None, 4\): every dimension but the first \(the batch\)",
    ),
    (
        unsupported,
        UnsupportedModel,
        r"^1 layer can't be exported: 'float' \(keras\.layers\.Dense\): .* use hgq\.layers\.QDense",
    ),
    (
        broken,
        UnsupportedModel,
        r"^1 layer can't be exported: 'a' .*: its kernel holds NaN or infinite values; training diverged",
    ),
    (
        uncalibrated,
        UnsupportedModel,
        r"^1 layer can't be exported: 'd' .* was never calibrated: .* Train the model, or run hgq\.",
    ),
    (
        wide,
        TooWide,
        r"^Layer 'd' \(Dense\) can't be computed in 63-bit integers: .*\. Quantize its inputs or weights to fewer",
    ),
    (lambda: "none.keras", InvalidModel, r"^There is no model file 'none\.keras'$"),
    (lambda: None, InvalidModel, r"^Model must be a keras\.Model of Keras 3\.[0-9.]+, not builtins\.NoneType$"),
]


@pytest.mark.parametrize(("make", "error", "sentence"), MODELS, ids=[str(n) for n in range(len(MODELS))])
def test_a_bad_model_is_one_error_and_writes_nothing(tmp_path, make, error, sentence):
    bad = make()
    for use in (
        lambda: keras_hls.export_hls(bad, tmp_path / "some" / "net"),
        lambda: keras_hls.snapshot(bad),
        lambda: keras_hls.estimate(bad),
    ):
        with pytest.raises(error, match=sentence):
            use()
    assert not list(tmp_path.iterdir())
    report = keras_hls.check(bad)
    if make is uncalibrated:
        # Before a training, that is as it should be.
        assert report.ok
        assert len(report.notes) == 1
        return
    assert not report.ok
    assert len(report.problems) == 1
    assert str(report).startswith("1 problem")


def test_check_takes_a_model_that_has_seen_no_data_as_it_is():
    """Before any training is when it is asked; HGQ2's default quantizers wrap, and learn their range from data."""
    from hgq.layers import QDense

    fresh = keras.Sequential([keras.Input((4,)), QDense(3, name="d")])
    report = keras_hls.check(fresh)
    assert report.ok
    assert len(report.notes) == 1
    assert report.notes[0].startswith("Before it is trained, it can't be exported: 'd' ")


OPTIONS = [
    ({"part": "nope"}, r"^Part must name a device that keras_hls knows .*, not 'nope'"),
    ({"part": "xcvu13q-flga2577-2-e"}, r"xcvu13p"),
    ({"part": None}, r"^Part must be a string such as 'xcvu13p-flga2577-2-e', not None$"),
    ({"backend": "vitis"}, r"^backend must be 'Vitis', not 'vitis'\. Did you mean 'Vitis'\?$"),
    ({"backend": "Quartus"}, r"^backend must be 'Vitis', not 'Quartus'\.$"),
    ({"strategy": "latency"}, r"^strategy must be 'Latency' or 'Resource', not 'latency'\. Did you mean 'Latency'\?$"),
    ({"io_type": "io_stream"}, r"^io_type must be 'io_parallel', not 'io_stream'\.$"),
    ({"softmax": "none"}, r"^softmax must be 'host' or 'hardware', not 'none'\.$"),
    ({"reuse_factor": 0}, r"^reuse_factor must be a positive integer, not 0$"),
    ({"reuse_factor": True}, r"^reuse_factor must be a positive integer, not True$"),
    (
        {"reuse_factor": 2},
        r"^Layer 'a': reuse_factor must be 1 with strategy 'Latency' \(fully unrolled\), not 2\. Take strat",
    ),
    ({"reuse_factor": 3, "strategy": "Resource"}, r"^Layer 'a': reuse_factor must be 2 or 4 \(the nearest\), not 3$"),
    ({"clock_period": 0}, r"^clock_period must be a positive number of nanoseconds, not 0$"),
    ({"clock_period": float("nan")}, r"^clock_period must be a positive number of nanoseconds, not nan$"),
    ({"clock_period": "5"}, r"^clock_period must be a positive number of nanoseconds, not '5'$"),
    ({"layers": [1]}, r"^layers must be a dict from layer name to its options, not \[1\]$"),
    (
        {"layers": {"aa": {}}},
        r"^layers names 'aa', which isn't a layer of the model\. Did you mean 'a'\? Known: a, b, x$",
    ),
    ({"layers": {"a": 3}}, r"^layers\['a'\] must be a dict of strategy and reuse_factor, not 3$"),
    ({"layers": {"a": {"reuse": 1}}}, r"^layers\['a'\] key must be 'strategy' or 'reuse_factor', not 'reuse'\."),
    ({"layers": {"a": {"reuse_factor": -1}}}, r"^layers\['a'\] reuse_factor must be a positive integer, not -1$"),
    ({"project_name": "a-b"}, r"^project_name must be a C\+\+ identifier, not 'a-b'$"),
    ({"project_name": "class"}, r"^project_name must be a C\+\+ identifier, not 'class'$"),
    (
        {"strateg": "Latency"},
        r"^Option 'strateg' is unknown\. Did you mean 'strategy'\? Known: backend, part, clock_period, ",
    ),
]


@pytest.mark.parametrize(("options", "sentence"), OPTIONS, ids=[str(o) for o, _ in OPTIONS])
def test_a_bad_option_is_one_error_and_writes_nothing(model, tmp_path, options, sentence):
    taken = keras_hls.snapshot(model)
    for use in (
        lambda: keras_hls.export_hls(model, tmp_path / "net", **options),
        lambda: taken.export(tmp_path / "net", **options),
    ):
        with pytest.raises(InvalidOption, match=sentence):
            use()
    assert not list(tmp_path.iterdir())
    if "backend" not in options:
        for use in (lambda: keras_hls.estimate(model, **options), lambda: keras_hls.check(model, **options)):
            with pytest.raises(InvalidOption, match=sentence):
                use()


def test_a_project_can_not_be_named_after_a_file_of_every_project(model, tmp_path):
    sentence = r"^project_name must not be 'Types', which is the name of a file of every project$"
    with pytest.raises(InvalidOption, match=sentence):
        keras_hls.export_hls(model, tmp_path / "net", project_name="Types")
    assert not list(tmp_path.iterdir())


SAMPLES = [
    (np.zeros((3, 5)), r"^Samples of input 'x' must have shape \(n, 4\), not \(3, 5\)$"),
    (np.zeros(4), r"^Samples of input 'x' must have shape \(n, 4\), not \(4,\)$"),
    (np.full((3, 4), np.nan), r"^Samples must be finite numbers, but hold NaN or infinite values$"),
    (np.full((3, 4), "a"), r"^Samples of input 'x' must be numbers, not <U1$"),
    (np.zeros((3, 4), complex), r"^Samples of input 'x' must be numbers, not complex128$"),
    ({"y": np.zeros((3, 4))}, r"^Samples must be given for inputs x, not y$"),
    (np.zeros((0, 4)), r"^verify must hold at least one sample; verify=False verifies nothing$"),
]


@pytest.mark.parametrize(("samples", "sentence"), SAMPLES)
def test_bad_samples_are_one_error_and_write_nothing(model, tmp_path, samples, sentence):
    with pytest.raises(InvalidData, match=sentence):
        keras_hls.export_hls(model, tmp_path / "net", verify=samples)
    assert not list(tmp_path.iterdir())


def test_samples_and_labels_are_no_samples(model, tmp_path):
    with pytest.raises(InvalidData):
        keras_hls.export_hls(model, tmp_path / "net", verify=(values(), np.zeros(40)))


def test_bad_expected_values_are_one_error(exported):
    with pytest.raises(InvalidData, match=r"^expected must be 1 arrays, one an output, not 2$"):
        exported.verify(values(5), expected=[np.zeros((5, 3))] * 2)
    with pytest.raises(InvalidData, match=r"^expected values of output 'b' must have shape \(5, 3\), not \(3, 5\)$"):
        exported.verify(values(5), expected=[np.zeros((3, 5))])
    with pytest.raises(InvalidData, match=r"^Samples to verify with must be at least one$"):
        exported.verify(np.zeros((0, 4)))


# -- where it is written


def test_a_folder_that_holds_something_else_is_left_as_it_is(model, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("years of work")
    with pytest.raises(
        OutputFolderError,
        match=r"^Output folder '.*mine' holds something that isn't a keras_hls project, and is left as it is; choose another",
    ):
        keras_hls.export_hls(model, tmp_path / "mine")
    assert tree(tmp_path) == {"mine/thesis.tex": b"years of work"}


def test_a_file_in_the_way_is_left_as_it_is(model, tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OutputFolderError, match=r"^Output folder '.*file' is a file; choose another place$"):
        keras_hls.export_hls(model, tmp_path / "file")
    with pytest.raises(OutputFolderError, match=r"^Output folder '.*net' can't be made: '.*file' is a file$"):
        keras_hls.export_hls(model, tmp_path / "file" / "deep" / "net")
    assert tree(tmp_path) == {"file": b"mine"}


def test_a_bad_folder_is_found_before_the_model_is_looked_at(tmp_path):
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OutputFolderError):
        keras_hls.export_hls(None, tmp_path / "file")


def test_no_permission(model, tmp_path, monkeypatch):
    (tmp_path / "locked").mkdir()
    # The superuser may write everywhere, so the question is answered for it.
    monkeypatch.setattr(folder_module.os, "access", lambda path, mode: "locked" not in str(path))
    with pytest.raises(
        OutputFolderError, match=r"^Output folder '.*net' can't be written: no permission to write in '.*locked'$"
    ):
        keras_hls.export_hls(model, tmp_path / "locked" / "net")
    assert not list((tmp_path / "locked").iterdir())


@pytest.mark.parametrize(
    ("code", "why"),
    [(errno.ENOSPC, "the disk is full"), (errno.EROFS, "the file system is read-only"), (errno.EIO, ".*")],
)
@pytest.mark.parametrize("after", [0, 5, 20])
@pytest.mark.parametrize("there", [False, True])
def test_a_disk_that_fails_in_mid_write_leaves_no_half_project(model, tmp_path, monkeypatch, code, why, after, there):
    folder = tmp_path / "net"
    if there:
        keras_hls.export_hls(model, folder, verify=False, clock_period=4.0)
    before = tree(tmp_path)
    write, written = Path.write_bytes, []

    def failing(path, data):
        if len(written) == after:
            raise OSError(code, "the disk says no")
        written.append(path)
        return write(path, data)

    sentence = rf"^Output folder '.*net' can't be written: {why}\. Nothing was left there$"
    monkeypatch.setattr(Path, "write_bytes", failing)
    with pytest.raises(OutputFolderError, match=sentence):
        keras_hls.export_hls(model, folder, verify=False)
    monkeypatch.undo()
    assert tree(tmp_path) == before
    assert [p.name for p in tmp_path.iterdir()] == (["net"] if there else [])
    assert len(written) == after


def test_a_rename_that_fails_brings_the_old_project_back(model, tmp_path, monkeypatch):
    folder = tmp_path / "net"
    keras_hls.export_hls(model, folder, verify=False, clock_period=4.0)
    before, rename = tree(tmp_path), os.rename

    def failing(source, target):
        if str(source).endswith(".new"):
            raise OSError(errno.EIO, "the disk says no")
        rename(source, target)

    monkeypatch.setattr(folder_module.os, "rename", failing)
    with pytest.raises(OutputFolderError, match="can't be written"):
        keras_hls.export_hls(model, folder, verify=False)
    assert tree(tmp_path) == before


# -- snapshots


def test_a_snapshot_answers_estimates_and_exports(model, tmp_path):
    snapshot = keras_hls.snapshot(model, clock_period=4.0)
    assert np.array_equal(snapshot.predict(values()), answers(model, values()))
    assert snapshot.notes == ()
    assert snapshot.estimate().clock_period == 4.0
    assert snapshot.estimate(clock_period=2.5).clock_period == 2.5
    project = snapshot.export(tmp_path / "net", verify=values(), model=model)
    assert project.options.clock_period == 4.0
    assert snapshot.export(tmp_path / "net", verify=False, clock_period=3.0).options.clock_period == 3.0


def test_softmax_can_not_change_after_the_snapshot(tmp_path):
    snapshot = keras_hls.snapshot(network(last="softmax"))
    sentence = r"^softmax was 'host' when the snapshot was taken, and can't become 'hardware'; take another snapshot of the model$"
    for use in (
        lambda: snapshot.export(tmp_path / "net", softmax="hardware"),
        lambda: snapshot.estimate(softmax="hardware"),
    ):
        with pytest.raises(InvalidOption, match=sentence):
            use()
    assert not list(tmp_path.iterdir())
    snapshot.estimate(softmax="host")


def test_saving_and_loading_a_snapshot(model, tmp_path):
    snapshot = keras_hls.snapshot(
        model, part="xc7z020clg400-1", layers={"a": {"strategy": "Resource", "reuse_factor": 2}}
    )
    path = snapshot.save(tmp_path / "new" / "epoch3")
    assert path == tmp_path / "new" / "epoch3.khls"
    again = keras_hls.load(path)
    assert isinstance(again, keras_hls.Snapshot)
    assert again.options == snapshot.options
    assert not again.diff(snapshot)
    assert again.estimate().to_dict() == snapshot.estimate().to_dict()
    assert np.array_equal(again.predict(values()), snapshot.predict(values()))
    assert (
        keras_hls.snapshot(model).save(tmp_path / "a").read_bytes()
        == keras_hls.snapshot(model).save(tmp_path / "b.khls").read_bytes()
    )
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["epoch3.khls"]


def test_a_snapshot_that_can_not_be_written(model, tmp_path):
    snapshot = keras_hls.snapshot(model)
    (tmp_path / "dir.khls").mkdir()
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "dir", tmp_path / "file" / "below"):
        with pytest.raises(OutputFolderError, match=r"^Snapshot '.*\.khls' can't be written: "):
            snapshot.save(path)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["dir.khls", "file"]


def test_a_snapshot_says_what_it_is_in_a_line(model):
    assert re.fullmatch(r"<Snapshot of \d+ layers, 4 to 3>", repr(keras_hls.snapshot(model)))


def test_a_snapshot_is_of_one_moment(model):
    # Training goes on in tests/frontends/test_backends.py; here weights are just set.
    made = network()
    snapshot = keras_hls.snapshot(made)
    before, wanted = snapshot.predict(values()), answers(made, values())
    assert np.array_equal(before, wanted)
    for variable in made.variables:
        variable.assign(variable * 0)
    assert np.array_equal(snapshot.predict(values()), before)
    assert not keras_hls.snapshot(made).predict(values()).any()


def test_diff_says_what_changed(model):
    made = network()
    first = keras_hls.snapshot(made)
    assert not first.diff(keras_hls.snapshot(made))
    assert str(first.diff(first)) == "No difference."
    kernel = np.asarray(made.get_layer("b")._kernel).copy()
    kernel[0, 0] = -kernel[0, 0] + 1
    made.get_layer("b")._kernel.assign(kernel)
    quantizer = made.get_layer("a").iq.quantizer
    quantizer._f.assign(np.asarray(quantizer._f) + 1)
    difference = first.diff(keras_hls.snapshot(made))
    assert set(difference.layers) == {"x", "a", "b"}
    assert "b.kernel: 1 of 18 numbers changed" in difference.layers["b"]
    assert "x: fixed<6, 3> became fixed<7, 3>" in difference.layers["x"]
    assert str(difference).count("\n") == 2
    other = keras_hls.snapshot(network(last="relu"))
    assert first.diff(other).layers == {"b": ("b_relu is new",)}
    assert other.diff(first).layers == {"b": ("b_relu is gone",)}


# -- loading


def test_loading_a_project(model, exported):
    again = keras_hls.load(str(exported.directory))
    assert isinstance(again, keras_hls.Project)
    assert (again.name, again.options) == (exported.name, exported.options)
    assert np.array_equal(again.predict(values()), answers(model, values()))
    assert again.estimate.to_dict() == keras_hls.estimate(model).to_dict()
    assert again.verify(values()).keras_different is None
    assert "Keras wasn't asked." in str(again.verify(values()))
    assert again.verify(values(), model=model).keras_different == 0


def test_a_loaded_project_answers_without_keras(model, exported):
    code = (
        "import sys, json, numpy as np, keras_hls\n"
        "project = keras_hls.load(sys.argv[1])\n"
        "x = np.array(json.loads(sys.argv[2]), 'float32')\n"
        "answer = project.predict(x)\n"
        "assert np.array_equal(answer, project.emulate(x)) and project.verify(x).ok\n"
        "project.estimate\n"
        f"assert not {HEAVY} & set(sys.modules), 'Keras was imported'\n"
        "print(json.dumps(answer.tolist()))"
    )
    answer = json.loads(python(code, str(exported.directory), json.dumps(values(5).tolist())))
    assert answer == answers(model, values(5)).tolist()


def damage(folder: Path, name: str, change) -> None:
    content = json.loads((folder / name).read_text())
    change(content)
    (folder / name).write_text(json.dumps(content))


DAMAGES = [
    (
        "keras_hls.json",
        lambda m: m.pop("project_name"),
        r"^Project '.*' is damaged: keras_hls\.json can't be read; export it again$",
    ),
    (
        "keras_hls.json",
        lambda m: m.update(options=3),
        r"^Project '.*' is damaged: keras_hls\.json can't be read; export it again$",
    ),
    (
        "keras_hls.json",
        lambda m: m.update(format=99),
        r"^Project '.*' is of format 99, not 1; it needs another version of keras_hls$",
    ),
    ("graph.json", lambda g: g.pop("nodes"), r"^graph\.json of project '.*net': Stored graph is damaged"),
    (
        "graph.json",
        lambda g: g["nodes"][1].update(op="Warp"),
        r"^graph\.json of project '.*net': Stored graph holds an op 'Warp' that isn't known; import the module",
    ),
    ("graph.json", lambda g: g.update(version=99), r"^graph\.json of .*: Stored graph must be of version 2, not 99$"),
    ("graph.json", lambda g: g["nodes"][0]["fields"].update(port="?"), r"^graph\.json of .*: Stored graph is damaged"),
]


@pytest.mark.parametrize(("name", "change", "sentence"), DAMAGES)
def test_a_damaged_project_says_so(model, tmp_path, name, change, sentence):
    keras_hls.export_hls(model, tmp_path / "net", verify=False)
    damage(tmp_path / "net", name, change)
    with pytest.raises(HLSError, match=sentence):
        keras_hls.load(tmp_path / "net").emulate(values())


@pytest.mark.parametrize("name", ["graph.json", "estimate.json", "keras_hls.json"])
@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"\x00\xff"])
def test_a_project_with_a_file_of_nonsense_says_so(model, tmp_path, name, content):
    keras_hls.export_hls(model, tmp_path / "net", verify=False)
    (tmp_path / "net" / name).write_bytes(content)

    def use():
        project = keras_hls.load(tmp_path / "net")
        return project.emulate(values()), project.estimate

    with pytest.raises(HLSError):
        use()
    if name == "keras_hls.json":
        with pytest.raises(OutputFolderError, match="holds something that isn't a keras_hls project"):
            keras_hls.export_hls(model, tmp_path / "net")


def test_loading_what_is_neither(model, tmp_path):
    with pytest.raises(HLSError, match=r"^There is no project or snapshot at '.*none'$"):
        keras_hls.load(tmp_path / "none")
    with pytest.raises(HLSError, match=r"^'.*' isn't a keras_hls project: it holds no keras_hls\.json$"):
        keras_hls.load(tmp_path)


def test_loading_damaged_snapshots(model, tmp_path):
    data = keras_hls.snapshot(model).save(tmp_path / "good").read_bytes()
    rng = np.random.default_rng(0)
    bad = [b"", b"nonsense", data[: len(data) // 2], data[:-1], data + b"x", b"\x1f\x8b"]
    for _ in range(60):
        spoilt = bytearray(data)
        spoilt[rng.integers(len(data))] ^= 1 << rng.integers(8)
        bad.append(bytes(spoilt))
    refused = 0
    for content in bad:
        (tmp_path / "bad.khls").write_bytes(content)
        try:
            keras_hls.load(tmp_path / "bad.khls")
        except HLSError as error:
            assert "isn't a readable snapshot" in str(error)  # noqa: PT017
            refused += 1
    # A flipped bit of the gzip header's time, flags or system changes nothing that is read.
    assert refused >= len(bad) - 8


# -- check


def test_check_of_a_good_model(model):
    report = keras_hls.check(model)
    assert report.ok
    assert str(report) == "Every layer can be exported exactly."
    noted = keras_hls.check(network(last="softmax"))
    assert noted.ok
    assert len(noted.notes) == 1
    assert str(noted).endswith(f"\nNote: {noted.notes[0]}")


# -- softmax


def by_layer():
    x = keras.Input((4,), name="x")
    return keras.Model(x, keras.layers.Softmax(name="s")(dense(3, "b")(x)))


def by_activation():
    x = keras.Input((4,), name="x")
    return keras.Model(x, keras.layers.Activation("softmax", name="s")(dense(3, "b")(x)))


def by_argument():
    x = keras.Input((4,), name="x")
    return keras.Model(x, dense(3, "s", "softmax")(x))


SOFTMAXES = pytest.mark.parametrize("make", [by_layer, by_activation, by_argument])


@SOFTMAXES
def test_softmax_at_the_output_is_left_to_the_host(make, tmp_path):
    made = make()
    project = keras_hls.export_hls(made, tmp_path / "net", verify=values(200))
    note = (
        "The softmax of layer 's' is left to the host: the hardware answers its input, whose argmax is the same. Pass"
        " softmax='hardware' to compute it."
    )
    assert project.graph.notes == (note,) == keras_hls.snapshot(made).notes
    assert note in (project.directory / "README.md").read_text()
    assert project.graph.host == ("softmax",)
    x = values(200, seed=3)
    logits, wanted = project.predict(x), answers(made, x)
    assert np.array_equal(logits.argmax(-1), wanted.argmax(-1))
    exponentials = np.exp(logits - logits.max(-1, keepdims=True))
    assert np.allclose(exponentials / exponentials.sum(-1, keepdims=True), wanted, atol=1e-6)
    result = project.verify(x)
    assert (result.keras_different, result.csim_different) == (0, 0)
    # The model still has its softmax.
    assert np.allclose(answers(made, x).sum(-1), 1)
    if make is by_argument:
        assert made.get_layer("s").activation is keras.activations.softmax


@SOFTMAXES
def test_softmax_in_hardware_is_computed(make, tmp_path):
    made = make()
    project = keras_hls.export_hls(made, tmp_path / "net", verify=False, softmax="hardware")
    assert project.graph.notes == ()
    x = values(300, seed=4)
    answer, wanted = project.predict(x), answers(made, x)
    assert np.array_equal(answer, project.emulate(x))
    # The bound that the op promises: half a step of the result, and the tables' errors.
    assert np.abs(answer - wanted).max() <= 2.0**-17 + 1.5 * 4 * 2.0**-20 + 1e-6
    assert np.array_equal(answer.argmax(-1), wanted.argmax(-1))
    result = project.verify(x)
    assert result.csim_different == 0
    assert result.argmax_different == 0


@SOFTMAXES
def test_softmax_in_hardware_passes_verification(make, tmp_path):
    keras_hls.export_hls(make(), tmp_path / "net", verify=values(), softmax="hardware")


def test_softmax_in_mid_network_is_computed(tmp_path):
    x = keras.Input((4,), name="x")
    y = dense(2, "after")(keras.layers.Softmax(name="s")(dense(3, "b")(x)))
    made = keras.Model(x, [y, dense(2, "also", "softmax")(y)])
    project = keras_hls.export_hls(made, tmp_path / "net", verify=False)
    assert any(
        note.startswith("The softmax of layer 's' stands inside the network, so the hardware") for note in project.notes
    )
    assert any("The softmax of layer 'also' is left to the host" in note for note in project.notes)
    for a, b in zip(project.predict(values()), project.emulate(values())):
        assert np.array_equal(a, b)
    # The next quantizer takes three fractional bits; where rounding doesn't tip, answers are Keras's.
    wanted = [np.asarray(v) for v in made(values())]
    assert np.mean(project.emulate(values())[0] == wanted[0]) > 0.9


def test_logits_and_their_softmax_may_both_be_outputs(tmp_path):
    x = keras.Input((4,), name="x")
    y = dense(3, "b")(x)
    made = keras.Model(x, [keras.layers.Softmax(name="s")(y), y])
    project = keras_hls.export_hls(made, tmp_path / "net", verify=values())
    assert project.graph.host == ("softmax", "")
    first, second = project.predict(values())
    assert np.array_equal(first, second)
    assert project.graph.output_names == ("s", "b")


def test_argmax_of_softmax_over_the_last_axis_of_many(tmp_path):
    x = keras.Input((2, 4), name="x")
    made = keras.Model(x, dense(3, "s", "softmax")(x))
    project = keras_hls.export_hls(made, tmp_path / "net", verify=values(50, shape=(2, 4)))
    assert project.predict(values(5, shape=(2, 4))).shape == (5, 2, 3)


# -- samples are float32, as in Keras


def test_samples_of_double_precision_are_rounded_as_keras_rounds_them():
    x = keras.Input((2,), name="x")
    quantizer = QuantizerConfig(
        "kif", "datalane", i0=2, f0=3, round_mode="TRN", overflow_mode="SAT", heterogeneous_axis=()
    )
    made = keras.Model(x, Quantizer(quantizer)(x))
    samples = np.array([[1 - 1e-12, 0.5 - 1e-12], [0.3, -0.125 - 1e-12]])
    assert np.array_equal(keras_hls.snapshot(made).predict(samples), answers(made, samples))


# -- nothing touches the model


def state(made):
    variables = {v.path: np.array(keras.ops.convert_to_numpy(v)) for v in made.variables}
    variables |= {f"optimizer {v.path}": np.array(keras.ops.convert_to_numpy(v)) for v in made.optimizer.variables}
    return variables


def test_the_model_is_untouched_by_everything(tmp_path):
    # Stochastic rounding has a seed, wrapping has ranges that calls may move, batch normalisation has statistics.
    from hgq.layers import QBatchNormDense

    x = keras.Input((4,), name="x")
    stochastic = QuantizerConfig("kif", "datalane", round_mode="S_RND", overflow_mode="WRAP", i_decay_speed=-1.0)
    y = QDense(5, name="w", iq_conf=stochastic)(x)
    y = keras.layers.Dropout(0.5, seed=3)(QBatchNormDense(4, name="n")(y))
    made = keras.Model(x, dense(3, "s", "softmax")(y))
    made.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    labels = np.random.default_rng(0).integers(0, 3, 64)
    made.fit(values(64), labels, epochs=1, verbose=0)
    before, config, wanted = state(made), made.to_json(), answers(made, values())
    project = keras_hls.export_hls(made, tmp_path / "net", verify=values())
    project.verify(values())
    snapshot = keras_hls.snapshot(made)
    snapshot.predict(values() * 100)
    snapshot.estimate()
    snapshot.save(tmp_path / "net.khls")
    keras_hls.check(made)
    keras_hls.estimate(made)
    after = state(made)
    assert before.keys() == after.keys()
    assert [k for k in before if not np.array_equal(before[k], after[k])] == []
    assert made.to_json() == config
    assert np.array_equal(answers(made, values()), wanted)
    assert made.get_layer("s").activation is keras.activations.softmax
    # And it can go on training.
    made.fit(values(64), labels, epochs=1, verbose=0)
    assert any(not np.array_equal(v, before[k]) for k, v in state(made).items())


# -- methods of the model


class Net(keras_hls.HLSModelMixin, keras.Model):
    """A model class of a user's own."""


class Stack(keras_hls.HLSModelMixin, keras.Sequential):
    """Likewise."""


@pytest.mark.parametrize("cls", [Net, Stack])
def test_the_mixin_gives_a_model_methods(tmp_path, cls):
    if cls is Net:
        x = keras.Input((4,), name="x")
        made = Net(x, dense(2, "d")(x))
    else:
        made = Stack([keras.Input((4,), name="x"), dense(2, "d")])
    project = made.export_hls(tmp_path / "net", verify=values(), clock_period=4.0)
    assert project.options.clock_period == 4.0
    assert np.array_equal(made.snapshot_hls().predict(values()), answers(made, values()))
    assert made.estimate_hls(clock_period=2.0).clock_period == 2.0
    assert made.export_hls.__doc__
    assert not hasattr(keras.Model, "export_hls")


@pytest.fixture
def clean_keras():
    """Keras as it was before `enable`, and tf_keras, which other tests may have imported."""
    yield
    owners = [module.Model for name in ("keras", "tf_keras") if (module := sys.modules.get(name)) is not None]
    for owner in owners:
        for name in ("export_hls", "estimate_hls", "snapshot_hls"):
            if name in vars(owner):
                delattr(owner, name)


@pytest.mark.usefixtures("clean_keras")
def test_enable_gives_every_model_methods_also_after_loading(tmp_path):
    made = network()
    assert not hasattr(made, "export_hls")
    made.save(tmp_path / "net.keras")
    keras_hls.enable()
    once = dict(vars(keras.Model))
    keras_hls.enable()
    assert dict(vars(keras.Model)) == once
    loaded = keras.models.load_model(tmp_path / "net.keras")
    for some in (made, loaded, keras.Sequential([keras.Input((4,)), dense(2, "d")])):
        assert some.snapshot_hls().predict(values()).shape[0] == 40
        assert len(some.estimate_hls().layers) > 0
    assert loaded.export_hls(tmp_path / "net", verify=values()).verify(values(), model=made).keras_different == 0


@pytest.mark.usefixtures("clean_keras")
def test_enable_refuses_a_name_that_another_package_has_taken():
    def theirs(self):
        """Something else."""

    theirs.__module__ = "other_hls.magic"
    keras.Model.estimate_hls = theirs
    with pytest.raises(
        HLSError,
        match=r"^keras\.Model\.estimate_hls is taken by other_hls\.magic; use keras_hls\.HLSModelMixin instead$",
    ):
        keras_hls.enable()
    assert keras.Model.estimate_hls is theirs
    assert not hasattr(keras.Model, "export_hls"), "it's all or nothing"


# -- deterministic bytes

EXPORT = """
import sys, keras_hls
project = keras_hls.export_hls(sys.argv[1] + "/model.keras", sys.argv[2] + "/net", verify=False)
keras_hls.snapshot(sys.argv[1] + "/model.keras").save(sys.argv[2] + "/net.khls")
"""


def test_two_processes_write_the_same_bytes(tmp_path):
    x, z = keras.Input((4,), name="x"), keras.Input((4,), name="z")
    shared = dense(4, "shared", "relu")
    y = keras.layers.Add(name="sum")([shared(x), shared(z)])
    made = keras.Model([x, z], [dense(3, "last", "softmax")(y), y])
    made.save(tmp_path / "model.keras")
    trees = []
    for seed in ("1", "2"):
        (tmp_path / seed).mkdir()
        # JAX starts sooner than TensorFlow; that the graph is the same is tested elsewhere.
        backend = "jax" if importlib.util.find_spec("jax") else keras.backend.backend()
        python(
            EXPORT, str(tmp_path), str(tmp_path / seed), PYTHONHASHSEED=seed, KERAS_BACKEND=backend, JAX_PLATFORMS="cpu"
        )
        trees.append(tree(tmp_path / seed))
    assert len(trees[0]) > 20
    assert trees[0] == trees[1]
    assert str(tmp_path).encode() not in b"".join(trees[0].values()), "no path of this machine in it"
