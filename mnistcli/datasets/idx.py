"""IDX files → examples, with every byte checked; the embedded MNIST."""

import gzip
import hashlib
import zlib
from math import prod
from pathlib import Path

import torch
from torch import Tensor

from mnistcli.datasets.contents import HEAD, check_folder, describe_content, list_some
from mnistcli.datasets.examples import CLASSES, SIDE, Examples
from mnistcli.errors import FileError, reason_of
from mnistcli.preset.choices import Split

EMBEDDED = Path(__file__).parent.parent / "mnist"
COUNT_LIMIT = 1_000_000
IMAGE_MAGIC, LABEL_MAGIC, GZIP_MAGIC = 2051, 2049, b"\x1f\x8b"
WANTED = "Name a folder with the four IDX files of MNIST."

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
    check_folder(folder, WANTED)
    try:
        for place in (folder, folder / "raw", folder / "MNIST" / "raw"):
            for path in (place / name, place / f"{name}.gz"):
                if path.is_file():
                    return path
        found = list_some(folder)
    except OSError as error:
        raise FileError(f'cannot read "{folder}": {reason_of(error)}') from error
    raise FileError(f'"{folder}" has no {name} or {name}.gz. {found} {WANTED}')


def _read_idx(path: Path, magic: int, item_shape: tuple[int, ...]) -> Tensor:
    """Return the content of an IDX file, with its header, as uint8 (bytes,)."""
    try:
        with path.open("rb") as file:
            # Browsers and servers unpack a file but keep its name, or the other way round.
            is_packed = file.read(2) == GZIP_MAGIC
            file.seek(0)
            with gzip.open(file) if is_packed else file as content:
                head = content.read(HEAD)
                size = _check_header(path, head, magic, item_shape)
                # One byte more than allowed tells a longer file without unpacking it.
                body = head + content.read(max(0, size + 1 - len(head)))
    except (OSError, EOFError, zlib.error) as error:
        raise FileError(f'cannot read "{path}": {reason_of(error)}') from error
    if len(body) != size:
        what = "is truncated" if len(body) < size else "is too long"
        raise FileError(f'"{path}" {what}: its header says {size:,} bytes')
    return torch.frombuffer(bytearray(body), dtype=torch.uint8)


def _check_header(path: Path, head: bytes, magic: int, item_shape: tuple[int, ...]) -> int:
    """Check the header of an IDX file, and return the number of bytes that the file must have."""
    length = 8 + 4 * len(item_shape)
    found, count, *shape = (int.from_bytes(head[i : i + 4]) for i in range(0, length, 4))
    if found != magic:
        raise FileError(f'"{path}" {_explain(head, magic)}. {WANTED}')
    if len(head) < length:
        raise FileError(f'"{path}" is truncated: its header is incomplete')
    if tuple(shape) != item_shape:
        raise FileError(f'"{path}" has images of {shape} pixels, not 28 by 28')
    if count > COUNT_LIMIT:
        raise FileError(f'"{path}" has {count:,} items. The limit is {COUNT_LIMIT:,}.')
    return length + count * prod(item_shape)


def _explain(head: bytes, magic: int) -> str:
    """Return what a file holds that has not the expected magic number."""
    kinds = {IMAGE_MAGIC: "images", LABEL_MAGIC: "labels"}
    found = int.from_bytes(head[:4])
    if found in kinds:
        return f"has {kinds[found]}, not {kinds[magic]}"
    if kind := describe_content(head):
        return f"is {kind}, not an IDX file"
    return f"is not the expected IDX file: magic number {found}"


def _check_canonical(names: tuple[str, str], contents: tuple[Tensor, Tensor]) -> None:
    for name, content in zip(names, contents, strict=True):
        if hashlib.sha256(content.numpy().data).hexdigest() != MNIST_SHA256[name]:
            raise FileError(f"the embedded {name} is damaged. Install mnistcli again.")
