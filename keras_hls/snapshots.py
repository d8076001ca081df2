"""A model at one moment: everything that hardware needs, nothing that training needs."""

from __future__ import annotations

import gzip
import json
import warnings
import zlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

import keras_hls
from keras_hls import storage
from keras_hls.cost import ResourceEstimate
from keras_hls.cost import estimate as estimate_cost
from keras_hls.differences import Difference
from keras_hls.errors import HLSError, HLSWarning, InvalidData, InvalidOption, OutputFolderError, VerificationError
from keras_hls.folder import check_target, write_file, write_folder
from keras_hls.graph import Graph
from keras_hls.layer_traces import Trace
from keras_hls.op import Plan
from keras_hls.options import Options, identifier
from keras_hls.sim.emulator import Emulator, Samples, predict, sample_arrays, to_raw
from keras_hls.tracer import keras_answers, samples_to_trace, traces
from keras_hls.verification import Verification, sample_inputs

if TYPE_CHECKING:
    from keras_hls.project import Project

_SUFFIX = ".khls"
#: Part of the samples that may have another argmax where types were chosen.
_FEW = 0.01
#: Samples of the test bench, at most.
_BENCH = 100


@dataclass(frozen=True, eq=False)
class Snapshot:
    """The graph of a model at one moment, and how it is to be built.

    Independent of the model, which may go on training. Made by `keras_hls.snapshot`.

    Attributes
    ----------
    graph : Graph
    options : Options
    """

    graph: Graph
    options: Options

    def __repr__(self) -> str:
        graph, inputs = self.graph, [node.name for node in self.graph.inputs]
        layers = len({node.layer for node in graph} - set(inputs))
        return f"<Snapshot of {layers} layers, {_shapes(graph, inputs)} to {_shapes(graph, graph.outputs)}>"

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know about this network, one sentence each."""
        return self.graph.notes

    def predict(self, x: Samples) -> npt.NDArray[np.float64] | list[npt.NDArray[np.float64]]:
        """Return what the hardware answers, from the integer emulator.

        Parameters
        ----------
        x : array, list of arrays or dict of arrays by input name
            Each of shape (n, *shape of the input).

        Returns
        -------
        float array of shape (n, *shape of the output), or a list of them
        """
        return predict(self.graph, x)

    def trace(self, x: Samples, *, model: Any = None) -> Trace:
        """Return what every layer answers to samples: from the emulator and, if a model is given, from Keras.

        Parameters
        ----------
        x : samples
            As for `predict`.
        model : keras.Model, optional
            The one that the snapshot was taken of.

        Returns
        -------
        Trace
            By layer, in the network's order.
        """
        keras = None if model is None else keras_answers(model, self.graph)
        return Trace.joined(list(traces(self.graph, *samples_to_trace(self.graph, x), keras)))

    def estimate(self, **options: Any) -> ResourceEstimate:
        """Return the estimated cost; options override those of the snapshot.

        Raises
        ------
        InvalidOption
        """
        chosen = self._with(options)
        return _estimated(self.graph, chosen, chosen.plans(self.graph))

    def _with(self, options: Mapping[str, Any]) -> Options:
        if not options:
            return self.options
        Options.of(**options)
        chosen = replace(self.options, **options)
        if chosen.softmax != self.options.softmax:
            raise InvalidOption(
                f"softmax was {self.options.softmax!r} when the snapshot was taken, and can't become"
                f" {chosen.softmax!r}; take another snapshot of the model"
            )
        return chosen

    def save(self, path: str | Path) -> Path:
        """Write the snapshot to one file, readable by `keras_hls.load` without Keras; ".khls" is added if missing.

        The same snapshot always gives the same bytes.

        Raises
        ------
        OutputFolderError
            If the file can't be written.
        """
        path = Path(path)
        path = path if path.suffix == _SUFFIX else path.with_name(path.name + _SUFFIX)
        content = {
            "keras_hls": keras_hls.__version__,
            "options": _plain(self.options),
            "graph": storage.to_json(self.graph),
        }
        # No time stamp, so that equal snapshots are equal files.
        data = gzip.compress(json.dumps(content, sort_keys=True).encode(), 6, mtime=0)
        try:
            write_file(path, data)
        except OSError as error:
            raise OutputFolderError(f"Snapshot {str(path)!r} can't be written: {error.strerror}") from error
        return path

    @classmethod
    def read(cls, path: str | Path) -> Snapshot:
        """Return a snapshot that `save` wrote.

        Raises
        ------
        HLSError
            If the file isn't one.
        """
        try:
            content = json.loads(gzip.decompress(Path(path).read_bytes()))
            return cls(storage.from_json(content["graph"]), Options.of(**content["options"]))
        except (OSError, ValueError, LookupError, TypeError, AttributeError, EOFError, zlib.error) as error:
            if isinstance(error, HLSError):
                raise
            raise HLSError(f"{str(path)!r} isn't a readable snapshot of keras_hls ({type(error).__name__})") from None

    def diff(self, other: Snapshot) -> Difference:
        """Return what changed, by layer, from this snapshot to `other`."""
        return Difference(self.graph, other.graph)

    def export(
        self,
        directory: str | Path,
        *,
        verify: bool | Samples = True,
        expected: Sequence[npt.NDArray[Any]] | None = None,
        model: Any = None,
        **options: Any,
    ) -> Project:
        """Write the HLS C++ project, and prove it.

        Parameters
        ----------
        directory : str or Path
            Made anew, or replaced if it is a project of keras_hls.
        verify : bool or samples
            Samples to verify with; True takes random ones, False none.
        expected : sequence of arrays, optional
            Keras's answers to those samples, one array an output, (before a softmax that is left to the host).
        model : keras.Model, optional
            Asked for `expected` if that isn't given.
        **options
            Override the snapshot's own.

        Returns
        -------
        Project

        Raises
        ------
        InvalidOption, OutputFolderError
            Before anything is written.
        VerificationError
            If a single bit differs; the project stays, for a look at it.
        """
        from keras_hls.emitters import backend
        from keras_hls.emitters.base import Samples as BenchSamples
        from keras_hls.project import Project

        folder = Path(directory)
        chosen = self._with(options)
        tool = backend(chosen.backend)
        check_target(folder)
        plans = chosen.plans(self.graph)
        name = chosen.project_name or tool.free_name(identifier(folder.absolute().name or "network"))
        if tool.free_name(name) != name:
            raise InvalidOption(f"project_name must not be {name!r}, which is the name of a file of every project")
        estimate = _estimated(self.graph, chosen, plans)
        samples = None if verify is False else sample_inputs(self.graph, 1000) if verify is True else verify
        raw = to_raw(self.graph, sample_inputs(self.graph, _BENCH) if samples is None else samples)
        if not len(raw[0]):
            raise InvalidData("verify must hold at least one sample; verify=False verifies nothing")
        bench = [a[:_BENCH] for a in raw]
        files = tool.files(self.graph, plans, chosen, name, BenchSamples(bench, Emulator(self.graph).run(bench)))
        files["graph.json"] = (json.dumps(storage.to_json(self.graph), sort_keys=True) + "\n").encode()
        files["estimate.json"] = (json.dumps(estimate.to_dict(), indent=1, sort_keys=True) + "\n").encode()
        about = {"keras_hls": keras_hls.__version__, "project_name": name, "options": _plain(chosen)}
        write_folder(folder, files, about)
        project = Project(folder, model=model)
        if samples is not None:
            project.verification = project.verify(samples, expected=expected)
            if not project.verification.ok:
                raise VerificationError(
                    f"Project {str(folder)!r} doesn't answer as the model does. {project.verification}"
                    + _first_difference(project, samples, project.verification.examples)
                )
            _warn_if_far(project.verification)
        return project


def _shapes(graph: Graph, names: Sequence[str]) -> str:
    return " and ".join("x".join(map(str, graph.types[name].shape)) for name in names)


def _warn_if_far(found: Verification) -> None:
    """Warn if the types that were chosen are too coarse to be useful."""
    if found.chosen and found.argmax_different > _FEW * found.samples:
        warnings.warn(
            f"Only {1 - found.argmax_different / found.samples:.1%} of the samples keep their argmax, and the outputs are off by at"
            f" most {found.largest_difference:g}: pass more bits=, or max_error=. print(project.compare(samples)) says where"
            " it comes from",
            HLSWarning,
            stacklevel=4,
        )


def _first_difference(project: Project, samples: Samples, examples: Sequence[int]) -> str:
    """A line on the first layer that differs, or nothing if that can't be said."""
    # Whatever goes wrong here must not stand in the place of what it is about.
    with suppress(Exception), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        some = [array[list(examples)] for array in sample_arrays(project.graph, samples)]
        if first := project.compare(some).first:
            return f"\nThe first layer that differs is {first}."
    return ""


def _estimated(graph: Graph, options: Options, plans: Mapping[str, Plan]) -> ResourceEstimate:
    return estimate_cost(
        graph,
        part=options.part,
        clock_period=options.clock_period,
        plans=plans,
        coefficients=options.coefficients,
    )


def _plain(options: Options) -> dict[str, Any]:
    return asdict(options)
