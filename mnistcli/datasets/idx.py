"""IDX files → examples, with every byte checked; the embedded MNIST."""

import gzip
import hashlib
import zlib
from pathlib import Path

import torch
from torch import Tensor

from mnistcli.datasets.examples import CLASSES, SIDE, Examples
from mnistcli.errors import FileError, reason_of
from mnistcli.preset.choices import Split

EMBEDDED = Path(__file__).parent.parent / "mnist"
COUNT_LIMIT = 1_000_000
IMAGE_MAGIC, LABEL_MAGIC = 2051, 2049

FILES: dict[Split, tuple[str, str]] = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
MNIST_SHA256 = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}


def load_examples(split: Split, folder: Path | None = None) -> Examples:
    """Read one split of a folder of IDX files in MNIST's format, or of the embedded MNIST.

    The embedded files must have the SHA-256 of the canonical MNIST.

    Args:
        split: "train" or "test".
        folder: holds the four files, gzip-compressed or not, itself or in `raw` or `MNIST/raw`.

    Raises:
        FileError: a file is missing or invalid.
    """
    image_file, label_file = (_find(folder, name) for name in FILES[split])
    images = _read_idx(image_file, IMAGE_MAGIC, (SIDE, SIDE))
    labels = _read_idx(label_file, LABEL_MAGIC, ())
    if folder is None:
        _check_canonical(FILES[split], (images, labels))
    images = images[16:].view(-1, 1, SIDE, SIDE)
    labels = labels[8:].long()
    if len(images) != len(labels):
        raise FileError(
            f'"{image_file}" has {len(images):,} images, but "{label_file}" {len(labels):,} labels'
        )
    if not len(images):
        raise FileError(f'"{image_file}" has no images')
    if labels.max() >= CLASSES:
        raise FileError(f'"{label_file}" has a label that is not a digit: {int(labels.max())}')
    return Examples(images, labels)


def _find(folder: Path | None, name: str) -> Path:
    if folder is None:
        return EMBEDDED / f"{name}.gz"
    for place in (folder, folder / "raw", folder / "MNIST" / "raw"):
        for ending in ("", ".gz"):
            path = place / f"{name}{ending}"
            try:
                if path.is_file():
                    return path
            except (OSError, ValueError) as error:
                raise FileError(f'cannot read "{path}": {reason_of(error)}') from error
    raise FileError(f'"{folder}" has no {name} or {name}.gz. It must hold the four MNIST files.')


def _read_idx(path: Path, magic: int, item_shape: tuple[int, ...]) -> Tensor:
    """Return the content of an IDX file, with its header, as uint8 (bytes,)."""
    dimensions = 1 + len(item_shape)
    header_size = 4 + 4 * dimensions
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rb") as file:
            header = file.read(header_size)
            size = _check_header(path, header, magic, item_shape)
            # One byte more than allowed tells a longer file without unpacking it.
            body = file.read(size + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise FileError(f'cannot read "{path}": {reason_of(error)}') from error
    if len(body) != size:
        what = "is truncated" if len(body) < size else "is too long"
        raise FileError(f'"{path}" {what}: its header says {size:,} bytes')
    return torch.frombuffer(bytearray(header + body), dtype=torch.uint8)


def _check_header(path: Path, header: bytes, magic: int, item_shape: tuple[int, ...]) -> int:
    """Check the header of an IDX file and return the number of bytes that must follow it."""
    numbers = [int.from_bytes(header[i : i + 4]) for i in range(0, len(header), 4)]
    if len(header) < 8 + 4 * len(item_shape):
        raise FileError(f'"{path}" is truncated: its header is incomplete')
    if numbers[0] != magic:
        raise FileError(f'"{path}" is not the expected IDX file: magic number {numbers[0]}')
    if tuple(numbers[2:]) != item_shape:
        raise FileError(f'"{path}" has images of {numbers[2:]} pixels, not 28 by 28')
    if numbers[1] > COUNT_LIMIT:
        raise FileError(f'"{path}" has {numbers[1]:,} items. The limit is {COUNT_LIMIT:,}.')
    size = numbers[1]
    for extent in item_shape:
        size *= extent
    return size


def _check_canonical(names: tuple[str, str], contents: tuple[Tensor, Tensor]) -> None:
    for name, content in zip(names, contents, strict=True):
        if hashlib.sha256(content.numpy().data).hexdigest() != MNIST_SHA256[name]:
            raise FileError(f"the embedded {name} is damaged. Install mnistcli again.")
