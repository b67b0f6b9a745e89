"""What a run leaves while it goes on: its events, and the state to go on from."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from mnistcli.datasets.examples import CLASSES
from mnistcli.engine.events import Event, StepFinished, TrainingResumed, TrainingStarted
from mnistcli.engine.loop import Learner, Progress, Recipe
from mnistcli.engine.snapshot import is_finite, restore_snapshot, take_snapshot
from mnistcli.errors import FileError
from mnistcli.process import is_stopping
from mnistcli.records.checkpoint import load_state, save_state
from mnistcli.records.documents import CoresetRecord
from mnistcli.records.states import RunState
from mnistcli.records.store import STATE, EventLog

SAVE_SECONDS = 30.0


class Saved:
    """The state that a run goes on from."""

    def __init__(self, folder: Path) -> None:
        """Reads it.

        Raises:
            FileError: it is unreadable, or not such a file.
        """
        self._path = folder / STATE
        self._tensors, self._facts = load_state(folder)

    @property
    def events_bytes(self) -> int:
        """How much of the log belongs to it."""
        return self._facts.events_bytes

    def check_coreset(self, size: int | None) -> CoresetRecord | None:
        """What was chosen before the training began: so many images, or none were chosen.

        Raises:
            FileError: something else was.
        """
        coreset = self._facts.coreset
        if (coreset.size if coreset else None) != size:
            raise FileError(f'"{self._path}" is not of this run: it has another coreset')
        return coreset

    def restore_confusions(self, last_epochs: Sequence[int]) -> list[Tensor]:
        """Of every phase that has ended, int64 (10, 10).

        Args:
            last_epochs: of the phases that are judged.

        Raises:
            FileError: there are other ones.
        """
        tables = [torch.tensor(rows) for rows in self._facts.confusions]
        ended = [epoch for epoch in last_epochs if epoch <= len(self._facts.history)]
        if len(tables) != len(ended) or any(one.shape != (CLASSES, CLASSES) for one in tables):
            raise FileError(f'"{self._path}" is not of this run: it has other phases')
        return tables

    def restore(
        self, learner: Learner, recipe: Recipe, plan_sizes: Sequence[int], images: int
    ) -> Progress:
        """Makes a fresh learner what it was.

        Raises:
            FileError: the state is not of this network and training.
        """
        facts = self._facts.model_dump(exclude_none=True)
        facts["underway"] = facts.get("underway")
        try:
            return restore_snapshot(learner, self._tensors, facts, recipe, plan_sizes, images)
        except ValueError as error:
            raise FileError(f'"{self._path}": {error}') from error


class Reporter:
    """Shows events, and logs those of which there are few."""

    def __init__(
        self, log: EventLog, show: Callable[[Event], None], *, going_on: bool = False
    ) -> None:
        self._log, self._show = log, show
        self._logged_before = going_on

    def __call__(self, event: Event) -> None:
        """Passes the event on; what comes again in a run that goes on is in the log already."""
        if not (self._logged_before or isinstance(event, StepFinished | TrainingResumed)):
            self._log(event)
        if isinstance(event, TrainingStarted):
            self._logged_before = False
        self._show(event)


class RunKeeper:
    """Saves the state after every epoch, every half minute, and where the process is to stop."""

    def __init__(
        self,
        folder: Path,
        learner: Learner,
        log: EventLog,
        coreset: CoresetRecord | None,
        confusions: Sequence[Tensor],
        raise_waiting: Callable[[], None],
    ) -> None:
        self._folder, self._learner, self._log = folder, learner, log
        self._coreset, self._confusions = coreset, confusions
        self._raise_waiting = raise_waiting
        self._last = time.monotonic()

    def is_due(self) -> bool:
        """Whether half a minute has passed, or a signal waits."""
        return is_stopping() or time.monotonic() - self._last >= SAVE_SECONDS

    def keep(self, progress: Progress) -> None:
        """Saves, unless a weight is not finite any more; then stops if that was asked for.

        Raises:
            FileError: it cannot be written.
            Stopped: a signal waited.
        """
        if is_finite(self._learner):
            tensors, facts = take_snapshot(self._learner, progress)
            state = RunState(
                events_bytes=self._log.sync(),
                coreset=self._coreset,
                confusions=tuple(table.tolist() for table in self._confusions),
                **facts,
            )
            save_state(self._folder, tensors, state)
        self._last = time.monotonic()
        self._raise_waiting()
