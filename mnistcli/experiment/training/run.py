"""Setup → state → trained network → record."""

import time
from collections.abc import Callable
from dataclasses import replace

from mnistcli.engine.evaluation import evaluate
from mnistcli.engine.events import EpochFinished, Event, StepFinished
from mnistcli.engine.loop import train
from mnistcli.engine.profiling import measure_ceiling
from mnistcli.errors import DivergedError
from mnistcli.experiment.training.checkpoint import Checkpointer, explain_ending
from mnistcli.experiment.training.members import combine
from mnistcli.experiment.training.record import make_profile, make_record
from mnistcli.experiment.training.setup import TrainingSetup
from mnistcli.experiment.training.state import TrainingState, begin, resume
from mnistcli.process import defer_signals
from mnistcli.records import folders, store
from mnistcli.records.checkpoint import save_weights
from mnistcli.records.documents import RunRecord
from mnistcli.records.log import EventLog


def run(setup: TrainingSetup, show: Callable[[Event], None], *, profile: bool = False) -> RunRecord:
    """Train or resume, evaluate once, and leave record, events and weights.

    Args:
        setup: what was prepared or reopened; its network is trained in place.
        show: is called with every event.
        profile: whether to measure the network's own speed afterwards.

    Raises:
        DivergedError: a loss or the network's outputs are not finite.
        FileError: the run folder cannot be written, or another process trains this run.
        Stopped: a signal came; its advice says how to resume.
    """
    folder = setup.folder
    with folders.lock_run(folder):
        folders.remove_leftovers(folder)
        if (folder / store.RECORD).exists():
            return store.read_record(folder)
        with explain_ending(folder, setup.preset), EventLog(folder) as log:
            start = resume if (folder / store.STATE).exists() else begin
            state = start(setup, log, show)
            try:
                _train(state, show)
                record = _finish(state, profile=profile)
            except FloatingPointError as error:
                place = state.loop.divergence(state.recipe)
                raise DivergedError(replace(place, member=state.loop.member)) from error
            except DivergedError as error:
                place = replace(error.divergence, member=state.loop.member)
                raise DivergedError(place, error.advice) from error
            store.write_record(folder, record)
        folders.remove_leftovers(folder)
    return record


def _train(state: TrainingState, show: Callable[[Event], None]) -> None:
    setup = state.setup
    with defer_signals() as raise_waiting:
        checkpoint = Checkpointer(state, raise_waiting)

        def report(event: Event) -> None:
            if not isinstance(event, StepFinished):
                state.log(event)
            show(event)

        def listen(event: Event) -> None:
            report(event)
            if isinstance(event, EpochFinished) and (finished := state.finish_phase()):
                report(finished)
            checkpoint(event)

        def train_stage() -> None:
            course, recipe = state.course, state.recipe
            train(state.loop, setup.data.train, course, recipe, setup.data.validation, listen)

        train_stage()
        while begun := state.begin_next_stage():
            report(begun)
            state.save()
            train_stage()


def _finish(state: TrainingState, *, profile: bool) -> RunRecord:
    """Read the test set once, or the held-out images; save weights and return the record."""
    setup, model = state.setup, combine(state.members, state.setup.preset)
    begin_time = time.perf_counter()
    tested = evaluate(model, setup.data.test, setup.preset.normalization)
    evaluation_seconds = time.perf_counter() - begin_time
    record = make_record(state, model, tested, save_weights(model, setup.folder))
    if not profile:
        return record
    ceiling = measure_ceiling(state.loop.learner, setup.data.train, state.recipe)
    measured = make_profile(state.history, evaluation_seconds, ceiling)
    return record.model_copy(update={"profile": measured})
