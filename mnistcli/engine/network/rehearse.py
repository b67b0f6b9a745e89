"""Steps of a training on random images: what would fail or surprise later is found before."""

import random
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn

from mnistcli.datasets.examples import CLASSES, SIDE
from mnistcli.engine.clock import Clock
from mnistcli.engine.device import drawing_from
from mnistcli.engine.loop import learn
from mnistcli.engine.network.code import running
from mnistcli.engine.network.contain import refuse
from mnistcli.engine.network.own import forward
from mnistcli.engine.state import Learner, Recipe
from mnistcli.engine.targets import Targets
from mnistcli.preset.code.code import Code

MORE_STEPS = 8
SHOWN = 5

Structure = dict[str, tuple[torch.Size, torch.dtype]]


def rehearse(code: Code, learner: Learner, sizes: Sequence[int], recipe: Recipe) -> list[str]:
    """Train a network that is not needed any more on batches of random images.

    Args:
        code: the network's code.
        learner: with the network; is changed.
        sizes: numbers of images in a batch.
        recipe: how it will be trained.

    Returns:
        Warnings.

    Raises:
        PresetError: a step fails, or does not leave the network's parts as they were.
    """
    learner.begin_training()
    model = learner.model
    attributes, later = _read_attributes(model), dict[str, object]()
    unused = {name for name, each in model.named_parameters() if each.requires_grad}
    with drawing_from(0):
        # A random path may leave parameters out, but not every time.
        for place, size in enumerate([*sizes, *[sizes[-1]] * MORE_STEPS]):
            if place > len(sizes) and not unused:
                break
            unused -= _take_step(code, learner, size, recipe)
            later = later or _read_attributes(model)
    changed = _find_changed(attributes, later, _read_attributes(model))
    return [*_warn_of_unused(code, unused), *_warn_of_changed(code, changed)]


def _take_step(code: Code, learner: Learner, size: int, recipe: Recipe) -> set[str]:
    """Take a step, and return the names of the parameters that it reached."""
    model = learner.model
    device = next(model.parameters()).device
    images = torch.randn(size, 1, SIDE, SIDE).to(device)
    labels = torch.arange(size, device=device) % CLASSES
    structure = _read_structure(model)
    with torch.autocast(device.type, recipe.precision, recipe.precision != torch.float32):
        forward(code, model, images.clone())
    _check_structure(code, structure, _read_structure(model))
    parameters = dict(model.named_parameters())
    with running(code):
        try:
            learn(learner, images, Targets(labels), recipe, Clock())
        except FloatingPointError:
            return {*parameters}  # random images may overflow: no finding about parameters
    return {name for name, each in parameters.items() if each.grad is not None}


def _read_structure(module: nn.Module) -> Structure:
    values = (*module.named_parameters(), *module.named_buffers())
    return {name: (value.shape, value.dtype) for name, value in values}


def _check_structure(code: Code, before: Structure, after: Structure) -> None:
    """Refuse what a saved state would not fit.

    Raises:
        PresetError: a parameter or buffer was added, or has another shape.
    """
    changed = [name for name in before | after if before.get(name) != after.get(name)]
    if changed:
        raise refuse(
            code,
            f"makes parameters or buffers in forward, or changes their shape: {_list(changed)}. "
            "Make them in __init__, with a shape that stays.",
        )


def _read_attributes(module: nn.Module) -> dict[str, object]:
    """Return what the network keeps beside parameters and buffers: numbers and generators."""
    return {
        f"{prefix}.{name}".lstrip("."): found
        for prefix, each in module.named_modules()
        for name, value in vars(each).items()
        if not name.startswith("_") and (found := _read(value)) is not None
    }


def _read(value: object) -> object:
    match value:
        case bool() | int() | float() | str():
            return repr(value)
        case torch.Generator():
            return value.get_state().tolist()
        case random.Random():
            return value.getstate()
        case np.random.Generator():
            return str(value.bit_generator.state)
        case Tensor() if value.is_leaf and value.layout == torch.strided and not value.is_meta:
            return repr(value.detach().sum().item())
        case _:
            return None


def _find_changed(
    before: Mapping[str, object], later: Mapping[str, object], after: Mapping[str, object]
) -> list[str]:
    """Return the attributes that were there before the first step, and changed at the last too."""
    return [
        name
        for name in before
        if name in after and before[name] != after[name] and later.get(name) != after[name]
    ]


def _warn_of_changed(code: Code, changed: Sequence[str]) -> list[str]:
    if not changed:
        return []
    return [
        f"{code.python} changes {_list(changed)} in forward, which is not restored when a training "
        "is resumed. Use register_buffer."
    ]


def _warn_of_unused(code: Code, unused: set[str]) -> list[str]:
    if not unused:
        return []
    return [f"{code.python} does not use {len(unused)} of its parameters: {_list(sorted(unused))}"]


def _list(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + (", …" if len(names) > SHOWN else "")
