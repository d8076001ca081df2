"""One callback for models of Keras 3 and of tf_keras, in one process."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

keras = pytest.importorskip("keras", "3")
tf_keras = pytest.importorskip("tf_keras")

import keras_hls
from keras_hls.callbacks import HLSExport
from keras_hls.callbacks.criteria import KEYS
from keras_hls.errors import UnsupportedModel

BOTH = pytest.mark.parametrize("module", [keras, tf_keras], ids=["keras", "tf_keras"])

X = np.random.default_rng(0).normal(size=(8, 6)).astype("float32")
Y = np.random.default_rng(1).normal(size=(8, 3)).astype("float32")


@pytest.fixture(autouse=True)
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def network(module: Any) -> Any:
    module.utils.set_random_seed(0)
    layers = module.layers
    model = module.Sequential([module.Input((6,)), layers.Dense(4, "relu"), layers.Dropout(0.3), layers.Dense(3)])
    model.compile("adam", "mse", run_eagerly=True)
    return model


def train(module: Any, callbacks: list[Any], epochs: int = 2) -> Any:
    model = network(module)
    data = {"validation_data": (X, Y), "batch_size": 4, "epochs": epochs, "verbose": 0}
    return model, model.fit(X, Y, callbacks=callbacks, **data).history


def export(**options: Any) -> HLSExport:
    return HLSExport("b", verbose=0, calibration=X, validation=X, bits=12, **options)


def test_one_object_serves_both_in_turn() -> None:
    ours = export()
    for module in (tf_keras, keras, tf_keras):
        stopper = module.callbacks.EarlyStopping("hls_lut", mode="min", patience=9)
        history = train(module, [ours, stopper, module.callbacks.CSVLogger("log.csv")])[1]
        assert [len(history[key]) for key in KEYS] == [2] * len(KEYS)
        assert stopper.best == min(history["hls_lut"])
        assert set(KEYS) < set(Path("log.csv").read_text().splitlines()[0].split(","))
        assert ours.best_epoch == int(np.argmin(history["val_loss"]))
        assert ours.verification is not None
        assert (ours.verification.samples, ours.verification.csim_different) == (8, 0)
        assert ours.verification.keras_different is not None
        assert ours.verification.ok


@BOTH
def test_training_goes_the_same_way_with_and_without(module: Any) -> None:
    ends = [[np.asarray(v) for v in train(module, some)[0].variables] for some in ([], [export()])]
    for a, b in zip(*ends, strict=True):
        np.testing.assert_array_equal(a, b)


@BOTH
def test_copies_hold_no_model(module: Any) -> None:
    ours = export()
    model, _ = train(module, [ours], epochs=1)
    other = pickle.loads(pickle.dumps(ours))
    assert (ours.model, other.model) == (model, None)
    assert other.best_epoch == 0
    train(module, [other], epochs=1)
    assert other.verification.ok


@BOTH
def test_a_subclass_may_have_hooks_of_batches(module: Any) -> None:
    class Counts(HLSExport):
        batches = 0

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.batches += 1

    ours = Counts("b", verbose=0, calibration=X)
    train(module, [ours])
    assert ours.batches == 4


def test_tf_keras_is_not_imported_for_a_model_of_keras_3(tmp_path: Path) -> None:
    code = """if True:
        import sys, keras, numpy as np
        from keras_hls.callbacks import HLSExport
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
        model.compile("sgd", "mse", run_eagerly=True)
        x = np.ones((4, 2), "float32")
        ours = HLSExport("b", "loss", calibration=x, verbose=0)
        model.fit(x, x[:, :1], verbose=0, callbacks=[ours])
        assert ours.verification.ok
        assert "tf_keras" not in sys.modules
    """
    # With it, TensorFlow itself imports tf_keras.
    environment = {name: value for name, value in os.environ.items() if name != "TF_USE_LEGACY_KERAS"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]


def test_qkeras_on_keras_3_says_what_to_do() -> None:
    class QDense(keras.layers.Layer):
        """As QKeras's, which without TF_USE_LEGACY_KERAS builds on Keras 3."""

        __module__ = "qkeras.qlayers"

        def call(self, x: Any) -> Any:
            return x

    model = keras.Sequential([keras.Input((6,)), QDense(name="mine")])
    with pytest.raises(UnsupportedModel, match=r"'mine' .*made for Keras 2, .*set TF_USE_LEGACY_KERAS=1 before Python"):
        keras_hls.snapshot(model)
