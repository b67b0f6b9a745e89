"""The training loop's state ↔ plain tensors and plain facts, exact to the last bit."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor
from torch.optim import lr_scheduler

from mnistcli.engine.clock import Clock
from mnistcli.engine.events import EpochFinished
from mnistcli.engine.state import Best, EpochState, Learner, LoopState, Recipe, list_values
from mnistcli.engine.timing import SCHEDULED, read_settings

Tensors = dict[str, Tensor]
Facts = dict[str, Any]
"""JSON types only."""

FOLLOWING = ("validation", "time")
"""When schedules step whose state follows from the history."""
COUNTERS = ("last_epoch", "_step_count", "_last_lr")
"""The part of a scheduler's state that its steps change."""


def take_snapshot(state: LoopState) -> tuple[Tensors, Facts]:
    """Return everything that the rest of the training depends on, beside course and recipe."""
    learner = state.learner
    tensors = {f"model.{name}": value for name, value in list_values(learner.model).items()}
    if learner.average:
        average = list_values(learner.average)
        tensors |= {f"average.{name}": value for name, value in average.items()}
    for place, parameter in enumerate(_parameters(learner)):
        for name, value in learner.optimizer.state.get(parameter, {}).items():
            if value is not None:
                tensors[f"optimizer.{place}.{name}"] = value
    facts: Facts = {
        "groups": [*read_settings(learner.optimizer)],
        "scheduler": _describe_scheduler(learner),
        "history": [asdict(epoch) for epoch in state.history],
        "epoch": None,
    }
    if state.best is not None:
        tensors |= {f"best.{name}": value for name, value in state.best.values.items()}
    if state.losses is not None and (state.epoch or state.history):
        tensors["losses"] = state.losses
    if epoch := state.epoch:
        tensors |= {
            "indices": epoch.indices,
            "augmentation": epoch.augmentation.get_state(),
            "dropout": epoch.dropout.get_state(),
            "loss_sum": epoch.loss_sum,
            "correct": epoch.correct,
        }
        facts["epoch"] = {
            "step": epoch.step,
            "rate": epoch.rate,
            "seconds": epoch.clock.seconds,
            "stages": epoch.clock.stages,
        }
    return {name: value.detach().cpu().contiguous() for name, value in tensors.items()}, facts


def restore_snapshot(
    state: LoopState,
    tensors: Mapping[str, Tensor],
    facts: Mapping[str, Any],
    recipe: Recipe,
    sizes: Sequence[int],
    images: int,
) -> None:
    """Make a state what it was when the snapshot was taken.

    Args:
        state: fresh, of the same preset.
        tensors: those of the snapshot.
        facts: those of the snapshot.
        recipe: how the batches are made.
        sizes: number of images of every epoch, at least of those that have begun.
        images: number of training images.

    Raises:
        ValueError: the snapshot is of another network or training.
    """
    left = dict(tensors)
    try:
        _restore_history(state, left, facts, recipe)
        if facts["epoch"] is not None:
            state.epoch = _restore_epoch(state.learner, left, facts["epoch"], recipe)
            _check_indices(state.epoch, recipe, sizes[len(state.history)], images)
        steps = _count_steps(state, recipe, sizes)
        if recipe.keeps_losses and (state.epoch or state.history):
            state.losses = _restore_losses(state.learner, left, images)
        _restore_learner(state.learner, left, facts["groups"], has_stepped=steps > 0)
        _restore_scheduler(state, facts["scheduler"], steps)
    except (KeyError, TypeError, IndexError, AttributeError, RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"it belongs to another network or training: {reason}") from error
    if left:
        raise ValueError(f"it belongs to another network or training: unexpected {min(left)}")


def is_finite(state: LoopState) -> bool:
    """Return whether parameters, the optimizer's state and the open epoch's losses are finite.

    A buffer need not be: the mask of an attention is -inf where it hides something.
    """
    learner = state.learner
    kept = [*learner.optimizer.state.values()]
    values = [value for own in kept for value in own.values() if isinstance(value, Tensor)]
    values += [*learner.model.parameters(), *learner.result.parameters()]
    values += [state.epoch.loss_sum] if state.epoch else []
    return all(bool(torch.isfinite(value).all()) for value in values)


def _device(learner: Learner) -> torch.device:
    return next(learner.model.parameters()).device


def _parameters(learner: Learner) -> list[Tensor]:
    return [each for group in learner.optimizer.param_groups for each in group["params"]]


def _count_steps(state: LoopState, recipe: Recipe, sizes: Sequence[int]) -> int:
    """Return the number of batches that the state's learner has learned from."""
    steps = sum(map(recipe.count_steps, sizes[state.first : len(state.history)]))
    return steps + (state.epoch.step if state.epoch else 0)


def _describe_scheduler(learner: Learner) -> dict[str, Any]:
    """Return the scheduler's state, if it does not follow from the history's losses or times."""
    schedule = learner.schedule
    return {} if schedule.every in FOLLOWING else schedule.scheduler.state_dict()


def _restore_history(
    state: LoopState, left: Tensors, facts: Mapping[str, Any], recipe: Recipe
) -> None:
    """Restore the finished epochs, and what follows from them."""
    state.history = [EpochFinished(**epoch) for epoch in facts["history"]]
    if [epoch.epoch for epoch in state.history] != [*range(1, state.number)]:
        raise IndexError("the epochs are not numbered from 1")
    _replay_schedule(state, facts["groups"])
    if recipe.keeps_best and len(state.history) > state.first:
        state.best = _restore_best(state, left)


def _replay_schedule(state: LoopState, groups: Sequence[Mapping[str, Any]]) -> None:
    """Bring a scheduler that goes by the held-out loss to where the history brought it."""
    if state.learner.schedule.every != "validation":
        return
    for epoch in state.history[state.first :]:
        state.learner.schedule.step(epoch.validation_loss or 0.0)
    found = [float(group["lr"]) for group in state.learner.optimizer.param_groups]
    if found != [float(group["lr"]) for group in groups]:
        raise ValueError("the scheduler has another state")


def _restore_best(state: LoopState, left: Tensors) -> Best:
    losses = [epoch.validation_loss or 0.0 for epoch in state.history[state.first :]]
    values = {}
    for name, own in list_values(state.learner.result).items():
        values[name] = torch.empty_like(own)
        _copy(values[name], left.pop(f"best.{name}"))
    return Best(state.first + 1 + losses.index(min(losses)), min(losses), values)


def _restore_losses(learner: Learner, left: Tensors, images: int) -> Tensor:
    losses = torch.empty(images, device=_device(learner))
    _copy(losses, left.pop("losses"))
    return losses


def _restore_learner(
    learner: Learner, left: Tensors, groups: Sequence[Mapping[str, Any]], *, has_stepped: bool
) -> None:
    if has_stepped:
        _restore_optimizer(learner, left)
    for prefix, module in (("model", learner.model), ("average", learner.average)):
        if module is not None:
            for name, value in list_values(module).items():
                _copy(value, left.pop(f"{prefix}.{name}"))
    for group, saved in zip(learner.optimizer.param_groups, groups, strict=True):
        if saved.keys() != group.keys() & set(SCHEDULED):
            raise KeyError("the optimizer has other settings")
        for key, value in saved.items():
            group[key] = (float(value[0]), float(value[1])) if key == "betas" else float(value)


def _restore_optimizer(learner: Learner, left: Tensors) -> None:
    parameters = _parameters(learner)
    # The optimizer makes its state at its first step, laid out as its kernels want it. What
    # that step does to the weights is overwritten below.
    for place, parameter in enumerate(parameters):
        if any(name.startswith(f"optimizer.{place}.") for name in left):
            parameter.grad = torch.zeros_like(parameter)
    learner.optimizer.step()
    learner.optimizer.zero_grad(set_to_none=True)
    for place, parameter in enumerate(parameters):
        for name, value in learner.optimizer.state.get(parameter, {}).items():
            if value is not None:
                _copy(value, left.pop(f"optimizer.{place}.{name}"))


def _restore_scheduler(state: LoopState, saved: Mapping[str, Any], steps: int) -> None:
    """Load a scheduler's state: a fresh one's keys and types, after `steps` batches."""
    learner = state.learner
    if learner.schedule.every in FOLLOWING:
        if saved:
            raise ValueError("the scheduler has another state")
        return
    if learner.schedule.every == "epoch":
        steps = len(state.history) - state.first
    scheduler: lr_scheduler.LRScheduler = learner.schedule.scheduler
    rates = [group["lr"] for group in learner.optimizer.param_groups]
    wanted = json.loads(json.dumps(scheduler.state_dict()))
    wanted |= {"last_epoch": steps, "_step_count": steps + 1, "_last_lr": rates}
    # All but the counters and rates is what the preset makes of a fresh scheduler.
    if saved != wanted or [*map(type, saved.values())] != [type(wanted[key]) for key in saved]:
        raise ValueError("the scheduler has another state")
    scheduler.load_state_dict({key: saved[key] for key in COUNTERS})


def _restore_epoch(
    learner: Learner, left: Tensors, facts: Mapping[str, Any], recipe: Recipe
) -> EpochState:
    device = _device(learner)
    epoch = EpochState(
        indices=left.pop("indices"),
        augmentation=torch.Generator(device=device).set_state(left.pop("augmentation")),
        dropout=torch.Generator(device=device).set_state(left.pop("dropout")),
        loss_sum=torch.zeros((), device=device),
        correct=torch.zeros((), dtype=torch.int64, device=device),
        clock=Clock(facts["seconds"], facts["stages"]),
        step=facts["step"],
        rate=facts["rate"],
    )
    _copy(epoch.loss_sum, left.pop("loss_sum"))
    _copy(epoch.correct, left.pop("correct"))
    epoch.seen = min(epoch.step * recipe.batch_size, len(epoch.indices))
    return epoch


def _check_indices(epoch: EpochState, recipe: Recipe, size: int, images: int) -> None:
    indices = epoch.indices
    if indices.dtype != torch.int64 or indices.shape != (size,) or not size:
        raise TypeError("the epoch has other indices")
    if int(indices.min()) < 0 or int(indices.max()) >= images:
        raise IndexError("the epoch has indices of other images")
    if epoch.step > recipe.count_steps(size):
        raise IndexError("the epoch has more steps than batches")


@torch.no_grad()
def _copy(own: Tensor, value: Tensor) -> None:
    if own.shape != value.shape or own.dtype != value.dtype:
        raise TypeError(
            f"{tuple(value.shape)} {value.dtype} instead of {tuple(own.shape)} {own.dtype}"
        )
    own.copy_(value)
