"""What a layer costs: bounds before it is built, counts afterwards."""

from math import prod

from torch import Tensor, nn

from mnistcli.engine.network.blocks import Reused, SelfAttention
from mnistcli.engine.network.modules import pad
from mnistcli.preset import layers as spec


def count_parameters(model: nn.Module) -> int:
    """Return the number of trainable parameters, a shared one counted once."""
    return sum(parameter.numel() for parameter in model.parameters())


def count_macs(module: nn.Module, output: Tensor) -> int:
    """Count the multiply-accumulates (MACs) for one image.

    Every weight of a convolution or linear layer is used once at every position of its output, and
    attention multiplies matrices over all pairs of positions. Nothing else counts: no biases,
    normalizations, activations, pooling or sums.
    """
    positions = prod(output.shape[2:])
    match module:
        case Reused():
            return count_macs(module.module, output)
        case SelfAttention():
            weights = module.inputs.weight.numel() + module.outputs.weight.numel()
            return weights * positions + module.count_products(positions)
    # Every convolution of one layer has the same output positions.
    return sum(
        part.weight.numel() * (positions if isinstance(part, nn.Conv2d) else 1)
        for part in module.modules()
        if isinstance(part, nn.Conv2d | nn.Linear)
    )


def bound_size(layer: spec.PlainLayer, values: Tensor) -> tuple[int, int, int]:
    """Return upper bounds of weights, multiply-accumulates and output values for one image."""
    inputs, positions = values.shape[1], prod(values.shape[2:])
    match layer:
        case spec.Linear():
            weights = inputs * layer.out_features
            return weights, weights, layer.out_features
        case spec.Conv() | spec.SeparableConv():
            places = ((values.shape[-1] + 2 * pad(layer)) // layer.stride + 1) ** 2
            square = inputs * layer.kernel_size**2
            weights = (
                square * layer.out_channels // layer.groups
                if isinstance(layer, spec.Conv)
                else square + inputs * layer.out_channels
            )
            return weights, weights * places, max(inputs, layer.out_channels) * places
        case spec.SqueezeExcite():
            weights = 2 * inputs * max(1, inputs // layer.reduction)
            return weights, weights, values.numel()
        case spec.SelfAttention():
            weights = 4 * inputs**2
            macs = weights * positions + 2 * inputs * positions**2
            return weights, macs, 3 * values.numel()
    return 0, 0, values.numel()
