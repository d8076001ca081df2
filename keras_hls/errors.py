"""What keras_hls raises. Every error is one sentence for people: where, what is wrong, what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class HLSError(Exception):
    """Base class of everything that keras_hls raises on purpose."""


class InvalidOption(HLSError, ValueError):
    """An option has an unknown name or a value that it can't take."""


class UnsupportedModel(HLSError, ValueError):
    """The model, or a part of it, can't be converted exactly.

    Attributes
    ----------
    problems : tuple of str
        One sentence a layer: its name, its class, why, and what to do.
    untrained : tuple of str
        Those of them that training, or calibration, mends.
    inputs : tuple of str
        Inputs whose types are all that is missing; empty if anything else is.
    """

    def __init__(self, problems: Iterable[str], untrained: Iterable[str] = (), inputs: Iterable[str] = ()):
        self.problems = tuple(problems)
        self.untrained = tuple(untrained)
        self.inputs = tuple(inputs)
        count = len(self.problems)
        head = "1 layer can't be exported" if count == 1 else f"{count} layers can't be exported"
        super().__init__(f"{head}: " + "; ".join(self.problems))


class InvalidModel(HLSError, ValueError):
    """The model as a whole isn't ready: not built, dynamic shapes, NaN in a weight, not calibrated."""


class TooWide(HLSError, OverflowError):
    """An integer would need more than 63 bits."""


class InvalidData(HLSError, ValueError):
    """Samples of the wrong shape, or with NaN or infinite values."""


class OutputFolderError(HLSError, OSError):
    """The project can't be written where the user asked."""


class CompilerNotFound(HLSError, RuntimeError):
    """No C++ compiler on this machine; everything but C-simulation works."""


class ToolNotFound(HLSError, RuntimeError):
    """The vendor's tool isn't on this machine; everything but synthesis works."""


class CSimulationError(HLSError, RuntimeError):
    """The emitted C++ didn't compile, or its C-simulation crashed."""


class VerificationError(HLSError, AssertionError):
    """C-simulation, emulator and Keras don't agree where they must."""


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """Return ``" Did you mean 'x'?"`` with the nearest spellings of `word`, or ``""``."""
    near = difflib.get_close_matches(str(word), [str(k) for k in known], n=3, cutoff=0.6)
    return f" Did you mean {' or '.join(repr(n) for n in near)}?" if near else ""


#: What to do about an input or a weight that has no quantizer.
CHOOSE_TYPES = "pass calibration=samples or precision='fixed<16, 6>' to choose types"


def without_quantizers(weights: Iterable[str], instead: str = "a layer of HGQ2") -> str:
    """Return the sentence that refuses a layer with such weights, to be completed with the layer's name."""
    names = list(dict.fromkeys(weights))
    have = "have" if len(names) > 1 or names[0].endswith("s") else "has"
    return f"its {' and '.join(names)} {have} no quantizer; {CHOOSE_TYPES}, or use {instead}"


class HLSWarning(UserWarning):
    """What keras_hls warns of: something went wrong beside the training, which goes on."""
