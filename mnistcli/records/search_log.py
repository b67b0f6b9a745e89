"""The log of a search: one line of JSON for every network, and for every finished trial."""

from pathlib import Path
from types import TracebackType
from typing import Self

from pydantic import ValidationError

from mnistcli.errors import FileError, WriteError, reason_of
from mnistcli.records import files
from mnistcli.records.searches import LINE, LOG, SearchLine


class SearchLog:
    """A log that is only appended to; every line is on the disk before the next one."""

    def __init__(self, folder: Path) -> None:
        """Open the log of a search, and drop a last line that a killed process left unfinished.

        Raises:
            FileError: a line is unreadable, or the log cannot be written.
        """
        self._path = folder / LOG
        try:
            content = self._path.read_bytes() if self._path.exists() else b""
            whole = content.rfind(b"\n") + 1
            rows = enumerate(content[:whole].splitlines(), start=1)
            self.lines = tuple(self._parse(number, row) for number, row in rows)
            """What it had when it was opened."""
            self._file = files.open_log(self._path)
            self._file.truncate(whole)
        except OSError as error:
            raise self._fail(error) from error

    def _parse(self, number: int, line: bytes) -> SearchLine:
        try:
            return LINE.validate_json(line)
        except ValidationError as error:
            raise FileError(f'"{self._path}", line {number}: not a line of a search') from error

    def add(self, line: SearchLine) -> None:
        """Append a line, and wait until it is on the disk.

        Raises:
            WriteError: it cannot be written.
        """
        try:
            self._file.write(line.model_dump_json().encode() + b"\n")
            self._file.sync()
        except OSError as error:
            raise self._fail(error) from error

    def _fail(self, error: OSError) -> WriteError:
        return WriteError(f'cannot write "{self._path}": {reason_of(error)}')

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()
