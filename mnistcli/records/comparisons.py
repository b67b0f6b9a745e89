"""The JSON contract of coresets and of what is held against each other over several seeds."""

from typing import Annotated, Literal

from pydantic import Field

from mnistcli.preset.coreset import Coreset
from mnistcli.preset.schema import Preset
from mnistcli.records.base import Document
from mnistcli.records.documents import Check, ClaimAudit, Interval, RunRecord


class CoverageResult(Document):
    """Distances from every image to the nearest chosen one, in 50 principal components."""

    mean: float
    max: float


class CoresetDocument(Document):
    """What `coreset` prints and leaves as coreset.json."""

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
    """Of a random choice of the same size and balance."""
    indices_file: str
    indices_sha256: str


class PairedDifference(Document):
    """One accuracy less another, seed by seed."""

    mean: float
    interval: Interval
    """Student's, 95 %, of the mean."""
    p_value: float
    """Of a paired t test, two-sided."""
    adjusted_p_value: float
    """The same, by Holm's method for all comparisons of the document."""
    verdict: Literal["better", "worse", "no clear difference"]
    """By the adjusted p-value, at 0.05."""


class MethodResult(Document):
    """One method at one size, over all seeds."""

    method: str
    size: int
    accuracies: tuple[float, ...]
    """In the order of the seeds."""
    mean_accuracy: float
    sd: float
    interval: Interval | None
    """Student's, 95 %, of the mean; absent for a single seed."""
    selection_seconds: float
    """Median; with the features or scores that the method needs."""
    train_seconds: float
    """Median."""
    difference: PairedDifference | None
    """Absent for random itself, for all images, and for a single seed."""


class CoresetComparison(Document):
    """What `coreset --compare` prints and leaves as comparison.json."""

    schema_: Annotated[Literal["mnistcli.coreset-comparison/2"], Field(alias="schema")] = (
        "mnistcli.coreset-comparison/2"
    )
    preset: Preset
    evaluated_on: Literal["test", "validation"]
    steps: int
    """Of the optimizer, the same for every run."""
    seeds: tuple[int, ...]
    total: int
    """Images to choose from."""
    device: str
    precision: str
    threads: int
    """Of each run."""
    everything: MethodResult
    """All images, in as many steps."""
    results: tuple[MethodResult, ...]
    path: str


class RunsSummary(Document):
    """What several runs of one preset have in common."""

    preset: str
    seeds: tuple[int, ...]
    mean_test_accuracy: float
    sd_test_accuracy: float
    interval: Interval | None
    """Student's, 95 %, of the mean; absent for a single seed."""
    min_test_accuracy: float
    median_train_seconds: float
    additional_seeds_needed: int | None
    """How many more would decide what is inconclusive, if mean and spread stay as they are; absent
    where nothing is, and where a thousand would not do."""


class RunsDocument(Document):
    """What `train --seeds` prints."""

    schema_: Annotated[Literal["mnistcli.runs/2"], Field(alias="schema")] = "mnistcli.runs/2"
    runs: tuple[RunRecord, ...]
    summary: RunsSummary
    checks: tuple[Check, ...]
    """On the means: a limit inside the 95 % interval leaves a check inconclusive."""
    passed: bool


class ArmResult(Document):
    """One way to order the images, over all seeds."""

    name: Literal["curriculum", "none", "random", "reversed"]
    steps: int
    """Of the optimizer: the same for all."""
    images: int
    """How many came up in a run, counted as often as they did."""
    accuracies: tuple[float, ...]
    """In the order of the seeds."""
    mean_accuracy: float
    sd: float
    interval: Interval | None
    """Student's, 95 %, of the mean; absent for a single seed."""
    train_seconds: float
    """Median."""
    difference: PairedDifference | None
    """Absent for the curriculum itself, and for a single seed."""


class CurriculumComparison(Document):
    """What `curriculum --compare` prints and leaves as comparison.json."""

    schema_: Annotated[Literal["mnistcli.curriculum-comparison/2"], Field(alias="schema")] = (
        "mnistcli.curriculum-comparison/2"
    )
    preset: Preset
    evaluated_on: Literal["test", "validation"]
    seeds: tuple[int, ...]
    train_examples: int
    """Images learned from."""
    device: str
    precision: str
    threads: int
    """Of each run."""
    arms: tuple[ArmResult, ...]
    path: str


class Group(Document):
    """Runs of the same preset, or what a preset says was measured of it."""

    name: str
    """The preset's, with what tells it from others of that name."""
    source: Literal["runs", "reference"]
    runs: tuple[str, ...]
    """Run ids; none of a reference."""
    seeds: tuple[int, ...]
    parameters: int
    macs: int
    train_examples: int | None
    """Absent of a reference."""
    test_images: int
    accuracies: tuple[float, ...]
    """In the order of the seeds; none of a reference."""
    mean_accuracy: float
    sd: float
    interval: Interval | None
    """Student's, 95 %, of the mean; of a single run Wilson's, of its accuracy."""
    train_seconds: float
    """Median; of a reference that of one training alone, if it says so."""
    claims: tuple[ClaimAudit, ...]
    """Every published figure beside this group's; none of other images than the document's."""
    pareto: bool
    """Whether no other group has fewer parameters and at least its accuracy."""


class GroupDifference(Document):
    """A group's mean accuracy less the baseline's."""

    name: str
    difference: float
    interval: Interval
    p_value: float
    adjusted_p_value: float
    """By Holm's method, for all differences of the document."""
    test: Literal["paired t", "Welch t", "two proportions"]
    verdict: Literal["improved", "worse", "no clear difference"]


class Comparison(Document):
    """What `compare` prints."""

    schema_: Annotated[Literal["mnistcli.comparison/2"], Field(alias="schema")] = (
        "mnistcli.comparison/2"
    )
    groups: tuple[Group, ...]
    baseline: str
    """The first group."""
    differences: tuple[GroupDifference, ...]


class JournalEntry(Document):
    """One run among all those of a folder."""

    run_id: str
    started: str
    preset: str
    seed: int
    parameters: int
    accuracy: float
    change: float | None
    """Of the accuracy since the entry before."""
    changes: tuple[str, ...]
    """What is different since then, field by field."""


class Journal(Document):
    """What `compare --journal` prints."""

    schema_: Annotated[Literal["mnistcli.journal/1"], Field(alias="schema")] = "mnistcli.journal/1"
    entries: tuple[JournalEntry, ...]
