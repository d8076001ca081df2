"""The libraries that networks are made of, and whether they are here."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from dataclasses import dataclass


@dataclass(frozen=True)
class Library:
    """Where a network's layers come from.

    Parameters
    ----------
    name : str
        As people write it.
    keras : int
        The version of Keras that it goes with.
    module : str, optional
        What is imported for its layers beside Keras; None for those of Keras itself.
    """

    name: str
    keras: int
    module: str | None = None

    @property
    def here(self) -> bool:
        """Whether this environment has it. The version counts as well: HGQ2 brings a package named qkeras along."""
        return keras_version() == self.keras and (self.module is None or installed(self.module.partition(".")[0]))

    def __str__(self) -> str:
        return f"Keras {self.keras}" + (f" with {self.name}" if self.module else "")


KERAS3 = Library("Keras 3", 3)
HGQ2 = Library("HGQ2", 3, "hgq.layers")
KERAS2 = Library("Keras 2", 2)
QKERAS = Library("QKeras", 2, "qkeras")
HGQ = Library("HGQ", 2, "HGQ")


def installed(package: str) -> bool:
    """Whether a package could be imported; it isn't."""
    return importlib.util.find_spec(package) is not None


def keras_version() -> int | None:
    """Return the version of Keras that is installed, as far as the first point; None without any."""
    try:
        return int(importlib.metadata.version("keras").partition(".")[0])
    except importlib.metadata.PackageNotFoundError:
        return None
