"""Report files on disk: which there are, and their text, within limits."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from keras_hls.errors import HLSError
from keras_hls.reports.figures import problem

#: A report of the largest networks has some megabytes; what has more is something else.
LARGEST = 256 * 2**20

#: How much of a file says which format it is.
_HEAD = 2**16
_SUFFIXES = (".rpt", ".xml")


def report_paths(folder: Path) -> Iterator[Path]:
    """Yield every file below a folder that may be a report, in a fixed order.

    Hidden folders are left out: the tools keep working copies there. Links to folders aren't followed.
    """
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            path = Path(place, name)
            if path.suffix.lower() in _SUFFIXES and not name.startswith(".") and _is_file(path):
                yield path


def _is_file(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return False


def read_head(path: Path) -> str:
    """Return how a file starts, as text; "" if that isn't text.

    Raises
    ------
    HLSError
        If it can't be read.
    """
    data = _read(path, _HEAD)
    return "" if b"\0" in data else data.decode("utf-8-sig", "replace")


def read_text(path: Path) -> str:
    """Return a whole file as text.

    Raises
    ------
    HLSError
        If it can't be read, is empty, binary or too large.
    """
    data = _read(path, LARGEST + 1)
    if len(data) > LARGEST:
        raise problem(str(path), f"is larger than {LARGEST // 2**20} MiB", "it can't be a report; remove it")
    if not data.strip():
        raise problem(str(path), "is empty")
    if b"\0" in data:
        raise problem(str(path), "is binary", "it can't be a report; remove it")
    # A path or a host's name in the head may be of any encoding; figures and names of modules are ASCII.
    return data.decode("utf-8-sig", "replace")


def _read(path: Path, size: int) -> bytes:
    try:
        with open(path, "rb") as stream:
            return stream.read(size)
    except OSError as error:
        raise HLSError(f"Report {str(path)!r} can't be read ({error.strerror}); check its permissions") from None
