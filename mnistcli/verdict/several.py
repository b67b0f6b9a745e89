"""Several runs of one preset → a verdict on their mean."""

from collections.abc import Sequence
from math import sqrt
from statistics import mean
from typing import Literal

from mnistcli.records.documents import Check, RunRecord
from mnistcli.verdict.budget import holds
from mnistcli.verdict.stats import deviation, student_interval, student_quantile

MOST_SEEDS = 1_000
Verdict = Literal["pass", "fail", "inconclusive"]


def check_mean(runs: Sequence[RunRecord]) -> tuple[Check, ...]:
    """A check for every limit of the budget, and for every phase's target, on the runs' means.

    Where all runs have the same figure, it is judged as that of one run. Otherwise the 95 %
    interval of the mean decides: a limit inside it leaves the check inconclusive.
    """
    checks = []
    for number, first in enumerate(runs[0].checks):
        values = [run.checks[number].value for run in runs]
        checks.append(
            first.model_copy(
                update={
                    "value": _mean(values),
                    "verdict": _judge(values, first.comparison, first.limit),
                }
            )
        )
    return tuple(checks)


def count_additional_seeds(values: Sequence[float], limit: float) -> int | None:
    """How many more seeds would decide, if mean and spread stay as they are; none if too many.

    The least n at which the half-width of Student's 95 % interval is below the distance of the
    mean from the limit.
    """
    distance, spread = abs(mean(values) - limit), deviation(values)
    for count in range(max(2, len(values)), MOST_SEEDS + 1):
        if student_quantile(count - 1) * spread / sqrt(count) < distance:
            return count - len(values)
    return None


def _mean(values: Sequence[float]) -> float:
    return values[0] if len(set(values)) == 1 else mean(values)


def _judge(values: Sequence[float], comparison: Literal["<", "<=", ">="], limit: float) -> Verdict:
    interval = student_interval(values)
    if interval is None or len(set(values)) == 1:
        return "pass" if holds(values[0], comparison, limit) else "fail"
    ends = [holds(end, comparison, limit) for end in interval]
    if all(ends):
        return "pass"
    return "inconclusive" if any(ends) else "fail"
