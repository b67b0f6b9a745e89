"""The JSON contract of studies: their plan, the trials that are kept, and their result."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from mnistcli.preset.choices import DatasetName
from mnistcli.preset.schema import Preset
from mnistcli.records.base import Document
from mnistcli.records.comparisons import DivergedTrial, PairedDifference
from mnistcli.records.documents import Interval
from mnistcli.records.sources import EvaluatedOn
from mnistcli.records.states import Seed

PLAN, TRIALS, COMPARISON = "plan.json", "trials", "comparison.json"


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

    accuracy: float | None
    """On the images that the study evaluates on; None if the training diverged."""
    train_seconds: float
    images: int
    """Images learned from, counted as often as they came up."""
    steps: int
    """Optimizer steps."""
    machine: TrialMachine
    host: str
    """Name of the computer."""
    parameters: int = 0
    macs: int = 0
    selection_seconds: float = 0.0
    """Time that selecting its images took, if that came before the trial."""
    evaluated_images: int = 0
    data_sha256: tuple[str, str] = ("", "")
    """Fingerprints of the images to learn from and of those to evaluate on."""
    diverged: str | None = None
    """Where the training diverged, in a sentence."""


class TrialDocument(Document):
    """A finished trial of a study: trials/*.json in its folder."""

    schema_: Annotated[Literal["mnistcli.trial/1"], Field(alias="schema")] = "mnistcli.trial/1"
    arm: str
    seed: Seed
    result: TrialResult


class PlannedArm(Document):
    """One arm of a study before its trials."""

    name: str
    title: str
    overrides: tuple[str, ...]
    preset: Preset


class StudyPlan(Document):
    """What a study compares, and where: plan.json in its folder."""

    schema_: Annotated[Literal["mnistcli.study-plan/1"], Field(alias="schema")] = (
        "mnistcli.study-plan/1"
    )
    arms: Annotated[tuple[PlannedArm, ...], Field(min_length=2)]
    """The base first."""
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)]
    evaluated_on: EvaluatedOn
    device: Literal["auto", "cpu", "cuda", "mps"]
    precision: Literal["auto", "float32", "bfloat16"]
    threads: Annotated[int, Field(ge=1, le=1_024)]
    data_folder: str | None


class StudyArm(Document):
    """One arm over all seeds."""

    name: str
    title: str
    overrides: tuple[str, ...]
    """As of `--set`; empty for the base."""
    accuracies: tuple[float | None, ...]
    """In the order of the seeds; null where the training diverged."""
    n: int
    """Trials that did not diverge."""
    mean_accuracy: float | None
    sd: float | None
    interval: Interval | None
    """Student's 95 % confidence interval of the mean; null for fewer than two trials."""
    train_seconds: float | None
    """Median; null if all trials diverged."""
    seconds_ratio: float | None
    """Median training time divided by the base's; null where either has none."""
    parameters: int
    macs: int
    difference: PairedDifference | None
    """From the base, over the seeds at which neither diverged; null for fewer than two."""
    verdict: Literal["helps", "hurts", "no clear difference", "diverges"] | None
    """By the adjusted p-value, at the 5 % level, unless a trial diverged; null where there is no
    difference, as of the base."""


class StudyDocument(Document):
    """Output of `study`, also written to comparison.json."""

    schema_: Annotated[Literal["mnistcli.study/1"], Field(alias="schema")] = "mnistcli.study/1"
    preset: Preset
    """The base."""
    evaluated_on: EvaluatedOn
    """Held out by the study from the training images, the same for all trials; or the test set."""
    evaluated_images: int
    """Number of images that each trial was evaluated on."""
    test_set_reads: int
    """How often the test set was read: once a trial with `--test`, otherwise never."""
    seeds: tuple[int, ...]
    device: str
    precision: str
    threads: int
    """CPU threads of a trial."""
    cpu: str
    """CPU capability that PyTorch used, as in "AVX512"."""
    base: StudyArm
    arms: tuple[StudyArm, ...]
    diverged: tuple[DivergedTrial, ...]
    path: str
    dataset: DatasetName | None
    """Name by which `--dataset` knows the data; null for one's own."""
