"""Several runs of one preset → their mean, and a verdict on it."""

from collections.abc import Sequence
from statistics import mean, median
from typing import Literal

from mnistcli.records.comparisons import FailedRun, RunsDocument, RunsSummary
from mnistcli.records.documents import Check, RunRecord
from mnistcli.verdict.budget import holds, passed
from mnistcli.verdict.stats import Sample, accuracy_interval, student_interval

MAX_SEEDS = 1_000
Verdict = Literal["pass", "fail", "inconclusive"]


def summarize_runs(runs: Sequence[RunRecord], failed: Sequence[FailedRun] = ()) -> RunsDocument:
    """Summarize the finished runs of one preset, and check their means against its budget."""
    checks = check_mean(runs)
    sample = Sample.of([run.test.accuracy for run in runs])
    summary = RunsSummary(
        preset=runs[0].preset.name,
        seeds=tuple(run.seed for run in runs),
        mean_test_accuracy=sample.mean,
        sd_test_accuracy=sample.standard_deviation,
        interval=accuracy_interval(sample),
        min_test_accuracy=min(run.test.accuracy for run in runs),
        median_train_seconds=median(run.train_seconds for run in runs),
        additional_seeds_needed=_count_for_all(checks, runs),
    )
    return RunsDocument(
        runs=tuple(runs),
        summary=summary,
        checks=checks,
        passed=passed(checks) and not failed,
        failed=tuple(failed),
    )


def check_mean(runs: Sequence[RunRecord]) -> tuple[Check, ...]:
    """Check the means of the runs against every limit of the budget and every phase's target.

    A figure that is the same in all runs is checked like that of one run. Otherwise the 95 %
    confidence interval of the mean decides: a check with its limit inside is inconclusive. So is
    one that a single run leaves open.
    """
    checks = []
    for number, first in enumerate(runs[0].checks):
        values = _list_values(runs, number)
        if values and first.reason is None:
            value = values[0] if len(set(values)) == 1 else mean(values)
            verdict = _decide(values, first.comparison, first.limit)
            first = first.model_copy(update={"value": value, "verdict": verdict})
        checks.append(first)
    return tuple(checks)


def _list_values(runs: Sequence[RunRecord], number: int) -> list[float]:
    """Return the values of a check in all runs that have one."""
    values = (run.checks[number].value for run in runs)
    return [value for value in values if value is not None]


def count_additional_seeds(values: Sequence[float], limit: float) -> int | None:
    """Return how many more seeds would decide, if mean and standard deviation stay as they are.

    That is when the limit leaves the 95 % confidence interval of the mean. None if a thousand
    seeds would not do.
    """
    sample = Sample.of(values)
    for count in range(max(2, sample.size), MAX_SEEDS + 1):
        interval = student_interval(sample._replace(size=count))
        if interval and not interval[0] <= limit <= interval[1]:
            return count - sample.size
    return None


def _count_for_all(checks: Sequence[Check], runs: Sequence[RunRecord]) -> int | None:
    """Return how many more seeds would decide every inconclusive check."""
    needed = [
        count_additional_seeds(_list_values(runs, number), check.limit)
        for number, check in enumerate(checks)
        if check.verdict == "inconclusive" and check.reason is None
    ]
    known = [count for count in needed if count is not None]
    return max(known) if known and len(known) == len(needed) else None


def _decide(values: Sequence[float], comparison: Literal["<", "<=", ">="], limit: float) -> Verdict:
    interval = student_interval(Sample.of(values))
    if interval is None or len(set(values)) == 1:
        return "pass" if holds(values[0], comparison, limit) else "fail"
    ends = [holds(end, comparison, limit) for end in interval]
    if all(ends):
        return "pass"
    return "inconclusive" if any(ends) else "fail"
