import ast
import errno
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from mnistcli.errors import FileError
from mnistcli.records import files
from mnistcli.records.files import OutputFile, write_atomically
from tests.conftest import posix_only

PACKAGE = Path(files.__file__).parent.parent
LAYER = Path(files.__file__)
SUPERVISOR = PACKAGE / "experiment" / "grading" / "supervise.py"
"""Writes below /proc only, and imports nothing of this package."""
CHANGING = {
    "write_bytes", "write_text", "unlink", "rename", "mkdir", "makedirs", "rmdir", "touch",
    "symlink_to", "hardlink_to", "fsync", "ftruncate", "rmtree", "copytree", "copyfile", "move",
}  # fmt: skip


def changes_a_file(call: ast.Call) -> bool:
    """Whether it is a call of pathlib, os, shutil or open() that changes a file."""
    match call.func:
        case ast.Attribute(value=ast.Name(id="files")):
            return False
        case ast.Attribute(value=ast.Name(id="os"), attr="open" | "replace" | "remove"):
            return True
        case ast.Attribute(attr="replace"):
            return len(call.args) == 1 and not call.keywords  # of a path: of a text it takes two
        case ast.Name(id="open") | ast.Attribute(attr="open"):
            values = [*call.args, *(word.value for word in call.keywords)]
            modes = [value.value for value in values if isinstance(value, ast.Constant)]
            return any(isinstance(mode, str) and set(mode) & set("wax+") for mode in modes)
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return name in CHANGING
    return False


CODE = [
    "p.write_text('x')", "os.open(p, 0)", "p.replace(q)", "p.open('ab')", "open(p, mode='w')",
    "shutil.rmtree(p)", "p.mkdir()",
]  # fmt: skip


@pytest.mark.parametrize("code", CODE)
def test_a_change_of_a_file_is_recognized(code: str) -> None:
    (call,) = [node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call)]
    assert changes_a_file(call)


def test_only_the_file_layer_changes_files_of_runs() -> None:
    found = [
        f"{path.relative_to(PACKAGE)}:{node.lineno}"
        for wing in ("records", "experiment")
        for path in (PACKAGE / wing).rglob("*.py")
        if path not in (LAYER, SUPERVISOR)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and changes_a_file(node)
    ]
    assert not found


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "x"
    write_atomically(path, b"one")
    path.with_name(".x.tmp").mkdir()
    write_atomically(path, b"two")
    assert path.read_bytes() == b"two"
    with pytest.raises(FileError, match="cannot write"):
        write_atomically(tmp_path / "missing" / "x", b"")
    with pytest.raises(FileError, match="Is a directory"):
        write_atomically(tmp_path, b"")
    assert sorted(p.name for p in tmp_path.iterdir()) == [".x.tmp", "x"]


@pytest.mark.parametrize("operation", ["write", "sync", "rename", "sync_folder"])
def test_whichever_operation_fails_the_file_is_whole(
    operation: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_atomically(path := tmp_path / "x", b"one")

    def fail(*arguments: object) -> None:
        raise OSError(5, os.strerror(5))

    monkeypatch.setattr(OutputFile if hasattr(OutputFile, operation) else files, operation, fail)
    with pytest.raises(FileError, match="Input/output error"):
        write_atomically(path, b"two")
    assert path.read_bytes() == (b"two" if operation == "sync_folder" else b"one")
    assert os.listdir(tmp_path) == ["x"]


@posix_only
def test_a_pipe_is_written_to_and_stays_one() -> None:
    code = (
        "from pathlib import Path\nfrom mnistcli.records.files import write_atomically\n"
        "write_atomically(Path('/dev/stdout'), b'all of it')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stdout == b"all of it"


def test_an_output_file_grows_at_its_end(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"one two")
    file = OutputFile(path, append=True)
    file.truncate(4)
    assert file.size() == 4
    file.write(b"three")
    assert file.size() == 9
    file.close()
    assert path.read_bytes() == b"one three"


def test_folders_are_made_with_their_parents(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = tmp_path.joinpath(*["a"] * 40)
    files.make_folder(deep, exist_ok=True)
    files.make_folder(deep, exist_ok=True)
    assert deep.is_dir()
    with pytest.raises(FileExistsError):
        files.make_folder(tmp_path / "a")
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        files.make_folder(tmp_path / "file" / "x", exist_ok=True)
    monkeypatch.chdir(deep)
    shutil.rmtree(tmp_path / "a")
    with pytest.raises(FileNotFoundError):
        files.make_folder(Path("runs"), exist_ok=True)


@posix_only
@pytest.mark.parametrize(("number", "is_fault"), [(errno.EINVAL, False), (errno.EIO, True)])
def test_folders_that_no_system_syncs_are_written_to(
    number: int, is_fault: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail_for_folders(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail_for_folders)
    if is_fault:
        with pytest.raises(FileError):
            write_atomically(tmp_path / "x", b"1")
    else:
        write_atomically(tmp_path / "x", b"1")
    assert (tmp_path / "x").exists()
