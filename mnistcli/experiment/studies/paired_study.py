"""Arms × seeds → trials → a summary of every arm, paired by seed."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from mnistcli.engine.events import Emit
from mnistcli.errors import UsageError
from mnistcli.experiment.machine import Options
from mnistcli.experiment.studies.trial import TrialJob, TrialMachine, TrialResult
from mnistcli.experiment.workers import Workers
from mnistcli.records.folders import create_run_folder
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
    """The trials of one arm, in the order of the seeds, and their summary."""

    results: tuple[TrialResult, ...]
    selection_seconds: float
    """Median."""
    train_seconds: float
    """Median."""
    summary: ArmSummary

    @property
    def steps(self) -> int:
        """Optimizer steps of a trial."""
        return self.results[0].steps

    @property
    def images(self) -> int:
        """Images that a trial learned from, counted as often as they came up."""
        return self.results[0].images


@dataclass(frozen=True)
class PairedStudy:
    """A finished study."""

    arms: dict[str, ArmTrials]
    """Results of every arm, by its name."""
    machine: TrialMachine
    """Where all trials were trained."""
    folder: Path
    """A new folder for what the study writes."""


def run_study(
    name: str, arms: Sequence[Arm], seeds: Sequence[int], options: Options, *,
    workers: Workers, emit: Emit,
) -> PairedStudy:  # fmt: skip
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
    return PairedStudy(
        arms={
            name: ArmTrials(
                results=tuple(result for _, result in pairs),
                selection_seconds=median(job.selection_seconds for job, _ in pairs),
                train_seconds=median(result.train_seconds for _, result in pairs),
                summary=summaries[name],
            )
            for name, pairs in trials.items()
        },
        machine=machine,
        folder=folder,
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
