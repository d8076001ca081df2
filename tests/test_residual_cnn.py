"""A whole network: residual, two inputs, two outputs; trained a little, saved, loaded and exported in one line."""

import numpy as np
import pytest

import keras_hls

keras = pytest.importorskip("keras")
pytest.importorskip("hgq")

from hgq.config import QuantizerConfigScope
from hgq.layers import (
    QAdd,
    QBatchNormalization,
    QConv2D,
    QDense,
    QGlobalAveragePooling2D,
    QMaxPooling2D,
    QSoftmax,
)

pytestmark = pytest.mark.keras3
L = keras.layers


def network():
    keras.utils.set_random_seed(5)
    # What a type can't hold saturates: nothing has to be calibrated.
    with (
        QuantizerConfigScope(place="datalane", i0=3, f0=4, overflow_mode="SAT", round_mode="RND"),
        QuantizerConfigScope(place=("weight", "bias"), overflow_mode="SAT_SYM"),
        QuantizerConfigScope(place="table", i0=2, f0=5),
    ):
        image, features = keras.Input((12, 10, 3), name="image"), keras.Input((6,), name="features")
        x = L.ZeroPadding2D(1)(image)
        x = QConv2D(6, 3, activation="relu", name="stem")(x)
        for i in range(2):
            y = QConv2D(6, 3, padding="same", use_bias=False, name=f"conv{i}a")(x)
            y = QBatchNormalization(name=f"norm{i}")(y)
            y = L.LeakyReLU(0.125)(y)
            y = QConv2D(6, 3, padding="same", name=f"conv{i}b")(y)
            x = L.ReLU(max_value=6.0)(QAdd(name=f"skip{i}")([x, y]))
        x = QMaxPooling2D(2)(x)
        pooled = QGlobalAveragePooling2D()(x)
        joined = L.Concatenate()([pooled, QDense(5, activation="tanh", name="embed")(features)])
        classes = QSoftmax(name="classes")(QDense(4, name="logits")(joined))
        energy = QDense(1, name="energy")(L.Flatten()(x))
    return keras.Model({"image": image, "features": features}, {"classes": classes, "energy": energy}, name="residual")


def samples(count, seed):
    rng = np.random.default_rng(seed)
    return {
        "image": rng.normal(0, 2, (count, 12, 10, 3)).astype("float32"),
        "features": rng.normal(0, 2, (count, 6)).astype("float32"),
    }


def test_saved_loaded_and_exported_in_one_line(tmp_path):
    model = network()
    model.compile("adam", {"classes": "categorical_crossentropy", "energy": "mse"})
    x = samples(64, 0)
    targets = {"classes": np.eye(4)[np.arange(64) % 4], "energy": x["image"].mean((1, 2, 3))[:, None]}
    model.fit(x, targets, epochs=1, batch_size=32, verbose=0)
    model.save(tmp_path / "residual.keras")

    project = keras_hls.export_hls(tmp_path / "residual.keras", tmp_path / "net", verify=samples(300, 1))

    assert project.verification.ok
    assert project.verification.csim_different == 0
    test = samples(200, 2)
    wanted = model(test, training=False)
    answers = project.predict(test)
    names = project.graph.output_names
    assert sorted(names) == ["classes", "energy"]
    for name, answer in zip(names, answers):
        assert np.array_equal(answer, keras.ops.convert_to_numpy(wanted[name])), name
    assert project.estimate.lut > 0
    assert {layer.layer for layer in project.estimate.layers} >= {"stem", "conv0a", "skip1", "energy"}
