"""Trials → estimates of every network, the Pareto front, and the winner."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import exp, log, sqrt
from statistics import mean, median

from mnistcli.preset.budget import Budget
from mnistcli.records.documents import Interval
from mnistcli.records.searches import Minimized
from mnistcli.search.history import History
from mnistcli.verdict.stats import Z95

PRIOR_SD, PRIOR_WEIGHT = 0.1, 4
"""Standard deviation between seeds of the logarithm of a loss, until enough pairs have told it."""
ACCURACY_SD = 0.0005
"""Standard deviation of an accuracy, likewise: 5 images of 10,000."""
ALL_IMAGES = 1.2
"""The confirmation trains on all images, trials on five sixths of them."""
TINY = 1e-9
"""A loss of 0 counts as this one."""


@dataclass(frozen=True)
class Goal:
    """What a search is after."""

    budget: Budget
    minimize: Minimized | None = None
    """Figure to minimize with the accuracy as a limit; None for the most accurate network."""

    @property
    def size(self) -> str:
        """Return the figure that the Pareto front has beside the accuracy."""
        return self.minimize or "parameters"


@dataclass(frozen=True)
class Estimate:
    """A network by its trials at one rung."""

    network: int
    rung: int
    n: int
    log_loss: float
    """Mean of the logarithms of its losses."""
    error: float
    """Standard error of that mean."""
    accuracy: float
    interval: Interval
    train_seconds: float
    """Median."""
    size: float
    """The figure that the front has beside the accuracy."""
    is_too_slow: bool
    """Whether its confirmation would not fit the search's time."""

    @property
    def loss(self) -> float:
        """Return the geometric mean of the losses."""
        return exp(self.log_loss)

    @property
    def bound(self) -> float:
        """Return a mean that few trials could hide: they make a network lucky, not good."""
        return self.log_loss + self.error


def pool_deviation(history: History, rung: int) -> float:
    """Return the standard deviation between seeds of the logarithm of a loss, of all networks."""
    return _pool(list_losses(history, rung).values(), PRIOR_SD)


def list_losses(history: History, rung: int) -> dict[int, list[float]]:
    """Return the logarithms of every network's losses at a rung, in the order of the seeds."""
    lines = {each.number: history.list_trials(each.number, rung) for each in history.networks}
    return {
        network: [log(max(line.loss or 0.0, TINY)) for line in found]
        for network, found in lines.items()
        if found
    }


def _pool(groups: Iterable[Sequence[float]], prior: float) -> float:
    several = [values for values in groups if len(values) > 1]
    squares = sum((value - mean(values)) ** 2 for values in several for value in values)
    degrees = sum(len(values) - 1 for values in several)
    return sqrt((PRIOR_WEIGHT * prior**2 + squares) / (PRIOR_WEIGHT + degrees))


def estimate_all(history: History, rung: int, goal: Goal) -> list[Estimate]:
    """Return an estimate of every network with a result at a rung, the best first.

    Networks that are too slow for the search's time come last.
    """
    slowest = history.max_epoch_seconds
    trials = {each.number: history.list_trials(each.number, rung) for each in history.networks}
    losses = list_losses(history, rung)
    deviation = _pool(losses.values(), PRIOR_SD)
    spread = _pool(
        ([line.accuracy or 0.0 for line in lines] for lines in trials.values()), ACCURACY_SD
    )
    found = []
    for network in history.networks:
        lines = trials[network.number]
        if not lines:
            continue
        accuracy = mean(line.accuracy or 0.0 for line in lines)
        half = Z95 * spread / sqrt(len(lines))
        seconds = median(line.train_seconds for line in lines)
        found.append(
            Estimate(
                network=network.number,
                rung=rung,
                n=len(lines),
                log_loss=mean(losses[network.number]),
                error=deviation / sqrt(len(lines)),
                accuracy=accuracy,
                interval=(max(0.0, accuracy - half), min(1.0, accuracy + half)),
                train_seconds=seconds,
                size=seconds if goal.size == "seconds" else network.figures[goal.size],
                is_too_slow=slowest is not None and seconds > slowest * history.rungs[rung],
            )
        )
    return sorted(found, key=lambda each: (each.is_too_slow, each.bound, each.network))


def find_front(estimates: Sequence[Estimate]) -> list[Estimate]:
    """Return the networks that no other one beats in both size and loss, the smallest first."""
    front = list[Estimate]()
    for each in sorted(estimates, key=lambda one: (one.size, one.bound, one.network)):
        if not front or each.bound < front[-1].bound:
            front.append(each)
    return front


def choose_winner(estimates: Sequence[Estimate], goal: Goal) -> Estimate:
    """Return the network to confirm, of at least one.

    That is the most accurate one by its loss, of those that keep to limits of time. With a
    figure to minimize, it is the smallest one whose accuracy is at the limit even one standard
    error lower; if there is none, the most accurate.
    """
    fast = [each for each in estimates if not each.is_too_slow and _has_time(each, goal.budget)]
    estimates = fast or estimates
    limit = goal.budget.min_test_accuracy
    if goal.minimize and limit is not None:
        enough = [each for each in estimates if _lower(each) >= limit]
        if enough:
            return min(enough, key=lambda each: (each.size, each.bound))
    return estimates[0]


def _has_time(estimate: Estimate, budget: Budget) -> bool:
    """Return whether a training on all images keeps to the budget's seconds, by its trials."""
    limits = [each for each in (budget.train_seconds_below, budget.max_train_seconds) if each]
    return all(ALL_IMAGES * estimate.train_seconds < limit for limit in limits)


def _lower(estimate: Estimate) -> float:
    """Return the accuracy less its standard error."""
    return estimate.accuracy - (estimate.accuracy - estimate.interval[0]) / Z95
