"""Options of several runs: seeds, and who runs them."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from mnistcli.errors import UsageError

if TYPE_CHECKING:
    from mnistcli.experiment.workers import Workers
    from mnistcli.records.comparisons import DivergedTrial

NUMBERS_LIMIT = 1_000


def parse_numbers(text: str, option: str) -> tuple[int, ...]:
    """Parse "0-4", "0,3,5" or "0-4,9" into its numbers, in that order and without repetition.

    Raises:
        UsageError: the text is no such list, or has more than a thousand numbers.
    """
    numbers: dict[int, None] = {}
    for part in text.split(","):
        found = re.fullmatch(r"\s*(\d{1,15})\s*(?:-\s*(\d{1,15})\s*)?", part, re.ASCII)
        first = int(found[1]) if found else 0
        last = int(found[2] or first) if found else -1
        if last < first:
            raise UsageError(f'{option} needs numbers such as 0-4 or 0,3,5: got "{text}"')
        if len(numbers) + last - first >= NUMBERS_LIMIT:
            raise UsageError(f"{option} takes at most {NUMBERS_LIMIT:,} numbers")
        numbers |= dict.fromkeys(range(first, last + 1))
    return tuple(numbers)


def read_workers(jobs: int | None, cluster: str | None) -> "Workers":
    """Choose who runs several jobs.

    Raises:
        UsageError: both options were given.
    """
    from mnistcli.experiment.workers import Workers

    if cluster and jobs is not None:
        raise UsageError("--jobs cannot be combined with --cluster: its workers set the number")
    return Workers(1, cluster) if cluster else Workers.here(jobs)


def refuse_workers(jobs: int | None, cluster: str | None, needed: str) -> None:
    """Refuse --jobs and --cluster for a single run.

    Raises:
        UsageError: either option was given.
    """
    if jobs is not None or cluster:
        raise UsageError(f"--jobs and --cluster are for several runs: they need {needed}")


def warn_of_diverged(diverged: "Sequence[DivergedTrial]", *, quiet: bool) -> None:
    """Print a warning for every trial of a study that diverged."""
    from mnistcli.cli.output import print_warnings

    if not quiet:
        print_warnings(f"{each.arm}, seed {each.seed}: {each.reason}" for each in diverged)
