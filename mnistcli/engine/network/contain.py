"""Keep the user's own code in bounds: its output, and its exceptions as one line."""

import ast
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

from mnistcli.errors import MnistcliError, PresetError
from mnistcli.preset.code.code import Code


@contextmanager
def contain(code: Code | None, *, always: bool = False) -> Iterator[None]:
    """Send what the user's code prints to stderr, and tell its exceptions in one line.

    Args:
        code: the network's code, if it is code; without it nothing changes.
        always: whether to turn an exception that no line of the code is part of, too.

    Raises:
        PresetError: the code raised an exception or called sys.exit.
    """
    if code is None:
        yield
        return
    try:
        with redirect_stdout(sys.stderr):
            yield
    except MnistcliError:
        raise
    except (Exception, SystemExit) as error:
        if not ((place := _find_line(code, error)) or always):
            raise
        raise PresetError(
            f"{place or _define(code)}: {_describe(error)}. Use --traceback for more."
        ) from error


def shorten(path: Path) -> str:
    """Return a path as relative to the current folder if it lies there."""
    try:
        relative = os.path.relpath(path)
    except (OSError, ValueError):
        return str(path)
    return str(path) if relative.startswith("..") else relative


def _find_line(code: Code, error: BaseException) -> str:
    """Return the last line of the code that was running, as in "net.py:12", or nothing."""
    files = {str(code.folder / place): code.folder / place for place in code.files}
    if isinstance(error, SyntaxError) and error.filename in files:
        return f"{shorten(files[error.filename])}:{error.lineno or 1}"
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if frame.filename in files:
            return f"{shorten(files[frame.filename])}:{frame.lineno}"
    return ""


def _define(code: Code) -> str:
    """Return where the class or function is defined."""
    path = shorten(code.folder / code.entry)
    for node in ast.walk(ast.parse(code.files[code.entry])):
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == code.name:
            return f"{path}:{node.lineno}"
    return path


def _describe(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return f"it calls sys.exit({error.code!r})"
    reason = " ".join(str(error).split()).rstrip(".")
    return f"{type(error).__name__}: {reason}" if reason else type(error).__name__
