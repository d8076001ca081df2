"""Handwritten digits on an FPGA: train a quantized network that always knows what it costs, and get its HLS C++.

::

    pip install "keras-hls[hgq2,mlflow,example]"
    python examples/digits.py

Real images, 8 x 8 pixels, that come with scikit-learn. Takes a minute.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import keras
import numpy as np
from hgq.config import LayerConfigScope, QuantizerConfigScope
from hgq.layers import QDense
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import keras_hls
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
    """Return a small dense network that learns its bit widths, too.

    HGQ2 gives every weight and every activation a width of its own, and the penalty `beta0` on their products makes the
    widths shrink while it trains. Values between layers saturate where they don't fit (HGQ2 would wrap them by default,
    and then `hgq.utils.trace_minmax` must look at data before the widths are final).
    """
    with QuantizerConfigScope(place="datalane", overflow_mode="SAT"), LayerConfigScope(beta0=1e-4):
        model = keras.Sequential(
            [
                keras.Input((64,), name="pixels"),
                QDense(32, activation="relu", name="hidden_1"),
                QDense(32, activation="relu", name="hidden_2"),
                QDense(10, name="scores"),
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
    parser = argparse.ArgumentParser(description="Train a quantized network on digits and export it as HLS C++.")
    parser.add_argument("--epochs", type=int, default=20, help="how often it sees all images (20)")
    parser.add_argument(
        "--directory", type=Path, default=Path("build/digits"), help="of the HLS project (build/digits)"
    )
    parser.add_argument("--no-mlflow", action="store_true", help="don't record the training in MLflow")
    arguments = parser.parse_args()

    keras.utils.set_random_seed(SEED)
    x_train, y_train, x_val, y_val, x_test, y_test = data()
    model = network()

    # This is all that a training needs: hls_lut, hls_dsp, ... are in every epoch's line; the best epoch is exported.
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

    # The export alone is one line, whenever you like; here of the network as it is after the last epoch.
    keras_hls.enable()
    last = model.export_hls(f"{arguments.directory}-last", verify=x_test, part=PART)

    print(f"\nHLS C++ of the best epoch: {project.directory}")
    print(f"HLS C++ of the last epoch: {last.directory}")
    if hls.run_id is not None:
        print(f"MLflow run {hls.run_id}. To look at it: mlflow ui, in {Path.cwd()}, and open http://127.0.0.1:5000")


if __name__ == "__main__":
    main()
