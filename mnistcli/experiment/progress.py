"""Events of runs in other processes → this process's listener."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mnistcli.engine.events import (
    Emit,
    EpochFinished,
    Event,
    RunFinished,
    RunProgressed,
    TrainingStarted,
)
from mnistcli.records.tail import EventTail

POLL_SECONDS = 0.5
Relayed = TrainingStarted | EpochFinished
RELAYED: dict[str, type[Relayed]] = {
    kind.__name__: kind for kind in (TrainingStarted, EpochFinished)
}


def encode(event: Event) -> dict[str, Any] | None:
    """Return an event as plain values, as in a run's log; None for one that is not relayed."""
    name = type(event).__name__
    return {"event": name, **asdict(event)} if name in RELAYED else None


def decode(fields: Mapping[str, Any]) -> Relayed | None:
    """Return the event that `encode` or a run's log wrote as plain values; None for any other."""
    kind = RELAYED.get(fields.get("event", ""))
    values = {name: value for name, value in fields.items() if name != "event"}
    try:
        return kind(**values) if kind else None
    except TypeError:
        return None


@contextmanager
def follow_logs(folders: Mapping[str, Path], emit: Emit) -> Iterator[Emit]:
    """Tell of runs as their logs grow, in a thread, until the end of the `with` block.

    Args:
        folders: run folders by the names of the runs.
        emit: told of every new event.

    Yields:
        The listener for all other events, which never interrupts the thread's.
    """
    tails = {name: EventTail(folder) for name, folder in folders.items()}
    lock, end = threading.Lock(), threading.Event()

    def read() -> None:
        for name, tail in tails.items():
            for fields in tail.read():
                if (event := decode(fields)) is not None:
                    emit(RunProgressed(name, event))

    def follow() -> None:
        with suppress(OSError, ValueError):  # stderr is closed: the main thread says so
            while not end.wait(POLL_SECONDS):
                with lock:
                    read()

    def listen(event: Event) -> None:
        with lock:
            if isinstance(event, RunFinished):
                read()
            emit(event)

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    try:
        yield listen
    finally:
        end.set()
        thread.join()
