"""Look at the losses of many steps together, where a look waits for all that a GPU has to do."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from mnistcli.engine.state import EpochState
from mnistcli.errors import DivergedError, Divergence


@dataclass(frozen=True)
class _Step:
    number: int
    rate: float
    batch: Tensor
    losses: Tensor


class LateLook:
    """The steps of an epoch whose losses nobody has looked at yet."""

    def __init__(self, epoch: int, look_steps: int) -> None:
        """Start without any; with `look_steps` = 1 the steps are looked at elsewhere."""
        self._epoch, self._look_steps = epoch, look_steps
        self._steps: list[_Step] = []

    def add(self, epoch: EpochState, batch: Tensor, losses: Tensor) -> None:
        """Add the step that the epoch has just taken, and look if there are enough of them.

        Args:
            epoch: for the step's number and learning rate.
            batch: indices of its images, int64 (n,).
            losses: float (n,) or their mean (), on the device.

        Raises:
            DivergedError: as `look` does.
        """
        if self._look_steps > 1:
            self._steps.append(_Step(epoch.step, epoch.rate, batch, losses))
        if len(self._steps) == self._look_steps:
            self.look()

    def look(self) -> None:
        """Look at the losses of all steps since the last look.

        Raises:
            DivergedError: one is not finite; it tells the first.
        """
        steps, self._steps = self._steps, []
        if not steps:
            return
        means = torch.stack([step.losses.mean() for step in steps]).tolist()
        for step, loss in zip(steps, means, strict=True):
            if not math.isfinite(loss):
                batch = tuple(step.batch.tolist())
                raise DivergedError(Divergence(self._epoch, step.number, step.rate, batch))
