"""USPS: text files of 16 × 16 pixels → images like MNIST's."""

import bz2
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mnistcli.datasets.centering import center_whole
from mnistcli.datasets.examples import CLASSES, COUNT_LIMIT, SIDE, ImagesAndLabels
from mnistcli.errors import FileError, reason_of

SIDE_BEFORE = 16
PIXELS = SIDE_BEFORE * SIDE_BEFORE
LINE_LIMIT = 1 << 14
"""Bytes of a line; those of USPS have about 3,000."""


def read_usps(path: Path) -> ImagesAndLabels:
    """Read a file of LIBSVM's format, compressed by bzip2: lines of a label and 256 pixels.

    A line is a label from 1 to 10, for the digits 0 to 9, and then place:value with all places from
    1 to 256 and values from -1, black, to 1, white.

    Raises:
        FileError: the file is unreadable, or a line is something else.
    """
    images, labels = [], []
    try:
        with bz2.open(path) as file:
            while line := file.readline(LINE_LIMIT):
                label, pixels = _read_line(line)
                images.append(center_whole((pixels + 1) / 2))
                labels.append(label)
                if len(labels) > COUNT_LIMIT:
                    raise ValueError(f"more than {COUNT_LIMIT:,} images")
    except (OSError, EOFError, ValueError) as error:
        place = f"line {len(labels) + 1}"
        raise FileError(f'cannot read "{path}": {place}: {reason_of(error)}') from error
    return np.array(images, np.uint8).reshape(-1, SIDE, SIDE), np.array(labels, np.int64)


def _read_line(line: bytes) -> tuple[int, NDArray[np.float64]]:
    """Return the digit and the pixels, (16, 16), of a line."""
    label, *pairs = line.split()
    places, values = zip(*(pair.split(b":", 1) for pair in pairs), strict=True)
    pixels = np.array(values, np.float64)
    if [int(place) for place in places] != list(range(1, PIXELS + 1)):
        raise ValueError(f"{len(places)} pixels, not {PIXELS}")
    if not (np.abs(pixels) <= 1).all() or not 1 <= int(label) <= CLASSES:
        raise ValueError("a label or a pixel is out of range")
    return int(label) - 1, pixels.reshape(SIDE_BEFORE, SIDE_BEFORE)
