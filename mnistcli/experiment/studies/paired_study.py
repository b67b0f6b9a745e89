"""Arms × seeds → trials → a summary of every arm, paired by seed."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any, Protocol

from mnistcli.datasets.cached import find_dataset
from mnistcli.engine.events import Emit
from mnistcli.errors import FileError, UsageError
from mnistcli.experiment.machine import Options
from mnistcli.experiment.studies.kept_trials import KeptTrials
from mnistcli.experiment.workers import Job, Workers
from mnistcli.preset.choices import DatasetName
from mnistcli.preset.schema import Preset
from mnistcli.records.base import Document
from mnistcli.records.comparisons import DivergedTrial
from mnistcli.records.folders import create_run_folder
from mnistcli.records.store import write_document
from mnistcli.records.studies import COMPARISON, TrialMachine, TrialResult
from mnistcli.verdict.paired import ArmSummary, summarize_arms

Results = Mapping[tuple[str, int], TrialResult]
"""Results by arm and seed."""


class StudyJob(Job[TrialResult], Protocol):
    """One trial of a study."""

    @property
    def arm(self) -> str:
        """Name of the arm."""

    @property
    def options(self) -> Options:
        """Seed, and where to train."""


@dataclass(frozen=True)
class Arm:
    """One way to train, tried from every seed."""

    name: str
    prepare: Callable[[int], StudyJob]
    """Makes the job of a seed, in this process."""
    difference: tuple[str, str] | None = None
    """Arms whose accuracies to compare: the first less the second."""


@dataclass(frozen=True)
class ArmTrials:
    """What the trials of one arm took and reached."""

    first: TrialResult
    """The first that did not diverge; if all did, the first."""
    selection_seconds: float
    """Median."""
    train_seconds: float | None
    """Median of those that did not diverge; None if all did."""
    summary: ArmSummary


@dataclass(frozen=True)
class PairedStudy:
    """A finished study."""

    arms: dict[str, ArmTrials]
    """Results of every arm, by its name."""
    machine: TrialMachine
    """Where all trials were trained."""
    diverged: tuple[DivergedTrial, ...]
    folder: Path
    """A new folder for what the study writes."""
    dataset: DatasetName | None
    """Name of the data set, if it has one."""

    def describe(self, preset: Preset, seeds: Sequence[int]) -> dict[str, Any]:
        """Return the fields that the documents of all studies share."""
        return {
            "preset": preset,
            "evaluated_on": "validation" if preset.train.validation_examples else "test",
            "seeds": tuple(seeds),
            "dataset": self.dataset,
            **asdict(self.machine),
            "path": str(self.folder),
            "diverged": self.diverged,
        }

    def write(self, document: Document) -> None:
        """Write the study's document to its folder.

        Raises:
            FileError: it cannot be written.
        """
        write_document(self.folder / COMPARISON, document)


def run_study(
    name: str,
    arms: Sequence[Arm],
    seeds: Sequence[int],
    options: Options,
    workers: Workers,
    emit: Emit,
    kept: KeptTrials | None = None,
) -> PairedStudy:
    """Train every arm from every seed, and compare the arms in pairs of the same seed.

    A training that diverges is a result of its arm.

    Args:
        name: of the study, and of its folder.
        arms: what to compare.
        seeds: one trial for each arm and seed.
        options: output folder and threads of a trial.
        workers: who runs the trials.
        emit: told of every finished trial.
        kept: keeps every finished trial, and has those that need not run again.

    Raises:
        UsageError: the workers differ in device, precision, threads or CPU.
        FileError: data is unreadable or not the same, or a file cannot be written.
    """
    results = kept.read() if kept else {}
    missing = [(arm, seed) for seed in seeds for arm in arms if (arm.name, seed) not in results]
    jobs = [arm.prepare(seed) for arm, seed in missing]
    folder = kept.folder if kept else _create_folder(name, seeds[0], options)
    with closing(workers.run(jobs, options.threads or 1, emit)) as finished:
        for job, result in finished:
            results[job.arm, job.options.seed] = result
            check_pairs(results)
            if kept:
                kept.keep(job.arm, job.options.seed, result)
    machine = check_pairs(results)
    trials, diverged = _summarize(arms, seeds, results), _list_diverged(arms, seeds, results)
    return PairedStudy(trials, machine, diverged, folder, find_dataset(options.data))


def _create_folder(name: str, seed: int, options: Options) -> Path:
    return create_run_folder(options.out, name, seed, datetime.now(UTC))


def _summarize(arms: Sequence[Arm], seeds: Sequence[int], results: Results) -> dict[str, ArmTrials]:
    trials = {arm.name: [results[arm.name, seed] for seed in seeds] for arm in arms}
    summaries = summarize_arms(
        {name: [result.accuracy for result in found] for name, found in trials.items()},
        {arm.name: arm.difference for arm in arms if arm.difference},
    )
    return {name: _collect(found, summaries[name]) for name, found in trials.items()}


def _collect(results: Sequence[TrialResult], summary: ArmSummary) -> ArmTrials:
    reached = [result for result in results if result.accuracy is not None]
    return ArmTrials(
        first=(reached or results)[0],
        selection_seconds=median(result.selection_seconds for result in results),
        train_seconds=median(result.train_seconds for result in reached) if reached else None,
        summary=summary,
    )


def _list_diverged(
    arms: Sequence[Arm], seeds: Sequence[int], results: Results
) -> tuple[DivergedTrial, ...]:
    places = [(arm.name, seed) for seed in seeds for arm in arms]
    return tuple(
        DivergedTrial(arm=arm, seed=seed, reason=reason)
        for arm, seed in places
        if (reason := results[arm, seed].diverged)
    )


def check_pairs(results: Results) -> TrialMachine:
    """Return the machine of all trials, if those of a seed are pairs.

    Raises:
        UsageError, FileError: as of `check_machines` and `check_data`.
    """
    check_data(results)
    return check_machines(list(results.values()))


def check_machines(results: Sequence[TrialResult]) -> TrialMachine:
    """Return the machine that all trials were trained on.

    Raises:
        UsageError: there are several: their rounding differs, so trials are no pairs.
    """
    hosts = {result.machine: result.host for result in results}
    if len(hosts) > 1:
        described = "; ".join(
            f"{host}: {machine.device}, {machine.precision}, {machine.threads} threads, "
            f"{machine.cpu}"
            for machine, host in hosts.items()
        )
        raise UsageError(
            f"workers differ, and their trials cannot be paired: {described}. Use workers of one "
            "kind, or start all with the same ATEN_CPU_CAPABILITY"
        )
    return next(iter(hosts))


def check_data(results: Results) -> None:
    """Refuse trials that had different images: held-out ones are the same for all seeds.

    Raises:
        FileError: there are such trials.
    """
    known = next(iter(results.values())).data_sha256
    for (_, seed), result in results.items():
        if result.data_sha256 != known:
            raise FileError(
                f"trials of seed {seed} had different images and cannot be compared. Use the data "
                "that the study was started with."
            )
