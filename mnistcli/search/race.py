"""The race: networks are proposed, trials run, and every line is on the disk at once."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from time import monotonic, sleep

from mnistcli.errors import PresetError
from mnistcli.experiment.pool import Pool, open_pool
from mnistcli.experiment.training.seeds import RunJob
from mnistcli.experiment.workers import Workers
from mnistcli.preset.schema import Preset
from mnistcli.records.comparisons import FailedRun
from mnistcli.records.documents import RunRecord
from mnistcli.records.folders import make_parents
from mnistcli.records.search_log import SearchLog
from mnistcli.records.searches import (
    TRIALS,
    FoundNetwork,
    SearchLine,
    SearchProgress,
    TrialLine,
    WinnerLine,
)
from mnistcli.records.store import RECORD, read_record
from mnistcli.search.history import History, Trial
from mnistcli.search.networks import Networks
from mnistcli.search.pace import Pace, count_epochs
from mnistcli.search.plan import Search, resolve_first
from mnistcli.search.proposals import propose
from mnistcli.search.racing import plan_trials
from mnistcli.search.ranking import Estimate, choose_winner, estimate_all, find_front

POLL_SECONDS = 0.5
"""Time between looks at the clock while trials run."""


@dataclass
class Race:
    """A search under way."""

    search: Search
    log: SearchLog
    history: History
    show: Callable[[SearchProgress], None]
    slots: int = 1
    """Number of trials that can run at once."""
    running: dict[Path, Trial] = field(default_factory=dict)
    """Trials by their run folders."""
    exhausted: str | None = None
    """Why the space has no other network that fits, once that is known."""

    def __post_init__(self) -> None:
        self._begun = monotonic() - self.history.elapsed

    @property
    def elapsed(self) -> float:
        """Return the seconds that the search has taken, without interruptions."""
        return monotonic() - self._begun

    @cached_property
    def networks(self) -> Networks:
        """The presets of the search's networks."""
        own = resolve_first(self.search.space).train.epochs
        return Networks(self.search, count_epochs(own, self.search.plan))

    @property
    def pace(self) -> Pace:
        """Return what may still be started."""
        return Pace(self.search.plan, self.history, self.networks.epochs, self.slots)

    def run(self, workers: Workers) -> None:
        """Run trials until trials or time run out.

        Raises:
            PresetError: no network fits the budget.
            FileError: a file cannot be read or written, or the cluster is lost.
        """
        if self.history.winner:
            return
        with open_pool(workers) as pool:
            self.slots = max(1, pool.free)
            while not self.pace.is_over(self.elapsed):
                has_more = self._fill(pool)
                if not self.running:
                    if not has_more:
                        return
                    if not pool.free:  # a cluster may have no workers for a moment
                        sleep(POLL_SECONDS)
                for job, result in pool.wait(POLL_SECONDS):
                    self._finish(self.running.pop(job.folder), result)

    def _fill(self, pool: Pool) -> bool:
        """Start trials in all free slots, and read those that an interrupted search has finished.

        Returns:
            Whether there are others: some wait for a slot, or follow from what was read.
        """
        has_more = False
        for trial in self._find_trials():
            if trial in self.running.values():
                continue
            if self.count_trials_left() == 0:
                break
            if not pool.free:
                return True
            folder = self.find_folder(trial)
            if (folder / RECORD).exists():
                self._finish(trial, read_record(folder))
                has_more = True
                continue
            make_parents(folder / RECORD)
            preset = self._make_trial(trial)
            job = RunJob(preset, self.search.make_options(trial), None, folder)
            pool.submit(job, self.pace.limit_trial(preset.train.epochs))
            self.running[folder] = trial
        return has_more

    def _find_trials(self) -> list[Trial]:
        """Return the trials that may run now, after proposing the networks that they need."""
        history, goal = self.history, self.search.goal
        round_ = history.networks[-1].round if history.networks else 0
        self._propose(round_)
        if self._is_hopeless():
            return []
        if not history.rungs and (line := self.pace.decide_rungs()):
            self._add(line)
        if not history.rungs:
            first = [Trial(each.number, 0, 0) for each in history.networks]
            return [each for each in first if each not in history.trials]
        while not (trials := plan_trials(history, goal)):
            round_ += 1
            if self.running:
                return []
            if not self._can_begin(round_):
                return plan_trials(history, goal, is_last=True)
            self._propose(round_)
        return trials

    def _is_hopeless(self) -> bool:
        """Return whether all trials of the first round failed, for one and the same reason."""
        trials = self.history.trials
        first = len(self.history.of_round(0))
        reasons = {line.failed for line in trials.values()}
        return len(trials) == first > 1 and len(reasons) == 1 and None not in reasons

    def _can_begin(self, round_: int) -> bool:
        pace = self.pace
        return (
            self.exhausted is None
            and pace.count_networks(round_) > 0
            and pace.has_time_for_round(self.elapsed)
        )

    def _propose(self, round_: int) -> None:
        """Propose the networks of a round that are missing."""
        search, history = self.search, self.history
        for _ in range(len(history.of_round(round_)), self.pace.count_networks(round_)):
            if self.exhausted or (round_ and self.pace.is_over(self.elapsed)):
                return
            try:
                self._add(propose(search, history, round_, self.networks.count))
            except PresetError as error:
                if not history.networks:
                    raise
                self.exhausted = str(error)

    def count_trials_left(self) -> int | None:
        """Return how many trials may still be started; None without a limit."""
        limit = self.search.plan.trials
        return None if limit is None else limit - len(self.history.trials) - len(self.running)

    def _finish(self, trial: Trial, result: RunRecord | FailedRun) -> None:
        """Log a finished trial, and show it."""
        record = result if isinstance(result, RunRecord) else None
        line = TrialLine(
            network=trial.network,
            rung=trial.rung,
            turn=trial.turn,
            round=self.history.networks[-1].round,
            loss=record.test.loss if record else None,
            accuracy=record.test.accuracy if record else None,
            train_seconds=record.train_seconds if record else 0.0,
            failed=result.reason if isinstance(result, FailedRun) else None,
            elapsed=self.elapsed,
        )
        self._add(line)
        self.show(self.describe(line))

    def _add(self, line: SearchLine) -> None:
        self.log.add(line)
        self.history.add(line)

    def _make_trial(self, trial: Trial) -> Preset:
        decisions = self.history.networks[trial.network].decisions
        return self.networks.make_trial(decisions, trial.network, self.pace.rungs[trial.rung])

    def find_folder(self, trial: Trial) -> Path:
        """Return the run folder of a trial."""
        name = f"{trial.network:04}-e{self.pace.rungs[trial.rung]}-s{trial.turn}"
        return self.search.folder / TRIALS / name

    def decide(self) -> Estimate:
        """Decide the winner, once: a resumed search confirms the same one.

        Raises:
            PresetError: no trial has a result.
        """
        estimates = self.list_estimates()
        if not estimates:
            reasons = [line.failed for line in self.history.trials.values() if line.failed]
            reason = reasons[0] if reasons else "there was no time. Give it more with --within."
            raise PresetError(f"no network could be trained: {reason}")
        if self.history.winner is None:
            winner = choose_winner(estimates, self.search.goal)
            self._add(WinnerLine(network=winner.network, elapsed=self.elapsed))
            return winner
        return next(each for each in estimates if each.network == self.history.winner.network)

    def make_winner(self, number: int) -> Preset:
        """Return what is confirmed of a network."""
        return self.networks.make_winner(self.history, number, self.pace.rungs[-1])

    def list_estimates(self) -> list[Estimate]:
        """Return the networks at the last rung that any has reached, the best first."""
        return estimate_all(self.history, self.history.last_rung, self.search.goal)

    def describe(self, last: TrialLine) -> SearchProgress:
        """Return how far the search has come."""
        estimates = self.list_estimates()
        limit = self.search.plan.within_seconds
        return SearchProgress(
            networks=self.history.count_tried(),
            trials=len(self.history.trials),
            elapsed=self.elapsed,
            seconds_left=None if limit is None else max(0.0, limit - self.elapsed),
            trials_left=self.count_trials_left(),
            best=self.describe_network(estimates[0]) if estimates else None,
            front=tuple(map(self.describe_network, find_front(estimates))),
            last=last,
            epochs=self.pace.rungs[last.rung],
            seed=self.search.options.seed + last.turn,
        )

    def describe_network(self, estimate: Estimate) -> FoundNetwork:
        """Describe a network by its trials."""
        return FoundNetwork(
            number=estimate.network,
            figures=self.history.networks[estimate.network].figures,
            epochs=self.pace.rungs[estimate.rung],
            n=estimate.n,
            accuracy=estimate.accuracy,
            loss=estimate.loss,
            interval=estimate.interval,
            train_seconds=estimate.train_seconds,
            run=str(self.find_folder(Trial(estimate.network, estimate.rung, 0))),
        )
