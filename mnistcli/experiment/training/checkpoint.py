"""What is saved of a training so that it can resume, and what is said when it ends early."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from shlex import quote

from mnistcli.engine.events import EpochFinished, Event, StepFinished
from mnistcli.engine.network.contain import contain
from mnistcli.errors import DivergedError, ShortageError, WriteError, is_shortage
from mnistcli.experiment.network import advise_after_divergence
from mnistcli.experiment.training.state import TrainingState
from mnistcli.preset.schema import Preset
from mnistcli.process import Stopped, is_stopping
from mnistcli.records import store
from mnistcli.records.states import DivergenceDocument

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


@contextmanager
def explain_ending(folder: Path, preset: Preset) -> Iterator[None]:
    """Say how to resume after a signal or a full disk; keep where a training diverged."""
    advice = f"resume with: mnistcli train --resume {quote(str(folder))}"
    try:
        with contain(preset.model.code):
            yield
    except Stopped as stopped:
        stopped.advice = stopped.advice or advice
        raise
    except WriteError as error:
        raise WriteError(f"{error}; {advice}") from error
    except DivergedError as error:
        document = DivergenceDocument(**asdict(error.divergence))
        store.write_document(folder / store.DIVERGENCE, document)
        error.advice = advise_after_divergence(preset)
        raise
    except Exception as error:
        if is_shortage(error):
            raise ShortageError(advice) from error
        raise
