"""Names of data sets → addresses and MD5 of the files to download, from torchvision's classes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, assert_never

from mnistcli.errors import FileError, reason_of
from mnistcli.preset.choices import DatasetName

GITHUB = "https://raw.githubusercontent.com"
INSTEAD = {
    # torchvision has only a server of websites in Amazon's cloud, which does not speak https: these
    # are the authors' own repository, and the same bucket by its other name.
    "fashion": (
        f"{GITHUB}/zalandoresearch/fashion-mnist/master/data/fashion/",
        "https://fashion-mnist.s3.eu-central-1.amazonaws.com/",
    )
}
"""Mirrors to use instead of torchvision's. The MD5 of the files are torchvision's all the same."""
EMNIST_DIGITS = tuple(
    f"gzip/emnist-digits-{split}-{what}-ubyte.gz"
    for split in ("train", "test")
    for what in ("images-idx3", "labels-idx1")
)
FILE_LIMIT, ARCHIVE_LIMIT = 256 << 20, 1 << 30
"""Bytes of a file, and of an archive."""


@dataclass(frozen=True)
class RemoteFile:
    """A file to download."""

    name: str
    urls: tuple[str, ...]
    """Addresses of the same file, the first to be tried first."""
    md5: str
    members: tuple[str, ...] = ()
    """Paths of the files that are wanted of an archive."""

    @property
    def size_limit(self) -> int:
        """Largest size in bytes."""
        return ARCHIVE_LIMIT if self.members else FILE_LIMIT


def list_files(name: DatasetName) -> tuple[RemoteFile, ...]:
    """Return the files of a data set; none of the embedded MNIST.

    Raises:
        FileError: torchvision cannot be imported.
    """
    if name == "mnist":
        return ()
    known = _import_datasets()
    match name:
        case "fashion" | "kmnist":
            source = known.FashionMNIST if name == "fashion" else known.KMNIST
            mirrors = INSTEAD.get(name, source.mirrors)
            return tuple(_describe(mirrors, file, md5) for file, md5 in source.resources)
        case "qmnist":
            resources = known.QMNIST.resources
            return tuple(_at(url, md5) for url, md5 in (*resources["train"], *resources["test"]))
        case "emnist-digits":
            return (_at(known.EMNIST.url, known.EMNIST.md5, EMNIST_DIGITS),)
        case "usps":
            splits = known.USPS.split_list
            return tuple(_at(splits[split][0], splits[split][2]) for split in ("train", "test"))
        case unreachable:
            assert_never(unreachable)


def _import_datasets() -> Any:
    """Return the module of torchvision's data sets: it takes seconds, so only when needed."""
    try:
        from torchvision import datasets
    except (ImportError, RuntimeError, OSError) as error:
        # One that was built for another PyTorch lacks operators, or libraries.
        raise FileError(
            f"cannot import torchvision: {reason_of(error).splitlines()[0]}. Install the one that "
            "belongs to your PyTorch."
        ) from error
    return datasets


def _at(url: str, md5: str, members: tuple[str, ...] = ()) -> RemoteFile:
    place, _, file = url.rpartition("/")
    return _describe([f"{place}/"], file, md5, members)


def _describe(
    mirrors: Sequence[str], file: str, md5: str, members: tuple[str, ...] = ()
) -> RemoteFile:
    """Return a file by its mirrors; torchvision has some with http, whose servers know https."""
    secure = (f"https://{mirror.partition('://')[2]}{file}" for mirror in mirrors)
    return RemoteFile(file, tuple(secure), md5, members)
