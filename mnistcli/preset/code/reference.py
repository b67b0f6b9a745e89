"""FILE.py:NAME: a network in Python code, as a command line or a preset names it."""

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from mnistcli.errors import PresetError

FORM = re.compile(r"(?P<file>.+\.py)(?::(?P<name>.*))?", re.DOTALL | re.IGNORECASE)


@dataclass(frozen=True)
class CodeReference:
    """A file of Python code, and the class or function in it that makes the network."""

    file: str
    name: str | None
    """None for the only network that the file defines."""

    def __str__(self) -> str:
        """Return the reference as it is typed."""
        return self.file if self.name is None else f"{self.file}:{self.name}"


def is_code(reference: str) -> bool:
    """Return whether a reference to a network names Python code rather than a preset."""
    return FORM.fullmatch(reference) is not None


def parse_reference(reference: str) -> CodeReference:
    """Parse "net.py:Net" or "net.py".

    Raises:
        PresetError: it does not name a file ending in .py, or NAME is no name of Python.
    """
    found = FORM.fullmatch(reference)
    if not found:
        raise PresetError(f'"{reference}" does not name Python code. Use FILE.py:NAME.')
    name = found["name"]
    if name is not None and not name.isidentifier():
        raise PresetError(
            f'invalid network "{reference}": "{name}" is not a name of Python. Use FILE.py:NAME, '
            "where NAME is a class or a function."
        )
    return CodeReference(found["file"], name)


def check_place(file: str) -> str:
    """Return the path of a source file, relative to a folder, if it stays in that folder.

    Raises:
        ValueError: it is absolute, leads out of the folder, or cannot be printed.
    """
    parts = file.split("/")
    is_inside = not {"", ".", ".."} & set(parts) and "\\" not in file and ":" not in file
    if not (is_inside and file.isprintable() and PurePosixPath(file).suffix.lower() == ".py"):
        raise ValueError(
            f'"{file}" is not the path of a .py file in the same folder or below. Leave out ".." '
            "and absolute paths."
        )
    return file
