"""CSV files with a label and 784 pixels in each line → images and labels."""

import re
import warnings
from itertools import chain
from pathlib import Path

import numpy as np

from mnistcli.datasets.contents import describe_content, describe_pixels, open_unpacked
from mnistcli.datasets.examples import COUNT_LIMIT, SIDE, ImagesAndLabels
from mnistcli.errors import FileError

COLUMNS = 1 + SIDE * SIDE
LINE_LIMIT = 1 << 16
"""Bytes of a line; MNIST's have up to 3,000."""
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
LABEL_NAMES = ("label", "labels", "class", "digit", "target", "y")
WANTED = "Give every line a label and then 784 pixels from 0 to 255."


def read_table(path: Path) -> ImagesAndLabels:
    """Read a CSV file, compressed by gzip or not, with a header or without.

    Raises:
        FileError: the file is unreadable, or a line is not a label and 784 pixels.
    """
    with open_unpacked(path) as file:
        first = file.readline(LINE_LIMIT).removeprefix(BYTE_ORDER_MARK)
        # A line without end would fill the memory.
        rest = iter(lambda: file.readline(LINE_LIMIT), b"")
        lines = rest if _is_header(path, first) else chain([first], rest)
        try:
            with warnings.catch_warnings(action="ignore"):  # of empty lines
                warnings.simplefilter("error", DeprecationWarning)  # NumPy 1 rounds fractions
                values = np.loadtxt(
                    lines, np.uint8, comments=None, delimiter=",", quotechar='"', ndmin=2,
                    encoding="latin-1", max_rows=COUNT_LIMIT + 1,
                )  # fmt: skip
        except (ValueError, DeprecationWarning) as error:
            raise FileError(f'"{path}" {_explain(str(error))}. {WANTED}') from error
    if not len(values):
        raise FileError(f'"{path}" has no images. {WANTED}')
    if values.shape[1] != COLUMNS:
        raise FileError(f'"{path}" has {values.shape[1]} columns, not {COLUMNS}. {WANTED}')
    if len(values) > COUNT_LIMIT:
        raise FileError(f'"{path}" has more than {COUNT_LIMIT:,} images')
    if values[:, -1].any() and not values[:, 0].any():
        raise FileError(f'"{path}" seems to have its labels in the last column. {WANTED}')
    return values[:, 1:].reshape(-1, SIDE, SIDE), values[:, 0].astype(np.int64)


def _is_header(path: Path, line: bytes) -> bool:
    """Return whether the first line has names and not numbers.

    Raises:
        FileError: it has another number of columns, or the labels are in the last one.
    """
    cells = [cell.strip(' "\r\n').lower() for cell in line.decode("latin-1").split(",")]
    if len(cells) != COLUMNS:
        raise FileError(f'"{path}" {_describe(line, len(cells))}. {WANTED}')
    if cells[-1] in LABEL_NAMES:
        raise FileError(f'"{path}" has its labels in the last column. {WANTED}')
    # pandas writes a table without names of columns with their numbers.
    is_numbered = cells == [str(number) for number in range(COLUMNS)]
    names = [cell for cell in cells if cell and not _is_number(cell)]
    # Fewer names are faults in the first image, as a missing pixel is.
    return is_numbered or cells[0] in names or len(names) > COLUMNS // 2


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _describe(line: bytes, columns: int) -> str:
    """Return what a file has whose first line has this many columns, and not 785."""
    if columns == 1:
        return f"is {describe_content(line) or 'a file of another kind'}, not a CSV table of images"
    if columns == COLUMNS - 1:
        return "has no labels, but 784 columns"
    for colours in (1, 3):
        side = round(((columns - 1) / colours) ** 0.5)
        if side > 1 and side * side * colours == columns - 1:
            shape = (side, side) if colours == 1 else (side, side, colours)
            return f"has images of {describe_pixels(shape)}, not of 28 by 28"
    return f"has {columns} columns, not {COLUMNS}"


def _explain(reason: str) -> str:
    """Return what NumPy found wrong."""
    value = re.search(r"string (.*) to uint8 at row (\d+)", reason)
    if value:
        return f"has {value[1][:20]} in row {int(value[2]) + 1}"
    row = re.search(r"at row (\d+)", reason)
    return f"has another number of columns in row {row[1]}" if row else "is not readable"
