"""Read a run's log as it grows."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from mnistcli.records.store import EVENTS


class EventTail:
    """The events that a run has logged since they were read last."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / EVENTS
        self._offset = 0

    def read(self) -> list[dict[str, Any]]:
        """Return the new events; a torn last line is left for the next time."""
        try:
            if not self._path.is_file():  # a pipe would be waited for
                return []
            with self._path.open("rb") as file:
                if self._path.stat().st_size < self._offset:
                    self._offset = 0  # a resumed run truncates its log
                file.seek(self._offset)
                lines = file.read().splitlines(keepends=True)
        except OSError:
            return []
        events = []
        for line in lines:
            if line.endswith(b"\n"):
                self._offset += len(line)
                with suppress(ValueError, RecursionError):
                    events.append(json.loads(line))
        return events
