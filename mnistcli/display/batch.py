"""Several runs at once → one live table with a row a run, or plain lines as they end."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from mnistcli.display.layout import new_table
from mnistcli.display.progress import PlainProgress, is_live
from mnistcli.display.text import percent, seconds
from mnistcli.engine.events import Emit, Event, RunFinished
from mnistcli.records.log import read_events

REFRESHES_PER_SECOND = 2


@contextmanager
def show_batch(console: Console, folders: Mapping[str, Path], *, quiet: bool) -> Iterator[Emit]:
    """Shows runs until the end of the `with` block.

    Args:
        console: of progress.
        folders: of the runs, by name; their logs are read as they grow.
        quiet: shows nothing.
    """
    if quiet:
        yield lambda event: None
    elif is_live(console):
        table = LiveTable(folders)
        with Live(
            get_renderable=table.render,
            console=console,
            refresh_per_second=REFRESHES_PER_SECOND,
            transient=True,
        ):
            yield table.show
    else:
        yield PlainProgress(console).show


class LiveTable:
    """A row a run: how far it is, and in the end its test accuracy."""

    def __init__(self, folders: Mapping[str, Path]) -> None:
        self._folders = folders
        self._accuracies: dict[str, float] = {}

    def show(self, event: Event) -> None:
        """Remembers the accuracy of a run that has ended."""
        if isinstance(event, RunFinished):
            self._accuracies[event.name] = event.accuracy

    def render(self) -> Table:
        """The table as it is now."""
        figures = ("epoch", "loss", "train", "time", "test")
        table = new_table("run", *figures, right=figures)
        for name, folder in self._folders.items():
            tested = self._accuracies.get(name)
            test = "" if tested is None else percent(tested)
            table.add_row(name, *_read_row(folder), Text(test, style="bold"))
        return table


def _read_row(folder: Path) -> list[str]:
    """Epoch, loss, training accuracy and time, as far as there are any."""
    events = read_events(folder)
    planned = [event for event in events if event["event"] == "TrainingStarted"]
    ended = [event for event in events if event["event"] == "EpochFinished"]
    if not planned:
        return ["", "", "", ""]
    total = len(planned[-1]["epoch_steps"])
    if not ended:
        return [f"0/{total}", "", "", ""]
    last = ended[-1]
    return [
        f"{last['epoch']}/{total}",
        f"{last['train_loss']:.4f}",
        percent(last["train_accuracy"]),
        seconds(sum(event["seconds"] for event in ended)),
    ]
