"""One preset, several seeds → a run for each, and what can be said of their mean."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from statistics import mean, median
from tempfile import TemporaryDirectory

from mnistcli.engine.events import Emit
from mnistcli.experiment.options import Options
from mnistcli.experiment.training import prepare, run
from mnistcli.experiment.workers import Workers
from mnistcli.preset.schema import Preset
from mnistcli.records.comparisons import RunsDocument, RunsSummary
from mnistcli.records.documents import Check, RunRecord
from mnistcli.records.store import create_run_folder, read_folder, write_files, write_record
from mnistcli.verdict.budget import passed
from mnistcli.verdict.several import check_mean, count_missing_seeds
from mnistcli.verdict.stats import deviation, student_interval


@dataclass(frozen=True)
class Finished:
    """A run's record, and what was left beside it on a machine that may have another disk."""

    record: RunRecord
    files: Mapping[str, bytes] = field(default_factory=dict)
    """By name; none where the run folder is where it should be already."""

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


@dataclass(frozen=True)
class RemoteJob(Job):
    """One run whose folder is made elsewhere, and sent back."""

    def run(self) -> Finished:
        """Trains and tests."""
        with TemporaryDirectory(prefix="mnistcli-") as out:
            job = Job(self.preset, replace(self.options, out=Path(out)), self.coreset)
            record = job.run().record
            return Finished(record, read_folder(Path(record.path)))


def run_seeds(
    preset: Preset,
    seeds: Sequence[int],
    workers: Workers,
    options: Options,
    coreset: Path | None,
    emit: Emit,
) -> RunsDocument:
    """Trains from every seed, some at once in processes of their own, and judges the mean.

    Raises:
        PresetError, UsageError, FileError, DivergedError: as a single run does.
    """
    options = replace(options, threads=workers.share_threads(options.threads))
    make_job = RemoteJob if workers.cluster else Job
    jobs = [make_job(preset, replace(options, seed=seed), coreset) for seed in seeds]
    by_seed = {
        job.options.seed: _keep(finished, options.out)
        for job, finished in workers.run(jobs, options.threads or 1, emit)
    }
    return summarize_runs([by_seed[seed] for seed in seeds])


def summarize_runs(runs: Sequence[RunRecord]) -> RunsDocument:
    """What can be said of the mean of one preset's runs."""
    checks = check_mean(runs)
    accuracies = [one.test.accuracy for one in runs]
    summary = RunsSummary(
        preset=runs[0].preset.name,
        seeds=tuple(one.seed for one in runs),
        mean_test_accuracy=mean(accuracies),
        sd_test_accuracy=deviation(accuracies),
        interval=student_interval(accuracies),
        least_test_accuracy=min(accuracies),
        median_train_seconds=median(one.train_seconds for one in runs),
        missing_seeds=_missing(checks, runs),
    )
    return RunsDocument(runs=tuple(runs), summary=summary, checks=checks, passed=passed(checks))


def _keep(finished: Finished, out: Path) -> RunRecord:
    """Gives a run from elsewhere a folder here."""
    if not finished.files:
        return finished.record
    record = finished.record
    started = datetime.fromisoformat(record.started)
    folder = create_run_folder(out, record.preset.name, record.seed, started)
    record = record.model_copy(update={"run_id": folder.name, "path": str(folder)})
    write_files(folder, finished.files)
    write_record(folder, record)
    return record


def _missing(checks: Sequence[Check], runs: Sequence[RunRecord]) -> int | None:
    """The most that any inconclusive check misses."""
    missing = [
        count_missing_seeds([one.checks[number].value for one in runs], check.limit)
        for number, check in enumerate(checks)
        if check.verdict == "inconclusive"
    ]
    known = [count for count in missing if count is not None]
    return max(known) if known and len(known) == len(missing) else None
