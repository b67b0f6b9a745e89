"""A curriculum's phases, and the study of its orders → tables."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from mnistcli.display.layout import new_table
from mnistcli.display.studies import (
    DIFFERENCE_COLUMNS,
    PAIRED_NOTE,
    difference_cells,
    diverged_lines,
    percent_points,
)
from mnistcli.display.text import digit_names, of_dataset, percent_or_dash, verdict
from mnistcli.records.comparisons import CurriculumComparison
from mnistcli.records.documents import PhaseRecord, RunRecord

FORGOTTEN = 0.05
"""Fall of a phase's own accuracy by the end of training that is reported as forgetting."""


def phase_views(record: RunRecord) -> list[RenderableType]:
    """Build the table of phases, the retention matrix, and a line on what was forgotten."""
    parts: list[RenderableType] = [
        _phase_table(record.phases),
        Text(),
        _retention_table(record.phases),
        Text(f" accuracy after each phase, on {record.phases_evaluated_on}"),
    ]
    if lost := [phase for phase in record.phases[:-1] if _is_forgotten(phase)]:
        losses = "; ".join(
            f"{digit_names(phase.digits)}: {percent_or_dash(phase.own_accuracy)} → "
            f"{percent_or_dash(phase.final_own_accuracy)}"
            for phase in lost
        )
        parts.append(Text(f" forgotten in later phases: {losses}", style="red"))
    return parts


def orders_view(comparison: CurriculumComparison) -> RenderableType:
    """Build the table of a curriculum and its controls."""
    figures = ("images", "time", "mean %", "sd", *DIFFERENCE_COLUMNS)
    table = new_table("order", *figures, "verdict", right=figures, gap=0)
    for arm in comparison.arms:
        table.add_row(
            arm.name,
            f"{arm.images:,}",
            "–" if arm.train_seconds is None else f"{arm.train_seconds:,.0f} s",
            percent_points(arm.mean_accuracy),
            percent_points(arm.sd),
            *difference_cells(arm.difference),
        )
    return Group(
        Text(
            f"{comparison.preset.name} · {comparison.arms[0].steps:,} steps per run · "
            f"{len(comparison.seeds)} seeds · {comparison.evaluated_on} accuracy"
            f"{of_dataset(comparison.dataset)}",
            style="bold",
        ),
        Text(),
        table,
        Text(),
        *diverged_lines(comparison.diverged),
        Text(f" the curriculum's difference from each order, {PAIRED_NOTE}"),
        Text(f" written to {comparison.path}"),
    )


def _is_forgotten(phase: PhaseRecord) -> bool:
    before, after = phase.own_accuracy, phase.final_own_accuracy
    return before is not None and after is not None and before - after > FORGOTTEN


def _phase_table(phases: Sequence[PhaseRecord]) -> Table:
    figures = ("images", "steps", "loss", "own", "so far", "target")
    table = new_table("phase", "digits", *figures, "verdict", right=figures, gap=1)
    for phase in phases:
        reached = (phase.own_accuracy or 0) >= (phase.target or 0)
        table.add_row(
            Text(phase.name),
            digit_names(phase.digits),
            f"{phase.images:,}",
            f"{phase.steps:,}",
            f"{phase.train_loss:.3f}",
            percent_or_dash(phase.own_accuracy),
            percent_or_dash(phase.seen_accuracy),
            percent_or_dash(phase.target),
            Text() if phase.target is None else verdict("pass" if reached else "fail"),
        )
    return table


def _retention_table(phases: Sequence[PhaseRecord]) -> Table:
    """Build the table of recall by digit (columns) after every phase (rows)."""
    digits = [str(digit) for digit in range(len(phases[0].digit_accuracies))]
    table = new_table("after", *digits, right=digits, gap=1)
    for phase in phases:
        cells = [
            Text(
                "–" if accuracy is None else f"{100 * accuracy:.1f}",
                style="bold" if digit in phase.digits and len(phase.digits) < len(digits) else "",
            )
            for digit, accuracy in enumerate(phase.digit_accuracies)
        ]
        table.add_row(Text(phase.name), *cells)
    return table
