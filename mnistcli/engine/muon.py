"""Muon for the kernels of convolutions, AdamW for every other parameter, as one optimizer."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn, optim

# Coefficients of the quintic iteration in Jordan et al. 2024: its slope is steep at 0, and its
# values are near 1 elsewhere.
LINEAR, CUBIC, QUINTIC = 3.4445, -4.7750, 2.0315
ITERATIONS = 3


class Muon(optim.Optimizer):
    """An optimizer that orthogonalizes the momentum of kernels, so that no direction dominates.

    Its second parameter group is AdamW's own: both optimizers share one state, and one schedule
    sets both learning rates.

    Source: Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks". Differs
    from it in running three iterations instead of five, which is enough for small kernels, in
    float32.
    """

    def __init__(
        self, kernels: Sequence[nn.Parameter], rate: float, momentum: float, others: optim.AdamW
    ) -> None:
        super().__init__(kernels, {"lr": rate, "momentum": momentum})
        self._others = others
        self._join()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        super().load_state_dict(state_dict)
        self._join()

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """Update all parameters once."""
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
        """Share AdamW's parameter group and state: both optimizers hold the same objects."""
        if len(self.param_groups) == 1:
            self.param_groups.append(self._others.param_groups[0])
        else:
            self._others.param_groups[0] = self.param_groups[1]
        self._others.state = self.state


def orthogonalize(matrix: Tensor) -> Tensor:
    """Bring the singular values of a float (m, n) matrix near 1 and keep its singular vectors.

    Source: Newton-Schulz iteration, Jordan et al. 2024. The singular values end between about 0.7
    and 1.2; after only three iterations the smallest of them stay lower.
    """
    wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    wide = wide / (wide.norm() + 1e-7)
    for _ in range(ITERATIONS):
        square = wide @ wide.T
        wide = torch.addmm(
            wide, torch.addmm(square, square, square, beta=CUBIC, alpha=QUINTIC), wide, beta=LINEAR
        )
    return wide if matrix.shape[0] <= matrix.shape[1] else wide.T
