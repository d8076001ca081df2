"""Handwritten digits on an FPGA with QKeras: train, know what it costs in every epoch, and get the HLS C++ of the best one.

::

    pip install "keras-hls[qkeras,mlflow,example]"      # Python 3.11: TensorFlow 2.15 with its Keras 2
    python examples/qkeras_digits.py

or, beside Keras 3, with current TensorFlow and its tf_keras::

    pip install "keras-hls[qkeras-tf-keras,mlflow,example]"
    TF_USE_LEGACY_KERAS=1 python examples/qkeras_digits.py

Real images, 8 x 8 pixels, that come with scikit-learn. Takes a minute.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from qkeras import QActivation, QDense, quantized_bits
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from tensorflow import keras

from keras_hls.callbacks import HLSExport

SEED = 42
#: The FPGA of AMD's board ZCU104.
PART = "xczu7ev-ffvc1156-2-e"


def data() -> tuple[Any, ...]:
    """Return images and labels: to train with, to choose the best epoch with, and to test with."""
    images, labels = load_digits(return_X_y=True)
    # Pixels are integers from 0 to 16.
    images = (images / 16).astype("float32")
    x, x_test, y, y_test = train_test_split(images, labels, test_size=0.2, stratify=labels, random_state=SEED)
    x_train, x_val, y_train, y_val = train_test_split(x, y, test_size=0.2, stratify=y, random_state=SEED)
    return x_train, y_train, x_val, y_val, x_test, y_test


def network() -> keras.Model:
    """Return a small dense network of 6-bit weights; pixels are quantized as well, so that every value is exact."""

    def dense(units: int, name: str) -> QDense:
        # alpha=1: the weights themselves, without a scale.
        quantizers = {kind: quantized_bits(6, 0, alpha=1) for kind in ("kernel_quantizer", "bias_quantizer")}
        return QDense(units, name=name, **quantizers)

    model = keras.Sequential(
        [
            keras.layers.Input((64,), name="pixels"),
            QActivation("quantized_bits(6, 1, alpha=1)", name="cast"),
            dense(32, "hidden_1"),
            QActivation("quantized_relu(6, 2)", name="relu_1"),
            dense(32, "hidden_2"),
            QActivation("quantized_relu(6, 2)", name="relu_2"),
            dense(10, "scores"),
        ],
        name="digits",
    )
    model.compile(
        optimizer=keras.optimizers.Adam(0.003),
        # The softmax is part of the loss: the largest score is the answer, on the FPGA as well.
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return model


def main() -> None:
    parser = argparse.ArgumentParser(description="Train a QKeras network on digits and export it as HLS C++.")
    parser.add_argument("--epochs", type=int, default=20, help="how often it sees all images (20)")
    parser.add_argument(
        "--directory", type=Path, default=Path("build/qkeras_digits"), help="of the HLS project (build/qkeras_digits)"
    )
    parser.add_argument("--no-mlflow", action="store_true", help="don't record the training in MLflow")
    arguments = parser.parse_args()

    keras.utils.set_random_seed(SEED)
    x_train, y_train, x_val, y_val, x_test, y_test = data()
    model = network()
    hls = HLSExport(
        arguments.directory,
        monitor="val_accuracy",
        validation=x_test,
        mlflow=not arguments.no_mlflow,
        part=PART,
    )
    model.fit(
        x_train,
        y_train,
        batch_size=32,
        epochs=arguments.epochs,
        validation_data=(x_val, y_val),
        callbacks=[hls],
        verbose=2,
    )

    project = hls.project
    if project is None or hls.verification is None or hls.best_epoch is None:
        raise SystemExit("Nothing was exported.")
    print(f"\n{project.estimate}\n")
    hardware = np.argmax(project.predict(x_test), axis=-1)
    same = hls.verification.samples - hls.verification.samples_different
    print(f"Best epoch: {hls.best_epoch + 1}")
    print(f"Hardware answer equals Keras's, bit for bit: {same} of {len(x_test)} test images")
    print(f"Accuracy of the hardware: {np.mean(hardware == y_test):.2%} of {len(x_test)} test images")

    # A file says as much as a live model does, in any environment and without Keras.
    model.save_weights(f"{arguments.directory}.h5")
    Path(f"{arguments.directory}.json").write_text(model.to_json())
    print(f"\nHLS C++ of the best epoch: {project.directory}")
    print(
        f"The last epoch's, from files: keras-hls export {arguments.directory}.json FOLDER --weights {arguments.directory}.h5"
    )
    if hls.run_id is not None:
        print(f"MLflow run {hls.run_id}. To look at it: mlflow ui, in {Path.cwd()}, and open http://127.0.0.1:5000")


if __name__ == "__main__":
    main()
