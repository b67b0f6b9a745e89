"""Figures, limits and verdicts → the budget table."""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from textwrap import fill
from typing import NamedTuple, TypeVar

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from mnistcli.display.layout import new_table
from mnistcli.display.text import SIGNS, figure, figure_name, verdict
from mnistcli.preset.budget import Budget
from mnistcli.records.documents import Check, RunRecord

Value = TypeVar("Value")

DASH = Text("–", style="dim")
WIDTH = 79
MAX_DIGITS = 9
"""Max number of decimals of a limit."""


class BudgetRow(NamedTuple):
    """One figure; the cells that are not known yet or have no limit hold a dash."""

    name: str
    measured: str | Text
    limit: str | Text
    verdict: str | Text


def budget_table(rows: Iterable[BudgetRow]) -> Table:
    """Build the table of all figures."""
    table = new_table("budget", "measured", "limit", "verdict", right=("measured", "limit"))
    for row in rows:
        table.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in row))
    return table


def check_table(checks: Sequence[Check], figures: Mapping[str, float] | None = None) -> Table:
    """Build the table of checks, and of the figures that have no limit."""
    return budget_table(check_rows(checks, figures))


def check_rows(
    checks: Sequence[Check], figures: Mapping[str, float] | None = None
) -> list[BudgetRow]:
    """Fill the rows of checks, and of the figures that have no limit."""
    found = {check.name: check for check in checks}
    known = {**(figures or {}), **dict.fromkeys(found, 0.0)}
    return [
        check_row(found[name]) if name in found else figure_row(name, value)
        for name, value in known.items()
    ]


def list_reasons(checks: Iterable[Check]) -> list[str]:
    """Return why checks are inconclusive, as in "flash: without code; …"."""
    return [f"{figure_name(check.name)}: {check.reason}" for check in checks if check.reason]


def reason_views(checks: Iterable[Check]) -> list[RenderableType]:
    """Build the lines that say why checks are inconclusive, with an empty one before them."""
    lines = [
        Text(fill(line, WIDTH, initial_indent=" ", subsequent_indent="   "))
        for line in list_reasons(checks)
    ]
    return [Text(), *lines] if lines else []


def run_rows(record: RunRecord) -> list[BudgetRow]:
    """Fill the rows of a run's checks and figures, and of its pruning."""
    rows = check_rows(record.checks, select_figures(record.preset.budget, record.figures))
    return rows + [figure_row(name, value) for name, value in list_pruned(record).items()]


def list_pruned(record: RunRecord) -> dict[str, int]:
    """Return the figures of a run's pruning, if it was pruned: no budget limits them."""
    pruning = record.pruning
    if pruning is None:
        return {}
    if pruning.weights is None or pruning.non_zero_weights is None:
        return {"parameters_before": pruning.parameters_before, "macs_before": pruning.macs_before}
    return {"weights": pruning.weights, "non_zero_weights": pruning.non_zero_weights}


def select_figures(budget: Budget, figures: Mapping[str, Value]) -> dict[str, Value]:
    """Return the figures to show: MACs only if limited, and the data as they are limited."""
    hidden = {
        "macs" if "macs" not in budget.figures else "",
        "train_fraction" if "train_examples" in budget.figures else "train_examples",
    }
    return {name: value for name, value in figures.items() if name not in hidden}


def check_row(check: Check) -> BudgetRow:
    """Fill the row of a check."""
    measured, limit = format_pair(check.name, check.value, check.comparison, check.limit)
    return BudgetRow(figure_name(check.name), measured, limit, verdict(check.verdict))


def figure_row(name: str, value: float) -> BudgetRow:
    """Fill the row of a figure without a limit."""
    return BudgetRow(figure_name(name), figure(name, value), DASH, "")


def format_pair(
    name: str, value: float | None, comparison: str, limit: float
) -> tuple[str | Text, str]:
    """Return a figure and its limit, with as many digits as they need to differ if they do."""
    if value is None:
        return DASH, format_limit(name, comparison, limit)
    for digits in range(MAX_DIGITS + 1):
        measured, shown = figure(name, value, digits), format_limit(name, comparison, limit, digits)
        if value == limit or shown != f"{SIGNS[comparison]} {measured}":
            break
    return measured, shown


def format_limit(name: str, comparison: str, limit: float, digits: int = 0) -> str:
    """Return, for example, "≥ 99.40 %", with more digits if the limit has them."""
    own = -int(Decimal(repr(limit)).as_tuple().exponent)
    return f"{SIGNS[comparison]} {figure(name, limit, min(max(own, digits), MAX_DIGITS))}"
