"""Where jobs run: in processes of this machine, or on a Dask cluster."""

import asyncio
import logging
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from joblib import Parallel, delayed, parallel_config

from mnistcli.engine.events import Emit, RunFinished
from mnistcli.errors import FileError, UsageError
from mnistcli.process import handle_signals, tune_process

ANSWER_SECONDS = 10


class Judged(Protocol):
    """Whatever a job leaves: it has an accuracy."""

    @property
    def accuracy(self) -> float:
        """Of the network, in [0, 1]."""


Left = TypeVar("Left", bound=Judged, covariant=True)


class Job(Protocol[Left]):
    """One training: picklable, and it knows its own name."""

    @property
    def name(self) -> str:
        """As in "kmeans, 12,000 images, seed 3"."""

    def run(self) -> Left:
        """Trains."""


SomeJob = TypeVar("SomeJob", bound=Job[Judged])


@dataclass(frozen=True)
class Workers:
    """Who runs the jobs."""

    at_once: int
    """Processes of this machine; without meaning for a cluster."""
    cluster: str | None = None
    """Address of a Dask scheduler, as in "tcp://10.0.0.5:8786"."""

    def share_threads(self, threads: int | None) -> int:
        """The threads of each job: those asked for, or its share of the cores, or one."""
        if self.cluster:
            return threads or 1
        return threads or max(1, (os.cpu_count() or 1) // self.at_once)

    def run(
        self, jobs: Sequence[SomeJob], threads: int, emit: Emit
    ) -> Iterator[tuple[SomeJob, Any]]:
        """Runs all jobs and gives each with what it left, as soon as it has ended.

        A job whose worker dies goes to another one.

        Raises:
            UsageError: Dask is not installed.
            FileError: no scheduler answers, or the cluster is lost.
        """
        with _connect(self.cluster) if self.cluster else _local(threads):
            running = Parallel(self.at_once, return_as="generator_unordered", batch_size=1)
            for done, (job, left) in enumerate(running(map(delayed(_run), jobs)), start=1):
                emit(RunFinished(done, len(jobs), job.name, left.accuracy))
                yield job, left


@contextmanager
def _local(threads: int) -> Iterator[None]:
    with parallel_config("loky", inner_max_num_threads=threads):
        yield


@contextmanager
def _connect(address: str) -> Iterator[None]:
    try:
        from distributed import Client, rpc
    except ImportError as error:
        advice = "install mnistcli with its extra: pip install 'mnistcli[cluster]'"
        raise UsageError(f"--cluster needs Dask; {advice}") from error

    async def ask() -> dict[str, Any]:
        async with rpc(address, timeout=ANSWER_SECONDS) as scheduler:
            return dict(await asyncio.wait_for(scheduler.identity(), ANSWER_SECONDS))

    try:
        found = asyncio.run(ask())
    except ValueError as error:
        raise UsageError(f"--cluster wants an address as in tcp://HOST:PORT: {error}") from error
    except OSError as error:
        advice = "start one with: dask scheduler"
        raise FileError(f"no Dask scheduler answers at {address}; {advice}") from error
    if not found.get("workers"):
        advice = f"start one with: dask worker {address} --nthreads 1"
        raise FileError(f"the Dask scheduler at {address} has no workers; {advice}")
    logging.disable()  # what goes wrong is said in one line
    try:
        with (
            Client(address, set_as_default=False) as client,
            parallel_config("dask", client=client),
        ):
            yield
    except (OSError, CancelledError) as error:
        raise FileError(f"the Dask cluster at {address} was lost in mid-run") from error
    finally:
        logging.disable(logging.NOTSET)


def _run(job: SomeJob) -> tuple[SomeJob, Judged]:
    tune_process()
    handle_signals()
    return job, job.run()
