"""Several runs at once → one live table with a row per run, or a plain line per epoch."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from mnistcli.display.layout import new_table
from mnistcli.display.lines import epoch_number, run_result
from mnistcli.display.progress import PlainProgress, is_live
from mnistcli.display.text import percent, seconds
from mnistcli.engine.events import (
    Emit,
    EpochFinished,
    Event,
    RunFinished,
    RunProgressed,
    TrainingStarted,
)

REFRESHES_PER_SECOND = 2


@contextmanager
def show_batch(console: Console, names: Iterable[str], *, quiet: bool) -> Iterator[Emit]:
    """Show the progress of runs until the end of the `with` block.

    Args:
        console: where to show it.
        names: names of the runs.
        quiet: whether to show nothing.
    """
    if quiet:
        yield lambda event: None
    elif is_live(console):
        table = LiveTable(names)
        with Live(
            get_renderable=table.render,
            console=console,
            refresh_per_second=REFRESHES_PER_SECOND,
            transient=True,
        ):
            yield table.show
    else:
        yield PlainBatch(console).show


class PlainBatch:
    """One line for every epoch of any run, and one for every finished run, for logs."""

    def __init__(self, console: Console) -> None:
        self._file, self._progress = console.file, PlainProgress(console)
        self._plans: dict[str, TrainingStarted] = {}

    def show(self, event: Event) -> None:
        """Print the line of a finished epoch or run."""
        match event:
            case RunProgressed(name, TrainingStarted() as started):
                self._plans[name] = started
            case RunProgressed(name, EpochFinished() as epoch):
                plan = self._plans.get(name, TrainingStarted((), (), seconds=0.0))
                number = epoch_number(plan, epoch.epoch)
                print(
                    f"{name}  epoch {number}  loss {epoch.train_loss:.4f}  "
                    f"train {percent(epoch.train_accuracy)}  time {seconds(epoch.seconds)}",
                    file=self._file, flush=True,
                )  # fmt: skip
            case _:
                self._progress.show(event)


@dataclass
class _Row:
    """The progress of one run."""

    plan: TrainingStarted | None = None
    """Present if it has started."""
    epochs: dict[tuple[int, int], EpochFinished] = field(default_factory=dict)
    """By the number of an ensemble's member, which else is 0, and their own."""
    test: str = ""
    """Test accuracy of a finished run, or "failed"."""


class LiveTable:
    """A row per run: its epoch, loss, training accuracy, time and, in the end, test accuracy."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._rows = {name: _Row() for name in names}

    def show(self, event: Event) -> None:
        """Update the row of a run."""
        match event:
            case RunProgressed(name, TrainingStarted() as started):
                row = self._find(name) if (started.member or 1) > 1 else _Row()
                self._rows[name] = replace(row, plan=started)
            case RunProgressed(name, EpochFinished() as epoch):
                self._find(name).epochs[epoch.member or 0, epoch.epoch] = epoch
            case RunFinished():
                self._find(event.name).test = run_result(event)

    def _find(self, name: str) -> _Row:
        """Return the row of a run, which may end before its training has started."""
        return self._rows.setdefault(name, _Row())

    def render(self) -> Table:
        """Draw the table as it is now."""
        figures = ("epoch", "loss", "train", "time", "test")
        table = new_table("run", *figures, right=figures)
        for name, row in list(self._rows.items()):  # other threads add rows meanwhile
            table.add_row(name, *_read_row(row), Text(row.test, style="bold"))
        return table


def _read_row(row: _Row) -> list[str]:
    """Return epoch, loss, training accuracy and time, as far as they are known."""
    if row.plan is None:
        return ["", "", "", ""]
    member = row.plan.member or 0
    done = max((epoch for of, epoch in row.epochs if of == member), default=0)
    if not row.epochs:
        return [epoch_number(row.plan, 0), "", "", ""]
    last = row.epochs[max(row.epochs)]
    return [
        epoch_number(row.plan, done),
        f"{last.train_loss:.4f}",
        percent(last.train_accuracy),
        seconds(sum(epoch.seconds for epoch in row.epochs.values())),
    ]
