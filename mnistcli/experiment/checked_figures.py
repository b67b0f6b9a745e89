"""Every figure of a record that can be found again without training."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mnistcli.datasets.examples import Examples
from mnistcli.engine.evaluation import evaluate
from mnistcli.engine.network.contain import contain
from mnistcli.engine.prune import count_weights
from mnistcli.errors import FileError, MisfitError, PresetError
from mnistcli.experiment.coresets.select import read_coreset
from mnistcli.experiment.course import make_course
from mnistcli.experiment.data import Data, load_data
from mnistcli.experiment.evaluate import LOSS_TOLERANCE, is_near
from mnistcli.experiment.load_run import LoadedRun, load_run
from mnistcli.experiment.machine import Machine, Options, choose_machine
from mnistcli.experiment.network import build_network, make_recipe
from mnistcli.experiment.sizes import count_sizes
from mnistcli.experiment.training.members import list_seeds
from mnistcli.experiment.training.repeat import MAX_SEED
from mnistcli.preset.coreset import Coreset
from mnistcli.preset.curriculum import Hardest, Paced, SelfPaced
from mnistcli.records.arrays import INDICES, read_arrays
from mnistcli.records.base import Document
from mnistcli.records.checkpoint import hash_weights
from mnistcli.records.checks import CheckedFigure, Value
from mnistcli.records.documents import Check, Interval, RunRecord
from mnistcli.records.store import EVENTS
from mnistcli.records.tail import EventTail
from mnistcli.selection.stopping import count_epochs, list_figures
from mnistcli.verdict.budget import check_record, passed
from mnistcli.verdict.stats import wilson_interval

Near = tuple[float, float]
EXACT, TOLERANCE = (0.0, 0.0), (1e-9, 0.0)
"""The second is of figures that follow from others, whatever the order of their sums."""
Figures = Iterator[CheckedFigure]


def check_figures(folder: Path, record: RunRecord, options: Options) -> list[CheckedFigure]:
    """Compare every figure of a record that can be found again.

    Args:
        folder: run folder.
        record: of the run.
        options: device and threads, and a folder of data if it is not the run's own.

    Raises:
        FileError: weights, data or indices are unreadable.
        PresetError: the network is code that fails, or may not run.
        UsageError: the device is not available.
    """
    figures = [compare("weights", record.weights_sha256, hash_weights(folder))]
    if not 0 <= record.seed <= MAX_SEED:
        figures.append(compare("seed", record.seed, "out of range"))
    machine = choose_machine(options)
    try:
        run = load_run(folder, options)
        network = build_network(run.record.preset.standalone, 0, machine)
    except MisfitError:
        return [*figures, compare("network", record.preset.name, "the weights do not fit it")]
    except PresetError as error:
        if record.preset.model.python:
            raise  # that code fails or may not run says nothing about the record
        return [*figures, compare("network", record.preset.name, str(error))]
    try:
        data = _load_data(run, options, machine)
    except PresetError as error:
        return [*figures, compare("validation_examples", record.validation_examples, str(error))]
    return [
        *figures,
        compare("parameters", record.parameters, network.parameters),
        compare("macs", record.macs, network.macs),
        *_check_network(run, machine),
        *_check_images(run, data, machine),
        *_check_log(folder, record),
        *_check_budget(record),
    ]


def compare(figure: str, recorded: Value, found: Value, near: Near = EXACT) -> CheckedFigure:
    """Compare a recorded figure with the found one, within a relative or an absolute tolerance."""
    same = recorded == found
    if any(near) and isinstance(recorded, int | float) and isinstance(found, int | float):
        same = is_near(recorded, found, near)
    return CheckedFigure(
        figure=figure,
        recorded=recorded,
        found=found,
        verdict="confirmed" if same else "refuted",
    )


def _load_data(run: LoadedRun, options: Options, machine: Machine) -> Data:
    """Read the images of a run, and hold out what it held out.

    Raises:
        PresetError: there are too few images for that.
        FileError: they are unreadable.
    """
    options = replace(options, seed=run.record.seed, data=run.data, hold_out=run.is_held_out)
    try:
        return load_data(run.record.preset, options, machine)
    except FileError as error:
        raise error if run.data_named else run.lacks("test", error) from error


def _check_images(run: LoadedRun, data: Data, machine: Machine) -> Figures:
    """Check what was learned from, and the test; nothing can be said with other images."""
    record, found = run.record, data.source
    yield compare("training_data", record.data.train_sha256, found.train_sha256)
    if record.data.train_sha256 == found.train_sha256:
        yield from _check_training_images(run, data, machine)
    yield compare("test_data", record.data.test_sha256, found.test_sha256)
    if record.data.test_sha256 == found.test_sha256:
        yield from _check_test(run, data.test)


def _check_training_images(run: LoadedRun, data: Data, machine: Machine) -> Figures:
    record, coreset, settings = run.record, run.record.coreset, run.record.preset.coreset
    held_out, indices = len(data.validation or ()), torch.arange(len(data.train))
    if coreset:
        try:
            selected = read_coreset(run.folder / INDICES, data.train)
        except FileError as error:
            read_arrays(run.folder / INDICES)  # is it unreadable, or of other images?
            yield compare("coreset", coreset.indices_sha256, str(error))
            return
        indices = selected.tensor
        found = sha256(selected.indices.data).hexdigest()
        yield compare("coreset", coreset.indices_sha256, found)
    used = (coreset.settings or settings) if coreset else None  # a file has no settings
    if used != settings:
        yield compare("coreset_method", _method(used), _method(settings))
    yield compare("train_examples", record.train_examples, len(indices))
    yield compare("validation_examples", record.validation_examples, held_out)
    share = len(indices) / (len(data.train) + held_out)
    yield compare("train_fraction", record.train_fraction, share, TOLERANCE)
    passes, images = _plan(run, data, indices, machine)
    epochs = record.preset.epochs  # which 0.1.0 recorded of rounds
    is_older = isinstance(record.preset.curriculum, Paced | SelfPaced) and record.passes == epochs
    yield compare("epochs", record.passes, epochs if is_older else passes, TOLERANCE)
    yield compare("images_seen", sum(epoch.images for epoch in record.epochs), images)
    spent = sum(each.seconds for each in record.epochs)
    yield compare("train_seconds", record.train_seconds, spent, TOLERANCE)


def _method(settings: Coreset | None) -> str:
    return settings.selector.kind if settings else "none"


def _plan(run: LoadedRun, data: Data, indices: torch.Tensor, machine: Machine) -> tuple[float, int]:
    """Return the passes over the images that the preset plans, and the images in its batches.

    Of an ensemble, the passes are those of the member with the most.
    """
    plans = []
    for number in range(1, run.record.preset.members + 1):
        own = tuple(each for each in run.record.epochs if each.member in {None, number})
        member = replace(run, record=run.record.model_copy(update={"epochs": own}))
        plans.append(_plan_member(member, data, indices, machine))
    return max(passes for passes, _ in plans), sum(images for _, images in plans)


def _plan_member(
    run: LoadedRun, data: Data, indices: torch.Tensor, machine: Machine
) -> tuple[float, int]:
    """Return the passes and images of one network, whose epochs alone are in the run's record.

    Early stopping is decided again, by the recorded figures of the held-out images. A training by
    time may have had any number of epochs, and the last one may have been cut short.
    """
    preset = run.record.preset.standalone
    recipe, is_timed = make_recipe(preset, run.record.seed, machine), preset.train.within_seconds
    ended = _count_epochs(run.record)
    times = 1
    if not isinstance(preset.curriculum, Paced | SelfPaced | Hardest) and not is_timed:
        # All passes are alike, and thousands of them would fill the memory.
        times, once = ended, preset.train.model_copy(update={"epochs": 1})
        preset = preset.model_copy(update={"train": once, "prune": None})
    # Scores decide which images come when, not how many.
    scores = np.zeros(len(data.train), dtype=np.float32)
    course = make_course(preset, indices, data.train, recipe, lambda name: scores, run.model)
    epochs = ended if is_timed or isinstance(preset.curriculum, Hardest) else len(course.sizes)
    sizes = course.list_sizes(epochs)
    counts = [min(size, recipe.count_steps(size) * recipe.batch_size) for size in sizes]
    if is_timed and counts:
        counts[-1] = min(counts[-1], run.record.epochs[epochs - 1].images)
    return times * course.count_passes(epochs), times * sum(counts)


def _count_epochs(record: RunRecord) -> int:
    """Return the number of planned epochs, as far as no early stopping ended them."""
    stopping, total = record.preset.train.early_stopping, 0
    for stage, epochs in zip(record.preset.stages, record.stages, strict=False):
        planned = stage.train.epochs if stage.train.within_seconds is None else len(epochs)
        total += count_epochs(stopping, list_figures(stopping, epochs), planned)
    return total


def _check_test(run: LoadedRun, examples: Examples) -> Figures:
    test, preset = run.record.test, run.record.preset
    try:
        with contain(preset.model.code):
            found = evaluate(run.model, examples, preset.normalization)
    except FloatingPointError:
        yield compare("test_loss", test.loss, "not finite")
        return
    yield compare("test_images", test.total, found.total)
    yield compare("test_correct", test.correct, found.correct)
    yield compare("test_accuracy", test.accuracy, found.accuracy, TOLERANCE)
    yield compare("test_loss", test.loss, found.loss, LOSS_TOLERANCE)
    interval = wilson_interval(found.correct, found.total)
    yield compare("interval", _interval(test.interval), _interval(interval))


def _interval(ends: Interval) -> str:
    return " to ".join(f"{100 * end:.2f} %" for end in ends)


def _check_log(folder: Path, record: RunRecord) -> Figures:
    """Check the epochs and phases against the log, if the folder has it."""
    if not (folder / EVENTS).is_file():
        return
    events = [event for event in EventTail(folder).read() if isinstance(event, dict)]
    kinds = (("epochs", "EpochFinished", record.epochs), ("phases", "PhaseFinished", record.phases))
    for name, kind, parts in kinds:
        logged = [event for event in events if event.get("event") == kind]
        if logged or parts:
            yield compare(f"logged_{name}", len(parts), _count_logged(parts, logged))


def _count_logged(parts: Sequence[Document], logged: Sequence[dict[str, Any]]) -> int | str:
    """Return the number of events in a log, or that they say something else than the record."""
    same = all(
        part.model_dump(include=set(event)) | {"event": event["event"]} == event
        for part, event in zip(parts, logged, strict=False)
    )
    return len(logged) if same else "others"


def _check_network(run: LoadedRun, machine: Machine) -> Figures:
    yield from _check_members(run.record)
    yield from _check_sizes(run.record)
    yield from _check_pruning(run, machine)


def _check_members(record: RunRecord) -> Figures:
    if record.preset.ensemble:
        found = ", ".join(map(str, list_seeds(record.preset, record.seed)))
        recorded = ", ".join(str(member.seed) for member in record.members)
        yield compare("member_seeds", recorded, found)
        counts = sum(member.parameters for member in record.members)
        yield compare("member_parameters", counts, record.parameters)


def _check_sizes(record: RunRecord) -> Figures:
    if (recorded := record.integer_sizes) and (found := count_sizes(record.preset)):
        yield compare("constants", recorded.constants, found.constants)
        yield compare("memory", recorded.memory, found.memory)


def _check_pruning(run: LoadedRun, machine: Machine) -> Figures:
    pruning, prune = run.record.pruning, run.record.preset.prune
    if (pruning is None) != (prune is None):
        yield compare("pruned", pruning is not None, prune is not None)
    elif pruning and prune:
        before = build_network(run.record.preset.standalone.stages[0], 0, machine)
        counts = count_weights(run.model) if prune.kind == "weights" else (None, None)
        yield compare("parameters_before", pruning.parameters_before, before.parameters)
        yield compare("macs_before", pruning.macs_before, before.macs)
        yield compare("weights", pruning.weights, counts[0])
        yield compare("non_zero_weights", pruning.non_zero_weights, counts[1])


def _check_budget(record: RunRecord) -> Figures:
    """Check the record's verdicts against its own figures and limits."""
    checks = check_record(record)
    found = {check.name: check for check in checks}
    recorded = {check.name: check for check in record.checks}
    for name in dict.fromkeys((*found, *recorded)):
        mine, right = recorded.get(name), found.get(name)
        is_same_verdict = mine and right and mine.verdict == right.verdict and mine != right
        describe = _describe_limit if is_same_verdict else _describe_verdict
        yield compare(f"{name}_check", describe(mine), describe(right))
    yield compare("passed", record.passed, passed(checks))


def _describe_verdict(check: Check | None) -> str | None:
    return check.verdict if check else None


def _describe_limit(check: Check | None) -> str | None:
    return f"{check.value!r} {check.comparison} {check.limit!r}" if check else None
