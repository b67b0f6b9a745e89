"""IDX files → uint8 images and int64 labels, checked byte for byte; the embedded MNIST."""

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
    """Reads one split of the embedded MNIST, or of a folder of IDX files in MNIST's format.

    The embedded files must have the SHA-256 of the canonical MNIST.

    Args:
        split: "train" or "test".
        folder: holds the four files, gzip-compressed or not, or has them in `raw` or `MNIST/raw`.

    Raises:
        FileError: a file is missing or is not what it must be.
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
            f'"{image_file}" has {len(images):,} images but "{label_file}" {len(labels):,} labels'
        )
    if not len(images):
        raise FileError(f'"{image_file}" has no images')
    if labels.max() >= CLASSES:
        raise FileError(f'"{label_file}" has the label {int(labels.max())}; labels go from 0 to 9')
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
    raise FileError(f'"{folder}" has no {name} or {name}.gz; it must hold the four MNIST files')


def _read_idx(path: Path, magic: int, item_shape: tuple[int, ...]) -> Tensor:
    """The whole content of an IDX file, header and all, as uint8 (bytes,)."""
    dimensions = 1 + len(item_shape)
    header_size = 4 + 4 * dimensions
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rb") as file:
            header = file.read(header_size)
            size = _check_header(path, header, magic, item_shape)
            # One byte more than there may be: so nothing larger is ever unpacked.
            body = file.read(size + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise FileError(f'cannot read "{path}": {reason_of(error)}') from error
    if len(body) != size:
        what = "is truncated" if len(body) < size else "goes on after its last item"
        raise FileError(f'"{path}" {what}: its header announces {size:,} bytes')
    return torch.frombuffer(bytearray(header + body), dtype=torch.uint8)


def _check_header(path: Path, header: bytes, magic: int, item_shape: tuple[int, ...]) -> int:
    """The number of bytes that must follow the header."""
    numbers = [int.from_bytes(header[i : i + 4]) for i in range(0, len(header), 4)]
    if len(header) < 8 + 4 * len(item_shape):
        raise FileError(f'"{path}" is truncated: it has no whole IDX header')
    if numbers[0] != magic:
        raise FileError(f'"{path}" is not the IDX file it should be: magic number {numbers[0]}')
    if tuple(numbers[2:]) != item_shape:
        raise FileError(f'"{path}" has images of {numbers[2:]} pixels; they must be 28 by 28')
    if numbers[1] > COUNT_LIMIT:
        raise FileError(f'"{path}" announces {numbers[1]:,} items; the limit is {COUNT_LIMIT:,}')
    size = numbers[1]
    for extent in item_shape:
        size *= extent
    return size


def _check_canonical(names: tuple[str, str], contents: tuple[Tensor, Tensor]) -> None:
    for name, content in zip(names, contents, strict=True):
        if hashlib.sha256(content.numpy().data).hexdigest() != MNIST_SHA256[name]:
            raise FileError(f"the embedded {name} is damaged; install mnistcli again")
