"""Trainings that end in every way, in processes of their own."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing import active_children
from pathlib import Path

import pytest

from mnistcli.engine.events import EpochFinished
from mnistcli.errors import FileError
from mnistcli.experiment import pool_processes
from mnistcli.experiment.machine import Options
from mnistcli.experiment.pool import Pool, open_pool
from mnistcli.experiment.training.seeds import RunJob, RunOutcome
from mnistcli.experiment.workers import Workers
from mnistcli.preset.loading import load_preset
from mnistcli.process import Stopped
from mnistcli.records.comparisons import FailedRun
from mnistcli.records.documents import RunRecord
from mnistcli.records.store import read_record
from tests.conftest import posix_only
from tests.faults.test_signals import handle_by_default, list_processes


@dataclass(frozen=True)
class Quick(RunJob):
    """A job that trains nothing, and answers with the number of its process."""

    def run(self, emit: Callable) -> RunOutcome:
        self.act()
        failed = FailedRun(seed=self.options.seed, exit_code=5, reason=str(os.getpid()), path="")
        return RunOutcome(failed)

    def act(self) -> None:
        """Do what a training does."""


@dataclass(frozen=True)
class Slow(Quick):
    def act(self) -> None:
        self.folder.touch()
        time.sleep(60)


@dataclass(frozen=True)
class Killed(Quick):
    """A job that kills its process as often as its seed says, and counts the lines of a file."""

    def act(self) -> None:
        with self.folder.open("a") as file:
            file.write("killed\n")
        if len(self.folder.read_text().splitlines()) <= self.options.seed:
            os.kill(os.getpid(), signal.SIGKILL)


@dataclass(frozen=True)
class KilledInTraining(RunJob):
    """A training whose process is killed, once, at the end of its second epoch."""

    def run(self, emit: Callable) -> RunOutcome:
        def kill(event: object) -> None:
            mark = self.folder.with_suffix(".killed")
            if isinstance(event, EpochFinished) and event.epoch == 2 and not mark.exists():
                mark.touch()
                os.kill(os.getpid(), signal.SIGKILL)

        return super().run(kill)


@dataclass(frozen=True)
class Signalled(Quick):
    def act(self) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(60)


@pytest.fixture
def make(tiny_preset: Path, tmp_path: Path) -> Callable:
    preset = load_preset(str(tiny_preset))

    def make(kind: type[RunJob], seed: int = 0, **options: object) -> RunJob:
        folder = tmp_path / f"{kind.__name__}-{seed}"
        return kind(preset, Options(seed=seed, threads=1, **options), None, folder)

    return make


@dataclass
class Given:
    """A site whose jobs end as they are told to."""

    endings: dict[int, RunOutcome | str] = field(default_factory=dict)
    cancelled: list[int] = field(default_factory=list)
    size: int = 3

    def start(self, number: int, job: RunJob) -> None:
        """Run nothing."""

    def wait(self, timeout: float | None) -> list[tuple[int, RunOutcome | str]]:
        if not self.endings:
            assert timeout is not None, "waits for ever"
            time.sleep(timeout)
        found, self.endings = [*self.endings.items()], {}
        return found

    def cancel(self, number: int) -> None:
        self.cancelled.append(number)


def fail(code: int, reason: str = "why") -> RunOutcome:
    return RunOutcome(FailedRun(seed=0, exit_code=code, reason=reason, path=""))


def test_jobs_end_in_any_order(make: Callable) -> None:
    pool = Pool(site := Given())
    jobs = [make(Quick, seed) for seed in range(4)]
    for job in jobs[:3]:
        pool.submit(job)
    assert (pool.running, pool.free) == (tuple(jobs[:3]), 0)
    site.endings = {3: fail(5), 1: fail(2)}
    assert [(job, result.exit_code) for job, result in pool.wait()] == [(jobs[2], 5), (jobs[0], 2)]
    pool.submit(jobs[3])
    assert (pool.running, pool.free) == ((jobs[1], jobs[3]), 1)
    assert pool.wait(0.01) == []
    site.endings = {2: "it ended a process", 4: fail(1)}
    (job, result), _ = pool.wait()
    assert (job, result.reason, result.exit_code) == (jobs[1], "it ended a process", 1)
    assert (result.seed, result.path) == (1, str(jobs[1].folder))
    assert pool.wait() == []


def test_a_job_is_given_up_after_its_own_time(make: Callable) -> None:
    pool = Pool(site := Given())
    for seed, seconds in enumerate((None, 0.05, 20)):
        pool.submit(make(Quick, seed), seconds)
    ((job, result),) = pool.wait(30)
    assert (job, result.seed, result.exit_code) == (make(Quick, 1), 1, 1)
    assert result.reason == "not finished after 0.05 seconds"
    assert site.cancelled == [2]
    began = time.monotonic()
    assert pool.wait(0.05) == []
    assert time.monotonic() - began < 5
    assert [job.options.seed for job in pool.running] == [0, 2]


def test_a_folder_that_cannot_be_written_ends_all(make: Callable, tiny_data: Path) -> None:
    pool = Pool(site := Given())
    pool.submit(job := make(RunJob, data=tiny_data))
    site.endings = {1: job.run(lambda event: None)}
    with pytest.raises(FileError, match=r"^cannot write .*RunJob-0"):
        pool.wait()


def test_a_full_disk_ends_all(make: Callable) -> None:
    pool = Pool(site := Given())
    pool.submit(make(Quick))
    site.endings = {1: fail(4, 'cannot write "a": No space left on device; resume with: b')}
    with pytest.raises(FileError, match=r'^cannot write "a": No space left on device$'):
        pool.wait()


def find_own() -> list[object]:
    """Return the pool's processes that still run; joblib's, of other tests, are not its own."""
    return [each for each in active_children() if type(each).__name__ != "LokyProcess"]


@pytest.fixture
def pool() -> Iterator[Pool]:
    with open_pool(Workers(2)) as opened:
        yield opened
    assert not find_own()


def wait_for(pool: Pool, count: int) -> dict[RunJob, RunRecord | FailedRun]:
    """Return the results of so many jobs, in the order in which they ended."""
    found = {}
    while len(found) < count:
        found |= dict(pool.wait(60))
    return found


@pytest.mark.slow
def test_a_process_runs_one_job_after_the_other(pool: Pool, make: Callable) -> None:
    assert (pool.free, pool.running, pool.wait(0)) == (2, (), [])
    first, second = make(Quick, 1), make(Quick, 2)
    pool.submit(first)
    pool.submit(second)
    assert (pool.free, pool.running) == (0, (first, second))
    found = wait_for(pool, 2)
    assert {job: result.seed for job, result in found.items()} == {first: 1, second: 2}
    assert pool.free == 2
    processes = {result.reason for result in found.values()}
    for seed in range(3, 6):
        pool.submit(make(Quick, seed))
        ((job, result),) = pool.wait(30)
        assert (job, result.seed) == (make(Quick, seed), seed)
        assert result.reason in processes
    assert str(os.getpid()) not in processes


@pytest.mark.faults
@posix_only
def test_every_other_end_is_a_result(make: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool_processes, "MAX_DEATHS", 2)
    with open_pool(Workers(1)) as pool:
        pool.submit(once := make(Killed, 1))
        assert [job for job, result in pool.wait(200) if result.exit_code == 5] == [once]
        assert once.folder.read_text() == "killed\n" * 2, "it was not started again"
        pool.submit(slow := make(Slow), 1)
        ((_, result),) = pool.wait(200)
        assert result.reason == "not finished after 1 seconds"
        assert slow.folder.exists()
        pool.submit(always := make(Killed, 9))
        ((_, result),) = pool.wait(200)
        assert result.reason == "it ended 2 processes, the last by SIGKILL"
        assert (result.exit_code, result.path) == (1, str(always.folder))
        pool.submit(make(Quick, 4))
        ((_, result),) = pool.wait(200)
        assert result.seed == 4


@pytest.mark.faults
@posix_only
def test_a_training_resumes_in_another_process(
    make: Callable, tiny_data: Path, tmp_path: Path
) -> None:
    unbroken = make(RunJob, data=tiny_data, hold_out=True)
    killed = make(KilledInTraining, data=tiny_data, hold_out=True)
    for job in (unbroken, killed):
        job.folder.mkdir()
    with open_pool(Workers(1)) as pool:
        for job in (unbroken, killed):
            pool.submit(job)
            ((_, result),) = pool.wait(200)
            assert isinstance(result, RunRecord), result
    assert killed.folder.with_suffix(".killed").exists()
    records = [read_record(job.folder) for job in (unbroken, killed)]
    assert records[0].weights_sha256 == records[1].weights_sha256
    assert records[0].test == records[1].test
    assert records[0].data.evaluated_on == "held-out"


POOL = """
import os, sys
from pathlib import Path
from mnistcli.experiment.machine import Options
from mnistcli.experiment.pool import open_pool
from mnistcli.experiment.workers import Workers
from mnistcli.preset.loading import load_preset
from mnistcli.process import Stopped, handle_signals
from tests.experiment.test_pool import Quick, Slow
handle_signals()
preset, folder = load_preset(sys.argv[1]), Path(sys.argv[2])
make = lambda kind, seed: kind(preset, Options(seed=seed), None, folder / str(seed))
try:
    with open_pool(Workers(2)) as pool:
        pool.submit(make(Slow, 1))
        pool.submit(make(Quick, 2))
        print("begins", flush=True)
        while pool.running:
            for job, result in pool.wait():
                print("idle", flush=True)
except Stopped as stopped:
    print("stopped by", stopped.number, flush=True)
"""


@pytest.mark.faults
@posix_only
@pytest.mark.parametrize(
    ("line", "number", "to_all"),
    [
        ("begins", signal.SIGINT, True),
        ("idle", signal.SIGKILL, False),
        ("idle", signal.SIGTERM, True),
        ("idle", signal.SIGHUP, False),
    ],
)
def test_nothing_is_left_running(
    line: str, number: signal.Signals, to_all: bool, tiny_preset: Path, tmp_path: Path
) -> None:
    """Whether the processes still start, are idle or train."""
    process = subprocess.Popen(
        [sys.executable, "-c", POOL, tiny_preset, tmp_path],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        preexec_fn=handle_by_default,
    )  # fmt: skip
    assert any(each.startswith(line) for each in process.stdout)
    while line == "idle" and not (tmp_path / "1").exists():
        time.sleep(0.1)
    (os.killpg if to_all else os.kill)(process.pid, number)
    out, err = process.communicate(timeout=60)
    assert not list_processes(process.pid)
    assert err == ""
    assert out == ("" if number == signal.SIGKILL else f"stopped by {int(number)}\n")


@pytest.mark.faults
@posix_only
def test_a_signal_to_a_process_that_trains_stops_all(make: Callable) -> None:
    with pytest.raises(Stopped) as stopped, open_pool(Workers(2)) as pool:
        pool.submit(make(Slow))
        pool.submit(make(Signalled))
        pool.wait(200)
    assert stopped.value.number == signal.SIGTERM
    assert not find_own()
