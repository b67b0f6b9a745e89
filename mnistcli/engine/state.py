"""What a training is made of, and how far it has come."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import ceil

import torch
from torch import Tensor, nn, optim
from torch.optim.swa_utils import AveragedModel

from mnistcli.engine.augment import Augment
from mnistcli.engine.clock import Clock
from mnistcli.engine.evaluation import Normalization
from mnistcli.engine.events import EpochFinished
from mnistcli.engine.optim import Schedule
from mnistcli.errors import Divergence


@dataclass(frozen=True)
class Learner:
    """A network, the optimizer over its parameters, and that optimizer's schedule."""

    model: nn.Module
    """Float (n, 1, 28, 28) → logits (n, 10), on the examples' device."""
    optimizer: optim.Optimizer
    schedule: Schedule
    average: AveragedModel | None = None
    """Moving average of the network, updated after every batch, if the preset asks for one."""

    @property
    def result(self) -> nn.Module:
        """The network to evaluate and to save: the averaged one if there is one."""
        return self.average.module if self.average else self.model


@dataclass(frozen=True)
class Recipe:
    """How batches are made and learned from."""

    batch_size: int
    drop_last: bool
    label_smoothing: float
    clip_gradient_norm: float | None
    """Maximum Euclidean norm of all gradients together."""
    normalization: Normalization
    augment: Augment
    precision: torch.dtype
    seed: int
    draws_globally: bool = False
    """Whether the network may draw from the global random generators."""
    look_steps: int = 1
    """Steps whose losses are looked at together; 1 is before the step changes anything."""
    keeps_losses: bool = False
    """Whether the state keeps the last loss of every image, for the course to choose by."""

    def batches(self, indices: Tensor) -> Sequence[Tensor]:
        """Cut an epoch's indices, int64 (k,), into batches."""
        return torch.split(indices, self.batch_size)[: self.count_steps(len(indices))]

    def count_steps(self, images: int) -> int:
        """Return the number of batches in an epoch of `images` images."""
        whole, rest = divmod(images, self.batch_size)
        return whole + (rest > 0 and not (self.drop_last and whole > 0))


@dataclass
class EpochState:
    """An epoch of which some batches, possibly none, have been learned from."""

    indices: Tensor
    """int64 (k,), as the course chose them."""
    augmentation: torch.Generator
    dropout: torch.Generator
    # Sums stay tensors: their bits are part of what must not depend on an interruption.
    loss_sum: Tensor
    """Sum over all images so far, float32 ()."""
    correct: Tensor
    """Number of images recognized so far, int64 ()."""
    clock: Clock = field(default_factory=Clock)
    step: int = 0
    """Number of batches learned from."""
    seen: int = 0
    """Number of images learned from."""
    rate: float = 0.0
    """Learning rate of the last batch."""

    def add(self, loss: Tensor, correct: Tensor, images: int) -> None:
        """Count a batch: its mean loss, float32 (), its images recognized, int64 (), and all."""
        self.loss_sum += loss * images
        self.correct += correct
        self.seen += images
        self.step += 1

    def finish(self, number: int) -> EpochFinished:
        """Return the metrics of the finished epoch, the `number`-th."""
        return EpochFinished(
            epoch=number,
            train_loss=float(self.loss_sum) / self.seen,
            train_accuracy=int(self.correct) / self.seen,
            learning_rate=self.rate,
            seconds=self.clock.seconds,
            images=self.seen,
            stages=self.clock.stages,
        )


@dataclass
class LoopState:
    """Everything the training loop changes: the learner, the finished epochs and the open one."""

    learner: Learner
    history: list[EpochFinished] = field(default_factory=list)
    epoch: EpochState | None = None
    """The epoch after the history's, if it has begun."""
    losses: Tensor | None = None
    """Loss of every image when it was last learned from, float32 (n,), infinite if it was not yet;
    None if nobody needs it."""

    @property
    def number(self) -> int:
        """Number of the open or next epoch, from 1."""
        return len(self.history) + 1

    def divergence(self, recipe: Recipe) -> Divergence:
        """Return the last step taken, after which the outputs are not finite."""
        if epoch := self.epoch:
            return Divergence(self.number, epoch.step, epoch.rate)
        last = self.history[-1]
        steps = ceil(last.images / recipe.batch_size)
        return Divergence(last.epoch, steps, last.learning_rate)
