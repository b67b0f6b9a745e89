"""Blocks of several layers: squeeze and excitation, attention, residuals, shared weights."""

import torch
from torch import Tensor, nn
from torch.nn import functional


class SqueezeExcite(nn.Module):
    """A weight in (0, 1) for every channel, computed from the means of all channels.

    Source: Hu et al. 2018, "Squeeze-and-excitation networks", equations 2 to 4.
    """

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.squeeze = nn.Linear(channels, hidden)
        self.excite = nn.Linear(hidden, channels)

    def forward(self, values: Tensor) -> Tensor:
        """Scale the channels of float (n, c, h, w)."""
        hidden = torch.relu(self.squeeze(values.mean(dim=(2, 3))))
        weights: Tensor = torch.sigmoid(self.excite(hidden))
        return values * weights[:, :, None, None]


class SelfAttention(nn.Module):
    """Multi-head scaled dot-product attention of every position to all positions.

    Source: Vaswani et al. 2017, "Attention is all you need", equation 1 and section 3.2.2.
    """

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.inputs = nn.Linear(channels, 3 * channels)
        """Queries, keys and values, in this order."""
        self.outputs = nn.Linear(channels, channels)

    def forward(self, values: Tensor) -> Tensor:
        """Return float (n, c, h, w) of the same shape; channels are last in memory."""
        count, channels, height, width = values.shape
        tokens = self.inputs(values.flatten(2).transpose(1, 2))
        # (n, h · w, 3 · c) → three times (n, heads, h · w, c / heads)
        parts = tokens.unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = functional.scaled_dot_product_attention(*parts.unbind())
        joined: Tensor = self.outputs(mixed.transpose(1, 2).flatten(2))
        return joined.transpose(1, 2).reshape(count, channels, height, width)

    def count_products(self, positions: int) -> int:
        """Return the multiply-accumulates of an image's two products over all pairs of positions.

        One is queries with keys, the other is their weights with the values.
        """
        return 2 * positions**2 * self.outputs.in_features


class Residual(nn.Module):
    """Layers to whose output their input is added, or a projection of it.

    Source: He et al. 2016, "Deep residual learning for image recognition", equations 1 and 2.
    """

    def __init__(self, layers: nn.Sequential, projection: nn.Module) -> None:
        super().__init__()
        self.layers = layers
        self.projection = projection

    def forward(self, values: Tensor) -> Tensor:
        """Return layers(values) + projection(values)."""
        outputs: Tensor = self.layers(values)
        added: Tensor = self.projection(values)
        return outputs + added


class Reused(nn.Module):
    """Another use of a module of the network: without parameters of its own.

    The module is no submodule of this one, so every weight has one name, in `state_dict` too.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self._uses = (module,)

    @property
    def module(self) -> nn.Module:
        """Return the module whose parameters are used."""
        return self._uses[0]

    def forward(self, values: Tensor) -> Tensor:
        """Apply the module."""
        outputs: Tensor = self.module(values)
        return outputs
