"""Faults of a network that show in a few steps, looked for before it is trained."""

from collections.abc import Sequence
from dataclasses import replace

import torch

from mnistcli.engine.network.contain import contain
from mnistcli.engine.network.freeze import count_frozen
from mnistcli.engine.network.own import build_own, check_weights_decide
from mnistcli.engine.network.rehearse import rehearse
from mnistcli.engine.optim import build_optimizer
from mnistcli.errors import PresetError
from mnistcli.experiment.code import find_code
from mnistcli.experiment.machine import Machine
from mnistcli.experiment.network import Network, build_network, make_learner, make_recipe
from mnistcli.preset.schema import Preset


def examine_network(preset: Preset) -> tuple[int, tuple[str, ...]]:
    """Look for faults of a network before any training; most can be in the user's code only.

    Returns:
        The number of parameters that are not trained, and warnings.

    Raises:
        PresetError: it fails, or does not return logits.
    """
    if preset.model.layers is not None and not preset.train.freeze:
        return 0, ()
    machine = Machine(torch.device("cpu"), torch.float32, 1)
    network = build_network(preset, 0, machine)
    warnings = rehearse_batches(preset, network, [2], machine)
    return preset.members * count_frozen(network.model), network.warnings + warnings


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
