"""Processes, found by a marker in their environment however they were started."""

import os
import time
from contextlib import suppress
from pathlib import Path


def list_marked(mark: str) -> list[str]:
    """Return the command lines of the living processes that have inherited a variable's value."""
    found = []
    for folder in Path("/proc").iterdir():
        with suppress(OSError):
            if folder.name.isdigit() and mark.encode() in (folder / "environ").read_bytes():
                found.append((folder / "cmdline").read_bytes().replace(b"\0", b" ").decode())
    return found


def wait_for_none(mark: str, seconds: float = 10) -> list[str]:
    """Return what is left of the marked processes after some time."""
    deadline = time.monotonic() + seconds
    while (left := list_marked(mark)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return left


def make_environment(mark: str) -> dict[str, str]:
    return os.environ | {"TEST_MARK": mark}
