"""New networks: drawn at random, or from the best ones, until one fits the budget."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from mnistcli.errors import PresetError
from mnistcli.preset.schema import Preset
from mnistcli.preset.space import Space
from mnistcli.records.documents import Check
from mnistcli.records.searches import Decisions, NetworkLine, SearchPlan
from mnistcli.search.fit import Counted
from mnistcli.search.history import History
from mnistcli.search.plan import Search
from mnistcli.search.ranking import Estimate, Goal, estimate_all, find_front
from mnistcli.search.variation import cross, draw, mutate, shrink

RANDOM_FRACTION = 0.25
"""Fraction of the networks after the first round that are drawn at random."""
CROSSOVER_FRACTION = 0.5
"""Fraction of the others that have two parents."""
OTHERS = 2
"""Networks that are drawn beside a random one where the largest is wanted."""
TRIES = 200
"""Networks that are drawn for one that fits."""
SHRINKS = 60
"""Steps in which one is made smaller."""
ELITE = 8
"""Networks that may be parents beside those of the front."""

Count = Callable[[Preset], Counted]
Proposal = tuple[Decisions, Preset]
Origin = Literal["random", "mutation", "crossover"]


def propose(search: Search, history: History, round_: int, count: Count) -> NetworkLine:
    """Return a new network that fits; the same one for the same search and history.

    A network that is too large is made smaller, step by step, and counted again. No network is
    trained for that.

    Args:
        search: for its space, budget and seed.
        history: with the networks proposed so far; trials of the round itself do not matter.
        round_: that the network is for.
        count: counts a network's figures.

    Raises:
        PresetError: none that fits was found.
    """
    number = len(history.networks)
    generator = np.random.default_rng([search.plan.seed, number])
    known, taken = history.before(round_), [each.decisions for each in history.networks]
    fitting = Fitting(search.space, count, generator)
    for _ in range(TRIES):
        origin, network = _vary(search, known, generator, is_first=round_ == 0)
        drawn = [network]
        if origin == "random" and _wants_large(search.plan):
            drawn += [draw(search.space, generator) for _ in range(OTHERS)]
        fits = [each for each in map(fitting.fit, drawn) if each and each[0] not in taken]
        if fits:
            decisions, figures = max(fits, key=lambda each: each[1]["parameters"])
            return NetworkLine(
                number=number,
                round=round_,
                decisions=decisions,
                figures=figures,
                origin=origin,
                rejected=fitting.rejected,
            )
    reason = "; ".join(fitting.reasons.values()) or "all of them were tried"
    raise PresetError(
        f'no new network of the space "{search.space.name}" fits the budget: {reason}. Change '
        "the budget, or search another --space."
    )


def _wants_large(plan: SearchPlan) -> bool:
    """Return whether a network is the more accurate, the nearer it comes to the limits."""
    is_limited = "parameters" in plan.budget.figures
    return is_limited and plan.minimize is None and plan.sampler != "random"


@dataclass
class Fitting:
    """Makes networks smaller until they fit."""

    space: Space
    count: Count
    generator: np.random.Generator
    rejected: int = 0
    """Networks that did not fit."""
    reasons: dict[str, str] = field(default_factory=dict)
    """What did not fit, by figure."""

    def fit(self, network: Proposal) -> tuple[Decisions, dict[str, int]] | None:
        """Return the decisions and figures of a network that fits, as large as it can be.

        Returns:
            None if it cannot be built, or not be made small enough.
        """
        for _ in range(SHRINKS):
            decisions, preset = network
            try:
                counted = self.count(preset)
            except PresetError as error:
                self.reasons.setdefault("", str(error))
                return None
            if not counted.exceeded:
                return decisions, counted.figures
            self.rejected += 1
            self.reasons |= {check.name: _describe(check) for check in counted.exceeded}
            smaller = shrink(self.space, decisions, self.generator)
            if smaller is None:
                return None
            network = smaller
        return None


def _describe(check: Check) -> str:
    return f"{check.name} {check.comparison} {check.limit:,}, but one has {check.value:,}"


def _vary(
    search: Search, known: History, generator: np.random.Generator, *, is_first: bool
) -> tuple[Origin, Proposal]:
    is_random = is_first or search.plan.sampler == "random"
    parents = [] if is_random else _choose_parents(known, search.goal)
    if not parents or generator.random() < RANDOM_FRACTION:
        return "random", draw(search.space, generator)
    one, other = (known.networks[_pick(parents, generator).network].decisions for _ in range(2))
    if one != other and generator.random() < CROSSOVER_FRACTION:
        return "crossover", cross(search.space, one, other, generator)
    return "mutation", mutate(search.space, one, generator)


def _choose_parents(known: History, goal: Goal) -> list[Estimate]:
    """Return the best networks at the last rung, with the Pareto front among them."""
    estimates = estimate_all(known, known.last_rung, goal)
    best = estimates[:ELITE]
    numbers = {each.network for each in best}
    return best + [each for each in find_front(estimates) if each.network not in numbers]


def _pick(parents: list[Estimate], generator: np.random.Generator) -> Estimate:
    """Return the better one of two, drawn at random."""
    first, second = (int(each) for each in generator.integers(len(parents), size=2))
    return parents[min(first, second)]
