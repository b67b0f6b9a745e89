"""IDX files → images and labels, with every byte checked."""

from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mnistcli.datasets.contents import HEAD, describe_content, describe_pixels, open_unpacked
from mnistcli.datasets.examples import COUNT_LIMIT, SIDE
from mnistcli.errors import FileError

Kinds = dict[int, tuple[str, tuple[int, ...]]]
IMAGES: Kinds = {0x803: ("u1", (SIDE, SIDE))}
"""Type and shape of an item by magic number."""
LABELS: Kinds = {0x801: ("u1", ()), 0xC01: (">i4", ()), 0xC02: (">i4", (8,))}
"""MNIST's labels, the same in 32 bits, and QMNIST's with more columns, of which the first is it."""


def read_images(path: Path) -> NDArray[np.uint8]:
    """Read a file of images: uint8 (n, 28, 28).

    Raises:
        FileError: the file is unreadable, or not such a file.
    """
    return _read_idx(path, IMAGES)


def read_labels(path: Path) -> NDArray[np.int64]:
    """Read a file of labels: int64 (n,).

    Raises:
        FileError: the file is unreadable, or not such a file.
    """
    labels = _read_idx(path, LABELS)
    return (labels if labels.ndim == 1 else labels[:, 0]).astype(np.int64)


def _read_idx(path: Path, kinds: Kinds) -> NDArray[Any]:
    with open_unpacked(path) as file:
        head = file.read(HEAD)
        dtype, shape, start = _check_header(path, head, kinds)
        size = start + dtype.itemsize * prod(shape)
        # One byte more than allowed tells a longer file without unpacking it.
        content = head + file.read(max(0, size + 1 - len(head)))
    if len(content) != size:
        what = "is truncated" if len(content) < size else "is too long"
        raise FileError(f'"{path}" {what}: its header says {size:,} bytes')
    # Of a bytearray, because PyTorch shares no memory that cannot be written.
    return np.frombuffer(bytearray(content), dtype, offset=start).reshape(shape)


def _check_header(
    path: Path, head: bytes, kinds: Kinds
) -> tuple["np.dtype[Any]", tuple[int, ...], int]:
    """Return type and shape of the values that a file must have, and where they begin."""
    magic = int.from_bytes(head[:4])
    if magic not in kinds or len(head) < 4:
        raise FileError(f'"{path}" {_explain(head, kinds)}')
    start = 4 + 4 * (magic & 0xFF)
    if len(head) < start:
        raise FileError(f'"{path}" is truncated: its header is incomplete')
    count, *item = (int.from_bytes(head[place : place + 4]) for place in range(4, start, 4))
    dtype, expected = kinds[magic]
    if tuple(item) != expected:
        found = f"images of {describe_pixels(tuple(item))}" if kinds is IMAGES else "other columns"
        raise FileError(f'"{path}" has {found}, not {" by ".join(map(str, expected))}')
    if count > COUNT_LIMIT:
        raise FileError(f'"{path}" has {count:,} items. The limit is {COUNT_LIMIT:,}.')
    return np.dtype(dtype), (count, *item), start


def _explain(head: bytes, kinds: Kinds) -> str:
    """Return what a file holds that has none of the expected magic numbers."""
    magic = int.from_bytes(head[:4])
    if magic in IMAGES:
        return "has images, not labels"
    if magic in LABELS:
        return "has labels, not images"
    if kinds is IMAGES and magic == 0x804:
        return "has images in colour, not in grey"
    if kind := describe_content(head):
        return f"is {kind}, not an IDX file. Download it again."
    return f"is not the expected IDX file: magic number {magic}"
