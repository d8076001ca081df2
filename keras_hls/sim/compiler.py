"""Finding a C++ compiler and building a project's shared library once."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from keras_hls.errors import CompilerNotFound, CSimulationError

#: The project's own headers stand in for the vendor's. Pragmas are for synthesis.
FLAGS = ("-std=c++17", "-O3", "-shared", "-fPIC", "-Wno-unknown-pragmas", "-Icsim", "-Ifirmware")
_LOCAL = ("-march=native",)
_KEEP = 64


def find_compiler() -> list[str]:
    """Return the command of a C++ compiler: $CXX, g++, clang++, or the ziglang wheel.

    Raises
    ------
    CompilerNotFound
        Says how to get one.
    """
    wish = os.environ.get("CXX")
    if wish:
        command = shlex.split(wish)
        if shutil.which(command[0]):
            return command
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
    done = subprocess.run([*command, "--version"], capture_output=True, text=True, timeout=600, check=False)
    return done.stdout


def build(project: Path, name: str) -> Path:
    """Return the shared library of a project; it is built once for each content, compiler and machine.

    Raises
    ------
    CompilerNotFound
        If there is no compiler.
    CSimulationError
        If it doesn't compile; holds the compiler's first errors.
    """
    command = find_compiler()
    key = hashlib.sha256(repr((command, _version(tuple(command)), FLAGS, _LOCAL, _machine())).encode())
    for part in ("firmware", "csim"):
        for path in sorted(p for p in (project / part).rglob("*") if p.is_file()):
            key.update(path.relative_to(project).as_posix().encode() + b"\0")
            key.update(hashlib.sha256(path.read_bytes()).digest())
    folder = _usable(cache_folder())
    library = folder / f"{key.hexdigest()[:32]}.so"
    if not library.exists():
        _compile(command, project, name, library)
        _prune(folder)
    else:
        # What is used stays.
        os.utime(library)
    return library


def _usable(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if os.access(folder, os.W_OK):
            return folder
    except OSError:
        pass
    fallback = Path(tempfile.gettempdir()) / f"keras_hls-{os.getuid() if hasattr(os, 'getuid') else 'cache'}"
    fallback.mkdir(mode=0o700, parents=True, exist_ok=True)
    return fallback


def _compile(command: list[str], project: Path, name: str, library: Path) -> None:
    handle, made = tempfile.mkstemp(suffix=".so", dir=library.parent)
    os.close(handle)
    sources = [f"firmware/{name}.cpp", "csim/bridge.cpp"]
    try:
        for local in (_LOCAL, ()):
            done = subprocess.run(
                [*command, *FLAGS, *local, *sources, "-o", made],
                cwd=project,
                capture_output=True,
                text=True,
                stdin=subprocess.DEVNULL,
                check=False,
            )
            # A compiler that doesn't know this processor builds for any.
            if done.returncode == 0:
                os.replace(made, library)
                return
        errors = [line for line in done.stderr.splitlines() if "error" in line.lower()] or done.stderr.splitlines()
        raise CSimulationError(
            f"Project {str(project)!r} doesn't compile with {shlex.join(command)}: " + "\n".join(errors[:5])
        )
    except OSError as error:
        raise CSimulationError(f"Compiler {shlex.join(command)} can't be run: {error}") from None
    finally:
        Path(made).unlink(missing_ok=True)


def _prune(folder: Path) -> None:
    """Keep the libraries used last."""
    libraries = sorted(folder.glob("*.so"), key=lambda p: p.stat().st_mtime, reverse=True)
    for library in libraries[_KEEP:]:
        library.unlink(missing_ok=True)
