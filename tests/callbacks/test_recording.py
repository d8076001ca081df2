"""Trainings with MLflow: what is recorded, that nothing is twice, and that a server's failure stays outside."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
import types
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from keras_hls.errors import HLSWarning

mlflow = pytest.importorskip("mlflow")

sys.path.insert(0, str(Path(__file__).parent))
from networks import HGQ2, dense, keras, mlflow_of_keras, sequential

from keras_hls.callbacks import HLSExport
from keras_hls.callbacks.criteria import KEYS
from keras_hls.callbacks.recording import layer_metrics, scalars_to_log

pytestmark = [pytest.mark.mlflow, *([pytest.mark.keras3] if HGQ2 else [])]

X = np.random.default_rng(0).normal(size=(8, 6)).astype("float32")
Y = np.random.default_rng(1).normal(size=(8, 2)).astype("float32")


@pytest.fixture(scope="module")
def _database(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A store for all tests: making its tables takes seconds."""
    return f"sqlite:///{tmp_path_factory.mktemp('store')}/m.db"


@pytest.fixture
def store(
    _database: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Any]:
    """A client, with an experiment of this test's own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KERAS_HLS_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", "")
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(_database)
    name = tmp_path.name
    mlflow.create_experiment(name, artifact_location=(tmp_path / "artifacts").as_uri())
    mlflow.set_experiment(name)
    yield mlflow.MlflowClient()
    while mlflow.active_run() is not None:
        mlflow.end_run()
    mlflow.set_tracking_uri(before)
    mlflow.tracking.fluent._active_experiment_id = None


def runs(store: Any) -> list[Any]:
    experiment = store.get_experiment_by_name(Path.cwd().name)
    return list(store.search_runs([experiment.experiment_id]))


def points(store: Any, run: Any, key: str) -> list[tuple[int, float]]:
    return [(m.step, m.value) for m in store.get_metric_history(run.info.run_id, key)]


def artifacts(store: Any, run: Any, folder: str = "hls") -> set[str]:
    found = set()
    for item in store.list_artifacts(run.info.run_id, folder):
        found |= artifacts(store, run, item.path) if item.is_dir else {item.path}
    return found


def _environment() -> dict[str, str]:
    # MLflow keeps its own notes there.
    return {name: value for name, value in os.environ.items() if not name.startswith("_MLFLOW")}


def network() -> Any:
    keras.utils.set_random_seed(0)
    model = sequential(dense(3, relu=True, name="hidden"), dense(2, name="last"))
    model.compile("adam", "mse", run_eagerly=True)
    return model


def train(callbacks: list[Any], model: Any = None, **more: Any) -> Any:
    more = {"epochs": 2, "verbose": 0, "validation_data": (X, Y), **more}
    return (model or network()).fit(X, Y, batch_size=4, callbacks=callbacks, **more)


def export(**options: Any) -> HLSExport:
    return HLSExport("b", mlflow=True, verbose=0, **options)


def test_everything_is_in_a_new_run(store: Any) -> None:
    environment = _environment()
    ours = export(validation=X, part="xcvu9p-flga2104-2-e")
    history = train([ours]).history
    assert mlflow.active_run() is None
    (run,) = runs(store)
    assert run.info.status == "FINISHED"
    assert run.info.run_id == ours.run_id
    for key in (*KEYS, "loss", "val_loss"):
        assert points(store, run, key) == list(enumerate(history[key])), key
    layers = {k for k in run.data.metrics if k.startswith("hls/")}
    assert layers == {f"hls/{layer}/{q}" for layer in ("hidden", "last") for q in ("lut", "ff", "dsp", "bram", "ii")}
    parts = [points(store, run, f"hls/{layer}/lut") for layer in ("hidden", "last")]
    assert [a[1] + b[1] for a, b in zip(*parts)] == history["hls_lut"]
    assert not run.data.params
    tags = run.data.tags
    assert tags["hls.part"] == "xcvu9p-flga2104-2-e"
    assert tags["hls.best_epoch"] == str(ours.best_epoch)
    assert (tags["hls.clock_period"], tags["hls.strategy"]) == ("5.0", "Latency")
    assert "every bit, in 8 of 8 samples" in tags["hls.verification"]
    files = artifacts(store, run)
    assert {"hls/estimate.json", "hls/estimate.txt", "hls/b.khls", "hls/project/keras_hls.json"} <= files
    written = {f"hls/project/{p.relative_to('b').as_posix()}" for p in Path("b").rglob("*") if p.is_file()}
    assert written <= files
    assert _environment() == environment


def test_active_run_is_joined_and_stays_active_over_two_fits(store: Any) -> None:
    with mlflow.start_run() as run:
        model = network()
        train([export(part="xcvu9p-flga2104-2-e")], model, epochs=1)
        train([export(part="xczu9eg-ffvb1156-2-e", strategy="Resource")], model, epochs=2, initial_epoch=1)
        active = mlflow.active_run()
        assert active is not None
        assert active.info.run_id == run.info.run_id
    (found,) = runs(store)
    assert [step for step, _ in points(store, found, "hls_lut")] == [0, 1]
    assert found.data.tags["hls.part"] == "xczu9eg-ffvb1156-2-e"
    assert found.data.tags["hls.strategy"] == "Resource"
    assert found.info.status == "FINISHED"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("active", [False, True])
def test_beside_autologging_no_point_is_doubled(store: Any, active: bool) -> None:
    if not HGQ2:
        # MLflow's for Keras 2 writes for it as well, and current TensorFlow doesn't bring it along.
        pytest.importorskip("tensorboard")
    mlflow_of_keras().autolog(log_models=False, log_datasets=False, silent=True)
    try:
        if active:
            mlflow.start_run()
        # A list of its own for each fit: autologging adds to it.
        history = train([export()]).history
    finally:
        mlflow_of_keras().autolog(disable=True, silent=True)
    (run,) = runs(store)
    for key in (*KEYS, "loss"):
        assert points(store, run, key) == list(enumerate(history[key])), key
    assert [step for step, _ in points(store, run, "hls/hidden/lut")] == [0, 1]
    assert "hls/estimate.txt" in artifacts(store, run)
    assert (mlflow.active_run() is not None) == active


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("active", [False, True])
def test_beside_mlflows_callback_no_point_is_doubled_or_lost(store: Any, place: int, active: bool) -> None:
    if active:
        mlflow.start_run()
    callbacks: list[Any] = [mlflow_of_keras().MlflowCallback()]
    callbacks.insert(place, export())
    history = train(callbacks).history
    mlflow.flush_async_logging()
    (run,) = runs(store)
    for key in (*KEYS, "loss"):
        assert points(store, run, key) == list(enumerate(history[key])), key
    assert "hls/estimate.txt" in artifacts(store, run)
    # Its callback has opened this run, or the test: in either case it isn't ours to end.
    assert mlflow.active_run() is not None


def test_callback_of_mlflow_that_logs_batches_leaves_the_epoch_to_us() -> None:
    class CallbackList:
        def __init__(self, *callbacks: Any) -> None:
            self.callbacks = list(callbacks)

        def on_epoch_end(self, ours: Any, logs: dict[str, Any]) -> dict[str, float]:
            return scalars_to_log(logs, ["hls_lut"], ours)

    logs = {"loss": np.float32(1), "hls_lut": 2.0, "odd": "text", "flag": True}
    ours = object()
    theirs = mlflow_of_keras().MlflowCallback
    batches = theirs(log_every_epoch=False, log_every_n_steps=1)
    assert CallbackList(ours, batches).on_epoch_end(ours, logs) == {"hls_lut": 2.0}
    assert CallbackList(ours, theirs()).on_epoch_end(ours, logs) == {}
    assert CallbackList(theirs(), ours).on_epoch_end(ours, logs) == {"hls_lut": 2.0}
    assert CallbackList(ours, object()).on_epoch_end(ours, logs) == {"loss": 1.0, "hls_lut": 2.0}
    # A training loop of the user's own.
    assert scalars_to_log(logs, ["hls_lut"], ours) == {"loss": 1.0, "hls_lut": 2.0}


def test_layers_metrics_have_names_that_mlflow_takes() -> None:
    row = types.SimpleNamespace(layer="a[0]/b", lut=1, ff=2, dsp=3, bram=4, ii=2)
    found = layer_metrics(types.SimpleNamespace(layers=[row, row]))  # type: ignore[arg-type]
    assert found == {f"hls/a_0__b/{k}": v for k, v in {"lut": 2, "ff": 4, "dsp": 6, "bram": 8, "ii": 2}.items()}


def test_training_that_dies_leaves_no_thread_behind_the_next(store: Any) -> None:
    class Dies(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            raise RuntimeError("power cut")

    ours = export()
    with pytest.raises(RuntimeError, match="power cut"):
        train([ours, Dies()])
    train([ours])
    assert sorted(run.info.status for run in runs(store)) == ["FAILED", "FINISHED"]
    assert not [t for t in threading.enumerate() if t.name == "keras_hls-mlflow"]


def test_mlflow_is_missing(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    text = r"HLSExport: MLflow isn't installed, so nothing is logged to it; pip install 'keras-hls\[mlflow\]'"
    ours = export()
    with pytest.warns(HLSWarning, match=text) as found:
        train([ours])
    assert len([w for w in found if w.category is HLSWarning]) == 1
    assert ours.project is not None


_FIT = """
import json, sys, time, warnings
from networks import dense, keras, sequential
import numpy as np, mlflow
from keras_hls.callbacks import HLSExport
model = sequential(dense(3, relu=True), dense(2))
model.compile("adam", "mse", run_eagerly=True)
x, y = np.ones((8, 6), "float32"), np.ones((8, 2), "float32")
model.fit(x, y, epochs=1, verbose=0)
for uri in sys.argv[1:]:
    mlflow.set_tracking_uri(uri)
    ends = [time.time()]
    timer = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: ends.append(time.time()))
    ours = HLSExport("b", "loss", mlflow=True, verbose=0)
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        history = model.fit(x, y, epochs=4, verbose=0, callbacks=[ours, timer])
    texts = [str(w.message) for w in found if w.category.__name__ == "HLSWarning"]
    assert ours.project is not None and len(history.history["hls_lut"]) == 4
    print(json.dumps([max(np.diff(ends)), time.time() - ends[-1], texts]))
"""


def test_server_that_is_dead_or_hangs_neither_stalls_nor_kills_a_training(tmp_path: Path) -> None:
    # With all of MLflow's defaults, which are 7 retries of 120 s.
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MLFLOW_")} | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    environment["KERAS_HLS_CACHE"] = str(tmp_path / "cache")
    environment["PYTHONPATH"] = str(Path(__file__).parent)
    with socket.socket() as hanging, socket.socket() as dead:
        uris = []
        for server in (hanging, dead):
            server.bind(("127.0.0.1", 0))
            uris.append(f"http://127.0.0.1:{server.getsockname()[1]}")
        # It takes connections and never says a word; at the other port nobody is at home.
        hanging.listen()
        dead.close()
        start = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-c", _FIT, *uris],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
    assert done.returncode == 0, done.stderr[-3000:]
    results = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[")]
    assert len(results) == 2
    for uri, (longest, end, texts) in zip(uris, results):
        assert longest < 3
        # The export, its compilation and the patience with a server.
        assert end < 15
        (text,) = texts
        assert f"MLflow at {uri} didn't answer for 5 s when the training ended" in text
    # The process doesn't wait for the retries either.
    assert time.monotonic() - start < 90


_DIES = """
from networks import dense, keras, sequential
import numpy as np
from keras_hls.callbacks import HLSExport
class Dies(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        raise RuntimeError("power cut")
model = sequential(dense(3))
model.compile("adam", "mse", run_eagerly=True)
x, y = np.ones((8, 6), "float32"), np.ones((8, 3), "float32")
model.fit(x, y, verbose=0, callbacks=[HLSExport("b", "loss", mlflow=True), Dies()])
"""


def test_process_that_dies_leaves_a_failed_run(store: Any, tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "MLFLOW_TRACKING_URI": mlflow.get_tracking_uri(),
        "MLFLOW_EXPERIMENT_NAME": tmp_path.name,
        "PYTHONPATH": str(Path(__file__).parent),
    }
    environment.pop("MLFLOW_EXPERIMENT_ID")
    done = subprocess.run([sys.executable, "-c", _DIES], env=environment, capture_output=True, text=True, check=False)
    assert "RuntimeError: power cut" in done.stderr
    (run,) = runs(store)
    assert run.info.status == "FAILED"
    assert [step for step, _ in points(store, run, "hls_lut")] == [0]


def test_server_is_reached_and_exit_is_clean_without_warnings(store: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", HLSWarning)
        train([export()], epochs=1)
    assert len(runs(store)) == 1
