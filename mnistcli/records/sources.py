"""Where the images of a run come from."""

from pathlib import Path
from typing import Literal, get_args

from mnistcli.datasets.cached import advise_download, cached_path
from mnistcli.preset.choices import DatasetName, Split
from mnistcli.records.base import Document

EvaluatedOn = Literal["held-out", "test"]


class DataSource(Document):
    """The images of a run."""

    source: str
    """Name of the data set, or the path as it was given."""
    folder: str | None = None
    """Absolute path of the folder or file; null for the embedded MNIST."""
    dataset: DatasetName | None = None
    """Name by which `--dataset` knows it; null for data of one's own, and in older records."""
    train_sha256: str
    """Fingerprint of all training images, with those that are held out."""
    test_sha256: str
    """Fingerprint of the test images, or of the held-out ones in their place."""
    evaluated_on: EvaluatedOn = "test"
    """What the result is of; for a held-out one, the test images were never read."""

    def sha256_of(self, split: Split) -> str:
        """Return the fingerprint of a split."""
        return self.train_sha256 if split == "train" else self.test_sha256

    def has_images_of(self, other: "DataSource") -> bool:
        """Return whether both splits are the same, wherever they were read."""
        return all(self.sha256_of(split) == other.sha256_of(split) for split in get_args(Split))

    def locate(self) -> Path | None:
        """Return the path to read the images from; None for the embedded MNIST."""
        folder = Path(self.folder) if self.folder else None
        if self.dataset and self.dataset != "mnist":
            cached = cached_path(self.dataset)
            return cached if folder is None or cached.exists() else folder
        return folder

    def advise(self) -> str:
        """Return a sentence on what to do if the images are not there."""
        if self.dataset and self.dataset != "mnist":
            return advise_download(self.dataset)
        return "Name their folder with --data."
