"""Sizes of what a linker made: an ELF file, as on Linux and in almost every firmware."""

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from mnistcli.errors import UsageError

NOBITS = 8
WRITE, ALLOC = 1, 2


class Layout(NamedTuple):
    """Where fields of a file lie that depend on its kind."""

    address: str
    """Format of an address."""
    start: int
    """Place of the offset of the table of sections."""
    entries: int
    """Place of the size of its entries, and of their number."""
    section: str
    """Format of an entry: name, type, flags, address, offset, size."""


LAYOUTS = {1: Layout("I", 32, 46, "IIIIII"), 2: Layout("Q", 40, 58, "IIQQQQ")}
"""Files of 32 and of 64 bits."""


@dataclass(frozen=True)
class Sizes:
    """Bytes of a program."""

    flash: int
    """Code, constants, and the values that variables begin with."""
    ram: int
    """Variables."""

    def __sub__(self, other: "Sizes") -> "Sizes":
        return Sizes(self.flash - other.flash, self.ram - other.ram)


def read_sizes(path: Path) -> Sizes:
    """Return the bytes of a program's sections that are loaded.

    Raises:
        UsageError: the file is no ELF file.
    """
    content = path.read_bytes()
    try:
        return _sum_up(content)
    except (struct.error, KeyError) as error:
        raise UsageError(
            "the compiler makes no ELF file, so that sizes cannot be read. Choose another --target."
        ) from error


def _sum_up(content: bytes) -> Sizes:
    magic, kind, order = struct.unpack_from("4sBB", content)
    if magic != b"\x7fELF":
        raise KeyError(magic)
    layout, endian = LAYOUTS[kind], {1: "<", 2: ">"}[order]
    (start,) = struct.unpack_from(endian + layout.address, content, layout.start)
    size, count = struct.unpack_from(endian + "HH", content, layout.entries)
    flash = ram = 0
    for number in range(count):
        fields = struct.unpack_from(endian + layout.section, content, start + number * size)
        _, type_, flags, _, _, length = fields
        if flags & ALLOC:
            flash += 0 if type_ == NOBITS else length
            ram += length if flags & WRITE else 0
    return Sizes(flash, ram)
