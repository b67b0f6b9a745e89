"""How long a search may take: its epochs, and the time that the confirmation needs."""

from dataclasses import dataclass
from math import ceil, log

from mnistcli.records.searches import RungsLine, SearchPlan
from mnistcli.search.history import History
from mnistcli.search.plan import CONFIRMATIONS
from mnistcli.search.racing import plan_rungs
from mnistcli.search.ranking import (
    ALL_IMAGES,
    TINY,
    Estimate,
    Goal,
    choose_winner,
    estimate_all,
)

TIMES_EXPECTED = 10
"""A trial that takes so many times longer than others did for an epoch hangs."""
UNKNOWN_SECONDS = 1_800.0
"""Time limit of a trial before any other one has finished."""
START_SECONDS = 60.0
"""Time for starting a process, on a busy machine."""
CONFIRMATION_FRACTION = 0.5
"""Max fraction of a time limit for the confirmation: it decides the number of epochs."""
GAIN = 0.35
"""The loss falls with this power of the number of epochs: from 2 to 8, four networks of the default
space had 0.31 to 0.35."""
RUN_SECONDS = 3.0
"""Time for starting and testing a run of the confirmation."""
SPARE = 1.15
"""Factor for what an estimated time may be short of."""


@dataclass
class Pace:
    """What may still be started."""

    plan: SearchPlan
    history: History
    epochs: int
    """Max number of epochs of a training."""
    slots: int
    """Number of trials that can run at once."""

    @property
    def rungs(self) -> tuple[int, ...]:
        """Return the number of epochs at every rung; only the first one may be decided."""
        return self.history.rungs or plan_rungs(self.epochs)[:1]

    def decide_rungs(self) -> RungsLine | None:
        """Return the rungs, once it is known how many epochs fit the time.

        They are those after which the most promising of the first networks can be confirmed in its
        fraction of the time; slower ones drop out. A network promises its loss after the first
        rung, less what it will gain by as many epochs as it has time for: a third of all, if any
        network has.
        """
        limit, epochs = self.plan.within_seconds, self.epochs
        if limit is None:
            return RungsLine(epochs=plan_rungs(epochs))
        if len(self.history.trials) < len(self.history.of_round(0)):
            return None
        goal = Goal(self.plan.budget, self.plan.minimize)
        found = estimate_all(self.history, 0, goal)
        if not found:
            return RungsLine(epochs=plan_rungs(epochs))
        first, time = self.rungs[0], CONFIRMATION_FRACTION * limit / self._turns(1)

        def count(each: Estimate) -> int:
            return max(first, min(self.epochs, int(time * first / max(each.train_seconds, TINY))))

        fastest = min(found, key=lambda each: each.train_seconds)
        fitting = [each for each in found if each.train_seconds <= time] or [fastest]
        enough = [each for each in fitting if 3 * count(each) >= self.epochs] or fitting
        best = min(enough, key=lambda each: each.log_loss - GAIN * log(count(each) / first))
        epochs, seconds = count(best), best.train_seconds / first
        return RungsLine(
            epochs=plan_rungs(epochs), max_epoch_seconds=SPARE * max(seconds, time / epochs)
        )

    def count_networks(self, round_: int) -> int:
        """Return the number of new networks in a round: at most a third of the trials left."""
        size, trials = self.plan.round_size, self.plan.trials
        if trials is None:
            return size
        used = sum(line.round < round_ for line in self.history.trials.values())
        return min(size, (trials - used) // 3 if round_ else max(1, trials // 3))

    def has_time_for_round(self, elapsed: float) -> bool:
        """Return whether a new network could still reach the last rung."""
        limit, seconds = self.plan.within_seconds, self.measure_epoch()
        if limit is None or seconds is None:
            return True
        return limit - self.reserve() - elapsed > seconds * sum(self.rungs)

    def is_over(self, elapsed: float) -> bool:
        """Return whether only the time for the confirmation is left."""
        limit = self.plan.within_seconds
        return limit is not None and elapsed >= limit - self.reserve()

    def reserve(self) -> float:
        """Return the seconds that the confirmation will take."""
        seconds = self.measure_epoch()
        if not self.history.rungs or seconds is None:
            return CONFIRMATION_FRACTION * (self.plan.within_seconds or 0)
        turns = ceil(CONFIRMATIONS / self.slots)
        return self.rungs[-1] * self._turns(seconds) + turns * RUN_SECONDS

    def _turns(self, seconds: float) -> float:
        """Return the seconds that an epoch of all runs of the confirmation takes."""
        return ceil(CONFIRMATIONS / self.slots) * seconds * ALL_IMAGES * SPARE

    def measure_epoch(self) -> float | None:
        """Return the time of an epoch in seconds: the winner's, if the search ended now.

        Before any network has reached the last rung, it is the slowest one's of the better half.
        """
        goal = Goal(self.plan.budget, self.plan.minimize)
        last = self.history.last_rung
        estimates = estimate_all(self.history, last, goal)
        if not estimates:
            return None
        if self.history.rungs and last == len(self.history.rungs) - 1:
            return choose_winner(estimates, goal).train_seconds / self.rungs[-1]
        rivals = [each for each in estimates if not each.is_too_slow] or estimates
        better = rivals[: (len(rivals) + 1) // 2]
        return max(each.train_seconds for each in better) / self.rungs[last]

    def limit_trial(self, epochs: int) -> float:
        """Return the seconds after which a trial counts as hanging."""
        seconds = self.measure_epoch()
        if seconds is None:
            return UNKNOWN_SECONDS
        return START_SECONDS + TIMES_EXPECTED * epochs * seconds


def count_epochs(own: int, plan: SearchPlan) -> int:
    """Return the epochs of a whole training: the space's own, or what the budget allows."""
    below, most = plan.budget.epochs_below, plan.budget.max_epochs
    limits = [own, *([] if below is None else [below - 1]), *([] if most is None else [most])]
    return max(1, min(limits))
