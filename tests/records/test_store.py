import dataclasses
import re
from pathlib import Path
from typing import get_args

import pytest

from mnistcli.engine import events
from mnistcli.errors import FileError
from mnistcli.records.folders import find_run
from mnistcli.records.store import read_record


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
