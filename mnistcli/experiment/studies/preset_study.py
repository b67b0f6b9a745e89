"""Compare presets that overrides make of a base, paired over seeds."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from shlex import quote

from mnistcli.datasets.cached import find_dataset
from mnistcli.engine.events import Emit
from mnistcli.errors import FileError, PresetError
from mnistcli.experiment.code import keep_code, open_code
from mnistcli.experiment.earlier import locate_runs
from mnistcli.experiment.machine import Options
from mnistcli.experiment.studies.kept_trials import KeptTrials
from mnistcli.experiment.studies.paired_study import Arm, ArmTrials, PairedStudy, run_study
from mnistcli.experiment.studies.trial import PresetTrial
from mnistcli.experiment.training.setup import check
from mnistcli.experiment.workers import Workers
from mnistcli.preset.schema import Preset
from mnistcli.process import Stopped
from mnistcli.records import files
from mnistcli.records.folders import create_run_folder, lock_run, name_absolutely
from mnistcli.records.sources import EvaluatedOn
from mnistcli.records.store import LOCK, read_document, write_document
from mnistcli.records.studies import (
    PLAN,
    PlannedArm,
    StudyArm,
    StudyDocument,
    StudyPlan,
)
from mnistcli.verdict.paired import name_effect


@dataclass(frozen=True)
class Study:
    """A study that has a folder: its plan, and where its trials train."""

    folder: Path
    plan: StudyPlan
    options: Options

    @property
    def trials(self) -> KeptTrials:
        """Return the trials that are kept."""
        return KeptTrials.of(self.folder, [arm.name for arm in self.plan.arms], self.plan.seeds)


def check_presets(
    arms: Sequence[PlannedArm], seed: int, evaluated_on: EvaluatedOn, options: Options
) -> list[str]:
    """Build every arm's network and read its data; return a line on each arm that is invalid.

    Raises:
        UsageError: the device is not available.
        FileError: the data is unreadable.
    """
    options = replace(options, seed=seed, hold_out=evaluated_on == "held-out")
    mistakes = []
    for arm in arms:
        try:
            check(arm.preset, options)
        except PresetError as error:
            mistakes.append(f'invalid arm "{arm.name}": {error}')
    return mistakes


def create_study(
    arms: Sequence[PlannedArm], seeds: Sequence[int], evaluated_on: EvaluatedOn, options: Options
) -> Study:
    """Create the folder of a study and write its plan, from which it can be resumed.

    Args:
        arms: what to compare, the base first.
        seeds: one trial for each arm and seed.
        evaluated_on: images to compare the accuracies on.
        options: device, precision, threads, data and output folder, without "auto".

    Raises:
        FileError: they cannot be written.
    """
    own = options.data if find_dataset(options.data) != "mnist" else None
    plan = StudyPlan(
        arms=tuple(_locate(arm) for arm in arms),
        seeds=tuple(seeds),
        evaluated_on=evaluated_on,
        device=options.device,
        precision=options.precision,
        threads=options.threads or 1,
        data_folder=name_absolutely(own) if own else None,
    )
    name = f"{arms[0].preset.name}-study"
    folder = create_run_folder(options.out, name, seeds[0], datetime.now(UTC))
    for number, arm in enumerate(arms):
        keep_code(arm.preset, folder / str(number))
    write_document(folder / PLAN, plan)
    return Study(folder, plan, options)


def _locate(arm: PlannedArm) -> PlannedArm:
    """Return the arm with absolute paths, so that it can be resumed anywhere."""
    return arm.model_copy(update={"preset": locate_runs(arm.preset)})


def reopen_study(folder: Path, data: Path | None = None, *, allow_code: bool = False) -> Study:
    """Return a study, finished or not, as `create_study` made it.

    Args:
        folder: the study's folder, or its plan.json.
        data: folder of the images, if it was moved.
        allow_code: whether the code that the folder keeps may run.

    Raises:
        FileError: it is no study, or unreadable.
        PresetError: its code is not trusted.
    """
    folder = folder.parent if folder.name == PLAN else folder
    plan = read_document(folder / PLAN, StudyPlan, "the plan of a study")
    arms = []
    for number, arm in enumerate(plan.arms):
        preset = open_code(arm.preset, folder / str(number), allow=allow_code)
        require_trust(preset)
        arms.append(arm.model_copy(update={"preset": preset}))
    plan = plan.model_copy(update={"arms": tuple(arms)})
    known = Path(plan.data_folder) if plan.data_folder else None
    options = Options(
        device=plan.device,
        precision=plan.precision,
        threads=plan.threads,
        data=data or known,
        out=folder.parent,
    )
    return Study(folder, plan, options)


def require_trust(preset: Preset) -> None:
    """Refuse a network in code that is not trusted.

    Raises:
        PresetError: it is not.
    """
    if code := preset.model.code:
        code.require_trust()


def finish_study(study: Study, workers: Workers, emit: Emit) -> StudyDocument:
    """Run the trials that are missing, and compare every arm with the base.

    The test set is read only if the study is evaluated on it, and then once a trial.

    Args:
        study: what was created or reopened.
        workers: who runs the trials.
        emit: told of every finished trial.

    Raises:
        UsageError: the workers differ.
        PresetError: an arm does not fit the data.
        FileError: data cannot be read or is not the same, a trial cannot be kept, or another
            process runs the study.
        Stopped: a signal came; its advice says how to resume.
    """
    plan, kept = study.plan, study.trials
    advice = f"resume with: mnistcli study --resume {quote(str(study.folder))}"
    options = replace(study.options, hold_out=plan.evaluated_on == "held-out")

    def prepare(arm: PlannedArm, seed: int) -> PresetTrial:
        return PresetTrial(arm.name, arm.preset, replace(options, seed=seed))

    base = plan.arms[0].name
    arms = [Arm(arm.name, partial(prepare, arm), (arm.name, base)) for arm in plan.arms]
    arms[0] = replace(arms[0], difference=None)
    with lock_run(study.folder):
        try:
            kept.open()
            done = run_study(study.folder.name, arms, plan.seeds, options, workers, emit, kept)
        except Stopped as stopped:
            stopped.advice = advice
            raise
        except FileError as error:
            raise FileError(f"{str(error).removesuffix('.')}; {advice}") from error
        document = _summarize(plan, done)
        done.write(document)
    files.remove(study.folder / LOCK)
    return document


def _summarize(plan: StudyPlan, done: PairedStudy) -> StudyDocument:
    base = done.arms[plan.arms[0].name]
    arms = [_result(arm, done.arms[arm.name], base.train_seconds) for arm in plan.arms]
    shared = done.describe(plan.arms[0].preset, plan.seeds) | {"evaluated_on": plan.evaluated_on}
    # A training that diverged ended before its network was evaluated.
    reads = sum(arm.n for arm in arms) if plan.evaluated_on == "test" else 0
    return StudyDocument(
        **shared,
        evaluated_images=base.first.evaluated_images,
        test_set_reads=reads,
        base=arms[0],
        arms=tuple(arms[1:]),
    )


def _result(arm: PlannedArm, trials: ArmTrials, base_seconds: float | None) -> StudyArm:
    seconds = trials.train_seconds
    return StudyArm(
        name=arm.name,
        title=arm.title,
        overrides=arm.overrides,
        n=sum(accuracy is not None for accuracy in trials.summary.accuracies),
        train_seconds=seconds,
        seconds_ratio=seconds / base_seconds if seconds and base_seconds else None,
        parameters=trials.first.parameters,
        macs=trials.first.macs,
        verdict=name_effect(trials.summary),
        **trials.summary._asdict(),
    )
