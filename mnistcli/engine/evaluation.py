"""Evaluate a network on examples."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from mnistcli.datasets.examples import CLASSES, Examples
from mnistcli.engine.device import drawing_from

BATCH = 1_000
PROBED = 100
TINY = 1e-30


class Normalization(Protocol):
    """Mean and standard deviation of the pixels in [0, 1], as a preset gives them."""

    @property
    def mean(self) -> float:
        """Return the mean."""

    @property
    def std(self) -> float:
        """Return the standard deviation."""


@dataclass(frozen=True)
class Evaluation:
    """Predictions of a network on a set of examples."""

    predictions: Tensor
    """int64 (n,), on the CPU."""
    confusion: Tensor
    """int64 (10, 10): rows are true digits, columns predicted ones."""
    loss: float
    """Mean cross entropy, without label smoothing."""
    probabilities: Tensor
    """Float32 (n, 10), on the CPU."""

    @property
    def total(self) -> int:
        """Return the number of examples."""
        return len(self.predictions)

    @property
    def correct(self) -> int:
        """Return the number of examples recognized."""
        return int(self.confusion.diagonal().sum())

    @property
    def accuracy(self) -> float:
        """Return the fraction of the examples recognized."""
        return self.correct / self.total


def accuracy_on(confusion: Tensor, digits: Sequence[int]) -> float | None:
    """Return the fraction of these digits recognized, or None where there are none of them.

    Args:
        confusion: int64 (10, 10), rows are true digits.
        digits: those to count.
    """
    total = int(confusion[list(digits)].sum())
    return int(confusion.diagonal()[list(digits)].sum()) / total if total else None


def to_inputs(images: Tensor) -> Tensor:
    """Convert uint8 (n, 1, h, w) in 0 … 255 to float32 in [0, 1], a new tensor."""
    return images.to(torch.float32).div_(255)


def normalize(images: Tensor, normalization: Normalization) -> Tensor:
    """Replace float values in [0, 1] by (value - mean) / std, in place."""
    return images.sub_(normalization.mean).div_(normalization.std)


@torch.no_grad()
def respond(
    model: nn.Sequential, examples: Examples, normalization: Normalization
) -> tuple[Tensor, Tensor]:
    """Return the inputs of the network's last layer, float32 (n, d), and its logits (n, 10)."""
    model.eval()
    inputs, outputs = [], []
    for images in torch.split(examples.images, BATCH):
        features = model[:-1](normalize(to_inputs(images), normalization))
        inputs.append(features.flatten(1))
        outputs.append(model[-1](features))
    return torch.cat(inputs), torch.cat(outputs)


@torch.no_grad()
def measure_losses(model: nn.Module, examples: Examples, normalization: Normalization) -> Tensor:
    """Return the cross-entropy of every example, float32 (n,), on the CPU."""
    return torch.cat([
        functional.cross_entropy(logits, labels, reduction="none")
        for logits, labels in _predict(model, examples, normalization)
    ]).cpu()  # fmt: skip


@torch.no_grad()
def compute_logits(model: nn.Module, examples: Examples, normalization: Normalization) -> Tensor:
    """Return the logits of every example, float32 (n, 10), on the CPU."""
    return torch.cat([logits for logits, _ in _predict(model, examples, normalization)]).cpu()


@torch.no_grad()
def evaluate(model: nn.Module, examples: Examples, normalization: Normalization) -> Evaluation:
    """Evaluate the network on all examples, in float32 whatever it was trained in.

    So a record can be checked, to the last image, on a machine without bfloat16.

    Raises:
        FloatingPointError: the outputs are not finite.
    """
    outputs, loss = [], 0.0
    for logits, labels in _predict(model, examples, normalization):
        loss += float(functional.cross_entropy(logits, labels, reduction="sum"))
        outputs.append(logits)
    if not math.isfinite(loss):
        raise FloatingPointError("the outputs are not finite")
    logits = torch.cat(outputs).cpu()
    return _summarize(logits.softmax(dim=1), examples.labels.cpu(), loss / len(logits))


@torch.no_grad()
def has_finite_outputs(model: nn.Module, examples: Examples, normalization: Normalization) -> bool:
    """Return whether the network's outputs on the first images are finite.

    Every layer keeps its mode: frozen ones are in evaluation mode during a training.
    """
    modes = [(module, module.training) for module in model.modules()]
    with keep_state(model):
        outputs = model.eval()(normalize(to_inputs(examples.images[:PROBED]), normalization))
    for module, is_training in modes:
        module.training = is_training
    return bool(torch.isfinite(outputs).all())


def _predict(
    model: nn.Module, examples: Examples, normalization: Normalization
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield logits, float32 (n, 10), and labels of one batch after the other."""
    model.eval()
    with keep_state(model):
        for images, labels in zip(
            torch.split(examples.images, BATCH), torch.split(examples.labels, BATCH), strict=True
        ):
            yield model(normalize(to_inputs(images), normalization)).float(), labels


@contextmanager
def keep_state(model: nn.Module) -> Iterator[None]:
    """Let a network draw the same every time it is evaluated, and keep its buffers as they are.

    The code of a user's network may change its buffers whenever it runs.
    """
    buffers = [
        (module, name, buffer, buffer.clone())
        for module in model.modules()
        for name, buffer in module.named_buffers(recurse=False)
    ]
    with drawing_from(0):
        yield
    for module, name, buffer, value in buffers:
        setattr(module, name, buffer.copy_(value))


def combine(evaluations: Sequence[Evaluation], labels: Tensor) -> Evaluation:
    """Evaluate several networks as an ensemble: by the mean of their probabilities.

    Args:
        evaluations: of the same examples.
        labels: their digits, int64 (n,).

    Source: Lakshminarayanan et al. 2017, "Simple and scalable predictive uncertainty estimation
    using deep ensembles", section 2.4.
    """
    mean = torch.stack([one.probabilities for one in evaluations]).mean(dim=0)
    loss = float(functional.nll_loss(mean.clamp_min(TINY).log(), labels.cpu()))
    return _summarize(mean, labels.cpu(), loss)


def _summarize(probabilities: Tensor, labels: Tensor, loss: float) -> Evaluation:
    predictions = probabilities.argmax(dim=1)
    confusion = torch.bincount(labels * CLASSES + predictions, minlength=CLASSES**2)
    return Evaluation(
        predictions=predictions,
        confusion=confusion.view(CLASSES, CLASSES),
        loss=loss,
        probabilities=probabilities,
    )
