"""What a file or folder is that is not what was expected, in words for an error message."""

import itertools
from pathlib import Path

from mnistcli.errors import FileError, reason_of

HEAD = 512
NAMES = 3
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


def check_folder(path: Path, wanted: str) -> None:
    """Raise unless there is a folder at `path`.

    Args:
        path: what the user named.
        wanted: what it must be, as a sentence.

    Raises:
        FileError: it does not exist, cannot be looked at, or is a file.
    """
    try:
        path.stat()
        if path.is_dir():
            return
    except (FileNotFoundError, NotADirectoryError) as error:
        raise FileError(f'"{path}" does not exist. {wanted}') from error
    except (OSError, ValueError) as error:
        raise FileError(f'cannot read "{path}": {reason_of(error)}') from error
    raise FileError(f'"{path}" is {describe_file(path) or "a file"}, not a folder. {wanted}')


def list_some(folder: Path) -> str:
    """Return a sentence about what is in a folder, as in "It has a.csv, b.csv and 7 more."."""
    names = sorted(path.name for path in itertools.islice(folder.iterdir(), 1_000))
    if not names:
        return "It is empty."
    more = f" and {len(names) - NAMES} more" if len(names) > NAMES else ""
    return f"It has {', '.join(names[:NAMES])}{more}."
