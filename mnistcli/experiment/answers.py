"""Which pictures get an answer: limits that nearly all training images meet."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from mnistcli.datasets.examples import Examples
from mnistcli.engine.augment import build_augment
from mnistcli.engine.device import make_generator
from mnistcli.engine.evaluation import Evaluation, to_inputs
from mnistcli.engine.similarity import describe_answers, measure_similarity
from mnistcli.preset.augmentation import Affine
from mnistcli.records.documents import AnswerLimits

REFERENCES = 3_000
"""Training images that others are compared with."""
MEASURED = 3_000
"""Images that the limits are measured on."""
MIN_MEASURED = 100
"""Fewer do not show what is rare."""
REFUSED = 0.002
"""Fraction of these that each of the two limits refuses; together they refuse less than 1 %."""
TURN = Affine(kind="affine", degrees=6)
"""Makes images that were learned from a little harder. Not the preset's own augmentation: one that
cuts digits apart would have anything pass."""

Answer = Callable[[Examples], Evaluation]


@dataclass(frozen=True)
class AnswerSample:
    """Images that answers are compared with, and those that the limits are measured on."""

    references: Examples
    measured: Examples
    """None of the references."""
    kind: str
    """As in "held-out images"."""


def draw_sample(training: Examples, held_out: Examples | None, seed: int) -> AnswerSample:
    """Draw references from the training images, and others or the held-out ones to measure on."""
    device = training.labels.device
    order = torch.randperm(len(training), generator=make_generator(seed, "answers"))
    count = min(REFERENCES, len(order) if held_out else len(order) * 2 // 3)
    references = training.take(order[:count].to(device))
    if held_out:
        chosen = torch.arange(min(MEASURED, len(held_out)), device=device)
        labels = held_out.labels
        if len(torch.unique(labels[chosen])) < len(torch.unique(labels)):
            chosen = chosen * len(held_out) // len(chosen)  # the data is sorted by label
        return AnswerSample(references, held_out.take(chosen), "held-out images")
    others = training.take(order[count : count + MEASURED].to(device))
    generator = make_generator(seed, "answers", device=device)
    turned = build_augment([TURN])(to_inputs(others.images), generator)
    images = turned.mul_(255).round_().to(torch.uint8)
    return AnswerSample(references, Examples(images, others.labels), "turned training images")


def measure_limits(sample: AnswerSample, answer: Answer) -> AnswerLimits | None:
    """Return what nearly all images of the sample reach; None if it has too few images."""
    if len(sample.measured) < MIN_MEASURED:
        return None
    found = answer(sample.measured)
    similarity = rate_similarity(sample.measured.images, found, sample.references, answer)
    return AnswerLimits(
        min_confidence=float(found.probabilities.amax(dim=1).quantile(REFUSED)),
        min_similarity=float(similarity.quantile(REFUSED)),
        images=len(sample.measured),
        measured_on=sample.kind,
    )


def rate_similarity(
    images: Tensor, found: Evaluation, references: Examples, answer: Answer
) -> Tensor:
    """Return how similar images, uint8 (n, 1, 28, 28), are to the references, float32 (n,)."""
    known = describe_answers(references.images, answer(references).probabilities)
    return measure_similarity(describe_answers(images, found.probabilities), known)
