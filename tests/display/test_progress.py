import contextlib
import io
import os

from rich.console import Console

from mnistcli.display.progress import is_live, show_progress
from mnistcli.engine.events import (
    EpochFinished,
    PhaseFinished,
    PhasePlanned,
    RunFinished,
    StageFinished,
    StageStarted,
    StepFinished,
    TrainingStarted,
)
from tests.conftest import posix_only

EVENTS = (
    TrainingStarted((600, 600), (2, 2)),
    StepFinished(1, 1, 300),
    StepFinished(1, 2, 300),
    EpochFinished(1, 0.5, 0.875, 0.01, 1.25, 600, {}, 0.4, 0.9),
    StepFinished(2, 1, 300),
    StepFinished(2, 2, 300),
    EpochFinished(2, 0.25, 0.9375, 0.001, 1.5, 600, {}, 0.3, 0.95),
)


def drain(master: int) -> str:
    """All that a terminal was sent, which comes in pieces."""
    pieces = []
    with contextlib.suppress(OSError):  # the other end is closed
        while piece := os.read(master, 65_536):
            pieces.append(piece)
    os.close(master)
    return b"".join(pieces).decode()


def shown(console: Console, *, quiet: bool = False) -> None:
    with show_progress(console, quiet=quiet) as emit:
        for event in EVENTS:
            emit(event)


def test_off_a_terminal_there_is_one_plain_line_an_epoch() -> None:
    file = io.StringIO()
    shown(Console(file=file))
    assert file.getvalue().splitlines() == [
        "epoch 1/2  loss 0.5000  train 87.50 %  valid 90.00 %  rate 0.01  time 1.2 s",
        "epoch 2/2  loss 0.2500  train 93.75 %  valid 95.00 %  rate 0.001  time 1.5 s",
    ]


def test_forced_colour_makes_no_live_display_in_a_log() -> None:
    file = io.StringIO()
    shown(Console(file=file, force_terminal=True))
    assert "\x1b" not in file.getvalue()


def test_quiet_is_silent() -> None:
    file = io.StringIO()
    shown(Console(file=file), quiet=True)
    assert not file.getvalue()


@posix_only
def test_on_a_terminal_there_are_bars_and_a_growing_table() -> None:
    master, slave = os.openpty()
    with os.fdopen(slave, "w") as terminal:
        console = Console(file=terminal, width=80, force_terminal=True, _environ={"TERM": "xterm"})
        assert is_live(console)
        shown(console)
    text = drain(master)
    for word in ("epoch", "loss", "0.2500", "93.75 %", "95.00 %", "1.5 s", "run"):
        assert word in text
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l"), "the cursor is shown again"


@posix_only
def test_a_dumb_terminal_gets_plain_lines() -> None:
    master, slave = os.openpty()
    with os.fdopen(slave, "w") as terminal:
        shown(Console(file=terminal, _environ={"TERM": "dumb"}))
    text = drain(master)
    assert "\x1b" not in text
    assert text.startswith("epoch 1/2  loss")


OTHERS = (
    StageStarted("choice: 12 by random"),
    StageFinished("choice: 12 by random", 1.25),
    PhasePlanned("easy", (0, 1, 7), 3_600, 28, 128, 16, 0.98),
    PhaseFinished(1, "easy", 0.99, 0.985, 0.98),
    PhaseFinished(2, "hard", 0.5, None, None),
    RunFinished(1, 4, "random, seed 4", None),
    RunFinished(2, 4, "random, seed 3", 0.9876),
)
LINES = [
    "choice: 12 by random  1.2 s",
    "easy    0 1 7        3,600 images    28 batches of 128, 16 left out, target 98 %",
    "  own digits 99.00 %, all digits so far 98.50 %, target 98.00 %: PASS",
    "  own digits 50.00 %, all digits so far –",
    "run 1/4  random, seed 4: failed",
    "run 2/4  random, seed 3: 98.76 %",
]


def test_stages_phases_and_runs_are_lines_too() -> None:
    file = io.StringIO()
    with show_progress(Console(file=file), quiet=False) as emit:
        for event in OTHERS:
            emit(event)
    assert file.getvalue().splitlines() == LINES


@posix_only
def test_on_a_terminal_a_bar_of_runs_counts_no_images() -> None:
    master, slave = os.openpty()
    with os.fdopen(slave, "w") as terminal:
        console = Console(file=terminal, width=80, force_terminal=True, _environ={"TERM": "xterm"})
        with show_progress(console, quiet=False) as emit:
            for event in OTHERS:
                emit(event)
    text = drain(master)
    assert "images/s" not in text
    for line in LINES[1:]:
        assert line.strip() in text
    assert " 50 %" in text
