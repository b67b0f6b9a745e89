"""A network that is trained for integers: rounded in training, exact integers in evaluation.

Source: Jacob et al. 2018, "Quantization and training of neural networks for efficient
integer-arithmetic-only inference", section 3. Unlike there, a normalization scales sums and not
weights, so that nothing changes about it in training.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from mnistcli.datasets.examples import CLASSES, SIDE
from mnistcli.engine.evaluation import Normalization
from mnistcli.engine.network.calibrate import Scales, only_picks
from mnistcli.engine.network.fold import Weights, find_image
from mnistcli.engine.network.layers import Flatten, SeededDropout
from mnistcli.engine.network.levels import GRIDS, RoundValues, RoundWeight, round_to
from mnistcli.engine.network.plan import Plan, join
from mnistcli.engine.network.simulate import simulate
from mnistcli.engine.network.stages import Stage, Weighted, apply, plan_stages
from mnistcli.preset.training import Quantize

RATE = 0.05
"""Weight of a batch in the running max of a stage's values."""
TINY = 1e-6
SCALES = "scales"
RESULTS, OUTPUT = 0, 1
"""Columns of the scales."""


class Quantized(nn.Sequential):
    """A network of layers that computes with rounded weights and values.

    In training they are rounded, by scales that follow from the weights themselves and from the
    running max of the values. In evaluation the logits are those of the integer model, to the last
    bit. Parameters keep their names.
    """

    scales: Tensor
    """Scale of every stage's results, before and behind its curve, float32 (stages, 2); 0 before
    the first batch. Measured, not learned, so they are no parameters."""

    def __init__(
        self, model: nn.Sequential, settings: Quantize, normalization: Normalization
    ) -> None:
        """Take over the layers of a network.

        Raises:
            PresetError: a layer has no integer counterpart.
        """
        super().__init__(OrderedDict(model.named_children()))
        self.grid = GRIDS[settings.weights]
        self.stages = plan_stages(self)
        self.normalization = normalization
        self.register_buffer(SCALES, torch.zeros(len(self.stages), 2))
        self._try_shapes()

    @torch.no_grad()
    def _try_shapes(self) -> None:
        self.eval()  # so that nothing is learned of the image
        values = [torch.zeros(1, 1, SIDE, SIDE)]
        for stage in self.stages:
            values.append(stage.compute(*(values[each] for each in stage.sources)))
        self.train()

    def forward(self, inputs: Tensor) -> Tensor:
        """Return logits, float (n, 10), of normalized images, float (n, 1, 28, 28)."""
        if not self.training:
            return simulate_networks([self], inputs)
        values = [inputs]
        for number, stage in enumerate(self.stages):
            values.append(self._compute(number, stage, [values[each] for each in stage.sources]))
        return values[-1].flatten(1)

    def plan(self) -> Plan:
        """Return what the network computes in integers."""
        return Plan(self.stages, self.read_scales(), self.round_weights())

    def read_scales(self) -> list[Scales]:
        """Return the scales of all stages."""
        found = list[Scales]()
        for stage, row in zip(self.stages, self.scales.tolist(), strict=True):
            results, output = (each or 1.0 for each in row)
            # Older runs have not measured what a curve makes of values that a stage picks.
            measured = stage if row[OUTPUT] else replace(stage, curve=None)
            if stage is self.stages[-1]:
                found.append(Scales(None, None))
            elif only_picks(measured):
                found.append(found[stage.sources[0] - 1])
            else:
                found.append(Scales(results if stage.curve else output, output))
        return found

    def round_weights(self) -> list[Weights | None]:
        """Return the integer weights of the stages' layers, None where a stage has no layer."""
        return [self._round_weight(stage) for stage in self.stages]

    def _round_weight(self, stage: Stage) -> Weights | None:
        if stage.layer is None:
            return None
        integers, scales = round_to(self.grid, stage.layer.weight.cpu())
        return Weights(integers.to(torch.int8).numpy(), scales.numpy(), self.grid)

    def _compute(self, number: int, stage: Stage, given: Sequence[Tensor]) -> Tensor:
        """Return a stage's output in training, float (n, c, h, w)."""
        values = given[0] if len(given) == 1 else given[0] + given[1]
        modules, dropouts = _part_dropouts(stage.modules)
        rounds = not (stage is self.stages[-1] or only_picks(stage))
        if rounds and stage.is_rectified and isinstance(modules[-1], nn.ReLU):
            modules.pop()  # rounding clamps at 0 too
        for module in modules:
            if module is stage.layer:
                values = self._multiply(stage.layer, values)
                continue
            if module is stage.curve:
                values = self._round(values, number, RESULTS)
            values = apply(module, values)
        if rounds:
            values = self._round(values, number, OUTPUT, low=0 if stage.is_unsigned else -128)
        for module in dropouts:
            values = module(values)
        return values

    def _multiply(self, layer: Weighted, values: Tensor) -> Tensor:
        """Return the layer's output, float (n, c, h, w), with rounded weights."""
        weight = RoundWeight.apply(layer.weight, self.grid)
        if isinstance(layer, nn.Linear):
            return functional.linear(Flatten()(values), weight, layer.bias)[:, :, None, None]
        outputs: Tensor = layer._conv_forward(values, weight, layer.bias)
        return outputs

    def _round(self, values: Tensor, number: int, column: int, low: int = -128) -> Tensor:
        """Round values to 8 bits, and measure their scale: the running max of their size."""
        high, scale = low + 255, self.scales[number, column]
        with torch.no_grad():
            smallest, largest = torch.aminmax(values.detach())
            if low:
                largest = torch.maximum(largest, -smallest)
            found = largest.float().clamp_min(TINY) / high
            updated = torch.where(scale > 0, torch.lerp(scale, found, RATE), found)
            # Where a batch has no value to represent, the scale of the others stays.
            scale.copy_(torch.where(largest > 0, updated, scale))
        rounded: Tensor = RoundValues.apply(values, scale.clamp_min(TINY / high), low, high)
        return rounded

    def has_finite_values(self) -> bool:
        """Return whether all parameters and scales are finite."""
        kept = [*self.parameters(), *self.buffers()]
        return all(bool(torch.isfinite(each).all()) for each in kept)


@torch.no_grad()
def simulate_networks(networks: Sequence[Quantized], inputs: Tensor) -> Tensor:
    """Return the mean of the networks' logits as the integer model computes it.

    Without finite parameters it is NaN.
    """
    if not all(network.has_finite_values() for network in networks):
        return torch.full((len(inputs), CLASSES), torch.nan, device=inputs.device)
    normalization = networks[0].normalization
    zero, image = find_image(normalization)
    pixels = inputs.cpu().mul(normalization.std).add_(normalization.mean).mul_(255)
    pixels = pixels.round_().clamp_(0, 255).sub_(zero)
    plan = join([network.plan() for network in networks])
    logits, scale = simulate(plan.stages, plan.scales, plan.weights, image, pixels)
    return (logits * (scale / len(networks))).float().to(inputs.device)


def _part_dropouts(modules: Sequence[nn.Module]) -> tuple[list[nn.Module], list[nn.Module]]:
    """Split off the dropout that ends a stage: it applies to rounded values."""
    end = len(modules)
    while end and isinstance(modules[end - 1], SeededDropout):
        end -= 1
    return list(modules[:end]), list(modules[end:])
