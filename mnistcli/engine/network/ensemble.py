"""Several networks as one: a module whose logits are the mean of its members' logits.

The softmax of a mean of logits is the normalized geometric mean of the members' probabilities,
whatever constant each member adds to its logits. Its cross entropy is at most the mean of the
members' (the logarithm of a sum of exponentials is convex). Integers can compute it; the
arithmetic mean of probabilities, which Lakshminarayanan et al. 2017 take, needs exponentials.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mnistcli.engine.network.quantize import Quantized, simulate_networks


class Ensemble(nn.Module):
    """Networks with the same inputs; parameters are named "members.0.…", "members.1.…"."""

    def __init__(self, members: Sequence[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return logits, float (n, 10), of normalized images, float (n, 1, 28, 28)."""
        members = list(self.members)
        quantized = [member for member in members if isinstance(member, Quantized)]
        if quantized and not self.training:
            return simulate_networks(quantized, inputs)
        # A copy for each: the code of a user's network may change its inputs.
        return torch.stack([member(inputs.clone()).float() for member in members]).mean(dim=0)


def list_members(model: nn.Module) -> list[nn.Module]:
    """Return the networks of an ensemble; of any other network, itself."""
    return list(model.members) if isinstance(model, Ensemble) else [model]
