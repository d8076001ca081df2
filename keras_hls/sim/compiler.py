"""Finding a C++ compiler and building a project's shared library once."""

from __future__ import annotations

import atexit
import functools
import hashlib
import importlib.util
import os
import platform
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from keras_hls.errors import CompilerNotFound, CSimulationError

#: The project's own headers stand in for the vendor's. Pragmas are for synthesis.
FLAGS = ("-std=c++17", "-O3", "-shared", "-fPIC", "-Wno-unknown-pragmas", "-Icsim", "-Ifirmware")
#: Of what runs in this process: whatever else the compiler was told, it must be exact and need no runtime of its own.
_INNER = ("-fno-fast-math", "-fno-trapping-math", "-fno-sanitize=all")
_LOCAL = ("-march=native",)
_KEEP = 64
_UNFINISHED = "unfinished-"


def find_compiler() -> list[str]:
    """Return the command of a C++ compiler: $CXX, g++, clang++, or the ziglang wheel.

    Raises
    ------
    CompilerNotFound
        Says how to get one.
    """
    wish = os.environ.get("CXX")
    if wish:
        try:
            program, *arguments = shlex.split(wish)
        except ValueError:
            program, arguments = "", []
        if shutil.which(program):
            # It will run in the project's folder, from where a relative path leads elsewhere.
            return [os.path.abspath(program) if os.path.dirname(program) else program, *arguments]
        raise CompilerNotFound(f"The environment variable CXX names {wish!r}, which isn't there; correct or unset it")
    for name in ("g++", "clang++"):
        if shutil.which(name):
            return [name]
    if importlib.util.find_spec("ziglang") is not None:
        return [sys.executable, "-m", "ziglang", "c++"]
    raise CompilerNotFound(
        "C-simulation needs a C++ compiler, and there is none: install g++ or clang++, set CXX, or"
        " pip install 'keras-hls[compiler]'. Export, estimate and project.emulate(x) work without"
    )


def cache_folder() -> Path:
    """Return where built libraries are kept: $KERAS_HLS_CACHE, or the user's cache folder."""
    if wish := os.environ.get("KERAS_HLS_CACHE"):
        return Path(wish)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "keras_hls"


@functools.cache
def _machine() -> str:
    """What decides whether a library built with -march=native runs here."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        flags = next(line for line in lines if line.startswith(("flags", "Features")))
    except (OSError, StopIteration):
        flags = platform.processor()
    return f"{platform.system()} {platform.machine()} {flags}"


@functools.cache
def _version(command: tuple[str, ...]) -> str:
    return _run([*command, "--version"], None).stdout


def _run(command: list[str], folder: Path | None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL, check=False
    )


def build(project: Path, name: str) -> Path:
    """Return the shared library of a project; it is built once for each content, compiler and machine.

    Raises
    ------
    CompilerNotFound
        If there is no compiler.
    CSimulationError
        If it doesn't compile; holds the compiler's first errors.
    """
    files = [path for part in ("firmware", "csim") for path in sorted((project / part).rglob("*")) if path.is_file()]
    return _build(f"Project {str(project)!r}", project, [f"firmware/{name}.cpp", "csim/bridge.cpp"], files, ())


def build_source(source: Path) -> Path:
    """Return the shared library of one file of our own, which is to be loaded into this process; else as `build`."""
    return _build(f"File {str(source)!r}", source.parent, [source.name], [source], _INNER)


def _build(what: str, folder: Path, sources: list[str], files: list[Path], more: tuple[str, ...]) -> Path:
    command = find_compiler()
    flags = (*FLAGS, *more)
    try:
        key = hashlib.sha256(repr((command, _version(tuple(command)), flags, _LOCAL, _machine())).encode())
        for path in files:
            key.update(path.relative_to(folder).as_posix().encode() + b"\0")
            key.update(hashlib.sha256(path.read_bytes()).digest())
        cache = _usable(cache_folder().absolute())
        library = cache / f"{key.hexdigest()[:32]}.so"
        if not library.exists():
            _compile(what, command, flags, folder, sources, library)
            _prune(cache)
        else:
            # What is used stays.
            with suppress(OSError):
                os.utime(library)
        return library
    except OSError as error:
        raise CSimulationError(f"Compiler {shlex.join(command)} can't be run: {error}") from None


def _usable(folder: Path) -> Path:
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            return folder
    user = os.getuid() if hasattr(os, "getuid") else None
    fallback = Path(tempfile.gettempdir()) / f"keras_hls-{'cache' if user is None else user}"
    fallback.mkdir(mode=0o700, exist_ok=True)
    status = fallback.lstat()
    # Whoever else can write there could have any code run here.
    if user is None or (stat.S_ISDIR(status.st_mode) and status.st_uid == user and not status.st_mode & 0o022):
        return fallback
    return _private()


@functools.cache
def _private() -> Path:
    """A folder of this process alone."""
    folder = tempfile.mkdtemp(prefix="keras_hls-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def _compile(
    what: str, command: list[str], flags: tuple[str, ...], folder: Path, sources: list[str], library: Path
) -> None:
    handle, made = tempfile.mkstemp(prefix=_UNFINISHED, suffix=".so", dir=library.parent)
    os.close(handle)
    try:
        for local in (_LOCAL, ()):
            done = _run([*command, *flags, *local, *sources, "-o", made], folder)
            # A compiler that doesn't know this processor builds for any.
            if done.returncode == 0 and os.path.getsize(made):
                os.replace(made, library)
                return
        errors = [line for line in done.stderr.splitlines() if "error" in line.lower()] or done.stderr.splitlines()
        if done.returncode == 0:
            errors = ["it made no library"]
        raise CSimulationError(f"{what} doesn't compile with {shlex.join(command)}: " + "\n".join(errors[:5]))
    finally:
        Path(made).unlink(missing_ok=True)


def _prune(folder: Path) -> None:
    """Keep the libraries used last."""
    with suppress(OSError):
        libraries = [*folder.glob("[0-9a-f]" * 32 + ".so"), *folder.glob(_UNFINISHED + "*.so")]
        libraries.sort(key=lambda p: p.stat().st_mtime, reverse=True)
        for library in libraries[_KEEP:]:
            library.unlink(missing_ok=True)
