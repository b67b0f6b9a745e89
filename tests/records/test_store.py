import dataclasses
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

import pytest

from mnistcli.engine import events
from mnistcli.errors import FileError
from mnistcli.records.folders import create_run_folder, find_run
from mnistcli.records.store import read_record

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


def test_the_guide_knows_every_event_of_the_log() -> None:
    """Those of a step and of a whole run are shown, not logged."""
    guide = (Path(__file__).parents[2] / "mnistcli" / "guides" / "scripts.md").read_text()
    shown = {
        events.StepFinished, events.RunFinished, events.RunProgressed, events.TrainingResumed,
    }  # fmt: skip
    for kind in set(get_args(events.Event)) - shown:
        (row,) = [line for line in guide.splitlines() if f"`{kind.__name__}`" in line]
        missing = {field.name for field in dataclasses.fields(kind)} - set(
            re.findall(r"`(\w+)`", row)
        )
        assert not missing, (kind, missing)
