"""The budget of a preset: the limits that a run must meet."""

from typing import Literal, NamedTuple, Self

from pydantic import model_validator

from mnistcli.preset.values import Count, Fraction, Seconds, StrictModel

Comparison = Literal["<", "<=", ">="]


class Rule(NamedTuple):
    """A field of the budget, with the figure that it limits."""

    field: str
    name: str
    """Name in a text such as "data<=20%"; at most one limit may have it."""
    figure: str
    comparison: Comparison


class Limit(NamedTuple):
    """A figure and its limit."""

    figure: str
    comparison: Comparison
    value: int | float


RULES = (
    Rule("parameters_below", "parameters", "parameters", "<"),
    Rule("max_parameters", "parameters", "parameters", "<="),
    Rule("macs_below", "macs", "macs", "<"),
    Rule("max_macs", "macs", "macs", "<="),
    Rule("flash_below", "flash", "flash", "<"),
    Rule("max_flash", "flash", "flash", "<="),
    Rule("ram_below", "ram", "ram", "<"),
    Rule("max_ram", "ram", "ram", "<="),
    Rule("min_test_accuracy", "accuracy", "test_accuracy", ">="),
    Rule("epochs_below", "epochs", "epochs", "<"),
    Rule("max_epochs", "epochs", "epochs", "<="),
    Rule("train_seconds_below", "seconds", "train_seconds", "<"),
    Rule("max_train_seconds", "seconds", "train_seconds", "<="),
    Rule("train_fraction_below", "data", "train_fraction", "<"),
    Rule("max_train_fraction", "data", "train_fraction", "<="),
    Rule("train_examples_below", "data", "train_examples", "<"),
    Rule("max_train_examples", "data", "train_examples", "<="),
)

BYTES = frozenset({"flash", "ram"})
"""Figures in bytes; only an export for a device measures them."""


class Budget(StrictModel):
    """The limits that a run must meet; a limit that is not given is not checked.

    `max_…` and `min_…` include the limit itself, `…_below` excludes it.
    """

    parameters_below: Count | None = None
    max_parameters: Count | None = None
    macs_below: Count | None = None
    """Limit of the multiply-accumulates (MACs) for one image."""
    max_macs: Count | None = None
    flash_below: Count | None = None
    """Limit of the bytes of code and constants on a device."""
    max_flash: Count | None = None
    """Max bytes of code and constants on a device."""
    ram_below: Count | None = None
    """Limit of the bytes of variables and stack on a device."""
    max_ram: Count | None = None
    """Max bytes of variables and stack on a device."""
    min_test_accuracy: Fraction | None = None
    epochs_below: Count | None = None
    max_epochs: Count | None = None
    train_seconds_below: Seconds | None = None
    max_train_seconds: Seconds | None = None
    train_fraction_below: Fraction | None = None
    """Limit of the fraction of the training images to learn from."""
    max_train_fraction: Fraction | None = None
    """Max fraction of the training images to learn from."""
    train_examples_below: Count | None = None
    """Limit of the number of training images to learn from."""
    max_train_examples: Count | None = None
    """Max number of training images to learn from."""

    @property
    def limits(self) -> tuple[Limit, ...]:
        """Return the limits that are given, in the order of `RULES`."""
        return tuple(
            Limit(rule.figure, rule.comparison, value)
            for rule in RULES
            if (value := getattr(self, rule.field)) is not None
        )

    @property
    def figures(self) -> frozenset[str]:
        """Return the names of the limited figures."""
        return frozenset(limit.figure for limit in self.limits)

    @model_validator(mode="after")
    def _one_limit_a_name(self) -> Self:
        given: dict[str, str] = {}
        for rule in RULES:
            if getattr(self, rule.field) is None:
                continue
            if rule.name in given:
                raise ValueError(f"{given[rule.name]} cannot be combined with {rule.field}")
            given[rule.name] = rule.field
        return self
