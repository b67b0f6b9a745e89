import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from mnistcli.errors import FileError
from mnistcli.experiment.export import NAMES
from mnistcli.records import files
from mnistcli.records.folders import lock_run
from mnistcli.records.removal import WRITTEN, find_removable_run, remove_run
from tests.conftest import posix_only

NAME = "sprint-20261121-214502-s0"
RECORD = '{\n  "schema": "mnistcli.run/2"'
START = '{\n  "schema": "mnistcli.start/2"'


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a run of another name, and something precious beside it."""
    make_run(tmp_path / "runs" / "best")
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "thesis.tex").write_text("years of work")
    return tmp_path


def make_run(folder: Path) -> Path:
    """Everything that a run can leave."""
    folder.mkdir(parents=True)
    for name in WRITTEN:
        (folder / name).write_text("content")
    (folder / ".state.safetensors.4711").write_text("half")
    (folder / "record.json").write_text(RECORD)
    (folder / "start.json").write_text(START)
    (folder / "code" / "blocks").mkdir(parents=True)
    for name in ("net.py", "blocks/__init__.py", ".net.py.4711"):
        (folder / "code" / name).write_text("class Net: ...")
    return folder


def everything(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() if path.is_file() else b"/"
        for path in folder.rglob("*")
    }


def test_a_run_folder_goes_with_all_that_a_run_writes(place: Path) -> None:
    rest = {name for name in everything(place) if not name.startswith("runs/best")}
    removed = remove_run(str(place / "runs" / "best"))
    assert removed.files == len(WRITTEN) - 1 + 1 + 3  # no lock, a temporary file, three of code
    assert removed.bytes > 0
    assert set(everything(place)) == rest


@pytest.mark.parametrize(
    ("add", "words"),
    [
        ("notes.txt", '"notes.txt"'),
        ("weights.safetensors.bak", '"weights.safetensors.bak"'),
        (".record.json.tmp", '".record.json.tmp"'),
        ("data/x", '"data/"'),
        ("code/secrets.txt", '"code/secrets.txt"'),
        ("code/.git/config", '"code/.git/config"'),
        (".git/config", '".git/"'),
    ],
)
def test_a_foreign_file_stops_it_and_is_named(place: Path, add: str, words: str) -> None:
    path = place / "runs" / "best" / add
    path.parent.mkdir(exist_ok=True)
    path.write_text("mine")
    before = everything(place)
    for remove in (find_removable_run, remove_run):
        with pytest.raises(FileError) as raised:
            remove(str(place / "runs" / "best"))
        assert f"it has what no run writes: {words}. " in str(raised.value)
        (place / "runs" / "best" / ".lock").write_text("content")
        assert everything(place) == before


@posix_only
@pytest.mark.parametrize("name", ["weights.safetensors", "code", "code/net.py", "record.json"])
def test_a_link_in_a_run_folder_stops_it(place: Path, name: str) -> None:
    path = place / "runs" / "best" / name
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    path.symlink_to(place / "precious" / ("thesis.tex" if "." in name else ""))
    before = everything(place)
    with pytest.raises(FileError, match=f'what no run writes: "{name}"'):
        find_removable_run(str(place / "runs" / "best"))
    assert everything(place) == before


@posix_only
@pytest.mark.parametrize(
    ("name", "words"),
    [
        (".", "is not the name of a run folder"),
        ("..", "is not the name of a run folder"),
        ("runs/best/..", "is not the name of a run folder"),
        ("/", "is not the name of a run folder"),
        ("", "is not the name of a run folder"),
        ("runs", 'has what no run writes: "best/"'),
        ("runs/best/record.json", "is a file"),
        ("latest", "is a link"),
        ("latest/", "is a link"),
        ("nowhere", "does not exist"),
        ("a\0b", "does not exist"),
        ("x" * 300, "File name too long|does not exist"),
        ("precious", 'has what no run writes: "thesis.tex"'),
        ("empty", r"is not a run: it has no record\.json of mnistcli"),
        ("other", r"is not a run: it has no record\.json of mnistcli"),
        ("pipe", "is a file"),
    ],
)
def test_what_is_not_a_run_folder_is_refused(
    place: Path, monkeypatch: pytest.MonkeyPatch, name: str, words: str
) -> None:
    (place / "latest").symlink_to("runs/best")
    (place / "empty").mkdir()
    (place / "other").mkdir()
    (place / "other" / "record.json").write_text('{"schema": "of another program"}')
    os.mkfifo(place / "pipe")
    monkeypatch.chdir(place)
    before = sorted(place.rglob("*"))
    with pytest.raises(FileError, match=words):
        find_removable_run(name)
    assert sorted(place.rglob("*")) == before


@posix_only
def test_the_run_behind_hard_links_keeps_its_other_names(place: Path) -> None:
    (place / "precious" / "kept").hardlink_to(place / "runs" / "best" / "weights.safetensors")
    remove_run(str(place / "runs" / "best"))
    assert (place / "precious" / "kept").read_text() == "content"


def test_a_run_in_training_stays(place: Path) -> None:
    folder = place / "runs" / "best"
    with lock_run(folder), pytest.raises(FileError, match="trained by another process"):
        remove_run(str(folder))
    assert (folder / "weights.safetensors").exists()
    assert (folder / "record.json").exists()


@pytest.mark.parametrize("name", [NAME, "best"])
@pytest.mark.parametrize("missing", ["record.json", "start.json"])
def test_stopped_anywhere_a_second_time_finishes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, missing: str
) -> None:
    steps = len(WRITTEN) + 8
    for stop in range(steps):
        folder = make_run(tmp_path / str(stop) / name)
        (folder / missing).unlink()
        with monkeypatch.context() as patch:
            stop_after(stop, patch)
            try:
                remove_run(str(folder))
                done = True
            except FileError as error:
                assert "Stopped" in str(error)
                done = False
        if not done and not (name == "best" and not list(folder.iterdir())):
            remove_run(str(folder))
        if name == NAME:
            assert not folder.exists(), stop
    assert done, "it was never stopped at its end"


def stop_after(count: int, patch: pytest.MonkeyPatch) -> None:
    """Let so many operations succeed."""
    left = count

    def limit(operation: Callable[[Path], None]) -> Callable[[Path], None]:
        def run(path: Path) -> None:
            nonlocal left
            if not left:
                raise OSError(5, "Stopped")
            left -= 1
            operation(path)

        return run

    for name in ("remove", "remove_folder"):
        patch.setattr(files, name, limit(getattr(files, name)))


def test_an_empty_folder_is_removed_only_with_the_name_of_a_run(tmp_path: Path) -> None:
    for name in (NAME, "anything"):
        (tmp_path / name).mkdir()
    assert remove_run(str(tmp_path / NAME)).files == 0
    with pytest.raises(FileError, match="is not a run"):
        remove_run(str(tmp_path / "anything"))
    assert [path.name for path in tmp_path.iterdir()] == ["anything"]


def test_what_an_export_wrote_goes_with_the_run(place: Path) -> None:
    for name in NAMES.values():
        for written in (name, f"{name}.mismatch", f".{name}.4711"):
            (place / "runs" / "best" / written).write_text("x")
    remove_run(str(place / "runs" / "best"))
    assert not (place / "runs" / "best").exists()
