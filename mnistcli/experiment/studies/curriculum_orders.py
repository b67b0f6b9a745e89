"""A curriculum against no curriculum, chance in the same pacing, and its reverse."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import mean, median
from typing import Literal

import torch
from torch import Tensor

from mnistcli.engine.device import make_generator
from mnistcli.engine.events import Emit
from mnistcli.engine.stages import Stages
from mnistcli.engine.state import Recipe
from mnistcli.errors import PresetError
from mnistcli.experiment.coresets.select import SelectionInputs, select_coreset
from mnistcli.experiment.course import make_course
from mnistcli.experiment.data import load_data
from mnistcli.experiment.machine import Machine, Options, choose_machine
from mnistcli.experiment.studies.trial import (
    Outcome,
    Setting,
    compare_pairs,
    try_training,
)
from mnistcli.experiment.workers import Workers
from mnistcli.preset.curriculum import Curriculum, Groups, Paced
from mnistcli.preset.schema import Preset
from mnistcli.records.comparisons import ArmResult, CurriculumComparison, PairedDifference
from mnistcli.records.folders import create_run_folder
from mnistcli.records.store import write_document
from mnistcli.selection.coreset.groups import Indices
from mnistcli.selection.course import PlannedCourse
from mnistcli.selection.plans import fill_steps
from mnistcli.verdict.stats import deviation, share_interval

Arm = Literal["curriculum", "none", "random", "reversed"]
ARMS: tuple[Arm, ...] = ("curriculum", "none", "random", "reversed")


@dataclass(frozen=True)
class Job:
    """One training of the comparison."""

    arm: Arm
    preset: Preset
    options: Options
    indices: Indices | None
    """Of the coreset; all images, if there is none."""
    score_machine: Machine
    """Where the small networks were trained that scores come from."""

    @property
    def name(self) -> str:
        """As in "reversed, seed 3"."""
        return f"{self.arm}, seed {self.options.seed}"

    def run(self) -> Outcome:
        """Trains in this order."""
        return try_training(self.preset, self.options, self._plan)

    def _plan(self, setting: Setting) -> PlannedCourse:
        """The arm's plan, cut or filled to the steps of the curriculum itself."""
        examples = setting.data.train
        everything = torch.arange(len(examples))
        indices = everything if self.indices is None else torch.from_numpy(self.indices)
        silent = Stages(lambda event: None)
        inputs = SelectionInputs(examples, self.options.seed, self.score_machine, silent)
        own = make_course(self.preset, indices, examples, setting.recipe, inputs, setting.model)
        steps = sum(map(setting.recipe.count_steps, own.sizes))
        generator = make_generator(self.options.seed, "selection")
        if self.arm == "curriculum":
            return own
        if self.arm == "none":
            return fill_steps(indices, steps, setting.recipe, generator)
        if self.arm == "random" and isinstance(self.preset.curriculum, Groups):
            # The same sizes, phase by phase, of images whose digits are mixed up.
            mixed = examples.labels.clone()
            order = torch.randperm(len(indices), generator=generator)
            mixed[indices] = mixed[indices[order]]
            examples = replace(examples, labels=mixed)
        other = self.preset.model_copy(
            update={"curriculum": vary(self.preset.curriculum, self.arm)}
        )
        plan = make_course(other, indices, examples, setting.recipe, inputs, setting.model)
        return match_steps(plan, indices, steps, setting.recipe, generator)


def vary(settings: Curriculum | None, arm: Arm) -> Curriculum | None:
    """The curriculum of an arm: by chance, or with the hardest first, in the same pacing."""
    match settings:
        case Groups() if arm == "reversed":
            names, targets = settings.names[::-1], settings.targets[::-1]
            return settings.model_copy(
                update={"groups": settings.groups[::-1], "names": names, "targets": targets}
            )
        case Groups() | None:
            return settings
        case Paced():
            other = "easy_first" if settings.order == "hard_first" else "hard_first"
            return settings.model_copy(update={"order": "random" if arm == "random" else other})
        case _:
            return Paced(
                kind="paced",
                pacing=settings.pacing,
                rounds=settings.rounds,
                score="loss",
                order="random" if arm == "random" else "hard_first",
            )


def match_steps(
    plan: PlannedCourse, indices: Tensor, steps: int, recipe: Recipe, generator: torch.Generator
) -> PlannedCourse:
    """The plan with exactly so many steps: its end is cut off, or all images follow it."""
    known = [recipe.count_steps(size) for size in plan.sizes]
    if sum(known) == steps:
        return plan
    epochs = [plan.choose(epoch) for epoch in range(1, len(plan.sizes) + 1)]
    while sum(map(recipe.count_steps, map(len, epochs))) > steps:
        last = epochs.pop()
        missing = steps - sum(map(recipe.count_steps, map(len, epochs)))
        if missing > 0:
            epochs.append(last[: missing * recipe.batch_size])
    missing = steps - sum(map(recipe.count_steps, map(len, epochs)))
    if missing:
        rest = fill_steps(indices, missing, recipe, generator)
        epochs += [rest.choose(epoch) for epoch in range(1, len(rest.sizes) + 1)]
    return PlannedCourse.of(epochs)


def compare_orders(
    preset: Preset, seeds: Sequence[int], workers: Workers, options: Options, emit: Emit
) -> CurriculumComparison:
    """Trains in each of the four orders, from every seed, in equally many steps.

    Judged on the held-out images if the preset holds some out, and then the test images are not
    read; otherwise on the test images, once a run.

    Args:
        preset: has a [curriculum].
        seeds: of the runs.
        workers: who runs them.
        options: where, in what and on which data.
        emit: told of every choice's stages and of every run.

    Raises:
        PresetError: there is no [curriculum], or it does not fit the data.
        FileError: data cannot be read or results not be written.
        DivergedError: a run's loss is not finite.
    """
    options = replace(options, threads=workers.share_threads(options.threads))
    jobs = [job for seed in seeds for job in _prepare(preset, options, seed, emit)]
    now = datetime.now(UTC)
    folder = create_run_folder(options.out, f"{preset.name}-orders", seeds[0], now)
    outcomes = list(workers.run(jobs, options.threads or 1, emit))
    document = _summarize(preset, seeds, options, outcomes, folder)
    write_document(folder / "comparison.json", document)
    return document


def _prepare(preset: Preset, options: Options, seed: int, emit: Emit) -> list[Job]:
    """The four jobs of one seed, on the same coreset; scores are computed into the cache."""
    if preset.curriculum is None:
        raise PresetError(f"preset {preset.name} has no [curriculum]; see optimizednet-curriculum")
    machine = choose_machine(replace(options, threads=None))
    options = replace(options, seed=seed)
    examples = load_data(preset, options, machine).train
    stages = Stages(emit)
    inputs = SelectionInputs(examples, seed, machine, stages)
    indices = None
    if preset.coreset:
        indices = select_coreset(preset.coreset, examples, seed, inputs, stages).indices
    if not isinstance(preset.curriculum, Groups):
        _ = inputs.difficulty
    return [Job(arm, preset, options, indices, machine) for arm in ARMS]


def _summarize(
    preset: Preset,
    seeds: Sequence[int],
    options: Options,
    outcomes: Sequence[tuple[Job, Outcome]],
    folder: Path,
) -> CurriculumComparison:
    machine = choose_machine(options)
    found = {(job.arm, job.options.seed): outcome for job, outcome in outcomes}
    by_arm = {arm: [found[arm, seed] for seed in seeds] for arm in ARMS}
    accuracies = {arm: [run.accuracy for run in runs] for arm, runs in by_arm.items()}
    differences = compare_pairs(
        {arm: (accuracies["curriculum"], accuracies[arm]) for arm in ARMS if arm != ARMS[0]}
    )
    job = outcomes[0][0]
    return CurriculumComparison(
        preset=preset,
        evaluated_on="validation" if preset.train.validation_examples else "test",
        seeds=tuple(seeds),
        train_examples=outcomes[0][1].train_examples if job.indices is None else len(job.indices),
        device=machine.device.type,
        precision=machine.precision_name,
        threads=machine.threads,
        arms=tuple(_result(arm, by_arm[arm], differences.get(arm)) for arm in ARMS),
        path=str(folder),
    )


def _result(arm: Arm, runs: Sequence[Outcome], difference: PairedDifference | None) -> ArmResult:
    accuracies = [run.accuracy for run in runs]
    return ArmResult(
        name=arm,
        steps=runs[0].steps,
        images=runs[0].images,
        accuracies=tuple(accuracies),
        mean_accuracy=mean(accuracies),
        sd=deviation(accuracies),
        interval=share_interval(accuracies),
        train_seconds=median(run.train_seconds for run in runs),
        difference=difference,
    )
