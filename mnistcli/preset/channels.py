"""Which channels of a network can be pruned, and the layers of the network that is left."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import floor

from mnistcli.preset import layers as spec

Path = tuple[int, ...]
"""Where a layer stands in the preset; it may be built several times."""


@dataclass(frozen=True)
class Place:
    """A layer of the built network, and the sets of channels before and behind it."""

    name: str
    """Name of its module, as in "3.layers.0"."""
    layer: spec.PlainLayer
    inputs: int
    outputs: int
    """The same set if every output channel is made from the input channel in its place."""


@dataclass(frozen=True)
class ChannelPlan:
    """What channel pruning leaves of a network."""

    layers: tuple[spec.Layer, ...]
    """Those of the pruned network."""
    places: tuple[Place, ...]
    """In the order of their calls, so that whatever sets channels comes before what reads them."""
    counts: Sequence[int]
    """Number of channels of every set, before the pruning."""
    kept: Mapping[int, int]
    """Number of channels that are left of the sets that lose some."""


def plan_channels(layers: Sequence[spec.Layer], fraction: float) -> ChannelPlan:
    """Plan the removal of a fraction of the output channels of every convolution.

    A convolution keeps all channels if they are added to others (around a `residual`), divided into
    groups or heads, used by shared weights, or the network's outputs. What has one channel for each
    of its inputs follows them: a normalization, a depthwise convolution, squeeze and excitation.

    Args:
        layers: of the network, scaled; the channels of a repeated layer are as many in every
            repetition.
        fraction: in (0, 1); the channels that are left are rounded (half up), at least 1.

    Raises:
        ValueError: no channel can be removed; the message says why.
    """
    walk = _Walk()
    walk.fixed.add(walk.follow(layers, "", (), 0))
    walk.fix_together()
    free = {number: count for number, count in enumerate(walk.counts) if number not in walk.fixed}
    if not free:
        raise ValueError(
            "prune: no convolution has channels that can be removed: they are added to others, in "
            'groups, shared, or outputs. Use kind = "weights".'
        )
    kept = {number: _keep(count, fraction) for number, count in free.items()}
    if kept == free:
        raise ValueError(
            f"prune.fraction is {fraction:g}: no convolution loses a channel, the largest has "
            f"{max(free.values()):,}. Use a larger fraction."
        )
    outputs = {path: kept[sets[0]] for path, sets in walk.sets.items() if sets[0] in kept}
    pruned = _replace(layers, (), outputs)
    return ChannelPlan(pruned, tuple(walk.places), walk.counts, kept)


def _keep(count: int, fraction: float) -> int:
    return max(1, floor(round((1 - fraction) * count, 9) + 0.5))


class _Walk:
    """The layers as they are built, one after the other, and the sets of channels between them."""

    def __init__(self) -> None:
        self.places: list[Place] = []
        self.counts = [1]
        """Channels of every set; set 0 is the image."""
        self.fixed = {0}
        """Sets that keep all channels."""
        self.sets: dict[Path, list[int]] = {}
        """Sets whose channels a layer of the preset numbers: one for each time it is built."""

    def follow(self, layers: Sequence[spec.Layer], name: str, path: Path, current: int) -> int:
        """Walk through layers that read the set `current`, and return the set behind them."""
        for index, layer in enumerate(layers):
            own, here = f"{name}.{index}".lstrip("."), (*path, index)
            match layer:
                case spec.Residual():
                    self.fixed.add(current)
                    current = self.follow(layer.layers, f"{own}.layers", here, current)
                    self.fixed.add(current)
                case spec.Repeat():
                    first = len(self.counts)
                    outer = current
                    for number in range(layer.times):
                        current = self.follow(layer.layers, f"{own}.{number}", here, current)
                    if layer.shared:
                        self.fixed |= {outer, *range(first, len(self.counts))}
                case _:
                    following = self._pass(layer, here, current)
                    self.places.append(Place(own, layer, current, following))
                    current = following
        return current

    def fix_together(self) -> None:
        """Fix a set if another one has its number of channels from the same layer of the preset."""
        before = 0
        while before < len(self.fixed):
            before = len(self.fixed)
            for sets in self.sets.values():
                if not self.fixed.isdisjoint(sets):
                    self.fixed.update(sets)

    def _pass(self, layer: spec.PlainLayer, path: Path, current: int) -> int:
        """Return the set of channels behind a layer."""
        count = self.counts[current]
        match layer:
            case spec.SeparableConv() | spec.Conv(groups=1):
                return self._begin(path, layer.out_channels)
            case spec.Conv():
                if layer.groups == layer.out_channels == count:
                    self.sets.setdefault(path, []).append(current)
                    return current
                self.fixed |= {current, len(self.counts)}
                return self._begin(path, layer.out_channels)
            case spec.GroupNorm() if layer.groups == count > 1:
                self.sets.setdefault(path, []).append(current)
            case spec.GroupNorm() if layer.groups > 1:
                self.fixed.add(current)
            case spec.SelfAttention():
                self.fixed.add(current)
            case spec.Linear():
                self.fixed.add(len(self.counts))
                return self._begin(path, layer.out_features)
        return current

    def _begin(self, path: Path, count: int) -> int:
        self.counts.append(count)
        number = len(self.counts) - 1
        self.sets.setdefault(path, []).append(number)
        return number


def _replace(
    layers: Sequence[spec.Layer], path: Path, outputs: Mapping[Path, int]
) -> tuple[spec.Layer, ...]:
    """Return the layers with other numbers of channels, by their paths."""
    changed = list[spec.Layer]()
    for index, layer in enumerate(layers):
        here, changes = (*path, index), dict[str, object]()
        match layer:
            case spec.Residual() | spec.Repeat():
                changes["layers"] = _replace(layer.layers, here, outputs)
            case spec.GroupNorm() if here in outputs:
                changes["groups"] = outputs[here]
            case spec.Conv() if here in outputs:
                changes["out_channels"] = outputs[here]
                changes["groups"] = 1 if layer.groups == 1 else outputs[here]
            case spec.SeparableConv() if here in outputs:
                changes["out_channels"] = outputs[here]
        changed.append(layer.model_copy(update=changes) if changes else layer)
    return tuple(changed)
