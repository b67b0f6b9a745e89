"""Small random networks of every kind of layer that has an integer form."""

import json
import random
from collections.abc import Sequence

import torch
from pydantic import TypeAdapter
from torch import nn

from mnistcli.engine.network.build import build_model
from mnistcli.errors import PresetError
from mnistcli.preset.layers import Layer

ACTIVATIONS = ("relu", "relu", "relu", "leaky_relu", "prelu", "silu", "gelu", "hard_swish")
LAYERS = TypeAdapter(tuple[Layer, ...])


def draw_network(seed: int) -> nn.Sequential:
    """Return a network in evaluation mode, with random weights and normalizations."""
    chance = random.Random(seed)
    while True:
        layers = [*_draw_layers(chance, 6), *_draw_head(chance)]
        try:
            model = build_network(layers, seed)
        except PresetError:
            continue  # a kernel larger than its image, for example
        return model


def build_network(layers: Sequence[dict[str, object]], seed: int = 0) -> nn.Sequential:
    """Return the network of these layers in evaluation mode, as `draw_network` does."""
    generator = torch.Generator().manual_seed(seed)
    model = build_model(LAYERS.validate_json(json.dumps(layers)), generator)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                _draw_norm(module, generator)
    return model.eval()


def _draw_norm(module: nn.BatchNorm2d, generator: torch.Generator) -> None:
    shape = module.weight.shape
    module.weight.copy_(torch.randn(shape, generator=generator))
    if len(module.weight) > 1:
        module.weight[0] = 0  # a channel that is only its bias
    module.bias.copy_(torch.randn(shape, generator=generator))
    assert module.running_mean is not None and module.running_var is not None
    module.running_mean.copy_(torch.randn(shape, generator=generator) / 3)
    module.running_var.copy_(torch.rand(shape, generator=generator) + 0.1)


def _draw_layers(chance: random.Random, count: int) -> list[dict[str, object]]:
    return [_draw_layer(chance, nested=count < 6) for _ in range(chance.randint(1, count))]


def _draw_layer(chance: random.Random, *, nested: bool) -> dict[str, object]:
    kind = chance.choice(
        ["conv", "conv", "conv", "norm", "norm", "activation", "activation", "pool", "separable"]
        + ["dropout"]
        + ([] if nested else ["residual", "repeat"])
    )
    match kind:
        case "conv":
            groups = chance.choice([1, 1, 2])
            return {
                "kind": "conv",
                "out_channels": groups * chance.randint(1, 4),
                "kernel_size": chance.randint(1, 4),
                "stride": chance.choice([1, 1, 2]),
                "dilation": chance.choice([1, 1, 2]),
                "padding": chance.choice([None, 0, 2]),
                "groups": 1 if chance.random() < 0.7 else groups,
                "bias": chance.random() < 0.5,
            }
        case "separable":
            return {"kind": "separable_conv", "out_channels": 4, "kernel_size": 3}
        case "norm":
            return {"kind": "batch_norm"}
        case "activation":
            return {"kind": chance.choice(ACTIVATIONS)}
        case "pool":
            return {"kind": chance.choice(["max_pool", "average_pool"]), "kernel_size": 2}
        case "residual":
            return {"kind": "residual", "layers": _draw_layers(chance, 3)}
        case "repeat":
            inner = [{"kind": "conv", "out_channels": 4, "kernel_size": 3}]
            layers = inner + _draw_layers(chance, 2)
            return {"kind": "repeat", "times": 2, "shared": True, "layers": layers}
    return {"kind": "dropout", "probability": 0.5}


def _draw_head(chance: random.Random) -> list[dict[str, object]]:
    linear = {"kind": "linear", "out_features": 10}
    match chance.randrange(4):
        case 0:
            return [{"kind": "flatten"}, linear]
        case 1:
            return [{"kind": "global_max_pool"}, linear]
        case 2:
            hidden = {"kind": "linear", "out_features": 7}
            return [{"kind": "global_average_pool"}, hidden, {"kind": "relu"}, linear]
    last = {"kind": "conv", "out_channels": 10, "kernel_size": 1}
    return [last, {"kind": "global_average_pool"}]
