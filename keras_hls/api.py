"""The functions of the package's face."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keras_hls.cost import ResourceEstimate
from keras_hls.cost.coefficient_files import coefficients
from keras_hls.errors import HLSError, InvalidModel, UnsupportedModel
from keras_hls.frontends import models
from keras_hls.options import Options
from keras_hls.passes import prepare
from keras_hls.passes.dead_nodes import drop_dead_nodes
from keras_hls.passes.folding import fold_scales
from keras_hls.passes.transposes import cancel_transposes
from keras_hls.project import Project
from keras_hls.sim.emulator import Samples
from keras_hls.snapshots import Snapshot


def snapshot(
    model: Any,
    *,
    calibration: Samples | None = None,
    weights: str | os.PathLike[str] | None = None,
    **options: Any,
) -> Snapshot:
    """Return a model's graph as it is now; the model isn't changed.

    Parameters
    ----------
    model : keras.Model, or path
        Built, with fixed shapes: of Keras 3, or of Keras 2 and tf_keras (Sequential or functional). A file may be a .keras, a
        whole .h5, or the .json of a Keras 2 model; those of Keras 2 are read without Keras, QKeras or HGQ.
    calibration : samples, optional
        What layers without quantizers take their types from: one array, a list, or a dict by input name, (n, ...). No value
        of these samples overflows. Layers with quantizers need none.
    weights : path, optional
        The .h5 with the weights of a .json.
    **options
        See `keras_hls.options.Options`: part, clock_period, strategy, reuse_factor, layers, softmax, ...

    Raises
    ------
    InvalidOption
        For an option or value that is unknown.
    InvalidModel
        If the model isn't built, or has dynamic dimensions.
    UnsupportedModel
        Names every layer that can't be converted exactly, why, and what to do.
    TooWide
        If a value would need more than 63 bits.
    """
    from keras_hls.chosen_types import choose_types
    from keras_hls.layers_ext import READERS
    from keras_hls.layers_ext.quantize import Quantize

    chosen = Options.of(**options)
    coefficients(chosen.coefficients)
    model = models.opened(model, weights)
    floats = calibration is not None or chosen.precision is not None
    graph = fold_scales(
        cancel_transposes(drop_dead_nodes(models.read(model, READERS, floats=floats, samples=calibration)))
    )
    typed = choose_types(
        graph, chosen, calibration, lambda x, before: models.reference(model, before)(x), caster=Quantize
    )
    graph = prepare(typed, softmax=chosen.softmax, stays=lambda node: chosen.shares(node.layer))
    chosen.plans(graph)
    return Snapshot(graph, chosen)


def export_hls(
    model: Any,
    directory: str | Path,
    *,
    calibration: Samples | None = None,
    weights: str | os.PathLike[str] | None = None,
    verify: bool | Samples = True,
    **options: Any,
) -> Project:
    """Write a model as an HLS C++ project that computes bit for bit what it computes, and prove it by C-simulation.

    Parameters
    ----------
    model : keras.Model, or path
        As for `snapshot`. A file of Keras 2 can't be asked for its answers, so that only C-simulation and emulator are compared.
    directory : str or Path
        The project's folder; replaced only if it is a project of keras_hls.
    calibration : samples, optional
    weights : path, optional
        As for `snapshot`.
    verify : bool or samples
        Samples that C-simulation, emulator and Keras are held side by side with. True takes those of `calibration`, or else a
        thousand random ones; False verifies nothing. Without a compiler, there is a warning and the emulator is compared
        with Keras.
    **options
        See `keras_hls.options.Options`.

    Returns
    -------
    Project
        With `predict`, `emulate`, `verify` and `estimate`.

    Raises
    ------
    HLSError
        As `snapshot` does, and OutputFolderError if the folder can't be written or isn't ours, all before anything is
        written; VerificationError if a bit differs.
    """
    from keras_hls.emitters import backend
    from keras_hls.folder import check_target

    # What can be said without looking at the model is said first.
    backend(Options.of(**options).backend)
    check_target(Path(directory))
    model = models.opened(model, weights)
    taken = snapshot(model, calibration=calibration, **options)
    samples = calibration if verify is True and calibration is not None else verify
    return taken.export(directory, verify=samples, model=model if models.answers(model) else None)


def estimate(model: Any, **options: Any) -> ResourceEstimate:
    """Return what a model would cost, per layer and in total; arguments and errors as for `snapshot`."""
    return snapshot(model, **options).estimate()


def load(path: str | Path) -> Project | Snapshot:
    """Open a written project's folder, or a file that `Snapshot.save` wrote; needs no Keras.

    Raises
    ------
    HLSError
        If it is neither.
    """
    import keras_hls.layers_ext  # noqa: F401  (makes every op known)

    place = Path(path)
    if not place.exists():
        raise HLSError(f"There is no project or snapshot at {str(place)!r}")
    return Project(place) if place.is_dir() else Snapshot.read(place)


@dataclass(frozen=True)
class Check:
    """What can be exported of a model, before any training.

    Attributes
    ----------
    problems : tuple of str
        One sentence for each layer that can't be exported; empty if all can.
    notes : tuple of str
        What to know about the export.
    chosen : tuple of str
        Layers without quantizers, whose types are chosen, so that the hardware approximates Keras's floats.
    inputs : tuple of str
        Inputs whose types are all that is missing; empty if anything else is.
    """

    problems: tuple[str, ...]
    notes: tuple[str, ...] = ()
    chosen: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether the whole model can be exported."""
        return not self.problems

    def __str__(self) -> str:
        exactly = "" if self.chosen else " exactly"
        head = f"Every layer can be exported{exactly}." if self.ok else f"{len(self.problems)} problems:"
        return "\n".join([head, *(f"- {p}" for p in self.problems), *(f"Note: {n}" for n in self.notes)])


def check(
    model: Any,
    *,
    calibration: Samples | None = None,
    weights: str | os.PathLike[str] | None = None,
    **options: Any,
) -> Check:
    """Return what will be exact and what would be refused, without raising for a model that can't be exported.

    Arguments as for `snapshot`.

    Raises
    ------
    InvalidOption
    """
    Options.of(**options)
    try:
        graph = snapshot(model, calibration=calibration, weights=weights, **options).graph
        return Check((), graph.notes, graph.chosen)
    except UnsupportedModel as error:
        # What waits for data is no problem before a training.
        notes = [f"Before it is trained, it can't be exported: {text}" for text in error.untrained]
        return Check(tuple(p for p in error.problems if p not in error.untrained), tuple(notes), (), error.inputs)
    except (InvalidModel, OverflowError) as error:
        return Check((str(error),))
