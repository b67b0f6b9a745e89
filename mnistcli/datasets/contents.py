"""What a file or folder is, in words for an error message where it is not what was expected."""

import gzip
import itertools
import os
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tokenize import TokenError
from typing import BinaryIO, cast

from mnistcli.errors import FileError, reason_of

ARCHIVE_FAULTS = (
    OSError, ValueError, KeyError, EOFError, MemoryError, RuntimeError, SyntaxError,
    TokenError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip
"""What reading a damaged .npz archive raises."""
HEAD = 512
GZIP_MAGIC = b"\x1f\x8b"
SHOWN = 3
SIGNATURES = {
    b"\x1f\x8b": "gzip-compressed data",
    b"PK": "a ZIP or .npz archive",
    b"\x93NUMPY": "a NumPy array",
    b"\x89PNG": "a PNG image",
    b"\xff\xd8\xff": "a JPEG image",
    b"GIF8": "a GIF image",
    b"BM": "a BMP image",
    b"RIFF": "a WebP image",
    b"II*\0": "a TIFF image",
    b"MM\0*": "a TIFF image",
    b"%PDF": "a PDF document",
    b"PAR1": "a Parquet table",
    b"\x89HDF": "an HDF5 file",
    b"BZh": "bzip2-compressed data",
    b"\xfd7zXZ": "xz-compressed data",
    b"7z\xbc\xaf": "a 7-Zip archive",
    b"Rar!": "a RAR archive",
    b"\x80\x02": "a Python pickle",
    b"\x80\x03": "a Python pickle",
    b"\x80\x04": "a Python pickle",
    b"\x80\x05": "a Python pickle",
}
"""Kinds of files by their first bytes."""


def describe_content(head: bytes) -> str | None:
    """Return what begins with these bytes, as in "an HTML page", if it is a known kind."""
    if not head:
        return "empty"
    if text := _read_text(head[:HEAD]):
        return _describe_text(text)
    return next((kind for start, kind in SIGNATURES.items() if head.startswith(start)), None)


def _read_text(head: bytes) -> str | None:
    encoding = "utf-16" if head.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        # The last character may have been cut in two.
        text = head.decode(encoding, "ignore" if len(head) == HEAD else "strict").strip()
    except UnicodeDecodeError:
        return None
    return text if all(c.isprintable() or c.isspace() for c in text) else None


def _describe_text(text: str) -> str:
    lowered = text.lower()
    if "<html" in lowered or lowered.startswith("<!doctype html"):
        return "an HTML page"
    if text.startswith("<"):
        return "an XML document"
    if text.startswith(("{", "[")):
        return "a JSON document"
    if text.startswith("version https://git-lfs"):
        return "a Git LFS pointer"
    # Prose has commas too: the first two lines have as many, or the first has more than prose.
    first, *second = (line.count(",") for line in text.splitlines()[:2])
    return "a CSV table" if first > 9 or (first and second == [first]) else "a text file"


def describe_file(path: Path) -> str | None:
    """Return what a file is, as in "an HTML page", if it can be read and is of a known kind."""
    try:
        with path.open("rb") as file:
            return describe_content(file.read(HEAD))
    except (OSError, ValueError):
        return None


def check_path(path: Path, wanted: str) -> None:
    """Raise unless there is a folder or a file at `path`.

    Args:
        path: what the user named.
        wanted: what it must be, as a sentence.

    Raises:
        FileError: it does not exist, cannot be looked at, or is a device or the like.
    """
    try:
        path.stat()
        if path.is_dir() or path.is_file():
            return
    except (FileNotFoundError, NotADirectoryError) as error:
        raise FileError(f'"{path}" does not exist. {wanted}') from error
    except (OSError, ValueError) as error:
        raise FileError(f'cannot read "{path}": {reason_of(error)}') from error
    raise FileError(f'"{path}" is neither a folder nor a file. {wanted}')


def list_some(folder: Path) -> str:
    """Return a sentence about what is in a folder, as in "It has a.csv, b.csv and 7 more."."""
    names = sorted(path.name for path in itertools.islice(folder.iterdir(), 1_000))
    return f"It has {join_some(names)}." if names else "It is empty."


def join_some(names: list[str]) -> str:
    """Return the first names, as in "a.csv, b.csv and 7 more"."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{', '.join(names[:SHOWN])}{more}"


def list_folder(folder: Path) -> tuple[list[Path], list[Path]]:
    """Return the files and the folders in a folder by name, without hidden ones."""
    with os.scandir(folder) as entries:
        seen = sorted((each for each in entries if each.name[0] not in "._"), key=lambda e: e.name)
    files = [folder / each.name for each in seen if each.is_file()]
    return files, [folder / each.name for each in seen if each.is_dir()]


def describe_pixels(shape: tuple[int, ...]) -> str:
    """Return the shape of an image in words, as in "32 by 32 pixels in 3 colours"."""
    colours = f" in {shape[2]} colours" if len(shape) == 3 else ""
    return f"{' by '.join(map(str, shape[:2]))} pixels{colours}"


@contextmanager
def open_unpacked(path: Path) -> Iterator[BinaryIO]:
    """Open a file for reading, unpacked if its content is compressed by gzip, whatever its name.

    Raises:
        FileError: it cannot be read, here or in the `with` block.
    """
    try:
        with path.open("rb") as file:
            # Browsers and servers unpack a file but keep its name, or the other way round.
            is_packed = file.read(2) == GZIP_MAGIC
            file.seek(0)
            if is_packed:
                with gzip.open(file) as content:
                    yield cast("BinaryIO", content)
            else:
                yield file
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise FileError(f'cannot read "{path}": {reason_of(error)}') from error
