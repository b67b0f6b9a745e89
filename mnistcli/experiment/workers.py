"""Where jobs run: in processes of this machine, or on a Dask cluster."""

import asyncio
import os
import sys
import threading
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import resource_tracker
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast
from uuid import uuid4

from joblib import Parallel, cpu_count, delayed, parallel_config
from joblib.externals.loky.backend import resource_tracker as loky_tracker
from joblib.externals.loky.process_executor import TerminatedWorkerError

from mnistcli.engine.device import choose_device, choose_precision
from mnistcli.engine.events import Emit, Event, RunFinished, RunProgressed
from mnistcli.errors import FileError, UsageError
from mnistcli.experiment.machine import Options
from mnistcli.experiment.progress import decode, encode
from mnistcli.preset.choices import DeviceChoice, PrecisionChoice
from mnistcli.process import blocked_signals, handle_signals, silence_logs, tune_process

if TYPE_CHECKING:
    from distributed import Client

ANSWER_SECONDS = 10
CANCEL_SECONDS = 1
SILENCED = ("distributed", "tornado", "asyncio")


class Result(Protocol):
    """Result of a job."""

    @property
    def accuracy(self) -> float | None:
        """Accuracy of the network, in [0, 1]; None if the job failed."""


SomeResult = TypeVar("SomeResult", bound=Result, covariant=True)


class Job(Protocol[SomeResult]):
    """One training: picklable, with a name of its own."""

    @property
    def name(self) -> str:
        """Name of the job, as in "kmeans, 12,000 images, seed 3"."""

    def run(self, emit: Emit) -> SomeResult:
        """Train, and emit the events of the training."""


SomeJob = TypeVar("SomeJob", bound=Job[Result])


@dataclass(frozen=True)
class Workers:
    """Who runs the jobs."""

    at_once: int
    """Processes of this machine; without meaning for a cluster."""
    cluster: str | None = None
    """Address of a Dask scheduler, as in "tcp://10.0.0.5:8786"."""

    @classmethod
    def here(cls, at_once: int | None) -> "Workers":
        """Use so many processes of this machine, by default one for each CPU it may use."""
        return cls(at_once or cpu_count())

    def fix_machine(self, options: Options) -> Options:
        """Replace "auto" by one device, precision and number of threads, the same for all jobs.

        On a cluster it is the best device and precision that all of its workers have.

        Raises:
            UsageError: Dask is not installed, or a worker has no such device.
            FileError: no scheduler answers, or it has no workers.
        """
        if not self.cluster:
            return replace(
                options,
                device=_name_device(options),
                precision=_name_precision(options),
                threads=options.threads or max(1, cpu_count() // self.at_once),
            )
        with connect(self.cluster) as client:
            devices = set(client.run(_name_device, options).values())
            options = replace(options, device=devices.pop() if len(devices) == 1 else "cpu")
            precisions = set(client.run(_name_precision, options).values())
        return replace(
            options,
            precision=precisions.pop() if len(precisions) == 1 else "float32",
            threads=options.threads or 1,
        )

    def run(
        self, jobs: Sequence[SomeJob], threads: int, emit: Emit
    ) -> Generator[tuple[SomeJob, Any]]:
        """Run all jobs, and yield each with its result as soon as it has finished.

        If a worker dies, another one takes over its job.

        Args:
            jobs: what to run.
            threads: CPU threads of each job.
            emit: told of every finished job, and on a cluster of every epoch, in another thread.

        Raises:
            UsageError: Dask is not installed.
            FileError: no scheduler answers, the cluster is lost, or a process was killed.
        """
        with self._start(threads, emit) as run_job:
            running = Parallel(self.at_once, return_as="generator_unordered", batch_size=1)
            tasks = (delayed(run_job)(number, job) for number, job in enumerate(jobs))
            finished = running(tasks)
            try:
                for done, (number, result) in enumerate(finished, start=1):
                    emit(RunFinished(done, len(jobs), jobs[number].name, result.accuracy))
                    yield jobs[number], result
            except TerminatedWorkerError as error:
                raise FileError(
                    "a process that trains was killed, perhaps because memory ran out. "
                    "Use fewer --jobs."
                ) from error
            finally:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # joblib warns of the jobs that this cancels
                    finished.close()

    @contextmanager
    def _start(self, threads: int, emit: Emit) -> Iterator[Any]:
        """Get the workers ready, and yield the function that runs a job on them."""
        if not self.cluster:
            if os.name == "posix" and self.at_once > 1:
                _start_trackers()
            with parallel_config("loky", inner_max_num_threads=threads):
                yield _run_here
            return
        topic = f"mnistcli-{uuid4()}"
        with connect(self.cluster) as client, parallel_config("dask", client=client):
            client.subscribe_topic(topic, partial(_relay, emit))
            yield partial(_run_there, topic)


def _start_trackers() -> None:
    """Start joblib's trackers of resources, silent and out of reach of signals to the group.

    They handle SIGINT and SIGTERM only; where another signal ends them, they print tracebacks.
    After any signal, they warn of folders that joblib itself has removed before them.
    """
    sys.warnoptions.append("ignore::UserWarning")  # their command lines repeat these options
    try:
        with blocked_signals():
            loky_tracker.ensure_running()
            resource_tracker.ensure_running()
    finally:
        sys.warnoptions.pop()


def _name_device(options: Options) -> DeviceChoice:
    return cast(DeviceChoice, choose_device(options.device).type)


def _name_precision(options: Options) -> PrecisionChoice:
    precision = choose_precision(options.precision, choose_device(options.device))
    return cast(PrecisionChoice, str(precision).removeprefix("torch."))


def _run_here(number: int, job: Job[Result]) -> tuple[int, Result]:
    tune_process()
    handle_signals()
    return number, job.run(lambda event: None)


def _run_there(topic: str, number: int, job: Job[Result]) -> tuple[int, Result]:
    """Run a job inside a Dask worker, which is somebody else's process: nothing is set there."""
    from distributed import get_worker

    worker = get_worker()

    def tell(event: Event) -> None:
        if (fields := encode(event)) is not None:
            worker.log_event(topic, {"name": job.name, "event": fields})

    return number, job.run(tell)


@contextmanager
def when_cancelled(stop: Callable[[], None]) -> Iterator[None]:
    """Call `stop`, in another thread, if the cluster no longer wants the job of this thread.

    Dask does not interrupt a job that runs: a job that can take long and can be stopped uses this.
    """
    from distributed import get_worker

    worker = get_worker()
    key = worker.get_current_task()
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(CANCEL_SECONDS):
            task = worker.state.tasks.get(key)
            if task is None or task.state == "cancelled":
                stop()

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _relay(emit: Emit, message: tuple[float, dict[str, Any]]) -> None:
    name, fields = message[1]["name"], message[1]["event"]
    if (event := decode(fields)) is not None:
        emit(RunProgressed(name, event))


@contextmanager
def connect(address: str) -> Iterator["Client"]:
    """Open a connection to a Dask scheduler.

    Raises:
        UsageError: Dask is not installed, or it is no address.
        FileError: no scheduler answers, it has no workers, or it is lost in the `with` block.
    """
    try:
        from distributed import Client, KilledWorker
    except ImportError as error:
        raise UsageError("--cluster needs Dask: pip install distributed") from error
    _check_scheduler(address)
    try:
        with silence_logs(SILENCED), Client(address, set_as_default=False) as client:
            yield client
    except (OSError, CancelledError, KilledWorker) as error:
        raise FileError(f"the Dask cluster at {address} was lost") from error


def _check_scheduler(address: str) -> None:
    """Ask the scheduler for its workers.

    Raises:
        UsageError: it is no address.
        FileError: no scheduler answers, or it has no workers.
    """
    from distributed import rpc

    async def ask() -> dict[str, Any]:
        async with rpc(address, timeout=ANSWER_SECONDS) as scheduler:
            return dict(await asyncio.wait_for(scheduler.identity(), ANSWER_SECONDS))

    try:
        found = asyncio.run(ask())
    except ValueError as error:
        raise UsageError(f"--cluster needs an address as in tcp://HOST:PORT: {error}") from error
    except OSError as error:
        advice = "start one with: dask scheduler"
        raise FileError(f"no Dask scheduler answers at {address}; {advice}") from error
    if not found.get("workers"):
        advice = f"start one with: dask worker {address} --nthreads 1"
        raise FileError(f"the Dask scheduler at {address} has no workers; {advice}")
