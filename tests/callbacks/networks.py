"""Small networks that train quantized, of the library that is here: HGQ2 on Keras 3, or QKeras on Keras 2 or tf_keras."""

from __future__ import annotations

import importlib.util
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "frontends"))
from legacy_keras import keras_of_qkeras

HGQ2 = importlib.util.find_spec("hgq") is not None
keras: Any = pytest.importorskip("keras") if HGQ2 else keras_of_qkeras()

needs_hgq2 = pytest.mark.skipif(not HGQ2, reason="of HGQ2 alone")


def dense(units: int, *, relu: bool = False, overflow: str = "SAT", stochastic: bool = False, **more: Any) -> Any:
    """Return a quantized dense layer; `stochastic` rounds weights by chance while it trains."""
    if HGQ2:
        from hgq.config import LayerConfigScope, QuantizerConfigScope
        from hgq.layers import QDense

        rounding = "S_RND" if stochastic else "RND"
        with ExitStack() as scopes:
            scopes.enter_context(QuantizerConfigScope(place="datalane", overflow_mode=overflow, round_mode=rounding))
            scopes.enter_context(QuantizerConfigScope(place="weight", round_mode=rounding))
            scopes.enter_context(LayerConfigScope(beta0=1e-4))
            return QDense(units, **({"activation": "relu"} if relu else {}), **more)
    from qkeras import QDense, quantized_bits, quantized_relu

    def bits() -> Any:
        return quantized_bits(6, 0, alpha=1, use_stochastic_rounding=stochastic)

    quantizers = {"kernel_quantizer": bits(), "bias_quantizer": bits()}
    return QDense(units, **({"activation": quantized_relu(6, 2)} if relu else {}), **quantizers, **more)


def cast(tensor: Any) -> Any:
    """Return a tensor as it enters the hardware; HGQ2's layers do that themselves."""
    if HGQ2:
        return tensor
    from qkeras import QActivation

    return QActivation("quantized_bits(8, 2, alpha=1)")(tensor)


def sequential(*layers: Any, inputs: int | None = 6) -> Any:
    """Return a model of one after the other, not built yet if `inputs` is None."""
    ends = [] if inputs is None else [keras.Input((inputs,))]
    if not HGQ2:
        from qkeras import QActivation

        ends.append(QActivation("quantized_bits(8, 2, alpha=1)"))
    return keras.Sequential([*ends, *layers])


def network(*, dropout: bool = False, **options: Any) -> Any:
    """Return a compiled model of the two dense layers "hidden" and "last", from 6 inputs to 3 outputs."""
    between = [keras.layers.Dropout(0.3)] if dropout else []
    model = sequential(dense(4, relu=True, name="hidden", **options), *between, dense(3, name="last", **options))
    # Small trainings spend their time in tracing.
    model.compile("adam", "mse", metrics=["mae"], run_eagerly=True)
    return model


def kernel_of(layer: Any) -> Any:
    """Return the variable that a dense layer trains."""
    return layer._kernel if HGQ2 else layer.kernel


def drawn() -> Any:
    """Return random numbers of the library's own generator."""
    if HGQ2:
        return keras.random.uniform((2,))
    import tensorflow as tf

    return tf.random.uniform((2,))


def mlflow_of_keras() -> Any:
    """Return MLflow's module for this Keras: its "keras" is for Keras 3 alone."""
    import mlflow

    return mlflow.keras if HGQ2 else mlflow.tensorflow
