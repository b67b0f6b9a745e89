"""Searches: their progress, and what they found."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from textwrap import fill
from typing import Any, Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from mnistcli.display.batch import LiveTable, PlainBatch
from mnistcli.display.budget import WIDTH, check_table, reason_views
from mnistcli.display.layout import new_table
from mnistcli.display.progress import is_live
from mnistcli.display.scatter import draw_scatter
from mnistcli.display.text import count, figure_name, of_dataset, percent, seconds, verdict
from mnistcli.preset.budget_text import format_budget
from mnistcli.records.searches import FoundNetwork, SearchDocument, SearchProgress

REFRESHES_PER_SECOND = 2
SHOWN = 10
"""Networks of the front that are shown."""


class SearchView(Protocol):
    """Shows a search."""

    def tell(self, progress: SearchProgress) -> None:
        """Show how far the search has come."""

    def emit(self, event: Any) -> None:
        """Show an event of the confirmation."""


@contextmanager
def show_search(console: Console, *, quiet: bool) -> Iterator[SearchView]:
    """Show the progress of a search until the end of the `with` block.

    Args:
        console: where to show it.
        quiet: whether to show nothing.
    """
    if quiet:
        yield Silent()
    elif is_live(console):
        view = LiveSearch()
        with Live(
            get_renderable=view.render,
            console=console,
            refresh_per_second=REFRESHES_PER_SECOND,
            transient=True,
        ):
            yield view
    else:
        yield PlainSearch(console)


class Silent:
    """Shows nothing."""

    def tell(self, progress: SearchProgress) -> None:
        """Show nothing."""

    def emit(self, event: Any) -> None:
        """Show nothing."""


class PlainSearch:
    """One line for every finished trial, for logs."""

    def __init__(self, console: Console) -> None:
        self._file, self._runs = console.file, PlainBatch(console)

    def tell(self, progress: SearchProgress) -> None:
        """Print the line of the trial that has just finished."""
        last = progress.last
        name = f"network {last.network}  {count(progress.epochs, 'epoch')}  seed {progress.seed}"
        if last.loss is None or last.accuracy is None:
            line = f"{name}  failed: {last.failed}"
        else:
            line = f"{name}  loss {last.loss:.4f}  held-out {percent(last.accuracy)}"
        best = f"  best {_name(progress.best)}" if progress.best else ""
        print(f"{line}  time {seconds(last.train_seconds)}{best}", file=self._file, flush=True)

    def emit(self, event: Any) -> None:
        """Print the line of an event of the confirmation."""
        self._runs.show(event)


class LiveSearch:
    """The best network so far, the Pareto front and the pace, redrawn in place."""

    def __init__(self) -> None:
        self._progress: SearchProgress | None = None
        self._runs: LiveTable | None = None

    def tell(self, progress: SearchProgress) -> None:
        """Take in how far the search has come."""
        self._progress = progress

    def emit(self, event: Any) -> None:
        """Take in an event of the confirmation."""
        self._runs = self._runs or LiveTable()
        self._runs.show(event)

    def render(self) -> RenderableType:
        """Draw the search as it is now."""
        if (progress := self._progress) is None:
            return Text("waiting for the first trial")
        parts: list[RenderableType] = [Text(_pace(progress)), Text()]
        if progress.best:
            parts += [Text(f"best {_name(progress.best)}", style="bold"), Text()]
        parts.append(_network_table(progress.front[-SHOWN:]))
        if self._runs:
            parts += [Text(), Text("confirmation of the best"), self._runs.render()]
        return Group(*parts)


def _pace(progress: SearchProgress) -> str:
    minutes = max(progress.elapsed, 1.0) / 60
    left = []
    if progress.seconds_left is not None:
        left.append(f"{seconds(progress.seconds_left, 0)} left")
    if progress.trials_left is not None:
        left.append(f"{count(progress.trials_left, 'trial')} left")
    return "  ·  ".join(
        [
            count(progress.networks, "network"),
            count(progress.trials, "trial"),
            f"{progress.trials / minutes:.1f} a minute",
            *left,
        ]
    )


def _name(network: FoundNetwork) -> str:
    low, high = network.interval
    return (
        f"network {network.number}: {percent(network.accuracy)} ({100 * low:.2f} – "
        f"{100 * high:.2f}, n {network.n}) after {count(network.epochs, 'epoch')}, "
        f"{network.figures['parameters']:,} parameters"
    )


def _network_table(networks: Sequence[FoundNetwork]) -> Table:
    figures = ("network", "parameters", "MACs", "n", "loss", "held-out", "time")
    table = new_table(*figures, "95 % interval", right=figures, gap=1)
    for each in networks:
        low, high = each.interval
        table.add_row(
            str(each.number),
            f"{each.figures['parameters']:,}",
            f"{each.figures['macs']:,}",
            str(each.n),
            f"{each.loss:.4f}",
            percent(each.accuracy),
            seconds(each.train_seconds),
            f"{100 * low:.2f} – {100 * high:.2f}",
        )
    return table


def search_view(document: SearchDocument) -> RenderableType:
    """Build the view of a search: what was tried, the Pareto front, the winner and its verdict."""
    size = name_size(document)
    points = [(_size(each, size), 100 * each.accuracy) for each in document.front]
    winner = (_size(document.winner, size), 100 * document.winner.accuracy)
    titles = (figure_name(size), "accuracy on held-out images, %")
    return Group(
        Text(
            f"search · {format_budget(document.budget)}{of_dataset(document.dataset)}",
            style="bold",
        ),
        Text(_effort(document)),
        Text(),
        _rung_table(document),
        Text(),
        *(Text(line) for line in draw_scatter(points, winner, titles)),
        Text(),
        Text(f" Pareto front after {count(document.winner.epochs, 'epoch')}"),
        _network_table(document.front[-SHOWN:]),
        Text(),
        Text(_confirmation(document)),
        Text(),
        check_table(document.checks),
        *reason_views(document.checks),
        *_misses(document),
        Text(),
        Text.assemble(" ", verdict(document.verdict), f"  written to {document.path}"),
        Text(f" next: mnistcli train {document.path}/winner.toml"),
    )


def draw_document(document: SearchDocument) -> str:
    """Draw the Pareto front as an SVG file."""
    from mnistcli.display.charts import draw_front

    size = name_size(document)
    points = [(_size(each, size), each.accuracy, each.interval) for each in document.front]
    winner = _size(document.winner, size), document.winner.accuracy
    return draw_front((figure_name(size), "accuracy on held-out images, %"), points, winner)


def name_size(document: SearchDocument) -> str:
    """Return the figure that the front is drawn over."""
    minimized = document.minimize
    return "train_seconds" if minimized == "seconds" else minimized or "parameters"


def _size(network: FoundNetwork, name: str) -> float:
    return network.train_seconds if name == "train_seconds" else float(network.figures[name])


def _effort(document: SearchDocument) -> str:
    return fill(
        f"{count(document.networks, 'network')} tried in {count(document.trials, 'trial')} and "
        f"{seconds(document.search_seconds, 0)}; {count(document.rejected, 'network')} drawn did "
        f"not fit and were not trained ({document.oversized_train_seconds:.0f} s)"
        + (f"; {count(document.failed_trials, 'trial')} failed" if document.failed_trials else ""),
        WIDTH,
        initial_indent=" ",
        subsequent_indent=" ",
    )


def _rung_table(document: SearchDocument) -> Table:
    figures = ("epochs", "networks", "trials", "rank correlation with the next")
    table = new_table(*figures, right=figures)
    for rung in document.rungs:
        correlation = rung.rank_correlation
        table.add_row(
            str(rung.epochs),
            str(rung.networks),
            str(rung.trials),
            "–" if correlation is None else f"{correlation:.2f}",
        )
    return table


def _confirmation(document: SearchDocument) -> str:
    summary, figures = document.confirmation, document.winner.figures
    interval = ""
    if summary.interval:
        low, high = summary.interval
        interval = f", 95 % interval {100 * low:.2f} – {percent(high)}"
    failed = f" ({count(len(document.failed), 'run')} failed)" if document.failed else ""
    return (
        f" network {document.winner.number}, {figures['parameters']:,} parameters, trained on all "
        f"images from {count(len(summary.seeds), 'fresh seed')}{failed}:\n test accuracy "
        f"{percent(summary.mean_test_accuracy)}, sd {100 * summary.sd_test_accuracy:.2f}{interval}"
    )


def _misses(document: SearchDocument) -> list[RenderableType]:
    if document.passed:
        return []
    parts: list[RenderableType] = []
    if document.misses:
        parts += [Text(), Text(" next to it"), _network_table(document.misses)]
    if document.advice:
        parts += [Text(), Text(" what may help")]
        parts += [
            Text(fill(line, WIDTH, initial_indent=" - ", subsequent_indent="   "))
            for line in document.advice
        ]
    return parts
