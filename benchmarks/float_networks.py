"""Plain networks without quantizers, untrained, of the Keras that is installed: 2 or 3."""

from __future__ import annotations

from typing import Any


def dense() -> Any:
    """Return 16-64-32-32-5."""
    import keras

    units = (64, 32, 32)
    layers = [keras.layers.Dense(n, activation="relu", name=f"dense_{i}") for i, n in enumerate(units)]
    return keras.Sequential([keras.Input((16,)), *layers, keras.layers.Dense(5, name="logits")])


def convolutional() -> Any:
    """Return the usual network for images of 28 x 28: two convolutions, each with its pooling, and a dense layer."""
    from keras import Input, Sequential, layers

    return Sequential(
        [
            Input((28, 28, 1)),
            layers.Conv2D(16, 3, activation="relu", name="conv_0"),
            layers.MaxPooling2D(2, name="pool_0"),
            layers.Conv2D(32, 3, activation="relu", name="conv_1"),
            layers.MaxPooling2D(2, name="pool_1"),
            layers.Flatten(name="flat"),
            layers.Dense(10, name="logits"),
        ]
    )


def residual() -> Any:
    """Return a network for images of 28 x 28 with batch normalisations, a skip connection and a global pooling."""
    from keras import Input, Model, layers

    def convolution(y: Any, filters: int, name: str, strides: int = 1) -> Any:
        y = layers.Conv2D(filters, 3, strides, padding="same", use_bias=False, name=name)(y)
        return layers.BatchNormalization(name=f"{name}_norm")(y)

    x = Input((28, 28, 1))
    y = before = layers.ReLU(name="relu_0")(convolution(x, 12, "conv_0", strides=4))
    y = layers.ReLU(name="relu_1")(convolution(y, 12, "conv_1"))
    y = layers.ReLU(name="relu_2")(layers.Add(name="add")([convolution(y, 12, "conv_2"), before]))
    y = layers.GlobalAveragePooling2D(name="pool")(y)
    return Model(x, layers.Dense(10, name="logits")(y))


def one_dimensional() -> Any:
    """Return a network for series of 64 x 2: two convolutions with pooling, and two dense layers."""
    from keras import Input, Sequential, layers

    return Sequential(
        [
            Input((64, 2)),
            layers.Conv1D(12, 5, activation="relu", name="conv_0"),
            layers.MaxPooling1D(2, name="pool_0"),
            layers.Conv1D(16, 3, activation="relu", name="conv_1"),
            layers.AveragePooling1D(2, name="pool_1"),
            layers.Flatten(name="flat"),
            layers.Dense(24, activation="relu", name="dense"),
            layers.Dense(6, name="logits"),
        ]
    )
