"""A Dask cluster for a pool's jobs."""

import threading
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from mnistcli.engine.events import Event
from mnistcli.errors import FileError
from mnistcli.experiment.training.seeds import RemoteRunJob, RunJob, RunOutcome
from mnistcli.experiment.workers import when_cancelled

if TYPE_CHECKING:
    from distributed import Client, Future


class Cluster:
    """A Dask cluster, where jobs of dead workers are taken over by others."""

    def __init__(self, client: "Client") -> None:
        self._client = client
        self._futures: dict[int, Future[RunOutcome]] = {}
        self._ended: SimpleQueue[int] = SimpleQueue()

    @property
    def size(self) -> int:
        """Return the number of threads of all workers, which may come and go."""
        return sum(self._client.nthreads().values())

    def start(self, number: int, job: RunJob) -> None:
        """Hand a job to the scheduler."""
        future = self._client.submit(_run_there, RemoteRunJob(job), pure=False)
        self._futures[number] = future
        future.add_done_callback(lambda _: self._ended.put(number))

    def wait(self, timeout: float | None) -> list[tuple[int, RunOutcome | str]]:
        """Wait until a job has ended.

        Raises:
            CancelledError: the cluster is lost.
        """
        from distributed import KilledWorker

        try:
            number = self._ended.get(timeout=timeout)
        except Empty:
            return []
        if not (future := self._futures.pop(number, None)):
            return []  # it was cancelled
        try:
            return [(number, future.result())]
        except KilledWorker:
            return [(number, "the workers that trained it died")]

    def cancel(self, number: int) -> None:
        """Tell the scheduler that a job is not wanted."""
        self._futures.pop(number).cancel()


def _run_there(job: RemoteRunJob) -> RunOutcome:
    """Run a job inside a Dask worker, until its next event after it is cancelled."""
    cancelled = threading.Event()

    def check(event: Event) -> None:
        if cancelled.is_set():
            raise FileError("cancelled")

    with when_cancelled(cancelled.set):
        return job.run(check)
