"""The JSON contract of `runs check`."""

from typing import Annotated, Literal

from pydantic import Field

from mnistcli.records.base import Document
from mnistcli.records.documents import Interval

Value = int | float | str | bool | None


class CheckedFigure(Document):
    """A figure of a record, compared with what was found again."""

    figure: str
    recorded: Value
    found: Value
    verdict: Literal["confirmed", "refuted"]


class CheckedTraining(Document):
    """A run trained again from its preset and seed, compared with its record."""

    weights_match: bool
    """Whether the weights are equal, bit for bit."""
    differences: tuple[str, ...]
    """Recorded differences: versions, machine, threads, device, precision, data."""
    accuracy: float | None
    """Accuracy of the new training; null if it diverged."""
    difference: float | None
    """That accuracy less the recorded one."""
    interval: Interval | None
    """95 % confidence interval of the difference, of two independent proportions."""
    p_value: float | None
    verdict: Literal["confirmed", "no clear difference", "improved", "worse", "diverged"]
    """Confirmed if the weights match; otherwise how the new accuracy compares."""


class CheckedRun(Document):
    """The verdict on one record."""

    run_id: str
    path: str
    figures: tuple[CheckedFigure, ...]
    training: CheckedTraining | None
    """Present with `--train`, unless a figure is refuted already."""
    verdict: Literal["confirmed", "refuted", "undecided"]
    """Undecided if all figures are confirmed, but the new training is worse or diverged."""


class RunChecks(Document):
    """Output of `runs check`."""

    schema_: Annotated[Literal["mnistcli.run-check/1"], Field(alias="schema")] = (
        "mnistcli.run-check/1"
    )
    runs: tuple[CheckedRun, ...]
    confirmed: bool
    """Whether every record is confirmed."""
