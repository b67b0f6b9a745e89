"""Limits × figures → checks."""

from collections.abc import Mapping, Sequence
from typing import Literal

from mnistcli.preset.budget import Budget, Comparison
from mnistcli.records.documents import Check, PhaseRecord


def check_budget(budget: Budget, figures: Mapping[str, int | float]) -> tuple[Check, ...]:
    """Check every limit of the budget whose figure is known."""
    return tuple(
        _check(figure, figures[figure], comparison, limit)
        for figure, comparison, limit in budget.limits
        if figure in figures
    )


def check_phases(phases: Sequence[PhaseRecord]) -> tuple[Check, ...]:
    """Check the accuracy on its own digits of every phase that has a target."""
    return tuple(
        _check(f"phase_{phase.phase}_accuracy", phase.own_accuracy or 0.0, ">=", phase.target)
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


def _check(name: str, value: float, comparison: Comparison, limit: float) -> Check:
    verdict: Literal["pass", "fail"] = "pass" if holds(value, comparison, limit) else "fail"
    return Check(name=name, comparison=comparison, limit=limit, value=value, verdict=verdict)
