"""Preset → network, optimizer, recipe: the one door to a network that is to be trained."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import prod

import torch
from torch import nn, optim

from mnistcli.engine import device as devices
from mnistcli.engine.augment import build_augment
from mnistcli.engine.network.build import (
    LayerDescription,
    build_described,
    build_model,
    count_parameters,
    describe_model,
)
from mnistcli.engine.network.contain import contain
from mnistcli.engine.network.own import (
    build_own,
    check_weights_decide,
    choose_layout,
    describe_own,
)
from mnistcli.engine.network.rehearse import rehearse
from mnistcli.engine.optim import build_average, build_optimizer, build_schedule
from mnistcli.engine.state import Learner, Recipe
from mnistcli.errors import PresetError
from mnistcli.experiment.code import find_code
from mnistcli.experiment.machine import Machine
from mnistcli.preset.curriculum import Hardest
from mnistcli.preset.schema import Preset
from mnistcli.preset.training import OneCycle


@dataclass(frozen=True)
class Network:
    """An untrained network with its optimizer and its description."""

    model: nn.Module
    optimizer: optim.Optimizer
    layers: Sequence[LayerDescription]
    layout: torch.memory_format = torch.channels_last
    warnings: tuple[str, ...] = ()
    """Findings about a network that is the user's own code."""

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
    layout, warnings = torch.channels_last, list[str]()
    model: nn.Module
    with contain(preset.model.code):
        if preset.model.layers is None:
            code = find_code(preset)
            layout, warnings = choose_layout(code)
            layers = describe_own(code)
            model = build_own(code, devices.derive_seed(seed, "weights"))
        else:
            generator = devices.make_generator(seed, "weights")
            model, layers = build_described(preset.model.scaled_layers, generator)
        model = model.to(machine.device).to(memory_format=layout)
        optimizer = build_optimizer(preset.train.optimizer, model.parameters())
    return Network(model, optimizer, layers, layout, tuple(warnings))


def build_plain(preset: Preset) -> nn.Module:
    """Build the preset's network on the CPU, to load trained weights into it.

    Raises:
        PresetError: it cannot be built.
    """
    if preset.model.layers is None:
        with contain(preset.model.code):
            return build_own(find_code(preset), 0)
    return build_model(preset.model.scaled_layers, devices.make_generator(0, "weights"))


def describe_network(preset: Preset, *, measured: bool = True) -> list[LayerDescription]:
    """Return one row for every layer.

    Args:
        preset: for its network.
        measured: whether to measure the receptive fields of a network that is the user's code.

    Raises:
        PresetError: the network cannot be built.
    """
    if preset.model.layers is not None:
        return describe_model(preset.model.scaled_layers)
    with contain(preset.model.code):
        return describe_own(find_code(preset), measured=measured)


def examine_network(preset: Preset) -> tuple[int, tuple[str, ...]]:
    """Look for faults of a network that is the user's code, before any training.

    Returns:
        The number of parameters that are not trained, and warnings.

    Raises:
        PresetError: it fails, or does not return logits.
    """
    if preset.model.layers is not None:
        return 0, ()
    machine = Machine(torch.device("cpu"), torch.float32, 1)
    network = build_network(preset, 0, machine)
    warnings = rehearse_batches(preset, network, [2], machine)
    frozen = [each for each in network.model.parameters() if not each.requires_grad]
    return sum(each.numel() for each in frozen), network.warnings + warnings


def rehearse_batches(
    preset: Preset, network: Network, sizes: Sequence[int], machine: Machine
) -> tuple[str, ...]:
    """Try batches of the training's sizes where the network is the user's code.

    Args:
        preset: for its network and recipe.
        network: as built; another one is made for this.
        sizes: number of images of every epoch.
        machine: where it will be trained.

    Returns:
        Warnings.

    Raises:
        PresetError: a batch fails.
    """
    if preset.model.layers is not None:
        return ()
    with contain(preset.model.code):
        check_weights_decide(find_code(preset))
    batch = preset.train.batch_size
    counts = {min(batch, images) for images in sizes}
    if not preset.train.drop_last:
        counts |= {images % batch for images in sizes} - {0}
    falling = sorted(counts, reverse=True)
    try:
        return _rehearse(preset, network, falling, machine)
    except PresetError as error:
        if machine.precision == torch.float32:
            raise
        try:
            _rehearse(preset, network, falling, replace(machine, precision=torch.float32))
        except PresetError:
            raise error from error.__cause__
        raise PresetError(f"{error} In float32 it works: add --precision float32.") from error


def _rehearse(
    preset: Preset, network: Network, batches: Sequence[int], machine: Machine
) -> tuple[str, ...]:
    code = find_code(preset)
    with contain(code):
        model = build_own(code, 0).to(machine.device).to(memory_format=network.layout)
        optimizer = build_optimizer(preset.train.optimizer, model.parameters())
        network = replace(network, model=model, optimizer=optimizer)
        recipe = make_recipe(preset, 0, machine)
        learner = make_learner(preset, network, batches, recipe)
        return tuple(rehearse(code, learner, batches, recipe))


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
        look_steps=devices.choose_look_steps(machine.device),
        draws_globally=preset.model.layers is None,
        keeps_losses=isinstance(preset.curriculum, Hardest),
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
    with contain(preset.model.code):
        average = build_average(network.model, preset.train.ema_decay)
    return Learner(network.model, network.optimizer, schedule, average)
