"""Preset → network → data → plan → loop → evaluation → record."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from shlex import quote

import torch

from mnistcli.engine.evaluation import evaluate
from mnistcli.engine.events import EpochFinished, Event
from mnistcli.engine.loop import Learner, Progress, train
from mnistcli.engine.profiling import measure_ceiling
from mnistcli.engine.stages import Stages
from mnistcli.errors import DivergedError, FileError, WriteError
from mnistcli.experiment.coresets.select import (
    SelectedCoreset,
    SelectionInputs,
    read_coreset,
    select_coreset,
)
from mnistcli.experiment.data import Data, load_data
from mnistcli.experiment.machine import Machine, Options, choose_machine
from mnistcli.experiment.network import (
    Network,
    build_network,
    check_batches,
    make_learner,
    make_recipe,
)
from mnistcli.experiment.training.checkpoint import Reporter, RunKeeper, Saved
from mnistcli.experiment.training.phases import (
    Course,
    PhaseJudge,
    announce,
    choose_phase_evaluation_set,
    plan_course,
)
from mnistcli.experiment.training.record import Ended, list_differences, make_profile, make_record
from mnistcli.preset.schema import Preset
from mnistcli.process import Stopped, defer_signals
from mnistcli.records.arrays import INDICES
from mnistcli.records.checkpoint import save_weights
from mnistcli.records.documents import CoresetRecord, PhaseRecord, Repetition, RunRecord
from mnistcli.records.states import DivergenceDocument, RunStart
from mnistcli.records.store import (
    DIVERGENCE,
    RECORD,
    START,
    STATE,
    EventLog,
    create_run_folder,
    lock_run,
    read_document,
    read_record,
    remove_leftovers,
    write_document,
    write_record,
)
from mnistcli.selection.coreset.groups import divide
from mnistcli.verdict.budget import check_budget, passed


@dataclass(frozen=True)
class Experiment:
    """A training about to start: everything that can be wrong before it has been checked."""

    start: RunStart
    machine: Machine
    network: Network
    data: Data
    chosen: SelectedCoreset | None
    """A coreset that was read from a file; one that the preset asks for is chosen by `run`."""
    folder: Path

    @property
    def preset(self) -> Preset:
        """What is trained, and how."""
        return self.start.preset

    @property
    def seed(self) -> int:
        """What decides all that is left to chance."""
        return self.start.seed

    @property
    def images(self) -> int:
        """How many images the network will learn from."""
        if self.chosen:
            return len(self.chosen.indices)
        return self.preset.coreset.size if self.preset.coreset else len(self.data.train)

    @property
    def fits(self) -> bool:
        """Whether the network's size meets the budget."""
        return passed(check_budget(self.preset.budget, {"parameters": self.network.parameters}))


@dataclass(frozen=True)
class _Trained:
    learner: Learner
    course: Course
    coreset: CoresetRecord | None
    history: list[EpochFinished]
    phases: tuple[PhaseRecord, ...]
    evaluated_on: str | None


def prepare(
    preset: Preset,
    options: Options,
    coreset: Path | None = None,
    *,
    folder: Path | None = None,
    earlier: RunRecord | None = None,
) -> Experiment:
    """Builds the network, reads the data and makes the run folder: all that can fail early.

    Args:
        preset: what to train, and how.
        options: where, in what, on which data, from which seed.
        coreset: a file of indices to learn from, instead of what the preset says.
        folder: the run's, if it has been made already.
        earlier: the run that this one is to repeat.

    Raises:
        PresetError: the network cannot be built or is not what its optimizer is for, too many
            images are held out or chosen, or a batch would be too small for batch normalization.
        UsageError: there is no such device.
        FileError: data or indices are unreadable, or the run folder cannot be made.
    """
    machine = choose_machine(options)
    network = build_network(preset, options.seed, machine)
    data = load_data(preset, options, machine)
    chosen = read_coreset(coreset, data.train) if coreset else None
    if preset.coreset and not chosen:
        divide(data.train.labels.cpu().numpy(), preset.coreset.size, preset.coreset.balance)
    started = datetime.now(UTC)
    start = RunStart(
        started=started.isoformat(timespec="seconds"),
        preset=preset,
        seed=options.seed,
        device=machine.device.type,
        precision=machine.precision_name,
        threads=machine.threads,
        data_folder=str(options.data.absolute()) if options.data else None,
        data=data.source,
        coreset_file=str(coreset.absolute()) if coreset else None,
        repeats=_plan_repetition(earlier, machine, data),
    )
    experiment = Experiment(start, machine, network, data, chosen, Path())
    check_batches(preset, experiment.images)
    folder = folder or create_run_folder(options.out, preset.name, options.seed, started)
    write_document(folder / START, start)
    return replace(experiment, folder=folder)


def reopen(folder: Path, data: Path | None = None) -> Experiment:
    """What `prepare` made of a run that has not ended.

    Args:
        folder: the run's.
        data: where its images are, if not where they were.

    Raises:
        FileError: the run has not begun, or cannot be read, or these are other images.
        UsageError: the device that it was trained on is not there.
    """
    start = read_document(folder / START, RunStart, "the beginning of a run")
    known = Path(start.data_folder) if start.data_folder else None
    options = Options(start.seed, start.device, start.precision, start.threads, data or known)
    machine = choose_machine(options)
    network = build_network(start.preset, start.seed, machine)
    images = load_data(start.preset, options, machine)
    if images.source.train_sha256 != start.data.train_sha256:
        raise FileError(f'"{folder}" was begun with other images; name their folder with --data')
    chosen = read_coreset(Path(start.coreset_file), images.train) if start.coreset_file else None
    return Experiment(start, machine, network, images, chosen, folder)


def run(
    experiment: Experiment, show: Callable[[Event], None], *, profile: bool = False
) -> RunRecord:
    """Trains, or goes on, reads the test set once, and leaves record, events and weights.

    Args:
        experiment: what was prepared or reopened; its network is trained in place.
        show: told of every event.
        profile: whether to measure, afterwards, how fast the network could have learned.

    Raises:
        DivergedError: a loss is not finite.
        FileError: the run folder cannot be written, or another process trains this run.
        Stopped: a signal came; its advice says how to go on.
    """
    folder = experiment.folder
    advice = f"go on with: mnistcli train --resume {quote(str(folder))}"
    with lock_run(folder):
        if (folder / RECORD).exists():
            return read_record(folder)
        remove_leftovers(folder)
        try:
            record = _run(experiment, show, profile=profile)
            write_record(folder, record)
        except Stopped as stopped:
            stopped.advice = stopped.advice or advice
            raise
        except WriteError as error:
            raise WriteError(f"{error}; {advice}") from error
        except DivergedError as error:
            document = DivergenceDocument(**asdict(error.divergence))
            write_document(folder / DIVERGENCE, document)
            raise
        remove_leftovers(folder)
    return record


def _run(experiment: Experiment, show: Callable[[Event], None], *, profile: bool) -> RunRecord:
    folder, data = experiment.folder, experiment.data
    saved = Saved(folder) if (folder / STATE).exists() else None
    with EventLog(folder, saved.events_bytes if saved else 0) as log:
        trained = _train(experiment, saved, log, show)
    learner = trained.learner
    begin = time.perf_counter()
    tested = evaluate(learner.result, data.test, experiment.preset.normalization)
    evaluation_seconds = time.perf_counter() - begin
    ended = Ended(
        coreset=trained.coreset,
        history=trained.history,
        passes=trained.course.passes,
        phases=trained.phases,
        evaluated_on=trained.evaluated_on,
        tested=tested,
        weights_sha256=save_weights(learner.result, folder),
    )
    record = make_record(
        experiment.start, folder, experiment.machine, experiment.network, data, ended
    )
    if profile:
        recipe = make_recipe(experiment.preset, experiment.seed, experiment.machine)
        ceiling = measure_ceiling(learner, data.train, recipe)
        profiled = make_profile(trained.history, evaluation_seconds, ceiling)
        record = record.model_copy(update={"profile": profiled})
    return record


def _train(
    experiment: Experiment, saved: Saved | None, log: EventLog, show: Callable[[Event], None]
) -> _Trained:
    """Chooses, plans and trains; what was done before an interruption is not done again."""
    preset, data, folder = experiment.preset, experiment.data, experiment.folder
    emit = Reporter(log, show, going_on=saved is not None)
    stages = Stages(emit)
    inputs = SelectionInputs(data.train, experiment.seed, experiment.machine, stages)
    if saved:
        chooses = bool(preset.coreset or experiment.chosen)
        choice = read_coreset(folder / INDICES, data.train) if chooses else None
        coreset = saved.check_coreset(len(choice.indices) if choice else None)
    else:
        choice = _choose(experiment, inputs, stages)
        settings = None if experiment.chosen else preset.coreset
        coreset = choice.save(folder, settings) if choice else None
    indices = choice.tensor if choice else torch.arange(len(data.train))
    recipe = make_recipe(preset, experiment.seed, experiment.machine)
    course = plan_course(preset, indices, data.train, recipe, inputs, experiment.network.model)
    announce(course, recipe, emit)
    learner = make_learner(preset, experiment.network, course.plan, recipe)
    progress, confusions = Progress(), list[torch.Tensor]()
    judges = choose_phase_evaluation_set(
        data.train, indices, data.validation, experiment.seed, course
    )
    if saved:
        progress = saved.restore(learner, recipe, course.plan.sizes, len(data.train))
        ends = [phase.last_epoch for phase in course.phases] if judges else []
        confusions = saved.restore_confusions(ends)
    judge = PhaseJudge(
        lambda: learner.result, course, judges, preset.normalization, emit, confusions
    )
    with defer_signals() as raise_waiting:
        keeper = RunKeeper(folder, learner, log, coreset, judge.confusions, raise_waiting)
        history = train(
            learner, data.train, course.plan, recipe, data.validation, judge, (keeper, progress)
        )
    phases = judge.records(history)
    evaluated_on = judges.kind if judges else None
    return _Trained(learner, course, coreset, history, phases, evaluated_on)


def _choose(
    experiment: Experiment, inputs: SelectionInputs, stages: Stages
) -> SelectedCoreset | None:
    settings, examples = experiment.preset.coreset, experiment.data.train
    if experiment.chosen or not settings:
        return experiment.chosen
    return select_coreset(settings, examples, experiment.seed, inputs, stages)


def _plan_repetition(earlier: RunRecord | None, machine: Machine, data: Data) -> Repetition | None:
    if earlier is None:
        return None
    return Repetition(
        run_id=earlier.run_id,
        weights_sha256=earlier.weights_sha256,
        differences=list_differences(earlier, machine, data.source.train_sha256),
    )
