"""What of a training is recorded in MLflow, and what is left to MLflow's own callbacks.

Scalars of an epoch go into Keras's ``logs``, from where MLflow's callback and its autologging take them. So that none
is logged twice, only those that nobody else is going to take are sent from here; things (project, tables) always are.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from numbers import Real
from pathlib import Path
from typing import Any

from keras_hls import tracking
from keras_hls.cost import ResourceEstimate
from keras_hls.project import Project
from keras_hls.snapshots import Snapshot


class Recorder:
    """Records one training in MLflow, in the run that is active or in a new one; never raises for what MLflow does."""

    def __init__(self) -> None:
        self._sink = tracking.MLflowSink()

    def epoch(
        self, callback: Any, epoch: int, logs: Mapping[str, Any], ours: Sequence[str], estimate: ResourceEstimate | None
    ) -> None:
        """Record an epoch; called from a hook of `callback`, which adds the keys `ours` to its `logs`."""
        if not self._sink.joined:
            # Not before the first epoch ends: a callback after ours may open a run when the training begins.
            self._sink.join(tracking.active_run_id())
        values = scalars_to_log(logs, ours, callback)
        if estimate is not None:
            values.update(layer_metrics(estimate))
        self._sink.metrics(values, epoch)

    def result(
        self,
        best: Snapshot,
        estimate: ResourceEstimate,
        snapshot_file: Path,
        project: Project | None,
        facts: Mapping[str, object],
    ) -> None:
        """Record what came of a training: artifacts in the folder "hls", and tags that begin with "hls."."""
        chosen = {name: getattr(best.options, name) for name in ("backend", "part", "clock_period", "io_type")}
        plan = {"strategy": best.options.strategy, "reuse_factor": best.options.reuse_factor}
        self._sink.tags({f"hls.{name}": value for name, value in {**chosen, **plan, **facts}.items()})
        self._sink.text(json.dumps(estimate.to_dict(), indent=1) + "\n", "hls/estimate.json")
        self._sink.text(f"{estimate}\n", "hls/estimate.txt")
        if snapshot_file.is_file():
            self._sink.files(snapshot_file, "hls")
        if project is not None:
            self._sink.files(project.directory, "hls/project")

    def close(self, status: str = "FINISHED") -> str | None:
        """Wait for MLflow, but for a bounded time, end the run if it was opened here, and return its id."""
        self._sink.close(status)
        return self._sink.run_id


def scalars_to_log(logs: Mapping[str, Any], ours: Sequence[str], callback: Any) -> dict[str, float]:
    """Return the numbers of an epoch's `logs` that no callback of MLflow is going to log, so that none is logged twice.

    Parameters
    ----------
    logs : mapping
    ours : sequence of str
        The keys that `callback` adds; a callback before it in Keras's list doesn't see them.
    callback : keras.callbacks.Callback
        Whose hook this is called from.
    """
    numbers = {k: float(v) for k, v in logs.items() if isinstance(v, Real) and not isinstance(v, bool)}
    listed = _callbacks_around(callback)
    if listed is None:
        return {} if _autologging() else numbers
    place = next(i for i, other in enumerate(listed) if other is callback)
    # Autologging, too, works by a callback in the list.
    theirs = [i for i, other in enumerate(listed) if type(other).__module__.split(".")[0] == "mlflow"]
    if any(i > place and getattr(listed[i], "log_every_epoch", True) for i in theirs):
        return {}
    return {k: v for k, v in numbers.items() if k in ours} if theirs else numbers


def layer_metrics(estimate: ResourceEstimate) -> dict[str, float]:
    """Return ``hls/<layer>/<quantity>`` for each layer: its operations' resources added up, and their largest interval.

    Latencies of operations that run side by side don't add up: see the estimate's table.
    """
    found: dict[str, float] = {}
    for row in estimate.layers:
        head = "hls/" + re.sub(r"[^-\w. :]", "_", row.layer)
        for quantity in ("lut", "ff", "dsp", "bram"):
            key = f"{head}/{quantity}"
            found[key] = found.get(key, 0.0) + float(getattr(row, quantity))
        found[f"{head}/ii"] = max(found.get(f"{head}/ii", 0.0), float(row.ii or 0))
    return found


def _callbacks_around(callback: Any) -> list[Any] | None:
    """Return Keras's list of callbacks, from one of whose hooks this is called.

    Keras hands it to nobody, so it is looked up where it stands: in the frame that called the hook.
    """
    frame = sys._getframe(1)
    while frame is not None:
        caller = frame.f_locals.get("self")
        if any(cls.__name__ == "CallbackList" for cls in type(caller).__mro__):
            listed = getattr(caller, "callbacks", None)
            if isinstance(listed, list) and any(other is callback for other in listed):
                return listed
        frame = frame.f_back  # type: ignore[assignment]
    return None


def _autologging() -> bool:
    """Whether a fit that MLflow's autologging has wrapped is under way."""
    safety = sys.modules.get("mlflow.utils.autologging_utils.safety")
    manager = getattr(safety, "_AutologgingSessionManager", None)
    try:
        return manager is not None and manager.active_session() is not None
    except Exception:
        return False
