"""The download of a data set → a bar on a terminal, or one plain line per file."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn

from mnistcli.display.progress import is_live

Tell = Callable[[str, int, int | None], None]


@contextmanager
def show_download(console: Console, name: str, *, quiet: bool) -> Iterator[Tell]:
    """Show the progress of a data set's files until the end of the `with` block.

    Args:
        console: where to show it.
        name: name of the data set.
        quiet: whether to show nothing.
    """
    if quiet:
        yield lambda what, done, size: None
    elif is_live(console):
        columns = (TextColumn(f"{name}  {{task.description}}"), BarColumn(), DownloadColumn())
        with Progress(*columns, console=console, transient=True) as progress:
            yield DownloadBars(progress).show
    else:
        yield PlainDownload(console, name).show


class DownloadBars:
    """A bar for everything that is done."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._tasks: dict[str, TaskID] = {}

    def show(self, what: str, done: int, size: int | None) -> None:
        """Move the bar of what is done."""
        if what not in self._tasks:
            self._tasks[what] = self._progress.add_task(what, total=size)
        self._progress.update(self._tasks[what], completed=done, total=size)


class PlainDownload:
    """One line for everything that begins, for logs: a file, and its next address."""

    def __init__(self, console: Console, name: str) -> None:
        self._file, self._name = console.file, name

    def show(self, what: str, done: int, size: int | None) -> None:
        """Print the line of what begins."""
        if not done:
            print(f"{self._name}  {what}", file=self._file, flush=True)
