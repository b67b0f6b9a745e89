"""What a training is made of, and how far it has come."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from math import ceil

import torch
from torch import Tensor, nn, optim
from torch.optim.swa_utils import AveragedModel

from mnistcli.datasets.examples import Examples
from mnistcli.engine.augment import Augment
from mnistcli.engine.clock import Clock
from mnistcli.engine.evaluation import Normalization, normalize, to_inputs
from mnistcli.engine.events import EpochFinished
from mnistcli.engine.mix import Mix, build_mix
from mnistcli.engine.optim import Schedule
from mnistcli.engine.targets import Targets
from mnistcli.engine.teacher import Teach
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
    frozen: Sequence[nn.Module] = ()
    """Layers of the network that stay as they are."""

    def begin_training(self) -> None:
        """Switch the network to training mode, but for its frozen layers."""
        self.model.train()
        for layer in self.frozen:
            layer.eval()

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
    mix: Mix = field(default_factory=build_mix)
    """Mixes the images of a batch with others, and their labels."""
    teach: Teach | None = None
    """Returns teachers' answers to the augmented images of a batch."""
    keeps_best: bool = False
    """Whether the network ends with the weights of the epoch with the lowest held-out loss."""
    keeps_losses: bool = False
    """Whether the state keeps the last loss of every image, for the course to choose by."""

    def prepare(self, batch: Examples, generator: torch.Generator) -> tuple[Tensor, Targets]:
        """Return the augmented and normalized inputs of a batch, and what they stand for."""
        images = self.augment(to_inputs(batch.images), generator)
        images, targets = self.mix(images, batch.labels, generator)
        if self.teach is not None:
            targets = replace(targets, soft=self.teach(images))
        return normalize(images, self.normalization), targets

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

    def finish(self, number: int, member: int | None = None) -> EpochFinished:
        """Return the metrics of the finished epoch, the `number`-th of a member or network."""
        return EpochFinished(
            epoch=number,
            train_loss=float(self.loss_sum) / self.seen,
            train_accuracy=int(self.correct) / self.seen,
            learning_rate=self.rate,
            seconds=self.clock.seconds,
            images=self.seen,
            stages=self.clock.stages,
            member=member,
        )


@dataclass(frozen=True)
class Best:
    """The epoch with the lowest held-out loss so far."""

    epoch: int
    loss: float
    values: dict[str, Tensor]
    """Parameters and buffers of the network to evaluate, as `list_values` names them."""


def list_values(module: nn.Module) -> dict[str, Tensor]:
    """Return parameters and buffers by name, those too that a state_dict leaves out."""
    kept: dict[str, Tensor] = module.state_dict()
    return kept | {name: each for name, each in module.named_buffers() if name not in kept}


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

    member: int | None = None
    """Which network of an ensemble this is, from 1."""
    best: Best | None = None
    """Present after the first epoch if the recipe keeps the best one."""
    first: int = 0
    """Number of epochs in the history before the learner was made: those before a pruning."""

    def keep_if_best(self, loss: float) -> None:
        """Keep the weights of the epoch that ends now if its held-out loss is the lowest."""
        if self.best is None or loss < self.best.loss:
            values = list_values(self.learner.result)
            copies = {name: value.detach().clone() for name, value in values.items()}
            self.best = Best(self.number, loss, copies)

    @torch.no_grad()
    def restore_best(self) -> None:
        """Give the network the weights of the best epoch, if they were kept."""
        if self.best is not None:
            for name, value in list_values(self.learner.result).items():
                value.copy_(self.best.values[name])

    @property
    def kept_epoch(self) -> int | None:
        """Return the epoch whose weights the network ends with, if it is not simply the last."""
        return self.best.epoch if self.best else None

    @property
    def seconds(self) -> float:
        """Training seconds of the finished epochs."""
        return sum(epoch.seconds for epoch in self.history)

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
