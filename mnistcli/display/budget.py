"""Figures, limits and verdicts → the budget table."""

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from rich.table import Table
from rich.text import Text

from mnistcli.display.layout import new_table
from mnistcli.display.text import SIGNS, figure, figure_name, verdict
from mnistcli.records.documents import Check

DASH = Text("–", style="dim")


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
        table.add_row(*row)
    return table


def check_table(checks: Sequence[Check], figures: Mapping[str, float] | None = None) -> Table:
    """Build the table of checks, and of the figures that have no limit."""
    found = {check.name: check for check in checks}
    known = {**(figures or {}), **{check.name: check.value for check in checks}}
    return budget_table(
        check_row(found[name]) if name in found else figure_row(name, value)
        for name, value in known.items()
    )


def check_row(check: Check) -> BudgetRow:
    """Fill the row of a check."""
    return BudgetRow(
        figure_name(check.name),
        figure(check.name, check.value),
        format_limit(check.name, check.comparison, check.limit),
        verdict(check.verdict),
    )


def figure_row(name: str, value: float) -> BudgetRow:
    """Fill the row of a figure without a limit."""
    return BudgetRow(figure_name(name), figure(name, value), DASH, "")


def format_limit(name: str, comparison: str, limit: float) -> str:
    """Return, for example, "≥ 99.40 %"."""
    return f"{SIGNS[comparison]} {figure(name, limit)}"
