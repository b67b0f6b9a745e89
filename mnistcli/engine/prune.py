"""Prune a trained network: remove the channels or the weights with the smallest magnitudes."""

from collections.abc import Mapping, Sequence
from types import MethodType

import torch
from torch import Tensor, nn, optim

from mnistcli.engine.state import list_values
from mnistcli.preset import layers as spec
from mnistcli.preset.channels import ChannelPlan, Place


@torch.no_grad()
def copy_values(trained: nn.Module, pruned: nn.Module, plan: ChannelPlan | None = None) -> None:
    """Copy a trained network into another one that has fewer channels, if there is a plan.

    Args:
        trained: is not changed.
        pruned: the network that the plan's layers describe, or one like the trained one.
        plan: which sets of channels lose some; of every set, those are kept whose filters have the
            largest L1 norms, over the input channels that are left (Li et al. 2017, section 3.3).
    """
    values = list_values(trained)
    if plan:
        values = _Selection(values, plan).select()
    for name, own in list_values(pruned).items():
        assert own.shape == values[name].shape, name
        own.copy_(values[name])


class _Selection:
    """A trained network's values, of which the planned channels are selected layer by layer."""

    def __init__(self, values: Mapping[str, Tensor], plan: ChannelPlan) -> None:
        self._values, self._plan = dict(values), plan
        self._kept: dict[int, Tensor] = {}
        """Indices of the channels that are left, int64 (k,), by set; absent if all are."""

    def select(self) -> dict[str, Tensor]:
        """Return the values that are left."""
        for place in self._plan.places:
            self._select(place, self._kept.get(place.inputs))
        return self._values

    def _select(self, place: Place, inputs: Tensor | None) -> None:
        name = place.name
        match place.layer:
            case spec.SeparableConv():
                self._pick(f"{name}.depthwise.weight", 0, inputs)
                self._set_channels(f"{name}.pointwise", place.outputs, inputs)
            case spec.Conv() if place.inputs != place.outputs:
                self._set_channels(name, place.outputs, inputs)
            case spec.Linear() if inputs is not None:
                columns = self._values[f"{name}.weight"].shape[1]
                positions = columns // self._plan.counts[place.inputs]
                each = inputs[:, None] * positions + torch.arange(positions, device=inputs.device)
                self._pick(f"{name}.weight", 1, each.flatten())
            case spec.SqueezeExcite() if inputs is not None:
                self._squeeze(name, max(1, len(inputs) // place.layer.reduction), inputs)
            case spec.Conv() | spec.BatchNorm() | spec.GroupNorm() | spec.InstanceNorm():
                for part in ("weight", "bias", "running_mean", "running_var"):
                    self._pick(f"{name}.{part}", 0, inputs)

    def _set_channels(self, name: str, outputs: int, inputs: Tensor | None) -> None:
        """Select the output channels of a convolution by its filters, and its input channels."""
        self._pick(f"{name}.weight", 1, inputs)
        if outputs in self._plan.kept:
            found = find_largest(self._values[f"{name}.weight"], self._plan.kept[outputs])
            self._kept[outputs] = found
            self._pick(f"{name}.weight", 0, found)
            self._pick(f"{name}.bias", 0, found)

    def _squeeze(self, name: str, hidden: int, channels: Tensor) -> None:
        self._pick(f"{name}.squeeze.weight", 1, channels)
        found = find_largest(self._values[f"{name}.squeeze.weight"], hidden)
        self._pick(f"{name}.squeeze.weight", 0, found)
        self._pick(f"{name}.squeeze.bias", 0, found)
        self._pick(f"{name}.excite.weight", 0, channels)
        self._pick(f"{name}.excite.weight", 1, found)
        self._pick(f"{name}.excite.bias", 0, channels)

    def _pick(self, name: str, dimension: int, indices: Tensor | None) -> None:
        if indices is not None and name in self._values:
            self._values[name] = self._values[name].index_select(dimension, indices)


def find_largest(filters: Tensor, count: int) -> Tensor:
    """Return the places of the `count` filters with the largest L1 norms, int64, ascending.

    Args:
        filters: float (n, …); of equal ones, the first are taken.
        count: at most n.
    """
    norms = filters.detach().abs().flatten(1).sum(dim=1)
    return norms.argsort(descending=True, stable=True)[:count].sort().values


def list_weights(model: nn.Module) -> dict[str, nn.Parameter]:
    """Return the weights of convolutions and linear layers by name, each once, without biases."""
    names = {
        f"{name}.weight".lstrip(".")
        for name, module in model.named_modules()
        if isinstance(module, nn.Conv2d | nn.Linear)
    }
    return {name: value for name, value in model.named_parameters() if name in names}


def count_weights(model: nn.Module) -> tuple[int, int]:
    """Return the number of weights of convolutions and linear layers, and of those not zero."""
    weights = list_weights(model).values()
    return sum(each.numel() for each in weights), sum(int(each.count_nonzero()) for each in weights)


@torch.no_grad()
def clear_smallest(model: nn.Module, fraction: float) -> dict[str, Tensor]:
    """Set the fraction of all weights together to zero that have the smallest magnitudes.

    Returns:
        A mask, bool, of the values that are zero now, for every weight by name.
    """
    weights = list_weights(model)
    sizes = torch.cat([weight.detach().abs().flatten() for weight in weights.values()])
    marks = torch.zeros(len(sizes), dtype=torch.bool, device=sizes.device)
    marks[sizes.argsort(stable=True)[: round(fraction * len(sizes))]] = True
    masks = dict[str, Tensor]()
    for name, weight in weights.items():
        own, marks = marks.tensor_split([weight.numel()])
        masks[name] = own.view(weight.shape)
        weight.masked_fill_(masks[name], 0)
    return masks


def keep_zero(optimizer: optim.Optimizer, zeros: Sequence[tuple[nn.Parameter, Tensor]]) -> None:
    """Let every step set the values to zero that a mask, bool, marks in its parameter.

    Call it before a schedule is built, which wraps the step too.
    """
    step = optimizer.step

    @torch.no_grad()
    def step_and_clear(self: optim.Optimizer) -> None:
        step()
        for parameter, mask in zeros:
            parameter.masked_fill_(mask, 0)

    optimizer.step = MethodType(step_and_clear, optimizer)  # type: ignore[method-assign]
