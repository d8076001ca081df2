"""C-simulation of what lies inside of a network: the same C++ with more output ports, in a folder that goes away."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from keras_hls.graph import Graph
from keras_hls.sim.csim import CSimulation

#: Where a project's sources are.
_FOLDERS = ("firmware", "csim")
_KERNELS = "firmware/kernels/"


@contextmanager
def inner_simulation(
    project: Path, name: str, graph: Graph, nodes: Sequence[str], sources: Callable[[Graph], Mapping[str, bytes]]
) -> Iterator[CSimulation]:
    """Give a C-simulation whose outputs are those of the project, and then those nodes.

    Its kernels, weights and headers are the project's own, as they lie in its folder, which isn't touched.

    Parameters
    ----------
    project : Path
    name : str
        Of the top function.
    graph : Graph
    nodes : sequence of str
        Names of nodes that are no outputs.
    sources : function
        Takes the graph with more outputs; returns the sources that change by it, and kernels, by path.
    """
    label = _free(graph)
    labels = tuple(f"{label}{i}" for i in range(len(nodes)))
    whole = replace(graph, outputs=(*graph.outputs, *nodes), output_names=(*graph.output_names, *labels))
    with tempfile.TemporaryDirectory(prefix="keras_hls-") as place:
        folder = Path(place)
        for part in _FOLDERS:
            shutil.copytree(project / part, folder / part)
        for path, data in sources(whole).items():
            if not (path.startswith(_KERNELS) and (folder / path).exists()):
                (folder / path).write_bytes(data)
        yield CSimulation(folder, name, whole)


def _free(graph: Graph) -> str:
    """What no name of a node or output begins with, so that all names of the project stay as they are."""
    label, taken = "inner", [*(node.name for node in graph), *graph.output_names]
    while any(name.startswith(label) for name in taken):
        label += "_"
    return label
