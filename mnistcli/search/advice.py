"""What would have helped a search that found no network within the budget."""

from collections.abc import Iterator, Sequence

from mnistcli.preset.budget import Budget
from mnistcli.records.comparisons import RunsDocument
from mnistcli.records.searches import FoundNetwork
from mnistcli.search.history import History
from mnistcli.search.ranking import Estimate, Goal, estimate_all

NEARLY_ALL = 0.8
"""A limit of which the winner needs more than this fraction may be what holds it back."""
ENOUGH = 30
"""Networks that were tried in a search that is no longer short."""


def advise(
    history: History,
    estimates: Sequence[Estimate],
    winner: FoundNetwork,
    runs: RunsDocument,
    goal: Goal,
    exhausted: str | None,
) -> tuple[str, ...]:
    """Return what the trials say about the limits, a sentence each; nothing if all are met.

    Args:
        history: of the search.
        estimates: at the last rung.
        winner: of them.
        runs: its confirmation.
        goal: of the search.
        exhausted: why the space had no other network; None where it had.
    """
    if runs.passed:
        return ()
    missed = {check.name for check in runs.checks if check.verdict != "pass"}
    lines = list[str]()
    if runs.summary.additional_seeds_needed:
        lines.append(
            f"More seeds: {runs.summary.additional_seeds_needed} more may decide. Train "
            "winner.toml with other --seeds."
        )
    if "test_accuracy" in missed:
        lines += [*_about_epochs(history, winner, goal), *_about_size(winner, goal.budget)]
    if exhausted:
        lines.append(f"Another space: {exhausted}")
    elif (tried := history.count_tried()) < ENOUGH:
        lines.append(
            f"A longer search: only {tried} networks were tried, and {len(estimates)} trained for "
            f"{winner.epochs} epochs."
        )
    return tuple(lines)


def _about_epochs(history: History, winner: FoundNetwork, goal: Goal) -> Iterator[str]:
    """Compare the winner's accuracy at the last rung with that at the one before."""
    rung = history.rungs.index(winner.epochs) - 1 if winner.epochs in history.rungs else -1
    if rung < 0:
        return
    before = {each.network: each.accuracy for each in estimate_all(history, rung, goal)}
    if (accuracy := before.get(winner.number)) is not None:
        yield (
            f"More epochs: the winner had {100 * accuracy:.2f} % after {history.rungs[rung]} "
            f"epochs and {100 * winner.accuracy:.2f} % after {winner.epochs}, on held-out images."
        )


def _about_size(winner: FoundNetwork, budget: Budget) -> Iterator[str]:
    """Name the limits that the winner nearly uses up."""
    for limit in budget.limits:
        value = winner.figures.get(limit.figure)
        if value is not None and value > NEARLY_ALL * limit.value:
            yield f"More {limit.figure}: the winner has {value:,} of {limit.value:,}."
