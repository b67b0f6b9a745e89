"""Preset → network, optimizer, recipe: the one door to a network that is to be trained."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import prod

import torch
from torch import nn, optim

from mnistcli.engine import device as devices
from mnistcli.engine.augment import build_augment
from mnistcli.engine.mix import build_mix
from mnistcli.engine.network.build import (
    LayerDescription,
    build_described,
    build_model,
    count_parameters,
    describe_model,
)
from mnistcli.engine.network.contain import contain
from mnistcli.engine.network.ensemble import Ensemble
from mnistcli.engine.network.freeze import freeze
from mnistcli.engine.network.own import (
    build_own,
    choose_layout,
    describe_own,
)
from mnistcli.engine.network.quantize import Quantized
from mnistcli.engine.optim import build_average, build_optimizer, plan_schedule
from mnistcli.engine.state import Learner, Recipe
from mnistcli.engine.teacher import Teach
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
    frozen: tuple[nn.Module, ...] = ()
    """Layers that are not trained."""
    warnings: tuple[str, ...] = ()
    """Findings about a network that is the user's own code."""
    members: int = 1
    """Number of networks like it in the ensemble, if it is one's."""

    @property
    def parameters(self) -> int:
        """Return the number of parameters, of an ensemble those of all members."""
        return self.members * count_parameters(self.model)

    @property
    def macs(self) -> int:
        """Return the multiply-accumulates for one image, of an ensemble those of all members."""
        return self.members * sum(layer.macs for layer in self.layers)


def build_network(preset: Preset, seed: int, machine: Machine) -> Network:
    """Build the preset's network, or one of its ensemble, with the seed's initial weights.

    Raises:
        PresetError: it cannot be built, its initial weights do not fit, or its optimizer does not
            suit it.
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
            model, layers = build_described(preset.final_layers, generator)
            model = quantize(preset, model)
        frozen = _prepare_weights(preset, model)
        model = model.to(machine.device).to(memory_format=layout)
        optimizer = build_optimizer(preset.train.optimizer, model.parameters())
    return Network(model, optimizer, layers, layout, frozen, tuple(warnings), preset.members)


def _prepare_weights(preset: Preset, model: nn.Module) -> tuple[nn.Module, ...]:
    """Load the weights that the training starts from, and return the layers that stay frozen."""
    if preset.train.init is not None:
        from mnistcli.experiment.earlier import load_initial_weights  # builds with this module

        load_initial_weights(model, preset.train.init)
    return freeze(model, [str(name) for name in preset.train.freeze])


def build_plain(preset: Preset) -> nn.Module:
    """Build the preset's network or ensemble on the CPU, to load trained weights into it.

    Raises:
        PresetError: it cannot be built.
    """
    if preset.ensemble:
        return Ensemble([_build_member(preset) for _ in range(preset.members)])
    return _build_member(preset)


def _build_member(preset: Preset) -> nn.Module:
    if preset.model.layers is None:
        with contain(preset.model.code):
            return build_own(find_code(preset), 0)
    model = build_model(preset.final_layers, devices.make_generator(0, "weights"))
    return quantize(preset, model)


def quantize(preset: Preset, model: nn.Sequential) -> nn.Sequential:
    """Return the network as the preset trains it: for integers, if it says so.

    Raises:
        PresetError: a layer has no integer counterpart.
    """
    if preset.train.quantize is None:
        return model
    try:
        return Quantized(model, preset.train.quantize, preset.normalization)
    except PresetError as error:
        raise PresetError(f"train.quantize: {error}") from error


def describe_network(preset: Preset, *, measured: bool = True) -> list[LayerDescription]:
    """Return one row for every layer, of an ensemble for those of one member.

    Args:
        preset: for its network.
        measured: whether to measure the receptive fields of a network that is the user's code.

    Raises:
        PresetError: the network cannot be built.
    """
    if preset.model.layers is not None:
        layers = describe_model(preset.final_layers)
        if preset.train.quantize:
            _build_member(preset)  # has every layer an integer counterpart?
        return layers
    with contain(preset.model.code):
        return describe_own(find_code(preset), measured=measured)


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


def list_sizes(preset: Preset, images: int) -> list[int]:
    """Return the number of images of every planned epoch, of a training without phases."""
    curriculum, epochs = preset.curriculum, range(1, preset.epochs + 1)
    if not isinstance(curriculum, Hardest):
        return [images for _ in epochs]
    return [max(1, round(images * curriculum.fraction(epoch))) for epoch in epochs]


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
        mix=build_mix(preset.mixing),
        teach=_find_teachers(preset, machine),
        precision=machine.precision,
        seed=seed,
        # A step that is not waited for has no time of its own.
        look_steps=1 if preset.train.within_seconds else devices.choose_look_steps(machine.device),
        draws_globally=preset.model.layers is None,
        keeps_best=preset.train.keep == "best",
        keeps_losses=isinstance(preset.curriculum, Hardest),
    )


def _find_teachers(preset: Preset, machine: Machine) -> Teach | None:
    if preset.teacher is None:
        return None
    from mnistcli.experiment.earlier import load_teachers  # it builds networks with this module

    return load_teachers(preset.teacher, machine)


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
    steps = [*map(recipe.count_steps, sizes)]
    schedule = plan_schedule(preset.train, network.optimizer, steps)
    with contain(preset.model.code):
        average = build_average(network.model, preset.train.ema_decay)
    return Learner(network.model, network.optimizer, schedule, average, network.frozen)
