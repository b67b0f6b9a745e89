"""Layer specs → network, and the network's description layer by layer.

Shapes and counts are never computed from formulas: the network is built on the meta device, one
image is pushed through, and what comes out is read off.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import assert_never

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from mnistcli.engine.data import CLASSES, SIDE
from mnistcli.engine.layers import GlobalAveragePool, GlobalMaxPool, SeededDropout
from mnistcli.errors import PresetError
from mnistcli.preset import layers as spec

PARAMETER_LIMIT = 100_000_000
ACTIVATION_LIMIT = 100_000_000


@dataclass(frozen=True)
class LayerDescription:
    """One layer as built: what it puts out for one image, and what it costs."""

    name: str
    kind: str
    output_shape: tuple[int, ...]
    """Without the batch: (channels, height, width) or (features,)."""
    parameters: int
    macs: int
    """Multiply-adds for one image, of convolutions and linear layers."""
    receptive_field: int
    """Side, in pixels of the input, of the square that one output value depends on."""


def build_model(layers: Sequence[spec.Layer], generator: torch.Generator) -> nn.Sequential:
    """The network with PyTorch's default initial weights, drawn from `generator`'s seed.

    Returns:
        float (n, 1, 28, 28) → logits float (n, 10); float32, on the CPU.

    Raises:
        PresetError: a layer does not fit what the layers before it put out.
    """
    model = trace_model(layers)[0].to_empty(device="cpu")
    # PyTorch's own initializers take no generator: they get a seed, and the global one is put back.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(generator.initial_seed())
        for module in model:
            if hasattr(module, "reset_parameters"):
                module.reset_parameters()
    return model


def describe_model(layers: Sequence[spec.Layer]) -> list[LayerDescription]:
    """Every layer's output shape, parameters, multiply-adds and receptive field.

    Raises:
        PresetError: a layer does not fit what the layers before it put out.
    """
    return trace_model(layers)[1]


def count_parameters(model: nn.Module) -> int:
    """The trained values of the network, a shared one counted once."""
    return sum(parameter.numel() for parameter in model.parameters())


def seed_dropout(model: nn.Module, generator: torch.Generator) -> None:
    """Lets every dropout of the network draw from `generator`."""
    for module in model.modules():
        if isinstance(module, SeededDropout):
            module.generator = generator


def trace_model(layers: Sequence[spec.Layer]) -> tuple[nn.Sequential, list[LayerDescription]]:
    """The network on the meta device (shapes without memory), and its description.

    Raises:
        PresetError: a layer does not fit, or the network is too large to be meant.
    """
    model = nn.Sequential()
    descriptions: list[LayerDescription] = []
    values = torch.empty(1, 1, SIDE, SIDE, device="meta")
    field, jump = 1, 1
    for index, layer in enumerate(layers):
        name = f"{index}"
        module = _build_on_meta(layer, values, name)
        output, macs = _push(module, values, name)
        kernel, stride = _reach(layer, values)
        field, jump = field + (kernel - 1) * jump, jump * stride
        parameters = count_parameters(module)
        descriptions.append(
            LayerDescription(name, layer.kind, tuple(output.shape[1:]), parameters, macs, field)
        )
        _check_size(descriptions, name)
        model.add_module(name, module)
        values = output
    if values.shape != (1, CLASSES):
        shape = " × ".join(str(extent) for extent in values.shape[1:])
        raise PresetError(f"model.layers: the network ends with {shape} values; it must end in 10")
    return model, descriptions


def _build_on_meta(layer: spec.Layer, values: Tensor, name: str) -> nn.Module:
    """The module for `layer` whose input is `values`, checked for the input's dimensions."""
    wants_image = isinstance(
        layer,
        spec.Conv
        | spec.BatchNorm
        | spec.MaxPool
        | spec.Dropout2d
        | spec.GlobalAveragePool
        | spec.GlobalMaxPool,
    )
    wants_features = isinstance(layer, spec.Linear)
    if (wants_image and values.dim() != 4) or (wants_features and values.dim() != 2):
        needed = "channels × height × width" if wants_image else "features; flatten or pool first"
        raise PresetError(f"model.layers.{name}: {layer.kind} needs {needed}")
    if isinstance(layer, spec.Conv | spec.Linear) and _weight_count(layer, values) > (
        PARAMETER_LIMIT
    ):
        raise PresetError(f"model.layers.{name}: more than {PARAMETER_LIMIT:,} parameters")
    try:
        with torch.device("meta"):
            return _build_layer(layer, values.shape[1])
    except (ValueError, RuntimeError) as error:
        raise PresetError(f"model.layers.{name}: {_first_line(error)}") from error


def _build_layer(layer: spec.Layer, inputs: int) -> nn.Module:
    match layer:
        case spec.Conv():
            padding = layer.kernel_size // 2 if layer.padding is None else layer.padding
            return nn.Conv2d(
                inputs,
                layer.out_channels,
                layer.kernel_size,
                stride=layer.stride,
                padding=padding,
                groups=layer.groups,
                bias=layer.bias,
            )
        case spec.BatchNorm():
            return nn.BatchNorm2d(inputs, momentum=layer.momentum)
        case spec.ReLU():
            return nn.ReLU(inplace=True)
        case spec.MaxPool():
            return nn.MaxPool2d(layer.kernel_size)
        case spec.Dropout():
            return SeededDropout(layer.probability, channels=False)
        case spec.Dropout2d():
            return SeededDropout(layer.probability, channels=True)
        case spec.Flatten():
            return nn.Flatten()
        case spec.GlobalAveragePool():
            return GlobalAveragePool()
        case spec.GlobalMaxPool():
            return GlobalMaxPool()
        case spec.Linear():
            return nn.Linear(inputs, layer.out_features, bias=layer.bias)
        case _:
            assert_never(layer)


def _push(module: nn.Module, values: Tensor, name: str) -> tuple[Tensor, int]:
    """The output for `values`, and the multiply-adds it took."""
    counter = FlopCounterMode(display=False)
    try:
        with counter, torch.no_grad():
            output: Tensor = module.eval()(values)
    except (RuntimeError, ValueError) as error:
        raise PresetError(
            f"model.layers.{name}: it does not fit an input of "
            f"{' × '.join(map(str, values.shape[1:]))}: {_first_line(error)}"
        ) from error
    return output, counter.get_total_flops() // 2


def _reach(layer: spec.Layer, values: Tensor) -> tuple[int, int]:
    """Kernel and stride, as the receptive field sees them (Araujo et al. 2019, equation 2)."""
    match layer:
        case spec.Conv():
            return layer.kernel_size, layer.stride
        case spec.MaxPool():
            return layer.kernel_size, layer.kernel_size
        case spec.Flatten() | spec.GlobalAveragePool() | spec.GlobalMaxPool():
            return (values.shape[-1] if values.dim() == 4 else 1), 1
        case _:
            return 1, 1


def _weight_count(layer: spec.Conv | spec.Linear, values: Tensor) -> int:
    inputs = values.shape[1]
    if isinstance(layer, spec.Linear):
        return inputs * layer.out_features
    return inputs * layer.out_channels * layer.kernel_size**2 // layer.groups


def _check_size(descriptions: list[LayerDescription], name: str) -> None:
    values = 1
    for extent in descriptions[-1].output_shape:
        values *= extent
    if values > ACTIVATION_LIMIT:
        raise PresetError(f"model.layers.{name}: more than {ACTIVATION_LIMIT:,} values an image")
    if sum(description.parameters for description in descriptions) > PARAMETER_LIMIT:
        raise PresetError(f"model.layers: more than {PARAMETER_LIMIT:,} parameters")


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0].rstrip(".")
