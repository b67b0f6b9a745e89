"""The JSON contract of unfinished runs: how they were started, and how far they have come."""

from typing import Annotated, Literal

from pydantic import Field, JsonValue

from mnistcli.preset.schema import Preset
from mnistcli.records.base import Document
from mnistcli.records.documents import (
    CoresetRecord,
    EpochRecord,
)
from mnistcli.records.earlier import EarlierRun, Repetition
from mnistcli.records.sources import DataSource

Number = Annotated[int, Field(ge=0, le=10**15)]
Seed = Annotated[int, Field(ge=0, le=2**63 - 1)]
FolderName = Annotated[str, Field(max_length=200, pattern=r"^[^\x00]*\w$")]
"""Name of a run folder; neither empty nor "..", and one that a system takes."""


class RunStart(Document):
    """What was asked of a run: start.json, from its first moment until its record is written."""

    schema_: Annotated[Literal["mnistcli.start/2"], Field(alias="schema")] = "mnistcli.start/2"
    started: str
    preset: Preset
    seed: Seed
    device: Literal["cpu", "cuda", "mps"]
    precision: Literal["float32", "bfloat16"]
    threads: Annotated[int, Field(ge=1, le=1_024)]
    data: DataSource
    coreset_file: str | None
    """Absolute path of the file of indices that `--coreset` named."""
    repeats: Repetition | None
    """The run that this one repeats."""
    teachers: tuple[EarlierRun, ...] = ()
    """The networks that it learns from."""
    init: EarlierRun | None = None
    """The network whose weights it starts from."""


class GroupState(Document):
    """Settings of one group of parameters, as the schedule has changed them."""

    lr: float
    betas: tuple[float, float] | None = None
    momentum: float | None = None


class EpochProgress(Document):
    """An epoch of which some batches have been learned from."""

    step: Number
    rate: float
    seconds: float
    stages: dict[str, float]


class MemberState(Document):
    """A network of an ensemble that is trained; its weights are among the state's tensors."""

    history: Annotated[tuple[EpochRecord, ...], Field(min_length=1)]
    kept_epoch: Annotated[int, Field(ge=1)] | None


class RunState(Document):
    """The facts in state.safetensors, beside its tensors."""

    schema_: Annotated[Literal["mnistcli.state/2"], Field(alias="schema")] = "mnistcli.state/2"
    events_bytes: Number
    """Size of events.jsonl when the state was saved."""
    groups: tuple[GroupState, ...]
    scheduler: dict[str, JsonValue]
    history: tuple[EpochRecord, ...]
    epoch: EpochProgress | None
    coreset: CoresetRecord | None
    pruned_after: Number = 0
    """Number of epochs before the pruning; 0 if there was none yet."""
    confusions: tuple[tuple[tuple[Number, ...], ...], ...]
    """Confusion matrix of every finished phase, on the phase evaluation set."""
    members: tuple[MemberState, ...] = ()
    """The networks of an ensemble before the one that is trained now."""


class DivergenceDocument(Document):
    """Where a loss was not finite: divergence.json in a run folder."""

    schema_: Annotated[Literal["mnistcli.divergence/1"], Field(alias="schema")] = (
        "mnistcli.divergence/1"
    )
    epoch: int
    step: int
    learning_rate: float
    batch: tuple[int, ...]
    """Indices of its images among the training images."""
    member: int | None = None
    """Which network of an ensemble it is, from 1."""


class BatchDocument(Document):
    """Runs of one preset from several seeds, started by one command."""

    schema_: Annotated[Literal["mnistcli.batch/1"], Field(alias="schema")] = "mnistcli.batch/1"
    preset: Preset
    device: Literal["auto", "cpu", "cuda", "mps"]
    precision: Literal["auto", "float32", "bfloat16"]
    threads: Annotated[int, Field(ge=1, le=1_024)]
    data_folder: str | None
    coreset_file: str | None
    runs: Annotated[dict[Seed, FolderName], Field(min_length=1)]
    """Name of every seed's run folder, beside this file."""
