"""Writing a project: all or nothing, never over what isn't ours, and nothing of the user's is lost."""

import errno
import json
import os
import stat
from pathlib import Path

import pytest

from keras_hls import folder as folder_module
from keras_hls.errors import HLSError, OutputFolderError
from keras_hls.folder import MANIFEST, check_target, read_manifest, write_file, write_folder

FILES = {"README.md": b"old", "firmware/net.cpp": b"int main;\n", "firmware/kernels/dense.h": bytes(range(256))}
NEW = {"README.md": b"new", "firmware/net.cpp": b"", "tb/inputs.dat": b"1 2\n"}
ABOUT = {"project_name": "net", "options": {"part": "x"}}


def contents(folder: Path) -> dict[str, bytes | str]:
    """Every file, every link and every empty folder below a folder."""
    found: dict[str, bytes | str] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            found[name] = "-> " + os.readlink(path)
        elif path.is_file():
            found[name] = path.read_bytes()
        elif not any(path.iterdir()):
            found[name] = "empty"
    return found


def files_of(folder: Path) -> dict[str, bytes | str]:
    return {name: data for name, data in contents(folder).items() if name != MANIFEST}


@pytest.fixture
def place(tmp_path):
    """A folder for projects, that nothing else may be left in."""
    folder = tmp_path / "place"
    folder.mkdir()
    return folder


@pytest.fixture
def project(place):
    write_folder(place / "net", FILES, ABOUT)
    return place / "net"


def alone(project: Path) -> bool:
    """Whether nothing temporary is left beside it."""
    return [p.name for p in project.parent.iterdir()] == [project.name]


# --- writing -------------------------------------------------------------------------------------------------------


def test_a_project_is_written(project):
    assert files_of(project) == FILES
    manifest = read_manifest(project)
    assert manifest["project_name"] == "net"
    assert set(manifest["files"]) == set(FILES)
    assert alone(project)


def test_the_same_files_make_the_same_bytes(place):
    write_folder(place / "a", FILES, ABOUT)
    write_folder(place / "b", dict(reversed(FILES.items())), dict(reversed(ABOUT.items())))
    assert contents(place / "a") == contents(place / "b")


def test_permissions_are_those_of_any_new_folder(place, project):
    (place / "other").mkdir()
    assert stat.S_IMODE(project.stat().st_mode) == stat.S_IMODE((place / "other").stat().st_mode)
    (place / "file").write_bytes(b"")
    write_file(place / "written", b"")
    assert stat.S_IMODE((place / "written").stat().st_mode) == stat.S_IMODE((place / "file").stat().st_mode)


def test_folders_on_the_way_are_made(place):
    write_folder(place / "a" / "b" / "net", FILES, ABOUT)
    assert files_of(place / "a" / "b" / "net") == FILES


def test_an_empty_folder_is_taken(place):
    (place / "net").mkdir()
    write_folder(place / "net", FILES, ABOUT)
    assert files_of(place / "net") == FILES
    assert alone(place / "net")


def test_relative_places(place, monkeypatch):
    (place / "work").mkdir()
    monkeypatch.chdir(place / "work")
    write_folder(Path("net"), FILES, ABOUT)
    write_folder(Path("../net2"), FILES, ABOUT)
    write_folder(Path("./net/../net3/"), FILES, ABOUT)
    assert files_of(place / "work" / "net") == files_of(place / "net2") == files_of(place / "work" / "net3") == FILES


def test_the_present_folder_can_be_the_project(place, monkeypatch):
    write_folder(place / "net", FILES, ABOUT)
    monkeypatch.chdir(place / "net")
    write_folder(Path(), NEW, ABOUT)
    assert files_of(place / "net") == NEW
    assert alone(place / "net")


def test_a_project_is_replaced(project):
    write_folder(project, NEW, {"project_name": "other"})
    assert files_of(project) == NEW
    assert read_manifest(project)["project_name"] == "other"
    assert alone(project)


# --- what isn't ours -----------------------------------------------------------------------------------------------


def test_what_others_put_into_a_project_is_kept(project, tmp_path):
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "big").write_bytes(b"big")
    (project / "net_prj" / "solution1" / "syn").mkdir(parents=True)
    (project / "net_prj" / "solution1" / "syn" / "report.xml").write_bytes(b"<report/>")
    (project / "firmware" / "notes.txt").write_bytes(b"mine")
    (project / "firmware" / "kernels" / "mine").mkdir()
    (project / "empty" / "emptier").mkdir(parents=True)
    (project / "results").symlink_to(tmp_path / "results")
    (project / "report").symlink_to("net_prj/solution1/syn/report.xml")
    (project / "later").symlink_to("not/there/yet")
    theirs = {name: data for name, data in files_of(project).items() if name not in FILES}
    assert set(theirs) == {
        "net_prj/solution1/syn/report.xml", "firmware/notes.txt", "firmware/kernels/mine", "empty/emptier", "results",
        "report", "later",
    }  # fmt: skip
    for _ in range(2):
        write_folder(project, NEW, ABOUT)
        assert files_of(project) == {**NEW, **theirs}
    assert (tmp_path / "results" / "big").read_bytes() == b"big"
    assert alone(project)


def test_what_was_ours_and_is_no_longer_written_goes(project):
    write_folder(project, {"a": b"1"}, ABOUT)
    assert files_of(project) == {"a": b"1"}


def test_a_project_behind_a_link_stays_there(place, tmp_path):
    disk = tmp_path / "disk"
    write_folder(disk / "net", FILES, ABOUT)
    (disk / "net" / "report").write_bytes(b"mine")
    for link in (disk / "net", Path("../disk/net")):
        (place / "net").symlink_to(link)
        write_folder(place / "net", NEW, ABOUT)
        assert (place / "net").is_symlink()
        assert files_of(disk / "net") == {**NEW, "report": b"mine"}
        assert [p.name for p in disk.iterdir()] == ["net"]
        assert alone(place / "net")
        (place / "net").unlink()


@pytest.mark.parametrize("name", ["notes.txt", ".hidden", "sub"])
def test_a_folder_with_something_else_is_refused(place, name):
    folder = place / "thesis"
    folder.mkdir()
    if name == "sub":
        (folder / name).mkdir()
    else:
        (folder / name).write_bytes(b"years of work")
    before = contents(folder)
    with pytest.raises(OutputFolderError, match="isn't a keras_hls project, and is left as it is"):
        check_target(folder)
    with pytest.raises(OutputFolderError):
        write_folder(folder, FILES, ABOUT)
    assert contents(folder) == before
    assert alone(folder)


@pytest.mark.parametrize(
    "manifest", ["", "{", "[]", "null", '"text"', "{}", '{"format": 99}', '{"format": "1"}', "\xff"]
)
def test_a_folder_with_somebody_elses_manifest_is_refused(place, manifest):
    folder = place / "thesis"
    folder.mkdir()
    (folder / MANIFEST).write_bytes(manifest.encode("latin1"))
    with pytest.raises(OutputFolderError):
        write_folder(folder, FILES, ABOUT)
    with pytest.raises(HLSError):
        read_manifest(folder)
    assert list(contents(folder)) == [MANIFEST]


def test_a_manifest_without_a_list_owns_nothing(project):
    (project / MANIFEST).write_text(json.dumps({"format": 1}))
    write_folder(project, {"a": b"1"}, ABOUT)
    assert files_of(project) == {**FILES, "a": b"1"}
    assert alone(project)


def test_a_file_in_the_place_is_refused(place):
    (place / "net").write_bytes(b"mine")
    for target, text in ((place / "net", "is a file"), (place / "net" / "sub" / "net", "is a file")):
        with pytest.raises(OutputFolderError, match=text):
            check_target(target)
        with pytest.raises(OutputFolderError, match=text):
            write_folder(target, FILES, ABOUT)
    assert contents(place) == {"net": b"mine"}


@pytest.mark.parametrize("name", ["a" * 300, "a" * 250, "null\0byte"])
def test_names_that_no_folder_can_have(place, name):
    with pytest.raises(OutputFolderError):
        write_folder(place / name, FILES, ABOUT)
    assert contents(place) == {}


# --- permissions ---------------------------------------------------------------------------------------------------


def test_no_permission_is_said_before_any_work(place, monkeypatch):
    # Tests may run as root, who may write anywhere.
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != place)
    with pytest.raises(OutputFolderError, match="no permission to write in"):
        check_target(place / "deep" / "net")
    assert contents(place) == {}


def test_no_permission_to_look(place, monkeypatch):
    def refuse(*args, **kwargs):
        raise PermissionError(errno.EACCES, "Permission denied")

    (place / "net").mkdir()
    for method in ("iterdir", "exists", "is_dir"):
        with monkeypatch.context() as patch:
            patch.setattr(Path, method, refuse)
            with pytest.raises(OutputFolderError, match="no permission"):
                check_target(place / "net")


@pytest.mark.parametrize(
    ("number", "text"),
    [(errno.EACCES, "no permission"), (errno.EROFS, "read-only"), (errno.EDQUOT, "quota"), (errno.EIO, "Input/output")],
)
def test_why_it_can_not_be_written(place, monkeypatch, number, text):
    def refuse(*args, **kwargs):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(folder_module.tempfile, "mkdtemp", refuse)
    with pytest.raises(OutputFolderError, match=text):
        write_folder(place / "net", FILES, ABOUT)
    assert contents(place) == {}


# --- a full disk, an interruption ----------------------------------------------------------------------------------


def full_after(count: int, error: BaseException):
    """A Path.write_bytes that writes half of file number `count`, and then no more."""
    write, written = Path.write_bytes, []

    def write_bytes(self, data):
        written.append(self)
        if len(written) > count:
            write(self, data[: len(data) // 2])
            raise error
        return write(self, data)

    return write_bytes


FULL = OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("count", range(3))
def test_nothing_is_left_when_the_disk_is_full(place, monkeypatch, count):
    monkeypatch.setattr(Path, "write_bytes", full_after(count, FULL))
    with pytest.raises(OutputFolderError, match=r"the disk is full\. Nothing was left there"):
        write_folder(place / "a" / "b" / "net", FILES, ABOUT)
    # The folders made on the way are gone as well.
    assert contents(place) == {}
    assert list(place.iterdir()) == []


@pytest.mark.parametrize("error", [FULL, KeyboardInterrupt(), MemoryError()])
@pytest.mark.parametrize("count", range(3))
def test_the_old_project_stays_when_the_new_can_not_be_written(project, monkeypatch, count, error):
    (project / "report").write_bytes(b"mine")
    before = contents(project)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", full_after(count, error))
        with pytest.raises(OutputFolderError if error is FULL else type(error)):
            write_folder(project, NEW, ABOUT)
    assert contents(project) == before
    assert alone(project)
    write_folder(project, NEW, ABOUT)
    assert files_of(project) == {**NEW, "report": b"mine"}


def test_no_space_for_the_manifest(project, monkeypatch):
    before = contents(project)

    def refuse(self, *args, **kwargs):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", refuse)
    with pytest.raises(OutputFolderError, match="disk is full"):
        write_folder(project, NEW, ABOUT)
    assert contents(project) == before
    assert alone(project)


def failing_rename(number: int, error: BaseException):
    rename, calls = os.rename, []

    def failing(*args, **kwargs):
        calls.append(args)
        if len(calls) == number:
            raise error
        return rename(*args, **kwargs)

    return failing


@pytest.mark.parametrize("error", [OSError(errno.EBUSY, "Device or resource busy"), KeyboardInterrupt()])
@pytest.mark.parametrize("number", [1, 2])
def test_the_old_project_stays_when_the_swap_is_interrupted(project, monkeypatch, number, error):
    (project / "report").write_bytes(b"mine")
    before = contents(project)
    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", failing_rename(number, error))
        with pytest.raises(OutputFolderError if isinstance(error, OSError) else KeyboardInterrupt):
            write_folder(project, NEW, ABOUT)
    assert contents(project) == before
    assert alone(project)


def test_nothing_is_left_when_the_only_rename_fails(place, monkeypatch):
    monkeypatch.setattr(os, "rename", failing_rename(1, OSError(errno.EIO, "Input/output error")))
    with pytest.raises(OutputFolderError):
        write_folder(place / "net", FILES, ABOUT)
    assert list(place.iterdir()) == []


def test_what_others_put_into_a_project_survives_an_interruption(project, monkeypatch):
    """Interrupted after the swap, while the user's files move over: none of them may be lost."""
    for name in ("report1", "report2"):
        (project / name).write_bytes(name.encode())
    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", failing_rename(4, OSError(errno.EIO, "Input/output error")))
        with pytest.raises(OutputFolderError) as caught:
            write_folder(project, NEW, ABOUT)
    assert files_of(project).items() >= {**NEW, "report1": b"report1"}.items()
    (rest,) = project.parent.rglob("report2")
    assert rest.read_bytes() == b"report2"
    # The error says where.
    assert "Nothing was left" not in str(caught.value)
    assert str(rest.parent) in str(caught.value)


# --- single files --------------------------------------------------------------------------------------------------


def test_a_file_is_written_whole(place):
    write_file(place / "sub" / "a.khls", b"first")
    write_file(place / "sub" / "a.khls", b"second")
    assert contents(place) == {"sub/a.khls": b"second"}


def test_a_file_is_written_whole_or_not_at_all(place, monkeypatch):
    write_file(place / "a.khls", b"first")
    for error in (FULL, KeyboardInterrupt()):
        with monkeypatch.context() as patch:
            patch.setattr(os, "replace", failing_rename(1, error))
            with pytest.raises(OutputFolderError if error is FULL else KeyboardInterrupt):
                write_file(place / "a.khls", b"second")
        assert contents(place) == {"a.khls": b"first"}


def test_files_in_places_that_can_not_be(place):
    (place / "folder").mkdir()
    (place / "file").write_bytes(b"mine")
    for target in (place / "folder", place / "file" / "a.khls", place / ("a" * 300)):
        with pytest.raises(OutputFolderError, match="can't be written"):
            write_file(target, b"data")
    assert contents(place) == {"file": b"mine", "folder": "empty"}


def test_manifests_that_can_not_be_read(place, project):
    for target, text in (
        (place / "nowhere", "isn't a keras_hls project: it holds no keras_hls.json"),
        (project / "README.md", "damaged|isn't a keras_hls project"),
    ):
        with pytest.raises(HLSError, match=text):
            read_manifest(target)
    (project / MANIFEST).write_text(json.dumps({"format": 2}))
    with pytest.raises(HLSError, match="of format 2, not 1; it needs another version"):
        read_manifest(project)
