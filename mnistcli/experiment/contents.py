"""What `--data` names → what it contains: counts, pixels, duplicates and labels that look wrong."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mnistcli.datasets.cached import check_cached, find_dataset, name_data
from mnistcli.datasets.embedded import EMBEDDED
from mnistcli.datasets.examples import CLASSES, SIDE, Examples, fingerprint
from mnistcli.datasets.find import find_data
from mnistcli.datasets.identical import find_first
from mnistcli.datasets.load import load_examples
from mnistcli.engine.events import Emit
from mnistcli.engine.stages import Stages
from mnistcli.experiment.label_check import check_labels
from mnistcli.experiment.machine import Options
from mnistcli.preset.choices import Split
from mnistcli.preset.schema import Normalization
from mnistcli.records.contents import (
    ContactRow,
    DataDocument,
    DuplicateImage,
    Duplicates,
    NearEmpty,
    SplitContents,
)
from mnistcli.records.folders import name_absolutely

SHEET_COLUMNS = 24
EXAMPLES = 20
"""Indices that are listed of a kind."""
NEAR_EMPTY = 10.0
"""White pixels: half the ink of the thinnest digit in MNIST, which has 19.9."""
TOLERANCE = 0.02
"""Mean and standard deviation that are nearer to MNIST's need no other normalization."""
BLOCK = 1_000
Pixels = NDArray[np.uint8]
"""Images (n, 28, 28)."""


@dataclass(frozen=True)
class DataContents:
    """Contents of a data set, the images of its contact sheet, and the most suspicious ones."""

    document: DataDocument
    sheet: tuple[ContactRow, ...]
    images: Mapping[Split, Pixels]
    """All images of each split."""


def examine_data(options: Options, emit: Emit, *, labels: bool) -> DataContents:
    """Read all splits that the data has, and describe them.

    Args:
        options: the data; device, threads and seed for the networks that check labels.
        emit: told of every stage.
        labels: whether to look for wrong labels, which takes trainings of some seconds.

    Raises:
        FileError: the data is unreadable, or has no training images to check labels with.
        UsageError: the device is not available.
    """
    path = options.data or EMBEDDED
    check_cached(path)
    found = find_data(path)
    data = {split: load_examples(split, options.data) for split in found.list_splits()}
    images = {split: examples.images[:, 0].numpy() for split, examples in data.items()}
    errors, check = check_labels(data, options, Stages(emit)) if labels else ({}, None)
    splits = tuple(
        _describe(split, each).model_copy(update={"label_errors": errors.get(split)})
        for split, each in data.items()
    )
    name = find_dataset(options.data)
    document = DataDocument(
        source=name_data(options.data),
        folder=None if name == "mnist" else name_absolutely(path),
        dataset=name,
        splits=splits,
        test_in_train=_find_leaks(data),
        near_empty_below=NEAR_EMPTY,
        normalization=suggest_normalization(splits[0]),
        label_check=check,
    )
    rows = tuple(row for split, each in data.items() for row in _lay_out(split, each))
    return DataContents(document, rows, images)


def suggest_normalization(contents: SplitContents) -> Normalization | None:
    """Return the normalization that a preset needs for these images, if it is not MNIST's."""
    usual = Normalization()
    mean, std = round(contents.pixel_mean, 4), round(contents.pixel_sd, 4)
    is_usual = max(abs(mean - usual.mean), abs(std - usual.std)) <= TOLERANCE
    return None if is_usual or not std else Normalization(mean=mean, std=std)


def _describe(split: Split, examples: Examples) -> SplitContents:
    images, labels = examples.images[:, 0].numpy(), examples.labels.numpy()
    mean, sd = measure_pixels(images)
    ink = images.reshape(len(images), -1).sum(axis=1, dtype=np.int64) / 255
    empty = np.flatnonzero(ink < NEAR_EMPTY)
    return SplitContents(
        split=split,
        images=len(images),
        class_counts=tuple(np.bincount(labels, minlength=CLASSES).tolist()),
        sha256=fingerprint(examples),
        pixel_mean=mean,
        pixel_sd=sd,
        near_empty=NearEmpty(images=len(empty), examples=tuple(empty[:EXAMPLES].tolist())),
        duplicates=list_duplicates(find_first(images), labels),
    )


def measure_pixels(images: Pixels) -> tuple[float, float]:
    """Return mean and standard deviation of the pixels as fractions of 255.

    They are computed from the counts of the 256 values, without rounding errors that grow.
    """
    counts = np.zeros(256, dtype=np.int64)
    for start in range(0, len(images), BLOCK):  # bincount copies its input as integers of 8 bytes
        counts += np.bincount(images[start : start + BLOCK].ravel(), minlength=256)
    values = np.arange(256) / 255
    mean = float(counts @ values) / counts.sum()
    return float(mean), float(np.sqrt(counts @ (values - mean) ** 2 / counts.sum()))


def list_duplicates(
    first: NDArray[np.int64], labels: NDArray[np.int64], start: int = 0
) -> Duplicates:
    """List the images that are not the first ones with their pixels.

    Args:
        first: index of the first image with the same pixels, for every image.
        labels: int64 (n,).
        start: leave out the images before this one, and count from it.
    """
    copies = start + np.flatnonzero(first[start:] != np.arange(start, len(first)))
    differs = labels[copies] != labels[first[copies]]
    shown = copies[np.argsort(~differs, kind="stable")][:EXAMPLES]
    rows = zip(shown - start, labels[shown], first[shown], labels[first[shown]], strict=True)
    return Duplicates(
        images=len(copies),
        other_label=int(differs.sum()),
        examples=tuple(
            DuplicateImage(index=int(a), label=int(b), same_as=int(c), same_as_label=int(d))
            for a, b, c, d in rows
        ),
    )


def _find_leaks(data: Mapping[Split, Examples]) -> Duplicates | None:
    """Find the test images that are training images too."""
    if len(data) < 2:
        return None
    train, test = (data[split].images.numpy() for split in ("train", "test"))
    labels = np.concatenate([data[split].labels.numpy() for split in ("train", "test")])
    first = find_first(np.concatenate([train, test]).reshape(-1, SIDE, SIDE))
    # A test image that only an earlier test image is identical to has leaked from nowhere.
    own = np.arange(len(train), len(first))
    first[own] = np.where(first[own] < len(train), first[own], own)
    return list_duplicates(first, labels, len(train))


def _lay_out(split: Split, examples: Examples) -> list[ContactRow]:
    """Take images of every digit, evenly from the first to the last."""
    images, labels = examples.images[:, 0].numpy(), examples.labels.numpy()
    rows = []
    for digit in np.unique(labels):
        members = np.flatnonzero(labels == digit)
        places = np.linspace(0, len(members) - 1, min(SHEET_COLUMNS, len(members)))
        shown = images[members[places.round().astype(np.int64)]]
        rows.append(ContactRow(split, int(digit), len(members), shown))
    return rows
