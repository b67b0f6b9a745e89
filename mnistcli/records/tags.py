"""Tags of runs: a name in a small file of its own, because a record never changes."""

from pathlib import Path

from pydantic import ValidationError

from mnistcli.errors import FileError, UsageError, reason_of
from mnistcli.records import files
from mnistcli.records.listings import TagDocument
from mnistcli.records.store import TAG, read_document, write_document


def read_tag(folder: Path) -> str | None:
    """Return the tag of a run, or None if it has none.

    Raises:
        FileError: tag.json is unreadable.
    """
    path = folder / TAG
    return read_document(path, TagDocument, "a tag").tag if path.exists() else None


def write_tag(folder: Path, tag: str) -> TagDocument:
    """Tag a run, instead of a tag that it had.

    Raises:
        UsageError: the text cannot be a tag.
        WriteError: the run folder cannot be written.
    """
    try:
        document = TagDocument(tag=tag)
    except ValidationError as error:
        raise UsageError(
            f'"{tag}" cannot be a tag. Use at most 64 letters, digits, ".", "_" and "-", '
            "beginning with a letter or a digit."
        ) from error
    write_document(folder / TAG, document)
    return document


def remove_tag(folder: Path) -> TagDocument:
    """Remove the tag of a run, if it has one.

    Raises:
        FileError: the run folder cannot be written.
    """
    try:
        files.remove(folder / TAG)
    except OSError as error:
        raise FileError(f'cannot remove "{folder / TAG}": {reason_of(error)}') from error
    return TagDocument(tag=None)
