"""The one value of a training's state: begun or resumed, and how it becomes bytes and back."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from mnistcli.datasets.examples import CLASSES
from mnistcli.engine.evaluation import evaluate, has_finite_outputs
from mnistcli.engine.events import (
    EpochFinished,
    Event,
    PhaseFinished,
    TrainingResumed,
    TrainingStarted,
)
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
from mnistcli.experiment.network import Network, build_network, make_learner, make_recipe
from mnistcli.experiment.rehearsal import rehearse_batches
from mnistcli.experiment.training.members import Member, list_seeds, restore_member, save_members
from mnistcli.experiment.training.phases import (
    PhaseEvaluationSet,
    choose_phase_evaluation_set,
    describe_phases,
    report_phase,
)
from mnistcli.experiment.training.pruning import begin_fine_tuning, name_zeros, prune, take_zeros
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
    """A training under way: the loop's state, the course's place, the phases, and the log.

    Of an ensemble, the networks are trained one after the other: recipe, course and loop are those
    of the one that is trained now.
    """

    setup: TrainingSetup
    log: EventLog
    inputs: SelectionInputs
    indices: Tensor
    """Images to learn from, int64 (k,)."""
    coreset: CoresetRecord | None
    recipe: Recipe
    course: PlannedCourse
    loop: LoopState
    phase_set: PhaseEvaluationSet | None = None
    """Present if the course has phases."""
    confusions: list[Tensor] = field(default_factory=list)
    """Confusion matrix of every finished phase, int64 (10, 10)."""
    zeros: dict[str, Tensor] = field(default_factory=dict)
    """Masks, bool, of the weights that were pruned and stay zero, by name."""
    finished: list[Member] = field(default_factory=list)
    """The networks before the one that is trained now."""

    @property
    def members(self) -> list[Member]:
        """Return all networks of a finished training: a single one, or those of an ensemble."""
        return [*self.finished, Member.of(self.loop, self.recipe.seed)]

    @property
    def history(self) -> list[EpochFinished]:
        """Return the finished epochs of all networks."""
        return [epoch for member in self.members for epoch in member.history]

    def begin_next_stage(self) -> Event | None:
        """Prune the network that has been trained, or keep it and plan the next one.

        Returns:
            The event that tells of it; None if the training has ended.
        """
        if pruned := prune(self):
            return pruned
        if len(self.finished) + 1 == self.setup.preset.members:
            return None
        self.finished = self.members
        plan = _plan_member(self.setup, self.inputs, self.indices, len(self.finished))
        self.recipe, self.course, self.loop = plan
        return self.announce()

    def announce(self) -> TrainingStarted:
        """Return the event that tells what is trained now."""
        recipe, sizes = self.recipe, self.course.sizes
        steps = tuple(map(recipe.count_steps, sizes))
        images = tuple(
            min(size, count * recipe.batch_size) for size, count in zip(sizes, steps, strict=True)
        )
        preset, names = self.setup.preset, tuple(self.course.names)
        seconds = preset.train.within_seconds
        return TrainingStarted(images, steps, names, seconds, self.loop.member, preset.members)

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
        kept, members = save_members(self.finished)
        images, normalization = self.setup.data.train, self.recipe.normalization
        if is_finite(self.loop) and has_finite_outputs(
            self.loop.learner.model, images, normalization
        ):
            state = RunState(
                events_bytes=self.log.sync(),
                coreset=self.coreset,
                pruned_after=self.loop.first,
                confusions=tuple(table.tolist() for table in self.confusions),
                members=members,
                **facts,
            )
            save_state(self.setup.folder, tensors | kept | name_zeros(self.zeros), state)

    def load(self, tensors: dict[str, Tensor], saved: RunState) -> None:
        """Make a fresh state what it was when it was saved.

        Raises:
            ValueError: what was saved belongs to another training.
        """
        if saved.pruned_after:
            first = min(self.course.planned or 0, len(saved.history))
            if saved.pruned_after > first:
                raise ValueError("it belongs to another training: it was pruned elsewhere")
            take_zeros(self, tensors)
            begin_fine_tuning(self, saved.pruned_after)
        facts = saved.model_dump(exclude_none=True)
        facts["epoch"] = facts.get("epoch")
        images = len(self.setup.data.train)
        sizes = self.course.list_sizes(len(facts["history"]) + 1)
        restore_snapshot(self.loop, tensors, facts, self.recipe, sizes, images)
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
    state = _plan(setup, log, inputs, selected, record, [])
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
    try:
        finished = _restore_members(setup, tensors, saved)
        state = _plan(setup, log, inputs, selected, saved.coreset, finished)
        state.load(tensors, saved)
    except ValueError as error:
        raise FileError(f'cannot resume from "{path}": {error}') from error
    for event in _announce(state):
        show(event)
    epoch = state.loop.epoch
    seen = epoch.seen if epoch else 0
    loop = state.loop
    show(TrainingResumed(len(loop.history), seen, loop.seconds, loop.member))
    return state


def _restore_members(
    setup: TrainingSetup, tensors: dict[str, Tensor], saved: RunState
) -> list[Member]:
    """Return the finished networks of an ensemble, whose tensors are taken out.

    Raises:
        ValueError: they belong to another training.
    """
    seeds, finished = list_seeds(setup.preset, setup.seed), list[Member]()
    if len(saved.members) >= len(seeds):
        raise ValueError("it belongs to another training: it has more members")
    for number, member in enumerate(saved.members):
        model = _build_member(setup, number).model
        finished.append(restore_member(number, seeds[number], model, tensors, member))
    return finished


def _plan(
    setup: TrainingSetup,
    log: EventLog,
    inputs: SelectionInputs,
    selected: SelectedCoreset | None,
    record: CoresetRecord | None,
    finished: list[Member],
) -> TrainingState:
    """Return the state before the first batch, for a fresh and for a resumed training."""
    data = setup.data
    indices = selected.tensor if selected else torch.arange(len(data.train))
    plan = _plan_member(setup, inputs, indices, len(finished))
    state = TrainingState(setup, log, inputs, indices, record, *plan, finished=finished)
    if state.course.phases:
        right = replace(data.train, labels=data.right_labels)
        state.phase_set = choose_phase_evaluation_set(right, indices, data.validation, setup.seed)
    return state


def _plan_member(
    setup: TrainingSetup, inputs: SelectionInputs, indices: Tensor, number: int
) -> tuple[Recipe, PlannedCourse, LoopState]:
    """Return recipe, course and fresh state of a network's training, by its number from 0."""
    preset, data, network = setup.preset, setup.data, _build_member(setup, number)
    recipe = make_recipe(preset, list_seeds(preset, setup.seed)[number], setup.machine)
    course = make_course(preset, indices, data.train, recipe, inputs.score, network.model)
    if preset.curriculum:
        rehearse_batches(preset, network, course.sizes, setup.machine)
    learner = make_learner(preset.stages[0], network, course.stage_sizes, recipe)
    return recipe, course, LoopState(learner, member=number + 1 if preset.ensemble else None)


def _build_member(setup: TrainingSetup, number: int) -> Network:
    """Return an untrained network of the run, by its number from 0."""
    if number == 0:
        return setup.unpruned
    seed = list_seeds(setup.preset, setup.seed)[number]
    return build_network(setup.preset, seed, setup.machine)


def _announce(state: TrainingState) -> list[Event]:
    """Return the events that tell what the training will be."""
    return [*describe_phases(state.course, state.recipe), state.announce()]
