"""Training settings: optimizer, learning-rate schedule, batches and epochs."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from mnistcli.preset.values import PathText, Printable, Seconds, StrictModel

MAX_EPOCHS = 100_000
Rate = Annotated[float, Field(gt=0, le=100)]
Decay = Annotated[float, Field(ge=0, le=10)]
Momentum = Annotated[float, Field(ge=0, lt=1)]
LayerName = (
    Annotated[int, Field(ge=0, le=100_000)]
    | Annotated[Printable, Field(min_length=1, max_length=200)]
)


class Adam(StrictModel):
    """Adam (Kingma & Ba 2015); weight decay is added to the gradient."""

    kind: Literal["adam"]
    learning_rate: Rate
    weight_decay: Decay = 0
    betas: tuple[Momentum, Momentum] = (0.9, 0.999)


class AdamW(StrictModel):
    """Adam with decoupled weight decay (Loshchilov & Hutter 2019)."""

    kind: Literal["adamw"]
    learning_rate: Rate
    weight_decay: Decay = 0.01
    betas: tuple[Momentum, Momentum] = (0.9, 0.999)


class SGD(StrictModel):
    """Stochastic gradient descent with optional Nesterov momentum."""

    kind: Literal["sgd"]
    learning_rate: Rate
    weight_decay: Decay = 0
    momentum: Momentum = 0
    nesterov: bool = False

    @model_validator(mode="after")
    def _nesterov_needs_momentum(self) -> Self:
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov needs a momentum greater than 0")
        return self


class Muon(StrictModel):
    """Orthogonalized momentum for kernels over several channels, AdamW for all other parameters.

    Source: Jordan et al. 2024.
    """

    kind: Literal["muon"]
    learning_rate: Rate
    """Learning rate of the kernels."""
    momentum: Momentum = 0.95
    others: AdamW
    """For all other parameters; a one-cycle schedule keeps the ratio of both learning rates."""


Optimizer = Annotated[Adam | AdamW | SGD | Muon, Field(discriminator="kind")]


class Constant(StrictModel):
    """A constant learning rate."""

    kind: Literal["constant"]


class Step(StrictModel):
    """A learning rate that is multiplied by `factor` after every `every_epochs` epochs."""

    kind: Literal["step"]
    every_epochs: Annotated[int, Field(ge=1, le=100_000)]
    factor: Annotated[float, Field(gt=0, le=1)]


class Cosine(StrictModel):
    """A learning rate that falls to 0 along half a cosine, updated every epoch."""

    kind: Literal["cosine"]
    epochs: Annotated[int, Field(ge=1, le=100_000)] | None = None
    """Epochs until 0 is reached (T_max); by default the whole training."""


class OneCycle(StrictModel):
    """A warm-up to `max_learning_rate`, then a fall to nearly 0, updated every batch.

    Source: Smith & Topin 2018.
    """

    kind: Literal["one_cycle"]
    max_learning_rate: Rate
    warmup_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.3
    anneal: Literal["cos", "linear"] = "cos"
    start_divisor: Annotated[float, Field(ge=1, le=1e6)] = 25.0
    """Ratio of max_learning_rate to the first learning rate."""
    end_divisor: Annotated[float, Field(ge=1, le=1e12)] = 1e4
    """Ratio of the first learning rate to the last."""
    cycle_momentum: bool = True
    """Whether Adam's first beta, or the momentum, goes from 0.95 to 0.85 and back."""


class Plateau(StrictModel):
    """A learning rate multiplied by `factor` when the held-out loss has stopped falling.

    As PyTorch's ReduceLROnPlateau; updated every epoch, and needs held-out images.
    """

    kind: Literal["plateau"]
    factor: Annotated[float, Field(gt=0, lt=1)] = 0.1
    patience: Annotated[int, Field(ge=0, le=100_000)] = 2
    """Epochs without improvement that are waited for."""
    min_delta: Annotated[float, Field(ge=0, lt=1)] = 1e-4
    """Fraction of the best loss so far that it must fall by to count as an improvement."""
    min_learning_rate: Annotated[float, Field(ge=0, le=100)] = 0


Schedule = Annotated[Constant | Step | Cosine | OneCycle | Plateau, Field(discriminator="kind")]


class EarlyStopping(StrictModel):
    """The end of a training whose held-out loss or accuracy does not improve any more."""

    patience: Annotated[int, Field(ge=1, le=100_000)]
    """Epochs without improvement after which it ends."""
    min_delta: Annotated[float, Field(ge=0, le=100)] = 0
    """What the loss or accuracy must improve by, more than this, to count as an improvement."""
    metric: Literal["loss", "accuracy"] = "loss"


class Quantize(StrictModel):
    """Integers that a training keeps to, so that the trained network loses nothing as integers.

    Source: Jacob et al. 2018, section 3.
    """

    weights: Literal[8, 4, 2, "ternary"]
    """Bits of a weight of convolutions and linear layers, or "ternary" for -1, 0 and 1."""
    activations: Literal[8] = 8
    """Bits of the values between the layers."""


class Train(StrictModel):
    """A training that minimizes the cross-entropy loss."""

    epochs: Annotated[int, Field(ge=1, le=MAX_EPOCHS)]
    within_seconds: Seconds | None = None
    """Training time, however many epochs fit into it: the schedule's position is elapsed over
    allowed time."""
    batch_size: Annotated[int, Field(ge=1, le=60_000)]
    drop_last: bool = False
    """Whether to leave out the last batch of an epoch if it is not full."""
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0
    clip_gradient_norm: Annotated[float, Field(gt=0, le=1e9)] | None = None
    """Max Euclidean norm of all gradients together; larger ones are scaled down to it."""
    ema_decay: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Decay per batch of an exponential moving average of the weights, which is then evaluated and
    saved instead of the weights (Polyak & Juditsky 1992)."""
    validation_examples: Annotated[int, Field(ge=0, le=59_990)] = 0
    """Number of training images to hold out, in proportion to the digits, as a validation set."""
    keep: Literal["last", "best"] = "last"
    """Weights that are tested and saved: those of the last epoch, or of the one with the lowest
    held-out loss."""
    early_stopping: EarlyStopping | None = None
    init: PathText | None = None
    """Run whose weights the training starts from; by default they are random."""
    freeze: Annotated[tuple[LayerName, ...], Field(max_length=1_000)] = ()
    """Layers that stay as they are, running statistics included, by their names in `summary`."""
    quantize: Quantize | None = None
    """Quantization-aware training; by default weights and values are not rounded."""
    optimizer: Optimizer
    schedule: Schedule = Constant(kind="constant")

    @model_validator(mode="after")
    def _time_or_losses_decide(self) -> Self:
        if self.within_seconds is not None and isinstance(self.schedule, Plateau):
            raise ValueError(
                'schedule.kind = "plateau" goes by the held-out loss, and within_seconds by time. '
                "Leave one out."
            )
        return self

    @model_validator(mode="after")
    def _held_out_images_decide(self) -> Self:
        if self.validation_examples:
            return self
        users = {
            'schedule.kind = "plateau"': isinstance(self.schedule, Plateau),
            "early_stopping": self.early_stopping is not None,
            'keep = "best"': self.keep == "best",
        }
        for name in (name for name, is_used in users.items() if is_used):
            raise ValueError(f"{name} needs held-out images. Set validation_examples = 10_000.")
        return self
