"""Preset → network, optimizer, recipe: the one door to a network that is to be trained."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import prod

import torch
from torch import nn, optim

from mnistcli.engine import device as devices
from mnistcli.engine.augment import build_augment
from mnistcli.engine.network.build import LayerDescription, build_described, count_parameters
from mnistcli.engine.optim import build_average, build_optimizer, build_schedule
from mnistcli.engine.state import Learner, Recipe
from mnistcli.errors import PresetError
from mnistcli.experiment.machine import Machine
from mnistcli.preset.schema import Preset
from mnistcli.preset.training import OneCycle


@dataclass(frozen=True)
class Network:
    """An untrained network with its optimizer and its description."""

    model: nn.Sequential
    optimizer: optim.Optimizer
    layers: Sequence[LayerDescription]

    @property
    def parameters(self) -> int:
        """Return the number of parameters."""
        return count_parameters(self.model)

    @property
    def macs(self) -> int:
        """Return the multiply-accumulates for one image."""
        return sum(layer.macs for layer in self.layers)


def build_network(preset: Preset, seed: int, machine: Machine) -> Network:
    """Build the preset's network with the seed's initial weights.

    Raises:
        PresetError: it cannot be built, or its optimizer does not suit it.
    """
    generator = devices.make_generator(seed, "weights")
    model, layers = build_described(preset.model.scaled_layers, generator)
    model = model.to(machine.device).to(memory_format=torch.channels_last)
    return Network(model, build_optimizer(preset.train.optimizer, model.parameters()), layers)


def check_batches(preset: Preset, layers: Iterable[LayerDescription], sizes: Iterable[int]) -> None:
    """Refuse a batch of one image where batch normalization would see one value a channel.

    Args:
        preset: for its batch size.
        layers: of its network.
        sizes: number of images of every epoch.

    Raises:
        PresetError: an epoch would have such a batch.
    """
    if not any(
        layer.kind == "batch_norm" and prod(layer.output_shape[1:]) == 1 for layer in layers
    ):
        return
    batch, drop_last = preset.train.batch_size, preset.train.drop_last
    for images in sizes:
        if images == 1:
            advice = "there is only one image to learn from. Use more images."
        elif batch == 1:
            advice = "batches have one image. Use larger ones."
        elif images % batch == 1 and not drop_last:
            advice = (
                f"{images:,} images in batches of {batch:,} leave one. Change the batch size or "
                "set train.drop_last=true."
            )
        else:
            continue
        raise PresetError(
            f"train.batch_size: batch_norm cannot normalize one image at 1 × 1, and {advice}"
        )


def advise_after_divergence(preset: Preset) -> str:
    """Return which settings of the preset to change so that its training does not diverge."""
    by_schedule = isinstance(preset.train.schedule, OneCycle)
    rate = "train.schedule.max_learning_rate" if by_schedule else "train.optimizer.learning_rate"
    verb = "" if preset.train.clip_gradient_norm else "set "
    return f"Lower {rate}, or {verb}train.clip_gradient_norm."


def make_recipe(preset: Preset, seed: int, machine: Machine) -> Recipe:
    """Return how the preset makes batches and learns from them."""
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


def make_learner(preset: Preset, network: Network, sizes: Sequence[int], recipe: Recipe) -> Learner:
    """Return the network with its optimizer and a schedule over all steps of the training.

    Args:
        preset: for its schedule and moving average.
        network: untrained.
        sizes: number of images of every epoch.
        recipe: how an epoch is cut into batches.

    Raises:
        PresetError: an epoch would leave a batch that batch normalization cannot handle.
    """
    check_batches(preset, network.layers, sizes)
    schedule = build_schedule(
        preset.train.schedule,
        network.optimizer,
        epochs=len(sizes),
        total_steps=sum(map(recipe.count_steps, sizes)),
    )
    average = build_average(network.model, preset.train.ema_decay)
    return Learner(network.model, network.optimizer, schedule, average)
