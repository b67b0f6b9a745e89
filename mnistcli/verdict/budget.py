"""Limits × figures → checks."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from mnistcli.preset.budget import Budget, Comparison, Limit
from mnistcli.records.documents import Check, PhaseRecord, RunRecord
from mnistcli.records.sizes import IntegerSizes

LACKING = {"flash": "code", "ram": "stack"}
"""What is not known of a figure before an export."""
HELD_OUT = "evaluated on held-out images; the test set would decide"
MEASURE = "`mnistcli export RUN --to c{options} --target DEVICE` measures it"


def check_budget(
    budget: Budget, figures: Mapping[str, int | float], sizes: IntegerSizes | None = None
) -> tuple[Check, ...]:
    """Check every limit of the budget whose figure is known.

    Args:
        budget: the limits.
        figures: what was measured.
        sizes: what is known of flash and RAM before an export: enough to fail, never to pass.
    """
    return tuple(_list_checks(budget.limits, figures, sizes))


def _list_checks(
    limits: Iterable[Limit], figures: Mapping[str, int | float], sizes: IntegerSizes | None
) -> Iterable[Check]:
    for limit in limits:
        if limit.figure in figures:
            yield check_limit(limit.figure, figures[limit.figure], limit.comparison, limit.value)
        elif limit.figure in LACKING and sizes:
            yield _check_size(limit, sizes)


def _check_size(limit: Limit, sizes: IntegerSizes) -> Check:
    size = sizes.constants if limit.figure == "flash" else sizes.memory
    if size is not None:
        check = check_limit(limit.figure, size, limit.comparison, limit.value)
        if check.verdict == "fail":
            return check
    by_rows = sizes.stream and limit.figure == "ram"
    measure = MEASURE.format(options=" --stream" if by_rows else "")
    return Check(
        name=limit.figure,
        comparison=limit.comparison,
        limit=limit.value,
        value=size,
        verdict="inconclusive",
        reason=sizes.fault or f"without {LACKING[limit.figure]}; {measure}",
    )


def check_record(record: RunRecord) -> tuple[Check, ...]:
    """Check the figures of a run against its budget, and its phases against their targets.

    Held-out images leave it open whether a limit of the test accuracy is met.
    """
    budget = record.preset.budget
    found = check_budget(budget, record.figures, record.integer_sizes)
    is_open = record.data.evaluated_on == "held-out"
    unknown = tuple(
        Check(
            name=limit.figure,
            comparison=limit.comparison,
            limit=limit.value,
            value=None,
            verdict="inconclusive",
            reason=HELD_OUT,
        )
        for limit in budget.limits
        if is_open and limit.figure == "test_accuracy"
    )
    return (*found, *unknown, *check_phases(record.phases))


def check_phases(phases: Sequence[PhaseRecord]) -> tuple[Check, ...]:
    """Check the accuracy on its own digits of every phase that has a target."""
    return tuple(
        check_limit(f"phase_{phase.phase}_accuracy", phase.own_accuracy or 0.0, ">=", phase.target)
        for phase in phases
        if phase.target is not None
    )


def passed(checks: tuple[Check, ...]) -> bool:
    """Return whether every check passed; an inconclusive one has not."""
    return all(check.verdict == "pass" for check in checks)


def holds(value: float, comparison: Comparison, limit: float) -> bool:
    """Return whether the value is within the limit."""
    match comparison:
        case "<":
            return value < limit
        case "<=":
            return value <= limit
        case ">=":
            return value >= limit


def check_limit(name: str, value: float, comparison: Comparison, limit: float) -> Check:
    """Check a figure against a limit."""
    verdict: Literal["pass", "fail"] = "pass" if holds(value, comparison, limit) else "fail"
    return Check(name=name, comparison=comparison, limit=limit, value=value, verdict=verdict)
