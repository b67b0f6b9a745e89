"""What `--data` or `--dataset` names → examples; without them, the embedded MNIST."""

from pathlib import Path
from typing import assert_never

import numpy as np
import torch
from numpy.typing import NDArray

from mnistcli.datasets.cached import check_cached
from mnistcli.datasets.embedded import EMBEDDED, MNIST_SHA256
from mnistcli.datasets.examples import CLASSES, SIDE, Examples, ImagesAndLabels, fingerprint
from mnistcli.datasets.find import NAMES, DataSet, find_data
from mnistcli.datasets.idx import read_images, read_labels
from mnistcli.datasets.npz import read_npz
from mnistcli.datasets.tables import read_table
from mnistcli.errors import FileError
from mnistcli.preset.choices import Split

ON_THEIR_SIDE = "emnist"
"""Beginning of the names of IDX and CSV files whose images have their columns for rows."""


def load_examples(split: Split, path: Path | None = None) -> Examples:
    """Read one split of the data set in a folder or file, or of the embedded MNIST.

    The embedded images must be those of the canonical MNIST, and the files in a folder of the cache
    those that were downloaded.

    Args:
        split: "train" or "test".
        path: what `--data` names, as `find_data` takes it, or a folder of the cache.

    Raises:
        FileError: a file is missing or invalid.
    """
    path = path or EMBEDDED
    check_cached(path)
    data = find_data(path)
    images, labels = _read(data, split)
    _check(data, split, images, labels)
    if data.kind in ("idx", "csv") and data.name.startswith(ON_THEIR_SIDE):
        images = images.transpose(0, 2, 1)
    pixels = torch.from_numpy(np.ascontiguousarray(images))
    examples = Examples(pixels.view(-1, 1, SIDE, SIDE), torch.from_numpy(labels))
    if path == EMBEDDED and fingerprint(examples) != MNIST_SHA256[split]:
        raise FileError("the embedded MNIST is damaged. Install mnistcli again.")
    return examples


def _read(data: DataSet, split: Split) -> ImagesAndLabels:
    match data.kind:
        case "idx":
            return read_images(data.get(split, "images")), read_labels(data.get(split, "labels"))
        case "csv":
            return read_table(data.get(split))
        case "npz":
            return read_npz(data.get(split), split)
        case "classes":
            # It imports scipy for pictures: a quarter of a second that other kinds are spared.
            from mnistcli.datasets.classes import read_classes

            return read_classes(data.get(split))
        case unreachable:
            assert_never(unreachable)


def _check(
    data: DataSet, split: Split, images: NDArray[np.uint8], labels: NDArray[np.int64]
) -> None:
    """Raise unless there are images, and a digit for each."""
    file = data.get(split, "labels" if data.kind == "idx" else "examples")
    if len(images) != len(labels):
        raise FileError(
            f'"{data.place}" has {len(images):,} {NAMES[split]} images, but {len(labels):,} labels'
        )
    if not len(images):
        raise FileError(f'"{data.place}" has no {NAMES[split]} images')
    low, high = labels.min(), labels.max()
    if low < 0 or high >= CLASSES:
        raise FileError(
            f'"{file}" has labels from {low} to {high}. mnistcli reads ten classes, 0 to 9.'
        )
