"""Pruning: what a trained network loses, and the fine-tuning that follows."""

from typing import Annotated, Literal

from pydantic import Field

from mnistcli.preset.training import Cosine, Muon, OneCycle, Optimizer, Schedule, Train
from mnistcli.preset.values import StrictModel


class Prune(StrictModel):
    """The removal of what matters little in a trained network, and its fine-tuning.

    Channels: every convolution loses the output channels whose filters have the smallest L1 norm,
    unless they are added to others, and the network gets smaller. Source: Li et al. 2017, "Pruning
    filters for efficient ConvNets", section 3.1.

    Weights: those of all convolutions and linear layers with the smallest magnitudes become zero,
    and stay zero. A layer whose weights are all small may lose all of them. Source: Han et al.
    2015, "Learning both weights and connections for efficient neural networks", section 3, but with
    one threshold for all layers (Blalock et al. 2020, "What is the state of neural network
    pruning?").
    """

    kind: Literal["channels", "weights"]
    fraction: Annotated[float, Field(gt=0, lt=1)]
    """Fraction of every convolution's output channels, or of all weights together."""
    epochs: Annotated[int, Field(ge=1, le=100_000)]
    """Epochs of fine-tuning, after the preset's own."""
    # On held-out images of `dash`, 1 was better than 0.3 by 0.1 to 0.4 percentage points, for both
    # kinds and two seeds; of `starter`, 1 and 0.3 differed by less than 0.1.
    rate_factor: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Factor for the preset's learning rates in the fine-tuning."""


def tune(train: Train, prune: Prune) -> Train:
    """Return the settings of the fine-tuning: the training's, perhaps at lower learning rates."""
    factor = prune.rate_factor
    changes = {
        "epochs": prune.epochs,
        "init": None,
        "optimizer": _slow_down(train.optimizer, factor),
        "schedule": _fit(train.schedule, factor),
    }
    return train.model_copy(update=changes)


def _slow_down(optimizer: Optimizer, factor: float) -> Optimizer:
    changes: dict[str, object] = {"learning_rate": factor * optimizer.learning_rate}
    if isinstance(optimizer, Muon):
        changes["others"] = _slow_down(optimizer.others, factor)
    return optimizer.model_copy(update=changes)


def _fit(schedule: Schedule, factor: float) -> Schedule:
    match schedule:
        case OneCycle():
            peak = factor * schedule.max_learning_rate
            return schedule.model_copy(update={"max_learning_rate": peak})
        case Cosine():
            return schedule.model_copy(update={"epochs": None})
    return schedule
