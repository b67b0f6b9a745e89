"""One preset, several seeds → a run for each, and a verdict on their mean."""

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from shlex import quote
from tempfile import TemporaryDirectory

from mnistcli.datasets.cached import find_dataset
from mnistcli.engine.events import Emit
from mnistcli.errors import BatchError, FileError, as_error
from mnistcli.experiment.code import keep_code, open_code
from mnistcli.experiment.machine import Options
from mnistcli.experiment.progress import follow_logs
from mnistcli.experiment.training.run import run
from mnistcli.experiment.training.setup import prepare, reopen
from mnistcli.experiment.workers import Workers
from mnistcli.preset.schema import Preset
from mnistcli.process import Stopped
from mnistcli.records.comparisons import FailedRun, RunsDocument
from mnistcli.records.documents import RunRecord
from mnistcli.records.folders import (
    create_run_folder,
    move_record,
    name_absolutely,
    read_folder,
    remove_leftovers,
    write_files,
)
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
from mnistcli.verdict.several import summarize_runs


@dataclass(frozen=True)
class RunOutcome:
    """How a run ended, and its files if they are on another machine."""

    result: RunRecord | FailedRun
    files: Mapping[str, bytes] = field(default_factory=dict)
    """Contents by name; empty if the run folder is in its place already."""

    @property
    def accuracy(self) -> float | None:
        """Accuracy on the test images."""
        return self.result.test.accuracy if isinstance(self.result, RunRecord) else None


@dataclass(frozen=True)
class RunJob:
    """One run, with a folder of its own."""

    preset: Preset
    options: Options
    coreset: Path | None
    folder: Path

    @property
    def name(self) -> str:
        """Name of the job, as in "seed 3"."""
        return _name(self.options.seed)

    def run(self, emit: Emit) -> RunOutcome:
        """Train and test, or resume what an earlier process has begun."""
        try:
            if (self.folder / START).exists():
                experiment = reopen(self.folder, self.options.data, code=self.preset.model.code)
            else:
                experiment = prepare(self.preset, self.options, self.coreset, folder=self.folder)
            return RunOutcome(run(experiment, emit))
        except Exception as error:
            known = as_error(error)
            return RunOutcome(
                FailedRun(
                    seed=self.options.seed,
                    exit_code=known.exit_code,
                    reason=str(known),
                    path=str(self.folder),
                )
            )


@dataclass(frozen=True)
class RemoteRunJob:
    """One run on another machine, whose folder is sent back."""

    job: RunJob

    @property
    def name(self) -> str:
        """Name of the job, as in "seed 3"."""
        return self.job.name

    def run(self, emit: Emit) -> RunOutcome:
        """Train and test in a temporary folder."""
        with TemporaryDirectory(prefix="mnistcli-") as folder:
            outcome = replace(self.job, folder=Path(folder)).run(emit)
            return replace(outcome, files=read_folder(Path(folder)))


@dataclass(frozen=True)
class Batch:
    """Runs of one preset from several seeds, each with a folder of its own."""

    path: Path
    """Path of the batch file, from which the batch can be resumed."""
    document: BatchDocument

    @property
    def unfinished(self) -> dict[str, Path]:
        """Folders of the runs without a record, by name."""
        folders = {_name(seed): self.folder(seed) for seed in self.document.runs}
        return {name: path for name, path in folders.items() if not (path / RECORD).exists()}

    def folder(self, seed: int) -> Path:
        """Return the run folder of a seed."""
        return self.path.parent / Path(self.document.runs[seed]).name


def create_batch(
    preset: Preset, seeds: Sequence[int], options: Options, coreset: Path | None
) -> Batch:
    """Create the run folders, and the batch file that names them.

    Raises:
        FileError: they cannot be written.
    """
    own = options.data if find_dataset(options.data) != "mnist" else None
    data_folder = name_absolutely(own) if own else None
    coreset_file = name_absolutely(coreset) if coreset else None
    now = datetime.now(UTC)
    folders = {seed: create_run_folder(options.out, preset.name, seed, now) for seed in seeds}
    for folder in folders.values():
        keep_code(preset, folder)
    document = BatchDocument(
        preset=preset,
        device=options.device,
        precision=options.precision,
        threads=options.threads or 1,
        data_folder=data_folder,
        coreset_file=coreset_file,
        runs={seed: folder.name for seed, folder in folders.items()},
    )
    first = folders[seeds[0]]
    path = first.with_name(f"{first.name}-and-{len(seeds) - 1}-more{BATCH_SUFFIX}")
    write_document(path, document)
    return Batch(path, document)


def read_batch(path: Path, *, allow_code: bool = False) -> Batch:
    """Read a batch file, and the code of its network that the run folders keep.

    Raises:
        FileError: it is unreadable, or not a batch file.
        PresetError: the code is not trusted, which is told once and not for every run.
    """
    batch = Batch(path, read_document(path, BatchDocument, "a batch of runs"))
    for folder in [*batch.unfinished.values()][:1]:
        preset = open_code(batch.document.preset, folder, allow=allow_code)
        if code := preset.model.code:
            code.require_trust()
        batch = replace(batch, document=batch.document.model_copy(update={"preset": preset}))
    return batch


def run_batch(batch: Batch, workers: Workers, emit: Emit, data: Path | None = None) -> RunsDocument:
    """Train the unfinished runs of a batch, and check the mean of all runs that finish.

    Args:
        batch: which runs.
        workers: who trains them.
        emit: told of every epoch, perhaps in another thread, and of every finished run.
        data: folder of the images, if they have moved.

    Raises:
        BatchError: all runs failed.
        FileError: the cluster or a process is lost, or a run folder cannot be written.
        Stopped: a signal came; its advice says how to resume.
    """
    advice = f"resume with: mnistcli train --resume {quote(str(batch.path))}"
    for seed in batch.document.runs:
        if (batch.folder(seed) / RECORD).exists():
            remove_leftovers(batch.folder(seed))
    failed: dict[int, FailedRun] = {}
    jobs = _make_jobs(batch, data)
    remote = workers.cluster is not None
    following = nullcontext(emit) if remote else follow_logs(batch.unfinished, emit)
    try:
        with following as listen:
            running = [RemoteRunJob(job) for job in jobs] if remote else jobs
            folders = {job.name: job.folder for job in jobs}
            for done, outcome in workers.run(running, batch.document.threads, listen):
                kept = keep_outcome(outcome, folders[done.name])
                if isinstance(kept, FailedRun):
                    failed[kept.seed] = kept
    except Stopped as stopped:
        stopped.advice = advice
        raise
    except FileError as error:
        raise FileError(f"{str(error).removesuffix('.')}; {advice}") from error
    return _summarize(batch, failed)


def _make_jobs(batch: Batch, data: Path | None) -> list[RunJob]:
    document = batch.document
    known = Path(document.data_folder) if document.data_folder else None
    options = Options(
        device=document.device,
        precision=document.precision,
        threads=document.threads,
        data=data or known,
        out=batch.path.parent,
    )
    coreset = Path(document.coreset_file) if document.coreset_file else None
    jobs = [
        RunJob(document.preset, replace(options, seed=seed), coreset, batch.folder(seed))
        for seed in document.runs
    ]
    return [job for job in jobs if job.name in batch.unfinished]


def keep_outcome(outcome: RunOutcome, folder: Path) -> RunRecord | FailedRun:
    """Move a run from another machine into its folder here, and return its result."""
    result = outcome.result
    if not outcome.files:
        return result
    write_files(folder, outcome.files)
    if isinstance(result, FailedRun):
        reason = result.reason.replace(result.path, str(folder))
        return result.model_copy(update={"reason": reason, "path": str(folder)})
    result = move_record(result, folder)
    write_record(folder, result)
    return result


def _summarize(batch: Batch, failed: Mapping[int, FailedRun]) -> RunsDocument:
    """Summarize the finished runs, in the order of the seeds.

    Raises:
        BatchError: there are none.
        FileError: a record is unreadable.
    """
    seeds = batch.document.runs
    failures = [failed[seed] for seed in seeds if seed in failed]
    records = [read_record(batch.folder(seed)) for seed in seeds if seed not in failed]
    if not records:
        first = failures[0]
        all_of = f"all {len(failures)} runs failed; " if len(failures) > 1 else ""
        message = f"{all_of}{_name(first.seed)}: {first.reason}"
        raise BatchError(message, first.exit_code)
    if not all(each.data.has_images_of(records[0].data) for each in records):
        raise FileError(
            f'the runs of "{batch.path}" were trained on different images, so that no mean is '
            "theirs. Start another batch on one data set."
        )
    return summarize_runs(records, failures)


def _name(seed: int) -> str:
    return f"seed {seed}"
