"""A curriculum's phases → tables, and a line on what was forgotten."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from mnistcli.display.layout import new_table
from mnistcli.display.text import p_value, percent, seconds, verdict
from mnistcli.records.comparisons import CurriculumComparison
from mnistcli.records.documents import PhaseRecord, RunRecord

FORGOTTEN = 0.05


def phase_views(record: RunRecord) -> list[RenderableType]:
    """The phases, the retention matrix, and what each phase forgot."""
    parts: list[RenderableType] = [_phase_table(record.phases), Text(), _retention(record.phases)]
    parts.append(Text(f" judged after each phase on {record.phases_evaluated_on}"))
    if lost := [phase for phase in record.phases[:-1] if _is_forgotten(phase)]:
        losses = "; ".join(
            f"{_digits(phase)}: {_share(phase.own_accuracy)} → {_share(phase.final_own_accuracy)}"
            for phase in lost
        )
        parts.append(Text(f" forgotten by later phases: {losses}", style="red"))
    return parts


def orders_view(comparison: CurriculumComparison) -> RenderableType:
    """The curriculum and its controls."""
    figures = ("images", "time", "accuracy", "sd", "gain", "interval", "p")
    table = new_table("order", *figures, "verdict", right=figures, gap=1)
    for arm in comparison.arms:
        row = [
            arm.name,
            f"{arm.images:,}",
            seconds(arm.train_seconds),
            percent(arm.mean_accuracy),
            f"{100 * arm.sd:.2f}",
        ]
        if difference := arm.difference:
            low, high = difference.interval
            word = difference.verdict.replace("no clear difference", "unclear")
            row += [
                f"{100 * difference.mean:+.2f}",
                f"{100 * low:+.2f} {100 * high:+.2f}",
                p_value(difference.adjusted_p_value),
                word,
            ]
        table.add_row(*row)
    return Group(
        Text(
            f"{comparison.preset.name} · {comparison.arms[0].steps:,} steps a run · "
            f"{len(comparison.seeds)} seeds · {comparison.evaluated_on} accuracy",
            style="bold",
        ),
        Text(),
        table,
        Text(),
        Text(
            " gain of the curriculum over each order, paired by seed, with its 95 %\n"
            " interval; p from a paired t test, adjusted for all comparisons (Holm)"
        ),
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
            phase.name,
            _digits(phase),
            f"{phase.images:,}",
            f"{phase.steps:,}",
            f"{phase.train_loss:.3f}",
            _share(phase.own_accuracy),
            _share(phase.seen_accuracy),
            _share(phase.target),
            Text() if phase.target is None else verdict("pass" if reached else "fail"),
        )
    return table


def _retention(phases: Sequence[PhaseRecord]) -> Table:
    """Rows are phases, columns digits: the share recognized when the phase had ended."""
    digits = [str(digit) for digit in range(len(phases[0].digit_accuracies))]
    table = new_table("after", *digits, right=digits, gap=1)
    for phase in phases:
        cells = [
            Text(
                "–" if share is None else f"{100 * share:.1f}",
                style="bold" if digit in phase.digits and len(phase.digits) < len(digits) else "",
            )
            for digit, share in enumerate(phase.digit_accuracies)
        ]
        table.add_row(phase.name, *cells)
    return table


def _digits(phase: PhaseRecord) -> str:
    return "all" if len(phase.digits) == 10 else " ".join(map(str, phase.digits))


def _share(value: float | None) -> str:
    return "–" if value is None else percent(value)
