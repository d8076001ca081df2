"""Finding a compiler, and building each content once."""

import errno
import importlib.util
import os
import shutil
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from keras_hls.errors import CompilerNotFound, CSimulationError
from keras_hls.sim import compiler
from keras_hls.sim.compiler import build, build_source, cache_folder, find_compiler


def script(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@pytest.fixture
def bare(monkeypatch, tmp_path):
    """A machine without any compiler; returns a folder where programs are found."""
    (tmp_path / "bin").mkdir()
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name == "ziglang" else found(name, *a))
    return tmp_path / "bin"


@pytest.fixture
def counted(monkeypatch, tmp_path):
    """g++ behind a script that notes each call; returns a function that lists the compilations so far."""
    log, real = tmp_path / "calls", shutil.which("g++") or shutil.which("clang++")
    wrapper = script(tmp_path / "counted", f'#!/bin/sh\necho "$@" >> {log}\nexec {real} "$@"\n')
    monkeypatch.setenv("CXX", str(wrapper))
    monkeypatch.setenv("KERAS_HLS_CACHE", str(tmp_path / "cache"))
    return lambda: [line for line in log.read_text().splitlines() if "--version" not in line] if log.exists() else []


@pytest.fixture
def project(write, small, tmp_path):
    return write(small(), tmp_path / "project")


# --- finding -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["bin", ""])
def test_without_a_compiler_the_error_says_how_to_get_one(bare, monkeypatch, project, path):
    if not path:
        monkeypatch.setenv("PATH", "")
    with pytest.raises(CompilerNotFound) as caught:
        find_compiler()
    for hint in ("g++", "clang++", "CXX", "pip install 'keras-hls[compiler]'", "project.emulate(x) work"):
        assert hint in str(caught.value)
    with pytest.raises(CompilerNotFound):
        build(project, "net")


def test_the_order_of_compilers(bare, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: object() if name == "ziglang" else None)
    assert find_compiler() == [sys.executable, "-m", "ziglang", "c++"]
    script(bare / "clang++", "#!/bin/sh\n")
    assert find_compiler() == ["clang++"]
    script(bare / "g++", "#!/bin/sh\n")
    assert find_compiler() == ["g++"]
    script(bare / "mine", "#!/bin/sh\n")
    monkeypatch.setenv("CXX", "mine")
    assert find_compiler() == ["mine"]
    monkeypatch.setenv("CXX", "")
    assert find_compiler() == ["g++"]


def test_cxx_may_have_arguments_and_blanks(bare, monkeypatch, tmp_path):
    mine = script(tmp_path / "my tools" / "c++", "#!/bin/sh\n")
    script(bare / "ccache", "#!/bin/sh\n")
    monkeypatch.setenv("CXX", f"ccache '{mine}' -m64")
    assert find_compiler() == ["ccache", str(mine), "-m64"]
    monkeypatch.setenv("CXX", f"'{mine}'")
    assert find_compiler() == [str(mine)]


@pytest.mark.parametrize("wish", ["nonsense++", "/nowhere/g++ -m64", "  ", "'g++", "''"])
def test_cxx_that_names_nothing(bare, monkeypatch, wish):
    script(bare / "g++", "#!/bin/sh\n")
    monkeypatch.setenv("CXX", wish)
    with pytest.raises(CompilerNotFound, match="environment variable CXX"):
        find_compiler()


def test_cxx_may_be_a_path_from_here(monkeypatch, tmp_path, counted, project):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CXX", "./counted")
    assert build(project, "net").exists()
    assert len(counted()) == 1


# --- the cache -----------------------------------------------------------------------------------------------------


def test_where_the_cache_is(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HLS_CACHE", str(tmp_path / "a"))
    assert cache_folder() == tmp_path / "a"
    monkeypatch.delenv("KERAS_HLS_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "b"))
    assert cache_folder() == tmp_path / "b" / "keras_hls"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "c"))
    assert cache_folder() == tmp_path / "c" / ".cache" / "keras_hls"


def test_the_same_content_is_compiled_once(counted, write, small, tmp_path, monkeypatch):
    first = write(small(), tmp_path / "first")
    library = build(first, "net")
    assert library.parent == tmp_path / "cache"
    assert build(first, "net") == library
    # Neither the place nor what isn't compiled matters.
    second = write(small(), tmp_path / "second")
    (second / "README.md").write_text("other")
    (second / "tb" / "inputs.dat").write_text("0 0")
    assert build(second, "net") == library
    assert len(counted()) == 1
    assert [p.name for p in library.parent.iterdir()] == [library.name]
    # Another content, another library.
    assert build(write(small(4), tmp_path / "third"), "net") != library
    with (second / "csim" / "ap_int.h").open("a") as header:
        header.write("\n")
    assert build(second, "net") != library
    assert len(counted()) == 3
    # A cache that was cleared is filled again.
    library.unlink()
    assert build(first, "net") == library
    assert len(counted()) == 4


def test_one_file_is_compiled_once(counted, tmp_path):
    source = tmp_path / "place" / "own.cpp"
    source.parent.mkdir()
    source.write_text('extern "C" int answer() { return 42; }')
    library = build_source(source)
    assert build_source(source) == library
    assert library.parent == tmp_path / "cache"
    assert len(counted()) == 1
    # However the compiler is called, what is loaded into this process is exact and needs nothing else.
    assert {"-fno-fast-math", "-fno-sanitize=all"} <= set(counted()[0].split())
    source.write_text("no C++")
    with pytest.raises(CSimulationError, match=r"File '.*own\.cpp' doesn't compile with"):
        build_source(source)


def test_another_compiler_builds_anew(counted, project, tmp_path, monkeypatch):
    library = build(project, "net")
    monkeypatch.setenv("CXX", str(script(tmp_path / "other", (tmp_path / "counted").read_text())))
    assert build(project, "net") != library
    assert len(counted()) == 2


def test_another_machine_builds_anew(counted, project, monkeypatch):
    library = build(project, "net")
    monkeypatch.setattr(compiler, "_machine", lambda: "another processor")
    assert build(project, "net") != library
    assert len(counted()) == 2


def test_the_least_recently_used_libraries_go(counted, project, tmp_path, monkeypatch):
    library = build(project, "net")
    old = time.time() - 1000
    others = [library.with_name(f"{i:032x}.so") for i in range(80)]
    for age, other in enumerate([library, *others]):
        other.touch()
        os.utime(other, (old - age, old - age))
    foreign = library.with_name("libsomething.so")
    foreign.write_bytes(b"not ours")
    os.utime(foreign, (1, 1))
    # Being used makes it young.
    assert build(project, "net") == library
    with (project / "firmware" / "net.cpp").open("a") as source:
        source.write("\n")
    fresh = build(project, "net")
    left = {p.name for p in library.parent.iterdir()}
    assert {fresh.name, library.name, foreign.name} <= left
    assert left == {fresh.name, library.name, foreign.name, *(p.name for p in others[:62])}


def test_a_cache_relative_to_here(counted, project, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for wish in (".", "some/cache"):
        monkeypatch.setenv("KERAS_HLS_CACHE", wish)
        library = build(project, "net")
        assert library.is_absolute()
        assert library.parent == tmp_path / wish
    assert len(counted()) == 2


def test_a_cache_that_can_not_be_written(counted, project, tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"")
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr(compiler.tempfile, "tempdir", str(temporary))
    for wish in (tmp_path / "file", tmp_path / "file" / "deeper"):
        monkeypatch.setenv("KERAS_HLS_CACHE", str(wish))
        library = build(project, "net")
        assert library.exists()
        assert library.is_relative_to(temporary)
        # Nobody else can put a library there.
        assert stat.S_IMODE(library.parent.stat().st_mode) == 0o700
    assert len(counted()) == 1


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="no users")
def test_a_temporary_cache_of_somebody_else_is_not_used(counted, project, tmp_path, monkeypatch):
    """Whoever could write there could have any code run here."""
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("KERAS_HLS_CACHE", str(tmp_path / "file" / "none"))
    temporary = tmp_path / "tmp"
    theirs = temporary / f"keras_hls-{os.getuid()}"
    theirs.mkdir(parents=True)
    theirs.chmod(0o777)
    monkeypatch.setattr(compiler.tempfile, "tempdir", str(temporary))
    library = build(project, "net")
    assert library.parent != theirs
    assert list(theirs.iterdir()) == []


def test_a_full_disk(counted, project, monkeypatch):
    def refuse(*args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(compiler.tempfile, "mkstemp", refuse)
    with pytest.raises(CSimulationError, match="No space left"):
        build(project, "net")


# --- compilers that fail -------------------------------------------------------------------------------------------


@pytest.fixture
def failing(monkeypatch, tmp_path):
    monkeypatch.setenv("KERAS_HLS_CACHE", str(tmp_path / "cache"))

    def install(text: str) -> None:
        monkeypatch.setenv("CXX", str(script(tmp_path / "broken" / "c++", text)))

    return install


def nothing_left(tmp_path: Path) -> bool:
    return not (tmp_path / "cache").exists() or not list((tmp_path / "cache").iterdir())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("#!/bin/sh\necho 'xcrun: error: no developer tools' >&2\nexit 1\n", "no developer tools"),
        ("#!/bin/sh\necho 'Killed' >&2\nexit 137\n", "Killed"),
        ("#!/bin/sh\nexit 1\n", "doesn't compile"),
        ("#!/nowhere/interpreter\n", "can't be run"),
        ("not a program at all", "can't be run"),
        ("#!/bin/sh\nkill -SEGV $$\n", "doesn't compile"),
    ],
)
def test_broken_compilers(failing, project, tmp_path, text, message):
    failing(text)
    with pytest.raises(CSimulationError, match=message) as caught:
        build(project, "net")
    assert "broken/c++" in str(caught.value)
    assert nothing_left(tmp_path)


def test_a_compiler_that_makes_nothing(failing, project, tmp_path):
    failing("#!/bin/sh\nexit 0\n")
    with pytest.raises(CSimulationError, match="made no library"):
        build(project, "net")
    assert nothing_left(tmp_path)


def test_errors_of_the_compiler_are_shown(project, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HLS_CACHE", str(tmp_path / "cache"))
    source = project / "firmware" / "net.cpp"
    whole = source.read_text()
    source.write_text(whole + "\nint broken = undeclared_thing;\n")
    with pytest.raises(CSimulationError, match="undeclared_thing") as caught:
        build(project, "net")
    assert str(project) in str(caught.value)
    assert len(str(caught.value).splitlines()) < 12
    assert nothing_left(tmp_path)
    source.write_text(whole)
    assert build(project, "net").exists()


def test_a_compiler_that_does_not_know_this_processor(project, tmp_path, monkeypatch):
    real = shutil.which("g++") or shutil.which("clang++")
    text = f'#!/bin/sh\ncase "$*" in *-march=native*) echo "error: bad value" >&2; exit 1;; esac\nexec {real} "$@"\n'
    monkeypatch.setenv("CXX", str(script(tmp_path / "old", text)))
    monkeypatch.setenv("KERAS_HLS_CACHE", str(tmp_path / "cache"))
    assert build(project, "net").stat().st_size > 1000


def test_warnings_are_no_errors(project, tmp_path, monkeypatch):
    """The emitted project compiles without any; labels are for directives of the HLS tool."""
    command = [
        *find_compiler(),
        *compiler.FLAGS,
        "-Wall",
        "-Wextra",
        "-Wno-unused-label",
        "firmware/net.cpp",
        "csim/bridge.cpp",
    ]
    done = subprocess.run([*command, "-o", str(tmp_path / "x.so")], cwd=project, capture_output=True, text=True)
    assert done.returncode == 0
    assert done.stderr == ""
