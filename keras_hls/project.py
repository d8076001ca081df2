"""A written project: runs it, verifies it, says what it costs. Needs no Keras."""

from __future__ import annotations

import json
import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cached_property, reduce
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from keras_hls import storage
from keras_hls.cost import ResourceEstimate
from keras_hls.errors import CompilerNotFound, HLSError, HLSWarning, InvalidData
from keras_hls.fixed import IntArray
from keras_hls.folder import MANIFEST, read_manifest
from keras_hls.graph import Graph
from keras_hls.layer_traces import Comparison, Trace
from keras_hls.options import Options
from keras_hls.sim.csim import CSimulation
from keras_hls.sim.emulator import Emulator, Samples, feeds, to_floats, to_raw
from keras_hls.sim.inner import inner_simulation
from keras_hls.synthesis import Build, synthesise
from keras_hls.tracer import Simulate, keras_answers, samples_to_trace, traced_nodes, traces
from keras_hls.verification import Verification, compare

Floats = npt.NDArray[np.float64]


class Project:
    """An HLS C++ project on disk.

    Parameters
    ----------
    directory : str or Path
    model : keras.Model, optional
        What it was made from; `verify` compares with it.

    Attributes
    ----------
    directory : Path
    name : str
        Of the top function.
    options : Options
    verification : Verification or None
        What the export's verification found; None if there was none in this process.

    Raises
    ------
    HLSError
        If the folder isn't a project of keras_hls.
    """

    def __init__(self, directory: str | Path, *, model: Any = None):
        import keras_hls.layers_ext  # noqa: F401  (makes every op known)

        self.directory = Path(directory).absolute()
        manifest = read_manifest(self.directory)
        try:
            self.name = str(manifest["project_name"])
            self.options = Options.of(**manifest["options"])
        except (LookupError, TypeError):
            raise self._damaged(MANIFEST) from None
        self._model = model
        self.verification: Verification | None = None

    def __getstate__(self) -> dict[str, Any]:
        # What is read or built from the folder can be again, and the model belongs to its process.
        cached = ("graph", "estimate", "simulation", "_emulator")
        return {**{k: v for k, v in self.__dict__.items() if k not in cached}, "_model": None}

    def __repr__(self) -> str:
        return f"Project({str(self.directory)!r})"

    def _read(self, name: str, understand: Callable[[Any], Any]) -> Any:
        try:
            return understand(json.loads((self.directory / name).read_text()))
        except HLSError as error:
            raise HLSError(f"{name} of project {str(self.directory)!r}: {error}") from None
        except (OSError, ValueError, LookupError, TypeError, AttributeError, zlib.error):
            raise self._damaged(name) from None

    def _damaged(self, name: str) -> HLSError:
        return HLSError(f"Project {str(self.directory)!r} is damaged: {name} can't be read; export it again")

    @cached_property
    def graph(self) -> Graph:
        """The network."""
        graph: Graph = self._read("graph.json", storage.from_json)
        return graph

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know about this network, one sentence each."""
        return self.graph.notes

    @cached_property
    def estimate(self) -> ResourceEstimate:
        """The estimated cost, per layer and in total."""
        estimate: ResourceEstimate = self._read("estimate.json", ResourceEstimate.from_dict)
        return estimate

    def build(self, stage: str = "csynth", *, timeout: float | None = None) -> Build:
        """Synthesise the project with the vendor's tool, and read its reports; takes minutes to hours.

        The tool is the first of ``vitis-run``, ``vitis_hls`` and ``vivado_hls`` on PATH; it writes its log to ``build.log`` in
        the project's folder. In a run of MLflow that is active, estimate and truth are logged side by side.

        Parameters
        ----------
        stage : {"csynth", "impl"}
            How far: C synthesis, or up to the placed and routed design.
        timeout : float, optional
            Seconds after which the tool is ended.

        Returns
        -------
        Build
            ``print`` it for estimate and truth side by side; ``.reports`` is what `keras_hls.read_reports` returns.

        Raises
        ------
        ToolNotFound
            If no tool is on PATH.
        HLSError
            If the tool fails, takes too long, or leaves no reports.
        """
        return synthesise(self.directory, self.estimate, stage, timeout)

    @cached_property
    def _emulator(self) -> Emulator:
        return Emulator(self.graph)

    @cached_property
    def simulation(self) -> CSimulation:
        """The C-simulation of the written C++."""
        return CSimulation(self.directory, self.name, self.graph)

    def predict(self, x: Samples, *, threads: int | None = None) -> Floats | list[Floats]:
        """Return what the written C++ answers, by C-simulation.

        Parameters
        ----------
        x : array, list of arrays or dict of arrays by input name
            Each of shape (n, *shape of the input).
        threads : int, optional
            By default one a processor core.

        Returns
        -------
        float array of shape (n, *shape of the output), or a list of them

        Raises
        ------
        CompilerNotFound, CSimulationError, InvalidData
        """
        answers = self.simulation.run(feeds(self.graph, x), threads, floats=True)
        return answers[0] if len(answers) == 1 else answers

    def emulate(self, x: Samples) -> Floats | list[Floats]:
        """Return what the integer emulator answers; equals `predict` bit for bit and needs no compiler."""
        return to_floats(self.graph, self._emulator.run(to_raw(self.graph, x)))

    def verify(
        self, x: Samples, *, model: Any = None, expected: Sequence[npt.NDArray[Any]] | None = None
    ) -> Verification:
        """Run samples through C-simulation, emulator and Keras, and compare them bit by bit.

        Parameters
        ----------
        x : samples
            As for `predict`.
        model : keras.Model, optional
            By default the one that the project was exported from, if it still is in this process.
        expected : sequence of arrays, optional
            Keras's answers, one array an output, if they are known already.

        Returns
        -------
        Verification
            Without a compiler there is a warning, and C-simulation isn't part of it.

        Raises
        ------
        InvalidData
            If samples or expected values don't suit the network.
        """
        raw = to_raw(self.graph, x)
        if not len(raw[0]):
            raise InvalidData("Samples to verify with must be at least one")
        model = self._model if model is None else model
        if expected is None and model is not None:
            expected = reference(model, self.graph)(x)
        elif expected is not None:
            self._check_expected(expected, len(raw[0]))
        simulated = None
        try:
            simulated = self.simulation.run(raw)
        except CompilerNotFound as error:
            warnings.warn(str(error), HLSWarning, stacklevel=2)
        return compare(self.graph, self._emulator.run(raw), simulated, expected)

    def trace(self, x: Samples, *, model: Any = None) -> Trace:
        """Return what every layer answers to samples: from Keras, emulator and C-simulation, with its type and its range.

        C-simulation is that of the project with more output ports, built in a folder of its own.

        Parameters
        ----------
        x : samples
            As for `predict`.
        model : keras.Model, optional
            As for `verify`; without one, Keras's answers aren't part of it.

        Returns
        -------
        Trace
            By layer, in the network's order. Without a compiler there is a warning, and C-simulation isn't part of it.

        Raises
        ------
        CSimulationError, InvalidData
        InvalidModel
            If the model's layers aren't those of the network.
        """
        with self._pieces(x, model) as pieces:
            return Trace.joined(list(pieces))

    def compare(self, x: Samples, *, model: Any = None) -> Comparison:
        """Return in how many values Keras, emulator and C-simulation differ at each layer, and the first that differs.

        Arguments and errors as for `trace`; however many samples there are, it takes little memory.
        """
        with self._pieces(x, model) as pieces:
            return reduce(Comparison.and_then, (piece.compare() for piece in pieces))

    @contextmanager
    def _pieces(self, x: Samples, model: Any) -> Iterator[Iterator[Trace]]:
        """Give the traces of samples, piece by piece of the batch."""
        arrays, raws = samples_to_trace(self.graph, x)
        model = self._model if model is None else model
        keras = None if model is None else keras_answers(model, self.graph)
        try:
            self.simulation.build()
        except CompilerNotFound as error:
            warnings.warn(str(error), HLSWarning, stacklevel=4)
            simulated: AbstractContextManager[Simulate | None] = nullcontext()
        else:
            simulated = self._simulated()
        with simulated as simulate:
            yield traces(self.graph, arrays, raws, keras, simulate)

    @contextmanager
    def _simulated(self) -> Iterator[Simulate]:
        """Give a function that simulates all nodes that have what a layer answers."""
        from keras_hls.emitters import backend

        graph, tool, plans = self.graph, backend(self.options.backend), self.options.plans(self.graph)
        outside = {*graph.outputs, *(node.name for node in graph.inputs)}
        inside = [name for name in traced_nodes(graph) if name not in outside]

        def sources(whole: Graph) -> dict[str, bytes]:
            return tool.port_files(whole, plans, self.name)

        with inner_simulation(self.directory, self.name, graph, inside, sources) as inner:

            def simulate(raws: Sequence[IntArray]) -> dict[str, IntArray]:
                found = {node.name: raw for node, raw in zip(graph.inputs, raws)}
                # What leaves the project is asked of the project itself.
                found |= zip(graph.outputs, self.simulation.run(raws))
                return found | dict(zip(inside, inner.run(raws)[len(graph.outputs) :])) if inside else found

            yield simulate

    def _check_expected(self, expected: Sequence[npt.NDArray[Any]], count: int) -> None:
        outputs = self.graph.outputs
        if len(expected) != len(outputs):
            raise InvalidData(f"expected must be {len(outputs)} arrays, one an output, not {len(expected)}")
        for label, name, values in zip(self.graph.output_names, outputs, expected):
            shape = (count, *self.graph.types[name].shape)
            if np.shape(values) != shape:
                raise InvalidData(
                    f"expected values of output {label!r} must have shape {shape}, not {np.shape(values)}"
                )


def reference(model: Any, graph: Graph) -> Callable[[Samples], list[npt.NDArray[Any]]]:
    """Return a function from samples to Keras's values at the outputs of a model's graph, one array an output."""
    from keras_hls.frontends import models

    run = models.reference(model, [bool(function) for function in graph.host] or [False] * len(graph.outputs))

    def answer(x: Samples) -> list[npt.NDArray[Any]]:
        inputs = graph.inputs
        if isinstance(x, dict):
            return run([np.asarray(x[node.layer]) for node in inputs])
        if len(inputs) > 1 or _holds_one_array(x, len(graph.types[inputs[0].name].shape) + 1):
            return run([np.asarray(a) for a in x])  # type: ignore[union-attr]
        return run([np.asarray(x)])

    return answer


def _holds_one_array(x: Samples, rank: int) -> bool:
    """Whether `x` is a list of one array of samples, and not the samples themselves as a list."""
    return isinstance(x, (list, tuple)) and len(x) == 1 and np.ndim(x[0]) == rank
