"""Trainings that are submitted one by one, each with an end that is a result, whatever it is.

A training may diverge, hang, or kill its process. None of these ends the others.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

from mnistcli.errors import ExitCode, FileError
from mnistcli.experiment.pool_cluster import Cluster
from mnistcli.experiment.pool_processes import Processes
from mnistcli.experiment.training.seeds import RunJob, RunOutcome, keep_outcome
from mnistcli.experiment.workers import Workers, connect
from mnistcli.records.comparisons import FailedRun
from mnistcli.records.documents import RunRecord


class Site(Protocol):
    """Where jobs run; they are known by numbers."""

    @property
    def size(self) -> int:
        """Number of jobs that can run at once."""

    def start(self, number: int, job: RunJob) -> None:
        """Start a job."""

    def wait(self, timeout: float | None) -> list[tuple[int, RunOutcome | str]]:
        """Wait until a job has ended; return outcomes, or why there is none; perhaps of no job."""

    def cancel(self, number: int) -> None:
        """End a job that runs."""


@dataclass(frozen=True)
class _Submitted:
    job: RunJob
    seconds: float | None
    deadline: float
    """Time of the monotonic clock, in seconds."""


@dataclass
class Pool:
    """Trainings that run now, each in a process of its own."""

    site: Site
    _running: dict[int, _Submitted] = field(default_factory=dict)
    _count: int = 0

    @property
    def running(self) -> tuple[RunJob, ...]:
        """Return the jobs that have not ended, in the order in which they were submitted."""
        return tuple(submitted.job for submitted in self._running.values())

    @property
    def free(self) -> int:
        """Return how many more jobs can run at once now."""
        return max(0, self.site.size - len(self._running))

    def submit(self, job: RunJob, seconds: float | None = None) -> None:
        """Start a job, which resumes what its run folder has; submit only what is free.

        Args:
            job: one training.
            seconds: the time after which it is given up, with the start of its process.
        """
        self._count += 1
        deadline = time.monotonic() + (float("inf") if seconds is None else seconds)
        self._running[self._count] = _Submitted(job, seconds, deadline)
        self.site.start(self._count, job)

    def wait(self, timeout: float | None = None) -> list[tuple[RunJob, RunRecord | FailedRun]]:
        """Wait until a job has ended; return those that have, with their records or failures.

        The list is empty after `timeout` seconds, and if nothing runs.

        Raises:
            FileError: data cannot be read, a run folder cannot be written, or the cluster is lost.
            Stopped: a signal came, here or to a process that trains.
        """
        until = time.monotonic() + (float("inf") if timeout is None else timeout)
        while self._running:
            next_deadline = min(submitted.deadline for submitted in self._running.values())
            left = min(until, next_deadline) - time.monotonic()
            ended = self.site.wait(max(0, left) if left < float("inf") else None)
            if found := [self._finish(number, ending) for number, ending in ended]:
                return found
            if found := self._give_up_overdue():
                return found
            if time.monotonic() >= until:
                break
        return []

    def _give_up_overdue(self) -> list[tuple[RunJob, RunRecord | FailedRun]]:
        now, found = time.monotonic(), []
        for number, submitted in [*self._running.items()]:
            if submitted.deadline <= now:
                self.site.cancel(number)
                reason = f"not finished after {round(submitted.seconds or 0, 2):,} seconds"
                found.append(self._finish(number, reason))
        return found

    def _finish(
        self, number: int, ending: RunOutcome | str
    ) -> tuple[RunJob, RunRecord | FailedRun]:
        job = self._running.pop(number).job
        if isinstance(ending, str):
            seed, code = job.options.seed, ExitCode.INTERNAL
            return job, FailedRun(seed=seed, exit_code=code, reason=ending, path=str(job.folder))
        result = keep_outcome(ending, job.folder)
        if isinstance(result, FailedRun) and result.exit_code == ExitCode.UNREADABLE:
            # The next training would end so too; its own advice resumes this training alone.
            raise FileError(result.reason.partition("; resume with")[0])
        return job, result


@contextmanager
def open_pool(workers: Workers) -> Iterator[Pool]:
    """Open a pool that runs jobs on these workers; end what runs after the `with` block.

    Raises:
        UsageError: Dask is not installed.
        FileError: no scheduler answers, or the cluster is lost.
    """
    if workers.cluster:
        with connect(workers.cluster) as client:
            yield Pool(Cluster(client))
        return
    processes = Processes(workers.at_once)
    try:
        yield Pool(processes)
    finally:
        processes.close()
