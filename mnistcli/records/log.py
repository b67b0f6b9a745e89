"""The log of a run: its events, one line of JSON each."""

import dataclasses
import json
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from mnistcli.errors import FileError, WriteError, reason_of
from mnistcli.records import files
from mnistcli.records.store import EVENTS


class EventLog:
    """A listener that logs events, which are frozen dataclasses, as they come."""

    def __init__(self, folder: Path) -> None:
        """Open the log of a run, at its end.

        Raises:
            WriteError: the log cannot be written.
        """
        path = folder / EVENTS
        try:
            self._file = files.open_log(path)
        except OSError as error:
            raise _write_error(path, error) from error

    def truncate(self, size: int) -> None:
        """Drop everything after the first `size` bytes.

        Raises:
            FileError: the log is shorter than that, or cannot be written.
        """
        path = self._file.path
        try:
            if self._file.size() < size:
                raise FileError(
                    f'cannot resume "{path.parent}": {EVENTS} is truncated. '
                    "Train it again from the beginning."
                )
            self._file.truncate(size)
        except OSError as error:
            raise _write_error(path, error) from error

    def __call__(self, event: Any) -> None:
        """Append one event."""
        line = json.dumps(
            {"event": type(event).__name__, **dataclasses.asdict(event)}, allow_nan=False
        )
        try:
            self._file.write(line.encode() + b"\n")
        except OSError as error:
            raise _write_error(self._file.path, error) from error

    def sync(self) -> int:
        """Wait until the log is on the disk, and return its size in bytes."""
        try:
            self._file.sync()
            return self._file.size()
        except OSError as error:
            raise _write_error(self._file.path, error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()


def _write_error(path: Path, error: OSError) -> WriteError:
    return WriteError(f'cannot write "{path}": {reason_of(error)}')
