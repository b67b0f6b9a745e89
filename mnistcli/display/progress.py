"""Training events → a live view on a terminal, or one plain line per epoch."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

from mnistcli.display.layout import Page
from mnistcli.display.lines import (
    epoch_figures,
    epoch_title,
    phase_line,
    plan_line,
    prune_line,
    resume_line,
    run_line,
)
from mnistcli.display.live import LiveView
from mnistcli.display.live_budget import RunHeader
from mnistcli.display.text import seconds
from mnistcli.engine.events import (
    Emit,
    EpochFinished,
    Event,
    NetworkPruned,
    PhaseFinished,
    PhasePlanned,
    RunFinished,
    StageFinished,
    TrainingResumed,
    TrainingStarted,
)


def standard_error() -> Console:
    """Create the console of progress, warnings and errors."""
    return Page(file=sys.stderr, highlight=False)


@contextmanager
def show_progress(
    console: Console, header: RunHeader | None = None, *, quiet: bool
) -> Iterator[Emit]:
    """Show events on `console` until the end of the `with` block.

    Args:
        console: where to show them.
        header: what is known of a run in advance; without it, no budget is shown.
        quiet: whether to show nothing.
    """
    if quiet:
        yield lambda event: None
    elif is_live(console):
        with LiveView(console, header) as live:
            yield live.show
    else:
        yield PlainProgress(console).show


def is_live(console: Console) -> bool:
    """Return whether the console is a terminal that can redraw; FORCE_COLOR alone is not enough."""
    return console.file.isatty() and not console.is_dumb_terminal


class PlainProgress:
    """One line for every epoch, stage, phase and run that ends, for logs."""

    def __init__(self, console: Console) -> None:
        self._file = console.file
        self._plan = TrainingStarted((), ())

    def show(self, event: Event) -> None:
        """Print the line of an event, if it has one."""
        match event:
            case TrainingStarted():
                self._plan = event
            case EpochFinished():
                figures = (f"{name} {value}" for name, value in epoch_figures(event).items())
                self._print(f"{epoch_title(self._plan, event.epoch)}  {'  '.join(figures)}")
            case NetworkPruned():
                self._print(prune_line(event))
            case PhasePlanned():
                self._print(plan_line(event))
            case PhaseFinished():
                self._print(f"  {phase_line(event)}")
            case TrainingResumed():
                self._print(resume_line(event))
            case StageFinished():
                self._print(f"{event.stage}  {seconds(event.seconds)}")
            case RunFinished():
                self._print(run_line(event))

    def _print(self, line: str) -> None:
        print(line, file=self._file, flush=True)
