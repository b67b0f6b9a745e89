"""The modules that PyTorch lacks or that draw from the global random generator there."""

import torch
from torch import Tensor, nn


class SeededDropout(nn.Module):
    """Dropout whose mask comes from a generator of its own, not from the global one.

    Zeroes values, or whole channels of (n, c, h, w) if `channels`, with `probability` in
    training, and scales the others by 1 / (1 - probability). Source: Srivastava et al. 2014;
    whole channels: Tompson et al. 2015.
    """

    def __init__(self, probability: float, *, channels: bool) -> None:
        super().__init__()
        self.keep = 1 - probability
        self.channels = channels
        self.generator: torch.Generator | None = None

    def forward(self, values: Tensor) -> Tensor:
        """Float (n, ...) to the same shape."""
        if not self.training or self.keep == 1:
            return values
        shape = values.shape[:2] + (1,) * (values.dim() - 2) if self.channels else values.shape
        mask = torch.empty(shape, dtype=values.dtype, device=values.device)
        return values * mask.bernoulli_(self.keep, generator=self.generator).div_(self.keep)


class GlobalAveragePool(nn.Module):
    """The mean over height and width: (n, c, h, w) to (n, c)."""

    def forward(self, values: Tensor) -> Tensor:
        """Float (n, c, h, w) to (n, c)."""
        return values.mean(dim=(2, 3))


class GlobalMaxPool(nn.Module):
    """The maximum over height and width: (n, c, h, w) to (n, c)."""

    def forward(self, values: Tensor) -> Tensor:
        """Float (n, c, h, w) to (n, c)."""
        return values.amax(dim=(2, 3))
