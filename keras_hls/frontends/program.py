"""A model as one list of calls, whatever library wrote it down: what the walk over it needs to know."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Generic, TypeVar

from keras_hls.frontends.view import Builder, LayerView, Reader, ReadError, Ref


@dataclass(frozen=True)
class Port:
    """Where samples enter a model.

    Attributes
    ----------
    name : str
    shape : tuple of int
        Of one sample.
    dtype : str
    problem : str
        Why it can't be exported, and what to do; "" if it can.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str = "float32"
    problem: str = ""


class Call(ABC):
    """One call of a layer or an operation, as its library keeps it.

    Attributes
    ----------
    path : str
        Its class, as "keras.layers.Dense".
    is_layer : bool
        Whether it is a layer, and no operation.
    owner : int
        The same number for all calls of one layer, so that they share one set of weights.
    knows_shapes : bool
        Whether it can be looked at before what it is called with has been read.
    libraries : tuple of str
        The first words of the classes that its model can hold.
    quantized : str
        How the path of a layer with quantizers begins, before the name of Keras's own.
    checked : bool
        Whether its library has checked its arguments; those that a file holds may be anything.
    """

    path: str
    is_layer: bool
    owner: int
    knows_shapes: bool
    libraries: ClassVar[tuple[str, ...]]
    quantized: ClassVar[str]
    checked: ClassVar[bool] = True

    @abstractmethod
    def check(self, read: Reader) -> None:
        """Refuse a call with anything that its reader wouldn't see.

        Raises
        ------
        ReadError
        """

    @abstractmethod
    def view(self, name: str, build: Builder, inputs: Sequence[Ref]) -> LayerView:
        """Return what its reader sees, under the layer's name in the whole model."""


#: The library's own kind of call.
Own = TypeVar("Own", bound=Call)


@dataclass(frozen=True)
class Step(Generic[Own]):
    """One call that isn't taken apart any further, in its place.

    Attributes
    ----------
    call : Call
    layer : str
        The layer's name in the whole model: "outer/inner" for one inside of another.
    takes, makes : tuple of int
        Numbers of the tensors that go in, in the order of the arguments, and that come out.
    number : int
        How many calls of the layer come before.
    problem : ReadError, optional
        Why it can't be taken apart, if it should be.
    """

    call: Own
    layer: str
    takes: tuple[int, ...]
    makes: tuple[int, ...]
    number: int = 0
    problem: ReadError | None = None


@dataclass(frozen=True)
class Program(Generic[Own]):
    """All that a model computes.

    Attributes
    ----------
    ports : tuple of Port
        In the model's order.
    inputs, outputs : tuple of int
        Numbers of tensors; those of the inputs are in the order of the ports.
    output_names : tuple of str
        The layer that each is the output of.
    steps : tuple of Step
        Each after those whose results it takes, and only those that the outputs need.
    """

    ports: tuple[Port, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    output_names: tuple[str, ...]
    steps: tuple[Step[Own], ...]

    @classmethod
    def of(
        cls,
        ports: Sequence[Port],
        inputs: Sequence[int],
        outputs: Sequence[int],
        makers: Sequence[str],
        steps: Iterable[Step[Own]],
    ) -> Program[Own]:
        """Return the program of some steps: those that the outputs need, with the numbers of their layers' calls.

        Parameters
        ----------
        ports, inputs, outputs, steps
            As of the class.
        makers : sequence of str
            The layer of each output; one that stands twice gets a number.
        """
        names = [f"{name}_{count}" if (count := makers[:i].count(name)) else name for i, name in enumerate(makers)]
        needed = _numbered(_needed(list(steps), outputs))
        return cls(tuple(ports), tuple(inputs), tuple(outputs), tuple(names), tuple(needed))


def _needed(steps: Sequence[Step[Own]], outputs: Iterable[int]) -> list[Step[Own]]:
    """The steps that the outputs need."""
    wanted = set(outputs)
    kept = []
    for step in reversed(steps):
        if wanted & set(step.makes):
            kept.append(step)
            wanted.update(step.takes)
    return kept[::-1]


def _numbered(steps: Iterable[Step[Own]]) -> list[Step[Own]]:
    """The steps, each with the number of its layer's call."""
    calls: Counter[str] = Counter()
    found = []
    for step in steps:
        found.append(replace(step, number=calls[step.layer]))
        calls[step.layer] += 1
    return found
