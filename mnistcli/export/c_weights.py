"""Weights of a stage in C: where they lie, how they are read, and how packed ones are unpacked."""

from collections.abc import Iterator

from mnistcli.export.c_text import INDENT, move_by, multiply
from mnistcli.export.integer import BYTES, Convolution, Levels, Pool, Stage


def name_levels(levels: Levels) -> str:
    """Return what the function that unpacks such weights is called by."""
    return f"{levels.bits}_from_minus_{-levels.first}"


def index_type(convolution: Convolution) -> str:
    """Return the C type of an index of a weight: an int has 16 bits on AVR."""
    is_large = convolution.levels != BYTES and convolution.weights.size > 2**15 - 1
    return "int32_t" if is_large else "int"


class Weights:
    """How a function reads the weights of its stage.

    Packed ones are unpacked once for all pixels that follow, if there are several; else one by one.
    """

    def __init__(self, stage: Stage, array: str) -> None:
        """Choose how to read.

        Args:
            stage: whose weights they are, if it has any.
            array: name of the array of all its weights.
        """
        found = stage.convolution
        pooled = [step.width for step in stage.steps if isinstance(step, Pool)]
        self._array = array
        self._convolution = found
        self._is_packed = found is not None and found.levels != BYTES
        pixels = stage.shape[2] * stage.pool * max(pooled, default=1)
        self.are_unpacked = self._is_packed and pixels > 1
        """Whether those of a channel are in the array `unpacked`."""

    @property
    def channel(self) -> str:
        """Return the channel in the index of a weight: the only one, where they are unpacked."""
        return "0" if self.are_unpacked else self._name_channel()

    @property
    def next(self) -> str:
        """Return the expression for the weight at `weight`, which moves on."""
        if self._is_packed and not self.are_unpacked:
            return self.read("weight++")
        return "*weight++"

    def read(self, index: str) -> str:
        """Return the expression for a weight."""
        if self.are_unpacked:
            return f"unpacked[{index}]"
        return self._unpack(index) if self._is_packed else f"{self._array}[{index}]"

    def point(self, start: str) -> str:
        """Return the declaration of `weight`: a pointer, or the number of a packed weight."""
        if self.are_unpacked:
            return f"const int8_t *weight = {move_by('unpacked', start, 1)};"
        if self._is_packed:
            return f"{self._index_type} weight = {start};"
        return f"MNIST_CONSTANT int8_t *weight = {self._array} + {start};"

    def unpack(self, part: str = "", parts: int = 1) -> Iterator[str]:
        """Yield the lines that unpack the weights of a channel, or one of several parts of them."""
        assert self._convolution is not None
        size = self._convolution.weights[0].size // parts
        place = self._name_channel()
        if part:
            place = f"{place} * {parts} + {part}"
        yield f"int8_t unpacked[{size}];"
        yield f"for (int k = 0; k < {size}; k++) {{"
        yield f"{INDENT}unpacked[k] = (int8_t){self._unpack(f'{multiply(place, size)} + k')};"
        yield "}"

    def _unpack(self, index: str) -> str:
        assert self._convolution is not None
        return f"mnist_unpack_{name_levels(self._convolution.levels)}({self._array}, {index})"

    def _name_channel(self) -> str:
        return "channel" if self._index_type == "int" else f"({self._index_type})channel"

    @property
    def _index_type(self) -> str:
        return index_type(self._convolution) if self._convolution else "int"
