"""Live models of Keras 2: read as their files are, and held against what Keras itself answers."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))
from legacy_keras import keras2

keras = keras2()

import keras_hls
from keras_hls.errors import InvalidModel, UnsupportedModel
from keras_hls.project import reference

L = keras.layers
RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def _same_numbers_in_any_order(monkeypatch):
    # A sample next to ThresholdedReLU's step would be off by the step's height.
    monkeypatch.setitem(globals(), "RNG", np.random.default_rng(0))


def drawn(model):
    """Weights that all matter."""
    for variable in model.weights:
        values = RNG.normal(size=variable.shape)
        variable.assign(np.abs(values) + 0.1 if "variance" in variable.name else values)
    return model


def sequence(shape, *layers):
    return keras.Sequential([L.Input(shape), *layers])


def graph_model():
    x, z = L.Input((4,), name="x"), L.Input((4,), name="z")
    inner = sequence((4,), L.Dense(3), L.BatchNormalization())
    shared = L.Dense(4, activation="tanh")
    y = inner(shared(shared(x)))
    total = L.Add()([y, L.Dense(3, activation="gelu")(z)])
    return keras.Model({"z": z, "x": x}, [L.Concatenate()([total, inner(z)]), y])


def nested_model():
    model = keras.Sequential([keras.Sequential([L.Dense(3), L.BatchNormalization()]), L.Dense(2, activation="softmax")])
    model.build((None, 4))
    model(np.zeros((1, 4), "float32"))
    return model


MODELS = {
    "dense": lambda: sequence(
        (6,), L.Dense(5, activation="relu"), L.BatchNormalization(), L.LeakyReLU(), L.Dropout(0.3), L.Dense(3)
    ),
    "images": lambda: sequence(
        (8, 8, 2),
        L.Conv2D(3, 3, padding="same", activation="elu"),
        L.MaxPooling2D(),
        L.DepthwiseConv2D(2, depth_multiplier=2),
        L.SeparableConv2D(3, 2),
        L.Flatten(),
        L.Dense(2, activation="softmax"),
    ),
    "dilated, grouped": lambda: sequence(
        (9, 9, 4), L.Conv2D(6, 3, dilation_rate=2, groups=2), L.AveragePooling2D(3, 2, "same")
    ),
    "series": lambda: sequence(
        (9, 2),
        L.Conv1D(3, 3, padding="causal", strides=2),
        L.ReLU(6.0, 0.125, 0.25),
        L.AveragePooling1D(2),
        L.GlobalAveragePooling1D(),
        L.Dense(2, activation="hard_sigmoid"),
    ),
    "transposed": lambda: sequence(
        (4, 4, 2),
        L.Conv2DTranspose(3, 3, strides=2),
        L.UpSampling2D(2, interpolation="bilinear"),
        L.Cropping2D(1),
        L.ZeroPadding2D(1),
        L.PReLU(shared_axes=[1, 2]),
        L.GlobalMaxPooling2D(keepdims=True),
    ),
    "graph": graph_model,
    "norms": lambda: sequence(
        (3, 4), L.LayerNormalization(), L.UnitNormalization(), L.Permute((2, 1)), L.Reshape((6, 2))
    ),
    "batch normalisation elsewhere": lambda: sequence((3, 4), L.BatchNormalization(axis=1)),
    "einsum": lambda: sequence(
        (3, 4), L.EinsumDense("abc,cd->abd", (None, 3), bias_axes="d"), L.ELU(0.5), L.ThresholdedReLU(0.5)
    ),
    "series, each step its own": lambda: sequence(
        (9, 2), L.LocallyConnected1D(3, 3, strides=2, activation="relu"), L.LocallyConnected1D(2, 2, use_bias=False)
    ),
    "each place its own": lambda: sequence(
        (6, 5, 2), L.LocallyConnected2D(3, (2, 3), strides=(2, 1)), L.LocallyConnected2D(2, 2)
    ),
    "each place its own, as one matrix": lambda: sequence(
        (6, 5, 2),
        L.LocallyConnected2D(3, (2, 3), padding="same", strides=(2, 1), implementation=2),
        L.LocallyConnected2D(2, 2, implementation=2, activation="relu"),
    ),
    "each place its own, channels first": lambda: sequence(
        (2, 6, 5),
        L.LocallyConnected2D(3, (2, 3), strides=(2, 1), data_format="channels_first"),
        L.LocallyConnected2D(2, 2, padding="same", implementation=2, data_format="channels_first"),
    ),
    "series, each step its own, otherwise": lambda: sequence(
        (2, 9),
        L.LocallyConnected1D(3, 3, strides=2, data_format="channels_first"),
        L.LocallyConnected1D(2, 3, padding="same", implementation=2, data_format="channels_first"),
    ),
    **{
        name: lambda name=name: sequence((5,), L.Dense(4, activation=name))
        for name in (
            "sigmoid",
            "softplus",
            "softsign",
            "exponential",
            "selu",
            "swish",
            "mish",
            "leaky_relu",
            "hard_sigmoid",
        )
    },
}


@pytest.mark.parametrize("name", MODELS)
def test_float_models(name, tmp_path):
    model = drawn(MODELS[name]())
    x = [RNG.normal(size=(200, *tensor.shape[1:])).astype("float32") for tensor in model.inputs]
    snapshot = keras_hls.snapshot(model, calibration=x, bits=18)
    found = snapshot.predict(x)
    found = found if isinstance(found, list) else [found]
    for mine, own in zip(found, reference(model, snapshot.graph)(x), strict=True):
        assert mine.shape == own.shape
        assert np.abs(mine - own).max() <= 6e-3 * max(np.abs(own).max(), 1)
    # What a file says is the same, whatever its form.
    model.save(tmp_path / "net.keras")
    model.save(tmp_path / "net.h5")
    model.save_weights(tmp_path / "weights.h5")
    model.save_weights(tmp_path / "new.weights.h5")
    (tmp_path / "net.json").write_text(model.to_json())
    for file, weights in (
        ("net.keras", None),
        ("net.h5", None),
        ("net.json", "weights.h5"),
        ("net.json", "new.weights.h5"),
    ):
        options = {} if weights is None else {"weights": tmp_path / weights}
        again = keras_hls.snapshot(tmp_path / file, calibration=x, bits=18, **options)
        other = again.predict(x)
        assert all(np.array_equal(a, b) for a, b in zip(found, other if isinstance(other, list) else [other]))


def test_a_sequential_model_without_inputs_of_its_own():
    model = drawn(nested_model())
    x = RNG.normal(size=(100, 4)).astype("float32")
    snapshot = keras_hls.snapshot(model, calibration=x, bits=18)
    (own,) = reference(model, snapshot.graph)([x])
    assert snapshot.graph.host == ("softmax",)
    assert np.abs(snapshot.predict(x) - own).max() < 1e-3 * np.abs(own).max()


def test_what_waits_for_its_shape_is_refused():
    with pytest.raises(InvalidModel, match="isn't built as a Sequential or functional one"):
        keras_hls.snapshot(keras.Sequential([L.Dense(3)]))

    class Own(keras.Model):
        def call(self, x):
            return x

    model = Own()
    model(np.zeros((1, 3), "float32"))
    with pytest.raises(InvalidModel, match="models with a call method of their own are read from Keras 3"):
        keras_hls.snapshot(model)


def test_locally_connected_layers_are_exact(tmp_path):
    """With numbers of few bits, and each step's type given: bit for bit, in the hardware too."""
    model = sequence((6, 5, 2), L.LocallyConnected2D(3, (2, 3), strides=(2, 1), activation="relu"))
    for variable in model.weights:
        variable.assign(RNG.integers(-16, 17, variable.shape) / 8)
    x = (RNG.integers(-32, 33, (100, 6, 5, 2)) / 8).astype("float32")
    project = keras_hls.export_hls(model, tmp_path / "net", calibration=x, bits=24)
    assert (project.verification.csim_different, project.verification.keras_different) == (0, 0)
    assert np.array_equal(project.predict(x), np.asarray(model(x)))


def test_a_kernel_kept_as_a_list_is_refused():
    model = drawn(sequence((6, 5, 2), L.LocallyConnected2D(3, 2, implementation=3)))
    with pytest.raises(UnsupportedModel, match="is kept in another way than that of implementation=1 or 2"):
        keras_hls.snapshot(model, calibration=np.zeros((1, 6, 5, 2), "float32"))


def test_layers_of_code_are_refused():
    x = L.Input((3,))
    model = keras.Model(x, L.Lambda(lambda v: v * 2)(x) + 1.0)
    with pytest.raises(UnsupportedModel, match=r"^1 layer can't be exported: .*\(keras.layers.Lambda\)"):
        keras_hls.snapshot(model, calibration=np.zeros((1, 3), "float32"))
    mixed = keras.Sequential([L.Input((3,)), L.Dense(2, dtype="mixed_float16")])
    with pytest.raises(UnsupportedModel, match="it computes in mixed_float16, and only float32"):
        keras_hls.snapshot(mixed, calibration=np.zeros((1, 3), "float32"))


def test_export_and_comparison_layer_by_layer(tmp_path):
    model = drawn(MODELS["images"]())
    x = RNG.normal(size=(50, 8, 8, 2)).astype("float32")
    project = keras_hls.export_hls(model, tmp_path / "net", calibration=x, bits=18)
    assert project.verification.csim_different == 0
    assert project.verification.argmax_different == 0
    compared = project.compare(x)
    assert compared.ok
    assert [layer.layer for layer in compared.layers] == [layer.name for layer in model.layers]
