"""Many short trainings in several processes, and what can be said of their differences."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol, TypeVar

from joblib import Parallel, delayed, parallel_config
from torch import nn

from mnistcli.engine.evaluation import evaluate
from mnistcli.engine.events import Emit, RunFinished
from mnistcli.engine.loop import Plan, Recipe, train
from mnistcli.experiment.data import Data, load_data
from mnistcli.experiment.network import (
    Machine,
    build_network,
    choose_machine,
    make_learner,
    make_recipe,
)
from mnistcli.experiment.options import Options
from mnistcli.preset.schema import Preset
from mnistcli.process import tune_process
from mnistcli.records.comparisons import PairedDifference
from mnistcli.verdict.stats import adjust, judge, paired_difference


@dataclass(frozen=True)
class Outcome:
    """What one training gave."""

    accuracy: float
    """On the held-out images if the preset holds some out, otherwise on the test images."""
    train_seconds: float
    images: int
    """How many came up, counted as often as they did."""
    steps: int
    train_examples: int
    """Images there were to learn from."""


@dataclass(frozen=True)
class Setting:
    """What a plan is made from."""

    data: Data
    machine: Machine
    recipe: Recipe
    model: nn.Module


class Judged(Protocol):
    """Whatever a job leaves: it has an accuracy."""

    @property
    def accuracy(self) -> float:
        """Of the network, in [0, 1]."""


Left = TypeVar("Left", bound=Judged, covariant=True)


class Job(Protocol[Left]):
    """One training: picklable, and it knows its own name."""

    @property
    def name(self) -> str:
        """As in "kmeans, 12,000 images, seed 3"."""

    def run(self) -> Left:
        """Trains."""


Key = TypeVar("Key")


def share_threads(threads: int | None, jobs: int) -> int:
    """The threads of each job: those asked for, or an equal share of the cores."""
    return threads or max(1, (os.cpu_count() or 1) // jobs)


SomeJob = TypeVar("SomeJob", bound=Job[Judged])


def run_jobs(
    jobs: Sequence[SomeJob], at_once: int, threads: int, emit: Emit
) -> list[tuple[SomeJob, Any]]:
    """Runs all jobs, some at once in processes of their own, and tells of each that has ended."""
    outcomes = []
    with parallel_config("loky", inner_max_num_threads=threads):
        running = Parallel(at_once, return_as="generator_unordered")(map(delayed(_run), jobs))
        for job, outcome in running:
            outcomes.append((job, outcome))
            emit(RunFinished(len(outcomes), len(jobs), job.name, outcome.accuracy))
    return outcomes


def try_training(preset: Preset, options: Options, make_plan: Callable[[Setting], Plan]) -> Outcome:
    """Trains as the preset says, but by that plan; reads the test images once, or not at all.

    Raises:
        PresetError, FileError, DivergedError: as a training does.
    """
    seed, machine = options.seed, choose_machine(options)
    data = _load(preset, options)
    recipe = make_recipe(preset, seed, machine)
    network = build_network(preset, seed, machine)
    plan = make_plan(Setting(data, machine, recipe, network.model))
    learner = make_learner(preset, network, plan, recipe)
    history = train(learner, data.train, plan, recipe, None, lambda event: None)
    judged = evaluate(learner.result, data.validation or data.test, preset.normalization)
    return Outcome(
        accuracy=judged.accuracy,
        train_seconds=sum(epoch.seconds for epoch in history),
        images=sum(epoch.images for epoch in history),
        steps=sum(map(recipe.count_steps, plan.sizes)),
        train_examples=len(data.train),
    )


def compare_pairs(
    pairs: Mapping[Key, tuple[Sequence[float], Sequence[float]]],
) -> dict[Key, PairedDifference]:
    """The first values of each pair less the second, seed by seed; p-values adjusted for all.

    A pair of fewer than two seeds is left out.
    """
    tested = {key: paired_difference(*pair) for key, pair in pairs.items()}
    sure = {key: found for key, found in tested.items() if found is not None}
    adjusted = adjust([found.p_value for found in sure.values()])
    return {
        key: PairedDifference(
            mean=found.mean,
            interval=found.interval,
            p_value=found.p_value,
            adjusted_p_value=p_value,
            verdict=judge(found.mean, p_value),
        )
        for (key, found), p_value in zip(sure.items(), adjusted, strict=True)
    }


def _run(job: SomeJob) -> tuple[SomeJob, Judged]:
    tune_process()
    return job, job.run()


@lru_cache(maxsize=1)
def _load(preset: Preset, options: Options) -> Data:
    """Jobs come seed by seed, so a process seldom reads the images twice."""
    return load_data(preset, options, choose_machine(options))
