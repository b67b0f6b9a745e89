"""Predictions of small networks while they learn → scores of difficulty."""

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


class Predictions(NamedTuple):
    """Predictions of one network for all examples after one epoch."""

    features: Tensor
    """Input of the last layer, float32 (n, d)."""
    probabilities: Tensor
    """Float32 (n, 10)."""


class Collector:
    """A listener that lets the network predict all examples after every epoch."""

    def __init__(
        self, model: nn.Sequential, examples: Examples, normalization: Normalization
    ) -> None:
        self._model, self._examples, self._normalization = model, examples, normalization
        self.predictions: list[Predictions] = []

    def __call__(self, event: Event) -> None:
        """Collect predictions if an epoch has finished."""
        if isinstance(event, EpochFinished):
            features, logits = respond(self._model, self._examples, self._normalization)
            self.predictions.append(Predictions(features.cpu(), logits.softmax(dim=1).cpu()))


def score(trainings: Sequence[Sequence[Predictions]], labels: Tensor) -> dict[str, Floats]:
    """Return all scores, float32 (n,), as means over the trainings; greater is harder.

    Args:
        trainings: predictions after every epoch of each.
        labels: int64 (n,), on the CPU.
    """
    scored = [_score_training(predictions, labels) for predictions in trainings]
    return {
        name: torch.stack([each[name] for each in scored]).mean(dim=0).numpy() for name in scored[0]
    }


def _score_training(predictions: Sequence[Predictions], labels: Tensor) -> dict[str, Tensor]:
    """Compute loss, margin and entropy at the end, EL2N and GraNd midway, forgetting throughout.

    Source: EL2N, the norm of the error, Paul et al. 2021, definition 2; margin, the lead of the
    most likely class over the second, as in Scheffer et al. 2001.
    """
    middle, last = predictions[(len(predictions) - 1) // 2], predictions[-1].probabilities
    error = middle.probabilities - functional.one_hot(labels, CLASSES)
    first, second = last.topk(2, dim=1).values.unbind(dim=1)
    return {
        "loss": -torch.log(last.gather(1, labels[:, None])[:, 0].clamp(min=1e-12)),
        "margin": 1 - (first - second),
        "entropy": torch.special.entr(last).sum(dim=1),
        "el2n": torch.linalg.vector_norm(error, dim=1),
        "grand": _last_layer_gradient(error, middle.features),
        "forgetting": _count_forgetting([each.probabilities for each in predictions], labels),
    }


def _last_layer_gradient(error: Tensor, features: Tensor) -> Tensor:
    """Return the norm of the loss's gradient with respect to the last layer.

    Source: GraNd (Paul et al. 2021, equation 3), which takes the gradient with respect to all
    weights at initialization; that of the last layer needs no backward pass, and is taken midway.
    """
    gradient: Tensor = torch.linalg.vector_norm(error, dim=1)
    gradient *= (features.square().sum(dim=1) + 1).sqrt()
    return gradient


def _count_forgetting(probabilities: Sequence[Tensor], labels: Tensor) -> Tensor:
    """Count how often an example was correct after one epoch and wrong after the next.

    One that was never correct counts as forgotten in every epoch.

    Source: Toneva et al. 2019, algorithm 1, which checks an example when it is trained on; here
    all are checked after every epoch, with the same weights.
    """
    correct = torch.stack([each.argmax(dim=1) == labels for each in probabilities])
    forgotten = (correct[:-1] & ~correct[1:]).sum(dim=0).float()
    forgotten[~correct.any(dim=0)] = len(correct)
    return forgotten
