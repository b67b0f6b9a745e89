"""What an integer model needs of a device: bytes of constants, and memory for its values."""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnistcli.export.integer import BYTES, IntegerModel, Levels, Offset, Stage

Integers = NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Buffers:
    """Where values lie in one block of memory; those that are needed together do not overlap."""

    offsets: dict[int, int]
    """First byte of the value with this number; the image and the logits are the caller's."""
    size: int
    """Bytes of the block."""
    has_words: bool
    """Whether numbers of 32 bits are among them; they begin at multiples of four bytes."""


def place_values(model: IntegerModel) -> Buffers:
    """Place the values, the largest first, each at the first byte where it fits."""
    stages = model.stages
    # Stage i writes value i + 1; the last stage's are the logits.
    inner = [*enumerate(stages[:-1], start=1)]
    widths = {number: 4 if stage.is_wide else 1 for number, stage in inner}
    sizes = {number: widths[number] * prod(stage.shape) for number, stage in inner}
    ends = {source: number for number, stage in enumerate(stages) for source in stage.sources}
    placed = dict[int, int]()
    for value in sorted(sizes, key=lambda value: (-sizes[value], value)):
        start = 0
        for begin, other in sorted((begin, other) for other, begin in placed.items()):
            if value > ends.get(other, other) + 1 or other > ends.get(value, value) + 1:
                continue  # one is written after the other's last use
            if start + sizes[value] <= begin:
                break
            start = max(start, begin + sizes[other])
            start += -start % widths[value]
        placed[value] = start
    size = max((placed[each] + sizes[each] for each in placed), default=0)
    widest = max(widths.values(), default=1)
    return Buffers(placed, size + -size % widest, has_words=widest > 1)


def count_constants(model: IntegerModel) -> int:
    """Return the bytes of all weights, biases, multipliers and tables; equal arrays count once."""
    arrays = {
        (array.dtype.str, array.tobytes()): ceil(array.size * bits / 8)
        for stage in model.stages
        for array, bits in _list_arrays(stage)
    }
    return sum(arrays.values())


def find_bits(model: IntegerModel) -> int:
    """Return the bits that a weight is stored in."""
    layers = [stage.convolution for stage in model.stages if stage.convolution is not None]
    return min((each.levels.bits for each in layers), default=BYTES.bits)


def _list_arrays(stage: Stage) -> Iterator[tuple[Integers, int]]:
    """Yield the arrays of a stage, with the bits of a number."""
    if stage.convolution is not None:
        yield stage.convolution.weights, stage.convolution.levels.bits
        yield stage.convolution.bias, 32
    for step in stage.steps:
        if isinstance(step, Offset):
            yield step.values, 32
    if len(stage.sources) == 1:  # an addition's stand in the code
        yield stage.multipliers, 16
    if stage.table is not None:
        yield stage.table, 8


def pack(weights: Integers, levels: Levels) -> Integers:
    """Return weights as they are stored: int8, or uint8 codes, the first in the lowest bits."""
    if levels == BYTES:
        return weights.astype(np.int8).ravel()
    codes = (weights.ravel().astype(np.int64) - levels.first) // levels.step
    a_byte = 8 // levels.bits
    filled = np.pad(codes, (0, -len(codes) % a_byte)).reshape(-1, a_byte)
    packed: Integers = (filled << (np.arange(a_byte) * levels.bits)).sum(axis=1)
    return packed.astype(np.uint8)
