"""A trial: one training of a study, without a record."""

import platform
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import torch
from torch import nn

from mnistcli.engine.evaluation import evaluate
from mnistcli.engine.events import Emit
from mnistcli.engine.loop import train
from mnistcli.engine.network.contain import contain
from mnistcli.engine.state import LoopState, Recipe
from mnistcli.errors import DivergedError
from mnistcli.experiment.data import Data, load_data
from mnistcli.experiment.machine import Machine, Options, choose_machine
from mnistcli.experiment.network import (
    advise_after_divergence,
    build_network,
    make_learner,
    make_recipe,
)
from mnistcli.preset.schema import Preset
from mnistcli.selection.course import PlannedCourse


@dataclass(frozen=True)
class TrialSetting:
    """What a trial's plan is made from."""

    data: Data
    recipe: Recipe
    model: nn.Module


class TrialPlan(Protocol):
    """Chooses what a trial learns from; small and picklable."""

    def __call__(self, setting: TrialSetting) -> PlannedCourse:
        """Plan the course of the trial."""


@dataclass(frozen=True)
class TrialMachine:
    """Where a trial was trained."""

    device: str
    precision: str
    threads: int
    cpu: str
    """Capability that PyTorch uses, as in "AVX512"."""


@dataclass(frozen=True)
class TrialResult:
    """What a trial reached."""

    accuracy: float
    """On the held-out images if the preset holds some out, otherwise on the test images."""
    train_seconds: float
    images: int
    """Images learned from, counted as often as they came up."""
    steps: int
    """Optimizer steps."""
    machine: TrialMachine
    host: str
    """Name of the computer."""


@dataclass(frozen=True)
class TrialJob:
    """One trial to run."""

    arm: str
    preset: Preset
    options: Options
    plan: TrialPlan
    selection_seconds: float = 0.0
    """Time that selecting its images took."""

    @property
    def name(self) -> str:
        """Name of the job, as in "kmeans, 12,000 images, seed 3"."""
        return f"{self.arm}, seed {self.options.seed}"

    def run(self, emit: Emit) -> TrialResult:
        """Train by the plan, and evaluate once, on the test images only if none are held out.

        Raises:
            PresetError, FileError, DivergedError: as a training does.
        """
        preset, seed, machine = self.preset, self.options.seed, choose_machine(self.options)
        data = _load(preset, self.options)
        recipe = make_recipe(preset, seed, machine)
        network = build_network(preset, seed, machine)
        course = self.plan(TrialSetting(data, recipe, network.model))
        state = LoopState(make_learner(preset, network, course.sizes, recipe))
        images = data.validation or data.test
        try:
            with contain(preset.model.code):
                train(state, data.train, course, recipe, None, emit)
                evaluated = evaluate(state.learner.result, images, preset.normalization)
        except (DivergedError, FloatingPointError) as error:
            known = error.divergence if isinstance(error, DivergedError) else None
            place = known or state.divergence(recipe)
            raise DivergedError(place, advise_after_divergence(preset), self.name) from error
        return TrialResult(
            accuracy=evaluated.accuracy,
            train_seconds=sum(epoch.seconds for epoch in state.history),
            images=sum(epoch.images for epoch in state.history),
            steps=sum(map(recipe.count_steps, course.sizes)),
            machine=_describe(machine),
            host=platform.node(),
        )


def _describe(machine: Machine) -> TrialMachine:
    return TrialMachine(
        device=machine.device.type,
        precision=machine.precision_name,
        threads=machine.threads,
        cpu=torch.backends.cpu.get_cpu_capability(),
    )


@lru_cache(maxsize=1)
def _load(preset: Preset, options: Options) -> Data:
    """Load the images; jobs come seed by seed, so a process seldom reads them twice."""
    return load_data(preset, options, choose_machine(options))
