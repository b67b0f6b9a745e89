"""Limits × figures → checks."""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

from mnistcli.preset.schema import Budget
from mnistcli.records.documents import Check, PhaseRecord

Comparison = Literal["<", "<=", ">="]


class Rule(NamedTuple):
    """A field of the budget: the figure that it limits, and how."""

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
    """A check for every limit of the budget whose figure is known."""
    checks = []
    for rule in RULES:
        limit = getattr(budget, rule.field)
        if limit is None or rule.figure not in figures:
            continue
        value = figures[rule.figure]
        verdict: Literal["pass", "fail"] = (
            "pass" if holds(value, rule.comparison, limit) else "fail"
        )
        checks.append(
            Check(
                name=rule.figure,
                comparison=rule.comparison,
                limit=limit,
                value=value,
                verdict=verdict,
            )
        )
    return tuple(checks)


def check_phases(phases: Sequence[PhaseRecord]) -> tuple[Check, ...]:
    """A check for every phase that has a target: the accuracy on its own digits."""
    return tuple(
        Check(
            name=f"phase_{phase.phase}_accuracy",
            comparison=">=",
            limit=phase.target,
            value=phase.own_accuracy or 0.0,
            verdict="pass" if (phase.own_accuracy or 0.0) >= phase.target else "fail",
        )
        for phase in phases
        if phase.target is not None
    )


def passed(checks: tuple[Check, ...]) -> bool:
    """Whether no check failed."""
    return all(check.verdict == "pass" for check in checks)


def holds(value: float, comparison: Comparison, limit: float) -> bool:
    """Whether the value stands in that relation to the limit."""
    match comparison:
        case "<":
            return value < limit
        case "<=":
            return value <= limit
        case ">=":
            return value >= limit
