"""Lists of runs, and what was removed → tables and lines."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from mnistcli.display.layout import new_table
from mnistcli.display.text import count, percent, size, verdict
from mnistcli.records.listings import RemovedRun, RunList, RunRemoval, RunRow

STATE_STYLE = {"unfinished": "yellow", "diverged": "red", "unreadable": "red"}
FIGURES = ("parameters", "accuracy", "epochs", "time")


def list_view(document: RunList) -> RenderableType:
    """Build the table of runs; preset and seed have columns where a name does not tell them."""
    runs = document.runs
    if not runs:
        return Text(f"no runs in {document.folder}")
    extra = () if all(map(_is_told, runs)) else ("preset", "seed")
    tags = ("tag",) if any(run.tag for run in runs) else ()
    right = (*FIGURES, "seed")
    table = new_table("run", *extra, *FIGURES, "verdict", *tags, right=right, gap=0)
    for run in runs:
        own = (Text(run.preset or ""), "" if run.seed is None else str(run.seed))
        tag = (Text(run.tag or ""),)
        table.add_row(Text(run.name), *own[: len(extra)], *_cells(run), *tag[: len(tags)])
    return Group(table, Text(), Text(f" {_total(runs)}"))


def removal_view(document: RunRemoval) -> RenderableType:
    """Build a line for every run that was or would be removed."""
    verb = "removed" if document.removed else "would remove"
    return Text("\n".join(f"{verb} {_removed(run)}" for run in document.runs))


def _cells(run: RunRow) -> list[str | Text]:
    return [
        "" if run.parameters is None else f"{run.parameters:,}",
        _accuracy(run),
        "" if run.epochs is None else f"{run.epochs:,}",
        "" if run.train_seconds is None else f"{run.train_seconds:,.0f} s",
        _verdict(run),
    ]


def _accuracy(run: RunRow) -> str:
    if run.held_out_accuracy is not None:
        return f"{percent(run.held_out_accuracy)} held-out"
    return "" if run.test_accuracy is None else percent(run.test_accuracy)


def _verdict(run: RunRow) -> Text:
    if run.passed is None:
        return Text(run.state, style=STATE_STYLE.get(run.state, ""))
    return verdict(run.verdict or ("pass" if run.passed else "fail"))


def _is_told(run: RunRow) -> bool:
    """Return whether a run's name tells preset and seed, as its first name does."""
    if run.preset is None:
        return True
    return run.name.startswith(f"{run.preset}-") and f"-s{run.seed}" in run.name


def _total(runs: Sequence[RunRow]) -> str:
    undecided = sum(run.verdict == "inconclusive" for run in runs)
    failed = sum(run.passed is False for run in runs) - undecided
    parts = [count(len(runs), "run"), f"{sum(run.passed is True for run in runs):,} passed"]
    parts += [f"{failed:,} failed"] if failed else []
    parts += [f"{undecided:,} inconclusive"] if undecided else []
    for state in STATE_STYLE:
        number = sum(run.state == state for run in runs)
        parts += [f"{number:,} {state}"] if number else []
    return ", ".join(parts)


def _removed(run: RemovedRun) -> str:
    return f"{run.path} ({count(run.files, 'file')}, {size(run.bytes)})"
