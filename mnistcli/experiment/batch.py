"""One preset, several seeds → a run for each, and what can be said of their mean."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean, median

from mnistcli.engine.events import Emit
from mnistcli.experiment.options import Options
from mnistcli.experiment.training import prepare, run
from mnistcli.experiment.trials import run_jobs, share_threads
from mnistcli.preset.schema import Preset
from mnistcli.records.comparisons import RunsDocument, RunsSummary
from mnistcli.records.documents import Check, RunRecord
from mnistcli.verdict.budget import passed
from mnistcli.verdict.several import check_mean, count_missing_seeds
from mnistcli.verdict.stats import deviation, student_interval


@dataclass(frozen=True)
class Finished:
    """A run's record."""

    record: RunRecord

    @property
    def accuracy(self) -> float:
        """On the test images."""
        return self.record.test.accuracy


@dataclass(frozen=True)
class Job:
    """One run, with a folder of its own."""

    preset: Preset
    options: Options
    coreset: Path | None

    @property
    def name(self) -> str:
        """As in "seed 3"."""
        return f"seed {self.options.seed}"

    def run(self) -> Finished:
        """Trains and tests."""
        return Finished(run(prepare(self.preset, self.options, self.coreset), lambda event: None))


def run_seeds(
    preset: Preset,
    seeds: Sequence[int],
    at_once: int,
    options: Options,
    coreset: Path | None,
    emit: Emit,
) -> RunsDocument:
    """Trains from every seed, some at once in processes of their own, and judges the mean.

    Raises:
        PresetError, UsageError, FileError, DivergedError: as a single run does.
    """
    options = replace(options, threads=share_threads(options.threads, at_once))
    jobs = [Job(preset, replace(options, seed=seed), coreset) for seed in seeds]
    finished = run_jobs(jobs, at_once, options.threads or 1, emit)
    by_seed = {job.options.seed: outcome.record for job, outcome in finished}
    runs = tuple(by_seed[seed] for seed in seeds)
    checks = check_mean(runs)
    accuracies = [one.test.accuracy for one in runs]
    summary = RunsSummary(
        preset=preset.name,
        seeds=tuple(seeds),
        mean_test_accuracy=mean(accuracies),
        sd_test_accuracy=deviation(accuracies),
        interval=student_interval(accuracies),
        least_test_accuracy=min(accuracies),
        median_train_seconds=median(one.train_seconds for one in runs),
        missing_seeds=_missing(checks, runs),
    )
    return RunsDocument(runs=runs, summary=summary, checks=checks, passed=passed(checks))


def _missing(checks: Sequence[Check], runs: Sequence[RunRecord]) -> int | None:
    """The most that any inconclusive check misses."""
    missing = [
        count_missing_seeds([one.checks[number].value for one in runs], check.limit)
        for number, check in enumerate(checks)
        if check.verdict == "inconclusive"
    ]
    known = [count for count in missing if count is not None]
    return max(known) if known and len(known) == len(missing) else None
