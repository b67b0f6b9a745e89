"""A trial: one training of a study, without a record."""

import platform
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

import torch
from torch import nn

from mnistcli.engine.evaluation import evaluate
from mnistcli.engine.events import Emit, Event, StepFinished
from mnistcli.engine.loop import train
from mnistcli.engine.network.contain import contain
from mnistcli.engine.state import LoopState, Recipe
from mnistcli.errors import DivergedError, FileError, PresetError, ShortageError, WriteError
from mnistcli.experiment.data import Data, load_data
from mnistcli.experiment.earlier import describe_initial, describe_teachers
from mnistcli.experiment.machine import Machine, Options, choose_machine
from mnistcli.experiment.network import (
    advise_after_divergence,
    build_network,
    make_learner,
    make_recipe,
)
from mnistcli.experiment.training.run import run
from mnistcli.experiment.training.setup import TrainingSetup, prepare
from mnistcli.preset.schema import Preset
from mnistcli.preset.training import Plateau
from mnistcli.records.studies import TrialMachine, TrialResult
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
class TrialJob:
    """One trial to run; its preset prunes nothing."""

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
            PresetError, FileError: as a training does.
        """
        preset, seed, machine = self.preset, self.options.seed, choose_machine(self.options)
        data = _load(preset, self.options)
        recipe = make_recipe(preset, seed, machine)
        network = build_network(preset, seed, machine)
        course = self.plan(TrialSetting(data, recipe, network.model))
        state = LoopState(make_learner(preset, network, course.sizes, recipe))
        images = data.validation or data.test
        accuracy = diverged = None
        try:
            with contain(preset.model.code):
                train(state, data.train, course, recipe, None, emit)
                accuracy = evaluate(state.learner.result, images, preset.normalization).accuracy
        except (DivergedError, FloatingPointError) as error:
            known = error.divergence if isinstance(error, DivergedError) else None
            place = known or state.divergence(recipe)
            diverged = str(DivergedError(place, advise_after_divergence(preset)))
        return TrialResult(
            accuracy=accuracy,
            train_seconds=sum(epoch.seconds for epoch in state.history),
            images=sum(epoch.images for epoch in state.history),
            steps=sum(map(recipe.count_steps, course.sizes)),
            machine=describe(machine),
            host=platform.node(),
            parameters=network.parameters,
            macs=network.macs,
            selection_seconds=self.selection_seconds,
            evaluated_images=len(images),
            data_sha256=(data.source.train_sha256, data.source.test_sha256),
            diverged=diverged,
        )


@dataclass(frozen=True)
class PresetTrial:
    """One trial that trains a preset as `train` does, and leaves no run folder."""

    arm: str
    preset: Preset
    options: Options

    @property
    def name(self) -> str:
        """Name of the job, as in "no augmentation, seed 3"."""
        return f"{self.arm}, seed {self.options.seed}"

    def run(self, emit: Emit) -> TrialResult:
        """Train in a temporary folder, and evaluate once.

        Raises:
            PresetError: the preset does not fit the data.
            FileError: data cannot be read, or the folder cannot be written.
        """
        steps = 0

        def listen(event: Event) -> None:
            nonlocal steps
            steps += isinstance(event, StepFinished)
            emit(event)

        with TemporaryDirectory(prefix="mnistcli-") as folder:
            try:
                setup = prepare(self.preset, self.options, folder=Path(folder))
                result = self._describe(setup)
                record = run(setup, listen)
            except DivergedError as error:
                return replace(result, steps=steps, diverged=str(error))
            except PresetError as error:
                raise PresetError(f"{self.name}: {error}") from error
            except (
                WriteError,
                ShortageError,
            ) as error:  # without how to resume from the temporary folder
                raise FileError(str(error).partition("; resume with")[0]) from error
        return replace(
            result,
            accuracy=record.test.accuracy,
            train_seconds=record.train_seconds,
            images=sum(epoch.images for epoch in record.epochs),
            steps=steps,
            parameters=record.parameters,
            macs=record.macs,
        )

    def _describe(self, setup: TrainingSetup) -> TrialResult:
        """Return what is known of a trial before its training."""
        data = setup.data
        return TrialResult(
            accuracy=None,
            train_seconds=0.0,
            images=0,
            steps=0,
            machine=describe(setup.machine),
            host=platform.node(),
            parameters=setup.network.parameters,
            macs=setup.network.macs,
            evaluated_images=len(data.test),
            data_sha256=(data.source.train_sha256, data.source.test_sha256),
        )


def check_comparable(preset: Preset) -> None:
    """Refuse what is no single training where all arms take equally many steps.

    Raises:
        PresetError: the preset has a training time or an ensemble, prunes, or goes by the
            held-out images, which these arms are compared on.
    """
    if preset.ensemble:
        raise PresetError(
            "ensemble: this comparison trains one network a trial. Set ensemble=none."
        )
    steps = "all arms of this comparison take equally many steps."
    if preset.train.within_seconds is not None:
        raise PresetError(f"train.within_seconds: {steps} Set train.within_seconds=none.")
    if preset.prune:
        raise PresetError(f"prune: {steps} Set prune=none.")
    train = preset.train
    by_held_out = {
        "train.schedule": isinstance(train.schedule, Plateau),
        "train.early_stopping": train.early_stopping,
        "train.keep": train.keep == "best",
    }
    for name, does_so in by_held_out.items():
        if does_so:
            raise PresetError(
                f"{name}: this comparison measures on the held-out images, so no training may go "
                f"by them. Set {name}=none."
            )
    if train.validation_examples and preset.teacher and preset.teacher.preset:
        raise PresetError(
            "teacher.preset: its networks would learn from the held-out images, which this "
            "comparison measures on. Leave it out, or set train.validation_examples=0."
        )


def check_unseen(preset: Preset, options: Options) -> None:
    """Refuse what `check_comparable` does, and earlier runs on the same images.

    Which images these held out, if any, may differ.

    Raises:
        PresetError: the preset is of that kind, or names such a run and is measured on images that
            it holds out.
    """
    check_comparable(preset)
    if not preset.train.validation_examples or not (preset.teacher or preset.train.init):
        return
    source = load_data(preset, options, choose_machine(options)).source
    for earlier in (*describe_teachers(preset), describe_initial(preset)):
        if earlier and earlier.train_sha256 == source.train_sha256:
            raise PresetError(
                f'"{earlier.path}" may have learned from the held-out images, which this '
                "comparison measures on. Leave it out, or set train.validation_examples=0."
            )


def describe(machine: Machine) -> TrialMachine:
    """Return what the last bits of a trial depend on."""
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
