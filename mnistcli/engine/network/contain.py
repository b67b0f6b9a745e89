"""Keep the user's own code in bounds: its output, what it sets, and its exceptions as one line."""

import builtins
import io
import os
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from typing import Any, TextIO

from torch import nn

from mnistcli.engine.network.package import find_package, name_file
from mnistcli.errors import MnistcliError, PresetError, is_shortage
from mnistcli.preset.code.code import Code
from mnistcli.preset.code.sources import find_definition
from mnistcli.process import Stopped, stopping_signals

REASON_LIMIT = 300
LISTS = ("argv", "path", "meta_path")
"""Lists of the module sys that code changes, or replaces."""


@contextmanager
def contain(code: Code | None) -> Iterator[None]:
    """Let the user's code run: what it prints goes to stderr, its exceptions become one line.

    It sees no arguments of this program, imports its listed files and installed packages only, and
    what it sets in the process that would change the program is set back.

    Args:
        code: the network's code, if it is code; without it nothing changes.

    Raises:
        PresetError: the code raised an exception or called sys.exit, or PyTorch failed at what the
            code returned.
    """
    if code is None:
        yield
        return
    try:
        with _kept_process(code), find_package(code).serving():
            yield
    except (MnistcliError, Stopped):
        raise
    except BaseException as error:  # sys.exit and KeyboardInterrupt too
        place = _find_line(code, error)
        is_own = isinstance(error, OSError | FloatingPointError)
        if not place and (is_own or (isinstance(error, Exception) and is_shortage(error))):
            raise  # of the program itself
        raise PresetError(
            f"{place or _define(code)}: {_describe(error)}. Use --traceback for more."
        ) from error


def shorten(path: Path | str) -> str:
    """Return a path as relative to the current folder if it lies there."""
    try:
        relative = os.path.relpath(path)
    except (OSError, ValueError):
        return str(path)
    return str(path) if relative.startswith("..") else relative


@contextmanager
def _kept_process(code: Code) -> Iterator[None]:
    """Give stderr for stdout, hide the arguments, and restore what the code sets."""
    with ExitStack() as stack:
        for name in LISTS:
            own: list[Any] = getattr(sys, name)
            stack.callback(setattr, sys, name, own)
            stack.callback(own.__setitem__, slice(None), list(own))
        stack.callback(vars(builtins).update, dict(vars(builtins)))
        stack.callback(sys.setrecursionlimit, sys.getrecursionlimit())
        stack.callback(_restore_filters, list(warnings.filters))
        if threading.current_thread() is threading.main_thread():
            for number in stopping_signals():
                if handler := signal.getsignal(number):
                    stack.callback(signal.signal, number, handler)
            stack.enter_context(_diverted())
        shield = Shield(sys.stderr)
        stack.enter_context(redirect_stdout(shield))
        stack.enter_context(redirect_stderr(shield))
        sys.argv[:] = [name_file(code.folder, code.entry)]
        yield


def _restore_filters(before: Sequence[Any]) -> None:
    """Restore which warnings are shown, and let those be shown again only if that was changed."""
    if list(warnings.filters) != before:
        warnings.filters[:] = before  # type: ignore[index]
        with warnings.catch_warnings():
            pass  # tells Python that the filters have changed


@contextmanager
def _diverted() -> Iterator[None]:
    """Let stderr be stdout for other programs too, as os.system starts them."""
    with suppress(OSError, ValueError, AttributeError):  # closed, or none at all
        sys.stdout.flush()
    try:
        kept = os.dup(1)
    except OSError:
        yield
        return
    try:
        with suppress(OSError):
            os.dup2(2, 1)
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


class Shield(io.TextIOBase):
    """A stream that prints on another one, and that no code can close."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    @property
    def encoding(self) -> str:  # type: ignore[override]
        """Return the encoding of the stream that is printed on."""
        return self._stream.encoding or "utf-8"

    @property
    def buffer(self) -> "ShieldBuffer":
        """Return a stream of bytes, which some code wraps to set an encoding."""
        return ShieldBuffer(self)

    def writable(self) -> bool:
        """Return that it can be written."""
        return True

    def isatty(self) -> bool:
        """Return whether it ends in a terminal."""
        return self._stream.isatty()

    def write(self, text: str) -> int:
        """Print `text`."""
        self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Print what waits."""
        self._stream.flush()

    def close(self) -> None:
        """Do nothing."""

    def reconfigure(self, **_: object) -> None:
        """Do nothing."""


class ShieldBuffer(io.RawIOBase):
    """The bytes of a shield, with the same promise."""

    def __init__(self, shield: Shield) -> None:
        self._shield = shield

    def writable(self) -> bool:
        """Return that it can be written."""
        return True

    def write(self, content: Any) -> int:
        """Print `content`."""
        self._shield.write(bytes(content).decode(self._shield.encoding, "replace"))
        return len(content)


def refuse(code: Code, reason: str, module: nn.Module | None = None) -> PresetError:
    """Return the error that a network cannot be used, with the line that defines it.

    Args:
        code: the network's code.
        reason: what is wrong, and what to do.
        module: the network, if the reason is what its forward does.
    """
    forward = getattr(type(module).forward, "__code__", None) if module else None
    if forward and forward.co_filename in _name_files(code):
        return PresetError(
            f"{shorten(forward.co_filename)}:{forward.co_firstlineno}: {code.name} {reason}"
        )
    return PresetError(f"{_define(code)}: {code.name} {reason}")


def _name_files(code: Code) -> set[str]:
    return {name_file(code.folder, place) for place in code.files}


def _find_line(code: Code, error: BaseException) -> str:
    """Return the last line of the code that was running, as in "net.py:12", or nothing."""
    files = _name_files(code)
    if isinstance(error, SyntaxError) and error.filename in files:
        return f"{shorten(error.filename)}:{error.lineno or 1}"
    for frame in reversed(traceback.extract_tb(error.__traceback__)):
        if frame.filename in files:
            return f"{shorten(frame.filename)}:{frame.lineno}"
    return ""


def _define(code: Code) -> str:
    """Return where the class or function is defined."""
    path = code.folder / code.entry
    line = find_definition(code.files[code.entry], path, code.name)
    return shorten(path) + (f":{line}" if line else "")


def _describe(error: BaseException) -> str:
    if isinstance(error, SystemExit):
        return f"it calls sys.exit({_quote(repr, error.code)})"
    reason = _quote(str, error).rstrip(".")
    return f"{type(error).__name__}: {reason}" if reason else type(error).__name__


def _quote(how: Callable[[Any], str], value: object) -> str:
    """Return a value as text in one line; the user's own classes may fail at that, too."""
    try:
        text = " ".join(how(value).split())
    except Exception:
        return ""
    return text if len(text) <= REASON_LIMIT else f"{text[:REASON_LIMIT]}…"
