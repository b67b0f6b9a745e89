"""One preset, several seeds → a run for each, and what can be said of their mean."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from shlex import quote
from statistics import mean, median
from tempfile import TemporaryDirectory

from mnistcli.engine.events import Emit
from mnistcli.experiment.machine import Options
from mnistcli.experiment.training.run import run
from mnistcli.experiment.training.setup import prepare, reopen
from mnistcli.experiment.workers import Workers
from mnistcli.preset.schema import Preset
from mnistcli.process import Stopped
from mnistcli.records.comparisons import RunsDocument, RunsSummary
from mnistcli.records.documents import Check, RunRecord
from mnistcli.records.folders import create_run_folder, read_folder, write_files
from mnistcli.records.states import BatchDocument
from mnistcli.records.store import (
    BATCH_SUFFIX,
    RECORD,
    START,
    read_document,
    read_record,
    write_document,
    write_record,
)
from mnistcli.verdict.budget import passed
from mnistcli.verdict.several import check_mean, count_additional_seeds
from mnistcli.verdict.stats import deviation, share_interval


def name_run(seed: int) -> str:
    """As in "seed 3"."""
    return f"seed {seed}"


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
    folder: Path

    @property
    def name(self) -> str:
        """As in "seed 3"."""
        return name_run(self.options.seed)

    def run(self) -> Finished:
        """Trains and tests, or goes on where an earlier process was interrupted."""
        if (self.folder / START).exists():
            experiment = reopen(self.folder, self.options.data)
        else:
            experiment = prepare(self.preset, self.options, self.coreset, folder=self.folder)
        return Finished(run(experiment, lambda event: None))


@dataclass(frozen=True)
class RemoteJob(Job):
    """One run whose folder is made elsewhere, and sent back."""

    def run(self) -> Finished:
        """Trains and tests."""
        with TemporaryDirectory(prefix="mnistcli-") as folder:
            record = replace(self, folder=Path(folder)).run_here()
            return Finished(record, read_folder(Path(folder)))

    def run_here(self) -> RunRecord:
        """Trains and tests in the folder."""
        return super().run().record


@dataclass(frozen=True)
class Batch:
    """Runs of one preset from several seeds, each with a folder of its own."""

    path: Path
    """Of the file that says so, from which the batch can be gone on with."""
    document: BatchDocument

    @property
    def folders(self) -> dict[str, Path]:
        """Of every run, by the name of its job."""
        return {name_run(seed): self.folder(seed) for seed in self.document.runs}

    def folder(self, seed: int) -> Path:
        """Where the run from that seed is."""
        return self.path.parent / Path(self.document.runs[seed]).name


def create_batch(
    preset: Preset, seeds: Sequence[int], options: Options, coreset: Path | None, threads: int
) -> Batch:
    """Makes the run folders, and the file that names them.

    Raises:
        FileError: they cannot be made.
    """
    now = datetime.now(UTC)
    folders = {seed: create_run_folder(options.out, preset.name, seed, now) for seed in seeds}
    document = BatchDocument(
        preset=preset,
        device=options.device,
        precision=options.precision,
        threads=threads,
        data_folder=str(options.data.absolute()) if options.data else None,
        coreset_file=str(coreset.absolute()) if coreset else None,
        runs={seed: folder.name for seed, folder in folders.items()},
    )
    first = folders[seeds[0]]
    path = first.with_name(f"{first.name}-and-{len(seeds) - 1}-more{BATCH_SUFFIX}")
    write_document(path, document)
    return Batch(path, document)


def read_batch(path: Path) -> Batch:
    """The batch that a file names.

    Raises:
        FileError: it is unreadable, or not such a file.
    """
    return Batch(path, read_document(path, BatchDocument, "a batch of runs"))


def run_batch(batch: Batch, workers: Workers, emit: Emit, data: Path | None = None) -> RunsDocument:
    """Trains what has not been trained yet, some at once, and judges the mean.

    Args:
        batch: which runs.
        workers: who trains them.
        emit: told of every run that has ended.
        data: where the images are, if not where they were.

    Raises:
        PresetError, UsageError, FileError, DivergedError: as a single run does.
        Stopped: a signal came; its advice says how to go on.
    """
    document = batch.document
    options = Options(
        device=document.device,
        precision=document.precision,
        threads=document.threads,
        data=data or (Path(document.data_folder) if document.data_folder else None),
        out=batch.path.parent,
    )
    coreset = Path(document.coreset_file) if document.coreset_file else None
    make_job = RemoteJob if workers.cluster else Job
    missing = [seed for seed in document.runs if not (batch.folder(seed) / RECORD).exists()]
    jobs = [
        make_job(document.preset, replace(options, seed=seed), coreset, batch.folder(seed))
        for seed in missing
    ]
    try:
        for job, finished in workers.run(jobs, document.threads, emit):
            _keep(finished, job.folder)
    except Stopped as stopped:
        stopped.advice = f"resume with: mnistcli train --resume {quote(str(batch.path))}"
        raise
    return summarize_runs([read_record(batch.folder(seed)) for seed in document.runs])


def summarize_runs(runs: Sequence[RunRecord]) -> RunsDocument:
    """What can be said of the mean of one preset's runs."""
    checks = check_mean(runs)
    accuracies = [one.test.accuracy for one in runs]
    summary = RunsSummary(
        preset=runs[0].preset.name,
        seeds=tuple(one.seed for one in runs),
        mean_test_accuracy=mean(accuracies),
        sd_test_accuracy=deviation(accuracies),
        interval=share_interval(accuracies),
        min_test_accuracy=min(accuracies),
        median_train_seconds=median(one.train_seconds for one in runs),
        additional_seeds_needed=_missing(checks, runs),
    )
    return RunsDocument(runs=tuple(runs), summary=summary, checks=checks, passed=passed(checks))


def _keep(finished: Finished, folder: Path) -> None:
    """Puts a run from elsewhere into its folder here."""
    if finished.files:
        record = finished.record.model_copy(update={"run_id": folder.name, "path": str(folder)})
        write_files(folder, finished.files)
        write_record(folder, record)


def _missing(checks: Sequence[Check], runs: Sequence[RunRecord]) -> int | None:
    """The most that any inconclusive check misses."""
    missing = [
        count_additional_seeds([one.checks[number].value for one in runs], check.limit)
        for number, check in enumerate(checks)
        if check.verdict == "inconclusive"
    ]
    known = [count for count in missing if count is not None]
    return max(known) if known and len(known) == len(missing) else None
