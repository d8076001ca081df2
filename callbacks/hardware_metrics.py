"""What a model's own metrics say of the hardware's answers."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from keras_hls.errors import InvalidData, InvalidOption
from keras_hls.graph import Graph
from keras_hls.sim.emulator import Samples

#: What a key of the hardware's begins with, where Keras's has "val_".
PREFIX = "val_hls_"
_BATCH = 1024


def labelled(validation: Any) -> tuple[Samples | None, tuple[Any, ...]]:
    """Return the inputs of validation data, and what else there is: labels, and weights of samples, if any.

    A tuple is read as Keras reads ``validation_data``; all else is inputs alone.

    Raises
    ------
    InvalidOption
        For a tuple of another length.
    """
    if not isinstance(validation, tuple):
        return validation, ()
    if len(validation) not in (2, 3):
        raise InvalidOption(
            "validation must be inputs, or a tuple (inputs, labels) or (inputs, labels, sample_weight), not a tuple of"
            f" {len(validation)}; a network with several inputs takes a list of them"
        )
    return validation[0], validation[1:]


class HardwareMetrics:
    """The loss and the metrics that a model was compiled with, for answers that don't come from it.

    They are copies: those of the model count its training. The loss has no penalties of layers, which are no part of an answer.

    Parameters
    ----------
    model : keras.Model
        A compiled one.
    graph : Graph
        Of its hardware; what it leaves to the host, such as a softmax, is applied to the answers.

    Raises
    ------
    InvalidOption
        If the model isn't compiled with a loss or metrics that Keras can copy.
    """

    def __init__(self, model: Any, graph: Graph):
        keras = _library(model)
        config = model.get_compile_config()
        if not config:
            raise InvalidOption("the model isn't compiled, or not with what Keras can copy")
        # Names of our own: automatic ones would count up those of the user's next layers.
        ends = [keras.Input(graph.types[name].shape, name=f"hls_answer_{i}") for i, name in enumerate(graph.outputs)]
        functions = graph.host or ("",) * len(ends)
        values = [
            keras.layers.Activation(function or "linear", name=name)(end)
            for function, name, end in zip(functions, _names(model, graph), ends)
        ]
        self._host = keras.Model(ends, values if len(values) > 1 else values[0], name="hls_host")
        # Losses have no state, so that the model's own one serves; a copy by Keras 2 would weigh samples wrongly.
        parts = {name: config.get(name) for name in ("metrics", "weighted_metrics", "loss_weights", "run_eagerly")}
        self._host.compile(
            keras.optimizers.SGD(name="hls_host_sgd"), model.loss, **keras.saving.deserialize_keras_object(parts)
        )

    def __call__(self, answers: Sequence[npt.NDArray[Any]], labels: Sequence[Any]) -> dict[str, float]:
        """Return the figures by key of ``logs``.

        Parameters
        ----------
        answers : sequence of arrays
            One an output, (n, ...).
        labels : sequence
            As Keras takes them behind the inputs: labels, and weights of samples, if any.

        Raises
        ------
        InvalidData
            If the labels don't fit the answers.
        """
        floats = [np.asarray(answer, np.float32) for answer in answers]
        weights = labels[1] if len(labels) > 1 else None
        try:
            found = self._host.evaluate(
                floats if len(floats) > 1 else floats[0],
                labels[0],
                sample_weight=weights,
                batch_size=_BATCH,
                verbose=0,
                return_dict=True,
            )
        except Exception as error:
            text = str(error).strip().splitlines()
            raise InvalidData(
                f"the labels of validation don't fit the network's outputs: {text[0] if text else type(error).__name__}"
            ) from error
        return {PREFIX + name: float(np.asarray(value)) for name, value in found.items()}


def _library(model: Any) -> Any:
    """The Keras that a model belongs to."""
    for kind in type(model).__mro__:
        root = kind.__module__.split(".")[0]
        if root in ("keras", "tf_keras"):
            return importlib.import_module(root)
    raise InvalidOption(f"a {type(model).__name__} is no model of Keras")


def _names(model: Any, graph: Graph) -> list[str]:
    """What the model calls its outputs: its losses and metrics may be told by these names."""
    names = getattr(model, "output_names", None)
    known = names if names and len(names) == len(graph.outputs) else graph.output_names
    return list(known or [f"hls_output_{i}" for i in range(len(graph.outputs))])
