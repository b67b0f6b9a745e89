"""Short trainings without a record, and what can be said of their differences."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

from torch import nn

from mnistcli.engine.evaluation import evaluate
from mnistcli.engine.loop import train
from mnistcli.engine.state import LoopState, Recipe
from mnistcli.experiment.data import Data, load_data
from mnistcli.experiment.machine import Machine, Options, choose_machine
from mnistcli.experiment.network import build_network, make_learner, make_recipe
from mnistcli.preset.schema import Preset
from mnistcli.records.comparisons import PairedDifference
from mnistcli.selection.course import PlannedCourse
from mnistcli.verdict.stats import holm_adjust, judge, paired_difference


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


Key = TypeVar("Key")


def try_training(
    preset: Preset, options: Options, make_plan: Callable[[Setting], PlannedCourse]
) -> Outcome:
    """Trains as the preset says, but by that plan; reads the test images once, or not at all.

    Raises:
        PresetError, FileError, DivergedError: as a training does.
    """
    seed, machine = options.seed, choose_machine(options)
    data = _load(preset, options)
    recipe = make_recipe(preset, seed, machine)
    network = build_network(preset, seed, machine)
    plan = make_plan(Setting(data, machine, recipe, network.model))
    state = LoopState(make_learner(preset, network, plan.sizes, recipe))
    train(state, data.train, plan, recipe, None, lambda event: None)
    history = state.history
    judged = evaluate(state.learner.result, data.validation or data.test, preset.normalization)
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
    adjusted = holm_adjust([found.p_value for found in sure.values()])
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


@lru_cache(maxsize=1)
def _load(preset: Preset, options: Options) -> Data:
    """Jobs come seed by seed, so a process seldom reads the images twice."""
    return load_data(preset, options, choose_machine(options))
