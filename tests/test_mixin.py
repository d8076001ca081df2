"""Export as a method of models of Keras 2 and tf_keras."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent / "frontends"))
from legacy_keras import keras2

keras = keras2()

import keras_hls
from keras_hls.errors import HLSError, InvalidModel

L = keras.layers
X = np.random.default_rng(0).normal(size=(50, 4)).astype("float32")


class Net(keras_hls.HLSModelMixin, keras.Model):  # type: ignore[misc]
    """Functional, as it is given inputs and outputs."""


class Row(keras_hls.HLSModelMixin, keras.Sequential):  # type: ignore[misc]
    """A class of its own that computes what Keras's does."""


class Doubled(Row):
    def call(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:
        return super().call(inputs) * 2


class Built(keras_hls.HLSModelMixin, keras.Model):  # type: ignore[misc]
    def __init__(self) -> None:
        x = L.Input((4,))
        super().__init__(x, L.Dense(3)(x))


class Called(keras_hls.HLSModelMixin, keras.Model):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.dense = L.Dense(3)

    def call(self, x: Any) -> Any:
        return self.dense(x)


@pytest.fixture(autouse=True)
def _same_weights() -> None:
    keras.utils.set_random_seed(1)


def nested(inner: type = Row) -> Any:
    x = L.Input((4,))
    return Net(x, L.Dense(3)(inner([L.Input((4,)), L.Dense(5, activation="relu"), L.Dense(4)])(x)))


@pytest.mark.parametrize("make", [nested, lambda: Row([L.Input((4,)), L.Dense(5, activation="relu"), L.Dense(3)])])
def test_methods(make: Any, tmp_path: Path) -> None:
    model = make()
    project = model.export_hls(tmp_path / "p", verify=X, calibration=X, bits=14)
    assert project.verification.ok
    assert (project.verification.samples, project.verification.csim_different) == (50, 0)
    np.testing.assert_allclose(project.predict(X), np.asarray(model(X)), atol=0.02)
    again = model.snapshot_hls(calibration=X, bits=14)
    np.testing.assert_array_equal(again.predict(X), project.predict(X))
    assert model.estimate_hls(calibration=X, bits=14) == project.estimate


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Doubled([L.Input((4,)), L.Dense(3)]), "not a Doubled: the calls inside"),
        (lambda: nested(Doubled), "doubled.* is read and never called"),
        (Built, "not a Built: the calls inside"),
        (Called, "models with a call method of their own are read from Keras 3"),
    ],
)
def test_models_that_are_code_are_refused(make: Any, text: str) -> None:
    model = make()
    model(X)
    with pytest.raises(HLSError, match=text):
        model.snapshot_hls(calibration=X)


@pytest.fixture
def owners() -> Iterator[list[Any]]:
    """Every class that is given methods, which are taken off again."""
    found = [module.Model for name in ("keras", "tf_keras") if (module := sys.modules.get(name)) is not None]
    yield found
    for owner in found:
        for name in ("export_hls", "estimate_hls", "snapshot_hls"):
            if name in vars(owner):
                delattr(owner, name)


def test_every_model_at_once(owners: list[Any]) -> None:
    model = keras.Sequential([L.Input((4,)), L.Dense(3)])
    assert not hasattr(model, "export_hls")
    keras_hls.enable()
    keras_hls.enable()
    assert keras.Model in owners
    assert all(hasattr(owner, "snapshot_hls") for owner in owners)
    assert model.snapshot_hls(calibration=X).predict(X).shape == (50, 3)


def test_a_name_that_is_taken_leaves_all_as_they_were(owners: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keras.Model, "export_hls", lambda self: None, raising=False)
    with pytest.raises(
        HLSError, match=rf"{keras.__name__}.Model.export_hls is taken by .*; use keras_hls.HLSModelMixin"
    ):
        keras_hls.enable()
    assert not any(hasattr(owner, "snapshot_hls") for owner in owners)


def test_an_unbuilt_model_is_refused() -> None:
    with pytest.raises(InvalidModel, match="isn't built"):
        Row([L.Dense(3)]).snapshot_hls()
