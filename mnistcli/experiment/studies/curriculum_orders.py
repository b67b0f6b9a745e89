"""Compare a curriculum with no curriculum, a random order in the same pacing, and its reverse."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Literal

import torch

from mnistcli.engine.device import make_generator
from mnistcli.engine.events import Emit
from mnistcli.engine.stages import Stages
from mnistcli.errors import PresetError
from mnistcli.experiment.coresets.select import SelectionInputs, select_coreset
from mnistcli.experiment.course import make_course
from mnistcli.experiment.data import load_data
from mnistcli.experiment.machine import Options, choose_machine
from mnistcli.experiment.studies.paired_study import Arm, ArmTrials, run_study
from mnistcli.experiment.studies.trial import TrialJob, TrialSetting, check_unseen
from mnistcli.experiment.workers import Workers
from mnistcli.preset.coreset import Score
from mnistcli.preset.curriculum import Curriculum, Groups, Hardest, Paced, SelfPaced
from mnistcli.preset.schema import Preset
from mnistcli.records.comparisons import ArmResult, CurriculumComparison
from mnistcli.selection.coreset.groups import Floats, Indices
from mnistcli.selection.course import PlannedCourse
from mnistcli.selection.plans import fill_steps, match_steps

Order = Literal["curriculum", "none", "random", "reversed"]
ORDERS: tuple[Order, ...] = ("curriculum", "none", "random", "reversed")
REVERSED_BY: Score = "loss"
"""Score that reverses a self-paced curriculum, which has none of its own."""


@dataclass(frozen=True)
class OrderPlan:
    """Trains in one order, for as many optimizer steps as the curriculum itself."""

    order: Order
    preset: Preset
    indices: Indices | None
    """Coreset to learn from; None for all images."""
    scores: Floats | None
    """Scores of all images, float32 (n,), if one of the orders goes by them."""

    def __call__(self, setting: TrialSetting) -> PlannedCourse:
        """Plan the course of a trial."""
        examples, recipe = setting.data.train, setting.recipe
        everything = torch.arange(len(examples))
        indices = everything if self.indices is None else torch.from_numpy(self.indices)
        own = make_course(self.preset, indices, examples, recipe, self._score, setting.model)
        steps = sum(map(recipe.count_steps, own.sizes))
        generator = make_generator(recipe.seed, "selection")
        if self.order == "curriculum":
            return own
        if self.order == "none":
            return fill_steps(indices, steps, recipe, generator)
        if self.order == "random" and isinstance(self.preset.curriculum, Groups):
            # The same sizes, phase by phase, of images whose digits are mixed up.
            mixed = examples.labels.clone()
            shuffled = torch.randperm(len(indices), generator=generator)
            mixed[indices] = mixed[indices[shuffled]]
            examples = replace(examples, labels=mixed)
        other = self.preset.model_copy(
            update={"curriculum": vary(self.preset.curriculum, self.order)}
        )
        course = make_course(other, indices, examples, recipe, self._score, setting.model)
        return match_steps(course, indices, steps, recipe, generator)

    def _score(self, name: Score) -> Floats:
        assert self.scores is not None
        return self.scores


def list_orders(settings: Curriculum | None) -> tuple[Order, ...]:
    """Return the orders to compare: a choice by the losses of the training has no reverse."""
    return ORDERS[:3] if isinstance(settings, Hardest) else ORDERS


def vary(settings: Curriculum | None, order: Order) -> Curriculum | None:
    """Return the curriculum in a random order, or reversed, in the same pacing."""
    match settings:
        case Groups() if order == "reversed":
            names, targets = settings.names[::-1], settings.targets[::-1]
            return settings.model_copy(
                update={"groups": settings.groups[::-1], "names": names, "targets": targets}
            )
        case Hardest():
            return settings.model_copy(update={"random_share": 1.0})
        case Groups() | None:
            return settings
        case Paced():
            other = "easy_first" if settings.order == "hard_first" else "hard_first"
            return settings.model_copy(update={"order": "random" if order == "random" else other})
        case _:
            return Paced(
                kind="paced",
                pacing=settings.pacing,
                rounds=settings.rounds,
                score=REVERSED_BY,
                order="random" if order == "random" else "hard_first",
            )


def compare_orders(
    preset: Preset, seeds: Sequence[int], workers: Workers, options: Options, emit: Emit
) -> CurriculumComparison:
    """Train in each order from every seed, in equally many optimizer steps.

    Test images are read only if the preset holds none out, and once a trial.

    Args:
        preset: has a [curriculum].
        seeds: one trial for each order and seed.
        workers: who runs the trials.
        options: device, precision, threads, data and output folder.
        emit: told of every stage of a selection and of every trial.

    Raises:
        PresetError: there is no [curriculum], or it does not fit the data.
        UsageError: the workers differ.
        FileError: data cannot be read or results cannot be written.
    """
    options = workers.fix_machine(options)
    check_unseen(preset, options)
    load = lru_cache(maxsize=1)(partial(_load, preset, options, emit))

    def prepare(order: Order, seed: int) -> TrialJob:
        plan = OrderPlan(order, preset, load(seed).indices, load(seed).scores)
        return TrialJob(order, preset, replace(options, seed=seed), plan)

    orders = list_orders(preset.curriculum)
    pairs = {order: ("curriculum", order) for order in orders[1:]}
    arms = [Arm(order, partial(prepare, order), pairs.get(order)) for order in orders]
    done = run_study(f"{preset.name}-orders", arms, seeds, options, workers, emit)
    document = CurriculumComparison(
        **done.describe(preset, seeds),
        train_examples=load(seeds[-1]).images,
        arms=tuple(_result(order, done.arms[order]) for order in orders),
    )
    done.write(document)
    return document


def _result(order: Order, trials: ArmTrials) -> ArmResult:
    return ArmResult(
        name=order,
        steps=trials.first.steps,
        images=trials.first.images,
        train_seconds=trials.train_seconds,
        **trials.summary._asdict(),
    )


@dataclass(frozen=True)
class _SeedInputs:
    """What all orders of one seed learn from."""

    indices: Indices | None
    images: int
    scores: Floats | None


def _load(preset: Preset, options: Options, emit: Emit, seed: int) -> _SeedInputs:
    """Select the coreset of a seed, and compute the scores that its orders go by."""
    if preset.curriculum is None:
        raise PresetError(f"preset {preset.name} has no [curriculum]; see optimizednet-curriculum")
    machine = choose_machine(replace(options, threads=None))
    examples = load_data(preset, replace(options, seed=seed), machine).train
    stages = Stages(emit)
    inputs = SelectionInputs(examples, seed, machine, stages)
    indices = None
    if preset.coreset:
        indices = select_coreset(preset.coreset, examples, seed, inputs, stages).indices
    scores = None
    if isinstance(preset.curriculum, Paced | SelfPaced):
        scores = inputs.score(
            preset.curriculum.score if isinstance(preset.curriculum, Paced) else REVERSED_BY
        )
    return _SeedInputs(indices, len(examples) if indices is None else len(indices), scores)
