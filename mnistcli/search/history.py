"""What a search knows: the networks it has proposed, and the trials that have finished."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from mnistcli.errors import FileError
from mnistcli.records.searches import (
    LOG,
    NetworkLine,
    RungsLine,
    SearchLine,
    TrialLine,
    WinnerLine,
)

COUNTED = {"parameters", "macs"}
"""Figures that every network has."""
MAX_RUNGS = 3


class Trial(NamedTuple):
    """A training of a network, at a rung, from one of the search's seeds."""

    network: int
    rung: int
    turn: int
    """Which of the seeds, from 0."""


@dataclass
class History:
    """The lines of a search's log, by what they are about."""

    networks: list[NetworkLine] = field(default_factory=list)
    trials: dict[Trial, TrialLine] = field(default_factory=dict)
    rungs: tuple[int, ...] = ()
    """Number of epochs at every rung; empty until that is decided."""
    max_epoch_seconds: float | None = None
    """Max time of an epoch of a network that is confirmed; None without a limit."""
    winner: WinnerLine | None = None
    """Present once no more trials are run."""
    _results: dict[tuple[int, int], dict[int, TrialLine]] = field(
        default_factory=lambda: defaultdict(dict), repr=False, compare=False
    )
    """Trials that did not fail, by network and rung and by seed."""

    def add(self, line: SearchLine) -> None:
        """Take in a line of the log.

        Raises:
            ValueError: it does not follow from those before.
        """
        match line:
            case NetworkLine():
                _require(line.number == len(self.networks) and COUNTED <= line.figures.keys())
                self.networks.append(line)
            case TrialLine():
                _require(line.network < len(self.networks) and line.rung < MAX_RUNGS)
                self.trials[Trial(line.network, line.rung, line.turn)] = line
                if line.loss is not None:
                    self._results[line.network, line.rung][line.turn] = line
            case RungsLine():
                self.rungs, self.max_epoch_seconds = line.epochs, line.max_epoch_seconds
            case WinnerLine():
                _require(line.network < len(self.networks))
                self.winner = line

    @property
    def last_rung(self) -> int:
        """Return the last rung that any network has reached."""
        return max((rung for _, rung in self._results), default=0)

    @property
    def elapsed(self) -> float:
        """Return the seconds that the search had taken when its last trial finished."""
        if self.winner:
            return self.winner.elapsed
        return max((line.elapsed for line in self.trials.values()), default=0.0)

    def count_tried(self) -> int:
        """Return how many networks have been trained at all."""
        return len({trial.network for trial in self.trials})

    def of_round(self, number: int) -> list[NetworkLine]:
        """Return the networks that a round began with."""
        return [network for network in self.networks if network.round == number]

    def before(self, number: int, turn: int = 0) -> "History":
        """Return what was known before a round, or before one of its turns at the last rung."""
        found = History(self.networks, rungs=self.rungs, max_epoch_seconds=self.max_epoch_seconds)
        for trial, line in self.trials.items():
            if line.round < number or (line.round == number and trial.turn < turn):
                found.add(line)
        return found

    def list_trials(self, network: int, rung: int) -> list[TrialLine]:
        """Return a network's trials at a rung that have a result, in the order of the seeds."""
        found = self._results.get((network, rung), {})
        return [found[turn] for turn in sorted(found)]


def _require(is_true: bool) -> None:
    if not is_true:
        raise ValueError("it does not follow from the lines before")


def replay(lines: Iterable[SearchLine]) -> History:
    """Return the history that the lines of a log tell.

    Raises:
        FileError: a line does not follow from those before.
    """
    history = History()
    for number, line in enumerate(lines, start=1):
        try:
            history.add(line)
        except ValueError as error:
            raise FileError(f"{LOG}, line {number}: {error}") from error
    return history
