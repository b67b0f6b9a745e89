import dataclasses
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

import pytest

from mnistcli.engine import events
from mnistcli.errors import FileError
from mnistcli.records.store import (
    EVENTS,
    EventLog,
    create_run_folder,
    find_run,
    read_record,
    write_atomically,
)

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


def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "x"
    write_atomically(path, b"one")
    path.with_name(".x.tmp").mkdir()
    write_atomically(path, b"two")
    assert path.read_bytes() == b"two"
    with pytest.raises(FileError, match="cannot write"):
        write_atomically(tmp_path / "missing" / "x", b"")
    assert sorted(p.name for p in tmp_path.iterdir()) == [".x.tmp", "x"]


@pytest.mark.parametrize("reference", ["", "nowhere", "a\0b", "x" * 5_000, "record.json"])
def test_what_is_no_run_is_said(tmp_path: Path, reference: str) -> None:
    with pytest.raises(FileError, match="is not a run"):
        find_run(str(tmp_path / reference) if reference == "nowhere" else reference)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"schema": "other"}', "null", "[" * 9_999])
def test_a_damaged_record_is_one_line(tmp_path: Path, content: str) -> None:
    (tmp_path / "record.json").write_text(content)
    with pytest.raises(FileError, match="not a run record") as raised:
        read_record(find_run(str(tmp_path / "record.json")))
    assert "\n" not in str(raised.value)


def test_events_are_lines_of_json(tmp_path: Path) -> None:
    @dataclass(frozen=True)
    class Happened:
        count: int

    with EventLog(tmp_path) as log:
        log(Happened(1))
        log(Happened(2))
    lines = (tmp_path / EVENTS).read_text().splitlines()
    assert [json.loads(line) for line in lines] == [
        {"event": "Happened", "count": 1},
        {"event": "Happened", "count": 2},
    ]


def test_the_guide_knows_every_event_of_the_log() -> None:
    """Those of a step and of a whole run are shown, not logged."""
    guide = (Path(__file__).parents[2] / "mnistcli" / "guides" / "scripts.md").read_text()
    shown = {events.StepFinished, events.RunFinished, events.TrainingResumed}
    for kind in set(get_args(events.Event)) - shown:
        (row,) = [line for line in guide.splitlines() if f"`{kind.__name__}`" in line]
        missing = {field.name for field in dataclasses.fields(kind)} - set(
            re.findall(r"`(\w+)`", row)
        )
        assert not missing, (kind, missing)
