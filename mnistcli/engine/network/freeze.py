"""Layers that a training leaves as they are."""

from collections.abc import Sequence

from torch import nn

from mnistcli.engine.network.blocks import Residual, Reused
from mnistcli.errors import PresetError


def freeze(model: nn.Module, names: Sequence[str]) -> tuple[nn.Module, ...]:
    """Exclude the parameters of layers from training, and return the layers.

    Args:
        model: is changed in place.
        names: of layers, as in their description, or of modules of the user's own network.

    Raises:
        PresetError: the network has no such layer, or nothing would be left to train.
    """
    layers = tuple(_find(model, name) for name in names)
    for layer in layers:
        for module in layer.modules():
            used = module.module if isinstance(module, Reused) else module
            used.requires_grad_(requires_grad=False)
    if names and not any(each.requires_grad for each in model.parameters()):
        raise PresetError("train.freeze leaves nothing to train. Remove a layer from it.")
    return layers


def count_frozen(model: nn.Module) -> int:
    """Return the number of parameters that are not trained."""
    return sum(each.numel() for each in model.parameters() if not each.requires_grad)


def _find(model: nn.Module, name: str) -> nn.Module:
    module = model
    for part in name.split("."):
        module = module.layers if isinstance(module, Residual) else module
        children = dict(module.named_children())
        if part not in children:
            raise PresetError(
                f'train.freeze: the network has no layer "{name}". '
                "`mnistcli summary` shows the names of its layers."
            )
        module = children[part]
    return module
