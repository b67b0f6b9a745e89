"""How this process uses memory and threads, and what it does when it is told to stop."""

import ctypes
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

# mallopt's names in glibc's malloc.h, and its greatest threshold.
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_THRESHOLD = -1, -2, -3
MEBIBYTE = 1 << 20


class Stopped(BaseException):
    """SIGINT or SIGTERM, raised where the program was, so that all is left in order.

    Not KeyboardInterrupt: raised inside exec(), as imports do, that one lets CPython 3.11 kill
    itself with SIGINT at exit even though it was caught.
    """

    def __init__(self, number: int, advice: str = "") -> None:
        super().__init__(number, advice)
        self.number = number
        self.advice = advice
        """How to go on."""


@dataclass
class _Signals:
    deferred: bool = False
    waiting: int | None = None


_signals = _Signals()


def handle_signals() -> None:
    """Makes SIGINT and SIGTERM raise `Stopped`, here or where `defer_signals` lets them."""
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, _stop)


@contextmanager
def defer_signals() -> Iterator[Callable[[], None]]:
    """Inside the `with` block the first signal waits until the function it gives is called.

    That one raises `Stopped` if a signal came. A second signal does not wait.
    """
    _signals.deferred, _signals.waiting = True, None
    try:
        yield _raise_waiting
    finally:
        _signals.deferred = False
    _raise_waiting()


def is_stopping() -> bool:
    """Whether a signal waits."""
    return _signals.waiting is not None


def _raise_waiting() -> None:
    if (number := _signals.waiting) is not None:
        _signals.deferred, _signals.waiting = False, None
        raise Stopped(number)


def _stop(number: int, frame: FrameType | None) -> None:
    if _signals.deferred and _signals.waiting is None:
        _signals.waiting = number
    else:
        raise Stopped(number)


def tune_process() -> None:
    """Keeps freed memory and short waits, which training on a CPU lives on.

    glibc gives every large block back to the system and faults it in again, page by page, at the
    next step: without that, the networks here train 1.1 to 1.9 times as fast. A thread that waits
    for the others spins for some 30 µs before it sleeps, not for milliseconds, so that a core that
    is busy elsewhere does not hold the other one up.
    """
    os.environ.setdefault("GOMP_SPINCOUNT", "10000")
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(M_MMAP_THRESHOLD, 32 * MEBIBYTE)
        libc.mallopt(M_TRIM_THRESHOLD, 512 * MEBIBYTE)
        libc.mallopt(M_TOP_PAD, 64 * MEBIBYTE)
