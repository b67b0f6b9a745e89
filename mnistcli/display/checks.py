"""Verdicts on records → tables."""

from collections.abc import Sequence
from textwrap import fill

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from mnistcli.display.layout import new_table
from mnistcli.display.text import figure, figure_name, p_value, percent
from mnistcli.records.checks import CheckedRun, CheckedTraining, RunChecks, Value

STYLE = {"confirmed": "bold green", "refuted": "bold red", "undecided": "bold yellow"}
HASH_LENGTH, HASH_SHOWN = 64, 12
WIDTH = 79


def checks_view(document: RunChecks) -> RenderableType:
    """Build a table of figures for every run, and its verdict."""
    parts: list[RenderableType] = []
    for run in document.runs:
        parts += [Text(run.run_id, style="bold"), Text(), _figure_table(run), Text()]
        if run.training:
            parts += [Text(_training_line(run.training)), Text()]
        parts += [_verdict(run), Text()]
    if len(document.runs) > 1:
        words = [run.verdict for run in document.runs]
        parts.append(Text(f" {len(words)} runs: {_count(words)}"))
    return Group(*parts)


def _count(words: Sequence[str]) -> str:
    return ", ".join(f"{words.count(word)} {word}" for word in STYLE if word in words)


def _figure_table(run: CheckedRun) -> Table:
    table = new_table("figure", "recorded", "found", "verdict", right=("recorded", "found"))
    for row in run.figures:
        table.add_row(
            Text(_name(row.figure)),
            _cell(row.figure, row.recorded),
            _cell(row.figure, row.found),
            Text(row.verdict, style="" if row.verdict == "confirmed" else STYLE["refuted"]),
        )
    return table


def _name(figure: str) -> str:
    limited = figure.removesuffix("_check")
    return figure_name(limited) if limited == figure else f"{figure_name(limited)} check"


def _cell(name: str, value: Value) -> Text:
    match value:
        case None:
            return Text("–")
        case bool():
            return Text("yes" if value else "no")
        case str() if len(value) == HASH_LENGTH:
            return Text(value[:HASH_SHOWN])
        case str():
            return Text(value)
        case float() if value.is_integer() and name == "epochs":
            return Text(f"{value:,.0f}")
        case _:
            return Text(figure(name, value))


def _training_line(training: CheckedTraining) -> str:
    known = "; ".join(training.differences) or "none"
    if training.weights_match:
        return " trained again: the weights are equal, bit for bit"
    head = f" trained again: the weights differ; recorded differences: {known}"
    if training.accuracy is None or training.interval is None or training.difference is None:
        return f"{head}\n the new training diverged"
    low, high = (100 * end for end in training.interval)
    return (
        f"{head}\n accuracy {percent(training.accuracy)}, {100 * training.difference:+.2f} points; "
        f"95 % interval {low:+.2f} {high:+.2f}; p {p_value(training.p_value or 0.0)}\n "
        f"{training.verdict}"
    )


def _verdict(run: CheckedRun) -> Text:
    word = run.verdict.upper()
    line = Text(fill(f" {word}  {_reason(run)}", WIDTH, subsequent_indent=" "))
    line.stylize(STYLE[run.verdict], 1, 1 + len(word))
    return line


def _reason(run: CheckedRun) -> str:
    wrong = [_name(row.figure) for row in run.figures if row.verdict == "refuted"]
    if wrong:
        return f"recorded otherwise than found: {', '.join(wrong)}"
    if run.verdict == "undecided":
        found = "diverged" if run.training and run.training.accuracy is None else "is worse"
        return f"trained again, the network {found}; more seeds would decide"
    missed = run.training and not run.training.weights_match
    ending = ", but the weights were not reproduced" if missed else ""
    return f"all {len(run.figures)} figures are as recorded{ending}"
