"""Writing a project's folder: all of it or nothing, and never over somebody else's."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
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
    if folder.exists():
        if not folder.is_dir():
            raise OutputFolderError(f"Output folder {str(folder)!r} is a file; choose another place")
        try:
            if any(folder.iterdir()):
                read_manifest(folder)
        except HLSError:
            raise OutputFolderError(
                f"Output folder {str(folder)!r} holds something that isn't a keras_hls project, and is left as it is; choose"
                " another folder or empty it"
            ) from None
        except OSError as error:
            raise _unwritable(folder, error) from None
    parent = next(p for p in [folder.absolute(), *folder.absolute().parents] if p.exists() and p != folder.absolute())
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
    target = folder.absolute()
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
    except OSError as error:
        raise _unwritable(folder, error) from error
    finally:
        if made is not None:
            shutil.rmtree(made, ignore_errors=True)


def _swap(made: Path, target: Path) -> None:
    """Put a finished folder in the place of another."""
    if not target.exists():
        os.rename(made, target)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".old", dir=target.parent))
    os.rename(target, old / "project")
    try:
        os.rename(made, target)
    except OSError:
        os.rename(old / "project", target)
        raise
    finally:
        if target.exists():
            _keep_foreign(old / "project", target)
            shutil.rmtree(old, ignore_errors=True)


def _keep_foreign(old: Path, target: Path) -> None:
    """Move what we didn't write from the old folder to the new one."""
    if not old.exists():
        return
    try:
        ours = set(read_manifest(old)["files"]) | {MANIFEST}
    except HLSError:
        ours = set()
    for path in sorted(p for p in old.rglob("*") if not p.is_dir() or not any(p.iterdir())):
        name = path.relative_to(old)
        if name.as_posix() in ours or not path.exists():
            continue
        place = target / name
        if not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            os.rename(path, place)


def write_file(path: Path, data: bytes) -> None:
    """Write one file so that it is whole or not there."""
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


def _umask() -> int:
    # It can only be read by setting it.
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def _unwritable(folder: Path, error: OSError) -> OutputFolderError:
    what = {
        errno.ENOSPC: "the disk is full",
        errno.EDQUOT: "the disk quota is used up",
        errno.EACCES: "no permission",
        errno.EPERM: "no permission",
        errno.EROFS: "the file system is read-only",
    }.get(error.errno or 0, str(error))
    return OutputFolderError(f"Output folder {str(folder)!r} can't be written: {what}. Nothing was left there")
