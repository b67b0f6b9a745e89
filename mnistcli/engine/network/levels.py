"""Rounding with a gradient: of weights to few integers, and of values to 8 bits.

Gradients pass the rounding as if it were not there. Source: Bengio et al. 2013, "Estimating or
propagating gradients through stochastic neurons for conditional computation", section 4, the
straight-through estimator.
"""

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx


@dataclass(frozen=True)
class Grid:
    """Integers from `low` to `high`, one every `step`."""

    low: int
    high: int
    bits: int
    """Bits of a weight where it is stored."""
    step: int = 1
    scale: float | None = None
    """Best scale for normally distributed weights, in units of their mean absolute value. Source:
    Max 1960, "Quantizing for minimum distortion", table II. None for so many integers that the
    largest weight may decide."""

    def round(self, values: Tensor) -> Tensor:
        """Return the nearest integers of the grid, as float."""
        codes = ((values - self.low) / self.step).round_()
        return codes.clamp_(0, (self.high - self.low) // self.step).mul_(self.step).add_(self.low)


GRIDS: dict[int | Literal["ternary"], Grid] = {
    8: Grid(-127, 127, bits=8),
    4: Grid(-8, 7, bits=4, scale=0.43),
    2: Grid(-3, 3, bits=2, step=2, scale=0.624),
    "ternary": Grid(-1, 1, bits=2, scale=1.534),
}
"""Grids by a preset's name for them."""
EMPTY = 0.001
"""Scale of a channel whose weights are all 0; a grid may lack the 0."""
FITS = 2
"""How often integers and scales are fitted to each other; more change little."""


@torch.no_grad()
def round_to(grid: Grid, weight: Tensor) -> tuple[Tensor, Tensor]:
    """Return integers of the shape of `weight`, and the scale of every output channel, float64.

    For few integers, scales minimize the squared error. Source: Li & Liu 2016, "Ternary weight
    networks", equations 1 to 4; the integers that belong to a scale are found by rounding.
    """
    # Apple's GPUs have no float64; training can do without, and evaluation rounds on the CPU.
    rows = weight.to(torch.float32 if weight.is_mps else torch.float64).flatten(1)
    if grid.scale is None:
        scales = _positive(rows.abs().amax(dim=1, keepdim=True) / grid.high)
        return grid.round(rows / scales).view(weight.shape), scales[:, 0]
    scales = _positive(rows.abs().mean(dim=1, keepdim=True) * grid.scale)
    for _ in range(FITS):
        integers = grid.round(rows / scales)
        squares = integers.square().sum(dim=1, keepdim=True)
        fitted = (integers * rows).sum(dim=1, keepdim=True) / squares
        scales = torch.where(fitted > 0, fitted, scales)
    return grid.round(rows / scales).view(weight.shape), scales[:, 0]


def _positive(scales: Tensor) -> Tensor:
    """Replace the scales of channels whose weights are all 0."""
    return torch.where(scales > 0, scales, EMPTY)


class RoundWeight(torch.autograd.Function):
    """The weight that rounded integers stand for; the gradient is as if it were not rounded."""

    @staticmethod
    def forward(ctx: FunctionCtx, weight: Tensor, grid: Grid) -> Tensor:
        """Return the rounded weight."""
        integers, scales = round_to(grid, weight)
        rounded = integers * scales.view(-1, *[1] * (weight.dim() - 1))
        # Laid out in memory like the weight: another layout makes sprint's steps half as fast.
        return torch.empty_like(weight).copy_(rounded)

    @staticmethod
    def backward(ctx: FunctionCtx, *gradients: Tensor) -> Any:
        """Return the gradient unchanged."""
        return gradients[0], None


class RoundValues(torch.autograd.Function):
    """Values rounded to `low` … `high` times a scale; the gradient is that of clamping alone."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, scale: Tensor, low: int, high: int) -> Tensor:
        """Return the rounded values."""
        scaled = values / scale
        ctx.save_for_backward(scaled)
        ctx.low, ctx.high = low, high
        return scaled.round().clamp_(low, high).mul_(scale)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        """Return the gradient of values that were not clamped."""
        (scaled,) = ctx.saved_tensors
        passed = torch.ops.aten.hardtanh_backward(gradients[0], scaled, ctx.low, ctx.high)
        return passed, None, None, None
