"""A preset: a network, how it is trained, the budget it must meet, and what others claim of it."""

from collections import Counter
from statistics import mean, stdev
from typing import Annotated, Literal, Self

from pydantic import Field, WithJsonSchema, model_validator

from mnistcli.preset.augmentation import Augmentation
from mnistcli.preset.coreset import Coreset
from mnistcli.preset.curriculum import Curriculum
from mnistcli.preset.layers import Layer
from mnistcli.preset.training import Train
from mnistcli.preset.values import Printable, StrictModel

LIMIT = 10**15
TOLERANCE = 1e-4

Count = Annotated[int, Field(ge=0, le=LIMIT)]
Share = Annotated[float, Field(ge=0, le=1)]
Loss = Annotated[float, Field(ge=0, le=LIMIT)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
Seconds = Annotated[float, Field(gt=0, le=1e9)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Text = Annotated[Printable, Field(max_length=1_000)]


class Budget(StrictModel):
    """The limits a run is judged by; a limit that is not given is not checked.

    `max_…` and `min_…` allow the limit itself, `…_below` does not.
    """

    parameters_below: Count | None = None
    max_parameters: Count | None = None
    min_test_accuracy: Share | None = None
    epochs_below: Count | None = None
    max_epochs: Count | None = None
    train_seconds_below: Seconds | None = None
    max_train_seconds: Seconds | None = None
    max_train_fraction: Share | None = None
    """Training images used, as a share of all the training images there are."""

    @model_validator(mode="after")
    def _one_limit_a_figure(self) -> Self:
        for figure in ("parameters", "epochs", "train_seconds"):
            pair = (f"{figure}_below", f"max_{figure}")
            if all(getattr(self, name) is not None for name in pair):
                raise ValueError(f"give {pair[0]} or {pair[1]}, not both")
        return self


class Claim(StrictModel):
    """One published figure and where it stands, right or wrong."""

    figure: Literal[
        "parameters",
        "test_accuracy",
        "train_accuracy",
        "test_loss",
        "train_loss",
        "train_seconds",
        "epoch_seconds",
        "first_epoch_at_99_4",
    ]
    value: Annotated[
        int | float,
        Field(ge=0, le=LIMIT),
        WithJsonSchema({"type": "number", "minimum": 0, "maximum": LIMIT}),
    ]
    """Fractions in [0, 1], seconds, or a count."""
    where: Text

    @model_validator(mode="after")
    def _value_fits_the_figure(self) -> Self:
        if self.figure.endswith("_accuracy") and self.value > 1:
            raise ValueError(f"{self.figure} must be a fraction in [0, 1], got {self.value}")
        if self.figure == "parameters" and not isinstance(self.value, int):
            raise ValueError(f"parameters must be an integer, got {self.value}")
        return self


class Published(StrictModel):
    """What a document claims of this network: never taken for a fact."""

    claims: tuple[Claim, ...]


class Model(StrictModel):
    """The network, from an image of 1 × 28 × 28 to 10 logits."""

    layers: Annotated[tuple[Layer, ...], Field(min_length=1, max_length=1_000)]


class Normalization(StrictModel):
    """Pixels in [0, 1] become (pixel - mean) / std; by default MNIST's own."""

    mean: Annotated[float, Field(ge=0, le=1)] = 0.1307
    std: Annotated[float, Field(gt=0, le=1)] = 0.3081


class Data(StrictModel):
    """What is done to the data before anything else."""

    label_noise: Annotated[float, Field(ge=0, lt=1)] = 0
    """Share of the training labels, drawn by the seed, that become another digit by chance;
    held-out and test labels stay as they are."""


class Reference(StrictModel):
    """What this project measured: a mean over seeds, on the test set, after the last epoch."""

    command: Text = ""
    """That trains these runs again."""
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)]
    parameters: Count
    macs: Count
    """Multiply-adds for one image."""
    mean_test_accuracy: Share
    sd_test_accuracy: Share
    test_accuracies: tuple[Share, ...] = ()
    """In the order of the seeds, as what follows is."""
    test_losses: tuple[Loss, ...] = ()
    train_accuracies: tuple[Share, ...] = ()
    """Of the last epoch, on images as they were trained on."""
    train_losses: tuple[Loss, ...] = ()
    """Likewise; with label smoothing, where the training has any."""
    median_train_seconds: Seconds
    seconds_alone: Seconds | None = None
    """Of one training with two threads on a machine that did nothing else."""
    machine: Text
    """The class of machine, the precision and the threads."""
    version: Text
    """Of mnistcli."""
    date: Text

    @model_validator(mode="after")
    def _one_figure_a_seed(self) -> Self:
        if twice := [seed for seed, count in Counter(self.seeds).items() if count > 1]:
            raise ValueError(f"seeds: {twice[0]} is there more than once")
        for name in ("test_accuracies", "test_losses", "train_accuracies", "train_losses"):
            if (figures := getattr(self, name)) and len(figures) != len(self.seeds):
                raise ValueError(f"{name}: {len(figures)} figures of {len(self.seeds)} seeds")
        return self

    @model_validator(mode="after")
    def _mean_and_sd_are_of_the_accuracies(self) -> Self:
        if values := self.test_accuracies:
            spread = stdev(values) if len(values) > 1 else 0.0
            for name, found in (("mean_test_accuracy", mean(values)), ("sd_test_accuracy", spread)):
                given = getattr(self, name)
                if abs(given - found) > TOLERANCE:
                    raise ValueError(f"{name} is {given:g}, but test_accuracies give {found:g}")
        return self


class Preset(StrictModel):
    """A network, its training, its budget, and the claims about it."""

    name: Name = "unnamed"
    """By default the file's name."""
    title: Text
    source: Text = ""
    """Where the network comes from."""
    published: Published | None = None
    budget: Budget = Budget()
    model: Model
    normalization: Normalization = Normalization()
    augment: tuple[Augmentation, ...] = ()
    coreset: Coreset | None = None
    curriculum: Curriculum | None = None
    data: Data = Data()
    train: Train
    reference: Reference | None = None
