"""Processes of this machine for a pool's jobs: reused, killed, and replaced when they die."""

import os
import signal
import threading
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context, parent_process, resource_tracker
from multiprocessing.connection import Connection, wait

from mnistcli.engine.events import Event
from mnistcli.errors import ExitCode
from mnistcli.experiment.training.seeds import RunJob, RunOutcome
from mnistcli.process import (
    Stopped,
    blocked_signals,
    handle_signals,
    stopping_signals,
    tune_process,
)

MAX_DEATHS = 3
"""A job that has cost so many processes is given up; Dask's default is one more."""


class _Process:
    """A process of this machine that runs one job after the other."""

    def __init__(self) -> None:
        context = get_context("spawn")
        self.connection, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs,), daemon=True)
        with blocked_signals():
            self._process.start()
        theirs.close()

    @property
    def is_alive(self) -> bool:
        """Return whether the process runs."""
        return self._process.is_alive()

    def run(self, job: RunJob) -> None:
        """Run a job, whose outcome comes through the connection."""
        with suppress(BrokenPipeError, ConnectionResetError):  # as the connection will tell
            self.connection.send(job)

    def kill(self) -> int:
        """End the process, and return its exit code: of a signal, the negative number."""
        self._process.kill()
        self._process.join()
        code = self._process.exitcode or 0
        self._process.close()
        self.connection.close()
        return code


@dataclass
class _Busy:
    process: _Process
    number: int
    job: RunJob
    deaths: int = 0
    """Number of processes that this job has cost."""


class Processes:
    """Processes of this machine, started when they are needed, and replaced when they die."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._idle: list[_Process] = []
        self._busy: dict[Connection, _Busy] = {}
        if os.name == "posix":
            with blocked_signals():
                resource_tracker.ensure_running()

    def start(self, number: int, job: RunJob) -> None:
        """Start a job in an idle process, or in a new one."""
        self._start(number, job)

    def _start(self, number: int, job: RunJob, deaths: int = 0) -> None:
        process = self._idle.pop() if self._idle else _Process()
        if not process.is_alive:
            process.kill()
            process = _Process()
        self._busy[process.connection] = _Busy(process, number, job, deaths)
        process.run(job)

    def wait(self, timeout: float | None) -> list[tuple[int, RunOutcome | str]]:
        """Wait until a job has ended or its process has died, and start the latter's again.

        Raises:
            Stopped: a signal came to a process.
        """
        endings: list[tuple[int, RunOutcome | str]] = []
        ready = wait([*self._busy], timeout)
        for connection in [each for each in self._busy if each in ready]:
            busy = self._busy.pop(connection)
            try:
                answer = connection.recv()
            except (EOFError, OSError):
                endings += self._bury(busy)
                continue
            self._idle.append(busy.process)
            if isinstance(answer, Stopped):
                raise answer
            endings.append((busy.number, answer))
        return endings

    def _bury(self, busy: _Busy) -> list[tuple[int, RunOutcome | str]]:
        code = busy.process.kill()
        if busy.deaths + 1 < MAX_DEATHS:
            self._start(busy.number, busy.job, busy.deaths + 1)
            return []
        how = f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
        return [(busy.number, f"it ended {MAX_DEATHS} processes, the last {how}")]

    def cancel(self, number: int) -> None:
        """Kill the process of a job."""
        for connection, busy in [*self._busy.items()]:
            if busy.number == number:
                del self._busy[connection]
                busy.process.kill()

    def close(self) -> None:
        """Kill all processes."""
        for process in [*self._idle, *(busy.process for busy in self._busy.values())]:
            process.kill()


def _serve(connection: Connection) -> None:
    """Run the jobs that come through a connection, until it ends or the parent process does."""
    tune_process()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with suppress(EOFError, OSError, Stopped):
        handle_signals()
        if os.name == "posix":
            signal.pthread_sigmask(signal.SIG_UNBLOCK, stopping_signals())
        while True:
            job = connection.recv()
            try:
                answer = job.run(_ignore)
            except Stopped as stopped:
                answer = stopped
            connection.send(answer)


def _end_with_parent() -> None:
    if parent := parent_process():
        parent.join()
        os._exit(ExitCode.INTERNAL)


def _ignore(event: Event) -> None:
    """Take an event that nobody wants."""
