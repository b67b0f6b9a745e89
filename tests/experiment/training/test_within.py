"""Trainings by time: on a clock that every look moves, so that no machine's speed matters."""

import json
from collections.abc import Callable
from pathlib import Path
from signal import SIGINT
from typing import Any

import pytest

from mnistcli.display.lines import epoch_title
from mnistcli.engine.events import Event, TrainingResumed, TrainingStarted
from mnistcli.errors import PresetError
from mnistcli.experiment.check import check_run
from mnistcli.experiment.machine import Options
from mnistcli.experiment.report import collect_report
from mnistcli.experiment.studies.coreset_methods import MethodStudy, compare_methods
from mnistcli.experiment.training.race import MAX_STEPS, count_allowed
from mnistcli.experiment.training.run import run
from mnistcli.experiment.training.setup import prepare, reopen
from mnistcli.experiment.workers import Workers
from mnistcli.preset.loading import load_preset
from mnistcli.process import Stopped
from mnistcli.records.documents import RunRecord
from tests.faults.runs import signal_after

LOOK = 0.001
"""Seconds between two looks at the clock, of which a step takes about ten."""
LONGEST_STEP = 12 * LOOK
TINY_STEPS = 10
"""Batches of an epoch."""


class Watch:
    def __init__(self) -> None:
        self.now, self.look = 0.0, LOOK

    def perf_counter(self) -> float:
        self.now += self.look
        return self.now


@pytest.fixture(autouse=True)
def watch(monkeypatch: pytest.MonkeyPatch) -> Watch:
    watch = Watch()
    monkeypatch.setattr("mnistcli.engine.clock.time", watch)
    return watch


Train = Callable[..., RunRecord]


@pytest.fixture
def options(tiny_data: Path, tmp_path: Path) -> Options:
    return Options(1, "cpu", "float32", 1, tiny_data, tmp_path)


@pytest.fixture
def train(tiny_preset: Path, options: Options) -> Train:
    def train_within(seconds: float, *overrides: str, listen: Any = None) -> RunRecord:
        changes = [f"train.within_seconds={seconds}", *overrides]
        preset = load_preset(str(tiny_preset), changes)
        return run(prepare(preset, options), listen or (lambda event: None))

    return train_within


KINDS = {
    "plain": (),
    "hardest": ("curriculum={kind='hardest', fractions=[1.0, 0.5]}",),
    "validation": ("train.validation_examples=100", "train.keep='best'"),
    "drop_last": ("train.drop_last=true",),
    "average": ("train.ema_decay=0.9",),
    "coreset": ("coreset={size=100, selector={kind='random'}}",),
    "cosine": ("train.schedule={kind='cosine'}",),
    "muon": (
        "train.optimizer={kind='muon', learning_rate=0.05, "
        "others={kind='adamw', learning_rate=0.05}}",
        "model.layers.0.out_channels=4",
        "model.layers.3={kind='conv', out_channels=4, kernel_size=3}",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("kind", "seconds"), [("plain", 0.06), *((kind, 0.45) for kind in KINDS)])
def test_it_ends_in_time_and_its_schedule_at_its_end(
    train: Train, kind: str, seconds: float, options: Options
) -> None:
    record = train(seconds, *KINDS[kind])
    assert seconds - 2 * LONGEST_STEP < record.train_seconds < seconds + LONGEST_STEP
    assert record.train_seconds == sum(epoch.seconds for epoch in record.epochs)
    assert not record.is_bit_reproducible
    assert record.preset.train.within_seconds == seconds
    if kind not in ("cosine",):
        assert record.epochs[-1].learning_rate == pytest.approx(0.05 / 25 / 1e4, rel=0.5)
    if kind == "plain":
        assert record.passes == len(record.epochs) == (1 if seconds < 0.1 else 6)
        assert record.epochs[-1].images < 600
        assert all(epoch.images == 600 for epoch in record.epochs[:-1])
    if kind == "hardest" and seconds > 0.1:
        assert [epoch.images for epoch in record.epochs][:-1] == [600] + [300] * (
            len(record.epochs) - 2
        )
        assert record.passes == 1 + 0.5 * (len(record.epochs) - 1)
    checked = check_run(Path(record.path), Options())
    assert checked.verdict == "confirmed", checked
    assert len(collect_report(Path(record.path), Options()).learning_rates) > 3


def test_too_short_a_time_is_one_step(train: Train) -> None:
    record = train(1e-6)
    assert [epoch.images for epoch in record.epochs] == [64]
    assert (record.passes, record.figures["epochs"]) == (1, 1)


def test_a_changed_last_epoch_is_refuted(train: Train) -> None:
    record = train(0.2)
    path = Path(record.path) / "record.json"
    content = json.loads(path.read_text())
    content["epochs"][0]["images"] -= 64
    content["epochs"][-1]["images"] += 64
    path.write_text(json.dumps(content))
    (path.parent / "events.jsonl").unlink()
    found = check_run(path.parent, Options())
    assert found.verdict == "refuted"
    assert [row.figure for row in found.figures if row.verdict == "refuted"] == ["images_seen"]


def test_early_stopping_may_end_it_before(train: Train) -> None:
    record = train(
        9.0, "train.validation_examples=100", "train.early_stopping={patience=2, min_delta=5}"
    )
    assert len(record.epochs) == 3


@pytest.mark.parametrize(
    ("kind", "step"),
    [("plain", 1), ("plain", TINY_STEPS), ("hardest", TINY_STEPS + 1), ("muon", 28)],
)
def test_it_resumes_at_its_time_and_ends_in_time(
    options: Options, tiny_preset: Path, kind: str, step: int
) -> None:
    preset = load_preset(str(tiny_preset), ["train.within_seconds=0.4", *KINDS[kind]])
    setup = prepare(preset, options)
    with pytest.raises(Stopped):
        run(setup, signal_after(step, SIGINT))
    events: list[Event] = []
    record = run(reopen(setup.folder), events.append)
    assert 0.4 - 2 * LONGEST_STEP < record.train_seconds < 0.4 + LONGEST_STEP
    (resumed,) = [event for event in events if isinstance(event, TrainingResumed)]
    assert resumed.seconds == sum(epoch.seconds for epoch in record.epochs[: resumed.epochs])
    assert record.epochs[-1].learning_rate == pytest.approx(0.05 / 25 / 1e4, rel=0.5)
    assert check_run(setup.folder, Options()).verdict == "confirmed"


def test_a_repetition_says_that_it_cannot_be_the_same(
    cli: Callable, watch: Watch, train: Train, tmp_path: Path
) -> None:
    first = train(0.3)
    assert "0.3 s; not reproducible bit by bit" in cli("runs", "show", first.path).out
    watch.look *= 0.7
    answer = cli("train", "--from", first.path, "--out", tmp_path, "-q")
    difference = "the number of steps in the training time depends on the speed"
    assert f"weights differ from {first.run_id}; recorded differences: {difference}" in answer.out
    assert "the time decided the number of steps: not reproducible bit by bit" in answer.out
    checked = check_run(Path(first.path), Options(), lambda setup: _watch())
    assert checked.training
    assert checked.training.differences == (difference,)
    assert checked.verdict == "confirmed"


class _watch:
    def __enter__(self) -> Callable[[Event], None]:
        return lambda event: None

    def __exit__(self, *exception: object) -> None: ...


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (
            ("train.schedule={kind='plateau'}", "train.validation_examples=100"),
            r'train: schedule.kind = "plateau" goes by the held-out loss, .* Leave one out\.',
        ),
        (("curriculum={kind='paced'}",), "train.within_seconds would end a curriculum before its"),
        (("train.within_seconds=0",), "greater than 0"),
    ],
)
def test_what_makes_no_sense_is_one_line(
    tiny_preset: Path, changes: tuple[str, ...], words: str
) -> None:
    with pytest.raises(PresetError, match=words) as error:
        load_preset(str(tiny_preset), ["train.within_seconds=5", *changes])
    assert "\n" not in str(error.value)


def test_arms_with_equal_steps_cannot_have_a_time(tiny_preset: Path, options: Options) -> None:
    preset = load_preset(str(tiny_preset), ["train.within_seconds=5"])
    study = MethodStudy(("random",), (100,), (0,), Workers(1))
    with pytest.raises(PresetError, match="within_seconds: all arms of this comparison"):
        compare_methods(preset, study, options, lambda event: None)


@pytest.mark.parametrize("text", ["5", "0s", "s", "-1s", "5 days", "1e3s", "", "100001h"])
def test_a_time_without_a_unit_or_sense_is_refused(cli: Callable, text: str) -> None:
    answer = cli("train", "sprint", f"--within={text}")
    assert answer.code == 2
    assert answer.err == (
        f'mnistcli: invalid --within: "{text}". Write a number with a unit: 30s, 5m or 1h.\n'
    )


def test_the_option_sets_the_field(cli: Callable) -> None:
    shown = json.loads(cli("train", "dash", "--within", "1.5m", "--dry-run").out)["preset"]
    assert shown["train"]["within_seconds"] == 90
    assert shown["reference"] is None
    assert cli("train", "--resume", "x", "--within", "5s").err == (
        "mnistcli: --resume cannot be combined with --within\n"
    )
    assert cli("train", "--from", "x", "--within", "5s").code == 2


def test_the_log_and_the_lines_have_no_number_of_epochs(
    cli: Callable, tiny_preset: Path, tiny_data: Path, tmp_path: Path
) -> None:
    data = ("--data", tiny_data, "--out", tmp_path)
    answer = cli("train", tiny_preset, "--within", "0.3s", *data)
    assert answer.code == 3, answer.err  # it has more than three epochs
    lines = answer.err.splitlines()
    assert "600 images · within 0.3 s · seed 0" in lines[0]
    assert [line.split("  ")[0] for line in lines[2:]] == [f"epoch {n}" for n in (1, 2, 3, 4)]
    (folder,) = tmp_path.iterdir()
    started = json.loads((folder / "events.jsonl").read_text().splitlines()[0])
    assert started["seconds"] == 0.3


def test_epochs_after_the_planned_ones_have_the_last_name() -> None:
    plan = TrainingStarted((600, 300), (10, 5), ("100 %", "50 %"), 5.0)
    assert [epoch_title(plan, epoch) for epoch in (1, 2, 3)] == ["100 % 1", "50 % 2", "50 % 3"]
    assert [plan.count_images(epoch) for epoch in (1, 2, 3)] == [600, 300, 300]


def test_threads_race_however_many_steps_are_planned() -> None:
    for seconds, steps in ((0.5, 0), (5.0, MAX_STEPS)):
        preset = load_preset("sprint", [f"train.within_seconds={seconds}", "train.epochs=1"])
        assert count_allowed(preset, 600) == steps
