"""Layers of a network, with the names and parameters of their PyTorch modules."""

from typing import Annotated, Literal

from pydantic import Field

from mnistcli.preset.values import StrictModel

LAYER_LIMIT = 1_000
WIDTH_LIMIT = 65_536

Width = Annotated[int, Field(ge=1, le=WIDTH_LIMIT)]
Extent = Annotated[int, Field(ge=1, le=1_024)]
Padding = Annotated[int, Field(ge=0, le=1_024)]
DropProbability = Annotated[float, Field(ge=0, lt=1)]


class Conv(StrictModel):
    """A two-dimensional convolution; its input channels follow from the previous layer."""

    kind: Literal["conv"]
    out_channels: Width
    kernel_size: Extent
    stride: Extent = 1
    padding: Padding | None = None
    """Pixels added on every side; by default half of kernel_size, rounded down. At stride 1 an odd
    kernel then keeps the size of the image, and an even one makes it larger by 1. With dilation,
    half of the kernel's extent of (kernel_size - 1) · dilation + 1 pixels."""
    dilation: Extent = 1
    """Distance between the pixels that neighbouring weights of the kernel apply to."""
    groups: Width = 1
    bias: bool = True


class SeparableConv(StrictModel):
    """A convolution of every channel by itself, then a 1 × 1 convolution over the channels.

    The first one has no bias: the second one's would do the same. Source: Chollet 2017, "Xception:
    Deep learning with depthwise separable convolutions", section 2.
    """

    kind: Literal["separable_conv"]
    out_channels: Width
    kernel_size: Extent
    stride: Extent = 1
    padding: Padding | None = None
    """As of a convolution."""
    dilation: Extent = 1
    bias: bool = True


class BatchNorm(StrictModel):
    """Batch normalization of every channel, with a learned scale and shift."""

    kind: Literal["batch_norm"]
    momentum: Annotated[float, Field(gt=0, le=1)] = 0.1
    """Weight of the newest batch in the running mean and variance."""


class GroupNorm(StrictModel):
    """Normalization of every group of channels of an image, with a learned scale and shift.

    Source: Wu and He 2018, "Group normalization", equation 7.
    """

    kind: Literal["group_norm"]
    groups: Width


class InstanceNorm(StrictModel):
    """Normalization of every channel of an image, with a learned scale and shift.

    Source: Ulyanov et al. 2016, "Instance normalization", equation 2.
    """

    kind: Literal["instance_norm"]


class ReLU(StrictModel):
    """The rectifier, max(x, 0)."""

    kind: Literal["relu"]


class LeakyReLU(StrictModel):
    """The leaky rectifier: x, or slope · x where x is negative."""

    kind: Literal["leaky_relu"]
    slope: Annotated[float, Field(ge=0, le=1)] = 0.01


class PReLU(StrictModel):
    """The leaky rectifier with one learned slope, 0.25 at first (He et al. 2015)."""

    kind: Literal["prelu"]


class SiLU(StrictModel):
    """The sigmoid linear unit, x · sigmoid(x) (Elfwing et al. 2018)."""

    kind: Literal["silu"]


class GELU(StrictModel):
    """The Gaussian error linear unit, x times the normal distribution's Φ(x) (Hendrycks 2016)."""

    kind: Literal["gelu"]


class HardSwish(StrictModel):
    """The hard swish, x · min(max(x + 3, 0), 6) / 6 (Howard et al. 2019)."""

    kind: Literal["hard_swish"]


class MaxPool(StrictModel):
    """The maximum of every square of `kernel_size` pixels, without overlap."""

    kind: Literal["max_pool"]
    kernel_size: Extent = 2


class AveragePool(StrictModel):
    """The mean of every square of `kernel_size` pixels, without overlap."""

    kind: Literal["average_pool"]
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


class SqueezeExcite(StrictModel):
    """A weight in (0, 1) for every channel, computed from the means of all channels.

    Two linear layers with biases, ReLU between them and a sigmoid after them. Source: Hu et al.
    2018, "Squeeze-and-excitation networks", equations 2 to 4.
    """

    kind: Literal["squeeze_excite"]
    reduction: Width = 4
    """The first linear layer has channels / reduction outputs, rounded down, but at least 1."""


class SelfAttention(StrictModel):
    """Multi-head self-attention: every position of the image attends to all positions.

    Four linear maps over the channels with biases (queries, keys, values, output). Positions are
    not encoded, and the input is not added to the output: put the layer into a `residual` for
    that. Source: Vaswani et al. 2017, "Attention is all you need", section 3.2.
    """

    kind: Literal["self_attention"]
    heads: Width = 1
    """Number of heads; it divides the number of channels."""


class Residual(StrictModel):
    """Layers whose input is added to their output: y = layers(x) + x.

    Where the shapes differ, a projection of x is added instead: a 1 × 1 convolution without bias,
    strided where the layers make the image smaller, or a linear layer without bias after `flatten`.
    Source: He et al. 2016, "Deep residual learning for image recognition", equations 1 and 2.
    """

    kind: Literal["residual"]
    layers: Annotated[tuple["Layer", ...], Field(min_length=1, max_length=LAYER_LIMIT)]


class Repeat(StrictModel):
    """The same layers several times, one repetition after the other."""

    kind: Literal["repeat"]
    times: Annotated[int, Field(ge=1, le=LAYER_LIMIT)]
    layers: Annotated[tuple["Layer", ...], Field(min_length=1, max_length=LAYER_LIMIT)]
    shared: bool = False
    """Whether all repetitions use the same weights; each has normalizations of its own."""


Convolution = Conv | SeparableConv
Normalization = BatchNorm | GroupNorm | InstanceNorm
Activation = ReLU | LeakyReLU | PReLU | SiLU | GELU | HardSwish
Pool = MaxPool | AveragePool
GlobalPool = GlobalAveragePool | GlobalMaxPool
PlainLayer = (
    Convolution
    | Normalization
    | Activation
    | Pool
    | GlobalPool
    | Dropout
    | Dropout2d
    | Flatten
    | Linear
    | SqueezeExcite
    | SelfAttention
)
"""A layer that has no layers in it."""

Layer = Annotated[PlainLayer | Residual | Repeat, Field(discriminator="kind")]

Residual.model_rebuild()
Repeat.model_rebuild()
