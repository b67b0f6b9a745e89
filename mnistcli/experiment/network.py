"""Preset → network, optimizer, recipe: the one door to a network that is to be trained."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from math import prod

import torch
from torch import nn, optim

from mnistcli.datasets.examples import SIDE
from mnistcli.engine import device as devices
from mnistcli.engine.augment import build_augment
from mnistcli.engine.network.build import (
    LayerDescription,
    build_described,
    build_model,
    count_parameters,
    describe_model,
)
from mnistcli.engine.network.code import running
from mnistcli.engine.network.contain import contain
from mnistcli.engine.network.describe import describe_module, measure_reach
from mnistcli.engine.network.own import build_own, look_at_outputs, rehearse
from mnistcli.engine.optim import build_average, build_optimizer, build_schedule
from mnistcli.engine.state import Learner, Recipe
from mnistcli.errors import PresetError
from mnistcli.experiment.code import find_code
from mnistcli.experiment.machine import Machine
from mnistcli.preset.code.code import Code
from mnistcli.preset.curriculum import Hardest
from mnistcli.preset.schema import Preset
from mnistcli.preset.training import OneCycle


@dataclass(frozen=True)
class Network:
    """An untrained network with its optimizer and its description."""

    model: nn.Module
    optimizer: optim.Optimizer
    layers: Sequence[LayerDescription]
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
    model: nn.Module
    layout, warnings = torch.channels_last, list[str]()
    with contain(preset.model.code):
        if preset.model.layers is None:
            code = find_code(preset)
            layout, warnings = _choose_layout(code)
            layers = _describe_own(code)
            model = build_own(code, devices.derive_seed(seed, "weights"))
        else:
            generator = devices.make_generator(seed, "weights")
            model, layers = build_described(preset.model.scaled_layers, generator)
        model = model.to(machine.device).to(memory_format=layout)
        optimizer = build_optimizer(preset.train.optimizer, model.parameters())
    return Network(model, optimizer, layers, tuple(warnings))


def build_plain(preset: Preset) -> nn.Module:
    """Build the preset's network on the CPU, to load trained weights into it.

    Raises:
        PresetError: it cannot be built.
    """
    if preset.model.layers is None:
        with contain(preset.model.code):
            return build_own(find_code(preset), 0)
    return build_model(preset.model.scaled_layers, devices.make_generator(0, "weights"))


def describe_network(preset: Preset) -> list[LayerDescription]:
    """Return one row for every layer; of the user's code, with measured receptive fields.

    Raises:
        PresetError: the network cannot be built.
    """
    if preset.model.layers is not None:
        return describe_model(preset.model.scaled_layers)
    code = find_code(preset)
    with contain(code):
        module = build_own(code, 0)
        with running(code):
            reach = measure_reach(module)
        rows = _describe_own(code)
    return [replace(row, receptive_field=reach.get(row.name, SIDE)) for row in rows]


def examine_network(preset: Preset) -> tuple[str, ...]:
    """Return findings about a network that is the user's code, before any training.

    Raises:
        PresetError: it fails, or does not return logits.
    """
    if preset.model.layers is not None:
        return ()
    code = find_code(preset)
    with contain(code):
        found = look_at_outputs(code, build_own(code, 0))
        return (*found, *rehearse(code, build_own(code, 0), [2], torch.float32))


def count_frozen(preset: Preset) -> int:
    """Return the number of parameters that are not trained."""
    if preset.model.layers is not None:
        return 0
    with contain(preset.model.code):
        parameters = build_own(find_code(preset), 0).parameters()
        return sum(each.numel() for each in parameters if not each.requires_grad)


def _describe_own(code: Code) -> list[LayerDescription]:
    module = build_own(code, 0)
    with running(code):
        return describe_module(module)


def _choose_layout(code: Code) -> tuple[torch.memory_format, list[str]]:
    """Return channels last, which is faster, unless the code reshapes with Tensor.view.

    Raises:
        PresetError: the network fails in any layout.
    """
    module = build_own(code, 0).to(memory_format=torch.channels_last)
    try:
        return torch.channels_last, look_at_outputs(code, module)
    except PresetError as error:
        if "view size is not compatible" not in str(error):
            raise
    return torch.contiguous_format, look_at_outputs(code, build_own(code, 0))


def rehearse_batches(preset: Preset, sizes: Iterable[int], machine: Machine) -> tuple[str, ...]:
    """Try batches of the training's sizes where the network is the user's code.

    Args:
        preset: for its network and batch size.
        sizes: number of images of every epoch.
        machine: where it will be trained.

    Returns:
        Warnings.

    Raises:
        PresetError: a batch fails.
    """
    if preset.model.layers is not None:
        return ()
    code, batch = find_code(preset), preset.train.batch_size
    counts = {min(batch, images) for images in sizes}
    if not preset.train.drop_last:
        counts |= {images % batch for images in sizes} - {0}
    with contain(code):
        module = build_own(code, 0).to(machine.device)
        return tuple(rehearse(code, module, sorted(counts, reverse=True), machine.precision))


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
