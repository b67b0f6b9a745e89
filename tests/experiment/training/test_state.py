"""The training state: begun, saved, resumed, and what it refuses."""

import json
from pathlib import Path

import pytest
import torch

from mnistcli.engine.events import Event, PhasePlanned, TrainingResumed, TrainingStarted
from mnistcli.errors import FileError, PresetError
from mnistcli.experiment.machine import Options
from mnistcli.experiment.training.run import run
from mnistcli.experiment.training.setup import TrainingSetup, prepare, reopen
from mnistcli.experiment.training.state import begin, resume
from mnistcli.preset.loading import load_preset
from mnistcli.records.checkpoint import load_state, save_state
from mnistcli.records.log import EventLog
from mnistcli.records.store import EVENTS
from tests.faults.runs import interrupted_run

PHASES = '{kind="groups", mode="disjoint", groups=[[0], [1, 2, 3, 4, 5, 6, 7, 8, 9]]}'


def setup_of(preset: Path, data: Path, out: Path, *overrides: str) -> TrainingSetup:
    options = Options(3, "cpu", "float32", 1, data, out)
    return prepare(load_preset(str(preset), overrides), options)


def ignore(event: Event) -> None:
    pass


@pytest.fixture
def interrupted(tiny_data: Path, tmp_path: Path) -> Path:
    """A run that was interrupted in its second epoch."""
    return interrupted_run(tiny_data, tmp_path / "runs", 14)


def test_a_fresh_state_is_saved_before_the_first_batch(
    tiny_preset: Path, tiny_data: Path, tmp_path: Path
) -> None:
    setup = setup_of(tiny_preset, tiny_data, tmp_path, f"curriculum={PHASES}")
    with EventLog(setup.folder) as log:
        state = begin(setup, log, ignore)
    assert state.loop.history == []
    assert state.loop.epoch is None
    tensors, saved = load_state(setup.folder)
    assert saved.history == ()
    assert saved.events_bytes == (setup.folder / EVENTS).stat().st_size
    own = setup.network.model.state_dict()
    assert all(torch.equal(tensors[f"model.{name}"], value) for name, value in own.items())


def test_a_resumed_state_is_the_saved_one(interrupted: Path) -> None:
    before, facts = load_state(interrupted)
    events: list[Event] = []
    with EventLog(interrupted) as log:
        state = resume(reopen(interrupted), log, events.append)
        state.save()
    after, again = load_state(interrupted)
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    seconds = {"epoch": {"seconds"}}
    assert again.model_dump(exclude=seconds) == facts.model_dump(exclude=seconds)
    assert state.course.place == len(facts.history) + 1 > 2
    assert isinstance(events[-2], TrainingStarted)
    assert isinstance(events[-1], TrainingResumed)
    assert events[-1].epochs == len(facts.history)


def test_the_events_of_a_plan_are_logged_once(interrupted: Path) -> None:
    lines = (interrupted / EVENTS).read_bytes()
    with EventLog(interrupted) as log:
        resume(reopen(interrupted), log, ignore)
    assert (interrupted / EVENTS).read_bytes() == lines


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("last_epoch", 5),
        ("_last_lr", [0.5, 0.5]),
        ("_last_lr", "fast"),
        ("base_lrs", [1.0]),
        ("unknown", 1),
    ],
)
def test_only_a_fresh_schedulers_keys_types_and_place_are_taken(
    interrupted: Path, key: str, value: object
) -> None:
    tensors, saved = load_state(interrupted)
    spoilt = saved.model_copy(update={"scheduler": {**saved.scheduler, key: value}})
    save_state(interrupted, tensors, spoilt)
    with pytest.raises(FileError, match="the scheduler has another state"):
        run(reopen(interrupted), ignore)


def test_a_schedulers_missing_key_is_refused(interrupted: Path) -> None:
    tensors, saved = load_state(interrupted)
    scheduler = {k: v for k, v in saved.scheduler.items() if k != "_step_count"}
    save_state(interrupted, tensors, saved.model_copy(update={"scheduler": scheduler}))
    with pytest.raises(FileError, match="the scheduler has another state"):
        run(reopen(interrupted), ignore)


def test_a_phase_that_leaves_a_batch_of_one_is_refused_before_training(
    tiny_preset: Path, tiny_data: Path, tmp_path: Path
) -> None:
    """60 images of the digit 0 in batches of 59: batch norm at 1 × 1 cannot normalize the last."""
    layers = (
        'model.layers=[{kind="conv", out_channels=8, kernel_size=28, padding=0},'
        '{kind="batch_norm"}, {kind="flatten"}, {kind="linear", out_features=10}]'
    )
    changes = (layers, f"curriculum={PHASES}", "train.batch_size=59")
    setup = setup_of(tiny_preset, tiny_data, tmp_path, *changes)
    events: list[Event] = []
    with pytest.raises(PresetError, match="60 images in batches of 59 leave one"):
        run(setup, events.append)
    assert not any(isinstance(event, TrainingStarted | PhasePlanned) for event in events)
    dropping = setup_of(tiny_preset, tiny_data, tmp_path, *changes, "train.drop_last=true")
    assert run(dropping, ignore).epochs[0].images == 59


def test_where_data_was_is_kept_as_an_absolute_path(
    tiny_preset: Path, tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tiny_data.parent)
    setup = setup_of(tiny_preset, Path(tiny_data.name), tmp_path)
    start = json.loads((setup.folder / "start.json").read_text())
    assert start["data"]["folder"] == str(tiny_data)
    assert start["data"]["source"] == tiny_data.name
