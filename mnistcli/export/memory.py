"""What an integer model needs of a device: bytes of constants, and memory for its values."""

from collections.abc import Iterator, Mapping
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


@dataclass(frozen=True, order=True)
class Block:
    """Memory that is needed for some time."""

    size: int
    """Bytes."""
    element: int
    """Bytes of its elements; it begins at a multiple of them."""
    begin: int
    end: int
    """First and last moment at which it is needed."""


def place_values(model: IntegerModel) -> Buffers:
    """Place the values between the stages, for an image that is there as a whole."""
    ends = {source: number for number, stage in enumerate(model.stages) for source in stage.sources}
    blocks = dict[int, Block]()
    # Stage i writes value i + 1; the last stage's are the logits.
    for value, stage in enumerate(model.stages[:-1], start=1):
        element = 4 if stage.is_wide else 1
        end = ends.get(value, value) + 1
        blocks[value] = Block(element * prod(stage.shape), element, value, end)
    return place_blocks(blocks)


def place_blocks(blocks: Mapping[int, Block]) -> Buffers:
    """Place blocks, the largest first, each at the first byte where it fits."""
    placed = dict[int, int]()
    for number in sorted(blocks, key=lambda each: (-blocks[each].size, each)):
        block, start = blocks[number], 0
        for begin, other in sorted((begin, blocks[each]) for each, begin in placed.items()):
            if block.begin > other.end or other.begin > block.end:
                continue  # one is written after the other's last use
            if start + block.size <= begin:
                break
            start = max(start, begin + other.size)
            start += -start % block.element
        placed[number] = start
    size = max((placed[each] + blocks[each].size for each in placed), default=0)
    widest = max((block.element for block in blocks.values()), default=1)
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
