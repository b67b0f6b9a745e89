"""What work tells whoever listens: plain data, without torch."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class TrainingStarted:
    """Before the first batch: how many images and batches every epoch has."""

    epoch_images: tuple[int, ...]
    epoch_steps: tuple[int, ...]
    epoch_names: tuple[str, ...] = ()
    """As in "medium"; without them, epochs go by their numbers."""


@dataclass(frozen=True)
class TrainingResumed:
    """After TrainingStarted, in a training that goes on after an interruption."""

    epochs: int
    """That had ended."""
    images: int
    """Of the epoch that was underway."""


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


@dataclass(frozen=True)
class RunProgressed:
    """An event of one of several trainings, which run elsewhere."""

    name: str
    """Name of the run, as in "seed 3"."""
    event: TrainingStarted | EpochFinished


@dataclass(frozen=True)
class PhasePlanned:
    """Before the training of a curriculum: one for each of its phases."""

    name: str
    digits: tuple[int, ...]
    images: int
    """In use."""
    steps: int
    batch_size: int
    left_out: int
    """Images of every pass that do not fill a batch, where such a batch is dropped."""
    target: float | None


@dataclass(frozen=True)
class PhaseFinished:
    """After the last epoch of a curriculum's phase, judged on images not learned from."""

    phase: int
    name: str
    own_accuracy: float | None
    """On the phase's own digits."""
    seen_accuracy: float | None
    """On every digit seen so far."""
    target: float | None


Event = (
    TrainingStarted
    | TrainingResumed
    | StepFinished
    | EpochFinished
    | StageStarted
    | StageFinished
    | PhasePlanned
    | PhaseFinished
    | RunFinished
    | RunProgressed
)
Emit = Callable[[Event], None]
