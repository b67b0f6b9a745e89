"""How hard is each example: what small networks answer while they learn → scores."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from mnistcli.datasets.examples import CLASSES, Examples
from mnistcli.engine.evaluation import respond
from mnistcli.engine.events import EpochFinished, Event
from mnistcli.preset.schema import Normalization
from mnistcli.selection.coreset.groups import Floats


class Answers(NamedTuple):
    """What one network answered to all examples after one epoch."""

    features: Tensor
    """Float32 (n, d): what its last layer sees."""
    probabilities: Tensor
    """Float32 (n, 10)."""


class Collector:
    """Listens to one training, and asks the network after every epoch for all of its answers."""

    def __init__(
        self, model: nn.Sequential, examples: Examples, normalization: Normalization
    ) -> None:
        self._model, self._examples, self._normalization = model, examples, normalization
        self.answers: list[Answers] = []

    def __call__(self, event: Event) -> None:
        """Collects, if the event is the end of an epoch."""
        if isinstance(event, EpochFinished):
            features, logits = respond(self._model, self._examples, self._normalization)
            self.answers.append(Answers(features.cpu(), logits.softmax(dim=1).cpu()))


def score(trainings: Sequence[Sequence[Answers]], labels: Tensor) -> dict[str, Floats]:
    """All scores, float32 (n,), means over the trainings; greater is harder.

    Args:
        trainings: the answers after every epoch of each.
        labels: int64 (n,), on the CPU.
    """
    made = [_score_training(answers, labels) for answers in trainings]
    return {name: torch.stack([one[name] for one in made]).mean(dim=0).numpy() for name in made[0]}


def _score_training(answers: Sequence[Answers], labels: Tensor) -> dict[str, Tensor]:
    """Loss, margin and entropy at the end, EL2N and GraNd in the middle, forgetting throughout.

    Source: EL2N, the error's norm, Paul et al. 2021, definition 2; margin, the lead of the first
    answer over the second, as in Scheffer et al. 2001.
    """
    middle, last = answers[(len(answers) - 1) // 2], answers[-1].probabilities
    error = middle.probabilities - functional.one_hot(labels, CLASSES)
    first, second = last.topk(2, dim=1).values.unbind(dim=1)
    return {
        "loss": -torch.log(last.gather(1, labels[:, None])[:, 0].clamp(min=1e-12)),
        "margin": 1 - (first - second),
        "entropy": torch.special.entr(last).sum(dim=1),
        "el2n": torch.linalg.vector_norm(error, dim=1),
        "grand": _last_layer_gradient(error, middle.features),
        "forgetting": _count_forgetting([each.probabilities for each in answers], labels),
    }


def _last_layer_gradient(error: Tensor, features: Tensor) -> Tensor:
    """The norm of the loss's gradient by the last layer's weights and biases.

    Source: GraNd (Paul et al. 2021, equation 3), which takes the gradient by all weights, at the
    beginning; that by the last layer costs no backward pass, and is taken in mid-training.
    """
    gradient: Tensor = torch.linalg.vector_norm(error, dim=1)
    gradient *= (features.square().sum(dim=1) + 1).sqrt()
    return gradient


def _count_forgetting(probabilities: Sequence[Tensor], labels: Tensor) -> Tensor:
    """How often an example was right after one epoch and wrong after the next.

    One that never was right counts as forgotten in every epoch.

    Source: Toneva et al. 2019, algorithm 1, which looks at every example when it is trained on;
    here all are looked at after every epoch, with the same weights.
    """
    right = torch.stack([each.argmax(dim=1) == labels for each in probabilities])
    forgotten = (right[:-1] & ~right[1:]).sum(dim=0).float()
    forgotten[~right.any(dim=0)] = len(right)
    return forgotten
