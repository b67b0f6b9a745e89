"""Every operation that changes the files of a run, one function or method each.

Tests record, fail and replay these operations; so whoever calls `remove`, `remove_folder`,
`rename` or `sync_folder` calls it as `files.remove(…)`, and nothing else in `records` or
`experiment` changes a file.
"""

import contextlib
import errno
import os
from itertools import takewhile
from pathlib import Path

from mnistcli.errors import WriteError, reason_of

NO_FOLDER_SYNC = {errno.EINVAL, errno.EBADF, errno.ENOTSUP, errno.EOPNOTSUPP}
"""What systems answer whose folders cannot be synced, as some network and user-space ones do."""


class OutputFile:
    """A file that is written front to back. Its methods raise OSError."""

    def __init__(self, path: Path, *, append: bool = False) -> None:
        """Open the file at its end to append to it, or empty."""
        self.path = path
        self._file = path.open("ab" if append else "wb")

    def write(self, content: bytes) -> None:
        """Write `content`, and hand it to the operating system."""
        self._file.write(content)
        self._file.flush()

    def size(self) -> int:
        """Return the size in bytes, with what was written so far."""
        return os.fstat(self._file.fileno()).st_size

    def truncate(self, size: int) -> None:
        """Drop everything after the first `size` bytes."""
        self._file.truncate(size)

    def sync(self) -> None:
        """Wait until everything written is on the disk."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Close the file; an error was raised before, by `write`."""
        with contextlib.suppress(OSError):
            self._file.close()


def open_log(path: Path) -> OutputFile:
    """Open a file at its end to append to it; wait until the name of a new one is on the disk."""
    is_new = not path.exists()
    file = OutputFile(path, append=True)
    if is_new:
        sync_folder(path.parent)
    return file


def make_folder(path: Path, *, exist_ok: bool = False) -> None:
    """Make a folder, and with `exist_ok` its parents too; wait until its name is on the disk."""
    missing = [path]
    if exist_ok:
        if path.is_dir():
            return
        missing += takewhile(lambda each: not each.exists(), path.parents)
    for each in reversed(missing):
        try:
            create_folder(each)
        except FileExistsError:
            if not (exist_ok and each.is_dir()):
                raise
        sync_folder(each.parent)


def create_folder(path: Path) -> None:
    """Make a folder in one that is there."""
    path.mkdir()


def remove(path: Path) -> None:
    """Remove a file, if it is there."""
    path.unlink(missing_ok=True)


def remove_folder(path: Path) -> None:
    """Remove an empty folder."""
    path.rmdir()


def rename(source: Path, target: Path) -> None:
    """Rename a file, replacing `target`."""
    source.replace(target)


def sync_folder(path: Path) -> None:
    """Wait until the names in a folder are on the disk, where the system can tell."""
    if os.name == "posix":
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        except OSError as error:
            if error.errno not in NO_FOLDER_SYNC:
                raise
        finally:
            os.close(descriptor)


def write_atomically(path: Path, content: bytes) -> None:
    """Write a file so that it has, whatever happens, all of its content or what it had before.

    A device or a pipe, as in /dev/stdout, is written to directly.

    Raises:
        WriteError: the file cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        if path.exists() and not path.is_file():
            _write(path, content, sync=False)
            return
        _write(temporary, content, sync=True)
        rename(temporary, path)
        sync_folder(path.parent)
    except OSError as error:
        with contextlib.suppress(OSError):
            remove(temporary)
        raise WriteError(f'cannot write "{path}": {reason_of(error)}') from error


def _write(path: Path, content: bytes, *, sync: bool) -> None:
    file = OutputFile(path)
    try:
        file.write(content)
        if sync:
            file.sync()
    finally:
        file.close()
