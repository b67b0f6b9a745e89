"""The schema of presets: network, training, budget, published claims and reference results."""

from collections import Counter
from statistics import mean, stdev
from typing import Annotated, Literal, Self

from pydantic import Field, WithJsonSchema, model_validator

from mnistcli.preset.augmentation import Augmentation, Mixing
from mnistcli.preset.budget import Budget
from mnistcli.preset.channels import ChannelPlan, plan_channels
from mnistcli.preset.code.code import Code
from mnistcli.preset.coreset import Coreset
from mnistcli.preset.curriculum import Curriculum
from mnistcli.preset.ensemble import Ensemble
from mnistcli.preset.layers import Layer
from mnistcli.preset.model import Model
from mnistcli.preset.prune import Prune, tune
from mnistcli.preset.teacher import Teacher
from mnistcli.preset.training import Train
from mnistcli.preset.values import LIMIT, Count, Fraction, Printable, Seconds, StrictModel

TOLERANCE = 1e-4

Loss = Annotated[float, Field(ge=0, le=LIMIT)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
Text = Annotated[Printable, Field(max_length=1_000)]


class Claim(StrictModel):
    """A published figure, right or wrong, and where it was published."""

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
    """Published claims about this network, never taken for facts."""

    claims: tuple[Claim, ...]


class Normalization(StrictModel):
    """The normalization (pixel - mean) / std of pixels in [0, 1]; by default MNIST's."""

    mean: Annotated[float, Field(ge=0, le=1)] = 0.1307
    std: Annotated[float, Field(gt=0, le=1)] = 0.3081


class Data(StrictModel):
    """Changes to the data before training."""

    label_noise: Annotated[float, Field(ge=0, lt=1)] = 0
    """Fraction of the training labels that are replaced by another random digit; validation and
    test labels are not changed."""


class Reference(StrictModel):
    """Results of this project over several seeds, on the test set after the last epoch."""

    command: Text = ""
    """Command that reproduces these runs."""
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1)]
    parameters: Count
    macs: Count
    """Multiply-accumulates (MACs) for one image."""
    mean_test_accuracy: Fraction
    sd_test_accuracy: Fraction
    test_accuracies: tuple[Fraction, ...] = ()
    """In the order of the seeds."""
    test_losses: tuple[Loss, ...] = ()
    train_accuracies: tuple[Fraction, ...] = ()
    """Accuracies of the last epoch, on the augmented training images; in the order of the seeds."""
    train_losses: tuple[Loss, ...] = ()
    """Losses of the last epoch, likewise; with label smoothing if the training has it."""
    median_train_seconds: Seconds
    seconds_alone: Seconds | None = None
    """Seconds of one training with two threads on an otherwise idle machine."""
    machine: Text
    """Kind of machine, precision and number of threads."""
    version: Text
    """Version of mnistcli."""
    date: Text

    @model_validator(mode="after")
    def _one_figure_a_seed(self) -> Self:
        if twice := [seed for seed, count in Counter(self.seeds).items() if count > 1]:
            raise ValueError(f"seeds: {twice[0]} occurs more than once")
        for name in ("test_accuracies", "test_losses", "train_accuracies", "train_losses"):
            if (figures := getattr(self, name)) and len(figures) != len(self.seeds):
                raise ValueError(f"{name}: {len(figures)} values for {len(self.seeds)} seeds")
        return self

    @model_validator(mode="after")
    def _mean_and_sd_are_of_the_accuracies(self) -> Self:
        if values := self.test_accuracies:
            spread = stdev(values) if len(values) > 1 else 0.0
            for name, found in (("mean_test_accuracy", mean(values)), ("sd_test_accuracy", spread)):
                given = getattr(self, name)
                if abs(given - found) > TOLERANCE:
                    raise ValueError(
                        f"{name} is {given:g}, but {found:g} follows from test_accuracies"
                    )
        return self


class Preset(StrictModel):
    """A network, its training, its budget, and claims and results about it."""

    name: Name = "unnamed"
    """By default the name of the file."""
    title: Text
    source: Text = ""
    """Origin of the network."""
    published: Published | None = None
    budget: Budget = Budget()
    model: Model
    normalization: Normalization = Normalization()
    augment: tuple[Augmentation, ...] = ()
    coreset: Coreset | None = None
    curriculum: Curriculum | None = None
    data: Data = Data()
    teacher: Teacher | None = None
    ensemble: Ensemble | None = None
    train: Train
    prune: Prune | None = None
    reference: Reference | None = None

    @model_validator(mode="after")
    def _only_layers_are_quantized(self) -> Self:
        if self.train.quantize and self.model.layers is None:
            raise ValueError("train.quantize needs a network of layers. Set train.quantize=none.")
        return self

    @model_validator(mode="after")
    def _pruned_weights_stay_zero(self) -> Self:
        quantize = self.train.quantize
        if self.prune and self.prune.kind == "weights" and quantize and quantize.weights == 2:
            raise ValueError(
                "prune: weights of 2 bits are -3, -1, 1 or 3 steps, never zero. "
                'Set train.quantize.weights="ternary", 4 or 8, or prune channels.'
            )
        return self

    @model_validator(mode="after")
    def _phases_are_not_cut_short(self) -> Self:
        enders = {
            "early_stopping": self.train.early_stopping, "within_seconds": self.train.within_seconds
        }  # fmt: skip
        for name, settings in enders.items():
            if settings and self.curriculum and self.curriculum.kind != "hardest":
                raise ValueError(
                    f"train.{name} would end a curriculum before its last phase. Leave one out."
                )
        return self

    @model_validator(mode="after")
    def _the_network_can_be_pruned(self) -> Self:
        if self.prune is None:
            return self
        if self.curriculum and self.curriculum.kind != "hardest":
            raise ValueError("prune cannot follow a curriculum in phases. Set curriculum=none.")
        if self.train.within_seconds:
            raise ValueError(
                "prune needs a number of epochs, not a time. Set train.within_seconds=none."
            )
        if self.train.freeze:
            raise ValueError(
                "prune changes all layers, so that none can be frozen. Set train.freeze=[]."
            )
        if self.prune.kind == "channels" and self.model.layers is None:
            raise ValueError(
                "prune: only a network of layers can lose channels, not one in Python code. "
                'Use kind = "weights".'
            )
        assert self.channel_plan or self.prune.kind == "weights"  # it raises if none can be pruned
        return self

    @property
    def channel_plan(self) -> ChannelPlan | None:
        """Return which channels the network loses, if it loses any."""
        if self.prune is None or self.prune.kind != "channels":
            return None
        return plan_channels(self.model.scaled_layers, self.prune.fraction)

    @property
    def final_layers(self) -> tuple[Layer, ...]:
        """Return the layers of the network that the training ends with: scaled, and pruned."""
        return plan.layers if (plan := self.channel_plan) else self.model.scaled_layers

    @property
    def stages(self) -> tuple[Self, ...]:
        """Return the trainings that follow each other: two with [prune], before and after it."""
        if self.prune is None:
            return (self,)
        tuned = self.model_copy(update={"train": tune(self.train, self.prune)})
        return self.model_copy(update={"prune": None}), tuned

    @property
    def epochs(self) -> int:
        """Return the number of epochs, those of the fine-tuning too."""
        return sum(stage.train.epochs for stage in self.stages)

    @model_validator(mode="after")
    def _members_have_no_phases(self) -> Self:
        if self.ensemble and self.curriculum and self.curriculum.kind != "hardest":
            raise ValueError(
                "ensemble: phases are recorded of one network. Leave the curriculum or the "
                "ensemble out."
            )
        return self

    @model_validator(mode="after")
    def _members_are_trained_plainly(self) -> Self:
        others = {"train.within_seconds": self.train.within_seconds, "prune": self.prune}
        for name, settings in others.items():
            if self.ensemble and settings is not None:
                raise ValueError(f"ensemble: {name} is for a single network. Leave one out.")
        return self

    @property
    def standalone(self) -> Self:
        """Return the preset without the runs it builds upon: a finished run needs none of them."""
        train = self.train.model_copy(update={"init": None})
        return self.model_copy(update={"train": train, "teacher": None})

    @property
    def members(self) -> int:
        """Return the number of networks: 1 without an ensemble."""
        return self.ensemble.seeds if self.ensemble else 1

    @property
    def mixing(self) -> Mixing | None:
        """Return the augmentation that mixes images, and their labels, if there is one."""
        last = self.augment[-1] if self.augment else None
        return last if isinstance(last, Mixing) else None

    @model_validator(mode="after")
    def _mixing_comes_last(self) -> Self:
        for each in self.augment[:-1]:
            if isinstance(each, Mixing):
                raise ValueError(
                    f"augment: {each.kind} mixes labels too, so it must be the last one, and only "
                    "one can"
                )
        return self

    def with_code(self, code: Code) -> Self:
        """Return the preset with the code that its network consists of."""
        return self.model_copy(update={"model": self.model.with_code(code)})
