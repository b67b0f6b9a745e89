import json
import os
from pathlib import Path

from mnistcli.records.store import EVENTS
from mnistcli.records.tail import EventTail
from tests.conftest import posix_only


def append(folder: Path, text: str) -> None:
    with (folder / EVENTS).open("a") as file:
        file.write(text)


def line(count: int) -> str:
    return json.dumps({"event": "Happened", "count": count}) + "\n"


def counts(tail: EventTail) -> list[int]:
    return [event["count"] for event in tail.read()]


def test_every_event_is_read_once(tmp_path: Path) -> None:
    tail = EventTail(tmp_path)
    assert tail.read() == []  # there is no log yet
    append(tmp_path, line(1) + line(2))
    assert counts(tail) == [1, 2]
    assert counts(tail) == []
    append(tmp_path, line(3))
    assert counts(tail) == [3]


def test_only_what_was_appended_is_read(tmp_path: Path) -> None:
    tail = EventTail(tmp_path)
    append(tmp_path, line(1))
    assert counts(tail) == [1]
    content = (tmp_path / EVENTS).read_bytes()
    (tmp_path / EVENTS).write_bytes(b"x" * len(content))
    append(tmp_path, line(2))
    assert counts(tail) == [2]


def test_a_torn_line_waits_for_its_end(tmp_path: Path) -> None:
    tail = EventTail(tmp_path)
    append(tmp_path, line(1) + line(2)[:9])
    assert counts(tail) == [1]
    assert counts(tail) == []
    append(tmp_path, line(2)[9:])
    assert counts(tail) == [2]


def test_a_log_that_was_truncated_is_read_again(tmp_path: Path) -> None:
    tail = EventTail(tmp_path)
    append(tmp_path, line(1) + line(2))
    assert counts(tail) == [1, 2]
    (tmp_path / EVENTS).write_text(line(1))
    assert counts(tail) == [1]


def test_a_line_that_is_no_json_is_skipped(tmp_path: Path) -> None:
    append(tmp_path, "x\n" + line(1))
    assert counts(EventTail(tmp_path)) == [1]


@posix_only
def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / EVENTS)
    assert EventTail(tmp_path).read() == []
