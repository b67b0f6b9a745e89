"""Preset → network, optimizer, recipe: what every training here begins with."""

from dataclasses import dataclass
from math import prod

import torch
from torch import nn, optim

from mnistcli.engine import device as devices
from mnistcli.engine.augment import build_augment
from mnistcli.engine.loop import Learner, Plan, Recipe
from mnistcli.engine.network.build import build_model, count_parameters, describe_model
from mnistcli.engine.optim import build_average, build_optimizer, build_schedule
from mnistcli.errors import PresetError
from mnistcli.experiment.machine import Machine
from mnistcli.preset.schema import Preset


@dataclass(frozen=True)
class Network:
    """A network, untrained, and what will move it."""

    model: nn.Sequential
    optimizer: optim.Optimizer
    parameters: int
    macs: int
    """Multiply-adds for one image."""


def build_network(preset: Preset, seed: int, machine: Machine) -> Network:
    """The preset's network with the seed's initial weights.

    Raises:
        PresetError: it cannot be built, or is not what its optimizer is for.
    """
    model = build_model(preset.model.layers, devices.make_generator(seed, "weights"))
    model = model.to(machine.device).to(memory_format=torch.channels_last)
    optimizer = build_optimizer(preset.train.optimizer, model.parameters())
    macs = sum(layer.macs for layer in describe_model(preset.model.layers))
    return Network(model, optimizer, count_parameters(model), macs)


def check_batches(preset: Preset, images: int) -> None:
    """Refuses a batch of one image where batch normalization would see one value a channel.

    Raises:
        PresetError: there would be one.
    """
    size, rest = preset.train.batch_size, images % preset.train.batch_size
    alone = size == 1 or images == 1 or (rest == 1 and not preset.train.drop_last)
    single = any(
        layer.kind == "batch_norm" and prod(layer.output_shape[1:]) == 1
        for layer in describe_model(preset.model.layers)
    )
    if alone and single:
        raise PresetError(
            f"train.batch_size: {images:,} images in batches of {size:,} leave a batch of one, "
            "which batch_norm cannot normalize at 1 × 1; change it or set train.drop_last=true"
        )


def make_recipe(preset: Preset, seed: int, machine: Machine) -> Recipe:
    """How the preset makes batches and learns from them."""
    return Recipe(
        batch_size=preset.train.batch_size,
        drop_last=preset.train.drop_last,
        label_smoothing=preset.train.label_smoothing,
        clip_gradient_norm=preset.train.clip_gradient_norm,
        normalization=preset.normalization,
        augment=build_augment(preset.augment),
        precision=machine.precision,
        seed=seed,
    )


def make_learner(preset: Preset, network: Network, plan: Plan, recipe: Recipe) -> Learner:
    """The network, its optimizer, and a schedule over all steps of the plan."""
    schedule = build_schedule(
        preset.train.schedule,
        network.optimizer,
        epochs=len(plan.sizes),
        total_steps=sum(map(recipe.count_steps, plan.sizes)),
    )
    average = build_average(network.model, preset.train.ema_decay)
    return Learner(network.model, network.optimizer, schedule, average)
