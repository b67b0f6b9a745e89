"""Memory, threads and logs of this process, and the signals that stop it."""

import atexit
import ctypes
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import FrameType

# Parameters of mallopt in glibc's malloc.h.
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3
MEBIBYTE = 1 << 20


STOPPING = ("SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1")
"""Signals that stop a command. The last two are of POSIX: a closed session, and the warning that a
scheduler sends before it kills."""


class Stopped(BaseException):
    """A signal, raised where the program was, so that everything is left in order.

    Not KeyboardInterrupt: raised inside exec(), as imports do, that one lets CPython 3.11 kill
    itself with SIGINT at exit even though it was caught.
    """

    def __init__(self, number: int, advice: str = "") -> None:
        super().__init__(number, advice)
        self.number = number
        self.advice = advice
        """How to resume."""


@dataclass
class _Signals:
    deferred: bool = False
    waiting: int | None = None
    ignored: bool = False
    """Whether the program is ending already."""


_signals = _Signals()


def handle_signals() -> None:
    """Make signals raise `Stopped`, at once or where `defer_signals` allows it.

    What the parent process ignores stays ignored, as SIGHUP under `nohup`.
    """
    _signals.ignored = False
    if threading.current_thread() is threading.main_thread():
        for number in stopping_signals():
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, _stop)


def stopping_signals() -> list[signal.Signals]:
    """Return the signals that stop a command on this system."""
    return [number for number in signal.Signals if number.name in STOPPING]


@contextmanager
def blocked_signals() -> Iterator[None]:
    """Start processes with the stopping signals blocked; they stay so until these unblock them.

    Those that come to this process meanwhile are handled afterwards.
    """
    if os.name != "posix":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, stopping_signals())
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def defer_signals() -> Iterator[Callable[[], None]]:
    """Hold the first signal back until the function that is yielded is called.

    That function raises `Stopped` if a signal has come. A second signal is not held back. Signals
    are no longer ignored, if they were.
    """
    _signals.deferred, _signals.waiting, _signals.ignored = True, None, False
    try:
        yield _raise_waiting
    finally:
        _signals.deferred = False
    _raise_waiting()


def ignore_signals() -> None:
    """Let signals do nothing, until the next command: the program is ending."""
    _signals.ignored = True


def is_stopping() -> bool:
    """Return whether a signal is held back."""
    return _signals.waiting is not None


def _raise_waiting() -> None:
    if (number := _signals.waiting) is not None:
        _signals.deferred, _signals.waiting = False, None
        raise Stopped(number)


def _stop(number: int, frame: FrameType | None) -> None:
    if _signals.ignored:
        return
    if _signals.deferred and _signals.waiting is None:
        _signals.waiting = number
    else:
        raise Stopped(number)


@contextmanager
def ending_at_once() -> Iterator[None]:
    """End the process that exits inside the `with` block without taking Python apart.

    Threads are waited for, functions of atexit are called and the output is flushed. Then the
    system gets all memory back at once. Python would first destroy every object, and touch most of
    PyTorch's libraries for it: that takes 0.8 s, and adds 120 MiB to the peak.
    """
    codes: list[int] = []
    atexit.register(_end, codes)  # the first one that is registered is called last
    try:
        yield
    except SystemExit as ended:
        ignore_signals()
        if isinstance(ended.code, int):
            _divert_output()
            codes.append(ended.code)
        raise


def _divert_output() -> None:
    """Send what is printed from now on to stderr: a user's code may print at exit."""
    with suppress(OSError, ValueError, AttributeError):
        sys.stdout.flush()
        os.dup2(2, 1)


def _end(codes: Sequence[int]) -> None:
    try:
        for stream in filter(None, (sys.stdout, sys.stderr)):
            stream.flush()
    except (OSError, ValueError):
        return  # Python's own exit says so
    if codes:
        os._exit(codes[0])


def tune_process() -> None:
    """Keep freed memory, let waiting threads sleep early, and keep libraries from logging.

    By default glibc returns every large block to the system and faults it in again, page by page,
    at the next step: without that, the networks here train 1.1 to 1.9 times as fast. A thread that
    waits for the others spins for about 30 µs before it sleeps, not for milliseconds, so that a
    core that is busy elsewhere does not delay the other one. Without a handler, Python prints what
    libraries log on stderr: matplotlib does where the home folder cannot be written. Processes that
    train runs beside this one are started with `python -c` or `-m`, which look for modules in the
    current folder first, where a user's signal.py would be imported as Python's.
    """
    if not logging.root.handlers:
        logging.root.addHandler(logging.NullHandler())
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    os.environ["PYTHONSAFEPATH"] = "1"
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(M_MMAP_THRESHOLD, 32 * MEBIBYTE)
        libc.mallopt(M_TRIM_THRESHOLD, 512 * MEBIBYTE)
        libc.mallopt(M_TOP_PAD, 64 * MEBIBYTE)


@contextmanager
def silence_logs(names: Sequence[str]) -> Iterator[None]:
    """Silence these loggers and those below them: a fault is told in one line."""
    known = {*names, *logging.Logger.manager.loggerDict}
    found = {name for name in known for each in names if f"{name}.".startswith(f"{each}.")}
    loggers = [logging.getLogger(name) for name in sorted(found)]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.CRITICAL + 1)
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
