"""The Keras backend is no matter of ours: TensorFlow, JAX and torch models of the same weights become the same graph."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("keras")
pytest.importorskip("hgq")

pytestmark = pytest.mark.keras3

# Every kind of quantizer, nested, shared and traced layers, trained a little so that bits and statistics are no round numbers.
MODEL = """
import sys
import numpy as np
import keras
from hgq.config import QuantizerConfig, QuantizerConfigScope
from hgq.layers import QAdd, QBatchNormDense, QDense, Quantizer

@keras.saving.register_keras_serializable(package="tests")
class Mix(keras.layers.Layer):
    # Traced: operations, a weight of its own, and a layer.

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.core = QDense(4, name="core")

    def build(self, shape):
        self.factor = self.add_weight(shape=(shape[-1],), initializer="ones", trainable=False)
        self.core.build(shape)

    def call(self, x, training=None):
        y = self.core(self.factor * x[:, ::-1] - 0.5, training=training)
        return keras.ops.concatenate([y, keras.ops.relu(-y)], -1)

def data():
    rng = np.random.default_rng(0)
    return (rng.integers(-64, 65, (256, 6)) / 16.0).astype("float32"), rng.integers(0, 3, 256)

def build():
    keras.utils.set_random_seed(1)
    x = keras.Input((6,), name="x")
    a = QDense(8, name="a", activation="relu")(x)
    with QuantizerConfigScope(place="datalane", overflow_mode="SAT", round_mode="RND_CONV"):
        b = QBatchNormDense(8, name="b")(a)
    inner = keras.Sequential([keras.Input((8,)), Mix(name="mix"), keras.layers.ReLU(name="cut")], name="inner")
    c = QAdd(name="c")([inner(a), inner(b)])
    d = keras.layers.Reshape((2, 4), name="d")(Quantizer(QuantizerConfig("kbi", "datalane"), name="q")(c))
    e = QDense(2, name="e", enable_oq=True)(d)
    f = QDense(3, name="f", activation="softmax")(keras.layers.Flatten(name="flat")(e))
    return keras.Model(x, [f, c], name="net")
"""

READ = """
import json
import keras_hls
from keras_hls import project, storage

folder = sys.argv[1]
x, labels = data()
snapshot = keras_hls.snapshot(model)
loaded = keras_hls.snapshot(folder + "/net.keras")
assert storage.to_json(loaded.graph) == storage.to_json(snapshot.graph), "the .keras file says the same"
before = [np.array(keras.ops.convert_to_numpy(v)) for v in model.variables]
written = keras_hls.export_hls(model, folder + "/" + keras.backend.backend(), verify=x, project_name="net")
after = [np.array(keras.ops.convert_to_numpy(v)) for v in model.variables]
assert all(np.array_equal(a, b) for a, b in zip(before, after)), "export changes the model"
result = written.verify(x)
assert result.ok and result.keras_different == 0 and result.csim_different == 0, str(result)
"""

SAVE = (
    MODEL
    + """
model = build()
x, y = data()
model.compile("adam", ["sparse_categorical_crossentropy", "mse"])
model.fit(x, [y, np.zeros((256, 8))], epochs=1, verbose=0, batch_size=64)
model.save(sys.argv[1] + "/net.keras")
model.save_weights(sys.argv[1] + "/net.weights.h5")
"""
    + READ
)

LOAD = (
    MODEL
    + """
model = build()
model.load_weights(sys.argv[1] + "/net.weights.h5")
"""
    + READ
    + """
# Training goes on, and the snapshot stays what it was.
text = json.dumps(storage.to_json(snapshot.graph))
model.compile("sgd", ["sparse_categorical_crossentropy", "mse"])
model.fit(x, [labels, np.zeros((256, 8))], epochs=1, verbose=0, batch_size=64)
assert json.dumps(storage.to_json(snapshot.graph)) == text
again = keras_hls.snapshot(model)
assert again.diff(snapshot), "training must have changed something"
for got, wanted in zip(again.predict(x), project.reference(model, again.graph)(x)):
    assert np.array_equal(got, wanted), "what this backend trained is exact too"
"""
)


def run(backend: str, code: str, folder: Path) -> str:
    environment = {**os.environ, "KERAS_BACKEND": backend, "KERAS_HLS_CACHE": str(folder / "cache")}
    environment |= {"TF_CPP_MIN_LOG_LEVEL": "3", "JAX_PLATFORMS": "cpu", "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder with a model that TensorFlow trained, and the project that was made of it there and then."""
    folder = tmp_path_factory.mktemp("backends")
    run("tensorflow", SAVE, folder)
    return folder


def installed(backend: str):
    """A parameter that is skipped, the fixture with it, where the backend isn't."""
    missing = importlib.util.find_spec(backend) is None
    return pytest.param(backend, marks=pytest.mark.skipif(missing, reason=f"{backend} isn't installed"))


@pytest.mark.parametrize("backend", [installed("jax"), installed("torch")])
def test_another_backend_makes_the_same_project(trained, backend):
    run(backend, LOAD, trained)
    first, second = (json.loads((trained / name / "keras_hls.json").read_text()) for name in ("tensorflow", backend))
    # Every file, byte for byte: graph, C++ and the answers that the test bench expects.
    assert len(first["files"]) > 15
    assert first == second
    for path in first["files"]:
        assert (trained / "tensorflow" / path).read_bytes() == (trained / backend / path).read_bytes(), path
