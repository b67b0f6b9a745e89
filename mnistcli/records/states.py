"""The JSON contract of runs that have not ended: how they began, and how far they have come."""

from typing import Annotated, Literal

from pydantic import Field

from mnistcli.preset.schema import Preset
from mnistcli.records.base import Document
from mnistcli.records.documents import (
    CoresetRecord,
    DataSource,
    EpochRecord,
    Repetition,
)

Number = Annotated[int, Field(ge=0, le=10**15)]


class RunStart(Document):
    """How a run began, in start.json from its first moment until its record is written."""

    schema_: Annotated[Literal["mnistcli.start/2"], Field(alias="schema")] = "mnistcli.start/2"
    started: str
    preset: Preset
    seed: Annotated[int, Field(ge=0, le=2**63 - 1)]
    device: Literal["cpu", "cuda", "mps"]
    precision: Literal["float32", "bfloat16"]
    threads: Annotated[int, Field(ge=1, le=1_024)]
    data_folder: str | None
    """None for the embedded MNIST."""
    data: DataSource
    coreset_file: str | None
    """The file of indices that `--coreset` named."""
    repeats: Repetition | None
    """The run that this one is to repeat; its differences are known once it has ended."""


class GroupState(Document):
    """What a schedule has made of a group of parameters' settings."""

    lr: float
    betas: tuple[float, float] | None = None
    momentum: float | None = None


class UnderwayState(Document):
    """An epoch of which some batches have been learned from."""

    step: Number
    rate: float
    seconds: float
    stages: dict[str, float]


class RunState(Document):
    """The facts of state.safetensors, beside its tensors."""

    schema_: Annotated[Literal["mnistcli.state/2"], Field(alias="schema")] = "mnistcli.state/2"
    events_bytes: Number
    """How much of events.jsonl belongs to it."""
    groups: tuple[GroupState, ...]
    history: tuple[EpochRecord, ...]
    underway: UnderwayState | None
    coreset: CoresetRecord | None
    confusions: tuple[tuple[tuple[Number, ...], ...], ...]
    """Of every phase that has ended, on the images that phases are judged on."""


class DivergenceDocument(Document):
    """What a run leaves as divergence.json if its loss was not finite."""

    schema_: Annotated[Literal["mnistcli.divergence/1"], Field(alias="schema")] = (
        "mnistcli.divergence/1"
    )
    epoch: int
    step: int
    learning_rate: float
    batch: tuple[int, ...]
    """Indices of its images among those that may be learned from."""


class BatchDocument(Document):
    """Runs of one preset from several seeds, begun by one command."""

    schema_: Annotated[Literal["mnistcli.batch/1"], Field(alias="schema")] = "mnistcli.batch/1"
    preset: Preset
    device: Literal["auto", "cpu", "cuda", "mps"]
    precision: Literal["auto", "float32", "bfloat16"]
    threads: Annotated[int, Field(ge=1, le=1_024)]
    data_folder: str | None
    coreset_file: str | None
    runs: dict[Annotated[int, Field(ge=0, le=2**63 - 1)], Annotated[str, Field(max_length=200)]]
    """The folder of every seed's run, beside this file."""
