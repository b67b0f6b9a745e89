"""A learner and its progress ↔ plain tensors and plain facts, exact to the last bit."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from mnistcli.engine.clock import Clock
from mnistcli.engine.events import EpochFinished
from mnistcli.engine.loop import Learner, Progress, Underway

Tensors = dict[str, Tensor]
Facts = dict[str, Any]
"""Of JSON's types alone."""

SCHEDULE_FACTS = ("last_epoch", "_step_count", "_last_lr")


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
        "groups": [{key: one[key] for key in one if key != "params"} for one in groups],
        "schedule": {
            name.strip("_"): getattr(learner.schedule.scheduler, name) for name in SCHEDULE_FACTS
        },
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
            "seen": underway.seen,
            "rate": underway.rate,
            "seconds": underway.clock.seconds,
            "stages": underway.clock.stages,
        }
    return {name: value.detach().cpu().contiguous() for name, value in tensors.items()}, facts


def restore_snapshot(
    learner: Learner, tensors: Mapping[str, Tensor], facts: Mapping[str, Any], images: int
) -> Progress:
    """Makes a fresh learner what the snapshot was taken of.

    Args:
        learner: of the same preset; is changed in place.
        tensors: those of the snapshot.
        facts: those of the snapshot.
        images: how many the progress may point to.

    Raises:
        ValueError: they are not of such a learner.
    """
    left = dict(tensors)
    try:
        _restore_learner(learner, left, facts)
        underway = _restore_underway(learner, left, facts["underway"], images)
        history = [EpochFinished(**epoch) for epoch in facts["history"]]
    except (KeyError, TypeError, IndexError, AttributeError, RuntimeError) as error:
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


def _restore_learner(learner: Learner, left: Tensors, facts: Mapping[str, Any]) -> None:
    for prefix, module in (("model", learner.model), ("average", learner.average)):
        if module is not None:
            for name, value in module.state_dict().items():
                _copy(value, left.pop(f"{prefix}.{name}"))
    parameters = _parameters(learner)
    for name in [name for name in left if name.startswith("optimizer.")]:
        _, place, key = name.split(".")
        parameter, value = parameters[int(place)], left.pop(name)
        # Laid out as the parameter is: fused optimizers go through both side by side.
        own = torch.empty_like(parameter) if value.shape == parameter.shape else value.clone()
        _copy(own, value)
        learner.optimizer.state[parameter][key] = own
    groups = learner.optimizer.param_groups
    for group, saved in zip(groups, facts["groups"], strict=True):
        if saved.keys() != group.keys() - {"params"}:
            raise KeyError("the optimizer's settings")
        for key, value in saved.items():
            group[key] = tuple(value) if isinstance(value, list) else value
    # Otherwise its scheduler would warn of a first step without it.
    learner.optimizer._opt_called = True  # type: ignore[attr-defined]
    for name in SCHEDULE_FACTS:
        setattr(learner.schedule.scheduler, name, facts["schedule"][name.strip("_")])


def _restore_underway(
    learner: Learner, left: Tensors, facts: Mapping[str, Any] | None, images: int
) -> Underway | None:
    if facts is None:
        return None
    device = next(learner.model.parameters()).device
    indices = left.pop("indices")
    if indices.dtype != torch.int64 or indices.ndim != 1 or not len(indices):
        raise TypeError("indices")
    if int(indices.min()) < 0 or int(indices.max()) >= images:
        raise IndexError("indices")
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
        step=facts["step"],
        seen=facts["seen"],
        rate=facts["rate"],
    )


@torch.no_grad()
def _copy(own: Tensor, value: Tensor) -> None:
    if own.shape != value.shape or own.dtype != value.dtype:
        raise TypeError(f"{tuple(value.shape)} {value.dtype} where {tuple(own.shape)} should be")
    own.copy_(value)
