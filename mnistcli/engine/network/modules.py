"""The module of every kind of layer that has no layers in it."""

from collections import OrderedDict
from typing import assert_never

from torch import nn

from mnistcli.engine.network.blocks import SelfAttention, SqueezeExcite
from mnistcli.engine.network.layers import (
    Flatten,
    GlobalAveragePool,
    GlobalMaxPool,
    SeededDropout,
)
from mnistcli.errors import PresetError
from mnistcli.preset import layers as spec


def make_module(layer: spec.PlainLayer, inputs: int) -> nn.Module:
    """Return the layer's module for `inputs` channels or features, with fresh weights.

    Raises:
        PresetError: heads do not divide the channels.
        ValueError: groups do not divide the channels.
    """
    match layer:
        case spec.Linear():
            return nn.Linear(inputs, layer.out_features, bias=layer.bias)
        case spec.Dropout():
            return SeededDropout(layer.probability, channels=False)
        case spec.Dropout2d():
            return SeededDropout(layer.probability, channels=True)
        case spec.SqueezeExcite():
            return SqueezeExcite(inputs, max(1, inputs // layer.reduction))
        case spec.SelfAttention():
            if inputs % layer.heads:
                raise PresetError(f"{layer.heads} heads do not divide {inputs} channels")
            return SelfAttention(inputs, layer.heads)
    if isinstance(layer, spec.Convolution):
        return _make_convolution(layer, inputs)
    if isinstance(layer, spec.Normalization):
        return _make_normalization(layer, inputs)
    if isinstance(layer, spec.Activation):
        return _make_activation(layer)
    return _make_pool(layer)


def pad(layer: spec.Convolution) -> int:
    """Return the pixels that a convolution adds on every side."""
    return extent(layer) // 2 if layer.padding is None else layer.padding


def extent(layer: spec.Convolution) -> int:
    """Return the side of the square of pixels that a kernel covers."""
    return (layer.kernel_size - 1) * layer.dilation + 1


def _make_convolution(layer: spec.Convolution, inputs: int) -> nn.Module:
    def convolve(outputs: int, groups: int, *, bias: bool) -> nn.Conv2d:
        return nn.Conv2d(
            inputs,
            outputs,
            layer.kernel_size,
            stride=layer.stride,
            padding=pad(layer),
            dilation=layer.dilation,
            groups=groups,
            bias=bias,
        )

    match layer:
        case spec.Conv():
            return convolve(layer.out_channels, layer.groups, bias=layer.bias)
        case spec.SeparableConv():
            depthwise = convolve(inputs, inputs, bias=False)
            pointwise = nn.Conv2d(inputs, layer.out_channels, 1, bias=layer.bias)
            return nn.Sequential(OrderedDict(depthwise=depthwise, pointwise=pointwise))
        case _:
            assert_never(layer)


def _make_normalization(layer: spec.Normalization, inputs: int) -> nn.Module:
    match layer:
        case spec.BatchNorm():
            return nn.BatchNorm2d(inputs, momentum=layer.momentum)
        case spec.GroupNorm():
            return nn.GroupNorm(layer.groups, inputs)
        case spec.InstanceNorm():
            return nn.InstanceNorm2d(inputs, affine=True)
        case _:
            assert_never(layer)


def _make_activation(layer: spec.Activation) -> nn.Module:
    match layer:
        case spec.ReLU():
            return nn.ReLU()
        case spec.LeakyReLU():
            return nn.LeakyReLU(layer.slope)
        case spec.PReLU():
            return nn.PReLU()
        case spec.SiLU():
            return nn.SiLU()
        case spec.GELU():
            return nn.GELU()
        case spec.HardSwish():
            return nn.Hardswish()
        case _:
            assert_never(layer)


def _make_pool(layer: spec.Pool | spec.GlobalPool | spec.Flatten) -> nn.Module:
    match layer:
        case spec.MaxPool():
            return nn.MaxPool2d(layer.kernel_size)
        case spec.AveragePool():
            return nn.AvgPool2d(layer.kernel_size)
        case spec.Flatten():
            return Flatten()
        case spec.GlobalAveragePool():
            return GlobalAveragePool()
        case spec.GlobalMaxPool():
            return GlobalMaxPool()
        case _:
            assert_never(layer)
