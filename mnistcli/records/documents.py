"""JSON documents of runs and summaries.

Fractions are in [0, 1], times in seconds, sizes in bytes. `schema` names the kind and version.
"""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from mnistcli.preset.coreset import Coreset
from mnistcli.preset.schema import Preset
from mnistcli.records.base import Document
from mnistcli.records.earlier import EarlierRun, Repetition
from mnistcli.records.members import MemberRecord
from mnistcli.records.pruning import PruningRecord
from mnistcli.records.sizes import IntegerSizes
from mnistcli.records.sources import DataSource

Interval = tuple[float, float]
Verdict = Literal["pass", "fail", "inconclusive"]


class Check(Document):
    """A limit of a budget, checked against a measured value."""

    name: str
    comparison: Literal["<", "<=", ">="]
    limit: int | float
    value: int | float | None
    """Null if it is not known: of a network that has no integer form."""
    verdict: Verdict
    reason: str | None = None
    """Why it is inconclusive, if not because of the runs' interval."""


class ClaimAudit(Document):
    """A published figure, compared with the built network or with measured runs."""

    figure: str
    claimed: int | float
    where: str
    """Where the figure was published."""
    built: int | float | None
    """Value of the built network; null for results of training."""
    measured: float | None
    """Mean over the runs, or over those of the [reference]; null if there are none."""
    sd: float | None
    runs: int
    """Number of runs."""
    verdict: Literal["confirmed", "refuted", "undecided", "not measured"]
    test: Literal["count", "one-sample t"] | None
    """Counts must be equal; a mean must be as good as claimed, or better."""
    p_value: float | None
    """One-sided p-value against the claimed value."""


class LayerRow(Document):
    """A layer of the built network."""

    name: str
    """Place among the layers, with dots inside other layers, as in "3.0.1"."""
    kind: str
    output_shape: tuple[int, ...]
    parameters: int
    macs: int
    """Multiply-accumulates (MACs) for one image."""
    receptive_field: int
    """Side of the receptive field in pixels; 28 or more covers the whole image."""


class Memory(Document):
    """Memory in float32, in bytes, for a single image."""

    parameters: int
    forward: int
    """For inference: max over the layers of input plus output, and what residuals keep."""
    backward: int
    """For training: output and gradient of every layer."""


class Summary(Document):
    """Output of `summary`."""

    schema_: Annotated[Literal["mnistcli.summary/2"], Field(alias="schema")] = "mnistcli.summary/2"
    preset: Preset
    parameters: int
    macs: int
    layers: tuple[LayerRow, ...]
    """Layers of each network; all other figures of an ensemble are of all members together."""
    memory: Memory
    published: tuple[ClaimAudit, ...]
    checks: tuple[Check, ...]
    passed: bool
    is_measured: bool = False
    """Whether the receptive fields were measured, as for the user's own code."""
    frozen_parameters: int = 0
    """Parameters that are not trained; part of `parameters`."""
    warnings: tuple[str, ...] = ()
    """Findings about the user's own network."""
    integer_sizes: IntegerSizes | None = None
    """Present if the budget limits flash or RAM."""


class EpochRecord(Document):
    """Results of one epoch; training loss and accuracy are means over its augmented batches."""

    epoch: int
    train_loss: float
    train_accuracy: float
    learning_rate: float
    seconds: float
    images: int
    stages: dict[str, float]
    """Seconds by stage: data, forward, backward, optimizer, other."""
    validation_loss: float | None
    validation_accuracy: float | None
    member: int | None = None
    """Which network of an ensemble was trained, from 1; each has epochs of its own."""


class TestResult(Document):
    """Results on the test set, or on held-out images in its place, after the last epoch."""

    __test__ = False
    accuracy: float
    correct: Annotated[int, Field(ge=0)]
    total: Annotated[int, Field(ge=1)]
    loss: float
    interval: Interval
    """Wilson's 95 % confidence interval of the accuracy."""

    @model_validator(mode="after")
    def _no_more_correct_than_there_are(self) -> Self:
        if self.correct > self.total:
            raise ValueError(f"{self.correct:,} of {self.total:,} images are correct")
        return self


class AnswerLimits(Document):
    """What a picture must reach to be taken for a digit; what does not is "don't know"."""

    min_confidence: float
    min_similarity: float
    images: int
    """Number of images that the limits were measured on."""
    measured_on: str

    def are_met(self, confidence: float, similarity: float) -> bool:
        """Return whether there is an answer to a picture."""
        return confidence >= self.min_confidence and similarity >= self.min_similarity


class Profile(Document):
    """Time by stage, and the speed of the training loop compared with its ceiling."""

    stages: dict[str, float]
    """Seconds by stage: data, forward, backward, optimizer, other, and evaluation."""
    images_per_second: float
    ceiling_images_per_second: float
    """Speed of forward, backward and optimizer alone, on a prepared batch."""
    fraction_of_ceiling: float


class CoresetRecord(Document):
    """The coreset that a run learned from."""

    settings: Coreset | None
    """Null if the indices were read from a file."""
    size: int
    total: int
    """Number of images to select from."""
    class_counts: tuple[int, ...]
    """Images of the digits 0 to 9."""
    seconds: dict[str, float]
    """Seconds by stage of the selection."""
    indices_sha256: str
    indices_file: str


class PhaseRecord(Document):
    """Results of one phase of a curriculum, evaluated right after the phase."""

    phase: int
    name: str
    digits: tuple[int, ...]
    images: int
    """Number of images in use."""
    steps: int
    seconds: float
    train_loss: float
    train_accuracy: float
    """In the last epoch of the phase."""
    own_accuracy: float | None
    """Accuracy on the phase's own digits."""
    seen_accuracy: float | None
    """Accuracy on the digits of this and all earlier phases."""
    final_own_accuracy: float | None
    """Accuracy on the phase's own digits after the last phase."""
    digit_accuracies: tuple[float | None, ...]
    """Accuracies on the digits 0 to 9: a row of the retention matrix."""
    target: float | None


class RunRecord(Document):
    """Output of `train`, also written to record.json in the run folder."""

    schema_: Annotated[Literal["mnistcli.run/2"], Field(alias="schema")] = "mnistcli.run/2"
    run_id: str
    path: str
    started: str
    preset: Preset
    seed: int
    device: str
    precision: str
    threads: int
    versions: dict[str, str]
    data: DataSource
    parameters: int
    macs: int
    """Multiply-accumulates (MACs) for one image."""
    train_examples: int
    """Number of images to learn from."""
    train_fraction: float
    """Fraction of all training images; a budget may limit it."""
    validation_examples: int
    coreset: CoresetRecord | None
    epochs: tuple[EpochRecord, ...]
    passes: float
    """Images learned from, each time they occurred, per train_examples: epochs for the budget."""
    kept_epoch: int | None = None
    """Epoch whose weights were tested and saved, where the preset keeps the best ones."""
    phases: tuple[PhaseRecord, ...]
    """Phases of the curriculum, if there is one."""
    phases_evaluated_on: str | None
    train_seconds: float
    is_bit_reproducible: bool = True
    """Whether the same training again gives the same weights: not if its time decided its steps."""
    test: TestResult
    answer_limits: AnswerLimits | None = None
    """Null if there are too few training images, and in older records."""
    weights_sha256: str
    peak_memory: int | None
    """Peak resident memory of the process, if the system reports it."""
    profile: Profile | None = None
    teachers: tuple[EarlierRun, ...] = ()
    """The networks that it learned from."""
    init: EarlierRun | None = None
    """The network whose weights it started from."""
    pruning: PruningRecord | None = None
    """Present if the preset prunes the network; all other figures are those of the pruned one."""
    members: tuple[MemberRecord, ...] = ()
    """The networks of an ensemble; all other figures are of all of them together."""
    repeats: Repetition | None = None
    checks: tuple[Check, ...]
    passed: bool
    warnings: tuple[str, ...] = ()
    """Findings about the user's own network before it was trained."""
    integer_sizes: IntegerSizes | None = None
    """Present if the budget limits flash or RAM."""

    @property
    def stages(self) -> tuple[tuple[EpochRecord, ...], ...]:
        """Return the epochs before and after the pruning, or all together if there was none."""
        if self.pruning is None:
            return (self.epochs,)
        return self.epochs[: self.pruning.epochs], self.epochs[self.pruning.epochs :]

    @property
    def last_epoch(self) -> int:
        """Return the number of epochs, of an ensemble that of the member with the most."""
        return max((epoch.epoch for epoch in self.epochs), default=0)

    @property
    def verdict(self) -> Verdict:
        """Return "inconclusive" if no check failed, and not all passed."""
        if self.passed:
            return "pass"
        verdicts = {check.verdict for check in self.checks}
        is_open = "inconclusive" in verdicts and "fail" not in verdicts
        return "inconclusive" if is_open else "fail"

    @property
    def figures(self) -> dict[str, int | float]:
        """Return the figures that a budget can limit; held-out images give no test accuracy."""
        is_test = self.data.evaluated_on == "test"
        return {
            "parameters": self.parameters,
            "macs": self.macs,
            **({"test_accuracy": self.test.accuracy} if is_test else {}),
            "epochs": int(self.passes) if self.passes.is_integer() else self.passes,
            "train_seconds": self.train_seconds,
            "train_fraction": self.train_fraction,
            "train_examples": self.train_examples,
        }
