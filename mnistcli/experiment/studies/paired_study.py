"""Arms × seeds → trials → a summary of every arm, paired by seed."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

from mnistcli.engine.events import Emit
from mnistcli.errors import UsageError
from mnistcli.experiment.machine import Options
from mnistcli.experiment.studies.trial import TrialJob, TrialMachine, TrialResult
from mnistcli.experiment.workers import Workers
from mnistcli.preset.schema import Preset
from mnistcli.records.base import Document
from mnistcli.records.folders import create_run_folder
from mnistcli.records.store import write_document
from mnistcli.verdict.paired import ArmSummary, summarize_arms


@dataclass(frozen=True)
class Arm:
    """One way to train, tried from every seed."""

    name: str
    prepare: Callable[[int], TrialJob]
    """Makes the job of a seed, in this process."""
    difference: tuple[str, str] | None = None
    """Arms whose accuracies to compare: the first less the second."""


@dataclass(frozen=True)
class ArmTrials:
    """What the trials of one arm took and reached."""

    steps: int
    """Optimizer steps of a trial."""
    images: int
    """Images that a trial learned from, counted as often as they came up."""
    selection_seconds: float
    """Median."""
    train_seconds: float
    """Median."""
    summary: ArmSummary


@dataclass(frozen=True)
class PairedStudy:
    """A finished study."""

    arms: dict[str, ArmTrials]
    """Results of every arm, by its name."""
    machine: TrialMachine
    """Where all trials were trained."""
    folder: Path
    """A new folder for what the study writes."""

    def describe(self, preset: Preset, seeds: Sequence[int]) -> dict[str, Any]:
        """Return the fields that the documents of all studies share."""
        return {
            "preset": preset,
            "evaluated_on": "validation" if preset.train.validation_examples else "test",
            "seeds": tuple(seeds),
            **asdict(self.machine),
            "path": str(self.folder),
        }

    def write(self, document: Document) -> None:
        """Write the study's document to its folder.

        Raises:
            FileError: it cannot be written.
        """
        write_document(self.folder / "comparison.json", document)


def run_study(
    name: str,
    arms: Sequence[Arm],
    seeds: Sequence[int],
    options: Options,
    workers: Workers,
    emit: Emit,
) -> PairedStudy:
    """Train every arm from every seed, and compare the arms in pairs of the same seed.

    Args:
        name: of the study, and of its folder.
        arms: what to compare.
        seeds: one trial for each arm and seed.
        options: output folder and threads of a trial.
        workers: who runs the trials.
        emit: told of every finished trial.

    Raises:
        UsageError: the workers differ in device, precision, threads or CPU.
        FileError: data cannot be read, or the folder cannot be made.
        DivergedError: a loss is not finite.
    """
    jobs = [arm.prepare(seed) for seed in seeds for arm in arms]
    folder = create_run_folder(options.out, name, seeds[0], datetime.now(UTC))
    results: dict[tuple[str, int], tuple[TrialJob, TrialResult]] = {}
    with closing(workers.run(jobs, options.threads or 1, emit)) as finished:
        for job, result in finished:
            results[job.arm, job.options.seed] = job, result
            machine = check_machines(each for _, each in results.values())
    trials = {arm.name: [results[arm.name, seed] for seed in seeds] for arm in arms}
    summaries = summarize_arms(
        {name: [result.accuracy for _, result in pairs] for name, pairs in trials.items()},
        {arm.name: arm.difference for arm in arms if arm.difference},
    )
    arm_trials = {name: _collect(pairs, summaries[name]) for name, pairs in trials.items()}
    return PairedStudy(arm_trials, machine, folder)


def _collect(pairs: Sequence[tuple[TrialJob, TrialResult]], summary: ArmSummary) -> ArmTrials:
    return ArmTrials(
        steps=pairs[0][1].steps,
        images=pairs[0][1].images,
        selection_seconds=median(job.selection_seconds for job, _ in pairs),
        train_seconds=median(result.train_seconds for _, result in pairs),
        summary=summary,
    )


def check_machines(results: Iterable[TrialResult]) -> TrialMachine:
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
