"""Muon for the kernels of convolutions, AdamW for every other parameter, as one optimizer."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn, optim

# Coefficients of the quintic iteration in Jordan et al. 2024: steep at 0, near 1 elsewhere.
LINEAR, CUBIC, QUINTIC = 3.4445, -4.7750, 2.0315
ITERATIONS = 3


class Muon(optim.Optimizer):
    """Moves kernels along their momentum made orthogonal, so that no direction outweighs another.

    Its second group of parameters is AdamW's own; both share one state, and one schedule moves
    both rates.

    Source: Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks". Departs
    from it in three iterations instead of five, in float32, which small kernels need no more than.
    """

    def __init__(
        self, kernels: Sequence[nn.Parameter], rate: float, momentum: float, others: optim.AdamW
    ) -> None:
        super().__init__(kernels, {"lr": rate, "momentum": momentum})
        self._others = others
        self._join()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes over what `state_dict` returned."""
        super().load_state_dict(state_dict)
        self._join()

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Moves all parameters once."""
        group = self.param_groups[0]
        for kernel in group["params"]:
            if kernel.grad is None:
                continue
            state = self.state[kernel]
            if not state:
                state["momentum"] = torch.zeros_like(kernel)
            state["momentum"].mul_(group["momentum"]).add_(kernel.grad)
            nesterov = kernel.grad.add(state["momentum"], alpha=group["momentum"])
            direction = orthogonalize(nesterov.flatten(1))
            rows, columns = direction.shape
            scale = max(1.0, rows / columns) ** 0.5
            kernel.sub_(direction.view(kernel.shape), alpha=group["lr"] * scale)
        self._others.step()

    def _join(self) -> None:
        """Lets AdamW's group and state be this optimizer's too: the very same objects."""
        if len(self.param_groups) == 1:
            self.param_groups.append(self._others.param_groups[0])
        else:
            self._others.param_groups[0] = self.param_groups[1]
        self._others.state = self.state


def orthogonalize(matrix: Tensor) -> Tensor:
    """Float (m, n) to the same shape: singular vectors stay, singular values come near 1.

    Source: Newton-Schulz iteration, Jordan et al. 2024; the values end between about 0.7 and 1.2,
    the smallest of them lower after only three iterations.
    """
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    wide = wide / (wide.norm() + 1e-7)
    for _ in range(ITERATIONS):
        square = wide @ wide.T
        wide = torch.addmm(
            wide, torch.addmm(square, square, square, beta=CUBIC, alpha=QUINTIC), wide, beta=LINEAR
        )
    return wide if matrix.shape[0] <= matrix.shape[1] else wide.T
