"""The callback that knows in every epoch what the network will cost, and leaves the best one as an HLS project."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy.typing as npt

from keras_hls import tracking
from keras_hls.api import snapshot as take_snapshot
from keras_hls.callbacks.base import HLSCallback
from keras_hls.callbacks.checks import check_model
from keras_hls.callbacks.criteria import KEYS, Budget, Excess, Monitor
from keras_hls.callbacks.hardware_metrics import HardwareMetrics, labelled
from keras_hls.callbacks.recording import Recorder
from keras_hls.cost import ResourceEstimate
from keras_hls.emitters import backend
from keras_hls.errors import CSimulationError, HLSError, HLSWarning, InvalidOption, VerificationError
from keras_hls.folder import check_target
from keras_hls.options import Options
from keras_hls.project import Project, reference
from keras_hls.sim.emulator import Samples
from keras_hls.snapshots import Snapshot
from keras_hls.verification import Verification


class HLSExport(HLSCallback):
    """Estimates the cost of the network in every epoch, and exports the best epoch when the training ends.

    ::

        model.fit(x, y, validation_data=(x_val, y_val), callbacks=[
            HLSExport("build/jet", monitor="val_accuracy", budget={"lut": 50_000}, validation=x_val),
            keras.callbacks.CSVLogger("training.csv"),
        ])

    Every epoch has ``hls_lut``, ``hls_ff``, ``hls_dsp``, ``hls_bram`` (blocks of 18 kbit), ``hls_latency_cycles`` and
    ``hls_ii`` (clock cycles) in its ``logs``: they are in the progress line and the history, and callbacks after this
    one in the list can use them (with ``mode="min"``). They are NaN for an epoch that couldn't be read. The model, of
    Keras 3, Keras 2 or tf_keras, is only read: training goes the same way with and without this callback.

    The best epoch so far is always complete on disk, as ``<directory>.khls``; `keras_hls.load` opens it.

    Parameters
    ----------
    directory : str or Path
        The project's folder; replaced only if it is a project of keras_hls.
    monitor : str
        The key in ``logs`` that says which epoch is best; one that this callback adds will do. As long as no epoch has
        it, the latest epoch counts as best.
    mode : {"auto", "min", "max"}
        Whether less or more of it is better; "auto" tells by its name.
    budget : mapping of str to number or str, optional
        Limits of "lut", "ff", "dsp", "bram" (blocks of 18 kbit), "latency_cycles" or "ii" (clock cycles); of a resource also
        a share of what the part has, as ``"50%"``. Epochs that need more are never exported.
    every : int
        Look at every n-th epoch only, and at the last one; with labels at the first one too. Epochs between them have NaN for
        their cost, and can't be the best.
    save_best_only : bool
        False exports the latest epoch within the budget, whatever `monitor` says of it.
    validation : samples, or tuple of samples and labels, optional
        Inputs of the network: an array, a list of arrays or a dict by input name. The project's answers to them are compared
        with Keras's in the best epoch. Without them, C-simulation and emulator are compared on random ones. With labels,
        ``(x, y)`` or ``(x, y, sample_weight)``, every epoch also has ``val_hls_loss`` and ``val_hls_<metric>`` in its
        ``logs``: the loss (without penalties of layers) and the metrics that the model is compiled with, of what the
        hardware answers, bit for bit, by the integer emulator. ``monitor="val_hls_accuracy"`` is the accuracy that the
        project will have.
    calibration : samples, optional
        Inputs of the network that show layers without quantizers their ranges; see `keras_hls.snapshot`.
    mlflow : bool
        Also record the training in MLflow: in the run that is active, or in a new one. What another callback of MLflow,
        or its autologging, logs isn't logged again.
    on_error : {"warn", "raise"}
        What becomes of this callback's errors while the model trains. MLflow's are never raised.
    verbose : int
        0 prints nothing; 1 says at the end what was exported and how it was verified.
    **options
        See `keras_hls.options.Options`: part, clock_period, strategy, reuse_factor, layers, ...

    Attributes
    ----------
    estimates : dict of int to ResourceEstimate
        By epoch, counted from 0.
    best_epoch : int or None
        Counted from 0.
    best_value : float or None
        Of `monitor` in that epoch.
    best_snapshot : Snapshot or None
    project : Project or None
        What was exported when the training ended.
    verification : Verification or None
        Of that project; None if it failed.
    run_id : str or None
        MLflow's, when the training has ended.

    Raises
    ------
    InvalidOption
        For an unknown option, value or budget.
    UnsupportedModel, InvalidModel, InvalidData, OutputFolderError
        When a training begins: if the model can't be exported, `validation` doesn't fit it, or the folder can't be
        written.
    """

    def __init__(
        self,
        directory: str | Path,
        monitor: str = "val_loss",
        mode: str = "auto",
        *,
        budget: Mapping[str, float | str] | None = None,
        every: int = 1,
        save_best_only: bool = True,
        validation: Samples | tuple[Any, ...] | None = None,
        calibration: Samples | None = None,
        mlflow: bool = False,
        on_error: str = "warn",
        verbose: int = 1,
        **options: Any,
    ):
        super().__init__()
        if on_error not in ("warn", "raise"):
            raise InvalidOption(f"on_error must be 'warn' or 'raise', not {on_error!r}")
        if isinstance(every, bool) or not isinstance(every, int) or every < 1:
            raise InvalidOption(f"every must be a number of epochs, 1 or more, not {every!r}")
        backend(Options.of(**options).backend)
        self.directory = Path(directory)
        self._monitor = Monitor(monitor, mode)
        self.monitor, self.mode = self._monitor.name, self._monitor.mode
        self._budget = Budget({} if budget is None else budget)
        self.every = every
        self.save_best_only = save_best_only
        self.validation, self._labels = labelled(validation)
        self.calibration = calibration
        self.mlflow = mlflow
        self.on_error = on_error
        self.verbose = verbose
        self.options = options
        self._recorder: Recorder | None = None
        self._reset()

    def _reset(self) -> None:
        self.estimates: dict[int, ResourceEstimate] = {}
        self.best_epoch: int | None = None
        self.best_value: float | None = None
        self.best_snapshot: Snapshot | None = None
        self.project: Project | None = None
        self.verification: Verification | None = None
        self.run_id: str | None = None
        self._expected: list[npt.NDArray[Any]] | None = None
        self._reference: Callable[[Samples], list[npt.NDArray[Any]]] | None = None
        self._nearest: tuple[int, Excess] | None = None
        self._metrics: HardwareMetrics | None = None
        self._metric_keys: tuple[str, ...] = ()
        self._said: set[str] = set()

    def __getstate__(self) -> dict[str, Any]:
        # The thread and the function that ask the model belong to a training, as the model does.
        return {**super().__getstate__(), "_recorder": None, "_reference": None, "_metrics": None}

    # What Keras calls.

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._reset()
        if self._recorder is not None:
            # The last training of this object was ended by an exception.
            self._recorder.close("FAILED")
            self._recorder = None
        check_target(self.directory)
        check_model(self.model, self.options, self.validation, self.calibration)
        if not self.mlflow:
            return
        if tracking.installed():
            self._recorder = Recorder()
        else:
            self._warn("mlflow", "MLflow isn't installed, so nothing is logged to it; pip install 'keras-hls[mlflow]'")

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        logs = {} if logs is None else logs
        # Loggers need the same keys in every epoch.
        logs.update(dict.fromkeys((*KEYS, *self._metric_keys), math.nan))
        try:
            if not self._is_looked_at(epoch):
                return
            with self._guarded(f"Epoch {epoch + 1} can't be exported, so its cost is unknown", "snapshot"):
                snapshot = take_snapshot(self.model, calibration=self.calibration, **self.options)
                estimate = self.estimates[epoch] = snapshot.estimate()
                logs.update({key: float(value) for key, value in estimate.metrics().items()})
                with self._guarded("The hardware's answers can't be held against the labels", "metrics"):
                    logs.update(self._measured(snapshot))
                with self._guarded(f"Epoch {epoch + 1} can't be compared with the best one", "compare"):
                    self._consider(epoch, snapshot, estimate, logs)
        finally:
            if self._recorder is not None:
                self._recorder.epoch(self, epoch, logs, (*KEYS, *self._metric_keys), self.estimates.get(epoch))

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        try:
            with self._guarded("Nothing was exported, or not verified", "export"):
                self._export()
        finally:
            self._reference = self._metrics = None
            self._record_result()

    # In the training.

    def _measured(self, snapshot: Snapshot) -> dict[str, float]:
        """What the model's metrics say of the hardware's answers, by key; nothing without labels."""
        if not self._labels or self.validation is None:
            return {}
        if self._metrics is None:
            self._metrics = HardwareMetrics(self.model, snapshot.graph)
        answers = snapshot.predict(self.validation)
        found = self._metrics(answers if isinstance(answers, list) else [answers], self._labels)
        self._metric_keys = tuple(found)
        return found

    def _is_looked_at(self, epoch: int) -> bool:
        if self._labels and not self._metric_keys:
            # Loggers take their columns from the first epoch, and what the metrics are called is known once they were asked.
            return True
        # A training loop of one's own may say nothing of its length; Keras 2 hasn't even the attribute then.
        last = (getattr(self, "params", None) or {}).get("epochs")
        return (epoch + 1) % self.every == 0 or epoch + 1 == last

    def _consider(self, epoch: int, snapshot: Snapshot, estimate: ResourceEstimate, logs: Mapping[str, Any]) -> None:
        """Keep the epoch if it is the best one so far."""
        excess = self._budget.excess(estimate)
        if excess is not None:
            if self._nearest is None or excess.share < self._nearest[1].share:
                self._nearest = epoch, excess
            return
        value = self._monitored(logs)
        if self.save_best_only and not self._monitor.better(value, self.best_value):
            return
        self.best_epoch, self.best_value, self.best_snapshot = epoch, value, snapshot
        self._expected = None
        with self._guarded("The best epoch so far couldn't be written", "save"):
            snapshot.save(self._snapshot_file)
        if self.validation is not None:
            with self._guarded("Keras's answers for the verification couldn't be had", "reference"):
                if self._reference is None:
                    self._reference = reference(self.model, snapshot.graph)
                self._expected = self._reference(self.validation)

    def _monitored(self, logs: Mapping[str, Any]) -> float | None:
        try:
            return self._monitor.value(logs)
        except InvalidOption as error:
            if not self.save_best_only:
                # Then it decides nothing.
                return None
            if self.on_error == "raise":
                raise
            self._warn("monitor", f"{error}. As long as no epoch has it, the latest one is kept as the best")
            return None

    # When it ends.

    @property
    def _snapshot_file(self) -> Path:
        return self.directory.with_name(self.directory.name + ".khls")

    def _export(self) -> None:
        if self.best_snapshot is None:
            if self._nearest is None:
                # No epoch at all, or none that could be read, of which there was a warning.
                return
            epoch, excess = self._nearest
            raise HLSError(f"no epoch was within the budget; epoch {epoch + 1} came nearest, with {excess.text}")
        snapshot, expected = self.best_snapshot, self._expected
        # Without Keras's answers, random samples do as well.
        samples = True if self.validation is None or expected is None else self.validation
        self._say(f"\nHLSExport: writing {self._summary()} to {str(self.directory)!r}")
        try:
            self.project = snapshot.export(self.directory, verify=samples, expected=expected)
        except (VerificationError, CSimulationError):
            # It is there, for a look at it.
            self.project = Project(self.directory)
            raise
        self.verification = self.project.verification
        self._say(str(self.verification))
        if self.validation is None:
            self._say("Give HLSExport samples, as validation=..., to hold the project against Keras as well.")

    def _summary(self) -> str:
        assert self.best_epoch is not None
        cost = self.estimates[self.best_epoch]
        value = "" if self.best_value is None else f"{self.monitor} {self.best_value:.4g}, "
        counts = f"{cost.lut:,} LUT, {cost.ff:,} FF, {cost.dsp:,} DSP, {cost.bram:,} BRAM"
        return f"epoch {self.best_epoch + 1} ({value}{counts}, {cost.latency_cycles:,} cycles, II {cost.ii})"

    def _say(self, text: str) -> None:
        if self.verbose:
            print(text, flush=True)

    def _record_result(self) -> None:
        recorder, self._recorder = self._recorder, None
        if recorder is None:
            return
        best, epoch = self.best_snapshot, self.best_epoch
        if best is not None and epoch is not None:
            facts = {"best_epoch": epoch, "monitor": self.monitor, "budget": dict(self._budget.limits)}
            facts["verification"] = "failed" if self.verification is None else str(self.verification)
            recorder.result(best, self.estimates[epoch], self._snapshot_file, self.project, facts)
        self.run_id = recorder.close()

    # Troubles.

    @contextmanager
    def _guarded(self, what: str, kind: str) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            if self.on_error == "raise":
                raise
            text = str(error) if isinstance(error, HLSError) else f"{type(error).__name__}: {error}"
            self._warn(kind, f"{what}: {text}")

    def _warn(self, kind: str, text: str) -> None:
        """Warn once in a training of each kind of trouble."""
        if kind not in self._said:
            self._said.add(kind)
            warnings.warn(f"HLSExport: {text}", HLSWarning, stacklevel=3)
