"""The phases of a curriculum: announced, evaluated when they end, and recorded."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from mnistcli.datasets.examples import CLASSES, Examples, split_validation
from mnistcli.engine.device import make_generator
from mnistcli.engine.evaluation import accuracy_on
from mnistcli.engine.events import EpochFinished, PhaseFinished, PhasePlanned
from mnistcli.engine.state import Recipe
from mnistcli.records.documents import PhaseRecord
from mnistcli.selection.course import Phase, PlannedCourse

MAX_IMAGES = 10_000


@dataclass(frozen=True)
class PhaseEvaluationSet:
    """Images on which phases are evaluated: never test images."""

    examples: Examples
    kind: str
    """As in "validation images"."""


def choose_phase_evaluation_set(
    examples: Examples, indices: Tensor, validation: Examples | None, seed: int
) -> PhaseEvaluationSet:
    """Return the held-out images or, without any, training images that are not learned from.

    If some digit is missing there, those that are learned from.

    Args:
        examples: all training images.
        indices: int64 (k,), those learned from.
        validation: the held-out images.
        seed: decides which images, if there are more than 10,000.
    """
    if validation and len(torch.unique(validation.labels)) == CLASSES:
        return PhaseEvaluationSet(validation, "validation images")
    unused = torch.ones(len(examples), dtype=torch.bool)
    unused[indices] = False
    rest, kind = torch.nonzero(unused)[:, 0], "training images not learned from"
    if len(torch.unique(examples.labels.cpu()[rest])) < CLASSES:
        rest, kind = indices, "training images"
    pool = examples.take(rest.to(examples.labels.device))
    if len(pool) > MAX_IMAGES:
        # This string seeds the generator, so it keeps its name.
        _, pool = split_validation(pool, MAX_IMAGES, make_generator(seed, "judges"))
    return PhaseEvaluationSet(pool.to(examples.labels.device), kind)


def describe_phases(course: PlannedCourse, recipe: Recipe) -> Iterator[PhasePlanned]:
    """Yield the event that announces each phase, in real numbers."""
    for phase in course.phases:
        size = course.sizes[phase.last_epoch - 1]
        taken = min(size, recipe.count_steps(size) * recipe.batch_size)
        yield PhasePlanned(
            name=phase.name,
            digits=phase.digits,
            images=phase.images,
            steps=phase.steps,
            batch_size=recipe.batch_size,
            left_out=size - taken,
            target=phase.target,
        )


def report_phase(phases: Sequence[Phase], confusions: Sequence[Tensor]) -> PhaseFinished:
    """Return the event of the phase that the last confusion matrix belongs to."""
    number, confusion = len(confusions), confusions[-1]
    phase = phases[number - 1]
    own = accuracy_on(confusion, phase.digits)
    seen = accuracy_on(confusion, _digits_so_far(phases[:number]))
    return PhaseFinished(number, phase.name, own, seen, phase.target)


def record_phases(
    phases: Sequence[Phase], confusions: Sequence[Tensor], history: Sequence[EpochFinished]
) -> tuple[PhaseRecord, ...]:
    """Return the record of every phase of a finished training.

    Args:
        phases: of the course.
        confusions: one for every phase, int64 (10, 10).
        history: all epochs.
    """
    records, first = [], 0
    for number, (phase, confusion) in enumerate(zip(phases, confusions, strict=True), start=1):
        epochs = history[first : phase.last_epoch]
        first = phase.last_epoch
        records.append(
            PhaseRecord(
                phase=number,
                name=phase.name,
                digits=phase.digits,
                images=phase.images,
                steps=phase.steps,
                seconds=sum(epoch.seconds for epoch in epochs),
                train_loss=epochs[-1].train_loss,
                train_accuracy=epochs[-1].train_accuracy,
                own_accuracy=accuracy_on(confusion, phase.digits),
                seen_accuracy=accuracy_on(confusion, _digits_so_far(phases[:number])),
                final_own_accuracy=accuracy_on(confusions[-1], phase.digits),
                digit_accuracies=tuple(accuracy_on(confusion, (d,)) for d in range(CLASSES)),
                target=phase.target,
            )
        )
    return tuple(records)


def _digits_so_far(phases: Sequence[Phase]) -> tuple[int, ...]:
    return tuple({digit for phase in phases for digit in phase.digits})
