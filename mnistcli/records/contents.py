"""The JSON contract of `data show`, and the images of its contact sheet."""

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from mnistcli.preset.choices import DatasetName, Split
from mnistcli.preset.schema import Normalization
from mnistcli.records.base import Document


class DuplicateImage(Document):
    """An image with exactly the pixels of another one."""

    index: int
    label: int
    same_as: int
    """Index of the first image with these pixels."""
    same_as_label: int


class Duplicates(Document):
    """Images with exactly the pixels of another one: an earlier one, or a training image."""

    images: int
    other_label: int
    """How many of them have another label than the first image with these pixels."""
    examples: tuple[DuplicateImage, ...]
    """The first of them, those with another label before the others."""


class NearEmpty(Document):
    """Images with almost no ink."""

    images: int
    examples: tuple[int, ...]
    """Indices of the first of them."""


class SuspiciousLabel(Document):
    """A label that networks which did not learn from the image confidently disagree with."""

    index: int
    label: int
    predicted: int
    confidence: float
    """Probability of the predicted digit."""
    margin: float
    """Probability of the predicted digit less that of the label."""


class LabelErrors(Document):
    """Labels that are probably wrong."""

    estimated: float
    """Estimated number of wrong labels."""
    accuracy: float
    """Fraction of the labels that the predictions agree with."""
    suspicious: tuple[SuspiciousLabel, ...]
    """As many as are estimated to be wrong, those with the largest margin first."""


class SplitContents(Document):
    """Contents of one split of a data set."""

    split: Split
    images: int
    class_counts: tuple[int, ...]
    sha256: str
    """SHA-256 of the bytes of all images and labels, as in records."""
    pixel_mean: float
    """Mean of the pixels as fractions of 255."""
    pixel_sd: float
    near_empty: NearEmpty
    duplicates: Duplicates
    """Images that are identical to an earlier one of the split."""
    label_errors: LabelErrors | None = None
    """Present with `--labels`."""


class LabelCheck(Document):
    """The networks that labels were checked with."""

    preset: str
    folds: int
    """Each network learned from all training images but one fold, and predicted that fold and the
    test images."""
    seed: int
    seconds: float


class DataDocument(Document):
    """Output of `data show`."""

    schema_: Annotated[Literal["mnistcli.data/1"], Field(alias="schema")] = "mnistcli.data/1"
    source: str
    """Name of the data set, or its path as it was named."""
    folder: str | None
    """Absolute path; null for the embedded MNIST."""
    dataset: DatasetName | None = None
    """Name for `--dataset`, if the data set has one."""
    splits: tuple[SplitContents, ...]
    test_in_train: Duplicates | None
    """Test images that are identical to a training image; null unless there are both splits."""
    near_empty_below: float
    """Ink of a near-empty image is less than that of so many white pixels."""
    normalization: Normalization | None
    """Normalization for a preset, if MNIST's does not suit these images."""
    label_check: LabelCheck | None = None
    """Present with `--labels`."""


@dataclass(frozen=True)
class ContactRow:
    """Some images of one digit in a split."""

    split: Split
    digit: int
    count: int
    """Number of images that these are examples of."""
    images: NDArray[np.uint8]
    """(k, 28, 28)."""
