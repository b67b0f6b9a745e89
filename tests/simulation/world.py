"""A world in one thread, from one seed: a clock, and workers that die, stall and answer late.

Trainings are simulated too. How one ends depends on its folder and the seed alone, as a real one
does: some diverge, hang, or kill every process that they run in. Everything else is chance, which
must not change what comes out: when a worker dies, what is late or comes twice, and when the
process that waits for them all is killed.
"""

import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from heapq import heappop, heappush
from pathlib import Path
from queue import Empty
from typing import Any

from mnistcli.engine.events import Emit, RunFinished
from mnistcli.errors import ExitCode
from mnistcli.experiment.pool_processes import MAX_DEATHS
from mnistcli.experiment.training.seeds import RemoteRunJob, RunJob, RunOutcome
from mnistcli.records.comparisons import FailedRun
from mnistcli.records.documents import RunRecord
from mnistcli.records.store import write_record

FILES = {"weights.safetensors": b"weights", "events.jsonl": b"{}\n"}


class Killed(BaseException):
    """The process that waits was killed."""


@dataclass(frozen=True)
class Fate:
    """How a training ends, wherever and whenever it runs."""

    kind: str
    """One of "ends", "diverges", "hangs" and "kills"."""
    loss: float
    seconds: float

    @classmethod
    def of(cls, seed: int, job: RunJob) -> "Fate":
        """Return the fate of a job: that of its network and seed, better with more epochs."""
        is_trial = job.options.hold_out
        network = job.folder.name.split("-e")[0] if is_trial else "the winner"
        rng = random.Random(f"{seed} {network} {job.options.seed}")
        kinds = ["ends"] * 17 + ["diverges", "hangs", "kills"]
        kind = rng.choice(kinds) if is_trial else "ends"
        epochs = job.preset.train.epochs
        return cls(kind, rng.uniform(0.02, 0.2) / epochs, epochs * rng.uniform(1.0, 2.0))


@dataclass
class World:
    """A clock, what will happen, and what has."""

    seed: int
    template: RunRecord
    chance: random.Random
    """Of what must not matter; without it, nothing goes wrong by chance."""
    is_calm: bool = False
    now: float = 0.0
    ended: Counter[Path] = field(default_factory=Counter)
    """How often a training wrote its record into its folder here."""
    counts: Counter[str] = field(default_factory=Counter)
    _events: list[tuple[float, int, Callable[[], None]]] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=lambda: iter(range(10**9)))
    _killed_at: float = float("inf")

    def happens(self, what: str, probability: float) -> bool:
        """Return whether something goes wrong now, and count it."""
        found = not self.is_calm and self.chance.random() < probability
        self.counts[what] += found
        return found

    def clock(self) -> float:
        """Return the time of the monotonic clock, in seconds."""
        return self.now

    def begin(self) -> None:
        """Begin anew after a kill: everything that ran has ended."""
        self._events.clear()
        self._killed_at = float("inf")
        if self.happens("kills of the main process", 0.6):
            self._killed_at = self.now + self.chance.uniform(0, 40)

    def kill_now(self) -> None:
        """Kill the process that waits."""
        self._killed_at = self.now

    def after(self, seconds: float, happen: Callable[[], None]) -> None:
        """Let something happen later."""
        heappush(self._events, (self.now + seconds, next(self._numbers), happen))

    def wait(self, timeout: float | None, is_over: Callable[[], bool]) -> None:
        """Let time pass until something is over, but for at most `timeout` seconds.

        Raises:
            Killed: the process is killed in that time.
        """
        until = float("inf") if timeout is None else self.now + timeout
        while not is_over():
            when, _, happen = self._events[0] if self._events else (float("inf"), 0, None)
            assert min(when, until) < float("inf"), "everybody waits for ever"
            if min(when, until) >= self._killed_at:
                self.now = self._killed_at
                raise Killed
            self.now = min(when, until)
            if when > until:
                return
            heappop(self._events)
            assert happen
            happen()

    def outcome(self, job: RunJob) -> RunOutcome:
        """Return how a job ends that comes to an end."""
        fate = Fate.of(self.seed, job)
        if fate.kind == "diverges":
            failed = FailedRun(
                seed=job.options.seed, exit_code=ExitCode.DIVERGED, reason="the loss is not finite",
                path=str(job.folder),
            )  # fmt: skip
            return RunOutcome(failed)
        total = self.template.test.total
        correct = round(total * (1 - fate.loss))
        test = self.template.test.model_copy(
            update={"loss": fate.loss, "correct": correct, "accuracy": correct / total}
        )
        record = self.template.model_copy(
            update={
                "preset": job.preset, "seed": job.options.seed, "run_id": job.folder.name,
                "path": str(job.folder), "test": test, "train_seconds": fate.seconds,
            }
        )  # fmt: skip
        return RunOutcome(record)


@dataclass
class Here:
    """Processes of this machine, as a pool's site."""

    world: World
    size: int
    _running: dict[int, RunJob] = field(default_factory=dict)
    _ended: list[tuple[int, RunOutcome | str]] = field(default_factory=list)

    def start(self, number: int, job: RunJob) -> None:
        """Start a job in a process."""
        assert len(self._running) < self.size
        self._running[number] = job
        self._start(number, 0)

    def _start(self, number: int, deaths: int) -> None:
        fate, world = Fate.of(self.world.seed, self._running[number]), self.world
        if fate.kind == "hangs":
            return
        if fate.kind == "kills" or (
            deaths + 2 < MAX_DEATHS and world.happens("deaths of a worker", 0.1)
        ):
            world.after(world.chance.uniform(0, 5), lambda: self._die(number, deaths + 1))
        else:
            stall = world.chance.uniform(0, 30) if world.happens("stalls of a worker", 0.1) else 0
            world.after(fate.seconds + stall, lambda: self._finish(number))

    def _die(self, number: int, deaths: int) -> None:
        if number not in self._running:
            return
        if deaths < MAX_DEATHS:
            self._start(number, deaths)
        else:
            del self._running[number]
            self._ended.append((number, "it ended three processes"))

    def _finish(self, number: int) -> None:
        """Write the record; the answer comes a little later, or never."""
        if number not in self._running:
            return
        job = self._running[number]
        outcome = self.world.outcome(job)
        if isinstance(outcome.result, RunRecord):
            write_record(job.folder, outcome.result)
            self.world.ended[job.folder] += 1
        self.world.after(self.world.chance.uniform(0, 3), lambda: self._answer(number, outcome))
        if self.world.happens("kills before a worker's answer", 0.05):
            self.world.kill_now()

    def _answer(self, number: int, outcome: RunOutcome) -> None:
        if self._running.pop(number, None):
            self._ended.append((number, outcome))

    def wait(self, timeout: float | None) -> list[tuple[int, RunOutcome | str]]:
        """Return what has ended."""
        self.world.wait(timeout, lambda: bool(self._ended))
        ended, self._ended = self._ended, []
        return ended

    def cancel(self, number: int) -> None:
        """Kill the process of a job."""
        del self._running[number]


@dataclass
class Promised:
    """A result that a Dask cluster owes."""

    callbacks: list[Callable[[Any], None]] = field(default_factory=list)
    found: RunOutcome | BaseException | None = None

    def add_done_callback(self, call: Callable[[Any], None]) -> None:
        """Call when the result is there."""
        self.callbacks.append(call)

    def result(self) -> RunOutcome:
        """Return the result, or raise why there is none."""
        if isinstance(self.found, BaseException):
            raise self.found
        assert self.found
        return self.found

    def cancel(self) -> None:
        """Say that the result is not wanted; it may come in spite of that."""


@dataclass
class Client:
    """A connection to a Dask cluster, whose workers come and go."""

    world: World
    lost: type[Exception]
    """What a result is whose workers all died."""

    def nthreads(self) -> dict[str, int]:
        """Return the threads of the workers."""
        if self.world.happens("moments without workers", 0.03):
            return {}
        return {f"tcp://{number}": 1 for number in range(self.world.chance.randint(1, 4))}

    def submit(self, function: object, remote: RemoteRunJob, *, pure: bool) -> Promised:
        """Start a job on a worker."""
        assert not pure, "two equal jobs are two"
        fate, world, promised = Fate.of(self.world.seed, remote.job), self.world, Promised()

        def finish() -> None:
            outcome = world.outcome(remote.job)
            is_ended = isinstance(outcome.result, RunRecord)
            promised.found = RunOutcome(outcome.result, FILES if is_ended else {})
            if fate.kind == "kills":
                promised.found = self.lost("task", "worker", 3)
            for call in promised.callbacks:
                call(promised)
                if world.happens("duplicate answers", 0.1):
                    world.after(world.chance.uniform(0, 20), partial(call, promised))

        stall = world.chance.uniform(0, 30) if world.happens("stalls of a worker", 0.15) else 0
        late = 10_000 if fate.kind == "hangs" else 0
        world.after(fate.seconds + stall + late, finish)
        return promised


@dataclass
class Answers:
    """The queue of a cluster's answers, in the world's time."""

    world: World
    waiting: list[int] = field(default_factory=list)

    def put(self, number: int) -> None:
        """Add an answer."""
        self.waiting.append(number)

    def get(self, timeout: float | None) -> int:
        """Wait for an answer."""
        self.world.wait(timeout, lambda: bool(self.waiting))
        if not self.waiting:
            raise Empty
        return self.waiting.pop(0)


def run_jobs(world: World, jobs: list[Any], emit: Emit) -> Iterator[tuple[Any, RunOutcome]]:
    """Run the jobs of a batch, as `Workers.run` does: they end in any order."""
    ended: list[Any] = []
    for each in jobs:
        job = each.job if isinstance(each, RemoteRunJob) else each
        stall = world.chance.uniform(0, 30) if world.happens("stalls of a worker", 0.2) else 0
        world.after(Fate.of(world.seed, job).seconds + stall, lambda each=each: ended.append(each))
    for done in range(1, len(jobs) + 1):
        world.wait(None, lambda: bool(ended))
        each = ended.pop(0)
        remote = isinstance(each, RemoteRunJob)
        job = each.job if remote else each
        outcome = world.outcome(job)
        if remote:
            outcome = RunOutcome(outcome.result, FILES)
        else:
            assert isinstance(outcome.result, RunRecord)
            write_record(job.folder, outcome.result)
            world.ended[job.folder] += 1
        emit(RunFinished(done, len(jobs), each.name, outcome.accuracy))
        yield each, outcome
