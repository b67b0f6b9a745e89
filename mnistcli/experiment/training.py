"""Preset → network → data → loop → evaluation → record."""

import platform
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from math import prod
from pathlib import Path

import torch
from torch import Tensor, nn, optim

from mnistcli import __version__
from mnistcli.engine import device as devices
from mnistcli.engine.augment import build_augment
from mnistcli.engine.data import Examples, fingerprint, load_examples, split_validation
from mnistcli.engine.evaluation import Evaluation, evaluate
from mnistcli.engine.events import EpochFinished, Event, StepFinished
from mnistcli.engine.loop import Learner, Recipe, train
from mnistcli.engine.model import build_model, count_parameters, describe_model
from mnistcli.engine.optim import build_average, build_optimizer, build_schedule
from mnistcli.engine.profiling import measure_ceiling
from mnistcli.errors import PresetError
from mnistcli.experiment.options import Options
from mnistcli.preset.schema import Preset
from mnistcli.records.checkpoint import save_weights
from mnistcli.records.documents import (
    DataSource,
    EpochRecord,
    Profile,
    RunRecord,
    TestResult,
)
from mnistcli.records.store import EventLog, create_run_folder, write_record
from mnistcli.verdict.budget import check_budget, passed
from mnistcli.verdict.stats import wilson_interval


@dataclass(frozen=True)
class Experiment:
    """A training about to start: everything that can be wrong before it has been checked."""

    preset: Preset
    seed: int
    device: torch.device
    precision: torch.dtype
    threads: int
    model: nn.Module
    optimizer: optim.Optimizer
    parameters: int
    train: Examples
    validation: Examples | None
    test: Examples
    source: DataSource
    folder: Path
    started: datetime

    @property
    def precision_name(self) -> str:
        """As in "bfloat16"."""
        return str(self.precision).removeprefix("torch.")

    @property
    def fits(self) -> bool:
        """Whether the network's size meets the budget."""
        return passed(check_budget(self.preset.budget, {"parameters": self.parameters}))


def prepare(preset: Preset, options: Options) -> Experiment:
    """Builds the network, reads the data and makes the run folder: all that can fail early.

    Raises:
        PresetError: the network cannot be built or is not what its optimizer is for, too many
            images are held out, or a batch would be too small for batch normalization.
        UsageError: there is no such device.
        FileError: the data is unreadable, or the run folder cannot be made.
    """
    device = devices.choose_device(options.device)
    threads = devices.choose_threads(options.threads)
    weights = devices.make_generator(options.seed, "weights")
    model = build_model(preset.model.layers, weights)
    model = model.to(device).to(memory_format=torch.channels_last)
    optimizer = build_optimizer(preset.train.optimizer, model.parameters())
    examples, test = load_examples("train", options.data), load_examples("test", options.data)
    source = DataSource(
        source=str(options.data) if options.data else "MNIST (embedded)",
        train_sha256=fingerprint(examples),
        test_sha256=fingerprint(test),
    )
    validation = None
    if held_out := preset.train.validation_examples:
        if held_out >= len(examples):
            raise PresetError(
                f"train.validation_examples: the data has only {len(examples):,} training images"
            )
        generator = devices.make_generator(options.seed, "validation")
        examples, validation = split_validation(examples, held_out, generator)
    _check_batches(preset, len(examples))
    started = datetime.now(UTC)
    return Experiment(
        preset=preset,
        seed=options.seed,
        device=device,
        precision=devices.choose_precision(options.precision, device),
        threads=threads,
        model=model,
        optimizer=optimizer,
        parameters=count_parameters(model),
        train=examples.to(device),
        validation=validation.to(device) if validation else None,
        test=test.to(device),
        source=source,
        folder=create_run_folder(options.out, preset.name, options.seed, started),
        started=started,
    )


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
    recipe = _make_recipe(experiment)
    plan = [torch.arange(len(experiment.train))] * experiment.preset.train.epochs
    learner = _make_learner(experiment, plan, recipe)
    with EventLog(experiment.folder) as log:

        def emit(event: Event) -> None:
            if not isinstance(event, StepFinished):
                log(event)
            show(event)

        history = train(learner, experiment.train, plan, recipe, experiment.validation, emit)
    begin = time.perf_counter()
    tested = evaluate(learner.result, experiment.test, experiment.preset.normalization)
    evaluation_seconds = time.perf_counter() - begin
    digest = save_weights(learner.result, experiment.folder)
    record = _make_record(experiment, history, tested, digest)
    if profile:
        ceiling = measure_ceiling(learner, experiment.train, recipe)
        profiled = _make_profile(history, evaluation_seconds, ceiling)
        record = record.model_copy(update={"profile": profiled})
    write_record(experiment.folder, record)
    return record


def _check_batches(preset: Preset, images: int) -> None:
    """Refuses a batch of one image where batch normalization would see one value a channel."""
    size, rest = preset.train.batch_size, images % preset.train.batch_size
    alone = size == 1 or images == 1 or (rest == 1 and not preset.train.drop_last)
    single = any(
        layer.kind == "batch_norm" and prod(layer.output_shape[1:]) == 1
        for layer in describe_model(preset.model.layers)
    )
    if alone and single:
        raise PresetError(
            f"train.batch_size: {images:,} images in batches of {size:,} leave a batch of one, "
            "which batch_norm cannot normalize at 1 × 1; change it or set train.drop_last=true"
        )


def _make_recipe(experiment: Experiment) -> Recipe:
    settings = experiment.preset.train
    return Recipe(
        batch_size=settings.batch_size,
        drop_last=settings.drop_last,
        label_smoothing=settings.label_smoothing,
        normalization=experiment.preset.normalization,
        augment=build_augment(experiment.preset.augment),
        precision=experiment.precision,
        seed=experiment.seed,
    )


def _make_learner(experiment: Experiment, plan: list[Tensor], recipe: Recipe) -> Learner:
    settings = experiment.preset.train
    schedule = build_schedule(
        settings.schedule,
        experiment.optimizer,
        epochs=settings.epochs,
        total_steps=sum(len(recipe.batches(indices)) for indices in plan),
    )
    average = build_average(experiment.model, settings.ema_decay)
    return Learner(experiment.model, experiment.optimizer, schedule, average)


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
    experiment: Experiment, history: list[EpochFinished], tested: Evaluation, digest: str
) -> RunRecord:
    train_examples = len(experiment.train)
    held_out = len(experiment.validation) if experiment.validation else 0
    figures = {
        "parameters": experiment.parameters,
        "test_accuracy": tested.accuracy,
        "epochs": len(history),
        "train_seconds": sum(epoch.seconds for epoch in history),
        "train_fraction": train_examples / (train_examples + held_out),
    }
    checks = check_budget(experiment.preset.budget, figures)
    return RunRecord(
        run_id=experiment.folder.name,
        path=str(experiment.folder),
        started=experiment.started.isoformat(timespec="seconds"),
        preset=experiment.preset,
        seed=experiment.seed,
        device=experiment.device.type,
        precision=experiment.precision_name,
        threads=experiment.threads,
        versions={
            "mnistcli": __version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
            "numpy": version("numpy"),
            "platform": platform.platform(),
        },
        data=experiment.source,
        parameters=experiment.parameters,
        train_examples=train_examples,
        train_fraction=figures["train_fraction"],
        validation_examples=held_out,
        epochs=tuple(EpochRecord(**asdict(epoch)) for epoch in history),
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
