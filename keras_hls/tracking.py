"""MLflow as the record, off the training thread: a store that is slow or down costs a warning, never the training.

MLflow itself is imported by the worker thread alone, so neither its import nor a new store's first migration stalls an
epoch, and every call to a server is made there.
"""

from __future__ import annotations

import atexit
import importlib.util
import os
import queue
import re
import sys
import threading
import time
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from keras_hls.errors import HLSWarning

#: Epochs that may wait for the store.
QUEUE_SIZE = 100
# Room beyond them for what is recorded when a training ends.
_RESERVE = 20
#: Metrics that MLflow takes in one call.
_BATCH = 1000
# Seconds without any progress, and in all, that the end of training waits for the store. A local one can't hang, but a
# new SQLite file takes its time to be set up; a server that says nothing for this long mostly never will.
_LOCAL_PATIENCE = (60.0, 600.0)
_SERVER_PATIENCE = (5.0, 30.0)

Job = Callable[[Any, str], None]


class MLflowSink:
    """Carries what one training has to record to MLflow, in a thread of its own.

    Every method but `close` returns at once; none raises for what goes wrong with MLflow. After the first failure
    nothing more is sent, and there is one warning, given by the next call from the training thread.

    Attributes
    ----------
    run_id : str or None
        The run, once it is known.
    """

    def __init__(self) -> None:
        self.run_id: str | None = None
        self._queue: queue.Queue[Job | None] = queue.Queue(QUEUE_SIZE + _RESERVE)
        self._failure: str | None = None
        self._warned = False
        self._dropped = 0
        self._given_up = threading.Event()
        self._joined: str | None = None
        self._decided = threading.Event()
        self._status = "FINISHED"
        self._progress = time.monotonic()
        self._patience = _LOCAL_PATIENCE
        self._thread = threading.Thread(target=self._work, name="keras_hls-mlflow", daemon=True)
        self._thread.start()
        # A training that an exception ends never comes to `close`.
        atexit.register(self._abandon)

    @property
    def joined(self) -> bool:
        """Whether `join` was called."""
        return self._decided.is_set()

    def join(self, run_id: str | None) -> None:
        """Record in a run that somebody else has opened and will end, or in a new one if `run_id` is None."""
        self._joined = run_id
        self._decided.set()

    def metrics(self, values: Mapping[str, float], step: int) -> None:
        """Record numbers of one epoch; `step` is the epoch."""
        moment = int(time.time() * 1000)
        points = [(_metric_name(name), float(value)) for name, value in values.items()]
        if self._queue.qsize() >= QUEUE_SIZE:
            self._dropped += 1
            self.warn()
            return

        def job(client: Any, run_id: str) -> None:
            from mlflow.entities import Metric

            batch = [Metric(name, value, moment, step) for name, value in points]
            for start in range(0, len(batch), _BATCH):
                client.log_batch(run_id, metrics=batch[start : start + _BATCH], synchronous=True)

        self._send(job)

    def tags(self, values: Mapping[str, object]) -> None:
        """Record facts that another training of the same run may change (a param of MLflow can't be changed)."""
        texts = {name: str(value)[:5000] for name, value in values.items()}

        def job(client: Any, run_id: str) -> None:
            from mlflow.entities import RunTag

            client.log_batch(run_id, tags=[RunTag(name, text) for name, text in texts.items()], synchronous=True)

        self._send(job)

    def text(self, text: str, artifact: str) -> None:
        """Record a text as the artifact of that name."""
        self._send(lambda client, run_id: client.log_text(run_id, text, artifact))

    def files(self, path: Path, folder: str) -> None:
        """Record a file, or all files of a directory, in an artifact folder."""

        def job(client: Any, run_id: str) -> None:
            for file in sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]:
                if self._given_up.is_set():
                    return
                inner = file.relative_to(path).parent.as_posix() if path.is_dir() else "."
                client.log_artifact(run_id, str(file), folder if inner == "." else f"{folder}/{inner}")
                self._progress = time.monotonic()

        self._send(job)

    def close(self, status: str = "FINISHED") -> None:
        """Wait until all is recorded, but for a bounded time, and end the run if it was opened here.

        Parameters
        ----------
        status : str
            Of a run that was opened here: "FINISHED" or "FAILED".
        """
        self._status = status
        atexit.unregister(self._abandon)
        if not self.joined:
            # No epoch has ended: there is nothing to record, so no run to open.
            self._given_up.set()
            self._decided.set()
            return
        self._put(None)
        self._wait()
        self.warn()

    def warn(self) -> None:
        """Give the one warning, if there is a reason for it."""
        if self._warned:
            return
        reason = self._failure
        if reason is None and self._dropped:
            reason = f"MLflow is slower than the training: {QUEUE_SIZE} entries wait, and further ones are left out"
        if reason is not None:
            self._warned = True
            warnings.warn(f"{reason}. The training isn't affected", HLSWarning, stacklevel=3)

    # On the training thread.

    def _send(self, job: Job) -> None:
        self.warn()
        if self._failure is None:
            self._put(job)

    def _put(self, job: Job | None) -> None:
        try:
            self._queue.put_nowait(job)
        except queue.Full:
            self._dropped += 1
            if job is None:
                # The end must be seen, also behind a queue that nobody empties.
                self._given_up.set()

    def _wait(self) -> None:
        begin = time.monotonic()
        while self._thread.is_alive() and self._failure is None:
            self._thread.join(0.02)
            still, whole = self._patience
            now = time.monotonic()
            if now - max(self._progress, begin) > still or now - begin > whole:
                self._given_up.set()
                left = self._queue.qsize()
                self._failure = self._failure or (
                    f"MLflow at {_place()} didn't answer for {now - max(self._progress, begin):.0f} s when the training"
                    f" ended, so what was still to be logged is missing there ({left} entries and the one under way)"
                )
                return

    def _abandon(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", HLSWarning)
            self.close("FAILED")

    # On the worker's thread.

    def _work(self) -> None:
        try:
            import mlflow

            self._patience = _SERVER_PATIENCE if _is_server(mlflow.get_tracking_uri()) else _LOCAL_PATIENCE
            self._decided.wait()
            if self._given_up.is_set():
                return
            # MLflow keeps active runs by thread: this one will be active here, and nowhere else.
            own = self._joined is None and "MLFLOW_RUN_ID" not in os.environ
            run_id = self.run_id = self._joined or str(mlflow.start_run().info.run_id)
        except Exception as error:
            self._failure = _sentence(error)
            return
        try:
            client = mlflow.MlflowClient()
            while not self._given_up.is_set():
                self._progress = time.monotonic()
                job = self._queue.get()
                if job is None:
                    break
                job(client, run_id)
        except Exception as error:
            # Whatever goes wrong in MLflow ends the record, and nothing else.
            self._failure, self._status = _sentence(error), "FAILED"
        if own and (self._failure is None or self._patience is _LOCAL_PATIENCE):
            try:
                mlflow.end_run(self._status)
            except Exception as error:
                self._failure = self._failure or _sentence(error)


def installed() -> bool:
    """Whether MLflow can be imported; it isn't imported."""
    try:
        return importlib.util.find_spec("mlflow") is not None
    except ValueError:
        return False


def active_run_id() -> str | None:
    """Return the run that is active in this thread, if any; asks no server, and doesn't import MLflow."""
    # Without MLflow in the process there is no run; the attribute is missing while another thread imports it.
    active = getattr(sys.modules.get("mlflow"), "active_run", None)
    try:
        run = active() if active is not None else None
        return None if run is None else str(run.info.run_id)
    except Exception:
        return None


def _metric_name(name: str) -> str:
    return re.sub(r"[^-\w. :/]", "_", name)[:250]


def _is_server(uri: str) -> bool:
    return urlsplit(uri).scheme in ("http", "https", "databricks", "databricks-uc", "uc")


def _sentence(error: Exception) -> str:
    text = (str(error).strip().splitlines() or [""])[0][:400].rstrip(".")
    return f"MLflow at {_place()} failed, so nothing more is logged there: {type(error).__name__}: {text}"


def _place() -> str:
    tracking = getattr(sys.modules.get("mlflow"), "get_tracking_uri", None)
    try:
        parts = urlsplit(str(tracking()) if tracking is not None else "")
    except Exception:
        return "its store"
    if not parts.scheme:
        return "its store"
    # Never a user's name or password.
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
