"""Models of Keras 2 from their files, with nothing but numpy and h5py: every year's forms, and what is no such file."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

import keras_hls
from keras_hls.errors import InvalidModel, UnsupportedModel

sys.path.insert(0, str(Path(__file__).parent))
from saved_models import (
    dense,
    functional,
    given,
    layer,
    numbers,
    samples,
    save,
    save_whole,
    save_zip,
    sequential,
)

#: Everything is a number of few bits, and products of them are too.
EXACT = {"bits": 24}


def answers(model, x, **kwargs):
    return keras_hls.snapshot(model, calibration=x, **EXACT, **kwargs).predict(x)


def two_layers():
    kernels, biases = [numbers(4, 5), numbers(5, 3)], [numbers(5), numbers(3)]
    model = sequential(dense("a", 5, batch_input_shape=[None, 4], activation="relu"), dense("b", 3))
    weights = {"a": [kernels[0], biases[0]], "b": [kernels[1], biases[1]]}
    return model, weights, lambda x: np.maximum(x @ kernels[0] + biases[0], 0) @ kernels[1] + biases[1]


@pytest.mark.parametrize("form", ["json", "list", "pieces", "h5", "keras", "weights.h5"])
def test_one_model_in_every_form(tmp_path, form):
    model, weights, function = two_layers()
    options = {}
    tree = {"layers/dense": weights["a"], "layers/dense_1": weights["b"]}
    if form == "list":
        # Before Keras 2.2.3, a Sequential model's config was the list of its layers.
        model = {**model, "config": model["config"]["layers"]}
    if form == "h5":
        path = save_whole(tmp_path / "whole.h5", model, weights)
    elif form == "keras":
        path = save_zip(tmp_path / "whole.keras", model, tree)
    else:
        path, options["weights"] = save(tmp_path, model, weights, limit=1 if form == "pieces" else None)
        if form == "weights.h5":
            with h5py.File(tmp_path / "new.weights.h5", "w") as file:
                for place, arrays in tree.items():
                    for i, array in enumerate(arrays):
                        file[f"{place}/vars/{i}"] = array
            options["weights"] = tmp_path / "new.weights.h5"
    x = samples(4)
    assert np.array_equal(answers(path, x, **options), function(x))


def test_a_graph_with_shared_layers_several_inputs_and_outputs(tmp_path):
    kernel, bias, last = numbers(4, 4), numbers(4), numbers(4, 2)
    layers = [
        given("left", 4),
        given("right", 4),
        dense("shared", 4, [["left"], ["right"], [("shared", 1, 0)]]),
        layer("Add", "sum", {}, [[("shared", 0, 0), ("shared", 2, 0)]]),
        dense("out", 2, [["sum"]], use_bias=False),
    ]
    model = functional(layers, ["right", "left"], ["out", ("shared", 1, 0)], kind="Model")
    path, weights = save(tmp_path, model, {"shared": [kernel, bias], "out": [last]})
    x = {"left": samples(4), "right": samples(4)}

    def shared(values):
        return values @ kernel + bias

    out, second = answers(path, x, weights=weights)
    assert np.array_equal(out, (shared(x["left"]) + shared(shared(x["right"]))) @ last)
    assert np.array_equal(second, shared(x["right"]))
    snapshot = keras_hls.snapshot(path, weights=weights, calibration=x)
    assert [node.name for node in snapshot.graph.inputs] == ["right", "left"]
    assert snapshot.graph.output_names == ("out", "shared")


@pytest.mark.parametrize("first", [0, 1])
def test_inner_models_share_out_one_list_of_weights(tmp_path, first):
    """First all that are trained, then all others; Keras counts an inner model's calls from 0 or from 1."""
    kernel, bias, frozen = numbers(3, 3), numbers(3), numbers(3, 3)
    gamma, beta, mean, variance = (np.array(v, "float32") for v in ([2, 1, -1], [0.5, 0, 1], [1, 0, -2], [3, 0, 15]))
    inner = functional(
        [
            given("in", 3),
            dense("d", 3, [["in"]]),
            layer("BatchNormalization", "n", {"axis": [1], "epsilon": 1.0, "scale": True, "center": True}, [["d"]]),
            dense("f", 3, [["n"]], use_bias=False, trainable=False),
        ],
        ["in"],
        ["f"],
        "inner",
    )
    layers = [
        given("x", 3),
        {**inner, "name": "inner", "inbound_nodes": [[["x", 0, 0, {}]], [["inner", first, 0, {}]]]},
    ]
    model = functional(layers, ["x"], [("inner", 1 + first, 0)])
    path, weights = save(tmp_path, model, {"inner": [kernel, bias, gamma, beta, mean, variance, frozen]})
    x = samples(3)

    def once(values):
        y = (values @ kernel + bias - mean) / np.sqrt(variance + 1) * gamma + beta
        return y @ frozen

    assert np.array_equal(answers(path, x, weights=weights), once(once(x)))
    assert list(keras_hls.snapshot(path, weights=weights, calibration=x).graph.places)[:2] == ["inner/d", "inner/n"]


def test_a_sequential_model_of_models(tmp_path):
    kernel, last = numbers(4, 3), numbers(3, 2)
    inner = sequential(dense("d", 3, use_bias=False, batch_input_shape=[None, 4]), name="inner")
    model = sequential(inner, dense("last", 2, use_bias=False))
    path, weights = save(tmp_path, model, {"inner": [kernel], "last": [last]})
    x = samples(4)
    assert np.array_equal(answers(path, x, weights=weights), x @ kernel @ last)


def test_convolutions_of_early_years_lack_keys(tmp_path):
    kernel = numbers(3, 2, 4)
    config = {"filters": 4, "kernel_size": [3], "strides": [1], "padding": "valid", "use_bias": False}
    model = sequential(layer("Conv1D", "c", {**config, "batch_input_shape": [None, 6, 2]}), layer("Flatten", "f"))
    path, weights = save(tmp_path, model, {"c": [kernel], "f": []})
    x = samples(6, 2)
    wanted = np.stack([np.einsum("nki,kio->no", x[:, i : i + 3], kernel) for i in range(4)], 1)
    assert np.array_equal(answers(path, x, weights=weights), wanted.reshape(len(x), -1))


def test_binary_and_ternary_layers_of_early_years(tmp_path):
    first, second = (
        np.float32([[0.3, -0.1, 0, 1e-9], [-2, 5, 0.7, -0.0]]),
        np.float32([[0.6, -0.5], [0.5, 0.51], [-0.6, 0], [2, -2]]),
    )
    model = sequential(
        layer(
            "BinaryDense",
            "b",
            {
                "units": 4,
                "use_bias": False,
                "H": 1,
                "activation": "linear",
                "kernel_lr_multiplier": 3.0,
                "batch_input_shape": [None, 2],
            },
        ),
        layer("Activation", "s", {"activation": "binary_tanh"}),
        layer("TernaryDense", "t", {"units": 2, "use_bias": False, "H": 1, "activation": "ternary_tanh"}),
    )
    path, weights = save(tmp_path, model, {"b": [first], "s": [], "t": [second]})
    x = samples(2)
    y = np.where(x @ np.float32([[1, -1, -1, -1], [-1, 1, 1, -1]]) > 0, 1, -1)
    y = y @ np.float32([[1, -1], [0, 1], [-1, 0], [1, -1]])
    assert np.array_equal(answers(path, x, weights=weights), np.clip(np.rint(y), -1, 1))


def test_a_project_of_a_file_is_compared_with_the_emulator(tmp_path):
    model, weights, function = two_layers()
    path, arrays = save(tmp_path, model, weights)
    x = samples(4)
    project = keras_hls.export_hls(path, tmp_path / "project", weights=arrays, calibration=x, **EXACT)
    assert (project.verification.csim_different, project.verification.keras_different) == (0, None)
    assert np.array_equal(project.predict(x), function(x))
    with pytest.raises(InvalidModel, match="is a file, which can't be asked; load it"):
        keras_hls.snapshot(path, weights=arrays, calibration=x, max_error=0.1)


# -- what is no such file, or doesn't fit


def test_missing_and_needless_weights(tmp_path):
    model, weights, _ = two_layers()
    path, arrays = save(tmp_path, model, weights)
    with pytest.raises(
        InvalidModel, match=r"holds an architecture alone; pass its weights as well: weights='\.\.\.\.h5'"
    ):
        keras_hls.snapshot(path)
    whole = save_whole(tmp_path / "whole.h5", model, weights)
    with pytest.raises(InvalidModel, match="holds its weights itself; leave out weights="):
        keras_hls.snapshot(whole, weights=arrays)
    with pytest.raises(InvalidModel, match=r"holds weights alone; pass the model's \.json, and this as weights="):
        keras_hls.snapshot(arrays)
    with pytest.raises(InvalidModel, match="can't be read: No such file"):
        keras_hls.snapshot(path, weights=tmp_path / "none.h5")
    with pytest.raises(InvalidModel, match="There is no model file"):
        keras_hls.snapshot(tmp_path / "none.json")


@pytest.mark.parametrize("cut", [10, 700, 2000, -100])
def test_a_truncated_file(tmp_path, cut):
    model, weights, _ = two_layers()
    path = save_whole(tmp_path / "whole.h5", model, weights)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(InvalidModel, match=r"whole.h5.* (is damaged|must be a \.keras)"):
        keras_hls.snapshot(path)


@pytest.mark.parametrize(
    ("form", "place", "sentence"),
    [
        ("h5", "a/a/bias_kernel_1:0", "/model_weights/a/a/bias_kernel_1:0 isn't there"),
        ("h5", "b", "/model_weights/b isn't there"),
        ("h5", "", "/model_weights isn't there"),
        ("json", "a/a/bias_kernel_0:0", "/a/a/bias_kernel_0:0 isn't there"),
        ("weights.h5", "layers/dense/vars/0", "/layers/dense/vars/0 isn't there"),
    ],
)
def test_files_that_lack_a_part(tmp_path, form, place, sentence):
    model, weights, _ = two_layers()
    options = {}
    if form == "h5":
        path = damaged = save_whole(tmp_path / "whole.h5", model, weights)
        place = f"model_weights/{place}".rstrip("/")
    else:
        path, damaged = save(tmp_path, model, weights)
        if form == "weights.h5":
            damaged = tmp_path / "new.weights.h5"
            with h5py.File(damaged, "w") as file:
                for key, arrays in {"dense": weights["a"], "dense_1": weights["b"]}.items():
                    for i, array in enumerate(arrays):
                        file[f"layers/{key}/vars/{i}"] = array
        options["weights"] = damaged
    assert keras_hls.snapshot(path, precision="fixed<16, 6>", **options).graph
    with h5py.File(damaged, "a") as file:
        del file[place]
    with pytest.raises(InvalidModel, match=f"Weights in file .* are damaged: .*{sentence}"):
        keras_hls.snapshot(path, precision="fixed<16, 6>", **options)


def test_a_group_in_an_arrays_place(tmp_path):
    model, weights, _ = two_layers()
    path = save_whole(tmp_path / "whole.h5", model, weights)
    with h5py.File(path, "a") as file:
        del file["model_weights/a/a/bias_kernel_1:0"]
        file.create_group("model_weights/a/a/bias_kernel_1:0")
    with pytest.raises(InvalidModel, match="bias_kernel_1:0 holds no numbers"):
        keras_hls.snapshot(path)


POLICY = {"module": "keras.mixed_precision", "class_name": "Policy", "config": {"name": "float32"}}


@pytest.mark.parametrize(
    ("dtype", "refused"),
    [
        (POLICY, None),
        ({**POLICY, "config": {"name": "mixed_float16"}}, "it computes in mixed_float16, and only float32"),
        ({"class_name": "Policy"}, "it computes in {'class_name': 'Policy'}, and only float32"),
    ],
)
def test_policies_of_precision(tmp_path, dtype, refused):
    kernel = numbers(4, 3)
    model = sequential(dense("a", 3, batch_input_shape=[None, 4], use_bias=False, dtype=dtype))
    path, weights = save(tmp_path, model, {"a": [kernel]})
    x = samples(4)
    if refused is None:
        assert np.array_equal(answers(path, x, weights=weights), x @ kernel)
        return
    with pytest.raises(UnsupportedModel, match=refused):
        answers(path, x, weights=weights)


@pytest.mark.parametrize("name", ["float32", "mixed_float16"])
def test_policies_of_precision_in_proxies_of_hgq(tmp_path, name):
    dtype = {**POLICY, "config": {"name": name}}
    config = {"RND": "TRN", "SAT": "WRAP", "dtype": dtype, "batch_input_shape": [None, 4], "overrides": {}}
    weights = [np.ones(4, "int8"), np.full(4, 6, "int8"), np.full(4, 3, "int8")]
    path, arrays = save(tmp_path, sequential(layer("FixedPointQuantizer", "q", config)), {"q": weights})
    x = samples(4)
    if name == "float32":
        assert np.array_equal(keras_hls.snapshot(path, weights=arrays).predict(x), np.floor(x * 8) / 8)
        return
    with pytest.raises(UnsupportedModel, match=r"'q' .*it computes in mixed_float16"):
        keras_hls.snapshot(path, weights=arrays)


def test_foreign_files(tmp_path):
    with h5py.File(tmp_path / "data.h5", "w") as file:
        file["x"] = [1, 2]
    with pytest.raises(InvalidModel, match=r"holds no model$"):
        keras_hls.snapshot(tmp_path / "data.h5")
    (tmp_path / "list.json").write_text("[1, 2]")
    with pytest.raises(InvalidModel, match="isn't a Keras 2 model"):
        keras_hls.snapshot(tmp_path / "list.json", weights=tmp_path / "data.h5")
    (tmp_path / "text.json").write_text("{")
    with pytest.raises(InvalidModel, match="its JSON can't be read"):
        keras_hls.snapshot(tmp_path / "text.json")
    model, weights, _ = two_layers()
    path, _ = save(tmp_path, model, weights)
    with pytest.raises(InvalidModel, match="aren't those of a Keras model"):
        keras_hls.snapshot(path, weights=tmp_path / "data.h5")
    with pytest.raises(InvalidModel, match="Weights must be an HDF5 file"):
        keras_hls.snapshot(path, weights=path)


def test_weights_that_do_not_fit(tmp_path):
    model, weights, _ = two_layers()
    path, arrays = save(tmp_path, model, {"a": weights["a"], "other": weights["b"]})
    with pytest.raises(InvalidModel, match="has weights of layer 'other', which the model doesn't have"):
        keras_hls.snapshot(path, weights=arrays)
    path, arrays = save(tmp_path, model, {"a": weights["a"][:1], "b": weights["b"]})
    with pytest.raises(UnsupportedModel, match=r"'a' .*: it takes kernel, bias, but the weights hold 1 arrays for it"):
        keras_hls.snapshot(path, weights=arrays)
    path, arrays = save(tmp_path, model, {"a": [numbers(7, 5), numbers(5)], "b": weights["b"]})
    with pytest.raises((InvalidModel, UnsupportedModel), match=r"'(a|b)'"):
        keras_hls.snapshot(path, weights=arrays, calibration=samples(4))


def test_unknown_classes_are_named_at_once(tmp_path):
    model = sequential(
        layer("MyLayer", "own", {"batch_input_shape": [None, 4]}),
        layer("Dense2", "next"),
        layer("LSTM", "memory", {"units": 3}),
    )
    path, arrays = save(tmp_path, model, {"own": [], "next": [], "memory": []})
    with pytest.raises(UnsupportedModel) as caught:
        keras_hls.snapshot(path, weights=arrays)
    assert [p.split(":")[0] for p in caught.value.problems] == [
        "'own' (keras.layers.MyLayer)",
        "'next' (keras.layers.Dense2)",
        "'memory' (keras.layers.LSTM)",
    ]


def test_no_code_of_a_file_is_run(tmp_path):
    marker = tmp_path / "ran"
    code = f"__import__('pathlib').Path({str(marker)!r}).touch()"
    quantizer = {"kernel_quantizer": code, "bias_quantizer": None}
    model = sequential(
        layer(
            "QDense",
            "q",
            {"units": 2, "use_bias": True, "activation": code, "batch_input_shape": [None, 4], **quantizer},
        ),
        layer("Lambda", "own", {"function": ["4wEAAAAAAAAA", None, None], "function_type": "lambda"}),
        layer("Activation", "a", {"activation": code}),
    )
    path, arrays = save(tmp_path, model, {"q": [numbers(4, 2), numbers(2)], "own": [], "a": []})
    with pytest.raises(UnsupportedModel, match="'q' "):
        keras_hls.snapshot(path, weights=arrays)
    assert not marker.exists()


def test_a_quantizer_of_ones_own_is_refused(tmp_path):
    config = {
        "units": 2,
        "use_bias": False,
        "activation": "linear",
        "kernel_quantizer": "my_quant(4)",
        "batch_input_shape": [None, 4],
    }
    path, arrays = save(tmp_path, sequential(layer("QDense", "q", config)), {"q": [numbers(4, 2)]})
    with pytest.raises(
        UnsupportedModel, match=r"'q' \(qkeras.QDense\): its kernel_quantizer: 'my_quant' is no quantizer of QKeras"
    ):
        keras_hls.snapshot(path, weights=arrays)


def test_the_other_keras(tmp_path):
    model, weights, _ = two_layers()
    path = save_zip(tmp_path / "three.keras", model, {}, version="3.15.0")
    with pytest.raises(InvalidModel, match=r"needs Keras 3 to be loaded|can't be loaded"):
        keras_hls.snapshot(path)
    (tmp_path / "three.json").write_text(json.dumps({**model, "keras_version": "3.1.0"}))
    with pytest.raises(InvalidModel, match=r"was written by Keras 3\.1\.0; save the model as \.keras"):
        keras_hls.snapshot(tmp_path / "three.json", weights=save(tmp_path, model, weights)[1])


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            lambda c: c["layers"][1].update(inbound_nodes=[[["none", 0, 0, {}]]]),
            "layer 'none' is read and never called",
        ),
        (lambda c: c["layers"][1].update(inbound_nodes=[[["a", 0, 0, {}]]]), "layer 'a' takes its own result"),
        (lambda c: c["layers"][1].update(inbound_nodes=[[]]), "layer 'a' has a call without tensors"),
        (lambda c: c.update(output_layers=[["a", 0, 3]]), "layer 'a' has no result number 3"),
        (lambda c: c.update(input_layers=[["y", 0, 0]]), "there is no layer 'y'"),
        (lambda c: c["layers"][0]["config"].pop("batch_input_shape"), "isn't built: the shape of 'x' is unknown"),
    ],
)
def test_configs_that_contradict_themselves(tmp_path, change, sentence):
    model = functional([given("x", 4), dense("a", 2, [["x"]])], ["x"], ["a"])
    change(model["config"])
    path, arrays = save(tmp_path, model, {"x": [], "a": [numbers(4, 2), numbers(2)]})
    with pytest.raises(InvalidModel, match=sentence):
        keras_hls.snapshot(path, weights=arrays)


def test_training_and_masks_are_refused(tmp_path):
    layers = [
        given("x", 4, 2),
        layer("Masking", "m", {"mask_value": 0.0}, [["x"]]),
        layer("Dropout", "d", {"rate": 0.5, "noise_shape": None, "seed": None}, [["m"]]),
        layer("GlobalAveragePooling1D", "g", {"data_format": "channels_last"}, [["d"]]),
    ]
    layers[2]["inbound_nodes"][0][0][3]["training"] = True
    path, arrays = save(tmp_path, functional(layers, ["x"], ["g"]), {"x": []})
    with pytest.raises(UnsupportedModel) as caught:
        keras_hls.snapshot(path, weights=arrays)
    assert [p.split(";")[0].split(": ", 1)[1] for p in caught.value.problems] == [
        "it is called with {'training': True}, which no reader takes account of",
        "it is given a mask, by a Masking or Embedding layer before it, which no reader takes account of",
    ]


def test_nothing_heavy_is_imported(tmp_path):
    model, weights, _ = two_layers()
    path, arrays = save(tmp_path, model, weights)
    script = (
        "import sys, keras_hls;"
        f" keras_hls.snapshot({str(path)!r}, weights={str(arrays)!r}, precision='fixed<16, 6>');"
        " print(sorted({'keras', 'tensorflow', 'qkeras', 'HGQ'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


MODELS = Path(__file__).parents[3] / "shared" / "models"


@pytest.mark.skipif(not MODELS.is_dir(), reason="the pretrained models aren't there")
@pytest.mark.parametrize("path", sorted(MODELS.glob("*.json")), ids=lambda path: path.stem)
def test_pretrained_models(path, tmp_path):
    from keras_hls.frontends import models
    from keras_hls.frontends.keras2.layout import lay_out

    model = models.opened(path, path.with_name(f"{path.stem}_weights.h5"))
    x = [np.random.default_rng(0).uniform(-1, 1, (200, *port.shape)).astype("float32") for port in lay_out(model).ports]
    project = keras_hls.export_hls(model, tmp_path / "net", calibration=x)
    assert project.verification.csim_different == 0
