"""Limits × figures → checks."""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from mnistcli.preset.schema import Budget
from mnistcli.records.documents import Check, PhaseRecord

Comparison = Literal["<", "<=", ">="]


class Rule(NamedTuple):
    """A field of the budget, with the figure that it limits."""

    field: str
    figure: str
    comparison: Comparison


RULES = (
    Rule("parameters_below", "parameters", "<"),
    Rule("max_parameters", "parameters", "<="),
    Rule("min_test_accuracy", "test_accuracy", ">="),
    Rule("epochs_below", "epochs", "<"),
    Rule("max_epochs", "epochs", "<="),
    Rule("train_seconds_below", "train_seconds", "<"),
    Rule("max_train_seconds", "train_seconds", "<="),
    Rule("max_train_fraction", "train_fraction", "<="),
)


def check_budget(budget: Budget, figures: Mapping[str, int | float]) -> tuple[Check, ...]:
    """Check every limit of the budget whose figure is known."""
    checks = []
    for rule in RULES:
        limit = getattr(budget, rule.field)
        if limit is None or rule.figure not in figures:
            continue
        value = figures[rule.figure]
        checks.append(_check(rule.figure, value, rule.comparison, limit))
    return tuple(checks)


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
