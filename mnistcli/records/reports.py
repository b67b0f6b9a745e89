"""What a report is made of, and what `report` prints."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from mnistcli.records.base import Document
from mnistcli.records.documents import LayerRow, RunRecord
from mnistcli.records.evaluations import Answers

Images = NDArray[np.uint8]
"""(k, 28, 28)."""


class ReportDocument(Document):
    """What `report` prints."""

    schema_: Annotated[Literal["mnistcli.report/1"], Field(alias="schema")] = "mnistcli.report/1"
    path: str
    bytes: int
    runs: tuple[str, ...]
    """Run ids."""


@dataclass(frozen=True)
class SheetRow:
    """Images of one digit from the easiest to the hardest, evenly over all there are."""

    digit: int
    kept: bool
    count: int
    """Of which these are examples."""
    images: Images


@dataclass(frozen=True)
class Sample:
    """One test image and the answer to it."""

    index: int
    digit: int
    predicted: int
    confidence: float


@dataclass(frozen=True)
class ReportedRun:
    """One run: what it left, and what was measured for the report."""

    record: RunRecord
    layers: Sequence[LayerRow]
    learning_rates: Sequence[float]
    """Of every step, of the optimizer's first group."""
    answers: Answers
    """To the test images."""
    samples: Sequence[Sample]
    sample_images: Images
    worst_images: Images
    """Of the first of the answers' mistakes."""
    filters: NDArray[np.float32]
    """(k, height, width): what the first layer with weights multiplies the image with."""
    sheet: Sequence[SheetRow]
    """Of a coreset, if the run learned from one."""
