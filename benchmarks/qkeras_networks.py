"""QKeras networks with quantizers that have no scale of their own (``alpha=1``), untrained; inputs and values of 6 to 8 bits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def _weights() -> dict[str, Any]:
    """Quantizers of a layer's weights: 6 bits, from -1 to 1."""
    from qkeras import quantized_bits

    return {kind: quantized_bits(6, 0, alpha=1) for kind in ("kernel_quantizer", "bias_quantizer")}


def _activation(quantizer: str, name: str) -> Any:
    from qkeras import QActivation

    return QActivation(quantizer, name=name)


def _input_cast() -> Any:
    return _activation("quantized_bits(8, 3, alpha=1)", "cast")


def _relu(name: str) -> Any:
    return _activation("quantized_relu(6, 2)", name)


def dense(inputs: int, hidden: Sequence[int], outputs: int) -> Any:
    """Return an untrained network of dense layers."""
    import keras
    from qkeras import QDense

    layers = [keras.Input((inputs,)), _input_cast()]
    for i, units in enumerate(hidden):
        layers += [QDense(units, name=f"dense_{i}", **_weights()), _relu(f"relu_{i}")]
    return keras.Sequential([*layers, QDense(outputs, name="logits", **_weights())])


def convolutional() -> Any:
    """Return an untrained network for pictures of 32 x 32 x 3: two convolutions, each with its pooling, and two dense layers."""
    import keras
    from keras.layers import Flatten, MaxPooling2D
    from qkeras import QConv2D, QDense

    return keras.Sequential(
        [
            keras.Input((32, 32, 3)),
            _input_cast(),
            QConv2D(8, 3, strides=2, name="conv_0", **_weights()),
            _relu("relu_0"),
            MaxPooling2D(2, name="pool_0"),
            QConv2D(8, 3, name="conv_1", **_weights()),
            _relu("relu_1"),
            MaxPooling2D(2, name="pool_1"),
            Flatten(name="flat"),
            QDense(16, name="dense", **_weights()),
            _relu("relu_2"),
            QDense(10, name="logits", **_weights()),
        ]
    )
