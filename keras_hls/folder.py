"""Writing a project's folder: all of it or nothing, and never over somebody else's."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from keras_hls.errors import HLSError, OutputFolderError

#: Marks a folder as ours and lists what we wrote.
MANIFEST = "keras_hls.json"
FORMAT = 1


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return what a project folder says of itself.

    Raises
    ------
    HLSError
        If the folder isn't a project of keras_hls, or one of a newer version.
    """
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
        if manifest["format"] == FORMAT:
            return dict(manifest)
        newer = f"of format {manifest['format']}, not {FORMAT}; it needs another version of keras_hls"
    except FileNotFoundError:
        raise HLSError(f"{str(folder)!r} isn't a keras_hls project: it holds no {MANIFEST}") from None
    except (ValueError, KeyError, TypeError, OSError):
        raise HLSError(f"{str(folder)!r} isn't a readable keras_hls project: its {MANIFEST} is damaged") from None
    raise HLSError(f"Project {str(folder)!r} is {newer}")


def check_target(folder: Path) -> None:
    """Refuse a place where no project can be written, before any work is done.

    Raises
    ------
    OutputFolderError
        If it is a file, holds something else, or can't be written to.
    """
    try:
        _check(folder, _resolved(folder))
    except OutputFolderError:
        raise
    except OSError as error:
        raise _unwritable(folder, error) from None


def _resolved(folder: Path) -> Path:
    """The place itself: a project behind a link stays behind it."""
    try:
        return Path(os.path.realpath(folder))
    except ValueError as error:
        raise OSError(errno.EINVAL, str(error)) from None


def _check(folder: Path, target: Path) -> None:
    if target.exists():
        if not target.is_dir():
            raise OutputFolderError(f"Output folder {str(folder)!r} is a file; choose another place")
        try:
            if any(target.iterdir()):
                read_manifest(target)
        except HLSError:
            raise OutputFolderError(
                f"Output folder {str(folder)!r} holds something that isn't a keras_hls project, and is left as it is;"
                " choose another folder or empty it"
            ) from None
    parent = next((p for p in target.parents if p.exists()), target)
    if not parent.is_dir():
        raise OutputFolderError(f"Output folder {str(folder)!r} can't be made: {str(parent)!r} is a file")
    if not os.access(parent, os.W_OK | os.X_OK):
        raise OutputFolderError(
            f"Output folder {str(folder)!r} can't be written: no permission to write in {str(parent)!r}"
        )


def write_folder(folder: Path, files: Mapping[str, bytes], manifest: Mapping[str, Any]) -> None:
    """Write files and a manifest into place: until the last rename the old folder stands, after it the new one.

    What else stands in an older project of ours (synthesis results, say) is kept.

    Raises
    ------
    OutputFolderError
        See `check_target`; also if the disk is full. Nothing is left half written.
    """
    check_target(folder)
    listed = {path: hashlib.sha256(data).hexdigest() for path, data in sorted(files.items())}
    whole = {"format": FORMAT, **manifest, "files": listed}
    target = _resolved(folder)
    missing = [parent for parent in target.parents if not parent.exists()]
    made: Path | None = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".new", dir=target.parent))
        for path, data in files.items():
            place = made / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(data)
        (made / MANIFEST).write_text(json.dumps(whole, indent=1, sort_keys=True) + "\n")
        made.chmod(0o777 & ~_umask())
        _swap(made, target)
    except OutputFolderError:
        raise
    except OSError as error:
        raise _unwritable(folder, error) from error
    finally:
        if made is not None:
            shutil.rmtree(made, ignore_errors=True)
        for parent in missing:
            # Those that hold the project now stay.
            with suppress(OSError):
                parent.rmdir()


def _swap(made: Path, target: Path) -> None:
    """Put a finished folder in the place of another."""
    if not target.exists():
        os.rename(made, target)
        return
    aside = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".old", dir=target.parent))
    old = aside / "project"
    try:
        os.rename(target, old)
        os.rename(made, target)
    finally:
        # An error or an interruption comes before, between or after the two.
        if old.exists() and not target.exists():
            os.rename(old, target)
        elif old.exists():
            _keep_foreign(old, target)
            shutil.rmtree(old, ignore_errors=True)
        with suppress(OSError):
            aside.rmdir()


def _keep_foreign(old: Path, target: Path) -> None:
    """Move what we didn't write from the old folder to the new one."""
    ours = {MANIFEST}
    with suppress(HLSError):
        ours |= set(read_manifest(old).get("files", ()))
    try:
        for path in list(_leaves(old)):
            place = target / path.relative_to(old)
            if path.relative_to(old).as_posix() not in ours and not os.path.lexists(place):
                place.parent.mkdir(parents=True, exist_ok=True)
                os.rename(path, place)
    except OSError as error:
        raise OutputFolderError(
            f"Project {str(target)!r} was written, but what else stood in the old one can't be moved into it"
            f" ({_why(error)}); look for it in {str(old)!r}"
        ) from error


def _leaves(folder: Path) -> Iterator[Path]:
    """Every file, every link and every empty folder below a folder."""
    for place, folders, files in os.walk(folder):
        links = [name for name in folders if os.path.islink(os.path.join(place, name))]
        yield from (Path(place, name) for name in sorted(files + links))
        if not folders and not files:
            yield Path(place)


def write_file(path: Path, data: bytes) -> None:
    """Write one file so that it is whole or not there.

    Raises
    ------
    OutputFolderError
        If it can't be written; what stood there before still does.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as stream:
                stream.write(data)
            os.chmod(name, 0o666 & ~_umask())
            os.replace(name, path)
        except BaseException:
            os.unlink(name)
            raise
    except OSError as error:
        raise OutputFolderError(f"File {str(path)!r} can't be written: {_why(error)}") from error


def _umask() -> int:
    # It can only be read by setting it.
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def _why(error: OSError) -> str:
    return {
        errno.ENOSPC: "the disk is full",
        errno.EDQUOT: "the disk quota is used up",
        errno.EACCES: "no permission",
        errno.EPERM: "no permission",
        errno.EROFS: "the file system is read-only",
    }.get(error.errno or 0, str(error))


def _unwritable(folder: Path, error: OSError) -> OutputFolderError:
    return OutputFolderError(f"Output folder {str(folder)!r} can't be written: {_why(error)}. Nothing was left there")
