import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from mnistcli.errors import FileError
from mnistcli.records.log import EventLog
from mnistcli.records.store import EVENTS
from mnistcli.records.tail import EventTail


@dataclass(frozen=True)
class Happened:
    count: int


def test_events_are_lines_of_json(tmp_path: Path) -> None:
    with EventLog(tmp_path) as log:
        log(Happened(1))
        log(Happened(2))
    lines = (tmp_path / EVENTS).read_text().splitlines()
    assert [json.loads(line) for line in lines] == [
        {"event": "Happened", "count": 1},
        {"event": "Happened", "count": 2},
    ]


def test_a_resumed_log_is_cut_to_what_its_state_knows(tmp_path: Path) -> None:
    with EventLog(tmp_path) as log:
        log(Happened(1))
        size = log.sync()
        log(Happened(2))
    with EventLog(tmp_path) as log:
        log.truncate(size)
        assert log.sync() == size
        log(Happened(3))
    assert [event["count"] for event in EventTail(tmp_path).read()] == [1, 3]
    with EventLog(tmp_path) as log, pytest.raises(FileError, match="events.jsonl is truncated"):
        log.truncate(1_000)
