# ruff: noqa: PT031
"""The thread that carries records to MLflow, with a stand-in for MLflow that is slow or fails at will."""

from __future__ import annotations

import sys
import threading
import time
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from keras_hls import tracking
from keras_hls.errors import HLSWarning


class FakeMLflow(types.ModuleType):
    """Takes what the sink hands it; slow or failing at will."""

    def __init__(self) -> None:
        super().__init__("mlflow")
        self.calls: list[tuple[Any, ...]] = []
        self.fail: Exception | None = None
        self.gate = threading.Event()
        self.gate.set()
        self.uri = "sqlite:///m.db"
        self.entities = types.ModuleType("mlflow.entities")
        self.entities.Metric = lambda key, value, timestamp, step: (key, value, step)  # type: ignore[attr-defined]
        self.entities.RunTag = lambda key, value: (key, value)  # type: ignore[attr-defined]
        self.MlflowClient = lambda: self

    def _take(self, *call: Any) -> None:
        self.gate.wait(30)
        self.calls.append(call)
        if self.fail is not None:
            raise self.fail

    def get_tracking_uri(self) -> str:
        return self.uri

    def active_run(self) -> None:
        return None

    def start_run(self) -> Any:
        self._take("start_run")
        return types.SimpleNamespace(info=types.SimpleNamespace(run_id="new"))

    def end_run(self, status: str) -> None:
        self._take("end_run", status)

    def log_batch(self, run_id: str, metrics: Any = (), tags: Any = (), synchronous: bool | None = None) -> None:
        assert synchronous
        self._take("log_batch", run_id, *metrics, *tags)

    def log_text(self, run_id: str, text: str, artifact: str) -> None:
        self._take("log_text", run_id, text, artifact)

    def log_artifact(self, run_id: str, path: str, folder: str) -> None:
        self._take("log_artifact", run_id, Path(path).name, folder)


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeMLflow]:
    module = FakeMLflow()
    monkeypatch.setitem(sys.modules, "mlflow", module)
    monkeypatch.setitem(sys.modules, "mlflow.entities", module.entities)
    monkeypatch.delenv("MLFLOW_RUN_ID", raising=False)
    yield module
    module.gate.set()


def test_new_run_is_opened_and_ended(fake: FakeMLflow, tmp_path: Path) -> None:
    (tmp_path / "p/inner").mkdir(parents=True)
    (tmp_path / "p/a.txt").write_text("a")
    (tmp_path / "p/inner/b.txt").write_text("b")
    sink = tracking.MLflowSink()
    assert not sink.joined
    sink.join(None)
    sink.metrics({"hls_lut": 3, "loss[0]%": 1.5}, 7)
    sink.tags({"hls.part": "x", "hls.clock_period": 5.0})
    sink.text("table", "hls/estimate.txt")
    sink.files(tmp_path / "p", "hls/project")
    sink.files(tmp_path / "p/a.txt", "hls")
    sink.close()
    assert fake.calls == [
        ("start_run",),
        ("log_batch", "new", ("hls_lut", 3.0, 7), ("loss_0__", 1.5, 7)),
        ("log_batch", "new", ("hls.part", "x"), ("hls.clock_period", "5.0")),
        ("log_text", "new", "table", "hls/estimate.txt"),
        ("log_artifact", "new", "a.txt", "hls/project"),
        ("log_artifact", "new", "b.txt", "hls/project/inner"),
        ("log_artifact", "new", "a.txt", "hls"),
        ("end_run", "FINISHED"),
    ]
    assert sink.run_id == "new"


def test_run_of_somebody_else_is_neither_opened_nor_ended(fake: FakeMLflow) -> None:
    sink = tracking.MLflowSink()
    sink.join("theirs")
    sink.metrics({"a": 1}, 0)
    sink.close("FAILED")
    assert fake.calls == [("log_batch", "theirs", ("a", 1.0, 0))]


def test_run_that_the_environment_names_is_not_ended(fake: FakeMLflow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_RUN_ID", "new")
    sink = tracking.MLflowSink()
    sink.join(None)
    sink.close()
    assert fake.calls == [("start_run",)]


def test_training_without_an_epoch_opens_no_run(fake: FakeMLflow) -> None:
    sink = tracking.MLflowSink()
    sink.close()
    sink._thread.join(10)
    assert not sink._thread.is_alive()
    assert fake.calls == []


def test_many_metrics_go_in_calls_of_a_thousand(fake: FakeMLflow) -> None:
    sink = tracking.MLflowSink()
    sink.join("theirs")
    sink.metrics({f"m{i}": i for i in range(2500)}, 0)
    sink.close()
    assert [len(call) - 2 for call in fake.calls] == [1000, 1000, 500]


def test_first_failure_ends_the_record_with_one_warning(fake: FakeMLflow) -> None:
    fake.fail = ConnectionError("refused.\nA long trace")
    fake.uri = "https://me:secret@mlflow.example:5000/x"
    sink = tracking.MLflowSink()
    sink.join("theirs")
    sink.metrics({"a": 1}, 0)
    sink._thread.join(10)
    text = (
        r"^MLflow at https://mlflow.example:5000/x failed, so nothing more is logged there: ConnectionError: refused\."
        r" The training isn't affected$"
    )
    with pytest.warns(HLSWarning, match=text):
        sink.metrics({"a": 1}, 1)
    sink.metrics({"a": 1}, 2)
    sink.close()
    assert len(fake.calls) == 1


def test_own_run_in_a_local_store_is_ended_after_a_failure(fake: FakeMLflow) -> None:
    sink = tracking.MLflowSink()
    sink.join(None)
    sink.tags({"a": 1})
    deadline = time.monotonic() + 10
    while len(fake.calls) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    fake.fail = OSError("disk full")
    sink.tags({"a": 1})
    with pytest.warns(HLSWarning, match="OSError: disk full"):
        sink.close()
    sink._thread.join(10)
    assert fake.calls[-1] == ("end_run", "FAILED")


def test_store_that_hangs_costs_a_bounded_time(fake: FakeMLflow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking, "_SERVER_PATIENCE", (0.3, 1.0))
    fake.gate.clear()
    fake.uri = "http://mlflow.example"
    sink = tracking.MLflowSink()
    sink.join("theirs")
    start = time.monotonic()
    for epoch in range(3):
        sink.metrics({"a": 1}, epoch)
    assert time.monotonic() - start < 0.2
    with pytest.warns(HLSWarning, match=r"MLflow at http://mlflow.example didn't answer for 0 s when the training"):
        sink.close()
    assert time.monotonic() - start < 5
    fake.gate.set()
    sink._thread.join(10)
    assert not sink._thread.is_alive()
    # What was under way has come to its end; nothing more was begun.
    assert len(fake.calls) == 1


def test_store_that_is_slow_but_alive_is_waited_for(fake: FakeMLflow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tracking, "_SERVER_PATIENCE", (0.5, 60.0))
    fake.uri = "http://mlflow.example"
    take = fake._take

    def slowly(*call: Any) -> None:
        time.sleep(0.1)
        take(*call)

    fake._take = slowly  # type: ignore[method-assign]
    sink = tracking.MLflowSink()
    sink.join("theirs")
    for epoch in range(12):
        sink.metrics({"a": 1}, epoch)
    sink.close()
    assert len(fake.calls) == 12


def test_epochs_that_do_not_fit_into_the_queue_are_left_out(fake: FakeMLflow) -> None:
    fake.gate.clear()
    sink = tracking.MLflowSink()
    sink.join("theirs")
    text = "MLflow is slower than the training: 100 entries wait, and further ones are left out"
    with pytest.warns(HLSWarning, match=text) as found:
        for epoch in range(150):
            sink.metrics({"a": 1}, epoch)
    assert len(found) == 1
    sink.tags({"hls.part": "x"})
    fake.gate.set()
    sink.close()
    assert len(fake.calls) in (101, 102)
    # There is room for what ends a training.
    assert fake.calls[-1] == ("log_batch", "theirs", ("hls.part", "x"))


def test_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    assert not tracking.installed()
    assert tracking.active_run_id() is None
