"""Modules that PyTorch lacks, or that are faster here than there."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

LANES = 64
# Measured on 2 cores with avx512_bf16, forward and backward: with 8 channels 1.5 (200,000 values)
# to 3.4 times (800,000) as fast as PyTorch's kernel; with 16 slower in every case.
MOST_CHANNELS = 8
WORTH_FOLDING = 1 << 17


class SeededDropout(nn.Module):
    """Dropout that draws its mask from its own generator instead of the global one.

    Zeroes values, or whole channels of (n, c, h, w) if `channels`, with `probability` in
    training, and scales the others by 1 / (1 - probability). Source: Srivastava et al. 2014;
    whole channels: Tompson et al. 2015.

    On a CPU, 16 random bits decide whether a value is kept: one draw of 64 bits serves four values,
    which takes a fifth of the time of bernoulli_. The probability is exact to 1 / 65,536.
    """

    def __init__(self, probability: float, *, channels: bool) -> None:
        super().__init__()
        self.keep = 1 - probability
        self.channels = channels
        self.generator: torch.Generator | None = None

    def forward(self, values: Tensor) -> Tensor:
        """Apply dropout to float (n, ...)."""
        if not self.training or self.keep == 1:
            return values
        like = values[:, :, :1, :1] if self.channels and values.dim() == 4 else values
        mask = torch.empty_like(like)
        if values.device.type != "cpu":
            mask.bernoulli_(self.keep, generator=self.generator).div_(self.keep)
            return values * mask
        draws = torch.empty((like.numel() + 3) // 4, dtype=torch.int64)
        bits = draws.random_(-(2**63), None, generator=self.generator).view(torch.int16)
        kept = bits[: like.numel()] < round(self.keep * 65_536) - 32_768
        # In memory order, whatever the layout: random bits need no other order.
        torch.mul(kept, 1 / self.keep, out=mask.as_strided((like.numel(),), (1,)))
        return values * mask


class BatchNorm(nn.BatchNorm2d):
    """nn.BatchNorm2d with a faster kernel for few channels in channels-last memory.

    PyTorch's channels-last kernel is vectorized along the channels: 8 of them leave most of a
    vector register empty. Here neighbouring pixels count as further channels, up to 64, and their
    statistics are combined afterwards: the same mean and variance, summed in another order.
    """

    def forward(self, values: Tensor) -> Tensor:
        """Normalize float (n, c, h, w) by channel."""
        if self.training and _can_fold(values):
            output: Tensor = _FoldedBatchNorm.apply(values, self.weight, self.bias, self)
            return output
        return super().forward(values)


def _can_fold(values: Tensor) -> bool:
    channels = values.shape[1]
    return (
        values.device.type == "cpu"
        and channels <= MOST_CHANNELS
        and LANES % channels == 0
        and values.numel() >= WORTH_FOLDING
        and values.numel() % LANES == 0
        and values.is_contiguous(memory_format=torch.channels_last)
    )


def _fold(values: Tensor) -> Tensor:
    """View channels-last (n, c, h, w) as (m, 64, 1, 1): 64 / c pixels side by side."""
    return values.as_strided((values.numel() // LANES, LANES, 1, 1), (LANES, 1, LANES, LANES))


def _spread(by_channel: Tensor) -> Tensor:
    """Repeat (c,) to (64,), once for every pixel that counts as further channels."""
    return by_channel.expand(LANES // len(by_channel), -1).flatten().contiguous()


class _FoldedBatchNorm(torch.autograd.Function):
    """Batch normalization by Ioffe & Szegedy 2015, its gradient written as a sum of two terms."""

    @staticmethod
    def forward(
        context: Any, values: Tensor, weight: Tensor, bias: Tensor, module: BatchNorm
    ) -> Tensor:
        channels, count = len(weight), values.numel() // len(weight)
        unread = torch.zeros(LANES)
        means, variances = (
            each.view(-1, channels)
            for each in torch.batch_norm_update_stats(_fold(values), unread, unread, 0.0)
        )
        mean = means.mean(dim=0)
        variance = (means - mean).square_().add_(variances).mean(dim=0)
        if module.running_mean is not None and module.running_var is not None and module.momentum:
            module.running_mean.lerp_(mean, module.momentum)
            module.running_var.lerp_(variance * (count / (count - 1)), module.momentum)
        context.save_for_backward(values, weight, mean, variance)
        context.epsilon = module.eps
        return _normalize(values, weight, bias, mean, variance, module.eps)

    @staticmethod
    @once_differentiable
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        values, weight, mean, variance = context.saved_tensors
        gradient = gradient.contiguous(memory_format=torch.channels_last)
        # The gradient as if mean and variance were constants …
        direct, by_weight, by_bias = torch.ops.aten.native_batch_norm_backward(
            _fold(gradient), _fold(values), _spread(weight), _spread(mean), _spread(variance),
            None, None, False, context.epsilon, [True, True, True],
        )  # fmt: skip
        by_weight = by_weight.view(-1, len(weight)).sum(dim=0)
        by_bias = by_bias.view(-1, len(weight)).sum(dim=0)
        # … and the part through mean and variance: linear in the normalized value.
        share = weight * torch.rsqrt(variance + context.epsilon)
        share *= -len(weight) / values.numel()
        through_statistics = _normalize(
            values, share * by_weight, share * by_bias, mean, variance, context.epsilon
        )
        through_statistics += direct.as_strided(values.shape, values.stride())
        return through_statistics, by_weight, by_bias, None


def _normalize(
    values: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, variance: Tensor, epsilon: float
) -> Tensor:
    """Return (values - mean) / sqrt(variance + epsilon) · weight + bias for each channel."""
    by_channel = (_spread(each) for each in (weight, bias, mean, variance))
    output, unused = torch.empty_like(values), torch.empty(0)
    torch.ops.aten.native_batch_norm.out(
        _fold(values), *by_channel, False, 0.0, epsilon,
        out=_fold(output), save_mean=unused, save_invstd=unused,
    )  # fmt: skip
    return output


class Flatten(nn.Module):
    """nn.Flatten with a channels-last gradient for channels-last values.

    PyTorch's gradient has another memory order than the values, which slows every layer before it
    down: by 4 % of a step of `sprint`.
    """

    def forward(self, values: Tensor) -> Tensor:
        """Reshape (n, c, h, w) to (n, c · h · w), channel by channel."""
        if values.requires_grad and values.dim() == 4:
            values.register_hook(_put_channels_last)  # type: ignore[no-untyped-call]
        return values.flatten(1)


def _put_channels_last(gradient: Tensor) -> Tensor:
    return gradient.contiguous(memory_format=torch.channels_last)


class GlobalAveragePool(nn.Module):
    """The mean over height and width: (n, c, h, w) to (n, c)."""

    def forward(self, values: Tensor) -> Tensor:
        """Return the mean of float (n, c, h, w) as (n, c)."""
        return values.mean(dim=(2, 3))


class GlobalMaxPool(nn.Module):
    """The maximum over height and width: (n, c, h, w) to (n, c)."""

    def forward(self, values: Tensor) -> Tensor:
        """Return the maximum of float (n, c, h, w) as (n, c)."""
        return values.amax(dim=(2, 3))
