"""Compare methods of selecting a coreset with class-balanced random, over sizes and seeds."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial

import torch

from mnistcli.datasets.examples import CLASSES, Examples
from mnistcli.engine.device import make_generator
from mnistcli.engine.events import Emit
from mnistcli.engine.stages import Stages
from mnistcli.errors import PresetError
from mnistcli.experiment.coresets.select import SelectionInputs, select_coreset
from mnistcli.experiment.data import load_data
from mnistcli.experiment.machine import Options, choose_machine
from mnistcli.experiment.network import (
    build_network,
    check_batches,
    list_sizes,
    make_recipe,
)
from mnistcli.experiment.rehearsal import rehearse_batches
from mnistcli.experiment.studies.paired_study import Arm, PairedStudy, run_study
from mnistcli.experiment.studies.trial import TrialJob, TrialSetting, check_unseen
from mnistcli.experiment.workers import Workers
from mnistcli.preset.coreset import Coreset, Method, default_selector
from mnistcli.preset.curriculum import Hardest
from mnistcli.preset.schema import Preset
from mnistcli.records.comparisons import CoresetComparison, MethodResult
from mnistcli.selection.coreset.groups import Indices, divide
from mnistcli.selection.course import PlannedCourse
from mnistcli.selection.plans import fill_steps

EVERYTHING = "everything"


@dataclass(frozen=True)
class MethodStudy:
    """What to compare."""

    methods: Sequence[Method]
    """Methods to compare, `random` among them."""
    sizes: Sequence[int]
    """Sizes of the coresets; if there are none, 20, 5 and 1 % of the images."""
    seeds: Sequence[int]
    workers: Workers


@dataclass(frozen=True)
class CoresetPlan:
    """Trains on some images for a number of optimizer steps."""

    indices: Indices | None
    """None for all images."""
    steps: int

    def __call__(self, setting: TrialSetting) -> PlannedCourse:
        """Plan the course of a trial."""
        everything = torch.arange(len(setting.data.train))
        indices = everything if self.indices is None else torch.from_numpy(self.indices)
        generator = make_generator(setting.recipe.seed, "selection")
        return fill_steps(indices, self.steps, setting.recipe, generator)


def compare_methods(
    preset: Preset, study: MethodStudy, options: Options, emit: Emit
) -> CoresetComparison:
    """Train on the coreset of every method from every seed, in equally many optimizer steps.

    The steps are those of the preset itself; its curriculum is left out. Test images are read only
    if the preset holds none out, and once a trial.

    Args:
        preset: its [coreset] says balance and features; network and recipe are the same for all.
        study: methods, sizes, seeds and workers.
        options: device, precision, threads, data and output folder.
        emit: told of every stage of a selection and of every trial.

    Raises:
        PresetError: a size or method does not fit the data, or the preset no such comparison.
        UsageError: the workers differ.
        FileError: data cannot be read or results cannot be written.
    """
    options = study.workers.fix_machine(options)
    check_unseen(preset, options)
    selection = _Selection(preset, options, emit)
    total = len(selection.load(study.seeds[0]).examples)
    sizes = study.sizes or default_sizes(total)
    selection.check(sizes, study.seeds[0])
    rows = [(method, size) for method in study.methods for size in sizes]
    arms = [selection.make_arm(method, size) for method, size in rows]
    everything = Arm(_name(EVERYTHING, total), selection.prepare_everything)
    done = run_study(
        f"{preset.name}-coresets", [everything, *arms], study.seeds, options, study.workers, emit
    )
    document = CoresetComparison(
        **done.describe(preset, study.seeds),
        steps=done.arms[everything.name].first.steps,
        total=total,
        everything=_result(done, EVERYTHING, total),
        results=tuple(_result(done, *row) for row in sorted(rows, key=lambda row: -row[1])),
    )
    done.write(document)
    return document


def default_sizes(total: int) -> list[int]:
    """Return 20, 5 and 1 % of the images, rounded down to a multiple of the number of classes."""
    return [max(1, total * percent // 100 // CLASSES) * CLASSES for percent in (20, 5, 1)]


@dataclass(frozen=True)
class _SeedInputs:
    """The images of one seed, and what methods select them by."""

    options: Options
    examples: Examples
    inputs: SelectionInputs
    stages: Stages
    steps: int
    """Optimizer steps of a trial."""


class _Selection:
    """Selects the coreset of every trial, all trials of a seed by the same scores and features."""

    def __init__(self, preset: Preset, options: Options, emit: Emit) -> None:
        self._preset, self._options, self._emit = preset, options, emit
        self.load = lru_cache(maxsize=1)(self._load)

    def _load(self, seed: int) -> _SeedInputs:
        # Nothing else runs yet: selecting may use all cores.
        machine = choose_machine(replace(self._options, threads=None))
        options = replace(self._options, seed=seed)
        examples = load_data(self._preset, options, machine).train
        stages = Stages(self._emit)
        inputs = SelectionInputs(examples, seed, machine, stages)
        own = self._preset.coreset.size if self._preset.coreset else len(examples)
        recipe = make_recipe(self._preset, seed, machine)
        steps = sum(map(recipe.count_steps, list_sizes(self._preset, own)))
        return _SeedInputs(options, examples, inputs, stages, steps)

    def check(self, sizes: Sequence[int], seed: int) -> None:
        """Refuse sizes that cannot be selected or trained on.

        Raises:
            PresetError: a size does not fit the data, or leaves a batch of one; or the preset has
                phases, which are no training over the whole selection.
        """
        if self._preset.curriculum and not isinstance(self._preset.curriculum, Hardest):
            raise PresetError(
                "curriculum: this comparison trains over the whole selection. Set curriculum=none."
            )
        labels = self.load(seed).examples.labels.cpu().numpy()
        for size in sizes:
            divide(labels, size, self._settings(size).balance)
        machine = choose_machine(self._options)
        network = build_network(self._preset, seed, machine)
        check_batches(self._preset, network.layers, sizes)
        rehearse_batches(self._preset, network, sizes, machine)

    def make_arm(self, method: Method, size: int) -> Arm:
        """Return the arm of a method and size, compared with random at the same size."""
        name, random = _name(method, size), _name("random", size)
        difference = None if method == "random" else (name, random)
        return Arm(name, partial(self.prepare, method, size), difference)

    def prepare(self, method: Method, size: int, seed: int) -> TrialJob:
        """Select a coreset, and make the trial that trains on it."""
        loaded = self.load(seed)
        settings = self._settings(size)
        selector = settings.selector
        if selector.kind != method:
            selector = default_selector(method)
        settings = settings.model_copy(update={"size": size, "selector": selector})
        selected = select_coreset(settings, loaded.examples, seed, loaded.inputs, loaded.stages)
        seconds = loaded.inputs.cost(settings) + loaded.stages.seconds["selection"]
        plan = CoresetPlan(selected.indices, loaded.steps)
        return TrialJob(_name(method, size), self._preset, loaded.options, plan, seconds)

    def prepare_everything(self, seed: int) -> TrialJob:
        """Make the trial that trains on all images."""
        loaded = self.load(seed)
        plan = CoresetPlan(None, loaded.steps)
        name = _name(EVERYTHING, len(loaded.examples))
        return TrialJob(name, self._preset, loaded.options, plan)

    def _settings(self, size: int) -> Coreset:
        return self._preset.coreset or Coreset(size=size)


def _name(method: str, size: int) -> str:
    return f"{method}, {size:,} images"


def _result(study: PairedStudy, method: str, size: int) -> MethodResult:
    trials = study.arms[_name(method, size)]
    return MethodResult(
        method=method,
        size=size,
        selection_seconds=trials.selection_seconds,
        train_seconds=trials.train_seconds,
        **trials.summary._asdict(),
    )
