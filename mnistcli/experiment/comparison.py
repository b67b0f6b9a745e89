"""Methods of choosing a coreset against class-balanced chance, over sizes and seeds."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from statistics import mean, median

import torch
from joblib import Parallel, delayed, parallel_config

from mnistcli.engine.data import CLASSES
from mnistcli.engine.device import make_generator
from mnistcli.engine.evaluation import evaluate
from mnistcli.engine.events import Emit, RunFinished
from mnistcli.engine.loop import train
from mnistcli.experiment.coreset import Material, choose_coreset
from mnistcli.experiment.data import Data, load_data
from mnistcli.experiment.network import (
    build_network,
    check_batches,
    choose_machine,
    make_learner,
    make_recipe,
)
from mnistcli.experiment.options import Options
from mnistcli.experiment.stages import Stages
from mnistcli.preset.coreset import Coreset, Method, default_selector
from mnistcli.preset.schema import Preset
from mnistcli.process import tune_process
from mnistcli.records.coreset import CoresetComparison, MethodResult, PairedDifference
from mnistcli.records.store import create_run_folder, write_atomically
from mnistcli.selection.coreset.groups import Indices, divide
from mnistcli.selection.plans import fill_steps
from mnistcli.verdict.stats import (
    adjust,
    deviation,
    judge,
    paired_difference,
    student_interval,
)

EVERYTHING = "everything"


@dataclass(frozen=True)
class Job:
    """One training of the comparison."""

    method: str
    size: int
    preset: Preset
    options: Options
    indices: Indices | None
    """All images, if there are none."""
    steps: int
    selection_seconds: float


@dataclass(frozen=True)
class Outcome:
    """What it gave."""

    job: Job
    accuracy: float
    train_seconds: float


@dataclass(frozen=True)
class Plan:
    """What to compare."""

    methods: Sequence[Method]
    """Chance, `random`, among them."""
    sizes: Sequence[int]
    """If there are none, 20, 5 and 1 % of the images."""
    seeds: Sequence[int]
    jobs: int


def compare_methods(preset: Preset, plan: Plan, options: Options, emit: Emit) -> CoresetComparison:
    """Trains on every method's choice, from every seed, in equally many optimizer steps.

    The steps are those of the preset itself. Judged on the held-out images if the preset holds
    some out, and then the test images are not read; otherwise on the test images, once a run.

    Args:
        preset: its [coreset] says balance and features; its network and recipe are the same for
            every run.
        plan: which methods, sizes and seeds, and how many runs at once.
        options: threads are those of each run; the seed is the plan's.
        emit: told of every choice's stages and of every run.

    Raises:
        PresetError: a size or method does not fit the data.
        FileError: data cannot be read or results not be written.
        DivergedError: a run's loss is not finite.
    """
    options = replace(
        options, threads=options.threads or max(1, (os.cpu_count() or 1) // plan.jobs)
    )
    folder = create_run_folder(
        options.out, f"{preset.name}-comparison", plan.seeds[0], datetime.now(UTC)
    )
    jobs = [job for seed in plan.seeds for job in _choose(preset, plan, options, seed, emit)]
    outcomes = []
    with parallel_config("loky", inner_max_num_threads=options.threads):
        running = Parallel(plan.jobs, return_as="generator_unordered")(map(delayed(_train), jobs))
        for outcome in running:
            outcomes.append(outcome)
            job = outcome.job
            name = f"{job.method}, {job.size:,} images, seed {job.options.seed}"
            emit(RunFinished(len(outcomes), len(jobs), name, outcome.accuracy))
    document = _summarize(preset, plan, jobs, outcomes, folder)
    write_atomically(
        folder / "comparison.json", (document.model_dump_json(indent=2) + "\n").encode()
    )
    return document


def _choose(preset: Preset, plan: Plan, options: Options, seed: int, emit: Emit) -> list[Job]:
    """Every method's choice for one seed, all by the same scores and features."""
    options = replace(options, seed=seed)
    machine = choose_machine(options)
    data = load_data(preset, options, machine)
    recipe = make_recipe(preset, seed, machine)
    labels = data.train.labels.cpu().numpy()
    settings = preset.coreset or Coreset(size=len(labels), selector=default_selector("random"))
    own = settings.size if preset.coreset else len(labels)
    steps = preset.train.epochs * recipe.count_steps(own)
    sizes = plan.sizes or default_sizes(len(labels))
    for size in sizes:
        divide(labels, size, settings.balance)
        check_batches(preset, size)
    stages = Stages(emit)
    material = Material(data.train, seed, machine, stages)
    jobs = [Job(EVERYTHING, len(labels), preset, options, None, steps, 0.0)]
    for method in plan.methods:
        selector = settings.selector
        if selector.kind != method:
            selector = default_selector(method)
        for size in sizes:
            chosen = settings.model_copy(update={"size": size, "selector": selector})
            choice = choose_coreset(chosen, data.train, seed, material, stages)
            seconds = material.cost(chosen) + stages.seconds["choice"]
            jobs.append(Job(method, size, preset, options, choice.indices, steps, seconds))
    return jobs


def default_sizes(total: int) -> list[int]:
    """20, 5 and 1 % of the images, rounded down so that they can be divided among the digits."""
    return [max(1, total * share // 100 // CLASSES) * CLASSES for share in (20, 5, 1)]


def _train(job: Job) -> Outcome:
    """One training, in whichever process."""
    tune_process()
    preset, seed = job.preset, job.options.seed
    machine = choose_machine(job.options)
    data = _load(preset, job.options)
    recipe = make_recipe(preset, seed, machine)
    indices = (
        torch.arange(len(data.train)) if job.indices is None else torch.from_numpy(job.indices)
    )
    generator = make_generator(seed, "selection")
    plan = fill_steps(indices, job.steps, recipe, generator)
    learner = make_learner(preset, build_network(preset, seed, machine), plan, recipe)
    history = train(learner, data.train, plan, recipe, None, lambda event: None)
    judged = evaluate(learner.result, data.validation or data.test, preset.normalization)
    return Outcome(job, judged.accuracy, sum(epoch.seconds for epoch in history))


@lru_cache(maxsize=1)
def _load(preset: Preset, options: Options) -> Data:
    """Jobs come seed by seed, so a process reads the images once a seed at most."""
    return load_data(preset, options, choose_machine(options))


def _summarize(
    preset: Preset, plan: Plan, jobs: Sequence[Job], outcomes: Sequence[Outcome], folder: Path
) -> CoresetComparison:
    by_run = {(o.job.method, o.job.size, o.job.options.seed): o for o in outcomes}
    machine = choose_machine(jobs[0].options)
    total = jobs[0].size
    rows = list(dict.fromkeys((job.method, job.size) for job in jobs if job.indices is not None))

    def found(method: str, size: int) -> list[Outcome]:
        return [by_run[method, size, seed] for seed in plan.seeds]

    def result(method: str, size: int, difference: PairedDifference | None) -> MethodResult:
        runs = found(method, size)
        accuracies = [run.accuracy for run in runs]
        return MethodResult(
            method=method,
            size=size,
            accuracies=tuple(accuracies),
            mean_accuracy=mean(accuracies),
            sd=deviation(accuracies),
            interval=student_interval(accuracies),
            selection_seconds=median(run.job.selection_seconds for run in runs),
            train_seconds=median(run.train_seconds for run in runs),
            difference=difference,
        )

    differences = _compare_with_chance({row: [run.accuracy for run in found(*row)] for row in rows})
    return CoresetComparison(
        preset=preset,
        judged_on="validation" if preset.train.validation_examples else "test",
        steps=jobs[0].steps,
        seeds=tuple(plan.seeds),
        total=total,
        device=machine.device.type,
        precision=machine.precision_name,
        threads=machine.threads,
        everything=result(EVERYTHING, total, None),
        results=tuple(result(*row, differences.get(row)) for row in rows),
        path=str(folder),
    )


def _compare_with_chance(
    accuracies: dict[tuple[str, int], list[float]],
) -> dict[tuple[str, int], PairedDifference]:
    """Every method against chance at the same size; p-values adjusted for all of them."""
    pairs = {
        (method, size): paired_difference(values, accuracies["random", size])
        for (method, size), values in accuracies.items()
        if method != "random"
    }
    sure = {row: pair for row, pair in pairs.items() if pair is not None}
    adjusted = adjust([pair.p_value for pair in sure.values()])
    return {
        row: PairedDifference(
            mean=pair.mean,
            interval=pair.interval,
            p_value=pair.p_value,
            adjusted_p_value=p_value,
            verdict=judge(pair.mean, p_value),
        )
        for (row, pair), p_value in zip(sure.items(), adjusted, strict=True)
    }
