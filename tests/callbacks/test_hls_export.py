# ruff: noqa: PT031
"""HLSExport among Keras's own callbacks, over whole trainings, and where things go wrong."""

from __future__ import annotations

import copy
import errno
import math
import pickle
import random
import re
import subprocess
import sys
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from networks import HGQ2, cast, dense, drawn, keras, kernel_of, needs_hgq2, network, sequential

import keras_hls
from keras_hls.callbacks import HLSExport
from keras_hls.callbacks.criteria import KEYS, Budget, Monitor
from keras_hls.errors import (
    HLSWarning,
    InvalidData,
    InvalidModel,
    InvalidOption,
    OutputFolderError,
    UnsupportedModel,
    VerificationError,
)

pytestmark = [pytest.mark.keras3] if HGQ2 else []

RNG = np.random.default_rng(0)
X = RNG.normal(size=(8, 6)).astype("float32")
Y = RNG.normal(size=(8, 3)).astype("float32")


@pytest.fixture(autouse=True)
def _place(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    keras.utils.set_random_seed(0)
    # One for all tests, so that no C++ is compiled twice.
    monkeypatch.setenv("KERAS_HLS_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


def train(model: Any, callbacks: list[Any], epochs: int = 3, verbose: int = 0, **more: Any) -> dict[str, list[float]]:
    more = {"validation_data": (X, Y), **more}
    return model.fit(X, Y, batch_size=4, epochs=epochs, verbose=verbose, callbacks=callbacks, **more).history


def begun(callback: HLSExport, model: Any | None = None) -> Any:
    """A training in which the test itself calls the hooks; returns the model."""
    model = network() if model is None else model
    callback.set_model(model)
    callback.on_train_begin()
    return model


def ours_of(found: Any) -> list[Any]:
    return [w for w in found if w.category is HLSWarning]


def shift(model: Any, by: float) -> None:
    kernel = kernel_of(model.get_layer("hidden"))
    kernel.assign(kernel + by)


# Among Keras's callbacks.


def test_figures_are_in_every_place_that_reads_logs(tmp_path: Path) -> None:
    stopper = keras.callbacks.EarlyStopping(monitor="hls_lut", mode="min", patience=100)
    seen: list[dict[str, Any]] = []
    others = [
        stopper,
        keras.callbacks.ModelCheckpoint(
            "m-{epoch}-{hls_lut:.0f}.weights.h5", monitor="hls_lut", mode="min", save_weights_only=True
        ),
        keras.callbacks.CSVLogger("log.csv"),
        keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(dict(logs))),
    ]
    history = train(network(), [HLSExport("b", verbose=0), *others])
    assert {key: len(history[key]) for key in KEYS} == dict.fromkeys(KEYS, 3)
    assert all(type(logs[key]) is float for logs in seen for key in KEYS)
    assert history["hls_lut"][-1] > 0
    head, *rows = (tmp_path / "log.csv").read_text().splitlines()
    assert set(KEYS) <= set(head.split(","))
    assert len(rows) == 3
    assert stopper.best == min(history["hls_lut"])
    assert (tmp_path / f"m-3-{history['hls_lut'][2]:.0f}.weights.h5").exists()


@pytest.mark.parametrize("place", [0, 1, 2])
def test_any_place_in_the_list(place: int) -> None:
    others: list[Any] = [
        keras.callbacks.CSVLogger("log.csv"),
        keras.callbacks.EarlyStopping(patience=9, restore_best_weights=True),
    ]
    ours = HLSExport("b", verbose=0, validation=X)
    others.insert(place, ours)
    history = train(network(), others)
    assert [len(history[key]) for key in KEYS] == [3] * len(KEYS)
    assert ours.best_epoch == int(np.argmin(history["val_loss"]))
    assert ours.verification is not None
    assert ours.verification.samples == 8
    assert ours.verification.ok


def test_progress_line_shows_the_cost(capsys: pytest.CaptureFixture[str]) -> None:
    train(network(), [HLSExport("b")], epochs=1, verbose=2)
    out = capsys.readouterr().out
    assert re.search(r"val_mae: \S+ - hls_lut: \d", out)
    assert re.search(r"HLSExport: writing epoch 1 \(val_loss \S+, [\d,]+ LUT, .* II 1\) to 'b'\n", out)
    assert "C-simulation against emulator: 0 of" in out


def test_silent(capsys: pytest.CaptureFixture[str]) -> None:
    train(network(), [HLSExport("b", verbose=0)], epochs=1)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("overflow", ["SAT", pytest.param("WRAP", marks=needs_hgq2)])
def test_graph_mode_and_wrapping_quantizers_that_the_training_calibrates(overflow: str) -> None:
    model = network(overflow=overflow)
    model.compile("adam", "mse")
    ours = HLSExport("b", verbose=0, validation=X)
    train(model, [ours], epochs=2)
    assert ours.verification is not None
    assert ours.verification.ok


def test_two_fits_of_one_object() -> None:
    ours = HLSExport("b", verbose=0)
    model = network()
    train(model, [ours])
    first = ours.best_snapshot
    train(model, [ours], epochs=4, initial_epoch=2)
    assert sorted(ours.estimates) == [2, 3]
    assert ours.best_snapshot is not first
    assert ours.best_epoch in (2, 3)
    assert ours.project is not None
    assert ours.project.estimate == ours.estimates[ours.best_epoch]


def test_copies() -> None:
    ours = HLSExport("b", verbose=0, validation=X, budget={"lut": 10**6})
    copies = [copy.deepcopy(ours), pickle.loads(pickle.dumps(ours))]

    class Copier(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            copies.extend([copy.deepcopy(ours), pickle.loads(pickle.dumps(ours))])

    model = network()
    train(model, [ours, Copier()], epochs=1)
    copies += [copy.deepcopy(ours), pickle.loads(pickle.dumps(ours))]
    assert all(other.model is None for other in copies)
    assert copies[-1].best_epoch == 0
    assert copies[-1].project.estimate == ours.project.estimate
    assert ours.model is model
    for other in (copies[1], copies[3], copies[5]):
        train(network(), [other], epochs=1)
        assert other.verification.ok


# It only reads.


def state(model: Any) -> list[Any]:
    kept = model.optimizer.variables
    variables = [np.asarray(v) for v in [*model.variables, *(kept() if callable(kept) else kept)]]
    return [*variables, np.random.random(), random.random(), np.asarray(drawn())]


@pytest.mark.parametrize("seed", [1, 2])
def test_training_goes_the_same_way_with_and_without(seed: int) -> None:
    ends = []
    quiet = {"verbose": 0}
    labelled, inputs = HLSExport("b", validation=(X, Y), **quiet), HLSExport("b1", validation=X, **quiet)
    for callbacks in ([], [labelled], [inputs], [HLSExport("b2", monitor="hls_lut", **quiet)]):
        keras.utils.set_random_seed(seed)
        # Dropout and stochastic rounding draw random numbers in every step.
        model = network(dropout=True, stochastic=True)
        train(model, callbacks)
        ends.append(state(model))
    for other in ends[1:]:
        assert len(other) == len(ends[0])
        for a, b in zip(ends[0], other):
            np.testing.assert_array_equal(a, b)


_ON_JAX = """
import sys
import keras, numpy as np
from hgq.config import QuantizerConfigScope
from hgq.layers import QDense
from keras_hls.callbacks import HLSExport
x, y = np.random.default_rng(0).normal(size=(2, 16, 3)).astype("float32")
ends = []
for callbacks in ([], [HLSExport("b", validation=(x, y), verbose=0)]):
    keras.utils.set_random_seed(3)
    with QuantizerConfigScope(place="datalane", overflow_mode="SAT"):
        model = keras.Sequential([keras.Input((3,)), QDense(3, "relu"), keras.layers.Dropout(0.2), QDense(3)])
    model.compile("adam", "mse")
    model.fit(x, y, batch_size=4, epochs=3, verbose=0, validation_data=(x, y), callbacks=callbacks)
    ends.append([np.asarray(v) for v in model.variables])
assert all(np.array_equal(a, b) for a, b in zip(*ends))
ours, = callbacks
assert len({str(e.to_dict()) for e in ours.estimates.values()}) > 0
last = ours.best_snapshot
assert ours.best_epoch == 2 and np.array_equal(last.predict(x), np.asarray(model(x))), "a stale snapshot"
print(ours.verification)
"""


@needs_hgq2
def test_jax_backend(tmp_path: Path) -> None:
    pytest.importorskip("jax")
    from os import environ

    environment = {**environ, "KERAS_BACKEND": "jax", "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(
        [sys.executable, "-c", _ON_JAX], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert "every bit, in 16 of 16 samples" in done.stdout


# Which epoch is best, and that it lasts.


def test_best_epoch_is_on_disk_when_it_ends(tmp_path: Path) -> None:
    ours = HLSExport("out/net", verbose=0, validation=X)
    model = begun(ours)
    for epoch, loss in enumerate([3.0, 1.0, 2.0]):
        shift(model, 0.2)
        ours.on_epoch_end(epoch, {"val_loss": loss})
        if loss == 1.0:
            answers = np.asarray(model(X))
    stored = keras_hls.load(tmp_path / "out/net.khls")
    assert isinstance(stored, keras_hls.Snapshot)
    np.testing.assert_array_equal(stored.predict(X), answers)
    assert not (tmp_path / "out/net").exists()
    # The model goes on, and the project is still verified against that epoch.
    shift(model, 1.0)
    ours.on_train_end()
    assert ours.best_epoch == 1
    assert ours.best_value == 1.0
    assert ours.verification is not None
    assert (ours.verification.keras_different, ours.verification.csim_different) == (0, 0)
    assert ours.project is not None
    np.testing.assert_array_equal(ours.project.predict(X), answers)
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["net", "net.khls"]


def test_best_epoch_survives_a_training_that_dies(tmp_path: Path) -> None:
    class Dies(keras.callbacks.Callback):
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        train(network(), [HLSExport("b", verbose=0), Dies()])
    assert isinstance(keras_hls.load(tmp_path / "b.khls"), keras_hls.Snapshot)


@pytest.mark.parametrize(
    ("monitor", "mode", "values", "best"),
    [
        ("val_loss", "auto", [3.0, 1.0, 2.0], 1),
        ("val_accuracy", "auto", [0.1, 0.3, 0.3], 1),
        ("val_loss", "max", [3.0, 1.0, 2.0], 0),
        ("val_loss", "auto", [math.nan, 5.0, math.nan], 1),
        ("val_loss", "auto", [math.nan, math.nan], 1),
        ("my_figure", "min", [1.0, 0.0], 1),
    ],
)
def test_monitor(monitor: str, mode: str, values: list[float], best: int) -> None:
    ours = HLSExport("b", monitor, mode, verbose=0)
    begun(ours)
    for epoch, value in enumerate(values):
        ours.on_epoch_end(epoch, {monitor: np.float32(value)})
    assert ours.best_epoch == best


def test_monitor_may_be_a_cost_of_ours() -> None:
    ours = HLSExport("b", "hls_lut", verbose=0)
    model = begun(ours)
    ours.on_epoch_end(0, {})
    kernel_of(model.get_layer("hidden")).assign(np.zeros((6, 4)))
    ours.on_epoch_end(1, {})
    assert ours.best_epoch == 1


@pytest.mark.parametrize(
    ("name", "mode"),
    [
        *((name, "min") for name in ("val_loss", "loss", "hls_latency_cycles", "val_mean_squared_error", "ebops")),
        *((name, "max") for name in ("val_accuracy", "sparse_categorical_accuracy", "val_AUC", "acc", "f1_score")),
    ],
)
def test_auto_mode(name: str, mode: str) -> None:
    assert Monitor(name).mode == mode
    assert HLSExport("b", name).mode == mode


def test_monitor_that_is_missing_warns_once_and_keeps_the_latest() -> None:
    ours = HLSExport("b", "val_acuracy", "max", verbose=0)
    model = begun(ours)
    text = r"'val_acuracy' isn't in the logs of this epoch. Did you mean 'val_accuracy'.* There are: hls_bram, .*loss"
    with pytest.warns(HLSWarning, match=text) as found:
        ours.on_epoch_end(0, {"loss": 1.0, "val_accuracy": 0.5})
        shift(model, 0.5)
        ours.on_epoch_end(1, {"loss": 1.0, "val_accuracy": 0.4})
    assert len(ours_of(found)) == 1
    ours.on_train_end()
    assert ours.best_epoch == 1
    assert ours.project is not None


def test_monitor_that_is_missing_raises_if_asked() -> None:
    ours = HLSExport("b", on_error="raise")
    begun(ours)
    logs: dict[str, Any] = {"loss": 1.0}
    with pytest.raises(InvalidOption, match="monitor 'val_loss' isn't in the logs"):
        ours.on_epoch_end(0, logs)
    assert set(KEYS) <= set(logs)


def test_budget_comes_before_the_monitor() -> None:
    model = network()
    expensive = keras_hls.estimate(model).lut
    ours = HLSExport("b", verbose=0, budget={"lut": expensive - 1, "dsp": 0})
    begun(ours, model)
    ours.on_epoch_end(0, {"val_loss": 0.1})
    assert ours.best_epoch is None
    kernel = kernel_of(model.get_layer("hidden"))
    kernel.assign(kernel * np.float32([[1, 1, 1, 0]]))
    ours.on_epoch_end(1, {"val_loss": 0.2})
    ours.on_train_end()
    assert ours.best_epoch == 1
    assert ours.project is not None
    assert ours.project.estimate.lut < expensive


def test_nothing_within_the_budget(tmp_path: Path) -> None:
    ours = HLSExport("b", verbose=0, budget={"lut": 10, "ii": 1})
    model = begun(ours)
    ours.on_epoch_end(0, {"val_loss": 0.1})
    kernel = kernel_of(model.get_layer("hidden"))
    kernel.assign(kernel * np.float32([[1, 1, 1, 0]]))
    ours.on_epoch_end(1, {"val_loss": 0.2})
    ours.on_epoch_end(2, {"val_loss": 0.2})
    lut = ours.estimates[1].lut
    text = rf"no epoch was within the budget; epoch 2 came nearest, with lut {lut:,} \({lut - 10:,} over 10\)$"
    with pytest.warns(HLSWarning, match=text):
        ours.on_train_end()
    assert list(tmp_path.iterdir()) == []
    assert ours.project is None


@pytest.mark.parametrize(
    ("budget", "text"),
    [
        (
            {"luts": 1},
            r"budget can't limit 'luts'. Did you mean 'lut'\? It can limit lut, ff, dsp, bram, latency_cycles, ii$",
        ),
        ({"hls_dsp": 1}, r"budget can't limit 'hls_dsp'. Did you mean 'dsp'\?"),
        ({"lut": -1}, "must be a number, 0 or more, or a share of the part such as '50%', not -1"),
        ({"lut": True}, "must be a number, 0 or more, .* not True"),
        ({"lut": math.nan}, "must be a number, 0 or more, .* not nan"),
        ({"dsp": "half"}, "must be a number, 0 or more, .* not 'half'"),
        ({"dsp": "-5%"}, "must be a number, 0 or more, .* not '-5%'"),
        ({"ii": "50%"}, r"budget\['ii'\] must be a number: no part has ii, to take 50% of it"),
        ({"ii": -1}, "must be a number, 0 or more, not -1"),
        (50_000, "budget must be a dict"),
    ],
)
def test_bad_budgets(budget: Any, text: str) -> None:
    with pytest.raises(InvalidOption, match=text):
        HLSExport("b", budget=budget)


@pytest.mark.parametrize(("name", "has"), [("lut", 1_728_000), ("ff", 3_456_000), ("dsp", 12_288), ("bram", 5_376)])
def test_budget_as_a_share_of_the_part(name: str, has: int) -> None:
    estimate = keras_hls.estimate(network(), part="xcvu13p-flga2577-2-e")
    costly = replace(estimate, stages={"impl": replace(estimate.stages["impl"], **{name: has // 4 + 1})})
    assert Budget({name: "25.1 %"}).excess(costly) is None
    excess = Budget({name: "25%"}).excess(costly)
    assert excess is not None
    assert excess.text == f"{name} {has // 4 + 1:,} (1 over {has // 4:,})"
    assert Budget({name: "0%"}).excess(costly) is not None


def test_excess_names_all_quantities() -> None:
    estimate = keras_hls.estimate(network())
    excess = Budget({"lut": estimate.lut / 2, "ii": 0, "dsp": 10}).excess(estimate)
    assert excess is not None
    assert excess.share == pytest.approx(1.0)
    assert "lut" in excess.text
    assert "ii 1 (1 over 0)" in excess.text
    assert "dsp" not in excess.text
    assert Budget({}).excess(estimate) is None


# How often, and what is kept.


def test_every_third_epoch_and_the_last() -> None:
    ours = HLSExport("b", verbose=0, every=3, monitor="loss")
    history = train(network(), [ours], epochs=7)
    assert list(ours.estimates) == [2, 5, 6]
    for key in KEYS:
        assert [not math.isnan(value) for value in history[key]] == [False, False, True, False, False, True, True]
    assert ours.best_epoch in (2, 5, 6)
    assert ours.project is not None


def test_best_is_sought_among_the_epochs_that_are_looked_at() -> None:
    ours = HLSExport("b", verbose=0, every=2)
    begun(ours)
    for epoch, value in enumerate((0.1, 0.5, 0.1, 0.7)):
        ours.on_epoch_end(epoch, {"val_loss": value})
    assert (ours.best_epoch, ours.best_value) == (1, 0.5)


@pytest.mark.parametrize("monitor", ["val_loss", "accuracy_of_nothing"])
def test_the_latest_epoch_within_the_budget(monitor: str) -> None:
    model = network()
    kernel = kernel_of(model.get_layer("hidden"))
    whole = np.array(kernel)
    expensive = keras_hls.estimate(model).lut
    ours = HLSExport("b", monitor, save_best_only=False, budget={"lut": expensive - 1}, verbose=0, on_error="raise")
    begun(ours, model)
    for epoch, (value, kept) in enumerate(((0.1, [1, 1, 1, 0]), (0.9, [1, 1, 0, 0]), (0.0, [1, 1, 1, 1]))):
        kernel.assign(whole * np.float32([kept]))
        ours.on_epoch_end(epoch, {"val_loss": value})
    assert ours.best_epoch == 1


# What the hardware is worth.


LABELS = np.eye(3, dtype="float32")[np.arange(8) % 3]


@pytest.mark.parametrize("softmax", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_metrics_of_the_hardware_are_those_of_its_answers(softmax: bool, weighted: bool) -> None:
    last = [keras.layers.Activation("softmax", name="scores")] if softmax else []
    model = sequential(dense(4, relu=True, name="hidden"), dense(3, name="last"), *last)
    loss = keras.losses.CategoricalCrossentropy(from_logits=not softmax)
    model.compile("adam", loss, metrics=["accuracy", keras.metrics.TopKCategoricalAccuracy(2, name="two")])
    weights = (np.arange(8, dtype="float32"),) if weighted else ()
    ours = HLSExport("b", "val_hls_accuracy", verbose=0, validation=(X, LABELS, *weights))
    history = model.fit(X, LABELS, epochs=2, verbose=0, callbacks=[ours], validation_data=(X, LABELS, *weights)).history
    assert ours.project is not None
    answer = ours.best_snapshot.predict(X)
    right = (answer.argmax(-1) == LABELS.argmax(-1)).mean()
    assert history["val_hls_accuracy"][ours.best_epoch] == pytest.approx(right)
    # Where Keras's arithmetic is exact, so are its metrics the hardware's.
    for name in ("accuracy", "two", "loss"):
        penalties = 0.0 if name != "loss" else float(sum(float(loss) for loss in model.losses))
        assert history[f"val_hls_{name}"][-1] == pytest.approx(history[f"val_{name}"][-1] - penalties, rel=1e-5)


def test_labels_of_two_outputs_are_told_by_name() -> None:
    a = keras.Input((6,))
    hidden = dense(4, relu=True, name="hidden")(cast(a))
    model = keras.Model(a, [dense(3, name="left")(hidden), dense(2, name="right")(hidden)])
    model.compile("sgd", {"left": "mse", "right": "mae"}, metrics={"right": ["mse"]}, run_eagerly=True)
    y = {"left": Y, "right": Y[:, :2]}
    ours = HLSExport("b", verbose=0, monitor="val_hls_loss", validation=(X, y))
    history = model.fit(X, y, epochs=1, verbose=0, callbacks=[ours]).history
    left, right = ours.best_snapshot.predict(X)
    assert history["val_hls_right_mse"][0] == pytest.approx(((right - Y[:, :2]) ** 2).mean(), rel=1e-5)
    whole = ((left - Y) ** 2).mean() + np.abs(right - Y[:, :2]).mean()
    assert history["val_hls_loss"][0] == pytest.approx(whole, rel=1e-5)


def test_columns_are_those_of_the_first_epoch(tmp_path: Path) -> None:
    ours = HLSExport("b", verbose=0, every=3, validation=(X, Y))
    table = keras.callbacks.CSVLogger(str(tmp_path / "log.csv"))
    train(network(), [ours, table], epochs=4)
    head, *rows = [line.split(",") for line in (tmp_path / "log.csv").read_text().splitlines()]
    column = head.index("val_hls_mae")
    assert [row[column] == "nan" for row in rows] == [False, True, False, False]


def test_labels_that_do_not_fit_warn_once() -> None:
    ours = HLSExport("b", verbose=0, validation=(X, Y[:, :2]))
    with pytest.warns(
        HLSWarning, match="can't be held against the labels: the labels of validation don't fit"
    ) as found:
        train(network(), [ours])
    assert len(ours_of(found)) == 1
    assert ours.project is not None


def test_model_that_is_not_compiled() -> None:
    ours = HLSExport("b", verbose=0, validation=(X, Y), on_error="raise")
    begun(ours, sequential(dense(3, name="last")))
    with pytest.raises(InvalidOption, match="the model isn't compiled"):
        ours.on_epoch_end(0, {"val_loss": 1.0})


@pytest.mark.parametrize("validation", [(X,), (X, Y, Y, Y)])
def test_tuples_that_are_no_validation_data(validation: Any) -> None:
    with pytest.raises(InvalidOption, match=r"validation must be inputs, or a tuple \(inputs, labels\)"):
        HLSExport("b", validation=validation)


# Wrong from the start.


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"reuse_facto": 2}, "Option 'reuse_facto' is unknown. Did you mean 'reuse_factor'"),
        ({"part": "xc7z099"}, "xc7z099"),
        ({"backend": "vitis"}, "backend must be 'Vitis', not 'vitis'. Did you mean 'Vitis'"),
        ({"mode": "most"}, "mode must be 'auto', 'min' or 'max', not 'most'"),
        ({"monitor": "val_figure"}, "pass mode='max' or mode='min'"),
        ({"monitor": ""}, "monitor must be the name of a figure in the logs, not ''"),
        ({"every": 0}, "every must be a number of epochs, 1 or more, not 0"),
        ({"every": "batch"}, "every must be a number of epochs, 1 or more, not 'batch'"),
        ({"on_error": "ignore"}, "on_error must be 'warn' or 'raise', not 'ignore'"),
    ],
)
def test_bad_options_are_refused_at_once(options: dict[str, Any], text: str) -> None:
    with pytest.raises(InvalidOption, match=text):
        HLSExport("b", **options)


@pytest.mark.parametrize("on_error", ["warn", "raise"])
def test_unsupported_model_is_refused_before_it_trains(on_error: str) -> None:
    model = sequential(keras.layers.Dense(3, name="plain"))
    model.compile("sgd", "mse")
    before = [np.array(v) for v in model.weights]
    with pytest.raises(UnsupportedModel, match="'plain'"):
        train(model, [HLSExport("b", on_error=on_error)])
    assert all(np.array_equal(a, b) for a, b in zip(before, model.weights))


@needs_hgq2
def test_uncalibrated_beside_unsupported_names_what_training_does_not_mend() -> None:
    model = sequential(dense(3, overflow="WRAP", name="wraps"), keras.layers.Dense(3, name="plain"))
    with pytest.raises(UnsupportedModel, match="'plain'") as error:
        begun(HLSExport("b"), model)
    assert "wraps" not in str(error.value)


def test_unbuilt_model_is_looked_at_when_it_is_built() -> None:
    model = sequential(dense(3), inputs=None)
    ours = HLSExport("b", verbose=0)
    begun(ours, model)
    model.build((None, 6))
    ours.on_epoch_end(0, {"val_loss": 1.0})
    assert ours.best_epoch == 0


def test_model_of_another_library() -> None:
    with pytest.raises(InvalidModel, match=r"HLSExport needs a model of Keras or tf_keras, not a builtins.int"):
        HLSExport("b").set_model(3)


def test_folder_of_somebody_else_is_refused_before_it_trains(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b/thesis.tex").write_text("mine")
    with pytest.raises(OutputFolderError, match="isn't a keras_hls project"):
        train(network(), [HLSExport("b")])
    assert [p.name for p in tmp_path.iterdir()] == ["b"]


@pytest.mark.parametrize(
    "validation", [X[:, :5], (X[:, :5], Y), [X, Y], {"input": X}, np.full((2, 6), np.nan), object()]
)
def test_bad_validation_samples_are_refused_before_it_trains(validation: Any) -> None:
    with pytest.raises(InvalidData, match="validation must be inputs of the network: "):
        begun(HLSExport("b", validation=validation))


def test_two_inputs() -> None:
    a, b = keras.Input((6,), name="a"), keras.Input((3,), name="b")
    model = keras.Model([a, b], dense(3)(keras.layers.Concatenate()([cast(a), cast(b)])))
    for validation in ([X, Y], {"a": X, "b": Y}):
        ours = HLSExport("b", verbose=0, validation=validation)
        begun(ours, model)
        ours.on_epoch_end(0, {"val_loss": 1.0})
        ours.on_train_end()
        assert ours.verification is not None
        assert (ours.verification.samples, ours.verification.keras_different) == (8, 0)


@pytest.mark.parametrize("last", [lambda: dense(3, activation="softmax"), keras.layers.Softmax])
def test_softmax_is_left_to_the_host_and_verified_before_it(last: Any) -> None:
    first = dense(3)
    model = sequential(first, last())
    ours = HLSExport("b", verbose=0, validation=X)
    begun(ours, model)
    for epoch in range(2):
        kernel_of(first).assign(kernel_of(first) + 0.1)
        with warnings.catch_warnings():
            warnings.filterwarnings("error", "The structure of")
            ours.on_epoch_end(epoch, {"val_loss": -epoch})
    ours.on_train_end()
    assert ours.best_epoch == 1
    assert ours.verification is not None
    assert (ours.verification.samples, ours.verification.keras_different) == (8, 0)


# Wrong in the middle.


def test_monitor_that_is_no_number() -> None:
    ours = HLSExport("b", verbose=0)
    begun(ours)
    logs: dict[str, Any] = {"val_loss": "low"}
    with pytest.warns(HLSWarning, match="Epoch 1 can't be compared with the best one: ValueError"):
        ours.on_epoch_end(0, logs)
    assert logs["hls_lut"] > 0


def test_epoch_that_cannot_be_read_has_nan_and_one_warning() -> None:
    ours = HLSExport("b", verbose=0)
    model = begun(ours)
    kernel = kernel_of(model.get_layer("hidden"))
    good = np.array(kernel)
    logs: list[dict[str, Any]] = [{"val_loss": 1.0} for _ in range(3)]
    with pytest.warns(
        HLSWarning, match=r"HLSExport: Epoch 1 can't be exported, so its cost is unknown: .*'hidden'"
    ) as found:
        kernel.assign(np.full((6, 4), np.nan))
        ours.on_epoch_end(0, logs[0])
        ours.on_epoch_end(1, logs[1])
    assert len(ours_of(found)) == 1
    kernel.assign(good)
    ours.on_epoch_end(2, logs[2])
    assert [list(each) for each in logs] == [["val_loss", *KEYS]] * 3
    assert all(math.isnan(logs[i][key]) for i in (0, 1) for key in KEYS)
    assert not any(math.isnan(logs[2][key]) for key in KEYS)
    ours.on_train_end()
    assert ours.best_epoch == 2


def test_no_epoch_could_be_read() -> None:
    ours = HLSExport("b", verbose=0)
    model = begun(ours)
    kernel_of(model.get_layer("hidden")).assign(np.full((6, 4), np.nan))
    with pytest.warns(HLSWarning, match="cost is unknown"):
        ours.on_epoch_end(0, {"val_loss": 1.0})
    ours.on_train_end()
    assert ours.project is None


def test_hook_without_logs() -> None:
    ours = HLSExport("b", "hls_lut", verbose=0)
    begun(ours)
    ours.on_epoch_end(0)
    assert ours.best_epoch == 0


def test_snapshot_that_cannot_be_written_warns(tmp_path: Path) -> None:
    ours = HLSExport("b", verbose=0)
    # Nothing can take the place of a folder.
    (tmp_path / "b.khls").mkdir()
    begun(ours)
    with pytest.warns(HLSWarning, match="The best epoch so far couldn't be written: ") as found:
        ours.on_epoch_end(0, {"val_loss": 1.0})
        ours.on_epoch_end(1, {"val_loss": 0.5})
    assert len(ours_of(found)) == 1
    ours.on_train_end()
    assert ours.best_epoch == 1
    assert ours.project is not None


@pytest.mark.parametrize("on_error", ["warn", "raise"])
def test_full_disk_at_the_end(on_error: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    ours = HLSExport("b", verbose=0, on_error=on_error)

    class FillsTheDisk(keras.callbacks.Callback):
        def on_train_end(self, logs: Any = None) -> None:
            def full(*_: Any, **__: Any) -> None:
                raise OSError(errno.ENOSPC, "No space left on device")

            monkeypatch.setattr("keras_hls.folder.tempfile.mkdtemp", full)

    model = network()
    text = "'b' can't be written: the disk is full"
    if on_error == "raise":
        with pytest.raises(OutputFolderError, match=text):
            train(model, [FillsTheDisk(), ours], epochs=1)
    else:
        with pytest.warns(HLSWarning, match=f"HLSExport: Nothing was exported, or not verified: .*{text}"):
            train(model, [FillsTheDisk(), ours], epochs=1)
    assert ours.project is None
    assert [p.name for p in tmp_path.iterdir()] == ["b.khls"]


@pytest.mark.parametrize("on_error", ["warn", "raise"])
def test_answers_that_differ(on_error: str) -> None:
    ours = HLSExport("b", verbose=0, on_error=on_error, validation=X)
    begun(ours)
    ours.on_epoch_end(0, {"val_loss": 1.0})
    assert ours._expected is not None
    ours._expected[0] = ours._expected[0] + np.float32(1)
    if on_error == "raise":
        with pytest.raises(VerificationError, match="in 0 of 8 samples"):
            ours.on_train_end()
    else:
        with pytest.warns(HLSWarning, match="in 0 of 8 samples"):
            ours.on_train_end()
    # It stays, for a look at it, and isn't called verified.
    assert ours.project is not None
    assert ours.verification is None


def test_no_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    ours = HLSExport("b", verbose=0, validation=X)
    begun(ours)
    ours.on_epoch_end(0, {"val_loss": 1.0})
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.warns(HLSWarning, match="CXX"):
        ours.on_train_end()
    assert ours.verification is not None
    assert (ours.verification.csim_different, ours.verification.keras_different) == (None, 0)


def test_no_warnings_in_an_ordinary_training() -> None:
    model = network()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # TensorFlow's and numpy's own affair.
        warnings.filterwarnings("ignore", "__array__", DeprecationWarning)
        ours = HLSExport("b", verbose=0, validation=X)
        begun(ours, model)
        ours.on_epoch_end(0, {"val_loss": 1.0})
        shift(model, 0.1)
        ours.on_epoch_end(1, {"val_loss": 0.9})
        ours.on_train_end()
    assert ours.best_epoch == 1
