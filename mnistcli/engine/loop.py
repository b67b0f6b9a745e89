"""The one training loop: it knows indices and events, no preset, file, screen or coreset."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Protocol

import torch
from torch import Tensor, nn

from mnistcli.datasets.examples import Examples
from mnistcli.engine.clock import Clock
from mnistcli.engine.device import derive_seed, make_generator, seed_globally
from mnistcli.engine.evaluation import evaluate
from mnistcli.engine.events import Emit, EpochFinished, StepFinished
from mnistcli.engine.late import LateLook
from mnistcli.engine.network.build import seed_dropout
from mnistcli.engine.state import EpochState, Learner, LoopState, Recipe
from mnistcli.engine.targets import Targets
from mnistcli.errors import DivergedError, Divergence


class Course(Protocol):
    """Which examples each epoch learns from: all the loop knows of coresets and curricula."""

    def next(self, history: Sequence[EpochFinished], losses: Tensor | None) -> Tensor | None:
        """Return the next epoch's indices, int64 (k,), in any order, or None to end the training.

        Args:
            history: all finished epochs.
            losses: last loss of every image, float32 (n,), if the recipe keeps them.
        """


def train(
    state: LoopState,
    examples: Examples,
    course: Course,
    recipe: Recipe,
    validation: Examples | None,
    emit: Emit,
) -> None:
    """Train the state's learner in place, epoch by epoch, until the course or the time ends.

    A fresh state and a restored one take the same path. Whenever an event is emitted, the state is
    complete: a listener can save it and the training can resume from there.

    Args:
        state: is changed in place.
        examples: all training images.
        course: the indices of each epoch, which are shuffled by (seed, epoch) alone.
        recipe: how batches are made.
        validation: held-out images, evaluated after every epoch; never learned from.
        emit: called after every batch and epoch. Its time, and validation's, do not count.

    Raises:
        DivergedError: a batch's loss is not finite; the learner is as it was before that batch,
            or with `recipe.look_steps` > 1 is of no use. No EpochFinished has been emitted since.
        FloatingPointError: the outputs on the held-out images are not finite.
    """
    if recipe.keeps_losses and state.losses is None:
        state.losses = torch.full((len(examples),), math.inf, device=examples.images.device)
    while epoch := state.epoch or _begin_epoch(state, examples.images.device, course, recipe):
        metrics = _train_epoch(state, epoch, examples, recipe, emit)
        if validation:
            metrics = _validate(state, metrics, validation, recipe)
        state.history.append(metrics)
        state.epoch = None
        emit(metrics)
    state.restore_best()


def _validate(
    state: LoopState, metrics: EpochFinished, validation: Examples, recipe: Recipe
) -> EpochFinished:
    """Evaluate the network on held-out images, and do what goes by their loss."""
    found = evaluate(state.learner.result, validation, recipe.normalization)
    state.learner.schedule.step(found.loss)
    if recipe.keeps_best:
        state.keep_if_best(found.loss)
    return replace(metrics, validation_loss=found.loss, validation_accuracy=found.accuracy)


def _begin_epoch(
    state: LoopState, device: torch.device, course: Course, recipe: Recipe
) -> EpochState | None:
    clock, timing = Clock(), state.learner.schedule.timing
    if timing and state.history and timing.is_over(state.seconds):
        return None
    indices = course.next(state.history, state.losses)
    if indices is not None:
        state.epoch = EpochState(
            indices=indices,
            augmentation=make_generator(recipe.seed, "augmentation", state.number, device),
            dropout=make_generator(recipe.seed, "dropout", state.number, device),
            loss_sum=torch.zeros((), device=device),
            correct=torch.zeros((), dtype=torch.int64, device=device),
            clock=clock,
        )
    return state.epoch


def _train_epoch(
    state: LoopState, epoch: EpochState, examples: Examples, recipe: Recipe, emit: Emit
) -> EpochFinished:
    """Make one pass over the epoch's examples, or what is left of one, in an order of its own."""
    learner, schedule, clock = state.learner, state.learner.schedule, epoch.clock
    learner.begin_training()
    seed_dropout(learner.model, epoch.dropout)
    generator = make_generator(recipe.seed, "order", state.number)
    order = torch.randperm(len(epoch.indices), generator=generator)
    late = LateLook(state.number, recipe.look_steps)
    indices = epoch.indices[order].to(examples.images.device)
    for batch in _iterate_batches(state, epoch, indices, recipe):
        part = examples.take(batch)
        inputs, targets = recipe.prepare(part, epoch.augmentation)
        clock.lap("data")
        if recipe.draws_globally:
            seed_globally(derive_seed(recipe.seed, "step", state.number, epoch.step))
        epoch.rate = float(learner.optimizer.param_groups[0]["lr"])
        try:
            losses, logits = learn(learner, inputs, targets, recipe, clock)
        except FloatingPointError as error:
            place = Divergence(state.number, epoch.step + 1, epoch.rate, tuple(batch.tolist()))
            raise DivergedError(place) from error
        if schedule.every == "batch":
            schedule.scheduler.step()
        clock.lap("optimizer")
        if state.losses is not None:
            state.losses[batch] = losses
        epoch.add(losses.mean(), (logits.argmax(dim=1) == part.labels).sum(), len(batch))
        late.add(epoch, batch, losses)
        with clock.stopped():
            emit(StepFinished(state.number, epoch.step, len(batch), clock.seconds))
        clock.lap("other")
    late.look()
    if not math.isfinite(epoch.loss_sum):
        raise DivergedError(Divergence(state.number, epoch.step, epoch.rate))
    if schedule.every == "epoch":
        schedule.scheduler.step()
    return epoch.finish(state.number, state.member)


def _iterate_batches(
    state: LoopState, epoch: EpochState, indices: Tensor, recipe: Recipe
) -> Iterator[Tensor]:
    """Yield the epoch's batches that are left until the time is over, at least its first."""
    timing, before = state.learner.schedule.timing, state.seconds
    for batch in recipe.batches(indices)[epoch.step :]:
        if timing:
            elapsed = before + epoch.clock.seconds
            if epoch.step and timing.is_over(elapsed):
                return
            timing.begin_step(elapsed)
        yield batch


def learn(
    learner: Learner, inputs: Tensor, targets: Targets, recipe: Recipe, clock: Clock
) -> tuple[Tensor, Tensor]:
    """Take one step of the optimizer.

    Args:
        learner: is changed in place.
        inputs: float (n, 1, 28, 28), normalized.
        targets: of the n images.
        recipe: for its precision and label smoothing.
        clock: is told the times of forward, backward and optimizer.

    Returns:
        The losses of the images (n,), or without `recipe.keeps_losses` their mean (), and the
        logits (n, 10), both detached.

    Raises:
        FloatingPointError: the loss is not finite, and is looked at in every step; nothing was
            changed.
    """
    with torch.autocast(inputs.device.type, recipe.precision, recipe.precision != torch.float32):
        logits = learner.model(inputs)
    losses = targets.measure_losses(
        logits.float(), recipe.label_smoothing, each=recipe.keeps_losses
    )
    loss = losses.mean()
    if recipe.look_steps == 1 and not math.isfinite(float(loss.detach())):
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
    return losses.detach(), logits.detach()
