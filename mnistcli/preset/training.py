"""Training settings: optimizer, learning-rate schedule, batches and epochs."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from mnistcli.preset.values import StrictModel

Rate = Annotated[float, Field(gt=0, le=100)]
Decay = Annotated[float, Field(ge=0, le=10)]
Momentum = Annotated[float, Field(ge=0, lt=1)]


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


Schedule = Annotated[Constant | Step | Cosine | OneCycle, Field(discriminator="kind")]


class Train(StrictModel):
    """A training that minimizes the cross-entropy loss."""

    epochs: Annotated[int, Field(ge=1, le=100_000)]
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
    optimizer: Optimizer
    schedule: Schedule = Constant(kind="constant")
