"""The layers a preset's network is made of, each named and spelled as its PyTorch module."""

from typing import Annotated, Literal

from pydantic import BaseModel, Field

from mnistcli.preset.values import STRICT

Width = Annotated[int, Field(ge=1, le=65_536)]
Extent = Annotated[int, Field(ge=1, le=1_024)]
DropProbability = Annotated[float, Field(ge=0, lt=1)]


class Conv(BaseModel):
    """A two-dimensional convolution; its input channels follow from the layer before."""

    model_config = STRICT
    kind: Literal["conv"]
    out_channels: Width
    kernel_size: Extent
    stride: Extent = 1
    padding: Annotated[int, Field(ge=0, le=1_024)] | None = None
    """Pixels added on every side; by default kernel_size // 2, which keeps the size at stride 1."""
    groups: Width = 1
    bias: bool = True


class BatchNorm(BaseModel):
    """Batch normalization of every channel, with a learned scale and shift."""

    model_config = STRICT
    kind: Literal["batch_norm"]
    momentum: Annotated[float, Field(gt=0, le=1)] = 0.1
    """The weight of the newest batch in the running mean and variance."""


class ReLU(BaseModel):
    """max(x, 0)."""

    model_config = STRICT
    kind: Literal["relu"]


class MaxPool(BaseModel):
    """The greatest of every square of `kernel_size` pixels, without overlap."""

    model_config = STRICT
    kind: Literal["max_pool"]
    kernel_size: Extent = 2


class Dropout(BaseModel):
    """Sets single values to zero during training."""

    model_config = STRICT
    kind: Literal["dropout"]
    probability: DropProbability


class Dropout2d(BaseModel):
    """Sets whole channels of an image to zero during training."""

    model_config = STRICT
    kind: Literal["dropout2d"]
    probability: DropProbability


class Flatten(BaseModel):
    """(n, c, h, w) to (n, c · h · w)."""

    model_config = STRICT
    kind: Literal["flatten"]


class GlobalAveragePool(BaseModel):
    """The mean of every channel: (n, c, h, w) to (n, c)."""

    model_config = STRICT
    kind: Literal["global_average_pool"]


class GlobalMaxPool(BaseModel):
    """The maximum of every channel: (n, c, h, w) to (n, c)."""

    model_config = STRICT
    kind: Literal["global_max_pool"]


class Linear(BaseModel):
    """A fully connected layer; its input features follow from the layer before."""

    model_config = STRICT
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
