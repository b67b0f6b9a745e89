import time
from pathlib import Path

from mnistcli.engine.events import (
    EpochFinished,
    Event,
    RunFinished,
    RunProgressed,
    StepFinished,
    TrainingStarted,
)
from mnistcli.experiment.progress import decode, encode, follow_logs
from mnistcli.records.log import EventLog

STARTED = TrainingStarted((100,), (2,))
EPOCH = EpochFinished(1, 0.5, 0.75, 0.1, 1.25, 100, {"data": 0.1})


def test_what_is_relayed_comes_out_as_it_went_in() -> None:
    assert decode(encode(STARTED)) == STARTED
    assert decode(encode(EPOCH)) == EPOCH
    assert encode(StepFinished(1, 1, 64)) is None
    assert decode({"event": "EpochFinished", "colour": "red"}) is None
    assert decode({}) is None


def test_logs_are_followed_while_they_grow(tmp_path: Path) -> None:
    events: list[Event] = []
    folder = tmp_path / "run"
    folder.mkdir()
    with follow_logs({"seed 3": folder}, events.append), EventLog(folder) as log:
        for number, event in enumerate((STARTED, EPOCH), start=1):
            log(event)
            log(StepFinished(1, number, 64))
            until = time.monotonic() + 30
            while len(events) < number and time.monotonic() < until:
                time.sleep(0.01)
    assert [event.name for event in events] == ["seed 3", "seed 3"]
    assert events[0].event.epoch_steps == [2]
    assert events[1] == RunProgressed("seed 3", EPOCH)


def test_a_runs_epochs_are_told_before_its_end(tmp_path: Path) -> None:
    events: list[Event] = []
    with EventLog(tmp_path) as log, follow_logs({"seed 3": tmp_path}, events.append) as emit:
        log(EPOCH)
        emit(RunFinished(1, 1, "seed 3", 0.5))
    assert events == [RunProgressed("seed 3", EPOCH), RunFinished(1, 1, "seed 3", 0.5)]
