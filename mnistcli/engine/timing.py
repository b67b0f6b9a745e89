"""Schedules by time: their position is elapsed over allowed training time, read at every step.

Source: Izsak et al. 2021, "How to train BERT with an academic budget"; Geiping & Goldstein 2023,
"Cramming: training a language model on a single GPU in one day".
"""

from collections.abc import Mapping, Sequence
from math import ceil, floor
from typing import Any

from torch import optim

SCHEDULED = ("lr", "betas", "momentum")
"""Settings of an optimizer that schedules change."""

Settings = Sequence[Mapping[str, Any]]
"""What a schedule sets at a step: lr and, where there are any, betas or momentum of each group."""


def read_settings(optimizer: optim.Optimizer) -> Settings:
    """Return what a schedule has set."""
    groups = optimizer.param_groups
    return [{key: group[key] for key in SCHEDULED if key in group} for group in groups]


EARLIEST = 0.9
"""Fraction of the time before which no training ends."""


class Timing:
    """The settings of an optimizer by training time, and when that time is over.

    A step begins if it will probably end in time, or if the training would otherwise end more than
    a tenth too early. The last step finds the schedule at its end. Only that one may end too late:
    where steps take longer than that tenth, or longer than expected.

    How long a step takes is the mean of this process's steps; without its first one, which is
    slower, as soon as there is another.
    """

    def __init__(
        self, seconds: float, optimizer: optim.Optimizer, table: Sequence[Settings]
    ) -> None:
        """Set the optimizer to the schedule's beginning.

        Args:
            seconds: allowed training time.
            optimizer: whose groups are set.
            table: settings at equal distances, the first and the last step's included.
        """
        self._seconds, self._optimizer, self._table = seconds, optimizer, table
        self._steps, self._since = 0, 0.0
        self._position = 0.0
        self._set(table[0])

    def is_over(self, elapsed: float) -> bool:
        """Return whether to end after `elapsed` seconds of training instead of taking a step."""
        if self._position < 1:
            return elapsed > self._seconds
        return self._count_left(elapsed) < 1

    def begin_step(self, elapsed: float) -> None:
        """Set the optimizer for the step that begins after `elapsed` seconds of training."""
        self._position = self._locate(elapsed)
        self._set(self._table[round(self._position * (len(self._table) - 1))])
        if self._steps <= 1:
            self._since = elapsed
        self._steps += 1

    def _locate(self, elapsed: float) -> float:
        """Return the position of a step, in [0, 1]: its beginning over that of the last one."""
        if not self._steps:
            return min(1.0, elapsed / self._seconds)
        further = max(0, self._count_left(elapsed) - 1)
        return elapsed / (elapsed + further * self._estimate_step(elapsed))

    def _count_left(self, elapsed: float) -> int:
        """Return the number of steps that should still be taken."""
        step = self._estimate_step(elapsed)
        in_time = floor((self._seconds - elapsed) / step)
        return max(in_time, ceil((EARLIEST * self._seconds - elapsed) / step))

    def _estimate_step(self, elapsed: float) -> float:
        """Return the seconds that a step takes, if there was one."""
        return max(1e-9, (elapsed - self._since) / max(1, self._steps - 1))

    def _set(self, settings: Settings) -> None:
        for group, own in zip(self._optimizer.param_groups, settings, strict=True):
            group.update(own)
