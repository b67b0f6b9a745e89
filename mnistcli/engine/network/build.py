"""Build a network from layer specs, and describe it layer by layer.

Shapes and counts are not computed from formulas: the network is built, one image is passed through
it, and they are read from the outputs. (The meta device would need no memory, but a second of
imports; networks far beyond this purpose are refused before a layer is built.)
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import assert_never

import torch
from torch import Tensor, nn

from mnistcli.datasets.examples import CLASSES, SIDE
from mnistcli.engine.network.layers import (
    Flatten,
    GlobalAveragePool,
    GlobalMaxPool,
    SeededDropout,
)
from mnistcli.errors import PresetError
from mnistcli.preset import layers as spec

PARAMETER_LIMIT = 20_000_000
ACTIVATION_LIMIT = 20_000_000
MAC_LIMIT = 5_000_000_000


@dataclass(frozen=True)
class LayerDescription:
    """One layer as built: its output shape for one image, and its costs."""

    name: str
    kind: str
    output_shape: tuple[int, ...]
    """Shape without the batch: (channels, height, width) or (features,)."""
    parameters: int
    macs: int
    """Multiply-accumulates (MACs) for one image, in convolutions and linear layers."""
    receptive_field: int
    """Side, in input pixels, of the square that one output value depends on."""


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
        return _pool_early(model).train(), descriptions


def describe_model(layers: Sequence[spec.Layer]) -> list[LayerDescription]:
    """Return every layer's output shape, parameters, multiply-accumulates and receptive field.

    Raises:
        PresetError: a layer does not fit the output of the layers before it, or is too large.
    """
    with torch.random.fork_rng(devices=[]):
        return _trace(layers)[1]


def count_parameters(model: nn.Module) -> int:
    """Return the number of trainable parameters, a shared one counted once."""
    return sum(parameter.numel() for parameter in model.parameters())


def seed_dropout(model: nn.Module, generator: torch.Generator) -> None:
    """Make every dropout of the network draw from `generator`."""
    for module in model.modules():
        if isinstance(module, SeededDropout):
            module.generator = generator


@torch.no_grad()
def _trace(layers: Sequence[spec.Layer]) -> tuple[nn.Sequential, list[LayerDescription]]:
    """Build the network, initialized from the global random generator, and describe it."""
    model = nn.Sequential()
    descriptions: list[LayerDescription] = []
    values = torch.zeros(1, 1, SIDE, SIDE)
    field, jump, parameters = 1, 1, 0
    for index, layer in enumerate(layers):
        try:
            module, output = _push(layer, values)
        except (PresetError, ValueError, RuntimeError) as error:
            reason = str(error).splitlines()[0].rstrip(".")
            raise PresetError(f"model.layers.{index}: {layer.kind}: {reason}") from error
        kernel, stride = _reach(layer, values)
        field, jump = field + (kernel - 1) * jump, jump * stride
        parameters += count_parameters(module)
        if parameters > PARAMETER_LIMIT:
            raise PresetError(f"model.layers: more than {PARAMETER_LIMIT:,} parameters")
        descriptions.append(
            LayerDescription(
                name=str(index),
                kind=layer.kind,
                output_shape=tuple(output.shape[1:]),
                parameters=count_parameters(module),
                macs=_count_macs(module, output),
                receptive_field=field,
            )
        )
        model.append(module)
        values = output
    if values.shape != (1, CLASSES):
        raise PresetError(f"model.layers: the network ends with {_shape(values)} values, not 10")
    return model, descriptions


def _pool_early(model: nn.Sequential) -> nn.Sequential:
    """Move a max pooling before the ReLU and the channel dropout that it follows.

    Both keep the order of the values in a channel, so the outputs are the same, but they process
    a quarter of the values. Modules keep the names that they have in the preset's order.
    """
    order = list(model.named_children())
    for place in range(len(order)):
        while (
            place
            and isinstance(order[place][1], nn.MaxPool2d)
            and _keeps_order(order[place - 1][1])
        ):
            order[place - 1], order[place] = order[place], order[place - 1]
            place -= 1
    return nn.Sequential(OrderedDict(order))


def _keeps_order(module: nn.Module) -> bool:
    by_channel = isinstance(module, SeededDropout) and module.channels
    return by_channel or isinstance(module, nn.ReLU)


def _push(layer: spec.Layer, values: Tensor) -> tuple[nn.Module, Tensor]:
    """Build the layer's module for an input like `values`; return it with its output."""
    _check_input(layer, values)
    module = _build_layer(layer, values.shape[1]).eval()
    return module, module(values.clone())


def _check_input(layer: spec.Layer, values: Tensor) -> None:
    match layer:
        case spec.Linear() if values.dim() != 2:
            raise PresetError(f"the input is {_shape(values)}; flatten or pool it first")
        case (
            spec.Conv()
            | spec.BatchNorm()
            | spec.MaxPool()
            | spec.Dropout2d()
            | spec.GlobalAveragePool()
            | spec.GlobalMaxPool()
        ) if values.dim() != 4:
            raise PresetError("the input has no height and width")
    weights, positions, outputs = _size_bound(layer, values)
    if weights > PARAMETER_LIMIT:
        raise PresetError(f"more than {PARAMETER_LIMIT:,} parameters")
    if outputs > ACTIVATION_LIMIT or weights * positions > MAC_LIMIT:
        raise PresetError("too large for a network on 28 × 28 pixels")


def _size_bound(layer: spec.Layer, values: Tensor) -> tuple[int, int, int]:
    """Return upper bounds of the layer's weights, output positions and output values."""
    match layer:
        case spec.Linear():
            return values.shape[1] * layer.out_features, 1, layer.out_features
        case spec.Conv():
            padded = values.shape[-1] + 2 * _padding(layer)
            positions = (padded // layer.stride + 1) ** 2
            weights = values.shape[1] * layer.out_channels * layer.kernel_size**2 // layer.groups
            return weights, positions, layer.out_channels * positions
        case _:
            return 0, 1, values.numel()


def _build_layer(layer: spec.Layer, inputs: int) -> nn.Module:
    match layer:
        case spec.Conv():
            return nn.Conv2d(
                inputs,
                layer.out_channels,
                layer.kernel_size,
                stride=layer.stride,
                padding=_padding(layer),
                groups=layer.groups,
                bias=layer.bias,
            )
        case spec.BatchNorm():
            return nn.BatchNorm2d(inputs, momentum=layer.momentum)
        case spec.ReLU():
            return nn.ReLU()
        case spec.MaxPool():
            return nn.MaxPool2d(layer.kernel_size)
        case spec.Dropout():
            return SeededDropout(layer.probability, channels=False)
        case spec.Dropout2d():
            return SeededDropout(layer.probability, channels=True)
        case spec.Flatten():
            return Flatten()
        case spec.GlobalAveragePool():
            return GlobalAveragePool()
        case spec.GlobalMaxPool():
            return GlobalMaxPool()
        case spec.Linear():
            return nn.Linear(inputs, layer.out_features, bias=layer.bias)
        case _:
            assert_never(layer)


def _padding(layer: spec.Conv) -> int:
    return layer.kernel_size // 2 if layer.padding is None else layer.padding


def _count_macs(module: nn.Module, output: Tensor) -> int:
    """Count multiply-accumulates: every weight is used once at every position of the output."""
    if isinstance(module, nn.Conv2d | nn.Linear):
        return module.weight.numel() * prod(output.shape[2:])
    return 0


def _reach(layer: spec.Layer, values: Tensor) -> tuple[int, int]:
    """Return kernel and stride for the receptive field (Araujo et al. 2019, equation 2)."""
    match layer:
        case spec.Conv():
            return layer.kernel_size, layer.stride
        case spec.MaxPool():
            return layer.kernel_size, layer.kernel_size
        case spec.Flatten() | spec.GlobalAveragePool() | spec.GlobalMaxPool():
            return (values.shape[-1] if values.dim() == 4 else 1), 1
        case _:
            return 1, 1


def _shape(values: Tensor) -> str:
    return " × ".join(str(extent) for extent in values.shape[1:])
