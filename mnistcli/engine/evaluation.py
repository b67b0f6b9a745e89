"""Network + examples → how right it is."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from mnistcli.datasets.examples import CLASSES, Examples
from mnistcli.preset.schema import Normalization

BATCH = 1_000
TINY = 1e-30


@dataclass(frozen=True)
class Evaluation:
    """What a network answered to a set of examples."""

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
        """How many examples there were."""
        return len(self.predictions)

    @property
    def correct(self) -> int:
        """How many of them were recognized."""
        return int(self.confusion.diagonal().sum())

    @property
    def accuracy(self) -> float:
        """The share recognized."""
        return self.correct / self.total


def accuracy_on(confusion: Tensor, digits: Sequence[int]) -> float | None:
    """The share of these digits that is recognized, if there are any; int64 (10, 10)."""
    total = int(confusion[list(digits)].sum())
    return int(confusion.diagonal()[list(digits)].sum()) / total if total else None


def to_inputs(images: Tensor) -> Tensor:
    """uint8 (n, 1, h, w) in 0 … 255 → float32 in [0, 1], a fresh tensor."""
    return images.to(torch.float32).div_(255)


def normalize(images: Tensor, normalization: Normalization) -> Tensor:
    """Float in [0, 1] → (value - mean) / std, in place."""
    return images.sub_(normalization.mean).div_(normalization.std)


@torch.inference_mode()
def respond(
    model: nn.Sequential, examples: Examples, normalization: Normalization
) -> tuple[Tensor, Tensor]:
    """What the network's last layer sees, float32 (n, d), and what it says, logits (n, 10)."""
    model.eval()
    seen, said = [], []
    for images in torch.split(examples.images, BATCH):
        features = model[:-1](normalize(to_inputs(images), normalization))
        seen.append(features.flatten(1))
        said.append(model[-1](features))
    return torch.cat(seen), torch.cat(said)


@torch.inference_mode()
def measure_losses(model: nn.Module, examples: Examples, normalization: Normalization) -> Tensor:
    """The cross entropy of every example, float32 (n,), on the CPU."""
    model.eval()
    losses = []
    for images, labels in zip(
        torch.split(examples.images, BATCH), torch.split(examples.labels, BATCH), strict=True
    ):
        logits = model(normalize(to_inputs(images), normalization))
        losses.append(functional.cross_entropy(logits, labels, reduction="none"))
    return torch.cat(losses).cpu()


@torch.inference_mode()
def evaluate(model: nn.Module, examples: Examples, normalization: Normalization) -> Evaluation:
    """Lets the network answer to all examples, in float32 whatever it was trained in.

    So that a record can be checked, to the last image, on a machine without bfloat16.
    """
    model.eval()
    said, loss = [], 0.0
    for images, labels in zip(
        torch.split(examples.images, BATCH), torch.split(examples.labels, BATCH), strict=True
    ):
        logits = model(normalize(to_inputs(images), normalization))
        loss += float(functional.cross_entropy(logits, labels, reduction="sum"))
        said.append(logits)
    logits = torch.cat(said).cpu()
    return _count(logits.softmax(dim=1), examples.labels.cpu(), loss / len(logits))


def combine(evaluations: Sequence[Evaluation], labels: Tensor) -> Evaluation:
    """What several networks answer together: the mean of their probabilities.

    Args:
        evaluations: of the same examples.
        labels: their digits, int64 (n,).

    Source: Lakshminarayanan et al. 2017, "Simple and scalable predictive uncertainty estimation
    using deep ensembles", section 2.4.
    """
    mean = torch.stack([one.probabilities for one in evaluations]).mean(dim=0)
    loss = float(functional.nll_loss(mean.clamp_min(TINY).log(), labels.cpu()))
    return _count(mean, labels.cpu(), loss)


def _count(probabilities: Tensor, labels: Tensor, loss: float) -> Evaluation:
    answers = probabilities.argmax(dim=1)
    confusion = torch.bincount(labels * CLASSES + answers, minlength=CLASSES**2)
    return Evaluation(
        predictions=answers,
        confusion=confusion.view(CLASSES, CLASSES),
        loss=loss,
        probabilities=probabilities,
    )
