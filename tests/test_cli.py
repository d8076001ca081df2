"""The command ``keras-hls``, for models in files."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

import keras_hls
from keras_hls.cli import main

sys.path.insert(0, str(Path(__file__).parent / "frontends"))
from saved_models import dense, numbers, samples, save, sequential


@pytest.fixture
def files(tmp_path):
    """A model of two layers, its weights, and samples."""
    model = sequential(dense("a", 5, batch_input_shape=[None, 4], activation="relu"), dense("b", 3))
    path, weights = save(tmp_path, model, {"a": [numbers(4, 5), numbers(5)], "b": [numbers(5, 3), numbers(3)]})
    np.save(tmp_path / "x.npy", samples(4))
    return path, weights, tmp_path / "x.npy"


def test_export(files, tmp_path, capsys):
    path, weights, x = files
    folder = tmp_path / "project"
    arguments = [
        "export",
        path,
        folder,
        "--weights",
        weights,
        "--calibration",
        x,
        "--bits",
        "12",
        "--clock-period",
        "4",
    ]
    assert main([str(a) for a in arguments]) == 0
    out = capsys.readouterr().out
    assert "C-simulation against emulator: 0 of 150 values differ." in out
    assert f"Written: {folder}" in out
    project = keras_hls.load(folder)
    assert project.options.clock_period == 4
    assert project.options.bits == 12


def test_estimate_and_check(files, capsys):
    path, weights, x = map(str, files)
    assert main(["estimate", path, "--weights", weights, "--precision", "fixed<12,4>"]) == 0
    assert "\nTotal " in capsys.readouterr().out
    assert main(["check", path, "--weights", weights, "--calibration", x]) == 0
    assert capsys.readouterr().out.startswith("Every layer can be exported.")
    assert main(["check", path, "--weights", weights]) == 1
    assert "pass calibration=samples" in capsys.readouterr().out


def test_an_input_that_nothing_types_is_hls4mls_default(tmp_path, capsys):
    """A published model whose weights and activations are quantized, and its input not."""
    options = {"kernel_quantizer": "quantized_bits(6,0,alpha=1)", "bias_quantizer": "quantized_bits(6,0,alpha=1)"}
    layer = dense("a", 5, batch_input_shape=[None, 4], **options)
    layer["class_name"] = "QDense"
    path, weights = map(str, save(tmp_path, sequential(layer), {"a": [numbers(4, 5), numbers(5)]}))
    said = "Nothing says the type of 'a_input': taken as fixed<16, 6>, which holds -32 to 32"
    for command, more in (("export", [str(tmp_path / "project")]), ("estimate", []), ("check", [])):
        assert main([command, path, *more, "--weights", weights]) == 0
        assert said in capsys.readouterr().err
    project = keras_hls.load(tmp_path / "project")
    assert (project.graph.inputs[0].op.port.width, project.graph.inputs[0].op.port.integer) == (16, 6)
    assert main(["check", path, "--weights", weights, "--precision", "fixed<12, 3>"]) == 0
    found = capsys.readouterr()
    assert found.err == "" and "no quantizers at 'a_input', 'a': types were chosen there" in found.out


def test_a_config_of_hls4ml(files, tmp_path, capsys):
    path, weights, x = map(str, files)
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"Model": {"Precision": "fixed<14,5>", "ReuseFactor": 1, "Strategy": "latency"}}))
    assert main(["estimate", path, "--weights", weights, "--hls-config", str(config)]) == 0
    with pytest.raises(SystemExit) as caught:
        main(["estimate", path, "--hls-config", x])
    assert caught.value.code == 2
    assert "can't be read as JSON" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["--part", "none"], "keras-hls: "),
        (
            ["--calibration", "none.npy"],
            "--calibration must be a file of samples (.npy, .npz): 'none.npy' can't be read",
        ),
        (["--weights", "none.h5"], "'none.h5' can't be read"),
    ],
)
def test_bad_input_is_a_sentence(files, more, sentence, capsys):
    path, weights, _ = map(str, files)
    assert main(["estimate", path, "--weights", weights, *more]) == 1
    error = capsys.readouterr().err
    assert sentence in error
    assert "Traceback" not in error


def test_samples_by_name(files, tmp_path):
    path, weights, x = map(str, files)
    for arrays in ({"a_input": np.load(x)}, {"anything": np.load(x)}):
        np.savez(tmp_path / "x.npz", **arrays)
        assert main(["estimate", path, "--weights", weights, "--calibration", str(tmp_path / "x.npz")]) == 0
