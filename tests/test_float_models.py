"""Float models: types from samples, from an error budget, or as the user says, and what an export reports of them."""

import numpy as np
import pytest

import keras_hls
from keras_hls.errors import HLSWarning, InvalidData, InvalidOption, UnsupportedModel

keras = pytest.importorskip("keras")
hgq_layers = pytest.importorskip("hgq.layers")

L = keras.layers
pytestmark = pytest.mark.keras3


def mlp():
    keras.utils.set_random_seed(1)
    return keras.Sequential(
        [
            keras.Input((8,), name="features"),
            L.Dense(16, activation="relu", name="first"),
            L.Dense(16, activation="tanh", name="second"),
            L.Dense(4, activation="softmax", name="classes"),
        ]
    )


def cnn():
    keras.utils.set_random_seed(2)
    return keras.Sequential(
        [
            keras.Input((10, 10, 1)),
            L.Conv2D(4, 3, use_bias=False),
            L.BatchNormalization(),
            L.ReLU(),
            L.MaxPooling2D(),
            L.SeparableConv2D(6, 3, activation="relu"),
            L.GlobalAveragePooling2D(),
            L.Dense(5),
        ]
    )


X = np.random.default_rng(0).normal(0, 2, (600, 8)).astype("float32")
IMAGES = np.random.default_rng(1).normal(0, 1, (300, 10, 10, 1)).astype("float32")


def logits(model, x):
    """What goes into a softmax at the end."""
    last = model.layers[-1]
    before = keras.Model(model.inputs, last.input)(x)
    return keras.ops.convert_to_numpy(before @ last.kernel + last.bias)


def test_defaults_keep_the_argmax():
    model = mlp()
    snapshot = keras_hls.snapshot(model, calibration=X)
    answers, wanted = snapshot.predict(X), logits(model, X)
    assert (answers.argmax(-1) == wanted.argmax(-1)).mean() >= 0.99
    assert np.abs(answers - wanted).max() < 0.02
    assert snapshot.graph.chosen == ("features", "first", "second", "classes")


@pytest.mark.parametrize("make", [mlp, cnn])
def test_an_export_is_verified_and_reported(tmp_path, make):
    model, x = make(), X if make is mlp else IMAGES
    project = keras_hls.export_hls(model, tmp_path / "net", calibration=x)
    found = project.verification
    assert found.ok
    assert found.csim_different == 0
    assert found.samples == len(x)
    assert found.argmax_different <= 0.01 * len(x)
    assert found.chosen
    assert "the model has no quantizers: types were chosen" in str(found)
    assert any("types were chosen there" in note for note in project.notes)
    assert np.array_equal(project.predict(x), project.emulate(x))
    # The written project knows it as well.
    assert keras_hls.load(tmp_path / "net").graph.chosen == found.chosen


def test_an_export_that_is_far_off_says_so(tmp_path):
    with pytest.warns(
        HLSWarning, match=r"^Only \d+\.\d% of the samples keep their argmax, .* pass more bits=, or max_error="
    ):
        project = keras_hls.export_hls(cnn(), tmp_path / "net", calibration=IMAGES, bits=3)
    assert project.verification.argmax_different > 3


@pytest.mark.parametrize("error", [0.5, 0.05, 0.005])
def test_an_error_budget_takes_the_fewest_bits(error):
    model = cnn()
    wanted = keras.ops.convert_to_numpy(model(IMAGES))
    snapshot = keras_hls.snapshot(model, calibration=IMAGES, max_error=error)
    assert np.abs(snapshot.predict(IMAGES) - wanted).max() <= error
    bits = max(int(n.op.cast.width.max()) for n in snapshot.graph if n.op.cast is not None)
    fewer = keras_hls.snapshot(model, calibration=IMAGES, bits=bits - 1)
    assert np.abs(fewer.predict(IMAGES) - wanted).max() > error


def test_an_error_budget_may_be_any_number():
    options = keras_hls.snapshot(
        mlp(), calibration=X[:50], max_error=np.float32(0.5), clock_period=np.float64(4)
    ).options
    assert [type(options.max_error), type(options.clock_period)] == [float, float]


def test_an_error_budget_is_for_what_goes_into_a_softmax_at_the_end():
    model = mlp()
    snapshot = keras_hls.snapshot(model, calibration=X, max_error=0.03)
    assert np.abs(snapshot.predict(X) - logits(model, X)).max() <= 0.03


def test_budgets_that_can_not_be_kept_are_refused():
    with pytest.raises(InvalidOption, match="max_error=1e-12 can't be kept: with 24 bits the outputs are off by"):
        keras_hls.snapshot(cnn(), calibration=IMAGES, max_error=1e-12)
    with pytest.raises(InvalidOption, match="max_error is measured on samples; pass calibration="):
        keras_hls.snapshot(cnn(), precision="fixed<16, 6>", max_error=0.1)


def test_columns_of_very_different_sizes_behind_a_normalization():
    """Age, income and a ratio: each enters in a type of its own."""
    sizes = np.array([1, 30, 1e5, 1e-2, 1, 1, 1, 1])
    columns = (X + 1) * sizes
    front = L.Normalization()
    front.adapt(columns.astype("float32"))
    model = keras.Sequential([keras.Input((8,)), front, L.Dense(16, activation="relu"), L.Dense(4)])
    wanted = keras.ops.convert_to_numpy(model(columns))
    answers = keras_hls.snapshot(model, calibration=columns).predict(columns)
    assert np.abs(answers - wanted).max() < 0.005
    assert (answers.argmax(-1) == wanted.argmax(-1)).mean() >= 0.99


def test_one_type_for_all():
    model = mlp()
    snapshot = keras_hls.snapshot(model, precision="fixed<18, 6>")
    assert np.abs(snapshot.predict(X) - logits(model, X)).max() < 0.05
    assert str(snapshot.graph["features"].op.port) == "fixed<18, 6>"


def test_types_by_layer_beside_those_from_samples():
    snapshot = keras_hls.snapshot(
        mlp(), calibration=X, precision={"first": {"result": "ufixed<9, 3, RND, SAT>", "weight": "fixed<6, 1>"}}
    )
    assert str(snapshot.graph["first_relu_result"].op.cast) == "ufixed<9, 3, RND, SAT>"
    assert snapshot.graph["first"].op.kernel.type.hull.width <= 6
    assert snapshot.graph["second"].op.kernel.type.hull.width > 12


def test_a_config_of_hls4ml():
    config = {
        "Model": {"Precision": {"default": "fixed<18,6>"}, "ReuseFactor": 1, "Strategy": "Latency"},
        "LayerName": {"first": {"Precision": {"weight": "fixed<9,2>"}, "Trace": False}},
    }
    snapshot = keras_hls.snapshot(mlp(), hls_config=config)
    assert snapshot.graph["first"].op.kernel.type.hull.width <= 9
    assert snapshot.options.strategy == "Latency"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"precision": 16}, "precision must be a type such as"),
        ({"precision": "float"}, "precision: Type must be like"),
        ({"precision": {"first": 3}}, r"precision\['first'\] must be a type or a dict"),
        ({"precision": {"first": {"accum": "fixed<8,4>"}}}, "key must be 'result' or 'weight' or 'bias', not 'accum'"),
        ({"precision": {"first": {"weight": "automatic"}}}, "Type must be like"),
        ({"precision": {"frist": "fixed<8,4>"}}, "'frist', which isn't a layer of the model. Did you mean 'first'"),
        ({"bits": 1}, "bits must be an integer from 2 to 24, not 1"),
        ({"bits": 8.5}, "bits must be an integer"),
        ({"max_error": 0}, "max_error must be a positive number, not 0"),
        ({"precision": {"first": {"weight": "fixed<6,-4>"}}}, "'first': its kernel must fit"),
    ],
)
def test_bad_options_are_refused(options, sentence):
    with pytest.raises(InvalidOption, match=sentence):
        keras_hls.snapshot(mlp(), calibration=X, **options)


@pytest.mark.parametrize(
    ("samples", "sentence"),
    [
        (X[:, :3], r"must have shape \(n, 8\)"),
        (X[:0], "calibration must hold at least one sample"),
        (np.full((3, 8), np.nan), "hold NaN or infinite values"),
        ({"other": X}, "must be given for inputs features"),
        ([["a"] * 8], "must be numbers"),
    ],
)
def test_bad_samples_are_refused(samples, sentence):
    with pytest.raises(InvalidData, match=sentence):
        keras_hls.snapshot(mlp(), calibration=samples)


def test_without_samples_every_layer_is_named():
    with pytest.raises(UnsupportedModel) as caught:
        keras_hls.export_hls(mlp(), "never-written")
    assert len(caught.value.problems) >= 3
    for layer in ("first", "second", "classes"):
        assert any(
            problem.startswith(f"'{layer}'") and "calibration=samples" in problem for problem in caught.value.problems
        )
    report = keras_hls.check(mlp())
    assert not report.ok
    assert keras_hls.check(mlp(), calibration=X).ok
    assert str(keras_hls.check(mlp(), calibration=X)).startswith("Every layer can be exported.\n")


def test_quantized_models_need_no_samples_and_ignore_them():
    from quantized_models import assert_equal, config, randomize

    x = keras.Input((4,))
    quantizers = {"kq_conf": config("weight"), "bq_conf": config("bias"), "iq_conf": config()}
    model = randomize(keras.Model(x, hgq_layers.QDense(3, **quantizers)(x)))
    assert_equal(model)
    data = np.random.default_rng(0).normal(size=(50, 4))
    with_samples = keras_hls.snapshot(model, calibration=data)
    assert with_samples.graph.chosen == ()
    assert not keras_hls.snapshot(model).diff(with_samples)


def test_the_callback_takes_samples(tmp_path):
    from keras_hls.callbacks import HLSExport

    model = mlp()
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    ours = HLSExport(tmp_path / "net", monitor="accuracy", mode="max", calibration=X, validation=X[:100], verbose=0)
    history = model.fit(X, (X[:, 0] > 0).astype(int), epochs=2, verbose=0, callbacks=[ours])
    assert all(np.isfinite(history.history["hls_lut"]))
    assert ours.project is not None
    assert ours.verification.ok
    # Both of the same epoch.
    assert ours.verification.largest_difference < 0.02


def test_a_float_layer_trains_no_differently_for_being_watched(tmp_path):
    from keras_hls.callbacks import HLSExport

    weights = []
    for callbacks in ([], [HLSExport(tmp_path / "net", monitor="loss", calibration=X, verbose=0)]):
        model = mlp()
        model.compile("adam", "sparse_categorical_crossentropy")
        model.fit(X, (X[:, 0] > 0).astype(int), epochs=2, verbose=0, shuffle=False, callbacks=callbacks)
        weights.append(model.get_weights())
    assert all(np.array_equal(a, b) for a, b in zip(*weights))
