"""Methods of choosing a coreset against class-balanced chance, over sizes and seeds."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import mean, median

import torch

from mnistcli.datasets.examples import CLASSES
from mnistcli.engine.device import make_generator
from mnistcli.engine.events import Emit
from mnistcli.engine.network.build import describe_model
from mnistcli.engine.stages import Stages
from mnistcli.experiment.coresets.select import SelectionInputs, select_coreset
from mnistcli.experiment.data import load_data
from mnistcli.experiment.machine import Options, choose_machine
from mnistcli.experiment.network import check_batches, make_recipe
from mnistcli.experiment.studies.trial import (
    Outcome,
    Setting,
    compare_pairs,
    try_training,
)
from mnistcli.experiment.workers import Workers
from mnistcli.preset.coreset import Coreset, Method, default_selector
from mnistcli.preset.schema import Preset
from mnistcli.records.comparisons import CoresetComparison, MethodResult, PairedDifference
from mnistcli.records.folders import create_run_folder
from mnistcli.records.store import write_document
from mnistcli.selection.coreset.groups import Indices, divide
from mnistcli.selection.course import PlannedCourse
from mnistcli.selection.plans import fill_steps
from mnistcli.verdict.stats import deviation, share_interval

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

    @property
    def name(self) -> str:
        """As in "kmeans, 12,000 images, seed 3"."""
        return f"{self.method}, {self.size:,} images, seed {self.options.seed}"

    def run(self) -> Outcome:
        """Trains on these images alone."""
        return try_training(self.preset, self.options, self._plan)

    def _plan(self, setting: Setting) -> PlannedCourse:
        everything = torch.arange(len(setting.data.train))
        indices = everything if self.indices is None else torch.from_numpy(self.indices)
        generator = make_generator(self.options.seed, "selection")
        return fill_steps(indices, self.steps, setting.recipe, generator)


@dataclass(frozen=True)
class Contest:
    """What to compare."""

    methods: Sequence[Method]
    """Chance, `random`, among them."""
    sizes: Sequence[int]
    """If there are none, 20, 5 and 1 % of the images."""
    seeds: Sequence[int]
    workers: Workers


def compare_methods(
    preset: Preset, contest: Contest, options: Options, emit: Emit
) -> CoresetComparison:
    """Trains on every method's choice, from every seed, in equally many optimizer steps.

    The steps are those of the preset itself. Judged on the held-out images if the preset holds
    some out, and then the test images are not read; otherwise on the test images, once a run.

    Args:
        preset: its [coreset] says balance and features; its network and recipe are the same for
            every run.
        contest: which methods, sizes and seeds, and who runs them.
        options: where, in what and on which data; the seeds are the contest's.
        emit: told of every choice's stages and of every run.

    Raises:
        PresetError: a size or method does not fit the data.
        FileError: data cannot be read or results not be written.
        DivergedError: a run's loss is not finite.
    """
    options = replace(options, threads=contest.workers.share_threads(options.threads))
    jobs = [job for seed in contest.seeds for job in _choose(preset, contest, options, seed, emit)]
    name, now = f"{preset.name}-coresets", datetime.now(UTC)
    folder = create_run_folder(options.out, name, contest.seeds[0], now)
    outcomes = list(contest.workers.run(jobs, options.threads or 1, emit))
    document = _summarize(preset, contest, options, outcomes, folder)
    write_document(folder / "comparison.json", document)
    return document


def default_sizes(total: int) -> list[int]:
    """20, 5 and 1 % of the images, rounded down so that they can be divided among the digits."""
    return [max(1, total * share // 100 // CLASSES) * CLASSES for share in (20, 5, 1)]


def _choose(preset: Preset, contest: Contest, options: Options, seed: int, emit: Emit) -> list[Job]:
    """Every method's choice for one seed, all by the same scores and features."""
    # Nothing else runs yet: the choice may have all cores.
    machine = choose_machine(replace(options, threads=None))
    options = replace(options, seed=seed)
    examples = load_data(preset, options, machine).train
    labels = examples.labels.cpu().numpy()
    settings = preset.coreset or Coreset(size=len(labels))
    own = settings.size if preset.coreset else len(labels)
    steps = preset.train.epochs * make_recipe(preset, seed, machine).count_steps(own)
    sizes = contest.sizes or default_sizes(len(labels))
    layers = describe_model(preset.model.layers)
    for size in sizes:
        divide(labels, size, settings.balance)
        check_batches(preset, layers, [size])
    stages = Stages(emit)
    inputs = SelectionInputs(examples, seed, machine, stages)
    jobs = [Job(EVERYTHING, len(labels), preset, options, None, steps, 0.0)]
    for method in contest.methods:
        same = settings.selector.kind == method
        selector = settings.selector if same else default_selector(method)
        for size in sizes:
            chosen = settings.model_copy(update={"size": size, "selector": selector})
            choice = select_coreset(chosen, examples, seed, inputs, stages)
            seconds = inputs.cost(chosen) + stages.seconds["choice"]
            jobs.append(Job(method, size, preset, options, choice.indices, steps, seconds))
    return jobs


def _summarize(
    preset: Preset,
    contest: Contest,
    options: Options,
    outcomes: Sequence[tuple[Job, Outcome]],
    folder: Path,
) -> CoresetComparison:
    machine = choose_machine(options)
    order = {seed: place for place, seed in enumerate(contest.seeds)}
    rows: dict[tuple[str, int], list[tuple[Job, Outcome]]] = {}
    for job, outcome in sorted(outcomes, key=lambda pair: order[pair[0].options.seed]):
        rows.setdefault((job.method, job.size), []).append((job, outcome))
    accuracies = {row: [outcome.accuracy for _, outcome in runs] for row, runs in rows.items()}
    differences = compare_pairs(
        {
            (method, size): (values, accuracies["random", size])
            for (method, size), values in accuracies.items()
            if method not in {"random", EVERYTHING}
        }
    )
    results = {
        row: _result(row, rows[row], differences.get(row))
        for row in sorted(rows, key=lambda row: (-row[1], contest_place(contest, row[0])))
    }
    ((everything, total),) = [row for row in rows if row[0] == EVERYTHING]
    return CoresetComparison(
        preset=preset,
        evaluated_on="validation" if preset.train.validation_examples else "test",
        steps=outcomes[0][0].steps,
        seeds=tuple(contest.seeds),
        total=total,
        device=machine.device.type,
        precision=machine.precision_name,
        threads=machine.threads,
        everything=results.pop((everything, total)),
        results=tuple(results.values()),
        path=str(folder),
    )


def contest_place(contest: Contest, method: str) -> int:
    """Where the method stands in the contest; all images stand first."""
    return next((place for place, name in enumerate(contest.methods, 1) if name == method), 0)


def _result(
    row: tuple[str, int],
    runs: Sequence[tuple[Job, Outcome]],
    difference: PairedDifference | None,
) -> MethodResult:
    accuracies = [outcome.accuracy for _, outcome in runs]
    return MethodResult(
        method=row[0],
        size=row[1],
        accuracies=tuple(accuracies),
        mean_accuracy=mean(accuracies),
        sd=deviation(accuracies),
        interval=share_interval(accuracies),
        selection_seconds=median(job.selection_seconds for job, _ in runs),
        train_seconds=median(outcome.train_seconds for _, outcome in runs),
        difference=difference,
    )
