"""The one training loop: it knows indices and events, no preset, file, screen or coreset."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn, optim
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel

from mnistcli.engine.augment import Augment
from mnistcli.engine.data import Examples
from mnistcli.engine.device import make_generator
from mnistcli.engine.evaluation import evaluate, normalize, to_inputs
from mnistcli.engine.events import Emit, EpochFinished, StepFinished, TrainingStarted
from mnistcli.engine.model import seed_dropout
from mnistcli.engine.optim import Schedule
from mnistcli.errors import DivergedError
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


class Clock:
    """Seconds since it was made, by stage, less those spent in `stopped`."""

    def __init__(self) -> None:
        self._begin = self._lap = time.perf_counter()
        self.stages: dict[str, float] = {}

    @property
    def seconds(self) -> float:
        """What the clock shows."""
        return time.perf_counter() - self._begin

    def lap(self, stage: str) -> None:
        """Puts the time since the last lap down to `stage`."""
        now = time.perf_counter()
        self.stages[stage] = self.stages.get(stage, 0.0) + now - self._lap
        self._lap = now

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Lets the time inside not count."""
        stop = time.perf_counter()
        yield
        pause = time.perf_counter() - stop
        self._begin += pause
        self._lap += pause


def train(
    learner: Learner,
    examples: Examples,
    plan: Plan,
    recipe: Recipe,
    validation: Examples | None,
    emit: Emit,
) -> list[EpochFinished]:
    """Trains the learner in place, epoch by epoch of the plan.

    Args:
        learner: the network and what moves it.
        examples: all images there are to train on.
        plan: the examples of every epoch, which are shuffled by (seed, epoch) alone.
        recipe: how batches are made.
        validation: judged after every epoch, if there is any; never learned from.
        emit: told of every batch and epoch. Its time, and validation's, do not count.

    Raises:
        DivergedError: an epoch's loss is not finite.
    """
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
    history = []
    for epoch in range(1, len(plan.sizes) + 1):
        finished = _train_epoch(learner, examples, plan, recipe, epoch, emit)
        if not math.isfinite(finished.train_loss):
            raise DivergedError(
                f"the loss of epoch {epoch} is not finite; lower train.optimizer.learning_rate "
                "or the schedule's max_learning_rate"
            )
        if validation:
            judged = evaluate(learner.result, validation, recipe.normalization)
            finished = replace(
                finished, validation_loss=judged.loss, validation_accuracy=judged.accuracy
            )
        history.append(finished)
        emit(finished)
    return history


def _train_epoch(
    learner: Learner,
    examples: Examples,
    plan: Plan,
    recipe: Recipe,
    epoch: int,
    emit: Emit,
) -> EpochFinished:
    """One pass over the epoch's examples, in an order of its own."""
    clock = Clock()
    indices = plan.choose(epoch)
    device = examples.images.device
    learner.model.train()
    seed_dropout(learner.model, make_generator(recipe.seed, "dropout", epoch, device))
    randomness = make_generator(recipe.seed, "augmentation", epoch, device)
    order = torch.randperm(len(indices), generator=make_generator(recipe.seed, "order", epoch))
    # Sums stay tensors: reading one at every batch would make a GPU wait.
    loss_sum = torch.zeros((), device=device)
    correct = torch.zeros((), dtype=torch.int64, device=device)
    seen, rate = 0, 0.0
    for step, batch in enumerate(recipe.batches(indices[order]), start=1):
        part = examples.take(batch.to(device))
        inputs = normalize(recipe.augment(to_inputs(part.images), randomness), recipe.normalization)
        clock.lap("data")
        loss, logits = learn(learner, inputs, part.labels, recipe, clock)
        rate = float(learner.optimizer.param_groups[0]["lr"])
        if learner.schedule.every == "batch":
            learner.schedule.scheduler.step()
        clock.lap("optimizer")
        loss_sum += loss * len(batch)
        correct += (logits.argmax(dim=1) == part.labels).sum()
        seen += len(batch)
        with clock.stopped():
            emit(StepFinished(epoch, step, len(batch)))
        clock.lap("other")
    if learner.schedule.every == "epoch":
        learner.schedule.scheduler.step()
    return EpochFinished(
        epoch=epoch,
        train_loss=float(loss_sum) / seen,
        train_accuracy=int(correct) / seen,
        learning_rate=rate,
        seconds=clock.seconds,
        images=seen,
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
    """
    with torch.autocast(inputs.device.type, recipe.precision, recipe.precision != torch.float32):
        logits = learner.model(inputs)
    loss = functional.cross_entropy(logits.float(), labels, label_smoothing=recipe.label_smoothing)
    clock.lap("forward")
    learner.optimizer.zero_grad(set_to_none=True)
    torch.autograd.backward(loss)
    clock.lap("backward")
    learner.optimizer.step()
    if learner.average:
        learner.average.update_parameters(learner.model)
    clock.lap("optimizer")
    return loss.detach(), logits.detach()
