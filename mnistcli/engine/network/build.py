"""Build a network from layer specs, and describe it layer by layer.

Shapes and counts are not computed from formulas: the network is built, one image is passed through
it, and they are read from the outputs. (The meta device would need no memory, but a second of
imports; networks far beyond this purpose are refused before a layer is built.)
"""

from collections.abc import Sequence

import torch
from torch import nn

from mnistcli.datasets.examples import CLASSES, SIDE
from mnistcli.engine.network.costs import count_parameters as count_parameters
from mnistcli.engine.network.fit import show_shape
from mnistcli.engine.network.layers import SeededDropout
from mnistcli.engine.network.reach import Reached
from mnistcli.engine.network.trace import LayerDescription as LayerDescription
from mnistcli.engine.network.trace import Tracer
from mnistcli.errors import PresetError
from mnistcli.preset import layers as spec


def build_model(layers: Sequence[spec.Layer], generator: torch.Generator) -> nn.Sequential:
    """Build the network, as `build_described` does, without its description."""
    return build_described(layers, generator)[0]


def build_described(
    layers: Sequence[spec.Layer], generator: torch.Generator
) -> tuple[nn.Sequential, list[LayerDescription]]:
    """Build the network with PyTorch's default initial weights, drawn from `generator`'s seed.

    Returns:
        The network, float (n, 1, 28, 28) → logits float (n, 10), float32, on the CPU; and the
        description of every layer.

    Raises:
        PresetError: a layer does not fit the output of the layers before it, or is too large.
    """
    # PyTorch's initializers take no generator: seed the global one, and restore it afterwards.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(generator.initial_seed())
        model, descriptions = _trace(layers)
        return model.train(), descriptions


def describe_model(layers: Sequence[spec.Layer]) -> list[LayerDescription]:
    """Return every layer's output shape, parameters, multiply-accumulates and receptive field.

    Raises:
        PresetError: a layer does not fit the output of the layers before it, or is too large.
    """
    with torch.random.fork_rng(devices=[]):
        return _trace(layers)[1]


def seed_dropout(model: nn.Module, generator: torch.Generator) -> None:
    """Make every dropout of the network draw from `generator`."""
    for module in model.modules():
        if isinstance(module, SeededDropout):
            module.generator = generator


def _trace(layers: Sequence[spec.Layer]) -> tuple[nn.Sequential, list[LayerDescription]]:
    """Build the network, initialized from the global random generator, and describe it."""
    tracer = Tracer()
    model, values = tracer.build(layers, Reached(torch.zeros(1, 1, SIDE, SIDE)))
    if values.shape != (1, CLASSES):
        raise PresetError(
            f"model.layers: the network ends with {show_shape(values)} values, not 10"
        )
    return model, tracer.rows
