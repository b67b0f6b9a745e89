"""A learner and its progress ↔ plain tensors and plain facts, exact to the last bit."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from mnistcli.engine.clock import Clock
from mnistcli.engine.events import EpochFinished
from mnistcli.engine.loop import Learner, Progress, Recipe, Underway

Tensors = dict[str, Tensor]
Facts = dict[str, Any]
"""Of JSON's types alone."""

MOVED = ("lr", "betas", "momentum")
"""What schedules change of an optimizer's settings."""


def take_snapshot(learner: Learner, progress: Progress) -> tuple[Tensors, Facts]:
    """Everything that the rest of the training depends on, beside plan and recipe."""
    tensors = {f"model.{name}": value for name, value in learner.model.state_dict().items()}
    if learner.average:
        average = learner.average.state_dict()
        tensors |= {f"average.{name}": value for name, value in average.items()}
    groups = learner.optimizer.param_groups
    for place, parameter in enumerate(_parameters(learner)):
        for name, value in learner.optimizer.state.get(parameter, {}).items():
            if value is not None:
                tensors[f"optimizer.{place}.{name}"] = value
    facts: Facts = {
        "groups": [{key: one[key] for key in MOVED if key in one} for one in groups],
        "history": [asdict(epoch) for epoch in progress.history],
        "underway": None,
    }
    if underway := progress.underway:
        tensors |= {
            "indices": underway.indices,
            "augmentation": underway.augmentation.get_state(),
            "dropout": underway.dropout.get_state(),
            "loss_sum": underway.loss_sum,
            "correct": underway.correct,
        }
        facts["underway"] = {
            "step": underway.step,
            "rate": underway.rate,
            "seconds": underway.clock.seconds,
            "stages": underway.clock.stages,
        }
    return {name: value.detach().cpu().contiguous() for name, value in tensors.items()}, facts


def restore_snapshot(
    learner: Learner,
    tensors: Mapping[str, Tensor],
    facts: Mapping[str, Any],
    recipe: Recipe,
    plan_sizes: Sequence[int],
    images: int,
) -> Progress:
    """Makes a fresh learner what the snapshot was taken of.

    Args:
        learner: of the same preset; is changed in place.
        tensors: those of the snapshot.
        facts: those of the snapshot.
        recipe: how the batches are made.
        plan_sizes: images of every epoch.
        images: how many there are to learn from.

    Raises:
        ValueError: they are not of such a learner and training.
    """
    left = dict(tensors)
    try:
        history = [EpochFinished(**epoch) for epoch in facts["history"]]
        if [epoch.epoch for epoch in history] != list(range(1, len(history) + 1)):
            raise IndexError("other epochs")
        size = [*plan_sizes, 0][len(history)]
        underway = _restore_underway(learner, left, facts["underway"], recipe, (size, images))
        steps = sum(map(recipe.count_steps, plan_sizes[: len(history)]))
        _restore_learner(learner, left, facts, bool(steps or (underway and underway.step)))
        by_batch = steps + (underway.step if underway else 0)
        _restore_schedule(learner, by_batch if learner.schedule.every == "batch" else len(history))
    except (KeyError, TypeError, IndexError, AttributeError, RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"it is not of this network and training: {reason}") from error
    if left:
        raise ValueError(f"it is not of this network and training: {min(left)} is too many")
    return Progress(history, underway)


def is_finite(learner: Learner) -> bool:
    """Whether every weight and running statistic is."""
    return all(bool(torch.isfinite(value).all()) for value in learner.model.state_dict().values())


def _parameters(learner: Learner) -> list[Tensor]:
    return [each for group in learner.optimizer.param_groups for each in group["params"]]


def _restore_learner(
    learner: Learner, left: Tensors, facts: Mapping[str, Any], has_stepped: bool
) -> None:
    parameters = _parameters(learner)
    if has_stepped:
        # The optimizer makes its state at its first step, laid out as its kernels want it. What
        # that step does to the weights is overwritten below.
        for parameter in parameters:
            parameter.grad = torch.zeros_like(parameter)
        learner.optimizer.step()
        learner.optimizer.zero_grad(set_to_none=True)
        for place, parameter in enumerate(parameters):
            for name, value in learner.optimizer.state.get(parameter, {}).items():
                if value is not None:
                    _copy(value, left.pop(f"optimizer.{place}.{name}"))
    for prefix, module in (("model", learner.model), ("average", learner.average)):
        if module is not None:
            for name, value in module.state_dict().items():
                _copy(value, left.pop(f"{prefix}.{name}"))
    for group, saved in zip(learner.optimizer.param_groups, facts["groups"], strict=True):
        if saved.keys() != group.keys() & set(MOVED):
            raise KeyError("the optimizer's settings")
        for key, value in saved.items():
            group[key] = (float(value[0]), float(value[1])) if key == "betas" else float(value)


def _restore_schedule(learner: Learner, steps: int) -> None:
    scheduler = learner.schedule.scheduler
    scheduler.last_epoch, scheduler._step_count = steps, steps + 1
    scheduler._last_lr = [group["lr"] for group in learner.optimizer.param_groups]


def _restore_underway(
    learner: Learner,
    left: Tensors,
    facts: Mapping[str, Any] | None,
    recipe: Recipe,
    size_and_images: tuple[int, int],
) -> Underway | None:
    if facts is None:
        return None
    device = next(learner.model.parameters()).device
    indices, (size, images), step = left.pop("indices"), size_and_images, facts["step"]
    if indices.dtype != torch.int64 or indices.shape != (size,) or not size:
        raise TypeError("other indices")
    if int(indices.min()) < 0 or int(indices.max()) >= images or step > recipe.count_steps(size):
        raise IndexError("other indices")
    generators = []
    for name in ("augmentation", "dropout"):
        generators.append(torch.Generator(device=device).set_state(left.pop(name)))
    sums = [torch.zeros((), device=device), torch.zeros((), dtype=torch.int64, device=device)]
    for own, name in zip(sums, ("loss_sum", "correct"), strict=True):
        _copy(own, left.pop(name))
    return Underway(
        indices=indices,
        augmentation=generators[0],
        dropout=generators[1],
        loss_sum=sums[0],
        correct=sums[1],
        clock=Clock(facts["seconds"], facts["stages"]),
        step=step,
        seen=min(step * recipe.batch_size, size),
        rate=facts["rate"],
    )


@torch.no_grad()
def _copy(own: Tensor, value: Tensor) -> None:
    if own.shape != value.shape or own.dtype != value.dtype:
        raise TypeError(f"{tuple(value.shape)} {value.dtype} where {tuple(own.shape)} should be")
    own.copy_(value)
