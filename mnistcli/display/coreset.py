"""A coreset, and the study of the selection methods → tables."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from mnistcli.display.budget import check_table
from mnistcli.display.layout import new_table
from mnistcli.display.studies import (
    DIFFERENCE_COLUMNS,
    PAIRED_NOTE,
    difference_cells,
    diverged_lines,
    percent_points,
)
from mnistcli.display.text import of_dataset, percent, percent_or_dash, seconds
from mnistcli.records.comparisons import CoresetComparison, CoresetDocument, MethodResult


def coreset_view(document: CoresetDocument) -> RenderableType:
    """Build the view of a selection: counts by digit, coverage and times."""
    own, random = document.coverage, document.random_coverage
    checks: list[RenderableType] = []
    if document.checks:
        checks = [Text(), check_table(document.checks), Text()]
    return Group(
        Text(
            f"{document.preset} · {document.method} · {document.size:,} of {document.total:,} "
            f"images{of_dataset(document.dataset)} "
            f"({percent(document.size / document.total, 1)}) · seed {document.seed}",
            style="bold",
        ),
        Text(),
        _count_table(document),
        Text(),
        Text(
            " distance from an image to the nearest selected one, in 50 principal components:\n"
            f" mean {own.mean:.3f}, max {own.max:.3f}"
            f"   (random selection: mean {random.mean:.3f}, max {random.max:.3f})"
        ),
        Text(),
        _stage_table(document.seconds),
        *checks,
        Text(f" written to {document.indices_file}"),
    )


def comparison_view(comparison: CoresetComparison) -> RenderableType:
    """Build the view of a study: for every size, a table of the methods against random."""
    everything = comparison.everything
    parts: list[RenderableType] = [
        Text(
            f"{comparison.preset.name} · {comparison.steps:,} steps per run · "
            f"{len(comparison.seeds)} seeds · {comparison.evaluated_on} accuracy",
            style="bold",
        ),
        Text(
            f" all {comparison.total:,} images{of_dataset(comparison.dataset)} in as many steps: "
            f"{percent_or_dash(everything.mean_accuracy)}, sd {percent_points(everything.sd)}"
        ),
    ]
    for size in dict.fromkeys(result.size for result in comparison.results):
        rows = [result for result in comparison.results if result.size == size]
        fraction = percent(size / comparison.total, 1)
        parts += [Text(), Text(f" {size:,} images ({fraction})", style="bold"), _method_table(rows)]
    parts += [
        Text(),
        *diverged_lines(comparison.diverged),
        Text(f" difference from random at the same size, {PAIRED_NOTE}"),
        Text(f" written to {comparison.path}"),
    ]
    return Group(*parts)


def _count_table(document: CoresetDocument) -> Table:
    digits = [str(digit) for digit in range(len(document.class_counts))]
    table = new_table("digit", *digits, right=digits, gap=1)
    table.add_row("images", *(f"{count:,}" for count in document.class_counts))
    return table


def _stage_table(spent: dict[str, float]) -> Table:
    table = new_table("stage", "time", right=("time",))
    for stage, value in spent.items():
        table.add_row(stage, seconds(value))
    return table


def _method_table(rows: Sequence[MethodResult]) -> Table:
    figures = ("mean %", "sd", *DIFFERENCE_COLUMNS, "selection")
    table = new_table("method", *figures[:-1], "verdict", figures[-1], right=figures, gap=1)
    for row in sorted(rows, key=lambda row: -(row.mean_accuracy or 0)):
        table.add_row(
            row.method,
            percent_points(row.mean_accuracy),
            percent_points(row.sd),
            *difference_cells(row.difference),
            seconds(row.selection_seconds),
        )
    return table
