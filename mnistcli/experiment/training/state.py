"""The one value of a training's state: begun or resumed, and how it becomes bytes and back."""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from mnistcli.datasets.examples import CLASSES
from mnistcli.engine.evaluation import evaluate, has_finite_outputs
from mnistcli.engine.events import Event, PhaseFinished, TrainingResumed, TrainingStarted
from mnistcli.engine.snapshot import is_finite, restore_snapshot, take_snapshot
from mnistcli.engine.stages import Stages
from mnistcli.engine.state import LoopState, Recipe
from mnistcli.errors import FileError
from mnistcli.experiment.coresets.select import (
    SelectedCoreset,
    SelectionInputs,
    read_coreset,
    select_coreset,
)
from mnistcli.experiment.course import make_course
from mnistcli.experiment.network import make_learner, make_recipe, rehearse_batches
from mnistcli.experiment.training.phases import (
    PhaseEvaluationSet,
    choose_phase_evaluation_set,
    describe_phases,
    report_phase,
)
from mnistcli.experiment.training.setup import TrainingSetup
from mnistcli.records.arrays import INDICES
from mnistcli.records.checkpoint import load_state, save_state
from mnistcli.records.documents import CoresetRecord
from mnistcli.records.log import EventLog
from mnistcli.records.states import RunState
from mnistcli.records.store import STATE
from mnistcli.selection.course import PlannedCourse


@dataclass
class TrainingState:
    """A training under way: the loop's state, the course's place, the phases, and the log."""

    setup: TrainingSetup
    log: EventLog
    recipe: Recipe
    course: PlannedCourse
    coreset: CoresetRecord | None
    phase_set: PhaseEvaluationSet | None
    """Present if the course has phases."""
    loop: LoopState
    confusions: list[Tensor] = field(default_factory=list)
    """Confusion matrix of every finished phase, int64 (10, 10)."""

    def finish_phase(self) -> PhaseFinished | None:
        """Evaluate the phase that the last epoch ends, if it ends one, and return its event."""
        number, phases = len(self.confusions), self.course.phases
        if self.phase_set is None or number == len(phases):
            return None
        if phases[number].last_epoch != len(self.loop.history):
            return None
        model, normalization = self.loop.learner.result, self.setup.preset.normalization
        found = evaluate(model, self.phase_set.examples, normalization)
        self.confusions.append(found.confusion)
        return report_phase(phases, self.confusions)

    def save(self) -> None:
        """Write state.safetensors, unless it or the network's outputs are not finite any more.

        Raises:
            FileError: it cannot be written.
        """
        tensors, facts = take_snapshot(self.loop)
        images, normalization = self.setup.data.train, self.recipe.normalization
        if is_finite(self.loop) and has_finite_outputs(
            self.loop.learner.model, images, normalization
        ):
            state = RunState(
                events_bytes=self.log.sync(),
                coreset=self.coreset,
                confusions=tuple(table.tolist() for table in self.confusions),
                **facts,
            )
            save_state(self.setup.folder, tensors, state)

    def load(self, tensors: dict[str, Tensor], saved: RunState) -> None:
        """Make a fresh state what it was when it was saved.

        Raises:
            ValueError: what was saved belongs to another training.
        """
        facts = saved.model_dump(exclude_none=True)
        facts["epoch"] = facts.get("epoch")
        images = len(self.setup.data.train)
        restore_snapshot(self.loop, tensors, facts, self.recipe, self.course.sizes, images)
        self.course.place = len(self.loop.history) + (self.loop.epoch is not None)
        self.confusions = [torch.tensor(rows) for rows in saved.confusions]
        finished = [
            phase for phase in self.course.phases if phase.last_epoch <= len(self.loop.history)
        ]
        shapes = [table.shape for table in self.confusions]
        if shapes != [(CLASSES, CLASSES)] * len(finished):
            raise ValueError("it belongs to another training: it has other phases")
        self.log.truncate(saved.events_bytes)


def begin(setup: TrainingSetup, log: EventLog, show: Callable[[Event], None]) -> TrainingState:
    """Select the coreset and plan the course: the state before the first batch, saved.

    Args:
        setup: what was prepared.
        log: is emptied first, then holds the events of the selection and the plan.
        show: is called with these events.

    Raises:
        PresetError: coreset or curriculum do not fit the data.
        FileError: the run folder cannot be written.
    """
    log.truncate(0)

    def emit(event: Event) -> None:
        log(event)
        show(event)

    stages = Stages(emit)
    inputs = SelectionInputs(setup.data.train, setup.seed, setup.machine, stages)
    selected, settings = setup.given, setup.preset.coreset
    if settings and not selected:
        selected = select_coreset(settings, setup.data.train, setup.seed, inputs, stages)
    record = selected.save(setup.folder, None if setup.given else settings) if selected else None
    state = _plan(setup, log, inputs, selected, record)
    for event in _announce(state):
        emit(event)
    state.save()
    return state


def resume(setup: TrainingSetup, log: EventLog, show: Callable[[Event], None]) -> TrainingState:
    """Restore the state that an interrupted process saved.

    Args:
        setup: what was reopened.
        log: loses what was written after the state was saved.
        show: is called with the events of the plan again; they are in the log already.

    Raises:
        FileError: the state is unreadable, or belongs to another network or training.
    """
    path = setup.folder / STATE
    tensors, saved = load_state(setup.folder)
    has_coreset = bool(setup.given or setup.preset.coreset)
    selected = read_coreset(setup.folder / INDICES, setup.data.train) if has_coreset else None
    size = len(selected.indices) if selected else None
    if (saved.coreset.size if saved.coreset else None) != size:
        raise FileError(f'cannot resume: "{path}" belongs to a run with another coreset')
    inputs = SelectionInputs(setup.data.train, setup.seed, setup.machine, Stages(show))
    state = _plan(setup, log, inputs, selected, saved.coreset)
    try:
        state.load(tensors, saved)
    except ValueError as error:
        raise FileError(f'cannot resume from "{path}": {error}') from error
    for event in _announce(state):
        show(event)
    epoch = state.loop.epoch
    show(TrainingResumed(len(state.loop.history), epoch.seen if epoch else 0))
    return state


def _plan(
    setup: TrainingSetup,
    log: EventLog,
    inputs: SelectionInputs,
    selected: SelectedCoreset | None,
    record: CoresetRecord | None,
) -> TrainingState:
    """Return the state before the first batch, for a fresh and for a resumed training."""
    preset, data, network = setup.preset, setup.data, setup.network
    indices = selected.tensor if selected else torch.arange(len(data.train))
    recipe = make_recipe(preset, setup.seed, setup.machine)
    course = make_course(preset, indices, data.train, recipe, inputs.score, network.model)
    if preset.curriculum:
        rehearse_batches(preset, network, course.sizes, setup.machine)
    learner = make_learner(preset, network, course.sizes, recipe)
    phase_set = None
    if course.phases:
        phase_set = choose_phase_evaluation_set(data.train, indices, data.validation, setup.seed)
    return TrainingState(setup, log, recipe, course, record, phase_set, LoopState(learner))


def _announce(state: TrainingState) -> list[Event]:
    """Return the events that tell what the training will be."""
    recipe, sizes = state.recipe, state.course.sizes
    steps = tuple(map(recipe.count_steps, sizes))
    images = tuple(
        min(size, count * recipe.batch_size) for size, count in zip(sizes, steps, strict=True)
    )
    started = TrainingStarted(images, steps, tuple(state.course.names))
    return [*describe_phases(state.course, recipe), started]
