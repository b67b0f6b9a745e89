"""The JSON contract of `runs`: lists of runs, tags, and what was removed."""

from typing import Annotated, Literal

from pydantic import Field

from mnistcli.preset.schema import Name
from mnistcli.records.base import Document
from mnistcli.records.documents import Verdict

RunStateName = Literal["finished", "unfinished", "diverged", "unreadable"]


class RunRow(Document):
    """What a list says about one run; null is what is not known yet, or unreadable."""

    name: str
    """Name of the run folder."""
    path: str
    state: RunStateName
    reason: str | None = None
    """What cannot be read."""
    started: str | None = None
    preset: str | None = None
    seed: int | None = None
    parameters: int | None = None
    test_accuracy: float | None = None
    held_out_accuracy: float | None = None
    """In place of the test accuracy, of a run that was evaluated on held-out images."""
    epochs: int | None = None
    """Number of finished epochs."""
    train_seconds: float | None = None
    passed: bool | None = None
    """Whether every check of the budget passed."""
    verdict: Verdict | None = None
    """As `passed`, and inconclusive if only an export would tell."""
    tag: str | None = None


class RunList(Document):
    """Output of `runs list`."""

    schema_: Annotated[Literal["mnistcli.run-list/1"], Field(alias="schema")] = (
        "mnistcli.run-list/1"
    )
    folder: str
    """The folder or batch as it was named."""
    runs: tuple[RunRow, ...]
    """Newest first."""


class TagDocument(Document):
    """The tag of a run: tag.json in its folder, and the output of `runs tag`."""

    schema_: Annotated[Literal["mnistcli.tag/1"], Field(alias="schema")] = "mnistcli.tag/1"
    tag: Name | None
    """Null once the tag is removed."""


class RemovedRun(Document):
    """A run folder that was or would be removed."""

    path: str
    files: int
    bytes: int


class RunRemoval(Document):
    """Output of `runs rm`."""

    schema_: Annotated[Literal["mnistcli.run-removal/1"], Field(alias="schema")] = (
        "mnistcli.run-removal/1"
    )
    runs: tuple[RemovedRun, ...]
    removed: bool
    """False with --dry-run."""
