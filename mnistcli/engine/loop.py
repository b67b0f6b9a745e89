"""The one training loop: it knows indices and events, no preset, file, screen or coreset."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import torch
from torch import Tensor, nn, optim
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel

from mnistcli.datasets.examples import Examples
from mnistcli.engine.augment import Augment
from mnistcli.engine.clock import Clock
from mnistcli.engine.device import make_generator
from mnistcli.engine.evaluation import evaluate, normalize, to_inputs
from mnistcli.engine.events import (
    Emit,
    EpochFinished,
    StepFinished,
    TrainingResumed,
    TrainingStarted,
)
from mnistcli.engine.network.build import seed_dropout
from mnistcli.engine.optim import Schedule
from mnistcli.errors import DivergedError, Divergence
from mnistcli.preset.schema import Normalization


@dataclass(frozen=True)
class Learner:
    """What learns: a network, the optimizer over its parameters, and that optimizer's schedule."""

    model: nn.Module
    """Float (n, 1, 28, 28) → logits (n, 10), on the examples' device."""
    optimizer: optim.Optimizer
    schedule: Schedule
    average: AveragedModel | None = None
    """Follows the network after every batch, if there is one."""

    @property
    def result(self) -> nn.Module:
        """The network to judge and to keep: the averaged one where there is one."""
        return self.average.module if self.average else self.model


@dataclass(frozen=True)
class Recipe:
    """How batches are made and learned from."""

    batch_size: int
    drop_last: bool
    label_smoothing: float
    clip_gradient_norm: float | None
    """The longest that all gradients together may be."""
    normalization: Normalization
    augment: Augment
    precision: torch.dtype
    seed: int

    def batches(self, indices: Tensor) -> Sequence[Tensor]:
        """Cuts an epoch's indices, int64 (k,), into batches of them."""
        return torch.split(indices, self.batch_size)[: self.count_steps(len(indices))]

    def count_steps(self, images: int) -> int:
        """How many batches an epoch of so many images has."""
        whole, rest = divmod(images, self.batch_size)
        return whole + (rest > 0 and not (self.drop_last and whole > 0))


@dataclass(frozen=True)
class Plan:
    """Which examples every epoch learns from: all the loop knows of coresets and curricula."""

    sizes: Sequence[int]
    """How many, epoch by epoch."""
    choose: Callable[[int], Tensor]
    """Their indices, int64 (size,), asked for when the epoch, from 1, begins; in any order."""
    names: Sequence[str] = ()
    """What to call the epochs, if not by their numbers."""

    @classmethod
    def of(cls, epochs: Sequence[Tensor], names: Sequence[str] = ()) -> "Plan":
        """A plan that is known from the beginning."""
        return cls([len(indices) for indices in epochs], lambda epoch: epochs[epoch - 1], names)


@dataclass
class Underway:
    """An epoch of which some batches, perhaps none, have been learned from."""

    indices: Tensor
    """int64 (k,), as the plan chose them."""
    augmentation: torch.Generator
    dropout: torch.Generator
    loss_sum: Tensor
    """Over all images so far, float32 ()."""
    correct: Tensor
    """Images recognized so far, int64 ()."""
    clock: Clock = field(default_factory=Clock)
    step: int = 0
    """Batches learned from."""
    seen: int = 0
    """Images learned from."""
    rate: float = 0.0
    """Of the last batch."""


@dataclass
class Progress:
    """How far a training has come: with its learner, all that going on takes."""

    history: list[EpochFinished] = field(default_factory=list)
    underway: Underway | None = None
    """The epoch after the history's, if it has begun."""


class Keeper(Protocol):
    """Keeps a training's progress, so that it can go on after whatever ends the process."""

    def is_due(self) -> bool:
        """Asked after every batch."""

    def keep(self, progress: Progress) -> None:
        """Told before the first batch, after every epoch, and whenever it is due."""


def train(
    learner: Learner,
    examples: Examples,
    plan: Plan,
    recipe: Recipe,
    validation: Examples | None,
    emit: Emit,
    keeping: tuple[Keeper, Progress] | None = None,
) -> list[EpochFinished]:
    """Trains the learner in place, epoch by epoch of the plan.

    Args:
        learner: the network and what moves it.
        examples: all images there are to train on.
        plan: the examples of every epoch, which are shuffled by (seed, epoch) alone.
        recipe: how batches are made.
        validation: judged after every epoch, if there is any; never learned from.
        emit: told of every batch and epoch. Its time, and validation's, do not count.
        keeping: who keeps the progress, whose time does not count either, and the progress to go
            on from.

    Raises:
        DivergedError: a batch's loss is not finite; the learner is as it was before that batch.
    """
    keeper, progress = keeping or (None, Progress())
    steps = tuple(map(recipe.count_steps, plan.sizes))
    emit(
        TrainingStarted(
            epoch_images=tuple(
                min(size, count * recipe.batch_size)
                for size, count in zip(plan.sizes, steps, strict=True)
            ),
            epoch_steps=steps,
            epoch_names=tuple(plan.names),
        )
    )
    if progress.history or progress.underway:
        seen = progress.underway.seen if progress.underway else 0
        emit(TrainingResumed(len(progress.history), seen))
    elif keeper:
        keeper.keep(progress)
    for epoch in range(len(progress.history) + 1, len(plan.sizes) + 1):
        if progress.underway is None:
            progress.underway = _begin_epoch(plan, recipe, epoch, examples.images.device)
        finished = _train_epoch(learner, examples, recipe, progress, emit, keeper)
        if validation:
            judged = evaluate(learner.result, validation, recipe.normalization)
            finished = replace(
                finished, validation_loss=judged.loss, validation_accuracy=judged.accuracy
            )
        progress.history.append(finished)
        progress.underway = None
        emit(finished)
        if keeper:
            keeper.keep(progress)
    return progress.history


def _begin_epoch(plan: Plan, recipe: Recipe, epoch: int, device: torch.device) -> Underway:
    clock = Clock()
    return Underway(
        indices=plan.choose(epoch),
        augmentation=make_generator(recipe.seed, "augmentation", epoch, device),
        dropout=make_generator(recipe.seed, "dropout", epoch, device),
        # Sums stay tensors, as their bits are part of what must not depend on an interruption.
        loss_sum=torch.zeros((), device=device),
        correct=torch.zeros((), dtype=torch.int64, device=device),
        clock=clock,
    )


def _train_epoch(
    learner: Learner,
    examples: Examples,
    recipe: Recipe,
    progress: Progress,
    emit: Emit,
    keeper: Keeper | None,
) -> EpochFinished:
    """One pass over the epoch's examples, or the rest of one, in an order of its own."""
    epoch, underway = len(progress.history) + 1, progress.underway
    assert underway is not None
    clock, indices = underway.clock, underway.indices
    learner.model.train()
    seed_dropout(learner.model, underway.dropout)
    order = torch.randperm(len(indices), generator=make_generator(recipe.seed, "order", epoch))
    for batch in recipe.batches(indices[order])[underway.step :]:
        part = examples.take(batch.to(examples.images.device))
        images = recipe.augment(to_inputs(part.images), underway.augmentation)
        inputs = normalize(images, recipe.normalization)
        clock.lap("data")
        underway.rate = float(learner.optimizer.param_groups[0]["lr"])
        try:
            loss, logits = learn(learner, inputs, part.labels, recipe, clock)
        except FloatingPointError as error:
            place = Divergence(epoch, underway.step + 1, underway.rate, tuple(batch.tolist()))
            raise DivergedError(place) from error
        if learner.schedule.every == "batch":
            learner.schedule.scheduler.step()
        clock.lap("optimizer")
        underway.loss_sum += loss * len(batch)
        underway.correct += (logits.argmax(dim=1) == part.labels).sum()
        underway.seen += len(batch)
        underway.step += 1
        with clock.stopped():
            emit(StepFinished(epoch, underway.step, len(batch)))
            if keeper and keeper.is_due():
                keeper.keep(progress)
        clock.lap("other")
    if learner.schedule.every == "epoch":
        learner.schedule.scheduler.step()
    return EpochFinished(
        epoch=epoch,
        train_loss=float(underway.loss_sum) / underway.seen,
        train_accuracy=int(underway.correct) / underway.seen,
        learning_rate=underway.rate,
        seconds=clock.seconds,
        images=underway.seen,
        stages=clock.stages,
    )


def learn(
    learner: Learner, inputs: Tensor, labels: Tensor, recipe: Recipe, clock: Clock
) -> tuple[Tensor, Tensor]:
    """One step of the optimizer.

    Args:
        learner: is moved in place.
        inputs: float (n, 1, 28, 28), normalized.
        labels: int64 (n,).
        recipe: for its precision and label smoothing.
        clock: told what forward, backward and optimizer took.

    Returns:
        The batch's mean loss (), and its logits (n, 10), without their history.

    Raises:
        FloatingPointError: the loss is not finite; nothing was moved.
    """
    with torch.autocast(inputs.device.type, recipe.precision, recipe.precision != torch.float32):
        logits = learner.model(inputs)
    loss = functional.cross_entropy(logits.float(), labels, label_smoothing=recipe.label_smoothing)
    if not math.isfinite(float(loss.detach())):
        raise FloatingPointError("the loss is not finite")
    clock.lap("forward")
    learner.optimizer.zero_grad(set_to_none=True)
    torch.autograd.backward(loss)
    if recipe.clip_gradient_norm:
        nn.utils.clip_grad_norm_(learner.model.parameters(), recipe.clip_gradient_norm)
    clock.lap("backward")
    learner.optimizer.step()
    if learner.average:
        learner.average.update_parameters(learner.model)
    clock.lap("optimizer")
    return loss.detach(), logits.detach()
