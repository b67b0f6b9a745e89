"""Which trials come next: rungs of epochs, from which clearly worse networks drop out.

A round begins with new networks. All of them are trained for the first rung's epochs, from the same
seed and on the same images in the same order, so that their losses can be compared. Those that are
clearly worse than the best are dropped, at most half of them; the others are trained anew for the
next rung's epochs, with a schedule of that length. At the last rung the best networks of all rounds
get more seeds, but not after the first round, whose networks are random, unless it is the only one.
Which trials are run follows from their results alone, however many ran at once: while the last ones
of a rung run, networks that stay whatever these give begin with the next one.

Source: successive halving (Jamieson & Talwalkar 2016), with tests as in F-Race (Birattari et al.
2002).
"""

from collections.abc import Sequence
from math import sqrt

from mnistcli.search.history import History, Trial
from mnistcli.search.ranking import Estimate, Goal, estimate_all, find_front, pool_deviation

FIRST_EPOCHS = 2
"""Epochs of the first rung: after a single one, networks are ranked badly."""
TURNS = 3
"""Seeds of the best networks at the last rung."""
CONTESTANTS = 2
"""Networks of a round, or of those before, that get more seeds."""
Z = 1.6449
"""One-sided 95 % quantile of the normal distribution."""


def plan_rungs(epochs: int) -> tuple[int, ...]:
    """Return the number of epochs at every rung, up to the whole training's."""
    if epochs <= FIRST_EPOCHS:
        return (epochs,)
    if epochs <= 4 * FIRST_EPOCHS:
        return FIRST_EPOCHS, epochs
    return FIRST_EPOCHS, round(sqrt(FIRST_EPOCHS * epochs)), epochs


def plan_trials(history: History, goal: Goal, *, is_last: bool = False) -> list[Trial]:
    """Return the trials that are still missing in the round under way, the most promising first.

    Args:
        history: what is known.
        goal: what the search is after.
        is_last: whether no other round can follow.

    Returns:
        Trials that may run in any order, or at once; nothing if the round has ended.
    """
    number = max((each.round for each in history.networks), default=0)
    alive = [each.number for each in history.of_round(number)]
    for rung in range(len(history.rungs)):
        if missing := _find_missing(history, [Trial(each, rung, 0) for each in alive]):
            certain = find_certain(history, alive, rung, goal)
            return missing + _find_missing(history, [Trial(each, rung + 1, 0) for each in certain])
        alive = drop_worse(history, number, alive, rung, goal)
    for turn in range(1, TURNS if number or is_last else 1):
        known = history.before(number, turn)
        best = choose_contestants(known, turn, goal)
        last = len(history.rungs) - 1
        if missing := _find_missing(history, [Trial(each, last, turn) for each in best]):
            return missing
    return []


def _find_missing(history: History, trials: Sequence[Trial]) -> list[Trial]:
    return [trial for trial in trials if trial not in history.trials]


def drop_worse(
    history: History, number: int, alive: Sequence[int], rung: int, goal: Goal
) -> list[int]:
    """Return which networks of a round reach the next rung, the best first.

    A network is clearly worse if its loss is above the best one's by more than what different seeds
    explain (one-sided, 5 %); with a figure to minimize, only networks that are no larger count. At
    most half of the networks are dropped for that. Failed ones are always dropped, and those that
    are too slow for the search's time, which no other one is compared with.
    """
    deviation = pool_deviation(history.before(number), len(history.rungs) - 1)
    known = estimate_all(history.before(number, turn=1), rung, goal)
    rivals = [each for each in known if not each.is_too_slow]
    ranked = [each for each in rivals if each.network in set(alive)]
    worse = [
        each.network
        for each in ranked
        if any(
            other.log_loss + Z * deviation * sqrt(1 / other.n + 1 / each.n) < each.log_loss
            and (goal.minimize is None or other.size <= each.size)
            for other in rivals
        )
    ]
    dropped = set(worse[::-1][: len(ranked) // 2])
    return [each.network for each in ranked if each.network not in dropped]


def find_certain(history: History, alive: Sequence[int], rung: int, goal: Goal) -> list[int]:
    """Return which networks reach the next rung whatever the unfinished ones of a rung give.

    Of those that are clearly worse than the best, only as many are dropped as there are in half of
    the round, the worst first. So a network stays that is better than so many. With a figure to
    minimize, what is worse need not be dropped, and nothing is certain.
    """
    if goal.minimize or rung + 1 == len(history.rungs):
        return []
    mine = [each for each in estimate_all(history, rung, goal) if each.network in set(alive)]
    ranked = [each for each in mine if not each.is_too_slow]
    return [each.network for each in ranked[: max(0, len(ranked) - len(alive) // 2)]]


def choose_contestants(known: History, turn: int, goal: Goal) -> list[int]:
    """Return the networks that get one more seed: those that may be the best, at most two.

    Networks that have had this turn need not have it again, and leave their place to others.
    """
    last = len(known.rungs) - 1
    found = estimate_all(known, last, goal)
    estimates = [each for each in found if not each.is_too_slow]
    if not estimates:
        return []
    limit = goal.budget.min_test_accuracy
    if goal.minimize and limit is not None:
        front = [each for each in find_front(estimates) if each.interval[1] >= limit]
        if front:
            return _choose_open(known, front, turn)
    best = estimates[0]
    near = [
        each
        for each in estimates
        if each.log_loss - best.log_loss <= Z * sqrt(each.error**2 + best.error**2)
    ]
    return _choose_open(known, near, turn)


def _choose_open(known: History, estimates: Sequence[Estimate], turn: int) -> list[int]:
    """Return the first networks that have not had this turn."""
    found = [
        each.network for each in estimates if (each.network, each.rung, turn) not in known.trials
    ]
    return found[:CONTESTANTS]
