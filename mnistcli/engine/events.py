"""What work tells whoever listens: plain data, without torch."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class TrainingStarted:
    """Before the first batch: how many images and batches every epoch has."""

    epoch_images: tuple[int, ...]
    epoch_steps: tuple[int, ...]


@dataclass(frozen=True)
class StepFinished:
    """After a batch; `step` and `epoch` count from 1."""

    epoch: int
    step: int
    images: int


@dataclass(frozen=True)
class EpochFinished:
    """After an epoch: means over its batches as they were trained on, augmented."""

    epoch: int
    train_loss: float
    train_accuracy: float
    learning_rate: float
    """Of the last batch."""
    seconds: float
    images: int
    stages: dict[str, float]
    """Seconds by stage: data, forward, backward, optimizer, other."""
    validation_loss: float | None = None
    validation_accuracy: float | None = None


@dataclass(frozen=True)
class StageStarted:
    """Before a part of the work beside training, such as a clustering."""

    stage: str


@dataclass(frozen=True)
class StageFinished:
    """After it."""

    stage: str
    seconds: float


@dataclass(frozen=True)
class RunFinished:
    """After one of several trainings."""

    done: int
    total: int
    name: str
    """As in "kmeans, 12,000 images, seed 3"."""
    accuracy: float


Event = TrainingStarted | StepFinished | EpochFinished | StageStarted | StageFinished | RunFinished
Emit = Callable[[Event], None]
