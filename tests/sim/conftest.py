"""Projects for C-simulation: written by the backend, without a model."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from keras_hls.emitters import backend
from keras_hls.emitters.base import Samples
from keras_hls.fixed import Constant, Fixed, Formats
from keras_hls.graph import Graph, Input, Node
from keras_hls.layers_ext.activation import ReLU
from keras_hls.layers_ext.dense import Dense
from keras_hls.op import Plan
from keras_hls.options import Options
from keras_hls.sim.emulator import Emulator


def _write(graph: Graph, folder: Path, plans: dict[str, Plan] | None = None) -> Path:
    graph.verify()
    inputs = [np.zeros((1, *node.op.shape), np.int64) for node in graph.inputs]
    whole = {node.name: (plans or {}).get(node.name, Plan()) for node in graph}
    bench = Samples(inputs, Emulator(graph).run(inputs))
    for path, data in backend("Vitis").files(graph, whole, Options(), "net", bench).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(data)
    return folder


@pytest.fixture(scope="session")
def write() -> Callable[..., Path]:
    """Writes the C++ of a graph to a folder, with the given plans of nodes."""
    return _write


def _small(weight: int = 3) -> Graph:
    port = Fixed(True, 8, 3)
    nodes = (
        Node("x", Input((4,), Formats.of(port), port), (), "x"),
        Node("d", Dense(Constant(np.arange(12).reshape(4, 3) - weight, 2)), ("x",), "d"),
        Node("r", ReLU(), ("d",), "r"),
    )
    return Graph(nodes, ("r",), ("r",))


@pytest.fixture(scope="session")
def small() -> Callable[..., Graph]:
    """A small network, another for each weight."""
    return _small
