"""The one place where all meet: preset → network → data → loop → evaluation → record."""

import platform
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from math import prod
from pathlib import Path

import torch
from torch import nn

from mnistcli import __version__
from mnistcli.engine import device as devices
from mnistcli.engine.augment import build_augment
from mnistcli.engine.data import Examples, Split, fingerprint, load_examples, split_validation
from mnistcli.engine.evaluation import Evaluation, evaluate
from mnistcli.engine.events import EpochFinished, Event, StepFinished
from mnistcli.engine.loop import Learner, Recipe, train
from mnistcli.engine.model import build_model, count_parameters, describe_model
from mnistcli.engine.optim import build_optimizer, build_schedule
from mnistcli.errors import PresetError
from mnistcli.preset.schema import Preset
from mnistcli.records.checkpoint import load_weights, save_weights
from mnistcli.records.documents import (
    DataSource,
    DigitResult,
    EpochRecord,
    EvaluationDocument,
    LayerRow,
    Memory,
    RunRecord,
    Summary,
    TestResult,
)
from mnistcli.records.store import EventLog, create_run_folder, read_record, write_record
from mnistcli.verdict.budget import audit_claims, check_budget, passed
from mnistcli.verdict.stats import wilson_interval

BYTES_PER_VALUE = 4


@dataclass(frozen=True)
class Options:
    """What a user says beside the preset."""

    seed: int = 0
    device: devices.DeviceChoice = "auto"
    precision: devices.PrecisionChoice = "auto"
    threads: int | None = None
    data: Path | None = None
    out: Path = Path("runs")


@dataclass(frozen=True)
class Experiment:
    """A training about to start: everything that can be wrong before it has been checked."""

    preset: Preset
    seed: int
    device: torch.device
    precision: torch.dtype
    threads: int
    model: nn.Module
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


def summarize(preset: Preset) -> Summary:
    """Builds the network and says what it is, what it costs, and which claims about it agree.

    Raises:
        PresetError: the network cannot be built.
    """
    layers = describe_model(preset.model.layers)
    parameters = sum(layer.parameters for layer in layers)
    outputs = [prod(layer.output_shape) for layer in layers]
    inputs = [28 * 28, *outputs[:-1]]
    figures = {"parameters": parameters}
    checks = check_budget(preset.budget, figures)
    return Summary(
        preset=preset,
        parameters=parameters,
        macs=sum(layer.macs for layer in layers),
        layers=tuple(LayerRow(**asdict(layer)) for layer in layers),
        memory=Memory(
            parameters=BYTES_PER_VALUE * parameters,
            forward=BYTES_PER_VALUE * max(map(sum, zip(inputs, outputs, strict=True))),
            backward=BYTES_PER_VALUE * 2 * sum(outputs),
        ),
        published=audit_claims(preset.published, figures),
        checks=checks,
        passed=passed(checks),
    )


def prepare(preset: Preset, options: Options) -> Experiment:
    """Builds the network, reads the data and makes the run folder: all that can fail early.

    Raises:
        PresetError: the network cannot be built, or too many images are held out.
        UsageError: there is no such device.
        FileError: the data is unreadable, or the run folder cannot be made.
    """
    device = devices.choose_device(options.device)
    threads = devices.choose_threads(options.threads)
    weights = devices.make_generator(options.seed, "weights")
    model = build_model(preset.model.layers, weights)
    examples, test = load_examples("train", options.data), load_examples("test", options.data)
    source = DataSource(
        source=str(options.data) if options.data else "MNIST (embedded)",
        train_sha256=fingerprint(examples),
        test_sha256=fingerprint(test),
    )
    validation = None
    if preset.train.validation_examples >= len(examples):
        raise PresetError(
            f"train.validation_examples: the data has only {len(examples):,} training images"
        )
    if preset.train.validation_examples:
        generator = devices.make_generator(options.seed, "validation")
        examples, validation = split_validation(
            examples, preset.train.validation_examples, generator
        )
    started = datetime.now(UTC)
    return Experiment(
        preset=preset,
        seed=options.seed,
        device=device,
        precision=devices.choose_precision(options.precision, device),
        threads=threads,
        model=model.to(device).to(memory_format=torch.channels_last),
        parameters=count_parameters(model),
        train=examples.to(device),
        validation=validation.to(device) if validation else None,
        test=test.to(device),
        source=source,
        folder=create_run_folder(options.out, preset.name, options.seed, started),
        started=started,
    )


def run(experiment: Experiment, show: Callable[[Event], None]) -> RunRecord:
    """Trains, reads the test set once, and leaves record, events and weights in the run folder.

    Raises:
        DivergedError: an epoch's loss is not finite.
        FileError: the run folder cannot be written.
    """
    with EventLog(experiment.folder) as log:

        def emit(event: Event) -> None:
            if not isinstance(event, StepFinished):
                log(event)
            show(event)

        history = _train(experiment, emit)
    tested = evaluate(experiment.model, experiment.test, experiment.preset.normalization)
    digest = save_weights(experiment.model, experiment.folder)
    record = _make_record(experiment, history, tested, digest)
    write_record(experiment.folder, record)
    return record


def evaluate_run(folder: Path, split: Split, options: Options) -> EvaluationDocument:
    """Rebuilds a run's network, loads its weights and lets it answer to a split.

    Raises:
        FileError: record, weights or data are unreadable or do not fit each other.
        UsageError: there is no such device.
    """
    record = read_record(folder)
    device = devices.choose_device(options.device)
    devices.choose_threads(options.threads)
    model = build_model(record.preset.model.layers, devices.make_generator(0, "weights"))
    load_weights(model, folder)
    examples = load_examples(split, options.data)
    same_images = split == "test" and fingerprint(examples) == record.data.test_sha256
    result = evaluate(model.to(device), examples.to(device), record.preset.normalization)
    return EvaluationDocument(
        run_id=record.run_id,
        preset=record.preset.name,
        split=split,
        data=str(options.data) if options.data else "MNIST (embedded)",
        accuracy=result.accuracy,
        correct=result.correct,
        total=result.total,
        loss=result.loss,
        interval=wilson_interval(result.correct, result.total),
        confusion=tuple(tuple(row) for row in result.confusion.tolist()),
        per_class=_judge_digits(result),
        matches_record=result.correct == record.test.correct if same_images else None,
    )


def _train(experiment: Experiment, emit: Callable[[Event], None]) -> list[EpochFinished]:
    settings = experiment.preset.train
    recipe = Recipe(
        batch_size=settings.batch_size,
        drop_last=settings.drop_last,
        label_smoothing=settings.label_smoothing,
        normalization=experiment.preset.normalization,
        augment=build_augment(experiment.preset.augment),
        precision=experiment.precision,
        seed=experiment.seed,
    )
    plan = [torch.arange(len(experiment.train))] * settings.epochs
    optimizer = build_optimizer(settings.optimizer, experiment.model.parameters())
    schedule = build_schedule(
        settings.schedule,
        optimizer,
        epochs=settings.epochs,
        total_steps=sum(len(recipe.batches(indices)) for indices in plan),
    )
    learner = Learner(experiment.model, optimizer, schedule)
    return train(learner, experiment.train, plan, recipe, experiment.validation, emit)


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
        checks=checks,
        passed=passed(checks),
    )


def _judge_digits(result: Evaluation) -> tuple[DigitResult, ...]:
    rows = []
    for digit, row in enumerate(result.confusion.tolist()):
        total, correct = sum(row), row[digit]
        accuracy = correct / total if total else None
        rows.append(DigitResult(digit=digit, total=total, correct=correct, accuracy=accuracy))
    return tuple(rows)
