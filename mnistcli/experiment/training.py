"""Preset → network → data → plan → loop → evaluation → record."""

import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import torch

from mnistcli import __version__
from mnistcli.engine import device as devices
from mnistcli.engine.evaluation import Evaluation, evaluate
from mnistcli.engine.events import EpochFinished, Event, StepFinished
from mnistcli.engine.loop import train
from mnistcli.engine.profiling import measure_ceiling
from mnistcli.experiment.coreset import Choice, Material, choose_coreset, read_coreset
from mnistcli.experiment.curriculum import PhaseJudge, announce, find_judges, plan_course
from mnistcli.experiment.data import Data, load_data
from mnistcli.experiment.network import (
    Machine,
    Network,
    build_network,
    check_batches,
    choose_machine,
    make_learner,
    make_recipe,
)
from mnistcli.experiment.options import Options
from mnistcli.experiment.stages import Stages
from mnistcli.preset.coreset import Coreset
from mnistcli.preset.schema import Preset
from mnistcli.records.checkpoint import save_weights
from mnistcli.records.documents import (
    ChosenCoreset,
    EpochRecord,
    Profile,
    RunRecord,
    TestResult,
)
from mnistcli.records.store import EventLog, create_run_folder, write_record
from mnistcli.selection.coreset.groups import divide
from mnistcli.verdict.budget import check_budget, check_phases, passed
from mnistcli.verdict.stats import wilson_interval


@dataclass(frozen=True)
class Experiment:
    """A training about to start: everything that can be wrong before it has been checked."""

    preset: Preset
    seed: int
    machine: Machine
    network: Network
    data: Data
    chosen: Choice | None
    """A coreset that was read from a file; one that the preset asks for is chosen by `run`."""
    folder: Path
    started: datetime

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


def prepare(preset: Preset, options: Options, coreset: Path | None = None) -> Experiment:
    """Builds the network, reads the data and makes the run folder: all that can fail early.

    Args:
        preset: what to train, and how.
        options: where, in what, on which data, from which seed.
        coreset: a file of indices to learn from, instead of what the preset says.

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
    experiment = Experiment(
        preset=preset,
        seed=options.seed,
        machine=machine,
        network=network,
        data=data,
        chosen=chosen,
        folder=Path(),
        started=started,
    )
    check_batches(preset, experiment.images)
    folder = create_run_folder(options.out, preset.name, options.seed, started)
    return replace(experiment, folder=folder)


def run(
    experiment: Experiment, show: Callable[[Event], None], *, profile: bool = False
) -> RunRecord:
    """Trains, reads the test set once, and leaves record, events and weights in the run folder.

    Args:
        experiment: what was prepared; its network is trained in place.
        show: told of every event.
        profile: whether to measure, afterwards, how fast the network could have learned.

    Raises:
        DivergedError: an epoch's loss is not finite.
        FileError: the run folder cannot be written.
    """
    preset, data = experiment.preset, experiment.data
    with EventLog(experiment.folder) as log:

        def emit(event: Event) -> None:
            if not isinstance(event, StepFinished):
                log(event)
            show(event)

        stages = Stages(emit)
        material = Material(data.train, experiment.seed, experiment.machine, stages)
        choice = _choose(experiment, material, stages)
        indices = choice.tensor if choice else torch.arange(len(data.train))
        recipe = make_recipe(preset, experiment.seed, experiment.machine)
        model = experiment.network.model
        course = plan_course(preset, indices, data.train, recipe, material, model)
        announce(course, recipe, emit)
        learner = make_learner(preset, experiment.network, course.plan, recipe)
        judges = find_judges(data.train, indices, data.validation, experiment.seed, course)
        judge = PhaseJudge(lambda: learner.result, course, judges, preset.normalization, emit)
        history = train(learner, data.train, course.plan, recipe, data.validation, judge)
    coreset = choice.save(experiment.folder, _settings(experiment)) if choice else None
    begin = time.perf_counter()
    tested = evaluate(learner.result, data.test, preset.normalization)
    evaluation_seconds = time.perf_counter() - begin
    digest = save_weights(learner.result, experiment.folder)
    record = _make_record(experiment, coreset, course.passes, history, tested, digest)
    if course.phases:
        phases = judge.records()
        checks = (*record.checks, *check_phases(phases))
        record = record.model_copy(
            update={
                "phases": phases, "phases_judged_on": judges.kind if judges else None,
                "checks": checks, "passed": passed(checks),
            }
        )  # fmt: skip
    if profile:
        ceiling = measure_ceiling(learner, data.train, recipe)
        profiled = _make_profile(history, evaluation_seconds, ceiling)
        record = record.model_copy(update={"profile": profiled})
    write_record(experiment.folder, record)
    return record


def _choose(experiment: Experiment, material: Material, stages: Stages) -> Choice | None:
    settings, examples = experiment.preset.coreset, experiment.data.train
    if experiment.chosen or not settings:
        return experiment.chosen
    return choose_coreset(settings, examples, experiment.seed, material, stages)


def _settings(experiment: Experiment) -> Coreset | None:
    return None if experiment.chosen else experiment.preset.coreset


def _make_profile(
    history: list[EpochFinished], evaluation_seconds: float, ceiling: float
) -> Profile:
    stages: dict[str, float] = {}
    for epoch in history:
        for stage, seconds in epoch.stages.items():
            stages[stage] = stages.get(stage, 0.0) + seconds
    speed = sum(epoch.images for epoch in history) / sum(epoch.seconds for epoch in history)
    return Profile(
        stages={**stages, "evaluation": evaluation_seconds},
        images_per_second=speed,
        ceiling_images_per_second=ceiling,
        share_of_ceiling=speed / ceiling,
    )


def _make_record(
    experiment: Experiment,
    coreset: ChosenCoreset | None,
    passes: float,
    history: list[EpochFinished],
    tested: Evaluation,
    digest: str,
) -> RunRecord:
    data, machine = experiment.data, experiment.machine
    held_out = len(data.validation) if data.validation else 0
    figures = {
        "parameters": experiment.network.parameters,
        "test_accuracy": tested.accuracy,
        "epochs": int(passes) if passes == int(passes) else passes,
        "train_seconds": sum(epoch.seconds for epoch in history),
        "train_fraction": experiment.images / (len(data.train) + held_out),
    }
    checks = check_budget(experiment.preset.budget, figures)
    return RunRecord(
        run_id=experiment.folder.name,
        path=str(experiment.folder),
        started=experiment.started.isoformat(timespec="seconds"),
        preset=experiment.preset,
        seed=experiment.seed,
        device=machine.device.type,
        precision=machine.precision_name,
        threads=machine.threads,
        versions={
            "mnistcli": __version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": version("numpy"),
            "platform": platform.platform(),
        },
        data=data.source,
        parameters=experiment.network.parameters,
        macs=experiment.network.macs,
        train_examples=experiment.images,
        train_fraction=figures["train_fraction"],
        validation_examples=held_out,
        coreset=coreset,
        epochs=tuple(EpochRecord(**asdict(epoch)) for epoch in history),
        passes=passes,
        phases=(),
        phases_judged_on=None,
        train_seconds=figures["train_seconds"],
        test=TestResult(
            accuracy=tested.accuracy,
            correct=tested.correct,
            total=tested.total,
            loss=tested.loss,
            interval=wilson_interval(tested.correct, tested.total),
        ),
        weights_sha256=digest,
        peak_memory=devices.measure_peak_memory(),
        profile=None,
        checks=checks,
        passed=passed(checks),
    )
