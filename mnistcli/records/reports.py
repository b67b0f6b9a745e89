"""Contents of a report, and the JSON output of `report`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from mnistcli.records.base import Document
from mnistcli.records.documents import LayerRow, RunRecord
from mnistcli.records.evaluations import EvaluationMetrics

Images = NDArray[np.uint8]
"""Images (k, 28, 28)."""


class ReportDocument(Document):
    """Output of `report`."""

    schema_: Annotated[Literal["mnistcli.report/1"], Field(alias="schema")] = "mnistcli.report/1"
    path: str
    bytes: int
    runs: tuple[str, ...]
    """Run ids."""


@dataclass(frozen=True)
class SheetRow:
    """Examples of one digit, selected or dropped, from the easiest to the hardest."""

    digit: int
    kept: bool
    count: int
    """Number of images that these are examples of."""
    images: Images


@dataclass(frozen=True)
class Sample:
    """A test image with its prediction."""

    index: int
    digit: int
    predicted: int
    confidence: float


@dataclass(frozen=True)
class ReportedRun:
    """A run with everything that its report shows."""

    record: RunRecord
    layers: Sequence[LayerRow]
    learning_rates: Sequence[float]
    """Learning rate of every step, of the first group of parameters."""
    metrics: EvaluationMetrics
    """Metrics on the test set, or on the held-out images."""
    samples: Sequence[Sample]
    sample_images: Images
    worst_images: Images
    """Images of the first mistakes."""
    filters: NDArray[np.float32]
    """First-layer filters, (k, height, width)."""
    sheet: Sequence[SheetRow]
    """Selected and dropped images, if the run has a coreset."""
