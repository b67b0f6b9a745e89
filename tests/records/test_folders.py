from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from mnistcli.errors import FileError
from mnistcli.preset.loading import load_preset
from mnistcli.records.folders import (
    create_run_folder,
    find_run,
    find_started_run,
    list_references,
    list_runs,
    lock_run,
    read_folder,
    remove_leftovers,
    write_files,
)
from mnistcli.records.states import BatchDocument
from mnistcli.records.store import write_document
from tests.conftest import posix_only

NOW = datetime(2026, 11, 21, 21, 45, 2, tzinfo=UTC)


def test_run_folders_never_collide(tmp_path: Path) -> None:
    folders = [create_run_folder(tmp_path / "runs", "sprint", 0, NOW) for _ in range(3)]
    assert [folder.name for folder in folders] == [
        "sprint-20261121-214502-s0",
        "sprint-20261121-214502-s0-2",
        "sprint-20261121-214502-s0-3",
    ]


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match="cannot write runs"):
        create_run_folder(tmp_path / "file", "sprint", 0, NOW)


@pytest.mark.parametrize("reference", ["", "a\0b", "x" * 5_000, "record.json"])
def test_what_is_no_run_is_said(reference: str) -> None:
    with pytest.raises(FileError, match="is not a run|does not exist"):
        find_run(reference)


@pytest.mark.parametrize("find", [find_run, find_started_run])
def test_a_missing_run_and_a_file_are_told_apart(tmp_path: Path, find: Callable) -> None:
    (tmp_path / "sheet.png").touch()
    for name, words in (("none", "does not exist"), ("sheet.png", "is a file")):
        with pytest.raises(FileError) as raised:
            find(str(tmp_path / name))
        assert str(raised.value) == f'"{tmp_path / name}" {words}. Name a run folder.'


def test_a_run_is_found_by_its_folder_or_a_file_in_it(tmp_path: Path) -> None:
    (tmp_path / "start.json").write_text("{}")
    for reference in (tmp_path, tmp_path / "start.json", tmp_path / "state.safetensors"):
        assert find_started_run(str(reference)) == tmp_path
    with pytest.raises(FileError, match="is not finished: .* Resume it with: mnistcli train"):
        find_run(str(tmp_path))
    (tmp_path / "record.json").write_text("{}")
    assert find_run(str(tmp_path / "record.json")) == find_run(str(tmp_path)) == tmp_path


def test_a_folder_is_replaced_by_the_runs_in_it(tmp_path: Path) -> None:
    for name in ("b", "a", "unfinished"):
        (tmp_path / name).mkdir()
    for name in ("a", "b"):
        (tmp_path / name / "record.json").write_text("{}")
    assert list_runs(str(tmp_path)) == [tmp_path / "a", tmp_path / "b"]
    assert list_runs(str(tmp_path / "a")) == []
    assert list_runs("sprint") is None
    assert list_references([str(tmp_path), "sprint"]) == [
        *map(str, (tmp_path / "a", tmp_path / "b")), "sprint",
    ]  # fmt: skip


def test_a_run_counts_once_however_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    runs = Path("runs")
    for name in ("a", "b"):
        (runs / name).mkdir(parents=True)
        (runs / name / "record.json").write_text("{}")
    batch = BatchDocument(
        preset=load_preset("sprint"), device="cpu", precision="float32", threads=1,
        data_folder=None, coreset_file=None, runs={0: "a", 1: "b"},
    )  # fmt: skip
    write_document(runs / "both.batch.json", batch)
    once = ["runs/a", "runs/b"]
    assert list_references(sorted(map(str, runs.iterdir()))) == once
    spellings = [
        "runs/a", "./runs/a/", "runs/b/../a", "runs/a/record.json", str(tmp_path / "runs/a"),
        "runs", str(tmp_path), "runs/both.batch.json", "sprint", "runs/b", "sprint",
    ]  # fmt: skip
    assert list_references(spellings) == [*once, str(tmp_path), "sprint"]
    assert list_references(["nowhere", "a\0b", "a\0b"]) == ["nowhere", "a\0b"]
    assert list_references(reversed(spellings))[1:] == ["runs/b", "runs/a", str(tmp_path)]


@posix_only
def test_a_link_to_a_run_is_that_run(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "record.json").write_text("{}")
    (tmp_path / "latest").symlink_to(tmp_path / "run")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "record.json").symlink_to(tmp_path / "run" / "record.json")
    (tmp_path / "all").symlink_to(tmp_path)
    for links in ("run", "latest", "latest/record.json", "all", "all/run"):
        references = [str(tmp_path / "run"), str(tmp_path / links)]
        assert list_references(references)[:1] == references[:1]
        assert len(list_references(references)) == 1


def test_a_locked_run_is_refused(tmp_path: Path) -> None:
    with lock_run(tmp_path), pytest.raises(FileError, match="trained by another process"):
        with lock_run(tmp_path):
            pass
    with lock_run(tmp_path):
        pass


def test_leftovers_go_once_a_run_has_its_record(tmp_path: Path) -> None:
    for name in ("start.json", "state.safetensors", "events.jsonl", ".state.safetensors.123"):
        (tmp_path / name).write_text("")
    remove_leftovers(tmp_path)
    assert sorted(read_folder(tmp_path)) == ["events.jsonl", "start.json", "state.safetensors"]
    (tmp_path / "record.json").write_text("")
    remove_leftovers(tmp_path)
    assert sorted(read_folder(tmp_path)) == ["events.jsonl"]


def test_files_from_elsewhere_stay_in_their_folder(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    write_files(tmp_path / "run", {"a": b"1", "../b": b"2"})
    assert read_folder(tmp_path / "run") == {"a": b"1", "b": b"2"}
    assert [path.name for path in tmp_path.iterdir()] == ["run"]
