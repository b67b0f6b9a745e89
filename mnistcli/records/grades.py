"""The results of `grade`, and its progress."""

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from mnistcli.preset.budget import Budget
from mnistcli.records.base import Document
from mnistcli.records.documents import Check

GRADES = "grades.json"
"""File of the results, in the folder of `grade --out`."""

Outcome = Literal["pass", "fail", "inconclusive", "error", "timeout", "memory"]


class Grade(Document):
    """The result of one submission; a figure is null if the submission did not get that far."""

    name: str
    submission: str
    """Path of the file or folder."""
    sha256: str
    """Fingerprint of the submitted files."""
    verdict: Outcome
    """Whether it meets the budget; or that it failed, or exceeded a limit of time or memory.
    Inconclusive if only an export would tell."""
    reason: str = ""
    """Why it did not pass."""
    parameters: int | None = None
    macs: int | None = None
    """Multiply-accumulates (MACs) for one image."""
    test_accuracy: float | None = None
    epochs: float | None = None
    train_seconds: float | None = None
    checks: tuple[Check, ...] = ()
    structure_sha256: str | None = None
    """Fingerprint of the layers' output shapes and parameters, and of the MACs."""
    same_as: str | None = None
    """Name of the first submission whose network has the same structure."""
    warnings: tuple[str, ...] = ()
    """Findings about the network."""
    run: str | None = None
    """Path of the run folder."""
    is_final: bool = True
    """Whether it need not be graded again: false after a fault that is not the submission's."""


class GradesDocument(Document):
    """Output of `grade`, also written to grades.json after every submission."""

    schema_: Annotated[Literal["mnistcli.grades/1"], Field(alias="schema")] = "mnistcli.grades/1"
    budget: Budget
    settings: dict[str, str]
    """What the results depend on beside the submissions: budget, recipe, seed, machine and data."""
    each_seconds: float
    """Time limit of one submission."""
    memory: int
    """Memory limit of one submission, in bytes."""
    total: int
    """Number of submissions."""
    grades: tuple[Grade, ...]
    """Results so far, in the order of the submissions."""
    passed: bool
    """Whether every submission has passed."""


@dataclass(frozen=True)
class GradingProgress:
    """A submission that is at work, or has its result."""

    name: str
    done: int
    """Number of submissions with a result."""
    total: int
    grade: Grade | None = None
    """None when it starts."""
