"""Preset → bytes that its network needs in integers, before any training."""

import torch
from torch import nn

from mnistcli.datasets.examples import SIDE
from mnistcli.engine.device import make_generator
from mnistcli.errors import PresetError
from mnistcli.experiment.network import build_plain
from mnistcli.export.c_header import count_memory
from mnistcli.export.convert import convert
from mnistcli.export.memory import count_constants
from mnistcli.preset.budget import BYTES
from mnistcli.preset.schema import Preset
from mnistcli.records.sizes import IntegerSizes

IMAGES = 4


def count_sizes(preset: Preset, *, always: bool = False) -> IntegerSizes | None:
    """Return the bytes of constants and of values; None if the budget limits neither.

    Sizes follow from the layers. A network with random weights is converted, as in an export.

    Args:
        preset: for its network and budget.
        always: whether to count them without a limit too.
    """
    if not always and not preset.budget.figures & BYTES:
        return None
    if preset.model.layers is None:
        return IntegerSizes(fault="networks that are Python code have no integer form")
    generator = make_generator(0, "calibration")
    images = torch.randint(256, (IMAGES, 1, SIDE, SIDE), generator=generator, dtype=torch.uint8)
    try:
        model = _randomize(build_plain(preset), generator)
        converted = convert(model, preset.normalization, images)
    except PresetError as error:
        return IntegerSizes(fault=str(error).rstrip("."))
    memory, stream = min((count_memory(converted, stream=each), each) for each in (False, True))
    return IntegerSizes(constants=count_constants(converted), memory=memory, stream=stream)


@torch.no_grad()
def _randomize(model: nn.Module, generator: torch.Generator) -> nn.Module:
    """Change all parameters and statistics a little: equal arrays would be counted once."""
    buffers = [each for each in model.buffers() if each.is_floating_point()]
    for values in (*model.parameters(), *buffers):
        # By fractions, so that the values of a deep network do not grow without limit.
        values *= 1 + 0.1 * torch.rand(values.shape, generator=generator)
        values += 0.001 * torch.rand(values.shape, generator=generator)
    return model
