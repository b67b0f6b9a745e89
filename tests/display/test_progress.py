import io
import os
import pty

from rich.console import Console

from mnistcli.display.progress import is_live, show_progress
from mnistcli.engine.events import EpochFinished, StepFinished, TrainingStarted

EVENTS = (
    TrainingStarted((600, 600), (2, 2)),
    StepFinished(1, 1, 300),
    StepFinished(1, 2, 300),
    EpochFinished(1, 0.5, 0.875, 0.01, 1.25, 600, {}, 0.4, 0.9),
    StepFinished(2, 1, 300),
    StepFinished(2, 2, 300),
    EpochFinished(2, 0.25, 0.9375, 0.001, 1.5, 600, {}, 0.3, 0.95),
)


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


def test_on_a_terminal_there_are_bars_and_a_growing_table() -> None:
    master, slave = pty.openpty()
    with os.fdopen(slave, "w") as terminal:
        console = Console(file=terminal, width=80, force_terminal=True, _environ={"TERM": "xterm"})
        assert is_live(console)
        shown(console)
    text = os.read(master, 65_536).decode()
    os.close(master)
    for word in ("epoch", "loss", "0.2500", "93.75 %", "95.00 %", "1.5 s", "run"):
        assert word in text
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l"), "the cursor is shown again"


def test_a_dumb_terminal_gets_plain_lines() -> None:
    master, slave = pty.openpty()
    with os.fdopen(slave, "w") as terminal:
        shown(Console(file=terminal, _environ={"TERM": "dumb"}))
    text = os.read(master, 65_536).decode()
    os.close(master)
    assert "\x1b" not in text
    assert text.startswith("epoch 1/2  loss")
