"""What is saved while a training runs, so that it can resume after whatever ends the process."""

import time
from collections.abc import Callable

from mnistcli.engine.events import EpochFinished, Event, StepFinished
from mnistcli.experiment.training.state import TrainingState
from mnistcli.process import is_stopping

SAVE_SECONDS = 30.0


class Checkpointer:
    """A listener that saves the state after every epoch, every 30 seconds, and before stopping."""

    def __init__(self, state: TrainingState, raise_waiting: Callable[[], None]) -> None:
        self._state, self._raise_waiting = state, raise_waiting
        self._last = time.monotonic()

    def __call__(self, event: Event) -> None:
        """Save the state if it is due; then stop if a signal has come.

        Raises:
            FileError: the state cannot be written.
            Stopped: a signal has come.
        """
        if isinstance(event, EpochFinished) or (isinstance(event, StepFinished) and self._is_due):
            self._state.save()
            self._last = time.monotonic()
            self._raise_waiting()

    @property
    def _is_due(self) -> bool:
        return is_stopping() or time.monotonic() - self._last >= SAVE_SECONDS
