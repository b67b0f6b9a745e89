"""How a preset's network is trained: optimizer, learning-rate schedule, batches and epochs."""

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
    """Stochastic gradient descent with momentum, Nesterov's if asked for."""

    kind: Literal["sgd"]
    learning_rate: Rate
    weight_decay: Decay = 0
    momentum: Momentum = 0
    nesterov: bool = False

    @model_validator(mode="after")
    def _nesterov_needs_momentum(self) -> Self:
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov needs a momentum above 0")
        return self


class Muon(StrictModel):
    """Momentum made orthogonal for kernels over several channels, AdamW for all else.

    Source: Jordan et al. 2024.
    """

    kind: Literal["muon"]
    learning_rate: Rate
    """Of the kernels."""
    momentum: Momentum = 0.95
    others: AdamW
    """For every other parameter; under a one-cycle schedule its rate keeps its share of Muon's."""


Optimizer = Annotated[Adam | AdamW | SGD | Muon, Field(discriminator="kind")]


class Constant(StrictModel):
    """The optimizer's learning rate throughout."""

    kind: Literal["constant"]


class Step(StrictModel):
    """The learning rate times `factor` after every `every_epochs` epochs."""

    kind: Literal["step"]
    every_epochs: Annotated[int, Field(ge=1, le=100_000)]
    factor: Annotated[float, Field(gt=0, le=1)]


class Cosine(StrictModel):
    """From the optimizer's learning rate to 0 along half a cosine, a step an epoch."""

    kind: Literal["cosine"]
    epochs: Annotated[int, Field(ge=1, le=100_000)] | None = None
    """Epochs until 0 is reached (T_max); by default all of the training."""


class OneCycle(StrictModel):
    """Warm-up to `max_learning_rate`, then down to nearly 0, a step a batch.

    Source: Smith & Topin 2018.
    """

    kind: Literal["one_cycle"]
    max_learning_rate: Rate
    warmup_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.3
    anneal: Literal["cos", "linear"] = "cos"
    start_divisor: Annotated[float, Field(ge=1, le=1e6)] = 25.0
    """max_learning_rate over the first learning rate."""
    end_divisor: Annotated[float, Field(ge=1, le=1e12)] = 1e4
    """The first learning rate over the last."""
    cycle_momentum: bool = True
    """Whether Adam's first beta, or the momentum, goes from 0.95 to 0.85 and back meanwhile."""


Schedule = Annotated[Constant | Step | Cosine | OneCycle, Field(discriminator="kind")]


class Train(StrictModel):
    """One training: what is minimized is the cross entropy of the true digit."""

    epochs: Annotated[int, Field(ge=1, le=100_000)]
    batch_size: Annotated[int, Field(ge=1, le=60_000)]
    drop_last: bool = False
    """Leaves out the last batch of an epoch when it is not full."""
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0
    clip_gradient_norm: Annotated[float, Field(gt=0, le=1e9)] | None = None
    """If given, gradients that together are longer (Euclidean norm) are scaled down to this."""
    ema_decay: Annotated[float, Field(gt=0, lt=1)] | None = None
    """If given, what is judged and kept is an exponential moving average of the weights, and
    after every batch this is the share of the average that stays (Polyak & Juditsky 1992)."""
    validation_examples: Annotated[int, Field(ge=0, le=59_990)] = 0
    """Training images held out, equally often from every digit, and judged after every epoch."""
    optimizer: Optimizer
    schedule: Schedule = Constant(kind="constant")
