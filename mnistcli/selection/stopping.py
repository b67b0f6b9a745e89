"""When a training ends before its last epoch: early stopping by the held-out images."""

from collections.abc import Sequence
from typing import Protocol

from mnistcli.preset.training import EarlyStopping


def find_stall(settings: EarlyStopping, figures: Sequence[float]) -> int | None:
    """Return the first epoch that ends `patience` epochs without an improvement.

    Args:
        settings: how much counts as an improvement, and for how many epochs to wait.
        figures: loss or accuracy on the held-out images after every epoch so far.
    """
    sign = -1 if settings.metric == "loss" else 1
    best, best_epoch = float("-inf"), 0
    for epoch, figure in enumerate(figures, start=1):
        if sign * figure > best + settings.min_delta:
            best, best_epoch = sign * figure, epoch
        if epoch - best_epoch >= settings.patience:
            return epoch
    return None


class Epoch(Protocol):
    """What is known of a finished epoch."""

    @property
    def validation_loss(self) -> float | None:
        """Return the loss on the held-out images."""

    @property
    def validation_accuracy(self) -> float | None:
        """Return the accuracy on the held-out images."""


def list_figures(settings: EarlyStopping | None, history: Sequence[Epoch]) -> Sequence[float]:
    """Return the held-out losses or accuracies that the settings go by."""
    if settings is None:
        return ()
    by_loss = settings.metric == "loss"
    figures = [each.validation_loss if by_loss else each.validation_accuracy for each in history]
    return [figure for figure in figures if figure is not None]


def count_epochs(settings: EarlyStopping | None, figures: Sequence[float], planned: int) -> int:
    """Return after which epoch a training of so many planned epochs ends."""
    stall = find_stall(settings, figures[:planned]) if settings else None
    return planned if stall is None else stall
