"""The JSON contract of coresets, and of comparisons over several seeds."""

from typing import Annotated, Literal

from pydantic import Field

from mnistcli.preset.choices import DatasetName
from mnistcli.preset.coreset import Coreset
from mnistcli.preset.schema import Preset
from mnistcli.records.base import Document
from mnistcli.records.documents import Check, ClaimAudit, Interval, RunRecord
from mnistcli.records.sources import EvaluatedOn


class CoverageResult(Document):
    """Distances from every image to the nearest selected one, in 50 principal components."""

    mean: float
    max: float


class CoresetDocument(Document):
    """Output of `coreset`, also written to coreset.json."""

    schema_: Annotated[Literal["mnistcli.coreset/2"], Field(alias="schema")] = "mnistcli.coreset/2"
    preset: str
    seed: int
    method: str
    size: int
    total: int
    class_counts: tuple[int, ...]
    settings: Coreset
    seconds: dict[str, float]
    coverage: CoverageResult
    random_coverage: CoverageResult
    """Coverage of a random coreset of the same size and balance."""
    indices_file: str
    indices_sha256: str
    checks: tuple[Check, ...] = ()
    """Checks of the number or the fraction of the images, if the budget limits it."""
    dataset: DatasetName | None = None
    """Name by which `--dataset` knows the data; null for one's own, and in older documents."""


class PairedDifference(Document):
    """Difference between two accuracies, paired by seed."""

    mean: float
    interval: Interval
    """Student's 95 % confidence interval of the mean."""
    p_value: float
    """Two-sided, of a paired t-test."""
    adjusted_p_value: float
    """Adjusted for all comparisons of the document, by Holm's method."""
    verdict: Literal["better", "worse", "no clear difference"]
    """By the adjusted p-value, at the 5 % level."""


class DivergedTrial(Document):
    """A trial whose training diverged: a result of its arm, and not the end of a study."""

    arm: str
    seed: int
    reason: str


class MethodResult(Document):
    """One method at one size, over all seeds."""

    method: str
    size: int
    accuracies: tuple[float | None, ...]
    """In the order of the seeds; null where the training diverged."""
    mean_accuracy: float | None
    """Null if all trainings diverged, as `sd` and `train_seconds`."""
    sd: float | None
    interval: Interval | None
    """Student's 95 % confidence interval of the mean; null for a single seed."""
    selection_seconds: float
    """Median, including the features or scores that the method needs."""
    train_seconds: float | None
    """Median."""
    difference: PairedDifference | None
    """From random at the same size; null for random, for all images, and for a single seed."""


class CoresetComparison(Document):
    """Output of `coreset --compare`, also written to comparison.json."""

    schema_: Annotated[Literal["mnistcli.coreset-comparison/2"], Field(alias="schema")] = (
        "mnistcli.coreset-comparison/2"
    )
    preset: Preset
    evaluated_on: Literal["test", "validation"]
    steps: int
    """Optimizer steps of a run, the same for all."""
    seeds: tuple[int, ...]
    total: int
    """Number of images to select from."""
    device: str
    precision: str
    threads: int
    """CPU threads of a run."""
    cpu: str
    """CPU capability that PyTorch used, as in "AVX512"."""
    everything: MethodResult
    """Training on all images, in as many steps."""
    results: tuple[MethodResult, ...]
    path: str
    dataset: DatasetName | None = None
    """Name by which `--dataset` knows the data; null for one's own, and in older documents."""
    diverged: tuple[DivergedTrial, ...] = ()


class RunsSummary(Document):
    """Summary of several runs of one preset."""

    preset: str
    seeds: tuple[int, ...]
    mean_test_accuracy: float
    sd_test_accuracy: float
    interval: Interval | None
    """Student's 95 % confidence interval of the mean; null for a single seed."""
    min_test_accuracy: float
    median_train_seconds: float
    additional_seeds_needed: int | None
    """How many more seeds would decide the inconclusive checks, if mean and standard deviation stay
    as they are; null if none is inconclusive, or if a thousand would not do."""


class FailedRun(Document):
    """A run of several that ended with an error."""

    seed: int
    exit_code: int
    """Exit code of the error, as a single run would have ended with: 5 if it diverged."""
    reason: str
    path: str
    """Run folder."""


class RunsDocument(Document):
    """Output of `train --seeds`."""

    schema_: Annotated[Literal["mnistcli.runs/2"], Field(alias="schema")] = "mnistcli.runs/2"
    runs: tuple[RunRecord, ...]
    """Runs that finished."""
    summary: RunsSummary
    checks: tuple[Check, ...]
    """Checks of the means: inconclusive if the limit is inside the 95 % confidence interval."""
    passed: bool
    """Whether all checks passed and no run failed."""
    failed: tuple[FailedRun, ...] = ()


class ArmResult(Document):
    """One order of the images, over all seeds."""

    name: Literal["curriculum", "none", "random", "reversed"]
    steps: int
    """Optimizer steps of a run, the same for all orders."""
    images: int
    """Images that a run learned from, counted as often as they came up."""
    accuracies: tuple[float | None, ...]
    """In the order of the seeds; null where the training diverged."""
    mean_accuracy: float | None
    """Null if all trainings diverged, as `sd` and `train_seconds`."""
    sd: float | None
    interval: Interval | None
    """Student's 95 % confidence interval of the mean; null for a single seed."""
    train_seconds: float | None
    """Median."""
    difference: PairedDifference | None
    """The curriculum less this order; null for the curriculum, and for a single seed."""


class CurriculumComparison(Document):
    """Output of `curriculum --compare`, also written to comparison.json."""

    schema_: Annotated[Literal["mnistcli.curriculum-comparison/2"], Field(alias="schema")] = (
        "mnistcli.curriculum-comparison/2"
    )
    preset: Preset
    evaluated_on: Literal["test", "validation"]
    seeds: tuple[int, ...]
    train_examples: int
    """Number of images to learn from."""
    device: str
    precision: str
    threads: int
    """CPU threads of a run."""
    cpu: str
    """CPU capability that PyTorch used, as in "AVX512"."""
    arms: tuple[ArmResult, ...]
    path: str
    dataset: DatasetName | None = None
    """Name by which `--dataset` knows the data; null for one's own, and in older documents."""
    diverged: tuple[DivergedTrial, ...] = ()


class Group(Document):
    """Runs of the same preset, or the [reference] of a preset."""

    name: str
    """Name of the preset, with its differences from other groups of that name."""
    source: Literal["runs", "reference"]
    runs: tuple[str, ...]
    """Run ids; empty for a reference."""
    seeds: tuple[int, ...]
    parameters: int
    macs: int
    train_examples: int | None
    """Null for a reference."""
    test_images: int
    accuracies: tuple[float, ...]
    """In the order of the seeds; empty for a reference that does not list them."""
    mean_accuracy: float
    sd: float
    interval: Interval | None
    """Student's 95 % confidence interval of the mean; for a single run Wilson's of its accuracy."""
    train_seconds: float
    """Median; for a reference the time of one training alone, if it is known."""
    claims: tuple[ClaimAudit, ...]
    """Audit of every published figure; empty if these are other images than the document's."""
    pareto: bool
    """Whether no other group has fewer parameters and at least its accuracy."""
    non_zero_weights: int | None = None
    """Present if its weights were pruned; all of them count as parameters."""


class GroupDifference(Document):
    """Difference of a group's mean accuracy from the baseline's."""

    name: str
    difference: float
    interval: Interval
    p_value: float
    adjusted_p_value: float
    """Adjusted for all differences of the document, by Holm's method."""
    test: Literal["paired t", "Welch t", "two proportions"]
    verdict: Literal["improved", "worse", "no clear difference"]


class Comparison(Document):
    """Output of `compare`."""

    schema_: Annotated[Literal["mnistcli.comparison/2"], Field(alias="schema")] = (
        "mnistcli.comparison/2"
    )
    groups: tuple[Group, ...]
    baseline: str
    """Name of the first group."""
    differences: tuple[GroupDifference, ...]


class JournalEntry(Document):
    """One run of a journal."""

    run_id: str
    started: str
    preset: str
    seed: int
    parameters: int
    accuracy: float
    evaluated_on: EvaluatedOn = "test"
    change: float | None
    """Change of the accuracy since the previous run; null if its test images were others."""
    changes: tuple[str, ...]
    """Changes since the previous run, field by field."""


class Journal(Document):
    """Output of `compare --journal`."""

    schema_: Annotated[Literal["mnistcli.journal/1"], Field(alias="schema")] = "mnistcli.journal/1"
    entries: tuple[JournalEntry, ...]
