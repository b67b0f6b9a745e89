"""Layers of a network, with the names and parameters of their PyTorch modules."""

from typing import Annotated, Literal

from pydantic import Field

from mnistcli.preset.values import StrictModel

Width = Annotated[int, Field(ge=1, le=65_536)]
Extent = Annotated[int, Field(ge=1, le=1_024)]
DropProbability = Annotated[float, Field(ge=0, lt=1)]


class Conv(StrictModel):
    """A two-dimensional convolution; its input channels follow from the previous layer."""

    kind: Literal["conv"]
    out_channels: Width
    kernel_size: Extent
    stride: Extent = 1
    padding: Annotated[int, Field(ge=0, le=1_024)] | None = None
    """Pixels added on every side; by default half of kernel_size, rounded down. At stride 1 an odd
    kernel then keeps the size of the image, and an even one makes it larger by 1."""
    groups: Width = 1
    bias: bool = True


class BatchNorm(StrictModel):
    """Batch normalization of every channel, with a learned scale and shift."""

    kind: Literal["batch_norm"]
    momentum: Annotated[float, Field(gt=0, le=1)] = 0.1
    """Weight of the newest batch in the running mean and variance."""


class ReLU(StrictModel):
    """The rectifier, max(x, 0)."""

    kind: Literal["relu"]


class MaxPool(StrictModel):
    """The maximum of every square of `kernel_size` pixels, without overlap."""

    kind: Literal["max_pool"]
    kernel_size: Extent = 2


class Dropout(StrictModel):
    """Dropout of single values during training."""

    kind: Literal["dropout"]
    probability: DropProbability


class Dropout2d(StrictModel):
    """Dropout of whole channels during training."""

    kind: Literal["dropout2d"]
    probability: DropProbability


class Flatten(StrictModel):
    """A flattening, (n, c, h, w) to (n, c · h · w)."""

    kind: Literal["flatten"]


class GlobalAveragePool(StrictModel):
    """The mean of every channel: (n, c, h, w) to (n, c)."""

    kind: Literal["global_average_pool"]


class GlobalMaxPool(StrictModel):
    """The maximum of every channel: (n, c, h, w) to (n, c)."""

    kind: Literal["global_max_pool"]


class Linear(StrictModel):
    """A fully connected layer; its input features follow from the previous layer."""

    kind: Literal["linear"]
    out_features: Width
    bias: bool = True


Layer = Annotated[
    Conv
    | BatchNorm
    | ReLU
    | MaxPool
    | Dropout
    | Dropout2d
    | Flatten
    | GlobalAveragePool
    | GlobalMaxPool
    | Linear,
    Field(discriminator="kind"),
]
