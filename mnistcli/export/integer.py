"""The integer model: the definition of what an exported network computes, to the last bit.

A network is a sequence of stages. Value 0 is the image, value i + 1 the output of stage i. A stage

1. sums up, in 32 bits: products of weights and values plus a bias (`conv`), a value as it is
   (`identity`), or several values, each with its own multiplier (`add`): the two of a residual, or
   the logits of an ensemble's members;
2. takes its steps on the sums: `Rectify`, `Pool`, `Offset`;
3. scales: floor((sum · multiplier + 2^(shift - 1)) / 2^shift), with the channel's multiplier;
4. clamps the result to `low` … `high`, which fit in 8 bits in all stages but those of logits;
5. looks it up in a table of 256 results, if there is one;
6. takes the max of every square of `pool` × `pool` results.

The last stage's results are the logits. Numbers in products and sums stay far below 2^53, so 64-bit
floating-point numbers, as in JavaScript, represent them all exactly.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, assert_never

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

BATCH = 250

Integers = NDArray[np.integer[Any]]
Shape = tuple[int, int, int]
"""Channels, height, width."""


@dataclass(frozen=True)
class Rectify:
    """Replace negative sums by 0."""


@dataclass(frozen=True)
class Pool:
    """Take the max or the sum of every rectangle of `height` × `width`, without overlap."""

    kind: Literal["max", "sum"]
    height: int
    width: int


@dataclass(frozen=True)
class Offset:
    """Add a number to the sums of every channel."""

    values: NDArray[np.int32]


Step = Rectify | Pool | Offset


@dataclass(frozen=True)
class Levels:
    """The weights that there are: first + step · code, for codes of so many bits."""

    bits: int
    first: int
    step: int = 1


BYTES = Levels(bits=8, first=-128)


@dataclass(frozen=True)
class Convolution:
    """Weights, and where they apply."""

    weights: NDArray[np.int8]
    """(outputs, inputs / groups, height, width)."""
    bias: NDArray[np.int32]
    """(outputs,)."""
    levels: Levels = BYTES
    stride: int = 1
    padding: int = 0
    dilation: int = 1
    groups: int = 1


@dataclass(frozen=True)
class Stage:
    """What becomes of one value, or of several."""

    name: str
    """The layers that it stands for, as in "0 conv, 1 batch_norm"."""
    sources: tuple[int, ...]
    """The value that it reads; several for an addition."""
    convolution: Convolution | None
    """None for an identity or an addition."""
    steps: tuple[Step, ...]
    multipliers: NDArray[np.int16]
    """(channels,), or for an addition one for each value."""
    shift: int
    low: int
    high: int
    table: NDArray[np.int16] | None
    """Results for -128 … 127."""
    pool: int
    shape: Shape
    """Shape of its output."""

    @property
    def is_wide(self) -> bool:
        """Return whether results need more than 8 bits."""
        return self.high > 255 or self.low < -128

    @property
    def is_signed(self) -> bool:
        """Return whether results may be negative."""
        return self.low < 0 if self.table is None else bool(self.table.min() < 0)


@dataclass(frozen=True)
class IntegerModel:
    """Stages from images, uint8 (n, 28, 28), to logits, int32 (n, 10)."""

    zero: int
    """Pixel, in 0 … 255, that stands for 0; it is subtracted from all pixels."""
    stages: tuple[Stage, ...]
    logit_scale: float
    """Real logit of an integer 1."""

    def compute_logits(self, images: NDArray[np.uint8]) -> NDArray[np.int32]:
        """Return the logits, int32 (n, 10), of images, uint8 (n, 28, 28)."""
        batches = [images[start : start + BATCH] for start in range(0, len(images), BATCH)]
        return np.concatenate([self._compute(batch) for batch in batches])

    def _compute(self, images: NDArray[np.uint8]) -> NDArray[np.int32]:
        *_, last = self.compute_values(images)
        return last.reshape(len(images), -1).astype(np.int32)

    def compute_values(self, images: NDArray[np.uint8]) -> Iterator[Integers]:
        """Yield the output of every stage, int64 (n, channels, height, width)."""
        values: list[Integers] = [images[:, None].astype(np.int64) - self.zero]
        for stage in self.stages:
            values.append(compute_stage(stage, [values[source] for source in stage.sources]))
            yield values[-1]


def compute_stage(stage: Stage, inputs: Sequence[Integers]) -> Integers:
    """Return the results of a stage, int64 (n, channels, height, width)."""
    products = _sum_up(stage, inputs)
    results = np.clip(scale(products, stage.shift), stage.low, stage.high)
    if stage.table is not None:
        results = stage.table.astype(np.int64)[results + 128]
    return pool("max", results, stage.pool, stage.pool)


def scale(products: Integers, shift: int) -> Integers:
    """Return floor((products + 2^(shift - 1)) / 2^shift): halves are rounded up."""
    scaled: Integers = (products + (1 << (shift - 1))) >> shift
    return scaled


def _sum_up(stage: Stage, inputs: Sequence[Integers]) -> Integers:
    """Return the sums, multiplied by the stage's multipliers."""
    multipliers = stage.multipliers.astype(np.int64)
    if len(inputs) > 1:
        first, *others = [value * factor for value, factor in zip(inputs, multipliers, strict=True)]
        added: Integers = sum(others, start=first)
        return added
    sums = inputs[0] if stage.convolution is None else convolve(stage.convolution, inputs[0])
    for step in stage.steps:
        sums = _take(step, sums)
    products: Integers = sums * multipliers[:, None, None]
    return products


def _take(step: Step, sums: Integers) -> Integers:
    match step:
        case Rectify():
            rectified: Integers = np.maximum(sums, 0)
            return rectified
        case Pool():
            return pool(step.kind, sums, step.height, step.width)
        case Offset():
            return sums + step.values.astype(np.int64)[:, None, None]
        case _:
            assert_never(step)


def pool(kind: Literal["max", "sum"], values: Integers, height: int, width: int) -> Integers:
    """Return the max or the sum of every rectangle; rows and columns left over are dropped."""
    if height == width == 1:
        return values
    rows, columns = values.shape[2] // height, values.shape[3] // width
    cut = values[:, :, : rows * height, : columns * width]
    squares = cut.reshape(*values.shape[:2], rows, height, columns, width)
    pooled: Integers = squares.max(axis=(3, 5)) if kind == "max" else squares.sum(axis=(3, 5))
    return pooled


def convolve(convolution: Convolution, values: Integers) -> Integers:
    """Return the sums, int64 (n, outputs, height, width), of values (n, inputs, height, width)."""
    outputs, inputs, height, width = convolution.weights.shape
    windows = _cut(convolution, values)
    count, _, rows, columns = windows.shape[:4]
    groups = convolution.groups
    # (groups, n · rows · columns, inputs · height · width) times (groups, the same, outputs)
    patches = windows.reshape(count, groups, inputs, rows, columns, height, width)
    patches = patches.transpose(1, 0, 3, 4, 2, 5, 6).reshape(groups, -1, inputs * height * width)
    weights = convolution.weights.reshape(groups, outputs // groups, -1).transpose(0, 2, 1)
    # BLAS knows no integers; float64 holds every sum exactly.
    sums = (patches @ weights.astype(np.float64)).astype(np.int64)
    sums = sums.reshape(groups, count, rows, columns, -1).transpose(1, 0, 4, 2, 3)
    biases = convolution.bias.astype(np.int64)[:, None, None]
    return sums.reshape(count, outputs, rows, columns) + biases


def _cut(convolution: Convolution, values: Integers) -> NDArray[np.float64]:
    """Return what every output sees: (n, inputs, rows, columns, height, width), without copies."""
    height, width = convolution.weights.shape[2:]
    edge, step, gap = convolution.padding, convolution.stride, convolution.dilation
    padded = np.pad(values.astype(np.float64), ((0, 0), (0, 0), (edge, edge), (edge, edge)))
    extent = ((height - 1) * gap + 1, (width - 1) * gap + 1)
    windows = sliding_window_view(padded, extent, axis=(2, 3))
    return windows[:, :, ::step, ::step, ::gap, ::gap]
