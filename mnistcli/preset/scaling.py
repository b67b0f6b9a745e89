"""Count the layers of a network, and scale its width and depth."""

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from math import ceil, floor, gcd, lcm

from mnistcli.preset import layers as spec

Block = spec.Residual | spec.Repeat


def count_layers(layers: Sequence[spec.Layer], depth: float = 1) -> int:
    """Return the number of layers in all repetitions, whose number is scaled by `depth`."""
    total = len(layers)
    for layer in layers:
        if isinstance(layer, Block):
            times = _scale_times(layer.times, depth) if isinstance(layer, spec.Repeat) else 1
            total += times * count_layers(layer.layers, depth)
    return total


def measure_nesting(layers: Sequence[spec.Layer]) -> int:
    """Return the max number of layers inside one another; 1 if no layer has layers in it."""
    blocks = [layer for layer in layers if isinstance(layer, Block)]
    return 1 + max((measure_nesting(block.layers) for block in blocks), default=0)


def has_repeat(layers: Sequence[spec.Layer]) -> bool:
    """Return whether a `repeat` is among the layers, at any depth."""
    blocks = [layer for layer in layers if isinstance(layer, Block)]
    return any(isinstance(block, spec.Repeat) or has_repeat(block.layers) for block in blocks)


def measure_width(layers: Sequence[spec.Layer]) -> int:
    """Return the max number of channels or features that a layer sets; 0 if none does."""
    return max((_outputs(layer) or 0 for layer, _ in _walk(layers, 1)), default=0)


def scale_layers(
    layers: Sequence[spec.Layer], width: float, depth: float
) -> tuple[spec.Layer, ...]:
    """Scale the channels of convolutions, the features of linear layers, and repetitions.

    Equal numbers of channels stay equal, and what divides them still does: a number is rounded to
    the nearest multiple (half up, never 0) of its common divisor with all groups and heads. Where
    there are as many groups as input channels, there still are, each with as many outputs as
    before. The last layer that sets the number of channels or features keeps it. Repetitions are
    rounded up.

    Source: Tan and Le 2019, "EfficientNet: Rethinking model scaling for convolutional neural
    networks", equation 3, with the resolution fixed at 28 × 28.
    """
    if width == depth == 1:
        return tuple(layers)
    places = list(_walk(layers, 1))
    setting = [layer for layer, inputs in places if _outputs(layer) and not _follows(layer, inputs)]
    fixed = [_divisor(layer) for layer, inputs in places if not _follows(layer, inputs)]
    scaling = _Scaling(width, depth, lcm(*fixed), setting[-1] if setting else None)
    return scaling.scale(layers, 1, 1)[0]


def _scale_times(times: int, depth: float) -> int:
    return max(1, ceil(round(times * depth, 9)))  # 10 × 1.1 is 11, although not in floating point


@dataclass(frozen=True)
class _Scaling:
    width: float
    depth: float
    divisor: int
    """A multiple (lcm) of all groups and heads, except where every channel is a group."""
    kept: spec.Layer | None

    def scale(
        self, layers: Sequence[spec.Layer], inputs: int, scaled_inputs: int
    ) -> tuple[tuple[spec.Layer, ...], int, int]:
        """Return the scaled layers, and the channels after them as written and as scaled."""
        scaled: list[spec.Layer] = []
        for layer in layers:
            if isinstance(layer, Block):
                inputs = _enter(layer, inputs)
                inner, inputs, scaled_inputs = self.scale(layer.layers, inputs, scaled_inputs)
                changes: dict[str, object] = {"layers": inner}
                if isinstance(layer, spec.Repeat):
                    changes["times"] = _scale_times(layer.times, self.depth)
                scaled.append(layer.model_copy(update=changes))
                continue
            new = self._scale_plain(layer, inputs, scaled_inputs)
            inputs, scaled_inputs = _outputs(layer) or inputs, _outputs(new) or scaled_inputs
            scaled.append(new)
        return tuple(scaled), inputs, scaled_inputs

    def _scale_plain(self, layer: spec.PlainLayer, inputs: int, channels: int) -> spec.PlainLayer:
        match layer:
            case spec.Conv() if _follows(layer, inputs):
                outputs = layer.out_channels // layer.groups * channels
                return layer.model_copy(update={"groups": channels, "out_channels": outputs})
            case spec.GroupNorm() if _follows(layer, inputs):
                return layer.model_copy(update={"groups": channels})
            case spec.Conv() | spec.SeparableConv() if layer is not self.kept:
                return layer.model_copy(update={"out_channels": self._round(layer.out_channels)})
            case spec.Linear() if layer is not self.kept:
                return layer.model_copy(update={"out_features": self._round(layer.out_features)})
        return layer

    def _round(self, count: int) -> int:
        unit = gcd(count, self.divisor)
        return max(1, floor(count * self.width / unit + 0.5)) * unit


def _walk(
    layers: Sequence[spec.Layer], inputs: int
) -> Generator[tuple[spec.PlainLayer, int], None, int]:
    """Yield every plain layer once with its number of input channels; return the last output's."""
    for layer in layers:
        if isinstance(layer, Block):
            inputs = yield from _walk(layer.layers, _enter(layer, inputs))
        else:
            yield layer, inputs
            inputs = _outputs(layer) or inputs
    return inputs


def _enter(block: Block, inputs: int) -> int:
    """Return the channels that reach the block's layers; 0 if repetitions differ in them."""
    is_same = isinstance(block, spec.Residual) or _leave(block.layers, inputs) == inputs
    return inputs if is_same else 0


def _leave(layers: Sequence[spec.Layer], inputs: int) -> int:
    """Return the channels or features after the layers."""
    for layer in layers:
        if isinstance(layer, Block):
            inputs = _leave(layer.layers, inputs)
        else:
            inputs = _outputs(layer) or inputs
    return inputs


def _outputs(layer: spec.PlainLayer) -> int | None:
    """Return the number of channels or features that the layer sets, if it does."""
    match layer:
        case spec.Conv() | spec.SeparableConv():
            return layer.out_channels
        case spec.Linear():
            return layer.out_features
    return None


def _follows(layer: spec.PlainLayer, inputs: int) -> bool:
    """Return whether the layer has one group for every input channel."""
    return isinstance(layer, spec.Conv | spec.GroupNorm) and 1 < layer.groups == inputs


def _divisor(layer: spec.PlainLayer) -> int:
    """Return what the numbers of channels around the layer must be divisible by."""
    match layer:
        case spec.Conv() | spec.GroupNorm():
            return layer.groups
        case spec.SelfAttention():
            return layer.heads
    return 1


def unwrap_layers(layers: Sequence[spec.Layer]) -> tuple[spec.Layer, ...]:
    """Return the layers with those of every `repeat` of one time in its place."""
    found = list[spec.Layer]()
    for layer in layers:
        if isinstance(layer, Block):
            inner = unwrap_layers(layer.layers)
            if isinstance(layer, spec.Repeat) and layer.times == 1:
                found += inner
            else:
                found.append(layer.model_copy(update={"layers": inner}))
        else:
            found.append(layer)
    return tuple(found)
