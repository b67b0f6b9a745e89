"""Settings of optimizer and schedule → PyTorch's objects."""

import inspect
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from types import MethodType
from typing import Literal, assert_never

import torch
from torch import nn, optim
from torch.optim import lr_scheduler
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from mnistcli.engine.muon import Muon
from mnistcli.engine.timing import Settings, Timing, read_settings
from mnistcli.errors import PresetError
from mnistcli.preset import training as spec

POSITIONS = 2_000
"""Settings in the table of a schedule by time, about."""


@dataclass(frozen=True)
class Schedule:
    """A learning-rate scheduler, and when it steps."""

    scheduler: lr_scheduler.LRScheduler
    every: Literal["batch", "epoch", "validation", "time"]
    """Whether it steps after batches, after epochs, or by the held-out loss of an epoch; or never,
    because the time decides."""
    timing: Timing | None = None
    """Present if the time decides."""

    def step(self, validation_loss: float) -> None:
        """Take the step of an epoch whose held-out loss is known, if it goes by that."""
        if isinstance(self.scheduler, lr_scheduler.ReduceLROnPlateau):
            self.scheduler.step(validation_loss)


def build_optimizer(
    settings: spec.Optimizer, parameters: Iterable[nn.Parameter]
) -> optim.Optimizer:
    """Build the optimizer over `parameters`, in its fused form: one kernel a tensor and step.

    Raises:
        PresetError: it does not suit these parameters.
    """
    _spare_compiler()
    optimizer = _build(settings, parameters)
    _step_plainly(optimizer)
    if isinstance(settings, spec.SGD):  # a schedule may give it momentum
        _begin_momentum_late(optimizer)
    return optimizer


def _spare_compiler() -> None:
    """Let optimizers be made without importing PyTorch's compiler.

    It wraps two methods for that compiler and imports it, 1.2 to 1.7 s, at their first call, unless
    this attribute says that it did so before.
    """
    for method in (optim.Optimizer.add_param_group, optim.Optimizer.zero_grad):
        setattr(inspect.unwrap(method), "__dynamo_disable", inspect.unwrap(method))


def _step_plainly(optimizer: optim.Optimizer) -> None:
    """Let an optimizer step without the compiler's import and what PyTorch's profiler adds."""
    step = torch.no_grad()(inspect.unwrap(type(optimizer).step))
    optimizer.step = MethodType(step, optimizer)  # type: ignore[method-assign]


def _begin_momentum_late(optimizer: optim.Optimizer) -> None:
    """Let parameters have their first gradient later than others, in a random part of a network.

    PyTorch's fused SGD fails there: it wants a momentum of all parameters, or of none.
    """
    step = optimizer.step

    def fill_and_step(self: optim.Optimizer) -> None:
        reached = [each for each in self.param_groups[0]["params"] if each.grad is not None]
        new = [each for each in reached if "momentum_buffer" not in self.state[each]]
        if len(new) < len(reached):
            for parameter in new:
                self.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
        step()

    optimizer.step = MethodType(fill_and_step, optimizer)  # type: ignore[method-assign]


def _build(settings: spec.Optimizer, parameters: Iterable[nn.Parameter]) -> optim.Optimizer:
    match settings:
        case spec.Adam():
            return optim.Adam(
                parameters,
                lr=settings.learning_rate,
                betas=settings.betas,
                weight_decay=settings.weight_decay,
                fused=True,
            )
        case spec.AdamW():
            return _build_adamw(settings, parameters)
        case spec.SGD():
            return optim.SGD(
                parameters,
                lr=settings.learning_rate,
                momentum=settings.momentum,
                nesterov=settings.nesterov,
                weight_decay=settings.weight_decay,
                fused=True,
            )
        case spec.Muon():
            kernels, others = _part_kernels(parameters)
            rate, momentum = settings.learning_rate, settings.momentum
            return Muon(kernels, rate, momentum, _build_adamw(settings.others, others))
        case _:
            assert_never(settings)


def _build_adamw(settings: spec.AdamW, parameters: Iterable[nn.Parameter]) -> optim.AdamW:
    optimizer = optim.AdamW(
        parameters,
        lr=settings.learning_rate,
        betas=settings.betas,
        weight_decay=settings.weight_decay,
        fused=True,
    )
    _step_plainly(optimizer)
    return optimizer


def _part_kernels(
    parameters: Iterable[nn.Parameter],
) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Split into kernels over several channels, which Muon moves, and all other parameters.

    Raises:
        PresetError: one of the two is empty.
    """
    kernels: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for parameter in parameters:
        is_kernel = parameter.dim() == 4 and parameter.shape[1] > 1
        (kernels if is_kernel else others).append(parameter)
    if not kernels or not others:
        raise PresetError(
            "train.optimizer: muon needs a convolution over several channels and other "
            "parameters beside it. Use adamw."
        )
    return kernels, others


def build_average(model: nn.Module, decay: float | None) -> AveragedModel | None:
    """Return a moving average of the network: of its weights and running statistics.

    Raises:
        PresetError: the network cannot be copied.
    """
    if decay is None:
        return None
    move = get_ema_multi_avg_fn(decay)  # type: ignore[no-untyped-call]
    try:
        return AveragedModel(model, multi_avg_fn=move, use_buffers=True)
    except Exception as error:  # whatever a user's network holds
        reason = " ".join(str(error).split()).split(". ")[0].rstrip(".")
        raise PresetError(
            f"train.ema_decay: the network cannot be copied: {reason}. Set train.ema_decay=none."
        ) from error


def build_schedule(
    settings: spec.Schedule, optimizer: optim.Optimizer, *, epochs: int, total_steps: int
) -> Schedule:
    """Build the schedule of `optimizer` over `epochs` epochs with `total_steps` batches in all."""
    match settings:
        case spec.Constant():
            return Schedule(lr_scheduler.ConstantLR(optimizer, factor=1.0), "epoch")
        case spec.Step():
            scheduler = lr_scheduler.StepLR(optimizer, settings.every_epochs, gamma=settings.factor)
            return Schedule(scheduler, "epoch")
        case spec.Cosine():
            return Schedule(
                lr_scheduler.CosineAnnealingLR(optimizer, T_max=settings.epochs or epochs), "epoch"
            )
        case spec.OneCycle():
            return Schedule(_build_one_cycle(settings, optimizer, total_steps), "batch")
        case spec.Plateau():
            plateau = lr_scheduler.ReduceLROnPlateau(
                optimizer,
                factor=settings.factor,
                patience=settings.patience,
                threshold=settings.min_delta,
                min_lr=settings.min_learning_rate,
            )
            return Schedule(plateau, "validation")
        case _:
            assert_never(settings)


def plan_schedule(
    settings: spec.Train, optimizer: optim.Optimizer, epoch_steps: Sequence[int]
) -> Schedule:
    """Build the schedule of a training over the steps of all epochs, or over its training time.

    Args:
        settings: for the schedule and the time.
        optimizer: its parameters have no gradients.
        epoch_steps: planned number of steps of every epoch; of a training by time, only their
            ratios count.
    """
    steps, seconds = epoch_steps, settings.within_seconds
    if seconds is not None:
        scale = POSITIONS / sum(epoch_steps)
        steps = [max(1, round(scale * each)) for each in epoch_steps]
    planned = build_schedule(
        settings.schedule, optimizer, epochs=len(steps), total_steps=sum(steps)
    )
    if seconds is None:
        return planned
    table = trace_settings(planned, optimizer, steps, [None] * len(steps))
    return replace(planned, every="time", timing=Timing(seconds, optimizer, table))


def _build_one_cycle(
    settings: spec.OneCycle, optimizer: optim.Optimizer, total_steps: int
) -> lr_scheduler.OneCycleLR:
    first, peak = optimizer.param_groups[0]["lr"], settings.max_learning_rate
    # PyTorch's phases need at least two steps; a third costs a tiny run nothing.
    steps, warmup = max(total_steps, 3), settings.warmup_fraction
    if warmup * steps == 1:  # PyTorch would divide by the number of steps before the first one
        warmup = math.nextafter(warmup, 0)
    return lr_scheduler.OneCycleLR(
        optimizer,
        max_lr=[peak * group["lr"] / first for group in optimizer.param_groups],
        total_steps=steps,
        pct_start=warmup,
        anneal_strategy=settings.anneal,
        cycle_momentum=settings.cycle_momentum,
        div_factor=settings.start_divisor,
        final_div_factor=settings.end_divisor,
    )


def trace_settings(
    schedule: Schedule,
    optimizer: optim.Optimizer,
    epoch_steps: Sequence[int],
    validation_losses: Sequence[float | None],
) -> list[Settings]:
    """Return what the schedule sets at every step, without training.

    Args:
        schedule: fresh; is stepped through.
        optimizer: the schedule's; its parameters have no gradients.
        epoch_steps: number of steps of every epoch.
        validation_losses: of every epoch; None without held-out images.
    """
    found = []
    optimizer.step()  # a scheduler warns if its first step comes before the optimizer's
    for steps, loss in zip(epoch_steps, validation_losses, strict=True):
        for _ in range(steps):
            found.append(read_settings(optimizer))
            if schedule.every == "batch":
                schedule.scheduler.step()
        if schedule.every == "epoch":
            schedule.scheduler.step()
        if loss is not None:
            schedule.step(loss)
    return found


def trace_timed(
    schedule: Schedule,
    optimizer: optim.Optimizer,
    epoch_steps: Sequence[int],
    epoch_seconds: Sequence[float],
) -> list[Settings]:
    """Return what a schedule by time set at every step, if those of an epoch were equally long.

    Args:
        schedule: fresh; by time.
        optimizer: the schedule's.
        epoch_steps: number of steps of every epoch.
        epoch_seconds: training time of every epoch.
    """
    assert schedule.timing
    found, elapsed = [], 0.0
    for steps, seconds in zip(epoch_steps, epoch_seconds, strict=True):
        for step in range(steps):
            schedule.timing.begin_step(elapsed + seconds * step / steps)
            found.append(read_settings(optimizer))
        elapsed += seconds
    return found
