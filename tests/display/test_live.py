"""The live view, fed with events and drawn on a console of 80 columns and 24 lines."""

import io
import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from rich.console import Console

from mnistcli.display.live import REFRESHES_PER_SECOND, LiveView
from mnistcli.display.live_budget import RunHeader
from mnistcli.engine.events import (
    EpochFinished,
    Event,
    NetworkPruned,
    PhaseFinished,
    PhasePlanned,
    RunFinished,
    StageFinished,
    StageStarted,
    StepFinished,
    TrainingResumed,
    TrainingStarted,
)
from mnistcli.preset.budget import Budget

BUDGET = Budget(
    parameters_below=20_000, min_test_accuracy=0.994, max_epochs=3, max_train_seconds=5.0
)


def header(budget: Budget = BUDGET, folder: Path = Path("nowhere")) -> RunHeader:
    return RunHeader(
        budget, parameters=19_514, macs=376_064, images=600, train_fraction=0.01, folder=folder
    )


def terminal(**options: object) -> Console:
    settings = {"width": 80, "height": 24, "force_terminal": True, "_environ": {"TERM": "xterm"}}
    return Console(file=io.StringIO(), **(settings | options))


def epoch(number: int, validation: float | None = None, seconds: float = 1.25) -> EpochFinished:
    loss = None if validation is None else 0.4
    accuracy = 1 - 0.5 / number
    return EpochFinished(number, 0.5 / number, accuracy, 0.01, seconds, 600, {}, loss, validation)


def frame(view: LiveView, height: int = 24) -> list[str]:
    """The lines of the redrawn part, which must fit an 80 × `height` terminal."""
    console = Console(file=io.StringIO(), width=80, height=height, color_system=None)
    console.print(view.render())
    lines = [line.rstrip() for line in console.file.getvalue().splitlines()]
    assert max(map(len, lines)) <= 80
    assert len(lines) < height
    return lines


def feed(view: LiveView, *events: Event) -> None:
    for event in events:
        view.show(event)


def row(lines: list[str], name: str) -> list[str]:
    (found,) = [line for line in lines if line.startswith(name)]
    return found.removeprefix(name).split()


def test_the_budget_fills_as_figures_come() -> None:
    view = LiveView(terminal(), header())
    lines = frame(view)
    assert row(lines, "parameters") == ["19,514", "<", "20,000", "PASS"]
    assert row(lines, "test accuracy") == ["–", "≥", "99.40", "%", "pending"]
    assert row(lines, "training images") == ["1.00", "%", "–"]
    feed(view, TrainingStarted((600, 600), (2, 2)), StepFinished(1, 1, 300))
    lines = frame(view)
    assert row(lines, "epochs") == ["0", "≤", "3", "pending"]
    assert row(lines, "training time")[-1] == "pending"
    assert " 50 %" in next(line for line in lines if line.startswith("epoch 1/2"))
    assert " 25 %" in next(line for line in lines if line.startswith("run "))
    feed(view, StepFinished(1, 2, 300), epoch(1))
    assert row(frame(view), "epochs") == ["1", "≤", "3", "pending"]
    feed(view, epoch(2))
    lines = frame(view)
    assert row(lines, "epochs") == ["2", "≤", "3", "PASS"]
    assert row(lines, "training time") == ["2.5", "s", "≤", "5.0", "s", "PASS"]
    assert row(lines, "test accuracy")[-1] == "evaluating"
    assert not [line for line in lines if line.startswith("epoch 2/2")]


def test_macs_and_the_number_of_images_have_rows_if_they_are_limited() -> None:
    view = LiveView(terminal(), header(Budget(macs_below=376_064, max_train_examples=600)))
    lines = frame(view)
    assert row(lines, "MACs") == ["376,064", "<", "376,064", "FAIL"]
    assert row(lines, "training images") == ["600", "≤", "600", "PASS"]
    assert not [line for line in frame(LiveView(terminal(), header())) if line.startswith("MACs")]


def test_an_exceeded_limit_fails_at_once() -> None:
    view = LiveView(terminal(), header())
    feed(view, TrainingStarted((600,) * 9, (2,) * 9), *(epoch(n, seconds=2.0) for n in (1, 2, 3)))
    lines = frame(view)
    assert row(lines, "training time")[-1] == "FAIL"
    assert row(lines, "epochs")[-1] == "pending"
    feed(view, epoch(4))
    assert row(frame(view), "epochs")[-1] == "FAIL"


def test_a_figure_without_a_limit_has_no_verdict() -> None:
    lines = frame(LiveView(terminal(), header(Budget())))
    assert row(lines, "parameters") == ["19,514", "–"]
    assert row(lines, "test accuracy") == ["–", "–", "pending"]


def test_sparklines_follow_loss_and_accuracies() -> None:
    view = LiveView(terminal(), header())
    feed(view, TrainingStarted((600,) * 3, (2,) * 3), epoch(1, 0.5))
    assert not [line for line in frame(view) if "→" in line]
    feed(view, epoch(2, 0.75), epoch(3, 1.0))
    sparklines = [line.split() for line in frame(view) if "→" in line]
    assert sparklines == [
        ["loss", "█▄▁", "0.5000", "→", "0.1667"],
        ["train", "▁▆█", "50.00", "%", "→", "83.33", "%"],
        ["valid", "▁▅█", "50.00", "%", "→", "100.00", "%"],
    ]


@pytest.mark.parametrize("height", [24, 40, 12])
def test_a_long_training_keeps_its_last_epochs_in_place_and_all_in_the_record(height: int) -> None:
    console = terminal(height=height)
    with LiveView(console, header()) as view:
        feed(view, TrainingStarted((600,) * 120, (2,) * 120))
        for number in range(1, 121):
            feed(view, epoch(number, 0.5))
            if height > 12:
                lines = frame(view, height)
                assert lines[0].split()[0] == "epoch"
                shown = [int(line.split()[0]) for line in lines if line[:6].strip().isdigit()]
                assert len(shown) < 10
                assert shown == list(range(number - len(shown) + 1, number + 1))
    left = [line for line in read_screen(console) if line.strip()]
    assert left[0].split() == ["epoch", "loss", "train", "valid", "rate", "time"]
    assert [int(line.split()[0]) for line in left[1:]] == list(range(1, 121))


def read_screen(console: Console) -> list[str]:
    """What is left on an endless terminal, after every movement of the cursor was obeyed."""
    lines, place, column = [""], 0, 0
    text = console.file.getvalue()
    at = 0
    while at < len(text):
        if text[at] == "\x1b":
            end = next(n for n in range(at + 2, len(text)) if text[n].isalpha())
            code, number = text[end], text[at + 2 : end]
            if code == "A":
                place -= int(number or 1)
            elif code == "K":
                lines[place] = ""
            else:
                assert code in "mhl", f"a control code that was not expected: {text[at:end]!r}"
            at = end + 1
            continue
        if text[at] == "\n":
            place += 1
            column = 0
            lines += [""] * (place + 1 - len(lines))
        elif text[at] == "\r":
            column = 0
        else:
            lines[place] = lines[place][:column].ljust(column) + text[at]
            column += 1
        at += 1
    assert max(map(len, lines)) <= 80
    return lines


def test_phases_have_rows_for_their_targets_and_lines_in_order() -> None:
    console = terminal()
    with LiveView(console, header()) as view:
        feed(
            view,
            PhasePlanned("easy", (0, 1, 7), 180, 6, 64, 0, 0.98),
            PhasePlanned(
                "a name that takes all the room " * 2, tuple(range(10)), 600, 20, 64, 9, 0.5
            ),
            TrainingStarted((180, 600), (6, 20), ("easy", "a name that takes all the room")),
            StepFinished(1, 1, 64),
        )
        lines = frame(view)
        assert row(lines, "phase 1 accuracy") == ["–", "≥", "98.00", "%", "pending"]
        feed(view, EpochFinished(1, 0.5, 0.5, 0.01, 1.0, 180, {}))
        feed(view, PhaseFinished(1, "easy", 0.97, 0.97, 0.98))
        lines = frame(view)
        assert row(lines, "phase 1 accuracy") == ["97.00", "%", "≥", "98.00", "%", "FAIL"]
        assert row(lines, "phase 2 accuracy")[-1] == "pending"
        assert [line for line in lines if line.startswith("a name that takes all t…")]
        feed(view, EpochFinished(2, 0.1, 0.9, 0.01, 1.0, 600, {}))
        feed(view, PhaseFinished(2, "rest", 0.6, 0.7, 0.5))
        assert row(frame(view), "phase 2 accuracy")[-1] == "PASS"
        assert row(frame(view), "epochs")[0] == "1.3"
    left = [line.split()[0] for line in read_screen(console) if line.strip()]
    assert left == ["easy", "a", "epoch", "1", "own", "2", "own"]


def test_a_resumed_training_shows_the_epochs_before(tmp_path: Path) -> None:
    logged = [{"event": "TrainingStarted"}]
    logged += [{"event": "EpochFinished", **asdict(epoch(number))} for number in (1, 2, 3)]
    pruned = NetworkPruned(200, 120, 3_000, 1_500)
    logged.insert(2, {"event": "NetworkPruned", **asdict(pruned)})
    (tmp_path / "events.jsonl").write_text("".join(json.dumps(each) + "\n" for each in logged))
    console = terminal()
    with LiveView(console, header(folder=tmp_path)) as view:
        feed(view, TrainingStarted((600,) * 4, (2,) * 4), TrainingResumed(2, 300))
        lines = frame(view)
        assert row(lines, "epochs")[0] == "2"
        assert [line for line in lines if line.startswith("resuming after 2 epochs and 300 images")]
        assert " 50 %" in next(line for line in lines if line.startswith("epoch 3/4"))
        feed(view, epoch(3), epoch(4))
        assert row(frame(view), "training time")[0] == "5.0"
    left = [line.split()[0] for line in read_screen(console) if line.strip()]
    assert left == ["epoch", "1", "pruned:", "2", "resuming", "3", "4"]


def test_an_ensemble_shows_whose_epochs_they_are(tmp_path: Path) -> None:
    def started(member: int) -> TrainingStarted:
        return TrainingStarted((600,) * 2, (2,) * 2, member=member, members=3)

    def finished(member: int, number: int) -> EpochFinished:
        return replace(epoch(number), member=member)

    events = (started(1), finished(1, 1), finished(1, 2), started(2), finished(2, 1))
    logged = [{"event": type(each).__name__, **asdict(each)} for each in events]
    (tmp_path / "events.jsonl").write_text("".join(json.dumps(each) + "\n" for each in logged))
    console = terminal()
    with LiveView(console, header(folder=tmp_path)) as view:
        feed(view, started(2), TrainingResumed(1, 300, 1.25, 2))
        lines = frame(view)
        assert [
            line for line in lines if line.startswith("resuming member 2 after 1 epoch and 300")
        ]
        assert " 50 %" in next(line for line in lines if line.startswith("epoch 2/2 of member 2/3"))
        assert " 58 %" in next(line for line in lines if line.startswith("run"))
        feed(view, finished(2, 2))
        assert row(frame(view), "test accuracy")[-1] == "pending"
        feed(view, started(3), finished(3, 1), finished(3, 2))
        lines = frame(view)
        assert row(lines, "epochs")[0] == "2"
        assert row(lines, "training time")[0] == "7.5"
        assert row(lines, "test accuracy")[-1] == "evaluating"
    left = [line.split()[:2] for line in read_screen(console) if line.strip()]
    members = [["1", "1"], ["1", "2"], ["2", "1"], ["resuming", "member"]]
    assert left == [["member", "epoch"], *members, ["2", "2"], ["3", "1"], ["3", "2"]]


def test_stages_and_runs_need_no_budget() -> None:
    console = terminal()
    name = "a method whose name is long, 12,000 images, seed 3" * 2
    with LiveView(console) as view:
        feed(view, StageStarted("choice: 12,000 by a method with a long name"))
        assert frame(view)[0].startswith("choice: 12,000 by a met…")
        feed(view, StageFinished("choice: 12,000", 1.25))
        for done in range(1, 31):
            feed(view, RunFinished(done, 40, name, 0.9))
            lines = frame(view)
        assert len(lines) == 12
        assert " 75 %" in lines[-1]
        assert "images/s" not in lines[-1]
    left = [line for line in read_screen(console) if line.strip()]
    assert left[0].split() == ["choice:", "12,000", "1.2", "s"]
    assert [line.split()[1] for line in left[1:]] == [f"{done}/40" for done in range(1, 31)]


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1", "TERM": "xterm"}, {"TERM": "xterm"}])
def test_colour_is_the_only_thing_that_no_color_takes(environment: dict[str, str]) -> None:
    console = terminal(_environ=environment)
    console.print(LiveView(console, header()).render())
    text = console.file.getvalue()
    assert "PASS" in text
    assert ("\x1b[1;32m" in text) == ("NO_COLOR" not in environment)


def test_an_encoding_without_blocks_gets_no_sparklines() -> None:
    file = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="replace")
    view = LiveView(Console(file=file, width=80, force_terminal=True), header())
    feed(view, TrainingStarted((600,) * 3, (2,) * 3), epoch(1), epoch(2))
    assert not [line for line in frame(view) if "→" in line]


def test_it_is_calm_and_steps_draw_nothing() -> None:
    assert REFRESHES_PER_SECOND <= 10
    console = terminal()
    view = LiveView(console, header())
    feed(view, TrainingStarted((6_000,), (200,)))
    feed(view, *(StepFinished(1, step, 30) for step in range(1, 200)))
    assert not console.file.getvalue()
    assert " 99 %" in frame(view)[-1] or "100 %" in frame(view)[-1]


def test_a_training_by_time_has_a_bar_of_seconds_and_ends_when_an_epoch_is_cut_short() -> None:
    view = LiveView(terminal(), header())
    feed(view, TrainingStarted((600, 300), (2, 1), ("100 %", "50 %"), 5.0))
    feed(view, epoch(1), StepFinished(2, 1, 150, 1.25))
    lines = frame(view)
    assert lines[-2].startswith("50 % 2")
    assert " 50 %" in lines[-2]
    assert lines[-1].startswith("run")
    assert " 50 %" in lines[-1]
    assert "images/s" not in lines[-1]
    for number in (2, 3):
        feed(view, replace(epoch(number), images=300))
    assert row(frame(view), "training time")[-1] == "pending"
    assert frame(view)[-2].startswith("50 % 4")
    feed(view, replace(epoch(4, seconds=1.15), images=150))
    lines = frame(view)
    assert row(lines, "training time") == ["4.9", "s", "≤", "5.0", "s", "PASS"]
    assert row(lines, "epochs")[0] == "2.5"
    assert row(lines, "test accuracy")[-1] == "evaluating"
    assert not [line for line in lines if line.startswith("50 %")]


def test_a_resumed_training_by_time_begins_at_its_seconds() -> None:
    view = LiveView(terminal(), header(folder=Path("nowhere")))
    feed(view, TrainingStarted((600,), (2,), (), 5.0), TrainingResumed(2, 300, 3.0))
    assert " 60 %" in frame(view)[-1]
    feed(view, StepFinished(3, 2, 150, 1.0))
    assert " 80 %" in frame(view)[-1]
    assert " 75 %" in frame(view)[-2]
