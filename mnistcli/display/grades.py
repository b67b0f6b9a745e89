"""The grades of submissions → lines and a live view of those at work, a table, and CSV."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from shlex import quote
from typing import get_args

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from mnistcli.display.layout import new_table
from mnistcli.display.progress import is_live
from mnistcli.display.spreadsheet import rows_as_csv
from mnistcli.display.text import count, percent, percent_or_dash, seconds
from mnistcli.records.grades import Grade, GradesDocument, GradingProgress, Outcome

REFRESHES_PER_SECOND = 2
STYLE = {"pass": "bold green", "fail": "bold red"}
OTHER_STYLE = "bold yellow"
COLUMNS = (
    "name", "verdict", "parameters", "macs", "test_accuracy", "epochs", "train_seconds", "same_as",
    "reason", "submission", "run",
)  # fmt: skip


@contextmanager
def show_grading(console: Console, *, quiet: bool) -> Iterator[Callable[[GradingProgress], None]]:
    """Show a line for every grade, and on a terminal also what is at work.

    Args:
        console: where to show it.
        quiet: whether to show nothing.
    """
    if quiet:
        yield lambda progress: None
    elif is_live(console):
        view = LiveGrading(console)
        with Live(
            get_renderable=view.render,
            console=console,
            refresh_per_second=REFRESHES_PER_SECOND,
            transient=True,
        ):
            yield view.show
    else:
        yield lambda progress: _print_line(console, progress)


def _print_line(console: Console, progress: GradingProgress) -> None:
    if progress.grade:
        print(grade_line(progress, progress.grade), file=console.file, flush=True)


def grade_line(progress: GradingProgress, grade: Grade) -> str:
    """Return, for example, "12/60  ada  PASS  99.43 %"."""
    found = grade.reason or percent_or_dash(grade.test_accuracy)
    line = f"{progress.done}/{progress.total}  {grade.name}  {grade.verdict.upper()}  {found}"
    return "".join(c if c.isprintable() else " " for c in line)


class LiveGrading:
    """A line for every grade, and below them a row for every submission at work."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._began: dict[str, float] = {}

    def show(self, progress: GradingProgress) -> None:
        """Start the row of a submission, or replace it by the line of its grade."""
        if progress.grade is None:
            self._began[progress.name] = time.monotonic()
            return
        self._began.pop(progress.name, None)
        style = STYLE.get(progress.grade.verdict, OTHER_STYLE)
        line = Text(grade_line(progress, progress.grade), style.removeprefix("bold "))
        self._console.print(line, soft_wrap=True)

    def render(self) -> Table:
        """Draw the rows as they are now."""
        table = new_table("at work", "time", right=("time",))
        for name, began in list(self._began.items()):
            table.add_row(Text(name), seconds(time.monotonic() - began))
        return table


def grades_view(document: GradesDocument, path: str) -> RenderableType:
    """Build the table of all grades, the reasons below it, and how many there are of each kind."""
    parts: list[RenderableType] = [_grade_table(document.grades), Text()]
    if any(_note(grade) for grade in document.grades):
        parts += [_reason_table(document.grades), Text()]
    verdicts = Counter(grade.verdict for grade in document.grades)
    counts = ", ".join(f"{verdicts[kind]} {kind}" for kind in get_args(Outcome) if verdicts[kind])
    total = count(document.total, "submission")
    return Group(*parts, Text(f" {total}: {counts}"), Text(f" written to {quote(path)}"))


def _grade_table(grades: tuple[Grade, ...]) -> Table:
    figures = ("parameters", "accuracy", "epochs", "time")
    has_same = any(grade.same_as for grade in grades)
    more = ("same as",) if has_same else ()
    table = new_table("submission", *figures, "verdict", *more, right=figures, gap=1)
    for column in table.columns[1:6]:
        column.no_wrap = True
    for grade in grades:
        style = STYLE.get(grade.verdict, OTHER_STYLE)
        word = Text(grade.verdict.upper(), style=style)
        same = [Text(grade.same_as or "")] if has_same else []
        table.add_row(Text(grade.name), *_figure_cells(grade), word, *same)
    return table


def _figure_cells(grade: Grade) -> list[str]:
    return [
        "" if grade.parameters is None else f"{grade.parameters:,}",
        "" if grade.test_accuracy is None else percent(grade.test_accuracy),
        "" if grade.epochs is None else f"{grade.epochs:g}",
        "" if grade.train_seconds is None else seconds(grade.train_seconds),
    ]


def _reason_table(grades: tuple[Grade, ...]) -> Table:
    table = new_table("submission", "reason", right=())
    for grade in grades:
        if note := _note(grade):
            table.add_row(Text(grade.name), Text(note))
    return table


def _note(grade: Grade) -> str:
    """Return why a submission did not pass, with the warnings that may explain it."""
    if grade.verdict == "pass":
        return ""
    return "; ".join([grade.reason, *(f"warning: {each}" for each in grade.warnings)])


def grades_as_csv(document: GradesDocument) -> str:
    """Return CSV, one row per submission; missing figures are empty cells."""
    return rows_as_csv(
        COLUMNS, ([getattr(grade, column) for column in COLUMNS] for grade in document.grades)
    )
