"""Events that training and other work emit to listeners: plain data, without torch."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class TrainingStarted:
    """Emitted before the first batch, with the number of images and batches of every epoch."""

    epoch_images: tuple[int, ...]
    epoch_steps: tuple[int, ...]
    epoch_names: tuple[str, ...] = ()
    """Names of the epochs' phases, such as "medium"; empty where epochs have only numbers."""
    seconds: float | None = None
    """Allowed training time, if that ends the training: before the last of these epochs, or after
    further ones like the last."""
    member: int | None = None
    """Which network of an ensemble is trained now, from 1; each has epochs of its own."""
    members: int = 1
    """Number of networks."""

    def count_images(self, epoch: int) -> int:
        """Return the number of images of an epoch, from 1; 0 after the last one."""
        if self.seconds is not None:
            epoch = min(epoch, len(self.epoch_images))
        return sum(self.epoch_images[epoch - 1 : epoch])


@dataclass(frozen=True)
class TrainingResumed:
    """Emitted after TrainingStarted when an interrupted training is resumed."""

    epochs: int
    """Number of finished epochs."""
    images: int
    """Images already trained on in the interrupted epoch."""
    seconds: float = 0.0
    """Training seconds of the finished epochs."""
    member: int | None = None
    """Which network of an ensemble is trained, if it is one's; earlier ones are finished."""


@dataclass(frozen=True)
class StepFinished:
    """Emitted after a batch; `step` and `epoch` count from 1."""

    epoch: int
    step: int
    images: int
    seconds: float = 0.0
    """Training seconds of the epoch so far."""


@dataclass(frozen=True)
class EpochFinished:
    """Emitted after an epoch, with means over its batches as trained on, augmented."""

    epoch: int
    train_loss: float
    train_accuracy: float
    learning_rate: float
    """Learning rate of the last batch."""
    seconds: float
    images: int
    stages: dict[str, float]
    """Seconds by stage: data, forward, backward, optimizer, other."""
    validation_loss: float | None = None
    validation_accuracy: float | None = None
    member: int | None = None
    """Which network of an ensemble was trained."""


@dataclass(frozen=True)
class NetworkPruned:
    """Emitted after the epochs before a pruning, and before those of the fine-tuning."""

    parameters_before: int
    parameters: int
    macs_before: int
    macs: int
    """Multiply-accumulates (MACs) for one image."""
    weights: int | None = None
    """Number of weights of convolutions and linear layers, if these are what was pruned."""
    non_zero_weights: int | None = None
    """Number of these weights that are not zero."""


@dataclass(frozen=True)
class StageStarted:
    """Emitted before a part of the work outside training, such as a clustering."""

    stage: str


@dataclass(frozen=True)
class StageFinished:
    """Emitted after such a part."""

    stage: str
    seconds: float


@dataclass(frozen=True)
class RunFinished:
    """Emitted after one of several trainings."""

    done: int
    total: int
    name: str
    """Name of the training, such as "kmeans, 12,000 images, seed 3"."""
    accuracy: float | None
    """None if the training failed."""


@dataclass(frozen=True)
class RunProgressed:
    """An event of one of several trainings, which run elsewhere."""

    name: str
    """Name of the run, as in "seed 3"."""
    event: TrainingStarted | EpochFinished


@dataclass(frozen=True)
class PhasePlanned:
    """Emitted before a curriculum is trained, once for each of its phases."""

    name: str
    digits: tuple[int, ...]
    images: int
    """Number of images in use."""
    steps: int
    batch_size: int
    left_out: int
    """Images of every pass that are dropped because they do not fill a batch."""
    target: float | None


@dataclass(frozen=True)
class PhaseFinished:
    """Emitted after the last epoch of a curriculum's phase, with its accuracies."""

    phase: int
    name: str
    own_accuracy: float | None
    """Accuracy on the phase's own digits."""
    seen_accuracy: float | None
    """Accuracy on every digit seen so far."""
    target: float | None


Event = (
    TrainingStarted
    | TrainingResumed
    | StepFinished
    | EpochFinished
    | NetworkPruned
    | StageStarted
    | StageFinished
    | PhasePlanned
    | PhaseFinished
    | RunFinished
    | RunProgressed
)
Emit = Callable[[Event], None]
