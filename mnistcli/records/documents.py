"""The JSON contract: every document that a command writes or prints, as frozen models.

Fractions are in [0, 1], times in seconds, sizes in bytes. A document says which it is in `schema`.
"""

from typing import Annotated, Literal

from pydantic import Field

from mnistcli.preset.coreset import Coreset
from mnistcli.preset.schema import Preset
from mnistcli.records.base import Document

Interval = tuple[float, float]
Verdict = Literal["pass", "fail", "inconclusive"]


class Check(Document):
    """One limit of a budget and the figure that was held against it."""

    name: str
    comparison: Literal["<", "<=", ">="]
    limit: int | float
    value: int | float
    verdict: Verdict


class ClaimAudit(Document):
    """A published figure beside the one of the built network, or of this project's own runs."""

    figure: str
    claimed: int | float
    where: str
    built: int | float | None
    """Absent where only a training can tell."""
    measured: float | None
    """The mean of the runs, or of those of the [reference]; absent where there are none."""
    sd: float | None
    runs: int
    """How many the mean is of."""
    verdict: Literal["confirmed", "refuted", "undecided", "not measured"]
    test: Literal["count", "one-sample t"] | None
    """A count must be the same. Of runs, the mean must be as good as claimed, or better."""
    p_value: float | None
    """One-sided: how likely a mean so far on its side is, if the true one is the claimed."""


class LayerRow(Document):
    """One layer of the built network, for one image."""

    name: str
    kind: str
    output_shape: tuple[int, ...]
    parameters: int
    macs: int
    receptive_field: int
    """Side in pixels; 28 or more is the whole image."""


class Memory(Document):
    """Bytes in float32, for one image where it concerns images."""

    parameters: int
    forward: int
    """Inference: the largest sum of one layer's input and output."""
    backward: int
    """Training: every layer's output, kept for the gradient, and that output's gradient."""


class Summary(Document):
    """What `summary` prints."""

    schema_: Annotated[Literal["mnistcli.summary/2"], Field(alias="schema")] = "mnistcli.summary/2"
    preset: Preset
    parameters: int
    macs: int
    layers: tuple[LayerRow, ...]
    memory: Memory
    published: tuple[ClaimAudit, ...]
    checks: tuple[Check, ...]
    passed: bool


class EpochRecord(Document):
    """One epoch: means over its batches as they were trained on, augmented."""

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


class TestResult(Document):
    """How many of the test images were recognized, after the last epoch."""

    __test__ = False
    accuracy: float
    correct: int
    total: int
    loss: float
    interval: Interval
    """Wilson's, 95 %."""


class DataSource(Document):
    """Which images a run saw."""

    source: str
    """Name of the data set, or the folder as it was given."""
    folder: str | None = None
    """Absolute path of the folder; absent for the embedded MNIST."""
    train_sha256: str
    test_sha256: str


class Profile(Document):
    """Where a run's time went, and how near its loop came to the network's own speed."""

    stages: dict[str, float]
    """Seconds: data, forward, backward, optimizer, other (together the training), evaluation."""
    images_per_second: float
    ceiling_images_per_second: float
    """Of forward, backward and optimizer on one batch that is there already."""
    fraction_of_ceiling: float


class CoresetRecord(Document):
    """The part of the training images that a run learned from."""

    settings: Coreset | None
    """Absent if the indices were read from a file."""
    size: int
    total: int
    """Images to choose from."""
    class_counts: tuple[int, ...]
    """Of the digits 0 to 9."""
    seconds: dict[str, float]
    """By stage of the choice."""
    indices_sha256: str
    indices_file: str


class PhaseRecord(Document):
    """One phase of a curriculum, judged as soon as it had ended."""

    phase: int
    name: str
    digits: tuple[int, ...]
    images: int
    """In use."""
    steps: int
    seconds: float
    train_loss: float
    train_accuracy: float
    """Of its last epoch."""
    own_accuracy: float | None
    """On the phase's own digits."""
    seen_accuracy: float | None
    """On every digit of this and the phases before."""
    final_own_accuracy: float | None
    """On the phase's own digits, after the last phase."""
    digit_accuracies: tuple[float | None, ...]
    """Of the digits 0 to 9: a row of the retention matrix."""
    target: float | None


class Repetition(Document):
    """A run that was to be the same as an earlier one."""

    run_id: str
    """The earlier one's."""
    weights_sha256: str
    """The earlier one's."""
    differences: tuple[str, ...]
    """What was not the same: versions, machine, threads, device, precision, data."""
    matches: bool | None = None
    """Whether the weights are the same to the last bit; unknown until it has ended."""


class RunRecord(Document):
    """What `train` prints and a run folder keeps as record.json."""

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
    """Multiply-adds for one image."""
    train_examples: int
    """Images learned from; the share of all of them is what max_train_fraction limits."""
    train_fraction: float
    validation_examples: int
    coreset: CoresetRecord | None
    epochs: tuple[EpochRecord, ...]
    passes: float
    """Images learned from, counted as often as they came up, over how many there are: the epochs
    that a budget limits."""
    phases: tuple[PhaseRecord, ...]
    """Of a curriculum, if there is one."""
    phases_evaluated_on: str | None
    train_seconds: float
    test: TestResult
    weights_sha256: str
    peak_memory: int | None
    """The largest resident size of the process so far, where the system tells it."""
    profile: Profile | None
    repeats: Repetition | None = None
    checks: tuple[Check, ...]
    passed: bool

    @property
    def figures(self) -> dict[str, int | float]:
        """Return the figures that a budget can limit."""
        passes = self.passes
        return {
            "parameters": self.parameters,
            "test_accuracy": self.test.accuracy,
            "epochs": int(passes) if passes == int(passes) else passes,
            "train_seconds": self.train_seconds,
            "train_fraction": self.train_fraction,
        }


class PresetDocument(Document):
    """What `--dry-run` and `presets show --json` print."""

    schema_: Annotated[Literal["mnistcli.preset/1"], Field(alias="schema")] = "mnistcli.preset/1"
    preset: Preset


class PresetRow(Document):
    """One bundled preset."""

    name: str
    title: str
    path: str


class PresetList(Document):
    """What `presets list` prints."""

    schema_: Annotated[Literal["mnistcli.presets/1"], Field(alias="schema")] = "mnistcli.presets/1"
    presets: tuple[PresetRow, ...]
